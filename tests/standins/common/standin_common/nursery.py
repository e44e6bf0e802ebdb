"""A process that has loaded the stand-ins and forks one when it is asked: a start takes milliseconds, where reading
Python's modules and scikit-learn's takes a second.

    python -m standin_common.nursery SOCKET      ends with its standard input

A request is one line of JSON with the three standard streams of the child beside it; the child has a session, an
environment and a folder of its own, and nothing of the nursery's but loaded modules.
"""

import importlib
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time

VARIABLE = "KFOPS_NURSERY"
LOADED = ("github_standin.__main__", "kubeflow_standin.__main__", "cluster_standin.__main__",
          "cluster_standin.model_host", "joblib", "numpy", "sklearn.neighbors")
REQUEST_MAX = 1 << 16
START_S = 30.0


class Child:
    """As subprocess.Popen, as far as the tests need it."""

    def __init__(self, path, module, argv, env, cwd, streams):
        self._path = path
        self.returncode = None
        request = {"module": module, "argv": [str(word) for word in argv], "env": env, "cwd": str(cwd)}
        self.pid = _ask(path, request, streams)["pid"]
        try:
            self._handle = os.pidfd_open(self.pid)
        except ProcessLookupError:  # it has ended already, and its end is known
            self._handle = None

    def poll(self):
        return self._ended(0)

    def send_signal(self, number):
        if self.poll() is None:
            try:
                signal.pidfd_send_signal(self._handle, number)
            except ProcessLookupError:
                pass

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout=None):
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return code

    def _ended(self, timeout):
        if self.returncode is None:
            if self._handle is not None:
                if not select.select([self._handle], [], [], timeout)[0]:
                    return None
                os.close(self._handle)
                self._handle = None
            self.returncode = _ask(self._path, {"ended": self.pid})["code"]
        return self.returncode


def start(path) -> subprocess.Popen:
    """A nursery that listens at `path` and ends with this process."""
    standins = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    folders = [os.path.join(standins, name) for name in ("github", "kubeflow", "cluster", "common")]
    process = subprocess.Popen(
        [sys.executable, "-m", "standin_common.nursery", str(path)], stdin=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONDONTWRITEBYTECODE": "1",
             "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    deadline = time.monotonic() + START_S
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError("the nursery did not start")
        time.sleep(0.01)
    return process


def _ask(path, request, streams=()):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(START_S)
        channel.connect(path)
        text = json.dumps(request).encode()
        socket.send_fds(channel, [len(text).to_bytes(4, "big")], [stream.fileno() for stream in streams])
        channel.sendall(text)
        return json.loads(channel.makefile().read())


def _become(request, streams):
    """In the child: what asked for decides everything."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 256)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGPIPE else signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    random.seed()
    sys.argv = [request["module"], *request["argv"]]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", buffering=1), open(2, "w", buffering=1)
    return importlib.import_module(request["module"]).main()


def _fork(request, streams) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = _become(request, streams) or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # as the interpreter does it
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _reap(ended) -> None:
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            ended[pid] = os.waitstatus_to_exitcode(status)
    except ChildProcessError:
        pass


def _serve(channel, ended) -> None:
    head, streams, _, _ = socket.recv_fds(channel, 4, 3)
    size = min(int.from_bytes(head, "big"), REQUEST_MAX)
    text = b""
    while len(text) < size:
        part = channel.recv(size - len(text))
        if not part:
            return
        text += part
    request = json.loads(text)
    if "ended" in request:
        _reap(ended)
        answer = {"code": ended.get(request["ended"])}
    else:
        answer = {"pid": _fork(request, streams)}
    for stream in streams:
        os.close(stream)
    channel.sendall(json.dumps(answer).encode())


def main(argv=None) -> int:
    path = (argv or sys.argv[1:])[0]
    for name in LOADED:
        importlib.import_module(name)
    ended: dict[int, int] = {}
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path + ".part")
        door.listen(16)
        os.rename(path + ".part", path)
        while True:
            ready, _, _ = select.select([door, 0], [], [])
            if 0 in ready:
                return 0
            channel, _ = door.accept()
            with channel:
                _serve(channel, ended)


if __name__ == "__main__":
    sys.exit(main())
