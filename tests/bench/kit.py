"""What the benches share: the daemon with its stub of the far sides, signed webhooks, readings and tables.

KFOPS_BUILD names the folder with kfopsd (default: build/release, build); KFOPS_BENCH_DIR a folder on a real
disk for databases (default: a temporary folder); KFOPS_BENCH_NICE a priority (like -15) for everything that
takes part, for a machine that has other work.
"""

import hashlib
import hmac
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REPO_ID, INSTALLATION, APP_ID = 77, 88, 4711
SYSTEM_CERTS = pathlib.Path("/etc/ssl/certs")
PATIENCE_S, NAMESPACES = 60.0, 5
os.nice(int(os.environ.get("KFOPS_BENCH_NICE", 0)))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that daemon and stub are ended, too
SETTINGS = """\
repository:
  owner: lab
  name: iris
pipeline:
  name: Iris
  namespace: team-a
  experiment_name: Iris experiments
  pipeline_path: pipeline.yaml
"""


def build_dir() -> pathlib.Path:
    named = os.environ.get("KFOPS_BUILD")
    folders = [pathlib.Path(named)] if named else [ROOT / "build" / "release", ROOT / "build"]
    for folder in folders:
        if (folder / "kfopsd").exists():
            return folder
    sys.exit(f"no {folders[0] / 'kfopsd'}: build first, or set KFOPS_BUILD")


