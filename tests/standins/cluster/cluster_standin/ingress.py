"""Requests to the services: one port for the ingress and for all cluster-local names, told apart by
the Host header; traffic split by the route's percents, drawn from a seeded generator; the v1 and v2
inference protocols with the error texts of KServe's servers.
"""

import json
import re

from standin_common.http import Answer

LOCAL = ".svc.cluster.local"
DATATYPES = {"int64": "INT64", "int32": "INT32", "float64": "FP64", "float32": "FP32", "bool": "BOOL"}
V1 = re.compile(r"^/v1/models/([^/:]+)(:predict)?$")
V2 = re.compile(r"^/v2/models/([^/]+)(?:/versions/[^/]+)?(/infer|/ready)?$")
PATH_FORM = re.compile(r"^/serving/([^/]+)/([^/]+)(/.*)$")


def failed(status, text):
    return Answer.json({"error": text}, status)


class IngressApp:
    def __init__(self, world):
        self.world = world
        self.faults = world.faults.of("ingress")
        self.rules = []  # {"host": regex, "status", "times"}: answers instead of a service

    def answered(self, request, answer):
        self.world.record.request(port="ingress", method=request.method, target=request.target,
                                  host=request.headers.get("Host", ""), status=answer.status,
                                  revision=request.facts.get("revision", ""))

    def handle(self, request):
        """One request, answered by the revision that its turn falls on."""
        host, _, port = request.headers.get("Host", "").lower().partition(":")
        path = request.path
        match = PATH_FORM.match(path)
        with self.world.lock:
            if match:
                host, path = self.world.external_host(*match.groups()[:2]), match.group(3)
            ruled = self._ruled(host)
            if ruled:
                return ruled
            targets, service = self.world.find_host(host)
            if host.endswith(LOCAL) and not self.world.listens(service, port or "80"):
                raise ConnectionResetError("nobody listens there")
            if targets is None:
                return Answer(404, b"", {"Server": "istio-envoy"})
            if self.world.still_converging(service):
                return Answer.text("no healthy upstream", 503)
            work = self.world.pick(targets)
        if work is not None and work.is_revision and "-private." not in host:
            self.world.activate(work)
        with self.world.lock:
            if work is None or work.state != "ready" or work.pod is None:
                return Answer.text("upstream connect error or disconnect/reset before headers. reset "
                                   "reason: connection failure", 503)
            request.facts["revision"] = work.name
            broken = work.broken
            if broken and "times" in broken:
                broken["times"] -= 1
                work.broken = broken if broken["times"] > 0 else None
        return self._serve(request, path, work, broken)

    def _ruled(self, host):
        for rule in self.rules:
            if rule["times"] != 0 and re.search(rule["host"], host):
                if rule["times"] > 0:
                    rule["times"] -= 1
                text = {403: "RBAC: access denied", 503: "no healthy upstream"}
                return Answer.text(text.get(rule["status"], ""), rule["status"])
        return None

    def _serve(self, request, path, work, broken):
        name = work.service_name
        if path == "/":
            return Answer.json({"status": "alive"})
        if path.startswith("/v2"):
            return self._v2(request, path, work, name, broken)
        if path == "/v1/models" and request.method == "GET":
            return Answer.json({"models": [name]})
        match = V1.match(path)
        if not match:
            self.world.record.violation("inference path", path, request)
            return Answer.json({"detail": "Not Found"}, 404)
        if match.group(1) != name:
            return failed(404, f"Model with name {match.group(1)} does not exist.")
        if not match.group(2):
            return Answer.json({"name": name, "ready": True})
        if request.method != "POST":
            return Answer.json({"detail": "Method Not Allowed"}, 405)
        body, wrong = self._body(request)
        if wrong:
            return wrong
        if "instances" in body and not isinstance(body["instances"], list):
            return failed(400, 'Expected "instances" to be a list')
        rows = body.get("inputs", body.get("instances"))
        result = self._predict(work, rows, broken)
        return result if isinstance(result, Answer) else Answer.json({"predictions": result["values"]})

    def _body(self, request):
        try:
            body = json.loads(request.body)
        except ValueError as error:
            self.world.record.violation("inference body", str(error), request)
            return None, failed(400, f"Unrecognized request format: {error}")
        if not isinstance(body, dict):
            return None, failed(400, "Expected a JSON object")
        return body, None

    def _predict(self, work, rows, broken):
        """The model host's answer, or the Answer of a failure."""
        kind = (broken or {}).get("kind")
        if kind == "error":
            return failed(500, broken.get("message", "ValueError : the model is broken"))
        if kind == "garbage":
            return Answer.text("<html>not a model</html>", 200, "text/html")
        if kind == "empty":
            return {"values": [], "dtype": "int64"}
        if kind == "nan":
            return Answer.text('{"predictions":[NaN]}', 200, "application/json")
        if kind == "constant":
            count = len(rows) if isinstance(rows, list) else 1
            return {"values": [broken.get("value", 0)] * count, "dtype": "int64"}
        if kind == "slow":
            self.world.sleep(float(broken.get("seconds", 1)))
        result = self.world.models.predict(work.key, rows)
        return failed(500, result["error"]) if "error" in result else result

    def _v2(self, request, path, work, name, broken):
        fixed = {"/v2": {"name": "kserve", "version": self.world.kserve_version,
                         "extensions": ["model_repository_extension"]},
                 "/v2/health/live": {"live": True}, "/v2/health/ready": {"ready": True},
                 "/v2/models": {"models": [name]}}
        if path in fixed:
            return Answer.json(fixed[path])
        match = V2.match(path)
        if not match:
            self.world.record.violation("inference path", path, request)
            return Answer.json({"detail": "Not Found"}, 404)
        if match.group(1) != name:
            return failed(404, f"Model with name {match.group(1)} does not exist.")
        if match.group(2) == "/ready":
            return Answer.json({"name": name, "ready": True})
        if not match.group(2):
            return Answer.json({"name": name, "versions": None, "platform": "", "inputs": [],
                                "outputs": []})
        if request.method != "POST":
            return Answer.json({"detail": "Method Not Allowed"}, 405)
        return self._infer(request, work, name, broken)

    def _infer(self, request, work, name, broken):
        body, wrong = self._body(request)
        if wrong:
            return wrong
        try:
            rows = _rows(body["inputs"][0])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            return failed(400, f"Invalid input: {error}")
        result = self._predict(work, rows, broken)
        if isinstance(result, Answer):
            return result
        values = result["values"]
        shape, node = [], values
        while isinstance(node, list):
            shape.append(len(node))
            node = node[0] if node else None
        return Answer.json({
            "model_name": name, "model_version": None, "id": body.get("id") or self.world.new_uid(),
            "parameters": None, "outputs": [{
                "name": "output-0", "shape": shape, "parameters": None, "data": _flat(values),
                "datatype": DATATYPES.get(result["dtype"], "BYTES")}]})


def _flat(values):
    if not isinstance(values, list):
        return [values]
    return [leaf for item in values for leaf in _flat(item)]


def _rows(tensor):
    """The input as nested lists of its shape."""
    data = _flat(tensor["data"])
    shape = [int(size) for size in tensor["shape"]]
    total = 1
    for size in shape:
        total *= size
    if total != len(data) or not shape or total == 0:
        raise ValueError(f"shape {shape} does not fit {len(data)} values")
    for size in reversed(shape[1:]):
        data = [data[i:i + size] for i in range(0, len(data), size)]
    return data
