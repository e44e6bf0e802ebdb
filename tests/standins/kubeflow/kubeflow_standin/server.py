"""HTTP: one request in, its route, its faults, one answer out."""

import email.parser
import email.policy
import http.server
import json
import re
import socket
import struct
import sys
import time
import urllib.parse

from . import mlmd
from .errors import ApiError, NOT_FOUND, UNIMPLEMENTED, UploadError
from .page import PAGE

_ID = r"([^/:]+)"


class Request:
    """What a handler gets to see."""

    def __init__(self, method, target, headers, body):
        self.method = method
        split = urllib.parse.urlsplit(target)
        self.path = split.path
        self.query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        self.headers = headers
        self.body = body
        self.user = None
        self.fault = ""
        self.answer_headers = {}

    def form_file(self, name):
        """(file name, bytes) of a part of a multipart form, or None."""
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return None
        head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode("latin-1", "replace")
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        for part in message.iter_parts():
            if part.get_param("name", header="content-disposition") == name:
                return part.get_filename() or "", part.get_payload(decode=True) or b""
        return None


def routes(api, v1):
    """(method, pattern, handler) of everything under /apis/ for this server's version."""
    v1_routes = [("GET", "/apis/v1beta1/healthz", v1.healthz),
                 ("GET", f"/apis/v1beta1/runs/{_ID}", v1.runs_get),
                 ("GET", "/apis/v1beta1/runs", v1.runs_list)]
    if api.version < (2, 0):
        return v1_routes
    base = "/apis/v2beta1"
    run = f"{base}/runs/{_ID}"
    experiment = f"{base}/experiments/{_ID}"
    return v1_routes + [
        ("GET", f"{base}/healthz", api.healthz),
        ("POST", f"{base}/pipelines/upload_version", api.upload_version),
        ("POST", f"{base}/pipelines/upload", api.upload_pipeline),
        ("GET", f"{base}/pipelines", api.pipelines_list),
        ("POST", f"{base}/pipelines", api.pipelines_create),
        ("GET", f"{base}/pipelines/names/([^/]+)", api.pipelines_by_name),
        ("GET", f"{base}/pipelines/{_ID}", api.pipelines_get),
        ("DELETE", f"{base}/pipelines/{_ID}", api.pipelines_delete),
        ("GET", f"{base}/pipelines/{_ID}/versions", api.versions_list),
        ("GET", f"{base}/pipelines/{_ID}/versions/{_ID}", api.versions_get),
        ("DELETE", f"{base}/pipelines/{_ID}/versions/{_ID}", api.versions_delete),
        ("GET", f"{base}/experiments", api.experiments_list),
        ("POST", f"{base}/experiments", api.experiments_create),
        ("GET", experiment, api.experiments_get),
        ("DELETE", experiment, api.experiments_delete),
        ("POST", experiment + ":archive", lambda r, k: api.experiments_verb(r, k, "archive")),
        ("POST", experiment + ":unarchive", lambda r, k: api.experiments_verb(r, k, "unarchive")),
        ("GET", f"{base}/runs", api.runs_list),
        ("POST", f"{base}/runs", api.runs_create),
        ("GET", run, api.runs_get),
        ("DELETE", run, api.runs_delete),
        ("POST", run + ":terminate", api.runs_terminate),
        ("POST", run + ":retry", api.runs_retry),
        ("POST", run + ":archive", lambda r, k: api.runs_archive(r, k, True)),
        ("POST", run + ":unarchive", lambda r, k: api.runs_archive(r, k, False)),
    ]


