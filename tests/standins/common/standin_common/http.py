"""An HTTP/1.1 server that can misbehave.

One thread per connection, keep-alive, bodies by length or chunked. The application is an object with

    handle(request) -> Answer        does the work
    faults                           FaultScript, or None
    begin(request), end(request)     optional: called around every request, faults included
    exempt(request) -> bool          optional: requests that never meet a fault (control interface)
    sample(fault) -> Answer          optional: answers for the kind "sample"
    answered(request, answer)        optional: sees every answer, faults included, before it is sent

Kinds of faults, with parameters and defaults:

    status        status=500 body={} headers={}   answered without acting
    sample        name                            a named answer of the application, without acting
    html_502      acted=false                     an HTML page as a proxy would send it
    delay         seconds=1 when="after"          "before": acts late; "after": acts at once, answers late
    reset_before                                  connection reset, nothing done
    reset_after                                   done, then connection reset
    lost_answer                                   done, then connection closed without a byte
    half_body                                     done; half of the body, then closed
    truncated     keep=0.5                        done; a complete HTTP answer whose body is cut
    slow_bytes    interval=0.05 chunk=1           done; the body drips
    stale_read    seconds=2                       acts on old data; the application reads request.fault
"""

import gzip
import json
import os
import random
import select
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULT_KINDS = {"status", "sample", "html_502", "delay", "reset_before", "reset_after", "lost_answer",
               "half_body", "truncated", "slow_bytes", "stale_read"}
BODY_MAX = 64 * 1024 * 1024
FAULT_BODY_MAX = 1 << 16  # of it that a fault may ask about
UNICORN = ("<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head>\n<body>"
           "<p><strong>We had issues producing the response to your request.</strong></p>\n"
           "</body></html>\n")


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)
    stream: object = None  # iterator of bytes, sent chunked instead of body

    @classmethod
    def json(cls, value, status: int = 200, headers: dict | None = None):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status, text, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})

    @classmethod
    def text(cls, text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8"):
        return cls(status, text.encode(), {"Content-Type": content_type})


class Request:
    def __init__(self, method: str, target: str, headers, body: bytes, connection):
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.connection = connection
        self.fault = None
        self.started = time.monotonic()
        self.facts: dict = {}
        self.path, _, self.query_text = target.partition("?")
        self.query = urllib.parse.parse_qs(self.query_text, keep_blank_values=True)

    def segments(self) -> list[str]:
        """Decoded path segments."""
        return [urllib.parse.unquote(part) for part in self.path.strip("/").split("/")]

    def arg(self, name: str, default: str | None = None) -> str | None:
        values = self.query.get(name)
        return values[-1] if values else default

    def json(self):
        return json.loads(self.body) if self.body else {}

    def form(self) -> dict:
        return {key: values[-1] for key, values in
                urllib.parse.parse_qs(self.body.decode(), keep_blank_values=True).items()}

    def is_abandoned(self) -> bool:
        """Has the other side hung up while it waits for us?"""
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and socket.socket.recv(
                self.connection, 1, socket.MSG_PEEK) == b""  # below TLS, which cannot peek
        except OSError:
            return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    server_version = "standin"

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format, *args):  # the record replaces the access log
        pass

    def _serve(self):
        body = self._read_body()
        if body is None:
            return
        request = Request(self.command, self.path, self.headers, body, self.connection)
        app = self.server.app
        begin, end = getattr(app, "begin", None), getattr(app, "end", None)
        if begin:
            begin(request)
        try:
            self._answer(app, request)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True
        finally:
            if end:
                end(request)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _answer(self, app, request):
        exempt = getattr(app, "exempt", None)
        if app.faults is not None and not (exempt and exempt(request)):
            request.fault = app.faults.take(method=request.method, path=request.path,
                                            body=(request.body or b"")[:FAULT_BODY_MAX].decode(errors="replace"))
        fault = request.fault
        kind = fault.kind if fault else None
        if kind == "reset_before":
            self._reset()
            return
        if kind == "delay" and fault.get("when") == "before":
            _linger(request, fault)
        answer = _instead(app, fault) if kind else None
        if answer is None:
            answer = app.handle(request)
        if kind == "html_502":
            answer = Answer.text(UNICORN, 502, "text/html; charset=utf-8")
        elif kind == "delay" and fault.get("when", "after") == "after":
            _linger(request, fault)
        elif kind == "truncated":
            answer.body = answer.body[:int(len(answer.body) * fault.get("keep", 0.5))]
        answered = getattr(app, "answered", None)
        if answered:
            answered(request, answer)
        if kind == "reset_after":
            self._reset()
        elif kind == "lost_answer":
            self._hang_up()
        else:
            self._send(request, answer, kind, fault)

    def _read_body(self):
        """The whole body, or None after an answer was sent."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            parts, total = [], 0
            while True:
                size = int(self.rfile.readline(100).split(b";")[0], 16)
                if size == 0:
                    break
                total += size
                if total > BODY_MAX:
                    return self._refuse(413)
                parts.append(self.rfile.read(size))
                self.rfile.readline(10)
            while self.rfile.readline(65536).strip():
                pass
            return b"".join(parts)
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            return self._refuse(413)
        if length and self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.rfile.read(length) if length else b""

    def handle_expect_100(self):
        return True

    def _refuse(self, status):
        self.close_connection = True
        self.wfile.write(f"HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n"
                         "Connection: close\r\n\r\n".encode())
        return None

    def _send(self, request, answer, kind, fault):
        head = self._head(request, answer)
        if request.method == "HEAD" or answer.status in (204, 304):
            self.wfile.write(head)
            return
        if answer.stream is not None:
            self.wfile.write(head)
            for part in answer.stream:
                if part:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
            return
        body = answer.body
        if kind == "half_body":
            self.wfile.write(head + body[:len(body) // 2])
            self._hang_up()
        elif kind == "slow_bytes":
            self.wfile.write(head)
            step = int(fault.get("chunk", 1))
            for start in range(0, len(body), step):
                self.wfile.write(body[start:start + step])
                time.sleep(fault.get("interval", 0.05))
        else:
            self.wfile.write(head + body)

    def _head(self, request, answer) -> bytes:
        reason = self.responses.get(answer.status, ("",))[0]
        lines = [f"HTTP/1.1 {answer.status} {reason}"]
        headers = dict(answer.headers)
        if answer.stream is not None:
            headers["Transfer-Encoding"] = "chunked"
        elif answer.status != 204:
            headers["Content-Length"] = str(len(answer.body))
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            for item in value if isinstance(value, list) else [value]:
                lines.append(f"{name}: {item}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")

    def _hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _reset(self):
        """A real RST: no lingering, and the descriptor closed before anyone can send a FIN."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


