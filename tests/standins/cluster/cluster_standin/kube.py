"""The API server: who asks, what is asked, the Status that answers a mistake.

Order as in the real one: authentication, authorization (also of paths that do not exist), routing,
admission. What is served: discovery, OpenAPI of KServe's group, access reviews, namespaces, pods and
their logs, events, and InferenceServices (kube_isvc.py).
"""

import base64
import copy
import json
import ssl
import time

import yaml

from standin_common.http import Answer

from . import auth

GROUP = "serving.kserve.io"
BODY_MAX = 3 * 1024 * 1024
READ_KEYS = {"labelSelector", "fieldSelector", "limit", "continue", "resourceVersion",
             "resourceVersionMatch", "watch", "timeoutSeconds", "allowWatchBookmarks", "pretty",
             "sendInitialEvents"}
LOG_KEYS = {"container", "follow", "previous", "sinceSeconds", "sinceTime", "timestamps",
            "tailLines", "limitBytes", "pretty", "insecureSkipTLSVerifyBackend", "stream"}
CORE = {"namespaces": ("Namespace", False), "pods": ("Pod", True), "events": ("Event", True)}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound",
           405: "MethodNotAllowed", 406: "NotAcceptable", 410: "Expired",
           415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests",
           500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


class ApiError(Exception):
    """A Status; `mistake` says that the real server would refuse it because of the caller."""

    def __init__(self, code, message, reason=None, details=None, mistake=False):
        super().__init__(message)
        self.code, self.message, self.details, self.mistake = code, message, details, mistake
        self.reason = REASONS.get(code, "") if reason is None else reason

    def status(self):
        value = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                 "message": self.message}
        if self.reason:
            value["reason"] = self.reason
        if self.details:
            value["details"] = self.details
        return {**value, "code": self.code}


def qualified(group, resource):
    return f"{resource}.{group}" if group else resource


def not_found(group, resource, name):
    details = {"name": name, "kind": resource}
    if group:
        details["group"] = group
    return ApiError(404, f'{qualified(group, resource)} "{name}" not found', details=details)


class Target:
    """What a path under /api or /apis names."""

    def __init__(self, segments):
        core = segments[0] == "api"
        self.group = "" if core else (segments[1] if len(segments) > 1 else "")
        rest = segments[1:] if core else segments[2:]
        self.version = rest[0] if rest else ""
        rest = rest[1:]
        self.namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            self.namespace, rest = rest[1], rest[2:]
        self.resource = rest[0] if rest else ""
        self.name = rest[1] if len(rest) > 1 else ""
        self.subresource = "/".join(rest[2:])
        if self.resource == "namespaces" and self.name:
            self.namespace = self.name

    @property
    def full(self):
        return self.resource + ("/" + self.subresource if self.subresource else "")


def verb_of(method, target, request):
    if method in ("GET", "HEAD"):
        watch = request.arg("watch") in ("true", "1")
        return "watch" if watch else ("get" if target.name else "list")
    return {"POST": "create", "PUT": "update", "PATCH": "patch",
            "DELETE": "delete" if target.name else "deletecollection"}.get(method, method.lower())


