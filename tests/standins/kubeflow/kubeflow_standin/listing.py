"""Lists: filters, order and pages with the server's limits.

Page size 20 unless asked, silently cut at 200. A token carries order and filter; given again they
must be the same. Times are compared in whole seconds, because that is what the server stores.
"""

import base64
import calendar
import json
import re
import urllib.parse

from .errors import invalid_input, invalid_input_details

PAGE_DEFAULT = 20
PAGE_MAX = 200

FIELDS = {
    "run": {"run_id": "id", "id": "id", "display_name": "display_name", "name": "display_name",
            "created_at": "created", "finished_at": "finished", "scheduled_at": "scheduled",
            "description": "description", "storage_state": "storage_state", "status": "status",
            "namespace": "namespace", "experiment_id": "experiment_id", "state": "state",
            "recurring_run_id": "recurring_run_id"},
    "pipeline": {"pipeline_id": "id", "id": "id", "name": "name", "display_name": "display_name",
                 "created_at": "created", "description": "description", "namespace": "namespace"},
    "version": {"pipeline_version_id": "id", "id": "id", "name": "name",
                "display_name": "display_name", "created_at": "created",
                "description": "description"},
    "experiment": {"experiment_id": "id", "id": "id", "name": "name", "display_name": "name",
                   "created_at": "created", "last_run_created_at": "last_run",
                   "namespace": "namespace", "storage_state": "storage_state"},
}
_OPERATIONS = {"EQUALS", "NOT_EQUALS", "GREATER_THAN", "GREATER_THAN_EQUALS", "LESS_THAN",
               "LESS_THAN_EQUALS", "IN", "IS_SUBSTRING"}
_VALUES = {"int_value", "long_value", "string_value", "timestamp_value", "int_values",
           "long_values", "string_values"}
_COMPAT = {"intValue": "int_value", "longValue": "long_value", "stringValue": "string_value",
           "timestampValue": "timestamp_value", "intValues": "int_values",
           "longValues": "long_values", "stringValues": "string_values"}


def parse_time(text):
    """RFC 3339 -> whole seconds since 1970."""
    match = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)",
                         text or "")
    if not match:
        raise ValueError(f"not a timestamp: {text}")
    parts = [int(part) for part in match.groups()[:6]]
    offset = 0
    if match.group(7) != "Z":
        sign = -1 if match.group(7)[0] == "-" else 1
        offset = sign * (int(match.group(7)[1:3]) * 3600 + int(match.group(7)[4:6]) * 60)
    return calendar.timegm((*parts, 0, 0, 0)) - offset


def _predicate(raw, encoded, operation_member):
    def bad(why):
        return invalid_input(f'failed to parse valid filter from "{encoded}": {why}')

    if not isinstance(raw, dict):
        raise bad("predicate is not an object")
    raw = {_COMPAT.get(name, name): value for name, value in raw.items()}
    unknown = set(raw) - {operation_member, "key"} - _VALUES
    if unknown:
        raise bad(f'unknown field "{sorted(unknown)[0]}"')
    operation = raw.get(operation_member, "OPERATION_UNSPECIFIED")
    if operation not in _OPERATIONS:
        raise invalid_input(f"invalid predicate operation: {operation}")
    given = [name for name in _VALUES if name in raw]
    if len(given) != 1:
        raise bad("a predicate has exactly one value")
    name, value = given[0], raw[given[0]]
    try:
        if name == "timestamp_value":
            value = parse_time(value)
        elif name in ("int_value", "long_value"):
            value = int(value)
        elif name.endswith("_values"):
            value = [str(v) if name == "string_values" else int(v) for v in value["values"]]
        elif not isinstance(value, str):
            raise ValueError("string_value is not a string")
    except (ValueError, TypeError, KeyError) as error:
        raise bad(error) from None
    if not raw.get("key"):
        raise invalid_input(f"Predicate key cannot be empty for operation {operation} and value "
                            f"{value}")
    if operation == "IN" and not isinstance(value, list):
        raise invalid_input("cannot use IN operator with scalar type string")
    if operation != "IN" and isinstance(value, list):
        raise invalid_input(f"cannot use scalar operator {operation} on array type")
    if operation == "IS_SUBSTRING" and not isinstance(value, str):
        raise invalid_input("cannot use non string value type with operator IS_SUBSTRING")
    return {"operation": operation, "key": raw["key"], "value": value}


