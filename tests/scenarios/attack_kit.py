"""What attackers use: a door at which anybody may knock, with or without the secret, and a host that nobody should talk
to."""

import copy
import hashlib
import hmac
import http.client
import http.server
import itertools
import json
import re
import select
import socket
import uuid


ONE_MIB = 1 << 20


class Door:
    """Requests as anybody can send them, with or without the secret."""

    def __init__(self, scene):
        self.scene = scene
        self.port = scene.bot.port
        self.payload = scene.comment_payload(scene.ann, "/status")
        self.numbers = itertools.count(self.payload["comment"]["id"] + 1000)

    def sign(self, body: bytes, secret: str | None = None) -> str:
        key = (secret or self.scene.webhook_secret).encode()
        return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()

    def headers(self, body: bytes, event: str = "issue_comment", guid: str | None = None, **more) -> dict:
        made = {"Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/x", "X-GitHub-Event": event,
                "X-GitHub-Delivery": guid or str(uuid.uuid4()), "X-Hub-Signature-256": self.sign(body)}
        made.update({name.replace("_", "-"): value for name, value in more.items()})
        return {name: value for name, value in made.items() if value is not None}

    def post(self, body: bytes, headers: dict | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/webhook", body, headers if headers is not None else self.headers(body))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def raw(self, data: bytes, timeout: float = 20) -> tuple[int, bool]:
        """Sends until it is answered or cut off; the status, and whether the connection was closed."""
        seen, left, closed = b"", memoryview(data), False
        with socket.create_connection(("127.0.0.1", self.port), timeout) as sock:
            sock.setblocking(False)
            while not closed:
                readable, writable, _ = select.select([sock], [sock] if left else [], [], timeout)
                if not readable and not writable:
                    break
                try:
                    if readable:
                        part = sock.recv(65536)
                        seen, closed = seen + part, not part
                    if writable:
                        left = left[sock.send(left):]
                except (ConnectionResetError, BrokenPipeError):
                    left = memoryview(b"")
                    closed = bool(readable)
        found = re.match(rb"HTTP/1\.1 (\d+)", seen)
        return int(found.group(1)) if found else 0, closed

    def comment(self, body: str, **changes) -> dict:
        """A payload with another comment: its own id, so it is not a double."""
        made = copy.deepcopy(self.payload)
        made["comment"].update(body=body, id=next(self.numbers), **changes)
        return made

    def head(self, body: bytes, lines: str = "", **headers) -> bytes:
        """A whole signed head, ready for oddities: `lines` are further headers as they stand."""
        made = "".join(f"{name}: {value}\r\n" for name, value in self.headers(body, **headers).items())
        return f"POST /webhook HTTP/1.1\r\nHost: x\r\n{made}{lines}".encode()

    def send(self, payload, **headers) -> int:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.post(body, self.headers(body, **headers))


def body_of(door) -> bytes:
    return json.dumps(door.payload).encode()


def refused(door) -> float:
    return door.scene.bot.metrics().get('kfops_deliveries_total{outcome="refused"}', 0)


def memory_kib(door) -> int:
    text = open(f"/proc/{door.scene.bot.process.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


class Trap(http.server.BaseHTTPRequestHandler):
    """A host that nobody should talk to."""
    caught: list = []

    def do_GET(self):
        self.caught.append(dict(self.headers))
        self.send_response(200)
        self.end_headers()

    do_POST = do_PATCH = do_GET

    def log_message(self, *args):
        pass


def without_code(text: str) -> str:
    """What GitHub would look at for mentions and links."""
    text = re.sub(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1\s*$", "", text, flags=re.S | re.M)
    return re.sub(r"\\.", "", re.sub(r"(?<!\\)(`+).+?(?<!\\)\1", "", text))
