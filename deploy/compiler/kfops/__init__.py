"""What model repositories import from kfops, and the compiler that runs inside the sandbox."""

__version__ = "0.1.0"
