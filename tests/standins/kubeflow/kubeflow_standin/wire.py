"""Just enough protobuf and gRPC-Web: the messages of ML Metadata that a reader of runs needs.

Members are written in the order of their numbers, as protoc does. A request is read into
{number: [value, ...]}; varints as int, everything with a length as bytes.
"""

import struct


def varint(value):
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def field(number, value):
    """One member; None is left out."""
    if value is None:
        return b""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(int(value))
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def entry(number, key, value):
    """An entry of a map."""
    return field(number, field(1, key) + field(2, value))


def _struct_value(value):
    """google.protobuf.Value."""
    if value is None:
        return field(1, 0)
    if isinstance(value, bool):
        return field(4, int(value))
    if isinstance(value, (int, float)):
        return field(2, float(value))
    if isinstance(value, str):
        return field(3, value)
    if isinstance(value, dict):
        return field(5, struct_message(value))
    return field(6, b"".join(field(1, _struct_value(item)) for item in value))


def struct_message(value):
    """google.protobuf.Struct."""
    return b"".join(entry(1, key, _struct_value(member)) for key, member in value.items())


def value_message(value):
    """ml_metadata.Value; a list or an object is wrapped in a Struct, as the launcher does."""
    if isinstance(value, bool):
        return field(6, int(value))
    if isinstance(value, int):
        return field(1, value)
    if isinstance(value, float):
        return field(2, value)
    if isinstance(value, str):
        return field(3, value)
    if isinstance(value, Outputs):
        return field(4, struct_message(value.values))
    return field(4, struct_message({"list" if isinstance(value, list) else "struct": value}))


class Outputs:
    """A property that is a Struct itself, as `outputs` and `inputs` of an execution are."""

    def __init__(self, values):
        self.values = values


def properties(number, values):
    return b"".join(entry(number, key, value_message(value)) for key, value in values.items())


def context(key, type_id, name, custom, type_name):
    return (field(1, key) + field(2, type_id) + field(3, name) + properties(5, custom) +
            field(6, type_name))


def artifact(key, type_id, uri, custom, name, type_name):
    live = 2
    return (field(1, key) + field(2, type_id) + field(3, uri) + properties(5, custom) +
            field(6, live) + field(7, name) + field(8, type_name))


def execution(key, type_id, state, custom, name, type_name):
    return (field(1, key) + field(2, type_id) + field(3, state) + properties(5, custom) +
            field(6, name) + field(7, type_name))


def event(artifact_id, execution_id, key, kind, milliseconds):
    path = field(1, field(2, key))
    return (field(1, artifact_id) + field(2, execution_id) + field(3, path) + field(4, kind) +
            field(5, milliseconds))


def artifact_type(key, name):
    return field(1, key) + field(2, name)


def repeated(number, messages):
    return b"".join(field(number, message) for message in messages)


def _read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")


def read(data):
    """{number: [value, ...]}; ValueError when it is no message."""
    found, at = {}, 0
    try:
        while at < len(data):
            tag, at = _read_varint(data, at)
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value, at = _read_varint(data, at)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                value, at = data[at:at + size], at + size
            elif kind == 2:
                size, at = _read_varint(data, at)
                value, at = data[at:at + size], at + size
            else:
                raise ValueError(f"wire type {kind}")
            if at > len(data):
                raise ValueError("cut off")
            found.setdefault(number, []).append(value)
    except IndexError:
        raise ValueError("cut off") from None
    return found


def read_ids(values):
    """Repeated integers, packed or not."""
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            one, at = _read_varint(value, at)
            found.append(one)
    return found


def unframe(body):
    """The message of a request's one frame; ValueError."""
    if len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5], "big") != len(body) - 5:
        raise ValueError("not one whole frame")
    return body[5:]


def frames(message):
    """An answer: data, then trailers."""
    trailers = b"grpc-status:0\r\ngrpc-message:\r\n"
    return (b"\x00" + len(message).to_bytes(4, "big") + message +
            b"\x80" + len(trailers).to_bytes(4, "big") + trailers)