def parse_filter(encoded, kind, tags, v1=False):
    """The `filter` query value -> predicates with model names. The value is unescaped once more."""
    if not encoded:
        return []
    decoded = urllib.parse.unquote_plus(encoded)
    try:
        value = json.loads(decoded)
    except ValueError as error:
        raise invalid_input(f'failed to parse valid filter from "{encoded}": {error}') from None
    if not isinstance(value, dict) or set(value) - {"predicates"}:
        raise invalid_input(f'failed to parse valid filter from "{encoded}": unknown field')
    result = []
    for raw in value.get("predicates", []):
        predicate = _predicate(raw, encoded, "op" if v1 else "operation")
        key = predicate["key"]
        if tags and key.startswith("tags."):
            if predicate["operation"] != "EQUALS":
                raise invalid_input("only EQUALS operation is supported for tag filtering")
            predicate["tag"] = key[len("tags."):]
        elif key in FIELDS[kind]:
            predicate["field"] = FIELDS[kind][key]
        else:
            raise invalid_input(f'no support for filtering on unrecognized field "{key}"')
        result.append(predicate)
    return result


def _like(needle, text):
    """SQL LIKE with the needle between two %, unescaped, without regard to case."""
    pattern = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in needle)
    return re.search(pattern, text or "", re.IGNORECASE | re.DOTALL) is not None


def _holds(row, predicate):
    value, operation = predicate["value"], predicate["operation"]
    if "tag" in predicate:
        return row.get("tags", {}).get(predicate["tag"]) == value
    have = row.get(predicate["field"])
    if have is None:
        have = 0 if isinstance(value, int) else ""
    if operation == "IN":
        return have in value
    if operation == "IS_SUBSTRING":
        return _like(value, have)
    if operation == "EQUALS":
        return have == value
    if operation == "NOT_EQUALS":
        return have != value
    if isinstance(have, str) != isinstance(value, str):
        return False
    return {"GREATER_THAN": have > value, "GREATER_THAN_EQUALS": have >= value,
            "LESS_THAN": have < value, "LESS_THAN_EQUALS": have <= value}[operation]


def candidates(rows, predicates):
    """Rows that may match; ids named by the filter are looked up instead of searched."""
    for predicate in predicates:
        if predicate.get("field") == "id" and predicate["operation"] in ("IN", "EQUALS"):
            ids = predicate["value"]
            ids = ids if isinstance(ids, list) else [ids]
            return [rows[i] for i in dict.fromkeys(ids) if i in rows]
    return list(rows.values())


def _order(sort_by, kind):
    words = sort_by.lower().split()
    if len(words) > 2 or (len(words) == 2 and words[1] not in ("asc", "desc")):
        raise invalid_input(f'Received invalid sort by format "{sort_by}". Supported format: '
                            '"field_name", "field_name desc", or "field_name asc"')
    if not words:
        return "created", False
    if words[0] not in FIELDS[kind]:
        raise invalid_input(f'Invalid sorting field: "{words[0]}" on listable type '
                            f"{kind.capitalize()}")
    return FIELDS[kind][words[0]], len(words) == 2 and words[1] == "desc"


def page(rows, kind, query, tags=False, keep=None, v1=False):
    """(rows of the page, total, next token) of a dict id -> row, narrowed by `keep(row)`."""
    try:
        size = int(query.get("page_size") or 0)
    except ValueError:
        raise invalid_input(f"parsing field \"page_size\": {query['page_size']}") from None
    if size < 0:
        raise invalid_input(f"The page size should be greater than 0. Got {size}")
    size = min(size or PAGE_DEFAULT, PAGE_MAX)
    sort_by, encoded = query.get("sort_by", ""), query.get("filter", "")
    after = None
    if query.get("page_token"):
        try:
            token = json.loads(base64.b64decode(query["page_token"], validate=True))
            after, field, desc = token["after"], token["field"], token["desc"]
            filter_text = token["filter"]
        except (ValueError, KeyError, TypeError) as error:
            raise invalid_input_details(str(error), "Invalid page token") from None
        same_order = not sort_by or _order(sort_by, kind) == (field, desc)
        if (sort_by or encoded) and (not same_order or encoded != filter_text):
            raise invalid_input("page token does not match the supplied sort by and/or filtering "
                                "criteria. Either specify the same criteria or leave the latter "
                                "empty if page token is specified")
        encoded = filter_text
    else:
        field, desc = _order(sort_by, kind)
    predicates = parse_filter(encoded, kind, tags, v1)
    found = [row for row in candidates(rows, predicates)
             if (keep is None or keep(row)) and all(_holds(row, p) for p in predicates)]
    found.sort(key=lambda row: (_key(row, field), row["id"]), reverse=desc)
    total = len(found)
    if after is not None:
        start = tuple(after)
        found = [row for row in found if _after((_key(row, field), row["id"]), start, desc)]
    token = ""
    if len(found) > size:
        first = found[size]
        token = base64.b64encode(json.dumps(
            {"after": [_key(first, field), first["id"]], "field": field, "desc": desc,
             "filter": encoded}).encode()).decode()
    return found[:size], total, token


def _key(row, field):
    value = row.get(field)
    return ("" if isinstance(value, str) or field not in ("created", "finished", "scheduled",
                                                          "last_run") else 0) \
        if value is None else value


def _after(key, start, desc):
    return key <= start if desc else key >= start
