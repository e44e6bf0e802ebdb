"""Requests checked against the published Swagger files, where those are at hand.

KFOPS_SHARED points at a folder with specs/kfp/*.swagger.json. A request that the specification does
not allow is a violation: unknown path, method, query parameter or member, wrong type. Violations do
not change the answer; tests read them at the end.
"""

import json
import os
import re

_FILES = {"2.17.0": "kfp_v2beta1_2.17.0.swagger.json", "2.5.0": "kfp_v2beta1_2.5.0.swagger.json",
          "1.8.22": "kfp_v1beta1_1.8.22.swagger.json"}
# Served by the real server although the files do not list it.
_EXTRA = [("GET", r"/apis/v1alpha1/runs/[^/]+/nodes/[^/]+/log")]
# A client may also probe which API there is.
_PROBES = re.compile(r"/apis/v[12]beta1/healthz")


class Conformance:
    def __init__(self, version):
        self.violations = []
        self.specs = []
        folder = os.environ.get("KFOPS_SHARED", "")
        names = [_FILES.get(version, _FILES["2.17.0"])]
        if not version.startswith("1."):
            names.append("kfp_v1beta1.swagger.json")
        for name in names:
            path = os.path.join(folder, "specs", "kfp", name)
            if folder and os.path.exists(path):
                with open(path, encoding="utf-8") as source:
                    self.specs.append(json.load(source))

    def check(self, method, path, query, body, content_type):
        """Records what is wrong with a request."""
        if not self.specs or not path.startswith("/apis/") or _PROBES.fullmatch(path):
            return
        if any(method == m and re.fullmatch(p, path) for m, p in _EXTRA):
            return
        spec, operation = self._operation(method, path)
        if operation is None:
            self._note(method, path, "no such operation in the specification")
            return
        parameters = operation.get("parameters", [])
        known = {p["name"]: p for p in parameters if p["in"] == "query"}
        for name, value in query.items():
            if name not in known:
                self._note(method, path, f"unknown query parameter {name}")
            elif known[name].get("type") == "integer" and not re.fullmatch(r"-?\d+", value):
                self._note(method, path, f"query parameter {name} is not an integer")
        for name, parameter in known.items():
            if parameter.get("required") and name not in query:
                self._note(method, path, f"missing query parameter {name}")
        bodies = [p for p in parameters if p["in"] == "body"]
        if bodies and body.strip():
            try:
                value = json.loads(body)
            except ValueError:
                self._note(method, path, "body is not JSON")
                return
            self._value(spec, bodies[0]["schema"], value, method, path)
        elif any(p["in"] == "formData" for p in parameters):
            if not content_type.startswith("multipart/form-data"):
                self._note(method, path, f"content type {content_type!r} instead of multipart")
        elif bodies and bodies[0].get("required"):
            self._note(method, path, "the body is missing")
        elif body.strip() not in (b"", b"{}"):
            self._note(method, path, "a body where none is known")

    def _note(self, method, path, what):
        self.violations.append({"method": method, "path": path, "violation": what})

    def _operation(self, method, path):
        """The longest literal match, so that /pipelines/upload is not taken for an id."""
        best = (None, None)
        weight = -1
        for spec in self.specs:
            for template, operations in spec["paths"].items():
                pattern = re.sub(r"\\\{[^}]*\\\}", r"[^/:]+", re.escape(template))
                if method.lower() not in operations or not re.fullmatch(pattern, path):
                    continue
                literal = len(re.sub(r"\{[^}]*\}", "", template))
                if literal > weight:
                    best, weight = (spec, operations[method.lower()]), literal
        return best

    def _value(self, spec, schema, value, method, path):
        """Checks a JSON value against a schema, without recursion."""
        todo = [(schema, value, "")]
        while todo:
            schema, value, where = todo.pop()
            while "$ref" in schema:
                schema = spec["definitions"][schema["$ref"].rsplit("/", 1)[1]]
            kind = schema.get("type")
            right = {"object": dict, "array": list, "string": str, "boolean": bool,
                     "integer": (int, str), "number": (int, float)}.get(kind)
            if right and value is not None and not isinstance(value, right):
                self._note(method, path, f"{where or 'body'} is not of type {kind}")
                continue
            if "enum" in schema and value not in schema["enum"]:
                self._note(method, path, f"{where} is none of {schema['enum']}")
            if kind == "array":
                todo += [(schema.get("items", {}), item, f"{where}[]") for item in value]
            members = schema.get("properties")
            if isinstance(value, dict) and members is not None:
                for name, member in value.items():
                    if name not in members and "additionalProperties" not in schema:
                        self._note(method, path, f"unknown member {where}.{name}")
                    elif name in members:
                        todo.append((members[name], member, f"{where}.{name}"))
