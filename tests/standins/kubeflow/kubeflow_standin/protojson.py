"""Request bodies, read as the two generations of grpc-gateway read them.

Since 2.14 the server refuses unknown members and names the place: `proto: (line 1:N): unknown
field "x"`. Before, they were ignored. For the place, the text is scanned here and not by `json`.
"""

import json
import re

from .errors import ApiError, INVALID_ARGUMENT

# A message is a dict of member -> kind. Kinds: "str", "int", "bool", "any" (a free Struct), "map"
# (text to text), "skip" (written by the server, accepted and ignored), a dict (a message).
_PIPELINE = {"pipeline_id": "str", "display_name": "str", "description": "str",
             "created_at": "str", "namespace": "str", "error": "any"}
_PIPELINE_VERSION = {
    "pipeline_id": "str", "pipeline_version_id": "str", "display_name": "str",
    "description": "str", "created_at": "str", "package_url": {"pipeline_url": "str"},
    "code_source_url": "str", "pipeline_spec": "any", "error": "any"}
_RUN = {
    "experiment_id": "str", "run_id": "str", "display_name": "str", "storage_state": "str",
    "description": "str", "pipeline_version_id": "str", "pipeline_spec": "any",
    "pipeline_version_reference": {"pipeline_id": "str", "pipeline_version_id": "str"},
    "runtime_config": {"parameters": "any", "pipeline_root": "str"},
    "service_account": "str", "created_at": "str", "scheduled_at": "str", "finished_at": "str",
    "state": "str", "error": "any", "run_details": "any", "recurring_run_id": "str",
    "state_history": "any"}
_EXPERIMENT = {
    "experiment_id": "str", "display_name": "str", "description": "str", "created_at": "str",
    "namespace": "str", "storage_state": "str", "last_run_created_at": "str"}


def messages(version):
    """Request messages that a server of this version knows."""
    pipeline, pipeline_version, run = dict(_PIPELINE), dict(_PIPELINE_VERSION), dict(_RUN)
    if version >= (2, 14):
        pipeline["name"] = pipeline_version["name"] = "str"
    if version >= (2, 17):
        pipeline["tags"] = pipeline_version["tags"] = "map"
        run["plugins_input"] = run["plugins_output"] = "any"
    return {
        "Pipeline": pipeline, "PipelineVersion": pipeline_version, "Run": run,
        "Experiment": dict(_EXPERIMENT), "Empty": {},
        "CreatePipelineAndVersion": {"pipeline": pipeline, "pipeline_version": pipeline_version},
    }


def _camel(name):
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")


class _Scanner:
    """Walks over JSON text that is known to be valid and checks it against a message."""

    def __init__(self, text):
        self.text = text
        self.at = 0

    def place(self, at):
        before = self.text[:at]
        line = before.count("\n") + 1
        return f"(line {line}:{at - (before.rfind(chr(10)) + 1) + 1})"

    def fail(self, at, what):
        raise ApiError(INVALID_ARGUMENT, f"proto: {self.place(at)}: {what}", details=False)

    def space(self):
        self.at = _SPACE.match(self.text, self.at).end()

    def string(self):
        match = _STRING.match(self.text, self.at)
        self.at = match.end()
        return json.loads(match.group())

    def skip(self):
        """Steps over one value of any kind; iterative, so depth does not matter."""
        depth = 0
        while True:
            self.space()
            char = self.text[self.at]
            if char in "[{":
                depth += 1
                self.at += 1
            elif char in "]}":
                depth -= 1
                self.at += 1
            elif char in ",:":
                self.at += 1
            elif char == '"':
                self.string()
            else:
                self.at = _SCALAR.match(self.text, self.at).end()
            if depth == 0:
                self.space()
                return

    def message(self, kinds):
        self.space()
        if self.text[self.at] != "{":
            self.fail(self.at, f"unexpected token {self.text[self.at:self.at + 8]}")
        self.at += 1
        known = {**{_camel(name): name for name in kinds}, **{name: name for name in kinds}}
        result = {}
        while True:
            self.space()
            if self.text[self.at] == "}":
                self.at += 1
                return result
            if self.text[self.at] == ",":
                self.at += 1
                continue
            start = self.at
            name = self.string()
            if name not in known:
                self.fail(start, f'unknown field "{name}"')
            if known[name] in result:
                self.fail(start, f'duplicate field "{name}"')
            self.space()
            self.at += 1
            self.space()
            result[known[name]] = self.value(known[name], kinds[known[name]])

    def value(self, name, kind):
        start = self.at
        if isinstance(kind, dict) and not self.text.startswith("null", start):
            return self.message(kind)
        self.skip()
        raw = self.text[start:self.at].rstrip()
        value = json.loads(raw)
        wanted = {"str": str, "bool": bool, "map": dict}.get(kind)
        if wanted and value is not None and not isinstance(value, wanted):
            word = {"str": "string", "bool": "bool", "map": "map"}[kind]
            self.fail(start, f"invalid value for {word} field {name}: {raw}")
        return value


def _snake(value, kinds):
    """Members of a message by their proto names; unknown ones are dropped."""
    known = {**{_camel(name): name for name in kinds}, **{name: name for name in kinds}}
    result = {}
    for name, member in value.items():
        if name not in known:
            continue
        kind = kinds[known[name]]
        if isinstance(kind, dict) and isinstance(member, dict):
            member = _snake(member, kind)
        if kind == "str" and member is not None and not isinstance(member, str):
            word = "bool" if isinstance(member, bool) else (
                "number" if isinstance(member, (int, float)) else
                "array" if isinstance(member, list) else "object")
            raise ApiError(INVALID_ARGUMENT, f"json: cannot unmarshal {word} into Go value of "
                           "type string", details=False)
        result[known[name]] = member
    return result


def parse(raw, kinds, version):
    """Bytes of a body -> members by proto name; None members are left out."""
    strict = version >= (2, 14)
    if not raw.strip():
        if strict and kinds:
            return {}
        return {}
    try:
        text = raw.decode("utf-8")
        value = json.loads(text)
    except UnicodeDecodeError:
        raise ApiError(INVALID_ARGUMENT, "proto: syntax error (line 1:1): invalid UTF-8",
                       details=False) from None
    except ValueError as error:
        at = getattr(error, "pos", 0)
        token = raw.decode("utf-8", "replace")[at:at + 10] or "EOF"
        if strict:
            message = (f"proto: syntax error (line {getattr(error, 'lineno', 1)}:"
                       f"{getattr(error, 'colno', 1)}): invalid value {token}")
        else:
            message = f"invalid character '{token[:1]}' looking for beginning of value"
        raise ApiError(INVALID_ARGUMENT, message, details=False) from None
    if strict:
        result = _Scanner(text).message(kinds)
    elif isinstance(value, dict):
        result = _snake(value, kinds)
    else:
        raise ApiError(INVALID_ARGUMENT, "json: cannot unmarshal into Go value", details=False)
    return {name: member for name, member in result.items() if member is not None}
