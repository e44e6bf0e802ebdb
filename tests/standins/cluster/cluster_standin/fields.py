"""managedFields: who owns which field, as the API server keeps it, and server-side apply.

A field is a tuple of path elements in the server's own spelling: "f:spec", 'k:{"name":"a"}' for an
item of a keyed list, 'v:"a"' for an item of a set. Lists without a declared type are atomic. The
schema of the CRD says which list is what; metadata has its own small one.
"""

import copy
import json

METADATA = {"type": "object", "properties": {
    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    "finalizers": {"type": "array", "x-kubernetes-list-type": "set"}}}
OF_SERVER = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
             "managedFields", "selfLink", "generateName", "deletionTimestamp"}


class Conflict(Exception):
    """Others own fields of an apply: [(managedFields entry, path)]."""

    def __init__(self, found):
        super().__init__("apply conflict")
        self.found = found


def _member(schema, name):
    properties = schema.get("properties", {})
    if name in properties:
        return properties[name]
    more = schema.get("additionalProperties")
    return more if isinstance(more, dict) else {}


def _item(schema, value):
    """The path element of a list's item."""
    if schema.get("x-kubernetes-list-type") == "set":
        return "v:" + json.dumps(value, separators=(",", ":"))
    keys = schema.get("x-kubernetes-list-map-keys", [])
    chosen = {key: value[key] for key in sorted(keys) if key in value}
    return "k:" + json.dumps(chosen, separators=(",", ":"))


def _is_granular(value, schema):
    if isinstance(value, dict):
        return schema.get("x-kubernetes-map-type") != "atomic"
    return isinstance(value, list) and schema.get("x-kubernetes-list-type") in ("set", "map")


def owned(value, schema, path=()):
    """{path: value} of everything that can be owned in an object's member."""
    if not _is_granular(value, schema) or not value:
        return {path: value} if path else {}
    found = {}
    if isinstance(value, dict):
        for name, member in value.items():
            found.update(owned(member, _member(schema, name), (*path, f"f:{name}")))
        return found
    for item in value:
        below = (*path, _item(schema, item))
        found[below] = None
        if isinstance(item, dict):
            found.update(owned(item, schema.get("items", {}), below))
    return found


def without_server_fields(obj):
    kept = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "status")}
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key not in OF_SERVER}
    kept.pop("metadata", None)
    if metadata:
        kept["metadata"] = metadata
    return kept


def encode(paths):
    """FieldsV1 of a set of paths."""
    root = {}
    for path in sorted(paths):
        node = root
        for element in path:
            node = node.setdefault(element, {})
        if path[-1].startswith("k:"):
            node.setdefault(".", {})
    return root


def decode(fields, path=()):
    """The paths of a FieldsV1."""
    found = set()
    members = {name: below for name, below in fields.items() if name != "."}
    if path and (not members or "." in fields):
        found.add(path)
    for name, below in members.items():
        found |= decode(below, (*path, name))
    return found


def show(path):
    """.spec.a[name="x"].b, as in the server's messages."""
    text = ""
    for element in path:
        kind, rest = element[:2], element[2:]
        if kind == "f:":
            text += "." + rest
        elif kind == "k:":
            keys = json.loads(rest)
            text += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in keys.items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def _merge(live, patch, schema):
    """The patch laid over the live value; atomic values are replaced whole."""
    if not _is_granular(patch, schema) or type(live) is not type(patch):
        return copy.deepcopy(patch)
    if isinstance(patch, dict):
        for name, member in patch.items():
            live[name] = _merge(live.get(name), member, _member(schema, name))
        return live
    by_key = {_item(schema, item): index for index, item in enumerate(live)}
    for item in patch:
        index = by_key.get(_item(schema, item))
        if index is None:
            live.append(copy.deepcopy(item))
        else:
            live[index] = _merge(live[index], item, schema.get("items", {}))
    return live


def _remove(value, path, schema):
    """Takes one field away, and what is empty then."""
    if value is None:
        return
    element, rest = path[0], path[1:]
    if element.startswith("f:"):
        name = element[2:]
        if not isinstance(value, dict) or name not in value:
            return
        if rest:
            _remove(value[name], rest, _member(schema, name))
        if not rest or value[name] in ({}, []):
            del value[name]
        return
    for index, item in enumerate(value):
        if _item(schema, item) == element:
            if rest:
                _remove(item, rest, schema.get("items", {}))
            else:
                del value[index]
            return