class Dispatcher:
    """Request -> (status, content type, bytes). Knows nothing of sockets."""

    def __init__(self, api, v1, control, conformance):
        self.api = api
        self.v1 = v1
        self.control = control
        self.conformance = conformance
        self.routes = [(method, re.compile(pattern), handler)
                       for method, pattern, handler in routes(api, v1)]

    def answer(self, request):
        if request.path.startswith(mlmd.PATH):
            with self.api.store.lock:
                status, content, body = self.api.runner.metadata.answer(request)
                if status != 200 or request.answer_headers:
                    self.conformance.violations.append({
                        "method": request.method, "path": request.path, "violation":
                        request.answer_headers.get("grpc-message", "not a gRPC-Web request")})
                return status, content, body
        try:
            value = self._route(request)
        except ApiError as error:
            return error.status, "application/json", _json(error.body(self.api.version))
        except UploadError as error:
            if error.plain:
                return error.status, "text/plain; charset=utf-8", error.message.encode() + b"\n"
            return error.status, "application/json", _json(
                {"error_message": error.message, "error_details": error.message})
        if isinstance(value, bytes):
            return 200, "text/plain", value
        return 200, "application/json", _json(value)

    def _route(self, request):
        match = re.fullmatch(r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", request.path)
        if match and request.method == "GET":
            return self._log(*match.groups())
        if not request.path.endswith("/healthz"):
            try:
                request.user = self.api.auth.user(request.headers)
            except ApiError as error:
                if request.path.endswith(("/upload", "/upload_version")):
                    raise UploadError(400, "Failed to create a pipeline version") from None
                raise error.wrap("Failed to authenticate") from None
        other_method = False
        for method, pattern, handler in self.routes:
            match = pattern.fullmatch(request.path)
            if not match:
                continue
            if method != request.method:
                other_method = True
                continue
            with self.api.store.lock:
                return handler(request, *map(urllib.parse.unquote, match.groups()))
        if other_method:
            raise ApiError(UNIMPLEMENTED, "Method Not Allowed", details=False)
        raise ApiError(NOT_FOUND, "Not Found", details=False)

    def _log(self, run_id, pod):
        """Always starts with 200; an error is written into the text."""
        with self.api.store.lock:
            try:
                return self.v1.log(run_id, urllib.parse.unquote(pod)).encode()
            except ApiError as error:
                return _json({"error_message": error.chain, "error_details": error.chain})


def _json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "kubeflow-standin"
    disable_nagle_algorithm = True
    timeout = 120

    def log_message(self, format, *args):  # noqa: A002 - the base class names it so
        pass

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while True:
                size = int(self.rfile.readline(64).split(b";")[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline(8)
                if size == 0:
                    return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status, kind, body, headers=None, cut=None):
        head = [f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}",
                f"Content-Type: {kind}", f"Content-Length: {len(body)}",
                "Date: " + self.date_time_string()]
        head += [f"{name}: {value}" for name, value in (headers or {}).items()]
        text = "\r\n".join(head).encode() + b"\r\n\r\n"
        self.wfile.write(text + (body if cut is None else body[:cut]))
        if cut is not None:
            self.close_connection = True

    def _reset(self):
        """RST instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        self.wfile = _Nowhere()

    def _standin(self, request):
        control, name = self.server.control, request.path[len("/_standin/"):]
        try:
            with control.store.lock:
                if request.method == "GET":
                    value = control.get(name)
                elif request.method == "DELETE":
                    value = control.delete(name)
                else:
                    value = control.post(name, json.loads(request.body or b"{}"))
                data = _json(value)
            self._send(200, "application/json", data)
        except (KeyError, ValueError, TypeError, re.error) as error:
            self._send(400, "application/json", _json({"error": f"{type(error).__name__}: "
                                                                f"{error}"}))

    def _serve(self):
        request = Request(self.command, self.path, self.headers, self._body())
        if request.path.startswith("/_standin/"):
            self._standin(request)
            return
        if request.path == "/" and request.method == "GET":
            self._send(200, "text/html; charset=utf-8", PAGE)
            return
        server = self.server
        with server.control.store.lock:
            server.conformance.check(request.method, request.path, request.query, request.body,
                                     request.headers.get("Content-Type", ""))
            server.control.requests.append({"method": request.method, "target": self.path})
            del server.control.requests[:-10000]
            fault = server.control.faults.take(request.method, self.path)
        self._respond(request, fault or {"kind": ""})

    def _respond(self, request, fault):
        kind = fault["kind"]
        time.sleep(fault.get("delay_ms", 0) / 1000)
        if kind == "reset_before":
            self._reset()
            return
        if kind == "html_502":
            self._send(502, "text/html", b"<html><head><title>502 Bad Gateway</title></head>"
                       b"<body><center><h1>502 Bad Gateway</h1></center></body></html>")
            return
        if kind == "status":
            self._refuse(fault)
            return
        request.fault = kind
        status, content, body = self.server.dispatcher.answer(request)
        if request.method == "GET":
            body_now = (status, content, body)
            if kind == "stale_read":
                status, content, body = self.server.stale(self.path)
            else:
                self.server.remember(self.path, body_now)
        if kind == "reset_after":
            self._reset()
        elif kind == "lost_answer":
            self._send(fault.get("status", 504), "text/html", b"<html>upstream timed out</html>")
        elif kind == "half_body":
            self._send(status, content, body, cut=len(body) // 2)
        else:
            self._send(status, content, body, request.answer_headers)

    def _refuse(self, fault):
        status = fault.get("status", 503)
        body = fault.get("body")
        if body is None:
            body = {"code": {429: 8, 503: 14, 504: 4, 401: 16, 403: 7, 404: 5, 409: 6}
                    .get(status, 13), "message": "scripted fault", "details": []}
        data = body.encode() if isinstance(body, str) else _json(body)
        self._send(status, "application/json", data, fault.get("headers"))

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _serve


class _Nowhere:
    """A file that swallows what is written after the connection was reset."""

    closed = False

    def write(self, data):
        return len(data)

    def flush(self):
        pass

    def close(self):
        self.closed = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address, dispatcher):
        super().__init__(address, Handler)
        self.dispatcher = dispatcher
        self.control = dispatcher.control
        self.conformance = dispatcher.conformance
        self._seen = {}

    def handle_error(self, request, client_address):
        """Connections that break are part of the play; our own faults are told, so that no test passes over them."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)
            self.conformance.violations.append({"violation": f"internal fault of the stand-in: {error!r}"})

    def remember(self, target, answer):
        if len(self._seen) > 1000:
            self._seen.clear()
        last = self._seen.get(target)
        if last is None or last[1] != answer:
            self._seen[target] = (last[1] if last else None, answer)

    def stale(self, target):
        """The answer before the last change; a thing seen for the first time is not there yet."""
        before = self._seen.get(target, (None, None))
        if before[0] is not None:
            return before[0]
        path = urllib.parse.urlsplit(target).path
        if re.search(r"/(runs|pipelines|experiments|versions)$", path):
            return 200, "application/json", b"{}"
        error = ApiError(NOT_FOUND, "ResourceNotFoundError: not found")
        return 404, "application/json", _json(error.body(self.dispatcher.api.version))
