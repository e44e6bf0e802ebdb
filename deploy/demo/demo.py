"""The demonstration: a small GitHub, a small Kubeflow and the bot, on loopback, with a real pipeline.

Started by demo.sh, which sets KFOPS_BUILD (the folder with kfopsd) and runs this with the right Python.
"""
import argparse
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ROOT = pathlib.Path(__file__).resolve().parents[2]
STANDINS = ROOT / "tests" / "standins"
APP_ID = 4711


class Demo:
    """Everything that runs, and the folder it runs in."""

    def __init__(self, folder: pathlib.Path, verbose: bool):
        self.folder = folder
        self.verbose = verbose
        self.processes: list[tuple[str, subprocess.Popen]] = []
        path = [str(STANDINS / name) for name in ("common", "github", "kubeflow")]
        self.env = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}

    def start(self, name: str, command: list[str]) -> subprocess.Popen:
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env)
        self.processes.append((name, process))
        return process

    def wait_for(self, what: str, test, seconds: float = 60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, process in self.processes:
                if process.poll() is not None:
                    raise SystemExit(f"demo: {name} ended early:\n{self.tail(name)}")
            found = test()
            if found:
                return found
            time.sleep(0.05)
        raise SystemExit(f"demo: {what} did not come in {seconds:.0f} s\n{self.tail('kfopsd')}")

    def tail(self, name: str) -> str:
        log = self.folder / f"{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""

    def port_of(self, name: str) -> int:
        file = self.folder / f"{name}.port"
        return self.wait_for(f"the port of {name}", lambda: file.exists() and int(file.read_text() or 0))

    def stop(self):
        for _, process in reversed(self.processes):
            process.terminate()
        for _, process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def make_secrets(folder: pathlib.Path):
    """A webhook secret and the App's key, as an operator would have them: readable by the bot only."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                            serialization.NoEncryption())
    for name, data in (("app.pem", pem), ("webhook.secret", secrets.token_hex(32).encode())):
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)


def free_port() -> int:
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_config(folder: pathlib.Path, port: int, github: int, kubeflow: int) -> pathlib.Path:
    path = folder / "kfops.yaml"
    path.write_text(f"""\
server:
  listen: 127.0.0.1:{port}
  webhook_secret_file: {folder}/webhook.secret
state_dir: {folder}/state
github:
  api_url: http://127.0.0.1:{github}/api/v3
  web_url: http://127.0.0.1:{github}
  app_id: "{APP_ID}"
  private_key_file: {folder}/app.pem
compile:
  python: {sys.executable}
  package_dir: {ROOT}/deploy/compiler
report:
  edit_interval: 2s
poll:
  run_first: 1s
  finished_interval: 2s
clusters:
  - name: demo
    kfp_url: http://127.0.0.1:{kubeflow}
    kfp_ui_url: http://127.0.0.1:{kubeflow}
repositories:
  - match: acme/*
""")
    return path


def call(url: str, data=None) -> bytes:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def is_up(url: str) -> bool:
    try:
        call(url)
        return True
    except (urllib.error.URLError, OSError):
        return False


def start_all(demo: Demo) -> tuple[str, str]:
    """Starts the three; returns the addresses of the stand-in's control interface and of the page."""
    folder, python = demo.folder, sys.executable
    port = free_port()
    make_secrets(folder)
    demo.start("kubeflow", [python, "-m", "kubeflow_standin", "--state", str(folder / "kubeflow"),
                            "--port-file", str(folder / "kubeflow.port")])
    demo.start("github", [python, "-m", "github_standin", "--state", str(folder / "github"),
                          "--port-file", str(folder / "github.port"),
                          "--webhook-url", f"http://127.0.0.1:{port}/webhook",
                          "--webhook-secret-file", str(folder / "webhook.secret"),
                          "--app-id", str(APP_ID), "--app-key-file", str(folder / "app.pem")])
    github, kubeflow = demo.port_of("github"), demo.port_of("kubeflow")
    config = write_config(folder, port, github, kubeflow)
    demo.start("kfopsd", [str(pathlib.Path(os.environ["KFOPS_BUILD"]) / "kfopsd"), "--config", str(config)])
    demo.wait_for("the bot", lambda: is_up(f"http://127.0.0.1:{port}/readyz"))
    control = f"http://127.0.0.1:{github}/_standin"
    call(f"{control}/repos", {"owner": "acme", "name": "iris", "organization": True,
                              "template": str(STANDINS / "sample_repository"),
                              "collaborators": {"ann": "write", "bob": "maintain", "mallory": "read"}})
    call(f"{control}/repos/acme/iris/pulls",
         {"title": "Describe the data", "branch": "describe-data", "user": "ann",
          "body": "Adds a note about the measurements.",
          "files": {"NOTES.md": "The flowers were measured by Edgar Anderson.\n"}})
    return control, f"http://127.0.0.1:{github}/acme/iris/pull/1"


def conversation(control: str) -> str:
    return call(f"{control}/conversation/acme/iris/1.md").decode()


def once(demo: Demo, control: str, command: str) -> int:
    """Gives the command, waits for its end, prints the conversation."""
    call(f"{control}/repos/acme/iris/pulls/1/comments", {"user": "ann", "body": command})
    ended = ("🚀", "👎", "😕")
    demo.wait_for("the end of the command",
                  lambda: any(mark in conversation(control) for mark in ended), 300)
    demo.wait_for("the last report",
                  lambda: b'"in_progress"' not in call(f"{control}/conversation/acme/iris/1.md"), 30)
    text = conversation(control)
    print(text)
    refused = json.loads(call(f"{control}/violations"))["violations"]
    for violation in refused:
        print(f"demo: GitHub would have refused: {violation}", file=sys.stderr)
    return 0 if "🚀" in text and not refused else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="give the command, print the conversation, end")
    parser.add_argument("--command", default="/build_run", help="what --once says (default /build_run)")
    parser.add_argument("--keep", metavar="DIR", help="work in this folder and leave it")
    parser.add_argument("--verbose", action="store_true", help="print the bot's log at the end")
    options = parser.parse_args()
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="kfops-demo-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    demo = Demo(folder, options.verbose)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    code = 1
    try:
        control, page = start_all(demo)
        if options.once:
            code = once(demo, control, options.command)
        else:
            print(f"Open {page} and write a comment: /build_run\n(Ctrl-C ends it; the logs are in {folder})")
            code = 0
            while all(process.poll() is None for _, process in demo.processes):
                time.sleep(0.5)
            print("demo: something ended; the logs say what", file=sys.stderr)
            code = 1
    except KeyboardInterrupt:
        code = 0
    finally:
        demo.stop()
        if options.verbose:
            print((folder / "kfopsd.log").read_text(errors="replace"), file=sys.stderr)
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