def machine() -> str:
    """One line that describes the machine, for tables."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "?")
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                 platform.machine())
    return f"{os.cpu_count()} cores ({model}), {system}, Linux {platform.release()}"


def bench_dir() -> pathlib.Path:
    named = os.environ.get("KFOPS_BENCH_DIR")
    folder = pathlib.Path(named) if named else pathlib.Path(tempfile.mkdtemp(prefix="kfops-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def row(*cells) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def table(*names: str) -> None:
    row(*names)
    row(*("---" for _ in names))


def wait_until(predicate, what: str, patience: float = PATIENCE_S, every: float = 0.005):
    deadline = time.monotonic() + patience
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:.0f} s for {what}")
        time.sleep(every)


def sync_once(folder: pathlib.Path) -> float:
    """Milliseconds of a write of 12 KB that is made durable."""
    fd = os.open(folder / "yardstick", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    began = time.monotonic_ns()
    os.write(fd, b"x" * 12288)
    os.fdatasync(fd)
    took = (time.monotonic_ns() - began) / 1e6
    os.close(fd)
    return took


def pinned(cpu: int):
    """For preexec_fn: the daemon on one core, the load on the other."""
    return lambda: os.sched_setaffinity(0, {cpu % os.cpu_count()})


class Repository:
    """A bare repository with one pull request whose pipeline is compiled already."""

    def __init__(self, folder: pathlib.Path, more: dict | None = None):
        self.work, self.bare = folder / "work", folder / "iris.git"
        self.git("init", "-q", "-b", "main", str(self.work), at=folder)
        files = {"pipeline.yaml": self.pipeline(), "config_files/config.yaml": SETTINGS, "README.md": "Iris\n"}
        for name, text in {**files, **(more or {})}.items():
            (self.work / name).parent.mkdir(exist_ok=True)
            (self.work / name).write_text(text)
        self.git("init", "-q", "--bare", str(self.bare), at=folder)
        self.commits = 0
        self.commit()

    @staticmethod
    def pipeline() -> str:
        return (ROOT / "tests/scenarios/repo/my_pipeline/pipeline.yaml").read_text()

    def git(self, *args: str, at=None) -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
               **{f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER")
                  for what in ("NAME", "EMAIL")}}
        done = subprocess.run(["git", *args], cwd=at or self.work, env=env, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def commit(self) -> str:
        """A new head of the pull request."""
        self.commits += 1
        (self.work / "notes.md").write_text(f"Version {self.commits}.\n")
        self.git("add", ".")
        self.git("commit", "-q", "-m", f"Version {self.commits}")
        self.git("push", "-q", "-f", str(self.bare), "HEAD:refs/pull/1/head")
        return self.git("rev-parse", "HEAD")


class Stub:
    """The far sides, see stub.py."""

    def __init__(self, folder: pathlib.Path, repo: pathlib.Path | None = None, tls: bool = False):
        port_file = folder / "stub-port"
        port_file.unlink(missing_ok=True)
        args = [sys.executable, str(HERE / "stub.py"), "--port-file", str(port_file)]
        if repo:
            args += ["--repo", str(repo)]
        self.scheme = "http"
        if tls:
            self.scheme = "https"
            args += ["--cert", str(make_certificate(folder)), "--key", str(folder / "tls.key")]
        self.process = subprocess.Popen(args, preexec_fn=pinned(1))
        wait_until(port_file.exists, "the stub to start")
        self.port = int(port_file.read_text())
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"

    def _ask(self, path: str, body: bytes | None = None):
        import ssl
        trust = ssl._create_unverified_context() if self.scheme == "https" else None
        with urllib.request.urlopen(f"{self.url}/_bench/{path}", body, timeout=30, context=trust) as answer:
            return json.loads(answer.read())

    def records(self, after: int = 0) -> list[dict]:
        return self._ask(f"records?after={after}")

    def set(self, **wish) -> None:
        self._ask("set", json.dumps(wish).encode())

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def make_certificate(folder: pathlib.Path) -> pathlib.Path:
    """A certificate for loopback; in the folder certs beside it the system's authorities plus this one."""
    cert, certs = folder / "tls.pem", folder / "certs"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-keyout", str(folder / "tls.key"), "-out", str(cert), "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    shutil.copytree(SYSTEM_CERTS, certs, symlinks=True)
    with open(certs / "ca-certificates.crt", "a") as bundle:
        bundle.write(cert.read_text())
    digest = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", str(cert)], check=True,
                            capture_output=True, text=True).stdout.strip()
    shutil.copy(cert, certs / f"{digest}.0")
    return cert


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """kfopsd with its default settings but for addresses; `changes` are merged in by section."""

    def __init__(self, folder: pathlib.Path, far: str, certs: pathlib.Path | None = None,
                 changes: dict | None = None, build: str | None = None):
        self.folder = folder
        self.program = (pathlib.Path(build) if build else build_dir()) / "kfopsd"
        self.port = free_port()
        self.secret = "bench-secret-of-32-bytes-or-more"
        self.state_dir = folder / "state"
        # The system's certificates are replaced as its user would replace them, not by a setting.
        self.wrapper = ["unshare", "-rm", "sh", "-c", f'mount --bind "$0" {SYSTEM_CERTS} && exec "$@"',
                        str(certs)] if certs else []
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        self.write("secret", self.secret.encode())
        if not (folder / "app.pem").exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            self.write("app.pem", key.private_bytes(serialization.Encoding.PEM,
                                                    serialization.PrivateFormat.TraditionalOpenSSL,
                                                    serialization.NoEncryption()))
        config = {
            "server": {"listen": f"127.0.0.1:{self.port}", "webhook_secret_file": str(folder / "secret")},
            "state_dir": str(self.state_dir),
            "github": {"api_url": f"{far}/api/v3", "web_url": far, "app_id": str(APP_ID),
                       "private_key_file": str(folder / "app.pem")},
            "compile": {"mode": "precompiled"},
            "clusters": [{"name": "main", "kfp_url": far}],
            "repositories": [{"match": "lab/*", "cluster": "main",
                              "namespaces": ["team-a", *(f"team-{n}" for n in range(NAMESPACES))]}],
        }
        for section, values in (changes or {}).items():
            config[section] = {**config.get(section, {}), **values} if isinstance(values, dict) else values
        self.write("kfops.yaml", json.dumps(config).encode())
        self.log_file = folder / "kfopsd.log"
        self.process = None

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)

    def start(self) -> float:
        """Milliseconds until it accepts a connection."""
        with open(self.log_file, "ab") as log:
            began = time.monotonic()
            self.process = subprocess.Popen([*self.wrapper, str(self.program), "--config",
                                             str(self.folder / "kfops.yaml")], stdout=log, stderr=log)
            while True:
                try:
                    socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
                    break
                except ConnectionRefusedError:
                    pass
                if self.process.poll() is not None:
                    raise RuntimeError(f"kfopsd ended:\n{self.log_file.read_text()[-2000:]}")
            took = (time.monotonic() - began) * 1e3
        os.sched_setaffinity(self.process.pid, {0})
        return took

    def version(self) -> float:
        """Milliseconds of `kfopsd --version`: a process that loads the libraries and ends."""
        began = time.monotonic()
        subprocess.run([str(self.program), "--version"], check=True, stdout=subprocess.DEVNULL)
        return (time.monotonic() - began) * 1e3

    def wait_greeted(self) -> None:
        """Until the far sides have been asked who we are and what they can do."""
        log = self.log_file
        wait_until(lambda: "event=identified" in log.read_text() and "event=kubeflow " in log.read_text(),
                   "the greeting")

    def stop(self, kill: bool = False) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self.process.wait(30)

    def memory(self) -> dict[str, int]:
        """VmRSS, RssAnon, RssFile and so on, in KiB."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("Vm", "Rss"))}

    def cpu_ms(self) -> float:
        """Processor time of its threads (of those that still are), without what it started."""
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6

    def written(self) -> int:
        """Bytes that it has caused to be written to the disk."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/io").read_text().splitlines():
            if line.startswith("write_bytes"):
                return int(line.split()[1])
        return 0

    def metric(self, line_start: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(line_start))


