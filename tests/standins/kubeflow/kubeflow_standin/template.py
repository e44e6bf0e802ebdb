"""Pipeline packages, read as the server's NewV2SpecTemplate and NewArgoTemplate read them."""

import gzip
import io
import json
import re
import tarfile
import zipfile

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from .errors import invalid_input, invalid_input_details

FILE_BYTES_MAX = 32 << 20
_SPEC_BAD = "pipeline spec is invalid"
_PLATFORM_BAD = "platform spec is invalid"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Members of the formats that servers of 2.5 do not know yet.
_SPEC_NEW = {"literals", "taskConfigPassthroughs", "downloadToWorkspace", "customPath"}
_PLATFORM_NEW = {"workspace", "resourceTtlOnCompletion", "resourceTtlOnSuccess",
                 "resourceTtlOnFailure", "activeDeadlineSeconds"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Template:
    """A package that the server accepts: IR (`spec`, perhaps `platform`) or Argo (`workflow`)."""

    def __init__(self, spec=None, platform=None, workflow=None):
        self.spec = spec
        self.platform = platform
        self.workflow = workflow

    @property
    def is_v2(self):
        return self.spec is not None

    @property
    def name(self):
        if self.is_v2:
            return self.spec["pipelineInfo"]["name"]
        meta = self.workflow.get("metadata", {})
        return (meta.get("name") or meta.get("generateName", "workflow-")).rstrip("-")

    def as_struct(self):
        """The pipeline_spec member of API answers."""
        if not self.is_v2:
            return self.workflow
        if self.platform is not None:
            return {"pipeline_spec": self.spec, "platform_spec": self.platform}
        return self.spec


def read_package(file_name, data):
    """What an uploaded file holds; the name decides, then the first bytes."""
    if len(data) > FILE_BYTES_MAX:
        raise invalid_input(f"File size too large. Maximum supported size: {FILE_BYTES_MAX}")
    if file_name.endswith((".yaml", ".yml", ".json")):
        return data
    try:
        if data[:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = archive.namelist()
                name = "pipeline.yaml" if "pipeline.yaml" in names else names[0]
                if not name.endswith((".yaml", ".yml")):
                    raise invalid_input("Error extracting pipeline from the zip file. Expecting a "
                                        f"pipeline.yaml file inside the zip. Got: {name}")
                return archive.read(name)
        if data[:2] == b"\x1f\x8b":
            with tarfile.open(fileobj=gzip.GzipFile(fileobj=io.BytesIO(data))) as archive:
                members = archive.getmembers()
                chosen = next((m for m in members if m.name == "pipeline.yaml"), members[0])
                if not chosen.name.endswith((".yaml", ".yml")):
                    raise invalid_input("Error extracting pipeline from the tarball file. Expecting"
                                        f" a pipeline.yaml file inside the tarball. Got: "
                                        f"{chosen.name}")
                return archive.extractfile(chosen).read()
    except (OSError, IndexError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise invalid_input_details(str(error), "Error extracting pipeline from the archive") \
            from None
    raise invalid_input("Unexpected pipeline file format. Support .zip, .tar.gz, .json or YAML")


def _members(value):
    """Names of all members at any depth, without recursion."""
    names, todo = set(), [value]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            names.update(node)
            todo.extend(node.values())
        elif isinstance(node, list):
            todo.extend(node)
    return names


def _strict(value, message, unknown):
    """The value in proto3 JSON names when it is exactly such a message, else None."""
    if unknown & _members(value):
        return None
    try:
        parsed = json_format.ParseDict(value, message)
    except (json_format.ParseError, AttributeError, TypeError, ValueError, RecursionError):
        return None
    return parsed


def _plain(value):
    """YAML's dates and the like as text, so that the value can be written as JSON."""
    return json.loads(json.dumps(value, default=str))


def _documents(data):
    try:
        return [doc for doc in yaml.load_all(data, Loader=_LOADER) if isinstance(doc, dict)]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise invalid_input_details(_SPEC_BAD, f"unable to decode yaml document: {error}") from None


def load(data, version):
    """Bytes of YAML or JSON -> Template; ApiError as the server words it."""
    if not data:
        raise invalid_input_details(_SPEC_BAD, "unknown template format")
    try:
        documents = [_plain(doc) for doc in _documents(data)]
    except Exception as error:
        raise invalid_input_details(_SPEC_BAD, "unknown template format") from error
    if documents and str(documents[0].get("apiVersion", "")).startswith("argoproj.io/") and \
            documents[0].get("kind") == "Workflow":
        return _argo(documents[0])
    return _v2(documents, version)


def _v2(documents, version):
    spec = platform = None
    spec_new = _SPEC_NEW if version < (2, 14) else set()
    platform_new = _PLATFORM_NEW if version < (2, 14) else set()
    for doc in documents:
        message = _strict(doc, pipeline_spec_pb2.PipelineSpec(), spec_new)
        if message is not None and message.pipeline_info.name and message.HasField("root"):
            if spec is not None:
                raise invalid_input_details(_SPEC_BAD, "multiple pipeline specs provided")
            if message.schema_version != "2.1.0":
                raise invalid_input_details(
                    _SPEC_BAD, "KFP only supports schema version 2.1.0, but the pipeline spec has "
                    f"version {message.schema_version}")
            if not _NAME.search(message.pipeline_info.name):
                raise invalid_input_details(
                    _SPEC_BAD, "invalid v2 pipeline spec: name should consist of lower case "
                    "alphanumeric characters, '-' or '.', and must start and end with an "
                    "alphanumeric character")
            spec = json_format.MessageToDict(message)
            continue
        message = _strict(doc, pipeline_spec_pb2.PlatformSpec(), platform_new)
        if message is not None and "kubernetes" in message.platforms:
            if platform is not None:
                raise invalid_input_details(_PLATFORM_BAD, "multiple platform specs provided")
            platform = json_format.MessageToDict(message)
        # Any other document is ignored without a word, as the server does.
    if spec is None:
        raise invalid_input_details(_SPEC_BAD, "unknown template format")
    return Template(spec=spec, platform=platform)


def _argo(workflow):
    body = workflow.get("spec")
    if not isinstance(body, dict) or not body.get("entrypoint") or not body.get("templates"):
        raise invalid_input_details(_SPEC_BAD, "Failed to validate workflow: spec.entrypoint and "
                                    "spec.templates are required")
    names = [template.get("name") for template in body["templates"] if isinstance(template, dict)]
    if body["entrypoint"] not in names:
        raise invalid_input_details(_SPEC_BAD, f"template name '{body['entrypoint']}' undefined")
    return Template(workflow=workflow)


_TYPE_TEXT = {
    "STRING": ("string", "string"), "BOOLEAN": ("bool", "bool"), "LIST": ("list", "list"),
    "STRUCT": ("struct", "struct"),
}


def _fits(kind, value):
    if kind in ("NUMBER_DOUBLE", "NUMBER_INTEGER"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    wanted = {"STRING": str, "BOOLEAN": bool, "LIST": list, "STRUCT": dict}[kind]
    return isinstance(value, wanted)


def check_parameters(template, values):
    """The server's validatePipelineJobInputs; `values` None means no runtime configuration."""
    inputs = template.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values = values or {}
    for name, wanted in inputs.items():
        if name not in values:
            if not wanted.get("isOptional") and "defaultValue" not in wanted:
                raise invalid_input(f"parameter {name} is not optional, yet has neither default "
                                    "value nor user provided value")
            continue
        kind, value = wanted.get("parameterType"), values[name]
        if kind is None:
            raise invalid_input(f"input parameter {name} has unspecified type")
        if kind in ("NUMBER_DOUBLE", "NUMBER_INTEGER"):
            if not _fits(kind, value):
                raise invalid_input(f"input parameter {name} requires type double or integer, but "
                                    "the parameter value is not of number value type")
        elif kind in _TYPE_TEXT:
            if not _fits(kind, value):
                need, got = _TYPE_TEXT[kind]
                raise invalid_input(f"input parameter {name} requires type {need}, but the input "
                                    f"parameter is not of {got} value type")
        elif kind == "TASK_FINAL_STATUS":
            raise invalid_input(f"input parameter {name} requires type TASK_FINAL_STATUS, which is "
                                "invalid for root component")
        else:
            raise invalid_input(f"input parameter {name} requires type unknown")
        literals = wanted.get("literals")
        if literals and value not in literals:
            raise invalid_input(f'input parameter "{name}" value {json.dumps(value)} does not '
                                "match any of the allowed literal values: "
                                + json.dumps(literals))
    extra = [name for name in values if name not in inputs]
    if extra:
        raise invalid_input("parameter(s) provided are not required by pipeline: "
                            + ", ".join(extra))
