"""Requests and answers checked against a published description (OpenAPI 3.0 or Swagger 2.0).

Only what those descriptions really use: type, enum, properties, required, items, nullable, oneOf, anyOf,
allOf, min/max length, items and value, pattern, additionalProperties, format date-time. `oneOf` counts as
`anyOf`: the published alternatives overlap. Unlike JSON Schema's default, a member that the schema does
not name is a fault in requests, because both GitHub and strict gateways treat it as a mistake (or worse,
ignore it).
"""

import json
import re

DATE_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
DEPTH_MAX = 40


class Operation:
    """One method of one path template."""

    def __init__(self, description, method: str, template: str, data: dict, shared: list):
        self.method = method.upper()
        self.template = template
        self.data = data
        self._description = description
        resolve = description.resolve
        self.parameters = [resolve(p) for p in list(shared) + data.get("parameters", [])]

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    def body_schema(self, content_type: str = "application/json"):
        """Schema of the body, or None; second value: is a body required?"""
        if self._description.is_swagger:
            for parameter in self.parameters:
                if parameter["in"] == "body":
                    return parameter.get("schema", {}), parameter.get("required", False)
            return None, False
        body = self._description.resolve(self.data.get("requestBody", {}))
        content = body.get("content", {})
        schema = content.get(content_type, {}).get("schema")
        return schema, body.get("required", False)

    def answer_schema(self, status: int):
        """(declared?, schema or None) of an answer with that status."""
        responses = self.data.get("responses", {})
        response = responses.get(str(status)) or responses.get("default")
        if response is None:
            return False, None
        response = self._description.resolve(response)
        if self._description.is_swagger:
            return True, response.get("schema")
        content = response.get("content", {})
        for kind in ("application/json", "application/vnd.github+json"):
            if kind in content:
                return True, content[kind].get("schema")
        return True, None