def _entry(manager, operation, api_version, paths, time, subresource=""):
    entry = {"manager": manager, "operation": operation, "apiVersion": api_version, "time": time,
             "fieldsType": "FieldsV1", "fieldsV1": encode(paths)}
    if subresource:
        entry["subresource"] = subresource
    return entry


def _split(obj, manager, operation, subresource=""):
    """(the manager's entry or None, the entries of the others)."""
    mine, others = None, []
    for entry in obj["metadata"].get("managedFields", []):
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == \
                (manager, operation, subresource):
            mine = entry
        else:
            others.append(entry)
    return mine, others


def _lose(entries, paths):
    """The entries without these paths, and without those that own nothing then."""
    kept = []
    for entry in entries:
        left = decode(entry["fieldsV1"]) - paths
        if left:
            kept.append({**entry, "fieldsV1": encode(left)})
    return kept


def updated(before, after, schema, manager, time, subresource=""):
    """Notes in `after` that `manager` wrote what differs from `before` (None: everything)."""
    keep = (lambda obj: {"status": obj.get("status", {})}) if subresource == "status" \
        else without_server_fields
    old = owned(keep(before), schema) if before else {}
    new = owned(keep(after), schema)
    changed = {path for path, value in new.items() if path not in old or old[path] != value}
    gone = set(old) - set(new)
    if not changed and not gone:
        return
    mine, others = _split(after, manager, "Update", subresource)
    others = _lose(others, changed | gone)
    paths = ((decode(mine["fieldsV1"]) if mine else set()) - gone) | changed
    if paths:
        others.append(_entry(manager, "Update", after["apiVersion"], paths, time, subresource))
    after["metadata"]["managedFields"] = others


def apply(live, patch, schema, manager, force, time):
    """The object after a server-side apply; raises Conflict. `live` None: it is made."""
    wanted = owned(without_server_fields(patch), schema)
    result = copy.deepcopy(live) if live else {"apiVersion": patch["apiVersion"],
                                               "kind": patch["kind"], "metadata": {}}
    mine, others = _split(result, manager, "Apply")
    now = owned(without_server_fields(live), schema) if live else {}
    found = []
    for entry in others:
        for path in sorted(decode(entry["fieldsV1"]) & set(wanted)):
            if path in now and now[path] != wanted[path] and wanted[path] != {}:
                found.append((entry, path))
    if found and not force:
        raise Conflict(found)
    others = _lose(others, {path for _, path in found})
    body = without_server_fields(patch)
    for name, member in body.items():
        result[name] = _merge(result.get(name), member, _member(schema, name))
    of_others = set().union(*[decode(entry["fieldsV1"]) for entry in others])
    before = decode(mine["fieldsV1"]) if mine else set()
    for path in sorted(before - set(wanted) - of_others, key=len):  # an item before its members
        if not any(other[:len(path)] == path for other in set(wanted) | of_others):
            _remove(result, path, schema)
    same = mine is not None and before == set(wanted)
    entry = _entry(manager, "Apply", patch["apiVersion"], set(wanted),
                   mine["time"] if same else time)
    result["metadata"]["managedFields"] = [entry, *others]
    return result


def conflict_causes(error):
    """(message, causes) of the Status of a Conflict, in the server's words."""
    def printed(entry):
        text = json.dumps(entry["manager"])
        if entry.get("subresource"):
            text += f' with subresource "{entry["subresource"]}"'
        if entry["operation"] == "Update":
            text += f" using {entry['apiVersion']} at {entry['time']}"
        return text

    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {printed(entry)}",
               "field": show(path)} for entry, path in error.found]
    if len(error.found) == 1:
        entry, path = error.found[0]
        return f"Apply failed with 1 conflict: conflict with {printed(entry)}: {show(path)}", causes
    lines = []
    for manager in sorted({printed(entry) for entry, _ in error.found}):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {show(path)}" for entry, path in error.found if printed(entry) == manager]
    return f"Apply failed with {len(error.found)} conflicts: " + "\n".join(lines), causes