class Hook:
    """A kept-alive connection over which GitHub's webhooks come."""

    def __init__(self, daemon: Daemon):
        self.daemon = daemon
        self.socket = socket.create_connection(("127.0.0.1", daemon.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.comment_id = int(time.time() * 1000)

    def comment(self, body: str, pr: int = 1) -> tuple[int, int]:
        """Posts a comment; when its last byte was sent and when the answer was there, nanoseconds."""
        self.comment_id += 1
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        person = {"login": "ann", "id": 1001, "type": "User"}
        event = {
            "action": "created",
            "issue": {"number": pr, "state": "open", "user": person, "pull_request": {"url": "x"},
                      "body": "Five neighbours instead of three. " * 280},  # as long as real ones are
            "comment": {"id": self.comment_id, "user": person, "created_at": now, "updated_at": now,
                        "body": body, "performed_via_github_app": None},
            **self.about(person),
        }
        return self.send("issue_comment", event)

    def opened(self, head: str, pr: int = 1) -> tuple[int, int]:
        """A pull request is opened with this head."""
        person = {"login": "ann", "id": 1001, "type": "User"}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self.send("pull_request", {
            "action": "opened", "number": pr,
            "pull_request": {"number": pr, "state": "open", "merged": False, "created_at": now, "updated_at": now,
                             "user": person, "head": {"sha": head, "ref": "topic", "repo": {"id": REPO_ID}},
                             "base": {"ref": "main", "repo": {"id": REPO_ID}}},
            **self.about(person)})

    @staticmethod
    def about(person: dict) -> dict:
        return {"repository": {"id": REPO_ID, "full_name": "lab/iris", "default_branch": "main",
                               "owner": {"login": "lab"}},
                "sender": person, "installation": {"id": INSTALLATION}}

    def send(self, name: str, event: dict) -> tuple[int, int]:
        body = json.dumps(event).encode()
        signature = hmac.new(self.daemon.secret.encode(), body, hashlib.sha256).hexdigest()
        head = (f"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"X-GitHub-Event: {name}\r\nX-GitHub-Delivery: {uuid.uuid4()}\r\n"
                f"X-Hub-Signature-256: sha256={signature}\r\nUser-Agent: GitHub-Hookshot/bench\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        sent = time.monotonic_ns()
        self.socket.sendall(head + body)
        answer = self.socket.recv(4096)
        answered = time.monotonic_ns()
        if not answer.startswith(b"HTTP/1.1 202"):
            raise RuntimeError(f"the webhook was answered {answer[:200]!r}")
        return sent, answered


def fill(path: pathlib.Path, parked: int, done: int = 0, namespaces: int = 5) -> None:
    """A database made by the store's own functions, see bench_fill.c."""
    program = build_dir() / "tests" / "bench_fill"
    if not program.exists():
        sys.exit(f"no {program}: ninja -C {build_dir()} bench_fill")
    subprocess.run([str(program), str(path), str(parked), str(done), str(namespaces)], check=True)


def remove(folder: pathlib.Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
