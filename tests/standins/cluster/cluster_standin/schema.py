"""InferenceServices held against KServe's CRD.

The CRD is read from $KFOPS_SHARED (else a folder `shared` beside the project): specs/kserve/. Without
it a small schema of the same shape stands in, which knows the members that deployments of models
use and lets pass what is below containers. Status is free-form here: only the controllers write it.
"""

import json
import os
import pathlib
import re
import threading

import yaml

FILES = {"0.16": "inferenceservices_v0.16.0.crd.yaml", "0.20": "inferenceservices.crd.yaml"}
TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list,
         "object": dict}
_FREE = {"x-kubernetes-preserve-unknown-fields": True}
_TEXT = {"type": "string"}
_INT = {"type": "integer", "format": "int64"}


def folder():
    """Where the published specifications are, or None."""
    named = os.environ.get("KFOPS_SHARED")
    beside = pathlib.Path(__file__).resolve().parents[4].parent / "shared"
    path = (pathlib.Path(named) if named else beside) / "specs" / "kserve"
    return path if path.is_dir() else None


def _built_in(version):
    model = {"type": "object", "properties": {
        "modelFormat": {"type": "object", "required": ["name"],
                        "properties": {"name": _TEXT, "version": _TEXT}},
        "storageUri": _TEXT, "protocolVersion": _TEXT, "runtime": _TEXT, "runtimeVersion": _TEXT,
        "name": _TEXT, "image": _TEXT, "args": {"type": "array", "items": _TEXT},
        "env": {"type": "array", "items": dict(_FREE, type="object"),
                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        "resources": dict(_FREE, type="object"), "storage": dict(_FREE, type="object")}}
    predictor = {"type": "object", "properties": {
        "model": model, "name": _TEXT, "serviceAccountName": _TEXT, "minReplicas": _INT,
        "maxReplicas": _INT, "canaryTrafficPercent": _INT, "containerConcurrency": _INT,
        "timeout": _INT, "scaleTarget": _INT, "scaleMetric": _TEXT,
        "labels": {"type": "object", "additionalProperties": _TEXT},
        "annotations": {"type": "object", "additionalProperties": _TEXT},
        "nodeSelector": {"type": "object", "additionalProperties": _TEXT},
        "containers": {"type": "array", "items": dict(_FREE, type="object")},
        "tolerations": {"type": "array", "items": dict(_FREE, type="object")},
        "sklearn": {"type": "object", "properties": dict(model["properties"])}}}
    spec = {"type": "object", "required": ["predictor"], "properties": {
        "predictor": predictor, "transformer": dict(_FREE, type="object"),
        "explainer": dict(_FREE, type="object")}}
    if version != "0.16":
        spec["properties"]["canary"] = {
            "type": "array", "x-kubernetes-list-type": "atomic", "items": {
                "type": "object", "required": ["predictor", "trafficPercent"],
                "properties": {"predictor": predictor, "trafficPercent": _INT}}}
    return {"type": "object", "properties": {"spec": spec}}


def _read(version):
    found = folder()
    if found is None:
        return _built_in(version)
    with open(found / FILES[version], encoding="utf-8") as source:
        document = yaml.load(source, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    served = next(v for v in document["spec"]["versions"] if v["name"] == "v1beta1")
    return served["schema"]["openAPIV3Schema"]


class Schema:
    """The schema of one KServe version; reading it takes a second and is begun at once."""

    def __init__(self, version):
        self._root = None
        self._reader = threading.Thread(target=self._load, args=(version,), daemon=True)
        self._reader.start()

    def _load(self, version):
        self._root = _read(version)

    @property
    def root(self):
        """For the published OpenAPI document."""
        self._reader.join()
        return self._root

    @property
    def fields(self):
        """What fields.py needs to tell atomic lists from others."""
        from .fields import METADATA
        return {"type": "object", "properties": {"metadata": METADATA, **{
            "spec": self.root["properties"]["spec"], "status": _FREE}}}

    def prune(self, spec):
        """Takes unknown members out of a spec; returns their paths."""
        return _prune(spec, self.root["properties"]["spec"], "spec")

    def complete(self, spec):
        """Fills in the defaults that the schema names."""
        _complete(spec, self.root["properties"]["spec"])

    def faults(self, spec):
        """Causes of a 422, in the server's words."""
        return _faults(spec, self.root["properties"]["spec"], "spec")


def _prune(value, schema, path):
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    unknown = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            unknown += _prune(item, schema.get("items", {}), f"{path}[{index}]")
    elif isinstance(value, dict) and schema.get("type") == "object":
        more = schema.get("additionalProperties")
        properties = schema.get("properties", {})
        for name in list(value):
            if name in properties:
                unknown += _prune(value[name], properties[name], f"{path}.{name}")
            elif isinstance(more, dict):
                unknown += _prune(value[name], more, f"{path}.{name}")
            elif more is not True:
                del value[name]
                unknown.append(f"{path}.{name}")
    return unknown


def _complete(value, schema):
    if isinstance(value, list):
        for item in value:
            _complete(item, schema.get("items", {}))
    elif isinstance(value, dict):
        for name, member in schema.get("properties", {}).items():
            if name not in value and "default" in member:
                value[name] = member["default"]
            elif name in value:
                _complete(value[name], member)


def _cause(reason, message, path):
    return {"reason": reason, "message": message, "field": path}


def _kind_of(value):
    if isinstance(value, bool):
        return "boolean"
    return next((name for name, kind in TYPES.items() if isinstance(value, kind)), "null")


def _faults(value, schema, path):
    if schema.get("x-kubernetes-int-or-string"):
        right = isinstance(value, (int, str)) and not isinstance(value, bool)
        return [] if right else [_cause(
            "FieldValueTypeInvalid", f'Invalid value: "{_kind_of(value)}": {path} in body must be '
            f'of type integer,string: "{_kind_of(value)}"', path)]
    kind = schema.get("type")
    wrong = kind and (not isinstance(value, TYPES[kind]) or
                      (isinstance(value, bool) and kind != "boolean"))
    if wrong:
        return [_cause("FieldValueTypeInvalid", f'Invalid value: "{_kind_of(value)}": {path} in '
                       f'body must be of type {kind}: "{_kind_of(value)}"', path)]
    found = _limits(value, schema, path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            found += _faults(item, schema.get("items", {}), f"{path}[{index}]")
    elif isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                found.append(_cause("FieldValueRequired", "Required value", f"{path}.{name}"))
        more = schema.get("additionalProperties")
        for name, member in value.items():
            below = schema.get("properties", {}).get(name, more)
            if isinstance(below, dict):
                found += _faults(member, below, f"{path}.{name}")
    return found


def _limits(value, schema, path):
    if "enum" in schema and value not in schema["enum"]:
        listed = ", ".join(json.dumps(item) for item in schema["enum"])
        return [_cause("FieldValueNotSupported",
                       f"Unsupported value: {json.dumps(value)}: supported values: {listed}", path)]
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return [_cause("FieldValueInvalid", f"Invalid value: {json.dumps(value)}: {path} in body "
                       f"should match '{schema['pattern']}'", path)]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for name, word, bad in (("minimum", "greater", lambda a, b: a < b),
                                ("maximum", "less", lambda a, b: a > b)):
            if name in schema and bad(value, schema[name]):
                return [_cause("FieldValueInvalid", f"Invalid value: {value}: {path} in body should"
                               f" be {word} than or equal to {schema[name]}", path)]
    return []