class Description:
    def __init__(self, root: dict):
        self.root = root
        self.is_swagger = "swagger" in root
        self._patterns = []
        base = (root.get("basePath") or "").rstrip("/") if self.is_swagger else ""
        for template, item in root.get("paths", {}).items():
            shared = item.get("parameters", [])
            operations = {method.upper(): Operation(self, method, base + template, item[method], shared)
                          for method in METHODS if method in item}
            self._patterns.append((self._compile(base + template, operations), template, operations))
        # The template with the most literal text wins: /issues/comments before /issues/{issue_number}.
        self._patterns.sort(key=lambda entry: -len(re.sub(r"\{[^}]*\}", "", entry[1])))
        self.by_name = {operation.name: operation
                        for _, _, operations in self._patterns for operation in operations.values()}

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def _compile(self, template: str, operations: dict):
        wide = {p["name"] for operation in operations.values() for p in operation.parameters
                if p.get("in") == "path" and p.get("x-multi-segment")}
        pattern = ""
        for piece in re.split(r"(\{[^}]*\})", template):
            if not piece.startswith("{"):
                pattern += re.escape(piece)
                continue
            name = piece[1:-1]
            group = re.sub(r"\W", "_", name)
            pattern += f"(?P<{group}>.+)" if name in wide else f"(?P<{group}>[^/]+?)"
        return re.compile(pattern + r"\Z")

    def resolve(self, node):
        """Follows $ref."""
        for _ in range(DEPTH_MAX):
            if not isinstance(node, dict) or "$ref" not in node:
                return node
            target = self.root
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            node = target
        raise ValueError("circular $ref")

    def match(self, method: str, path: str):
        """(operation, path parameters as sent), (None, allowed methods) when only the method is wrong,
        or (None, None)."""
        for pattern, _, operations in self._patterns:
            found = pattern.match(path)
            if not found:
                continue
            if method.upper() in operations:
                return operations[method.upper()], found.groupdict()
            return None, sorted(operations)
        return None, None

    def check_request(self, operation: Operation, path_values: dict, query: dict, body=None,
                      content_type: str = "application/json", has_body: bool = False) -> list[str]:
        """What is wrong with a request, as sentences. `path_values` and `query` (lists of values) are
        decoded; `body` is the parsed JSON when has_body."""
        faults = []
        known = {}
        for parameter in operation.parameters:
            known.setdefault(parameter["in"], {})[parameter["name"]] = parameter
        for name, value in path_values.items():
            parameter = known.get("path", {}).get(name)
            if parameter:
                faults += self._check_text(parameter, value, f"path parameter {name}")
        for name, values in query.items():
            parameter = known.get("query", {}).get(name)
            if parameter is None:
                faults.append(f"unknown query key '{name}'")
                continue
            for value in values:
                faults += self._check_text(parameter, value, f"query key '{name}'")
        for name, parameter in known.get("query", {}).items():
            if parameter.get("required") and name not in query:
                faults.append(f"query key '{name}' is missing")
        schema, required = operation.body_schema(content_type)
        if has_body and schema is None:
            faults.append("a body is sent, and the operation takes none")
        elif has_body:
            faults += self.check(schema, body, "body", strict=True)
        elif required and schema is not None:
            faults.append("the body is missing")
        return faults

    def check_answer(self, operation: Operation, status: int, body) -> list[str]:
        """What is wrong with our own answer. Statuses that the description does not know pass."""
        declared, schema = operation.answer_schema(status)
        if not declared or schema is None:
            return []
        return self.check(schema, body, "answer", strict=False)

    def _check_text(self, parameter: dict, text: str, where: str) -> list[str]:
        schema = self.resolve(parameter.get("schema", parameter))
        kind = schema.get("type")
        values = [text]
        if kind == "array":
            schema = self.resolve(schema.get("items", {}))
            kind = schema.get("type")
            values = text.split(",")
        faults = []
        for value in values:
            if kind == "integer" and not re.fullmatch(r"-?\d+", value):
                faults.append(f"{where}: '{value}' is not an integer")
            elif kind == "boolean" and value not in ("true", "false"):
                faults.append(f"{where}: '{value}' is not a boolean")
            elif "enum" in schema and value not in [str(item) for item in schema["enum"]]:
                faults.append(f"{where}: '{value}' is not one of {schema['enum']}")
            elif schema.get("format") == "date-time" and not DATE_TIME.match(value):
                faults.append(f"{where}: '{value}' is not a date-time")
        return faults

    def check(self, schema, value, where: str, strict: bool, depth: int = 0) -> list[str]:
        """Faults of a value against a schema; empty: none."""
        schema = self.resolve(schema)
        if depth > DEPTH_MAX or not isinstance(schema, dict):
            return []
        if value is None:
            return self._check_null(schema, where)
        faults = self._check_type(schema, value, where)
        if faults:
            return faults
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: {_short(value)} is not one of {schema['enum']}"]
        for part in schema.get("allOf", []):
            faults += self.check(part, value, where, False, depth + 1)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                faults += self._check_any(schema[word], value, where, depth)
        if isinstance(value, str):
            faults += _check_string(schema, value, where)
        elif isinstance(value, bool):
            pass
        elif isinstance(value, (int, float)):
            faults += _check_number(schema, value, where)
        elif isinstance(value, list):
            faults += _check_length(schema, value, where, "Items")
            if "items" in schema:
                for index, item in enumerate(value):
                    faults += self.check(schema["items"], item, f"{where}[{index}]", strict, depth + 1)
        elif isinstance(value, dict):
            faults += self._check_object(schema, value, where, strict, depth)
        return faults

    def _check_null(self, schema: dict, where: str) -> list[str]:
        if self.is_swagger or schema.get("nullable") or "type" not in schema:
            return []
        return [f"{where}: null is not {_article(schema['type'])}"]

    def _check_type(self, schema: dict, value, where: str) -> list[str]:
        kind = schema.get("type")
        if kind is None:
            return []
        if self.is_swagger and kind == "string" and schema.get("format") in ("int64", "uint64"):
            return [] if isinstance(value, (str, int)) else [f"{where}: not an integer"]
        python = {"string": str, "integer": int, "number": (int, float), "boolean": bool,
                  "array": list, "object": dict}.get(kind)
        fits = python is None or isinstance(value, python)
        if fits and kind in ("integer", "number") and isinstance(value, bool):
            fits = False
        return [] if fits else [f"{where}: {_short(value)} is not {_article(kind)}"]

    def _check_any(self, parts: list, value, where: str, depth: int) -> list[str]:
        best = None
        for part in parts:
            faults = self.check(part, value, where, False, depth + 1)
            if not faults:
                return []
            if best is None or len(faults) < len(best):
                best = faults
        return best or []

    def _check_object(self, schema, value, where, strict, depth) -> list[str]:
        faults = [f"{where}: '{name}' is missing" for name in schema.get("required", [])
                  if name not in value]
        faults += _check_length(schema, value, where, "Properties")
        properties = schema.get("properties", {})
        extra = schema.get("additionalProperties")
        for name, item in value.items():
            if name in properties:
                faults += self.check(properties[name], item, f"{where}.{name}", strict, depth + 1)
            elif isinstance(extra, dict) and extra:
                faults += self.check(extra, item, f"{where}.{name}", strict, depth + 1)
        if strict:
            names, is_open = self._declared(schema, 0)
            if not is_open:
                faults += [f"{where}: unknown member '{name}'" for name in value if name not in names]
        return faults

    def _declared(self, schema, depth: int):
        """Names of members that a schema declares, in all alternatives; is it open to others?"""
        schema = self.resolve(schema)
        names = set(schema.get("properties", {}))
        extra = schema.get("additionalProperties")
        is_open = bool(extra) or extra == {}
        has_parts = False
        for word in ("allOf", "oneOf", "anyOf"):
            for part in schema.get(word, []) if depth < DEPTH_MAX else []:
                has_parts = True
                more, _ = self._declared(part, depth + 1)
                names |= more
                is_open = is_open or self.resolve(part).get("additionalProperties") is True
        if not names and not has_parts and extra is None:
            is_open = True
        return names, is_open


def _check_string(schema, value, where):
    faults = _check_length(schema, value, where, "Length")
    if schema.get("format") == "date-time" and not DATE_TIME.match(value):
        faults.append(f"{where}: {_short(value)} is not a date-time")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        faults.append(f"{where}: {_short(value)} does not match {schema['pattern']}")
    return faults


def _check_number(schema, value, where):
    if "minimum" in schema and value < schema["minimum"]:
        return [f"{where}: {value} is less than {schema['minimum']}"]
    if "maximum" in schema and value > schema["maximum"]:
        return [f"{where}: {value} is more than {schema['maximum']}"]
    return []


def _check_length(schema, value, where, word):
    if len(value) > schema.get(f"max{word}", len(value)):
        return [f"{where}: {len(value)} is more than {schema[f'max{word}']} ({word.lower()})"]
    if len(value) < schema.get(f"min{word}", 0):
        return [f"{where}: {len(value)} is less than {schema[f'min{word}']} ({word.lower()})"]
    return []


def _article(kind: str) -> str:
    return ("an " if kind[0] in "aio" else "a ") + kind


def _short(value) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
