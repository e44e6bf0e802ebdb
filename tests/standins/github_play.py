"""What the tests of the GitHub stand-in share. Every test gets a process of its own with one repository, one pull request
and an installed App; at the end its own answers must have matched GitHub's description (when that is at hand)."""

import gzip
import http.client
import json
import pathlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "common"), str(HERE / "github")]

from github_standin import __main__ as main  # noqa: E402
from github_standin import app  # noqa: E402
from standin_common.http import StandinServer  # noqa: E402
from standin_common.process import StandinClient  # noqa: E402

SECRET = b"a secret for webhooks"
SHARED = app.find_shared()
needs_shared = pytest.mark.skipif(SHARED is None, reason="GitHub's description is not at hand")
R = "/api/v3/repos/ann/iris"
MINIMIZE = ("mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) "
            "{ minimizedComment { isMinimized } } }")


class Answer:
    def __init__(self, status, headers, raw):
        self.status = status
        self.headers = headers
        self.raw = gzip.decompress(raw) if headers.get("Content-Encoding") == "gzip" else raw

    @property
    def json(self):
        return json.loads(self.raw)


class Receiver:
    """Hears webhooks."""

    def __init__(self):
        self.heard = []
        self.status = 202
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.changed:
                    outer.heard.append((dict(self.headers), body))
                    outer.changed.notify_all()
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/webhook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def wait(self, event, action=None, count=1, also=lambda payload: True):
        """The first `count` deliveries of that kind."""
        def found():
            kept = []
            for headers, body in self.heard:
                if headers["X-GitHub-Event"] != event or not body.startswith(b"{"):
                    continue
                payload = json.loads(body)
                if action in (None, payload.get("action")) and also(payload):
                    kept.append((headers, payload, body))
            return kept
        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, 10), \
                f"{event}.{action}: {len(found())} of {count}"
            return found()[:count]


class StandinThread(StandinClient):
    """The stand-in inside this process: starts in milliseconds."""

    def __init__(self, state, *args):
        options = main.parse(["--state", str(state), *args])
        self.standin = app.Standin(options)
        self.server = StandinServer(self.standin)
        self.standin.open(self.server.port)
        self.server.start()
        super().__init__(self.server.port)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Play:
    """The stand-in with what a test says to it."""

    def __init__(self, standin, receiver, key):
        self.standin = standin
        self.receiver = receiver
        self.key = key
        self.token = None

    def call(self, method, path, body=None, token=None, headers=None, raw=None, drop=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.standin.port, timeout=10)
        sent = {"User-Agent": "kfops-test", "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28"}
        token = self.token if token is None else token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        for name in drop:
            sent.pop(name)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def jwt(self, key=None, algorithm="RS256", **claims):
        now = int(time.time())
        claims = {"iat": now - 60, "exp": now + 540, "iss": "4242", **claims}
        return jwt.encode(claims, key or self.key, algorithm=algorithm)

    @property
    def installation(self):
        return self.standin.get("installations")[0]["id"]

    def mint(self, headers=None, **body):
        return self.call("POST", f"/api/v3/app/installations/{self.installation}/access_tokens", body,
                         self.jwt(), headers)

    def comment(self, body, user="ben"):
        return self.standin.post("repos/ann/iris/pulls/1/comments", user=user, body=body)

    def violations(self):
        """Kinds of violations so far, which are forgotten."""
        return [item["kind"] for item in self.standin.take_violations()]


@pytest.fixture(scope="session")
def key_pem():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


@pytest.fixture
def play(tmp_path, key_pem):
    (tmp_path / "key.pem").write_bytes(key_pem)
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    receiver = Receiver()
    standin = StandinThread(tmp_path / "state", "--webhook-url", receiver.url,
                            "--webhook-secret-file", str(tmp_path / "secret"), "--app-id", "4242",
                            "--app-key-file", str(tmp_path / "key.pem"), "--token", "ghp_good",
                            "--check-answers")
    try:
        standin.post("repos", owner="ann", name="iris", collaborators={"ben": "write", "kim": "read"},
                     files={"README.md": "# Iris\n", "src/train.py": "print('train')\n"})
        standin.post("repos/ann/iris/pulls", title="Deeper trees", branch="deeper", user="ben",
                     files={"src/train.py": "print('deeper')\n"})
        made = Play(standin, receiver, key_pem.decode())
        made.token = made.mint().json["token"]
        yield made
        gaps = standin.get("violations")
        assert gaps["gaps"] == []
        assert gaps["violations"] == []
    finally:
        standin.stop()
        receiver.server.shutdown()