def _instead(app, fault) -> Answer | None:
    """The answer of faults that do not act; None: act."""
    if fault.kind == "status":
        body = fault.get("body", {"message": "Server Error"})
        status = int(fault.get("status", 500))
        if isinstance(body, str):
            answer = Answer.text(body, status)
        else:
            answer = Answer.json(body, status)
        answer.headers.update(fault.get("headers", {}))
        return answer
    if fault.kind == "sample":
        return app.sample(fault)
    if fault.kind == "html_502" and not fault.get("acted"):
        return Answer()
    return None


def _linger(request, fault):
    """Waits the fault's delay, but notices when the other side gives up."""
    deadline = time.monotonic() + float(fault.get("seconds", 1))
    while time.monotonic() < deadline:
        time.sleep(min(0.02, max(0.0, deadline - time.monotonic())))
        if request.is_abandoned():
            request.facts["abandoned"] = True
            leave = request.facts.get("on_abandon")
            if leave:
                leave()
            return


def compress(request, answer: Answer) -> None:
    """gzip when asked for and worth it."""
    if answer.stream is None and len(answer.body) > 400 and \
       "gzip" in request.headers.get("Accept-Encoding", ""):
        answer.body = gzip.compress(answer.body, 1)
        answer.headers["Content-Encoding"] = "gzip"


def chunk(answer: Answer, dice: random.Random) -> None:
    """Turns the body into a chunked one of uneven pieces."""
    body, pieces = answer.body, []
    while body:
        size = dice.randint(1, max(1, len(answer.body) // 2))
        pieces.append(body[:size])
        body = body[size:]
    answer.stream = iter(pieces)


class StandinServer(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(self, app, host: str = "127.0.0.1", port: int = 0):
        super().__init__((host, port), Handler)
        self.app = app

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, request, client_address):
        """Connections that break are part of the play; our own faults are not."""
        import sys
        kind = sys.exc_info()[0]
        if kind and issubclass(kind, (ConnectionError, TimeoutError, OSError)):
            return
        super().handle_error(request, client_address)
        record = getattr(self.app, "record", None)
        if record:
            record.gap(f"internal fault: {sys.exc_info()[1]!r}")

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05},
                                  name="http", daemon=True)
        thread.start()
        return thread


def write_port_file(path: str, port: int) -> None:
    """Whole or not at all: whoever waits for the file finds the number in it."""
    scratch = f"{path}.new"
    with open(scratch, "w", encoding="ascii") as file:
        file.write(f"{port}\n")
    os.replace(scratch, path)