class KubeApp:
    """`world` is the application of app.py; the http and the https port share one KubeApp."""

    def __init__(self, world, isvc, control):
        self.world = world
        self.isvc = isvc
        self.control = control
        self.faults = world.faults.of("request")

    # -- what the HTTP server calls

    def exempt(self, request):
        return request.path.startswith("/_standin/")

    def answered(self, request, answer):
        if not self.exempt(request):
            self.world.record.request(port="kube", method=request.method, target=request.target,
                                      status=answer.status)

    def sample(self, fault):
        return self.world.sample(fault)

    def handle(self, request):
        """One request, answered."""
        if self.exempt(request):
            return self.control.handle(request)
        try:
            answer = self._serve(request)
        except ApiError as error:
            if error.mistake:
                self.world.record.violation(f"kube {error.code}", error.message, request)
            answer = Answer.json(error.status(), error.code)
            if error.code == 429:
                answer.headers["Retry-After"] = "1"
        answer.headers["Audit-Id"] = self.world.objects.new_uid()
        answer.headers["Cache-Control"] = "no-cache, private"
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            answer.headers["Content-Type"] = "application/json"
        return answer

    def _serve(self, request):
        user = self._user(request)
        path = request.path
        if len(request.body) > BODY_MAX:
            raise ApiError(413, f"Request entity too large: limit is {BODY_MAX}",
                           "RequestEntityTooLarge", mistake=True)
        accept = request.headers.get("Accept", "*/*")
        if not any(kind in accept for kind in ("application/json", "*/*", "application/*")) and \
                not path.endswith("/log"):
            raise ApiError(406, "only the following media types are accepted: application/json, "
                           "application/yaml, application/vnd.kubernetes.protobuf", mistake=True)
        if not self.world.kserve_installed and path.startswith(f"/apis/{GROUP}"):
            return Answer.text("404 page not found\n", 404)
        if path in ("/livez", "/readyz", "/healthz"):
            return Answer.text("ok")
        if path == "/version" or path.startswith("/openapi") or self._is_discovery(path):
            if request.method != "GET":
                raise ApiError(405, "the server does not allow this method on the requested "
                               "resource", mistake=True)
            return self._discover(path)
        segments = request.segments()
        if segments[0] not in ("api", "apis"):
            raise ApiError(403, f'forbidden: User "{user.name}" cannot {request.method.lower()} path '
                           f'"{path}"', details={}, mistake=True)
        target = Target(segments)
        self._authorize(user, request, target)
        return self._route(user, request, target)

    # -- who

    def _user(self, request):
        header = request.headers.get("Authorization", "")
        if header.startswith("Bearer "):
            user, known = self.world.tokens.find(header[len("Bearer "):])
            if user is not None:
                return user
            raise ApiError(401, "Unauthorized", mistake=not known)
        if isinstance(request.connection, ssl.SSLSocket):
            shown = request.connection.getpeercert()
            if shown:
                parts = [pair for rdn in shown["subject"] for pair in rdn]
                common = next(value for key, value in parts if key == "commonName")
                return auth.User(common, [v for k, v in parts if k == "organizationName"])
        raise ApiError(401, "Unauthorized", mistake=True)

    def _authorize(self, user, request, target):
        verb = verb_of(request.method, target, request)
        if self.world.rbac.allows(user, verb, target.group, target.full, target.namespace,
                                  target.name):
            return
        what = qualified(target.group, target.resource) + (f' "{target.name}"' if target.name else "")
        where = f'in the namespace "{target.namespace}"' if target.namespace else \
            "at the cluster scope"
        details = {"kind": target.resource}
        if target.group:
            details["group"] = target.group
        if target.name:
            details["name"] = target.name
        raise ApiError(403, f'{what} is forbidden: User "{user.name}" cannot {verb} resource '
                       f'"{target.full}" in API group "{target.group}" {where}', details=details,
                       mistake=True)

    # -- what

    def _route(self, user, request, target):
        if target.group == "authorization.k8s.io" and target.resource == "selfsubjectaccessreviews":
            return self._access_review(user, request)
        if target.group == "authentication.k8s.io" and target.resource == "selfsubjectreviews":
            return Answer.json({"kind": "SelfSubjectReview", "apiVersion":
                                "authentication.k8s.io/v1", "metadata": {}, "status": {
                                    "userInfo": {"username": user.name,
                                                 "groups": sorted(user.groups)}}}, 201)
        if (target.group, target.version) == (GROUP, "v1beta1") and \
                target.resource == "inferenceservices":
            with self.world.lock:
                return self.isvc.handle(user, request, target)
        if not target.group and target.version == "v1" and target.resource in CORE:
            return self._core(request, target)
        raise ApiError(404, "the server could not find the requested resource", details={},
                       mistake=True)

    def _access_review(self, user, request):
        try:
            body = json.loads(request.body)
            asked = body["spec"].get("resourceAttributes") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ApiError(400, "the object provided is unrecognized", mistake=True) from None
        resource = asked.get("resource", "")
        if asked.get("subresource"):
            resource += "/" + asked["subresource"]
        allowed = self.world.rbac.allows(user, asked.get("verb", ""), asked.get("group", ""),
                                         resource, asked.get("namespace", ""), asked.get("name", ""))
        return Answer.json({"kind": "SelfSubjectAccessReview",
                            "apiVersion": "authorization.k8s.io/v1",
                            "metadata": {}, "spec": body["spec"], "status": {"allowed": allowed}}, 201)

    def _core(self, request, target):
        kind, namespaced = CORE[target.resource]
        namespace = target.namespace if namespaced else ""
        if request.method not in ("GET", "HEAD"):
            self.world.record.gap(f"{request.method} of {target.full}")
            raise ApiError(405, "the server does not allow this method on the requested resource",
                           mistake=True)
        if target.full == "pods/log":
            self.known_keys(request, LOG_KEYS)
            return self._log(request, target)
        if target.subresource:
            raise ApiError(404, "the server could not find the requested resource", mistake=True)
        self.known_keys(request, READ_KEYS)
        with self.world.lock:
            if target.name:
                obj = self.world.objects.get(kind, namespace, target.name)
                if obj is None:
                    raise not_found("", target.resource, target.name)
                return Answer.json(obj)
            return self.collection(request, kind, "v1", target)

    def _log(self, request, target):
        with self.world.lock:
            pod = self.world.objects.get("Pod", target.namespace, target.name)
            if pod is None:
                raise not_found("", "pods", target.name)
            container = request.arg("container") or pod["spec"]["containers"][0]["name"]
            text = self.world.pods.log(pod, container, request.arg("previous") == "true")
        if text is None:
            raise ApiError(400, f"container {container} is not valid for pod {target.name}",
                           mistake=True)
        if text is False:
            raise ApiError(400, f'container "{container}" in pod "{target.name}" is waiting to '
                           "start: PodInitializing")
        lines = text.splitlines(keepends=True)
        if request.arg("tailLines"):
            lines = lines[-int(request.arg("tailLines")):] if request.arg("tailLines") != "0" else []
        data = "".join(lines).encode()
        if request.arg("limitBytes"):
            data = data[:int(request.arg("limitBytes"))]
        return Answer(200, data, {"Content-Type": "text/plain"})

    def known_keys(self, request, known):
        """The real server ignores other query keys; a program that sends them is mistaken."""
        for name in set(request.query) - known:
            self.world.record.violation("kube unknown query key", name, request)

    # -- lists and watches

    def collection(self, request, kind, api_version, target):
        """A List, or the stream of a watch."""
        namespace = target.namespace or None
        keep = self._selected(request)
        if request.arg("watch") in ("true", "1"):
            return self._watch(request, kind, namespace, keep)
        items = [obj for obj in self.world.objects.list(kind, namespace) if keep(obj)]
        metadata = {"resourceVersion": str(self.world.objects.version)}
        limit = int(request.arg("limit") or 0)
        if request.arg("continue"):
            at, version = self._continued(request.arg("continue"))
            items, metadata["resourceVersion"] = items[at:], str(version)
        else:
            at = 0
        if limit and len(items) > limit:
            mark = json.dumps([at + limit, int(metadata["resourceVersion"])])
            metadata["continue"] = base64.urlsafe_b64encode(mark.encode()).decode()
            metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        return Answer.json({"kind": f"{kind}List", "apiVersion": api_version, "metadata": metadata,
                            "items": items})

    def _continued(self, token):
        try:
            at, version = json.loads(base64.urlsafe_b64decode(token))
        except ValueError:
            raise ApiError(400, "continue key is not valid", mistake=True) from None
        if version < self.world.objects.oldest:
            raise ApiError(410, "The provided continue parameter is too old to display a consistent "
                           "list result. You can start a new list without the continue parameter.")
        return at, version

    def _selected(self, request):
        labels = [part for part in (request.arg("labelSelector") or "").split(",") if part]
        fields = [part for part in (request.arg("fieldSelector") or "").split(",") if part]

        def keep(obj):
            own = obj["metadata"].get("labels", {})
            return all(_label_holds(part, own) for part in labels) and \
                all(_field_holds(part, obj) for part in fields)

        return keep

    def _watch(self, request, kind, namespace, keep):
        objects = self.world.objects
        since = int(request.arg("resourceVersion") or 0)
        answer = Answer(200, b"", {"Content-Type": "application/json"})
        if since and since < objects.oldest:
            error = ApiError(410, f"too old resource version: {since} ({objects.version})")
            answer.stream = iter([_event("ERROR", error.status())])
            return answer
        first = [] if since else [obj for obj in objects.list(kind, namespace) if keep(obj)]
        start = since or objects.version
        ends = time.monotonic() + min(60.0, float(request.arg("timeoutSeconds") or 60))

        def stream():
            at = start
            for obj in first:
                yield _event("ADDED", obj)
            while time.monotonic() < ends:
                with self.world.lock:
                    news = [e for e in objects.history if e[0] > at and e[1] == kind and
                            namespace in (None, e[2]) and keep(e[4])]
                    if not news:
                        objects.wait(max(0.0, min(0.5, ends - time.monotonic())))
                for version, _, _, what, obj in news:
                    at = version
                    yield _event(what, obj)

        answer.stream = stream()
        return answer

    # -- discovery

    @staticmethod
    def _is_discovery(path):
        parts = path.strip("/").split("/")
        return path in ("/api", "/apis", "/") or (parts[0] == "api" and len(parts) == 2) or \
            (parts[0] == "apis" and len(parts) in (2, 3))

    def _discover(self, path):
        served = {"serving.kserve.io": ["v1beta1"], "authorization.k8s.io": ["v1"],
                  "authentication.k8s.io": ["v1"]}
        if not self.world.kserve_installed:
            del served[GROUP]
        groups = {name: {"name": name, "versions": [
            {"groupVersion": f"{name}/{v}", "version": v} for v in versions],
            "preferredVersion": {"groupVersion": f"{name}/{versions[0]}", "version": versions[0]}}
            for name, versions in served.items()}
        answers = {"/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.1",
                                "platform": "linux/amd64"},
                   "/api": {"kind": "APIVersions", "versions": ["v1"]},
                   "/apis": {"kind": "APIGroupList", "apiVersion": "v1",
                             "groups": list(groups.values())},
                   "/api/v1": _resources("v1", [
                       (n, k, ns, ["get", "list", "watch"]) for n, (k, ns) in CORE.items()] +
                       [("pods/log", "Pod", True, ["get"])])}
        for name, group in groups.items():
            answers[f"/apis/{name}"] = {"kind": "APIGroup", "apiVersion": "v1", **group}
        verbs = ["delete", "get", "list", "patch", "create", "update", "watch"]
        if GROUP in served:
            answers[f"/apis/{GROUP}/v1beta1"] = _resources(f"{GROUP}/v1beta1", [
                ("inferenceservices", "InferenceService", True, verbs),
                ("inferenceservices/status", "InferenceService", True, ["get", "patch", "update"])])
            answers["/openapi/v3"] = {"paths": {f"apis/{GROUP}/v1beta1": {
                "serverRelativeURL": f"/openapi/v3/apis/{GROUP}/v1beta1?hash=0"}}}
            if path == f"/openapi/v3/apis/{GROUP}/v1beta1":
                answers[path] = self._openapi()
        answers.setdefault("/openapi/v3", {"paths": {}})
        answers["/apis/authorization.k8s.io/v1"] = _resources("authorization.k8s.io/v1", [
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview", False, ["create"])])
        if path not in answers:
            raise ApiError(404, "the server could not find the requested resource", details={})
        return Answer.json(answers[path])

    def _openapi(self):
        kind = {"group": GROUP, "kind": "InferenceService", "version": "v1beta1"}
        schema = {**copy.copy(self.world.schema.root), "x-kubernetes-group-version-kind": [kind]}
        return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.34.1"},
                "paths": {}, "components": {"schemas": {
                    "io.kserve.serving.v1beta1.InferenceService": schema}}}


def _resources(group_version, entries):
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
            "resources": [{"name": name, "singularName": kind.lower() if "/" not in name else "",
                           "namespaced": namespaced, "kind": kind, "verbs": verbs}
                          for name, kind, namespaced, verbs in entries]}


def _event(what, obj):
    return json.dumps({"type": what, "object": obj}, separators=(",", ":")).encode() + b"\n"


def _label_holds(part, labels):
    if "!=" in part:
        key, value = part.split("!=", 1)
        return labels.get(key) != value
    if "=" in part:
        key, value = part.replace("==", "=").split("=", 1)
        return labels.get(key) == value
    return part.lstrip("!") not in labels if part.startswith("!") else part in labels


def _field_holds(part, obj):
    negative = "!=" in part
    key, value = part.split("!=" if negative else "=", 1)
    node = obj
    for name in key.split("."):
        node = node.get(name, {}) if isinstance(node, dict) else {}
    return (str(node or "") == value.lstrip("=")) != negative


def parse_body(request):
    """The body as an object; YAML is taken for apply."""
    kind = request.headers.get("Content-Type", "").split(";")[0].strip()
    try:
        if kind in ("application/apply-patch+yaml", "application/yaml"):
            value = yaml.safe_load(request.body)
        else:
            value = json.loads(request.body)
    except (ValueError, yaml.YAMLError) as error:
        raise ApiError(400, f"error decoding body: {error}", mistake=True) from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body is not an object", mistake=True)
    return value
