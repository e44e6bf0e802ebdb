"""The demonstration: a small GitHub, Kubeflow and cluster, and the bot, on loopback, with a real pipeline.

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

from tour import Talk, once, tour

ROOT = pathlib.Path(__file__).resolve().parents[2]
STANDINS = ROOT / "tests" / "standins"
APP_ID = 4711
BOT_USER = "system:serviceaccount:kfops:kfops-deployer"
NAMESPACES = ("ml-team", "ml-staging", "ml-prod")  # of the sample repository: its runs, its two environments


class Demo:
    """Everything that runs, and the folder it runs in."""

    def __init__(self, folder: pathlib.Path, verbose: bool):
        self.folder = folder
        self.verbose = verbose
        self.processes: list[tuple[str, subprocess.Popen]] = []
        path = [str(STANDINS / name) for name in ("common", "github", "kubeflow", "cluster")]
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


def write_private(path: pathlib.Path, data: bytes):
    """As an operator would: readable by the bot only."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


def make_secrets(folder: pathlib.Path):
    """A webhook secret and the App's key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                            serialization.NoEncryption())
    write_private(folder / "app.pem", pem)
    write_private(folder / "webhook.secret", secrets.token_hex(32).encode())


def write_roles(folder: pathlib.Path) -> pathlib.Path:
    """The role that we ship, once for each namespace, as an operator applies it."""
    roles = folder / "rbac"
    roles.mkdir(exist_ok=True)
    shipped = (ROOT / "deploy" / "rbac" / "kfops-deployer.yaml").read_text()
    for namespace in NAMESPACES[1:]:
        (roles / f"{namespace}.yaml").write_text(shipped.replace("namespace: models", f"namespace: {namespace}"))
    return roles


def serving_settings(folder: pathlib.Path) -> str:
    """What the operator's file says of the cluster, once its stand-in listens."""
    ports = json.loads((folder / "cluster" / "ports.json").read_text())
    name, key = next(iter(json.loads((folder / "cluster" / "s3.json").read_text()).items()))
    write_private(folder / "s3-access", name.encode())
    write_private(folder / "s3-secret", key["secret"].encode())
    return f"""\
    serving: true
    kubeconfig: {folder}/cluster/kubeconfig
    serving_url: http://127.0.0.1:{ports["ingress"]}
    s3_url: http://127.0.0.1:{ports["s3"]}
    s3_access_key_file: {folder}/s3-access
    s3_secret_key_file: {folder}/s3-secret
"""


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
  service_first: 250ms
clusters:
  - name: demo
    kfp_url: http://127.0.0.1:{kubeflow}
    kfp_ui_url: http://127.0.0.1:{kubeflow}
    mlmd_url: http://127.0.0.1:{kubeflow}
{serving_settings(folder)}\
repositories:
  - match: acme/*
    namespaces: [{", ".join(NAMESPACES)}]
""")
    return path


def is_up(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=30).close()
        return True
    except (urllib.error.URLError, OSError):
        return False


def start_services(demo: Demo, port: int) -> pathlib.Path:
    """Starts the three stand-ins; returns the bot's configuration."""
    folder, python = demo.folder, sys.executable
    objects = str(folder / "objects")  # the store into which pipelines write and from which models are served
    make_secrets(folder)
    demo.start("cluster", [python, "-m", "cluster_standin", "--state", str(folder / "cluster"), "--objects", objects,
                           "--namespaces", ",".join(NAMESPACES), "--rbac", str(write_roles(folder)),
                           "--user", BOT_USER, "--port-file", str(folder / "cluster.port")])
    demo.start("kubeflow", [python, "-m", "kubeflow_standin", "--state", str(folder / "kubeflow"),
                            "--objects", objects, "--port-file", str(folder / "kubeflow.port")])
    demo.start("github", [python, "-m", "github_standin", "--state", str(folder / "github"),
                          "--port-file", str(folder / "github.port"),
                          "--webhook-url", f"http://127.0.0.1:{port}/webhook",
                          "--webhook-secret-file", str(folder / "webhook.secret"),
                          "--app-id", str(APP_ID), "--app-key-file", str(folder / "app.pem")])
    demo.port_of("cluster")
    return write_config(folder, port, demo.port_of("github"), demo.port_of("kubeflow"))


def start_all(demo: Demo) -> Talk:
    """Starts everything, and opens the pull request of the sample repository."""
    port = free_port()
    config = start_services(demo, port)
    demo.start("kfopsd", [str(pathlib.Path(os.environ["KFOPS_BUILD"]) / "kfopsd"), "--config", str(config)])
    demo.wait_for("the bot", lambda: is_up(f"http://127.0.0.1:{port}/readyz"))
    talk = Talk(demo)
    talk.post("repos", owner="acme", name="iris", organization=True, template=str(STANDINS / "sample_repository"),
              collaborators={"ann": "write", "bob": "maintain", "mallory": "read"})
    talk.opens("Describe the data", "describe-data", "Adds a note about the measurements.",
               {"NOTES.md": "The flowers were measured by Edgar Anderson.\n"})
    return talk


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="give the command, print the conversation, end")
    parser.add_argument("--tour", action="store_true",
                        help="deploy a good model and a broken one, print both conversations, end")
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
        talk = start_all(demo)
        if options.tour:
            code = tour(talk)
        elif options.once:
            code = once(talk, options.command)
        else:
            print(f"Open {talk.page(1)} and write a comment: /build_run\n"
                  "After that, as bob: /staging_deploy, /plan, /deploy\n"
                  f"(Ctrl-C ends it; the logs are in {folder})", flush=True)
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
