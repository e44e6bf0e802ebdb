"""InferenceServices through the API server: every verb, with the checks in the real one's order.

A write is: body decoded, patched onto what is there, unknown members dropped (Warning) or refused
(Strict), the precondition, admission (webhook.py), the CRD's schema, managedFields; then it is kept
unless dryRun=All, and the controllers hear of it. A write that changes nothing makes no new
resource version.
"""

import copy
import json

from standin_common.http import Answer

from . import fields, webhook
from .kube import GROUP, READ_KEYS, ApiError, not_found, parse_body

API_VERSION = f"{GROUP}/v1beta1"
RESOURCE, KIND = "inferenceservices", "InferenceService"
WRITE_KEYS = {"dryRun", "fieldManager", "fieldValidation", "force", "pretty"}
DELETE_KEYS = {"dryRun", "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "pretty"}
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
PATCH_KINDS = f"application/json-patch+json, {MERGE}, {APPLY}"


def merge_patch(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for name, member in patch.items():
        if member is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), member)
    return result


def _is_text_map(value):
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


class InferenceServices:
    def __init__(self, world):
        self.world = world
        self.keys = None  # KubeApp, set by app.py

    def handle(self, user, request, target):
        """Called with the world's lock held."""
        if target.subresource not in ("", "status"):
            raise ApiError(404, "the server could not find the requested resource", mistake=True)
        method = request.method
        if method in ("GET", "HEAD"):
            self.keys.known_keys(request, READ_KEYS)
            if target.name:
                stale = request.fault is not None and request.fault.kind == "stale_read"
                return Answer.json(self._before(target) if stale else self._there(target))
            return self.keys.collection(request, KIND, API_VERSION, target)
        if target.subresource == "status":
            self.world.record.violation("kube status", "status belongs to the controllers", request)
            raise ApiError(403, f'{RESOURCE}.{GROUP} "{target.name}" is forbidden: User "{user.name}" '
                           f'cannot update resource "{RESOURCE}/status" in API group "{GROUP}"')
        handlers = {("POST", False): self._create, ("PUT", True): self._put,
                    ("PATCH", True): self._patch, ("DELETE", True): self._delete}
        handler = handlers.get((method, bool(target.name)))
        if handler is None:
            raise ApiError(405, "the server does not allow this method on the requested resource",
                           mistake=True)
        self.keys.known_keys(request, DELETE_KEYS if method == "DELETE" else WRITE_KEYS)
        if request.arg("dryRun", "All") not in ("All", ""):
            raise ApiError(422, 'dryRun: Unsupported value: supported values: "All"', mistake=True)
        return handler(request, target)

    # -- verbs

    def _there(self, target):
        obj = self.world.objects.get(KIND, target.namespace, target.name)
        if obj is None:
            raise not_found(GROUP, RESOURCE, target.name)
        return obj

    def _before(self, target):
        """What a cache that lags behind still has: the version before the last."""
        known = [entry[4] for entry in self.world.objects.history if entry[1] == KIND and
                 entry[4]["metadata"]["name"] == target.name and entry[2] == target.namespace]
        if len(known) < 2:
            raise not_found(GROUP, RESOURCE, target.name)
        return known[-2]

    def _create(self, request, target):
        body = parse_body(request)
        self._is_of_kind(body)
        metadata = body.setdefault("metadata", {})
        if not metadata.get("name"):
            if metadata.get("generateName"):
                self.world.record.gap("generateName")
            raise ApiError(422, f'{KIND}.{GROUP} "" is invalid: metadata.name: Required value: name or '
                           "generateName is required", mistake=True)
        if metadata.setdefault("namespace", target.namespace) != target.namespace:
            raise ApiError(400, "the namespace of the provided object does not match the namespace "
                           "sent on the request", mistake=True)
        self._has_namespace(target.namespace)
        name = metadata["name"]
        if self.world.objects.get(KIND, target.namespace, name):
            raise ApiError(409, f'{RESOURCE}.{GROUP} "{name}" already exists', "AlreadyExists",
                           self._details(name))
        return self._keep(request, None, body, "create", self._manager(request))

    def _put(self, request, target):
        body = parse_body(request)
        self._is_of_kind(body)
        live = self._there(target)
        if not body.get("metadata", {}).get("resourceVersion"):
            raise ApiError(422, f'{RESOURCE}.{GROUP} "{target.name}" is invalid: metadata.'
                           "resourceVersion: Invalid value: 0x0: must be specified for an update",
                           details=self._details(target.name), mistake=True)
        return self._keep(request, live, body, "update", self._manager(request))

    def _patch(self, request, target):
        kind = request.headers.get("Content-Type", "").split(";")[0].strip()
        if kind == APPLY:
            return self._apply(request, target)
        if kind == "application/json-patch+json":
            self.world.record.gap("JSON patch")
        if kind != MERGE:
            raise ApiError(415, "the body of the request was in an unknown format - accepted media "
                           f"types include: {PATCH_KINDS}", mistake=True)
        if request.arg("force"):
            raise ApiError(422, "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not "
                           "be specified for non-apply patch", mistake=True)
        live = self._there(target)
        patch = parse_body(request)
        merged = merge_patch(copy.deepcopy(live), patch)
        if "managedFields" not in patch.get("metadata", {}):
            merged.setdefault("metadata", {})["managedFields"] = live["metadata"]["managedFields"]
        return self._keep(request, live, merged, "patch", self._manager(request), patch)

    def _apply(self, request, target):
        manager = request.arg("fieldManager")
        if not manager:
            raise ApiError(422, 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required '
                           "value: is required for apply patch", mistake=True)
        body = parse_body(request)
        self._is_of_kind(body)
        metadata = body.get("metadata", {})
        if metadata.get("name", target.name) != target.name or \
                metadata.get("namespace", target.namespace) != target.namespace:
            raise ApiError(400, "the name of the object does not match the name on the URL",
                           mistake=True)
        if metadata.get("managedFields") is not None:
            raise ApiError(400, "metadata.managedFields must be nil", mistake=True)
        live = self.world.objects.get(KIND, target.namespace, target.name)
        if live is None:
            self._may_create(request, target)
            self._has_namespace(target.namespace)
        self._is_declared(body, target)
        try:
            merged = fields.apply(live, body, self.world.schema.fields, manager,
                                  request.arg("force") == "true", self.world.objects.now())
        except fields.Conflict as error:
            message, causes = fields.conflict_causes(error)
            raise ApiError(409, message, "Conflict", {"causes": causes}) from None
        merged["metadata"].update(name=target.name, namespace=target.namespace)
        for name in ("resourceVersion", "uid"):
            if name in metadata:
                merged["metadata"][name] = metadata[name]
        return self._keep(request, live, merged, "apply", None, body)

    def _delete(self, request, target):
        live = self._there(target)
        body = json.loads(request.body) if request.body else {}
        metadata = live["metadata"]
        for name, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted = (body.get("preconditions") or {}).get(name)
            if wanted is not None and wanted != metadata[name]:
                raise ApiError(409, f"Operation cannot be fulfilled on {RESOURCE}.{GROUP} "
                               f'"{target.name}": Precondition failed: {word} in precondition: '
                               f"{wanted}, {word} in object meta: {metadata[name]}", "Conflict",
                               self._details(target.name))
        if request.arg("dryRun") != "All" and body.get("dryRun") != ["All"]:
            self.world.delete_service(target.namespace, target.name, by="api")
        return Answer.json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                            "details": {**self._details(target.name), "uid": metadata["uid"]}})

    # -- checks

    @staticmethod
    def _details(name):
        return {"name": name, "group": GROUP, "kind": RESOURCE}

    @staticmethod
    def _manager(request):
        agent = request.headers.get("User-Agent", "unknown").split("/")[0]
        return request.arg("fieldManager") or agent[:128]

    @staticmethod
    def _is_of_kind(body):
        given = (body.get("apiVersion"), body.get("kind"))
        if given != (API_VERSION, KIND):
            raise ApiError(400, f"the object provided is unrecognized: {given[0]}, Kind={given[1]} "
                           f"instead of {API_VERSION}, Kind={KIND}", mistake=True)

    def _has_namespace(self, namespace):
        if self.world.objects.get("Namespace", "", namespace) is None:
            raise not_found("", "namespaces", namespace)

    def _may_create(self, request, target):
        """A new object by apply needs the verb create as well."""
        user = self.keys._user(request)
        if not self.world.rbac.allows(user, "create", GROUP, RESOURCE, target.namespace):
            raise ApiError(403, f'{RESOURCE}.{GROUP} "{target.name}" is forbidden: User '
                           f'"{user.name}" cannot create resource "{RESOURCE}" in API group '
                           f'"{GROUP}" in the namespace "{target.namespace}"',
                           details=self._details(target.name), mistake=True)

    def _is_declared(self, body, target):
        """An apply with members that the schema does not know cannot be typed."""
        unknown = self.world.schema.prune(copy.deepcopy(body.get("spec", {})))
        if unknown:
            lines = "; ".join(f".{path}: field not declared in schema" for path in unknown)
            raise ApiError(500, f"failed to create typed patch object ({target.namespace}/"
                           f"{target.name}; {API_VERSION}, Kind={KIND}): {lines}", "", mistake=True)

    # -- the write

    def _keep(self, request, live, wanted, action, manager, sent=None):
        warnings = self._strict(request, wanted, live)
        self._precondition(live, wanted)
        obj = self._system_fields(live, wanted)
        self._admit(obj, live)
        if live is not None and obj["spec"] != live["spec"]:
            obj["metadata"]["generation"] += 1
        if manager is not None:
            fields.updated(live, obj, self.world.schema.fields, manager, self.world.objects.now())
        status = 201 if live is None else 200
        if request.arg("dryRun") == "All":
            if live is None:
                obj["metadata"].update(uid=self.world.objects.new_uid(), generation=1,
                                       creationTimestamp=self.world.objects.now())
            return self._answer(obj, status, warnings)
        if live is None or obj != live:
            self.world.write_service(obj, live, action, sent or wanted, request.arg("fieldManager"))
        return self._answer(copy.deepcopy(self.world.objects.get(
            KIND, obj["metadata"]["namespace"], obj["metadata"]["name"])), status, warnings)

    @staticmethod
    def _answer(obj, status, warnings):
        answer = Answer.json(obj, status)
        if warnings:
            answer.headers["Warning"] = [f'299 - "{text}"' for text in warnings]
        return answer

    def _strict(self, request, wanted, live):
        if not isinstance(wanted.get("spec"), dict):
            return []
        unknown = self.world.schema.prune(wanted["spec"])
        texts = [f'unknown field "{path}"' for path in unknown]
        how = request.arg("fieldValidation", "Warn")
        if how == "Strict" and texts:
            raise ApiError(400, f'{KIND} in version "v1beta1" cannot be handled as a {KIND}: strict '
                           f"decoding error: {', '.join(texts)}", mistake=True)
        for text in texts:
            self.world.record.violation("kube dropped", text, request)
        return [text.replace('"', '\\"') for text in texts] if how != "Ignore" else []

    def _precondition(self, live, wanted):
        given = wanted.get("metadata", {})
        if live is None:
            if given.get("resourceVersion") and given.get("resourceVersion") != "0":
                raise ApiError(409, f'Operation cannot be fulfilled on {RESOURCE}.{GROUP} '
                               f'"{given.get("name")}": the object does not exist', "Conflict",
                               self._details(given.get("name")))
            return
        kept = live["metadata"]
        if given.get("uid") not in (None, kept["uid"]):
            raise ApiError(409, f'Operation cannot be fulfilled on {RESOURCE}.{GROUP} "{kept["name"]}": '
                           f"Precondition failed: UID in precondition: {given['uid']}, UID in object "
                           f"meta: {kept['uid']}", "Conflict", self._details(kept["name"]))
        if given.get("resourceVersion") not in (None, "", kept["resourceVersion"]):
            raise ApiError(409, f'Operation cannot be fulfilled on {RESOURCE}.{GROUP} "{kept["name"]}": '
                           "the object has been modified; please apply your changes to the latest "
                           "version and try again", "Conflict", self._details(kept["name"]))

    @staticmethod
    def _system_fields(live, wanted):
        """What only the server writes stays as it is; a sent status is dropped."""
        obj = {"apiVersion": API_VERSION, "kind": KIND,
               "metadata": dict(wanted.get("metadata", {})),
               "spec": copy.deepcopy(wanted.get("spec"))}
        metadata = obj["metadata"]
        if live is None:
            for name in ("uid", "resourceVersion", "creationTimestamp", "generation"):
                metadata.pop(name, None)
            metadata["generation"] = 1
            metadata.setdefault("managedFields", [])
            return obj
        for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation"):
            metadata[name] = live["metadata"][name]
        metadata.setdefault("managedFields", live["metadata"].get("managedFields", []))
        if "status" in live:
            obj["status"] = copy.deepcopy(live["status"])
        return obj

    def _admit(self, obj, live):
        """Defaults, the CRD's schema, then what KServe's validator refuses."""
        for name in ("labels", "annotations"):
            if not _is_text_map(obj["metadata"].get(name, {})):
                raise ApiError(400, f"{KIND} in version \"v1beta1\" cannot be handled as a {KIND}: json: "
                               f"cannot unmarshal into Go struct field ObjectMeta.metadata.{name} of "
                               "type string", mistake=True)
        webhook.default(obj)
        self._validate(obj)
        try:
            webhook.validate(obj, live, self.world.default_mode)
        except webhook.Denied as denied:
            raise ApiError(403, f'admission webhook "{webhook.VALIDATOR}" denied the request: {denied}',
                           mistake=True) from None

    def _validate(self, obj):
        self.world.schema.complete(obj["spec"])
        name = obj["metadata"]["name"]
        causes = self.world.schema.faults(obj["spec"])
        if causes:
            listed = [f"{cause['field']}: {cause['message']}" for cause in causes]
            text = listed[0] if len(listed) == 1 else "[" + ", ".join(listed) + "]"
            raise ApiError(422, f'{KIND}.{GROUP} "{name}" is invalid: {text}',
                           details={"name": name, "group": GROUP, "kind": KIND, "causes": causes},
                           mistake=True)
