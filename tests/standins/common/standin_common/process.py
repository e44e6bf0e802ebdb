"""Starting a stand-in as a process of its own, and talking to its control interface: for tests."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from standin_common import nursery

STANDINS = pathlib.Path(__file__).resolve().parents[2]
START_S = 20.0


class Refused(Exception):
    """The control interface answered with an error."""


class StandinClient:
    """What can be said to a stand-in's control interface."""

    def __init__(self, port: int):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path: str, **query):
        text = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self._call("GET", path + text, None)

    def post(self, path: str, **body):
        return self._call("POST", path, body)

    def send(self, method: str, path: str, body=None):
        return self._call(method, path, body)

    def _call(self, method, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_standin/{path}", data, method=method,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                text = answer.read()
                kind = answer.headers.get("Content-Type", "")
        except urllib.error.HTTPError as error:
            raise Refused(f"{method} {path}: {error.code} {error.read().decode()}") from None
        return json.loads(text) if "json" in kind else text.decode()

    # what all stand-ins can do

    def fault(self, kind: str, method: str | None = None, path: str | None = None, times: int = 1,
              skip: int = 0, **parameters) -> None:
        """Scripts a fault; `path` is a regular expression, `has` a text of the request's body; on="webhook", event=,
        action= for webhooks."""
        match = {key: parameters.pop(key) for key in ("on", "event", "action") if key in parameters}
        if "has" in parameters:
            match["body"] = parameters.pop("has")
        if method:
            match["method"] = method
        if path:
            match["path_regex"] = path
        self.post("faults", kind=kind, match=match, times=times, skip=skip, **parameters)

    def unmet_faults(self) -> list[dict]:
        """Faults that are scripted and that nothing has met so far: a test that ends with one proves less than it says."""
        return [fault for fault in self.get("faults")["pending"] if not fault["hits"]]

    def advance(self, seconds: float) -> None:
        self.post("time", advance=seconds)

    def violations(self) -> list[dict]:
        return self.get("violations")["violations"]

    def take_violations(self) -> list[dict]:
        """All violations so far, which are forgotten."""
        return self.send("DELETE", "violations")["violations"]

    def mutations(self, after: int = 0, timeout: float = 0.0) -> list[dict]:
        return self.get("mutations", after=after, timeout=timeout)

    def requests(self) -> list[dict]:
        return self.get("requests")


class StandinProcess(StandinClient):
    """One running stand-in. `name` is "github", "kubeflow" or "cluster"; `state` a folder of its own. Where `nursery`
    is the socket of one, it is forked there."""

    nursery: str | None = None

    def __init__(self, name: str, state, *args: str, env: dict | None = None):
        self.name = name
        self.state = pathlib.Path(state)
        self.state.mkdir(parents=True, exist_ok=True)
        port_file = self.state / "port"
        port_file.unlink(missing_ok=True)
        self.log = self.state / f"{name}.log"
        words = ["--port", "0", "--port-file", str(port_file), "--state", str(self.state), *args]
        paths = [str(STANDINS / name), str(STANDINS / "common")]
        environment = {**os.environ, **(env or {}), "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        with open(self.log, "ab") as log, open(os.devnull, "rb") as nothing:
            if self.nursery:
                environment[nursery.VARIABLE] = self.nursery
                self.process = nursery.Child(self.nursery, f"{name}_standin.__main__", words, environment, os.getcwd(),
                                             (nothing, log, log))
            else:
                self.process = subprocess.Popen([sys.executable, "-m", f"{name}_standin", *words], stdin=nothing,
                                                stdout=log, stderr=log, start_new_session=True, env=environment)
        super().__init__(self._wait_for(port_file))

    def _wait_for(self, port_file) -> int:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if port_file.exists():
                return int(port_file.read_text(encoding="ascii"))
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"{self.name} stand-in did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
