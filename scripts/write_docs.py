"""Writes the generated parts of the docs: the options of docs/configuration.md, the states of docs/architecture.md.

Usage: scripts/write_docs.py BUILD, where BUILD is a folder with kfopsd.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MARK = "The tables are what `kfopsd --print-options` prints.\n\n"


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    tables = subprocess.run([pathlib.Path(sys.argv[1]) / "kfopsd", "--print-options"], capture_output=True,
                            text=True, check=True).stdout
    page = ROOT / "docs" / "configuration.md"
    page.write_text(page.read_text().partition(MARK)[0] + MARK + tables)
    return subprocess.run([sys.executable, ROOT / "scripts" / "draw_states.py", "--write"]).returncode


if __name__ == "__main__":
    sys.exit(main())
