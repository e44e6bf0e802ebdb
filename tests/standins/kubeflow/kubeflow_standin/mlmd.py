"""ML Metadata over gRPC-Web: what the runs' tasks did and made.

Each run whose workflow has started has a context; each of its tasks an execution; each output an
artifact with an event. Artifacts of executed runs are what the tasks wrote; those of scripted runs
are told by a test. With a folder of objects the files are put below
<bucket>/<pipeline root>/<pipeline>/<run>/<task>/<uuid>/<name>, where an S3 store can serve them.

All of it is kept in the workflow ("mlmd"), so that it survives a restart; ids are one sequence over
all runs. Read with the store's lock held.
"""

import base64
import os
import pathlib
import re
import shutil

from . import wire
from .store import new_id, now

PATH = "/ml_metadata.MetadataStoreService/"
CONTENT = "application/grpc-web+proto"
CONTEXT_TYPE = 11
EXECUTION_TYPES = {"system.DAGExecution": 12, "system.ContainerExecution": 13}
ARTIFACT_TYPES = {"system.Metrics": 15, "system.Model": 16, "system.Dataset": 17,
                  "system.ClassificationMetrics": 18, "system.SlicedClassificationMetrics": 19,
                  "system.HTML": 20, "system.Markdown": 21, "system.Artifact": 22}
STATES = {"Pending": 1, "Running": 2, "Succeeded": 3, "Failed": 4, "Error": 4}
CACHED = 5
SESSION = '{"Provider":"minio","Params":{"fromEnv":"true"}}'
INPUT, OUTPUT = 3, 4
INVALID_ARGUMENT, UNIMPLEMENTED = 3, 12


class GrpcError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class Metadata:
    def __init__(self, store, objects=None):
        self.store = store
        self.objects = pathlib.Path(objects) if objects else None
        used = [key for workflow in store.workflows.values() for key in self._ids(workflow)]
        self._next = max(used, default=0) + 1

    @staticmethod
    def _ids(workflow):
        kept = workflow.get("mlmd")
        if kept is None:
            return []
        return [kept["context"], *kept["executions"].values(), *(a["id"] for a in kept["artifacts"])]

    def _id(self):
        self._next += 1
        return self._next - 1

    # -- what runs write

    def root(self, workflow):
        """The pipeline root of a run, as the launcher works it out."""
        run = self.store.runs.get(workflow["run_id"], {})
        if run.get("pipeline_root"):
            return run["pipeline_root"].rstrip("/")
        space = run.get("namespace")
        return f"minio://mlpipeline/private-artifacts/{space}/v2/artifacts" if space else \
            "minio://mlpipeline/v2/artifacts"

    def kept(self, workflow):
        """The workflow's metadata, with ids for all tasks that have begun; None before it starts."""
        if not workflow["phase"]:
            return None
        if "mlmd" not in workflow:
            workflow["mlmd"] = {"context": self._id(), "executions": {}, "artifacts": [],
                                "inputs": [], "outputs": {}, "cached": []}
        kept = workflow["mlmd"]
        new = [path for path in self._tasks(workflow) if path not in kept["executions"]]
        for path in new:
            kept["executions"][path] = self._id()
        if new:
            self.store.touch("workflows", workflow)
        return kept

    @staticmethod
    def _tasks(workflow):
        """{dotted path: node} of the root ("") and of all tasks that have an execution."""
        found = {}
        for key in workflow["order"]:
            made = workflow["nodes"][key]
            if made["type"] == "DAG" and made["template"] != "entrypoint" and made["phase"] in STATES:
                found[".".join(made["task"])] = made
        return found

    def record(self, workflow, path, outputs, artifacts, inputs):
        """A task's outputs: parameters, artifacts {name, type, metadata, path} and inputs {key, path}."""
        kept = self.kept(workflow)
        if kept is None:
            return
        task = ".".join(path)
        kept["outputs"][task] = outputs
        by_path = {a["path"]: a["id"] for a in kept["artifacts"] if a.get("path")}
        for given in inputs:
            if given["path"] in by_path:
                kept["inputs"].append([task, by_path[given["path"]], given["key"]])
        for given in artifacts:
            self.add(workflow, task, given)
        self.store.touch("workflows", workflow)

    def add(self, workflow, task, given):
        """One artifact; its files become objects. `given`: name, type, metadata?, uri?, path?,
        files? {name: text or {"base64"}}. Returns its uri."""
        kept = self.kept(workflow)
        if kept is None:
            raise ValueError("the run has not started")
        if given["type"] not in ARTIFACT_TYPES:
            raise ValueError(f"unknown type {given['type']!r}")
        uri = given.get("uri") or "/".join([
            self.root(workflow), self.pipeline(workflow), workflow["run_id"], task.split(".")[-1], new_id(),
            given["name"]])
        kept["artifacts"].append({
            "id": self._id(), "name": given["name"], "type": given["type"], "uri": uri, "task": task,
            "metadata": given.get("metadata", {}), "path": given.get("path", ""), "at": now()})
        if given.get("cached") and task not in kept["cached"]:
            kept["cached"].append(task)
        self._put(uri, given)
        self.store.touch("workflows", workflow)
        return uri

    def _put(self, uri, given):
        match = re.match(r"^(?:minio|s3)://([^/]+)/(.+)$", uri)
        if self.objects is None or not match or ".." in uri.split("/"):
            return
        target = self.objects / match.group(1) / match.group(2)
        target.parent.mkdir(parents=True, exist_ok=True)
        source = given.get("path", "")
        if source and os.path.isdir(source):
            shutil.copytree(source, target)
        elif source and os.path.isfile(source):
            shutil.copyfile(source, target)
        for name, content in given.get("files", {}).items():
            if ".." in name.split("/"):
                raise ValueError(f"bad name {name!r}")
            data = content.encode() if isinstance(content, str) else \
                base64.b64decode(content["base64"])
            file = target / name if name else target
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

    # -- what is asked

    def answer(self, request):
        """(status, content type, body); errors are trailers in the headers, as Envoy sends them."""
        kind = request.headers.get("Content-Type", "").split(";")[0]
        if kind not in (CONTENT, "application/grpc-web") or request.method != "POST":
            return 415, "text/plain", b""
        calls = {"GetContextByTypeAndName": self._context, "GetArtifactsByContext": self._artifacts,
                 "GetExecutionsByContext": self._executions, "GetArtifactTypes": self._types,
                 "GetEventsByExecutionIDs": self._events, "GetArtifactsByID": self._by_id}
        try:
            call = calls.get(request.path[len(PATH):])
            if call is None:
                raise GrpcError(UNIMPLEMENTED, "unknown method")
            try:
                message = wire.read(wire.unframe(request.body))
            except ValueError as error:
                raise GrpcError(INVALID_ARGUMENT, f"{error}") from None
            return 200, CONTENT, wire.frames(call(message))
        except GrpcError as error:
            request.answer_headers = {"grpc-status": str(error.code), "grpc-message": error.message}
            return 200, CONTENT, b""

    def _workflow_of(self, context_id):
        for workflow in self.store.workflows.values():
            kept = self.kept(workflow)
            if kept is not None and kept["context"] == context_id:
                return workflow, kept
        return None, None

    def _context(self, message):
        type_name, name = (message.get(n, [b""])[0].decode() for n in (1, 2))
        if type_name != "system.PipelineRun":
            return b""
        for workflow in self.store.workflows.values():
            kept = self.kept(workflow) if workflow["run_id"] == name else None
            if kept is not None:
                custom = {"namespace": workflow["namespace"],
                          "pipeline_root": f"{self.root(workflow)}/{self.pipeline(workflow)}/"
                                           f"{name}", "store_session_info": SESSION}
                return wire.field(1, wire.context(kept["context"], CONTEXT_TYPE, name, custom,
                                                  "system.PipelineRun"))
        return b""

    @staticmethod
    def pipeline(workflow):
        """The pipeline's name: the workflow's without its random end."""
        return workflow["name"].rsplit("-", 1)[0]

    @staticmethod
    def _page(items, options):
        """(the items of the page, token of the next)."""
        options = wire.read(options) if options else {}
        size = options.get(1, [20])[0]
        if 4 in options:
            raise GrpcError(UNIMPLEMENTED, "filter_query is not known here")
        if not 1 <= size <= 100:
            raise GrpcError(INVALID_ARGUMENT, "max_result_size value is not in [1, 100]")
        token = options.get(3, [b""])[0]
        try:
            at = int(base64.b64decode(token, validate=True)) if token else 0
        except ValueError:
            raise GrpcError(INVALID_ARGUMENT, "Invalid next_page_token") from None
        more = base64.b64encode(str(at + size).encode()) if at + size < len(items) else None
        return items[at:at + size], more

    def _artifact(self, entry):
        custom = {"display_name": entry["name"], **entry["metadata"]}
        if entry["type"] == "system.Model":
            custom.setdefault("store_session_info", SESSION)
        return wire.artifact(entry["id"], ARTIFACT_TYPES[entry["type"]], entry["uri"], custom,
                             entry["name"], entry["type"])

    def _artifacts(self, message):
        _, kept = self._workflow_of(message.get(1, [0])[0])
        items, more = self._page(kept["artifacts"] if kept else [], message.get(2, [b""])[0])
        return wire.repeated(1, map(self._artifact, items)) + wire.field(2, more)

    def _by_id(self, message):
        wanted = set(wire.read_ids(message.get(1, [])))
        items = [entry for workflow in self.store.workflows.values()
                 for entry in (workflow.get("mlmd") or {"artifacts": []})["artifacts"]
                 if entry["id"] in wanted]
        return wire.repeated(1, map(self._artifact, items))

    def _executions(self, message):
        workflow, kept = self._workflow_of(message.get(1, [0])[0])
        nodes = self._tasks(workflow) if workflow else {}
        items, more = self._page(list(nodes.items()), message.get(2, [b""])[0])
        made = [self._execution(workflow, kept, task, node) for task, node in items]
        return wire.repeated(1, made) + wire.field(2, more)

    @staticmethod
    def _execution(workflow, kept, task, node):
        name = "run/" + workflow["run_id"] if not task else None
        custom = {"display_name": node["task"][-1] if task else "root"}
        kind = "system.DAGExecution"
        state = STATES[node["phase"]]
        if task:
            custom["task_name"] = node["task"][-1]
            custom["parent_dag_id"] = kept["executions"].get(".".join(node["task"][:-1]), 0)
        if node["template"] == "system-container-executor":
            kind = "system.ContainerExecution"
            pods = [n["pod"] for n in workflow["nodes"].values()
                    if n["task"] == node["task"] and n["template"] == "system-container-impl"]
            if pods:
                custom["pod_name"] = pods[0]
            if kept["outputs"].get(task):
                custom["outputs"] = wire.Outputs(kept["outputs"][task])
            if task in kept["cached"]:
                custom["cached_execution_id"], state = "1", CACHED
        return wire.execution(kept["executions"][task], EXECUTION_TYPES[kind], state, custom, name, kind)

    def _events(self, message):
        wanted = set(wire.read_ids(message.get(1, [])))
        made = []
        for workflow in self.store.workflows.values():
            kept = workflow.get("mlmd")
            if kept is None:
                continue
            for entry in kept["artifacts"]:
                execution = kept["executions"].get(entry["task"])
                if execution in wanted:
                    made.append(wire.event(entry["id"], execution, entry["name"], OUTPUT,
                                           entry["at"] * 1000))
            for task, artifact, key in kept["inputs"]:
                if kept["executions"].get(task) in wanted:
                    made.append(wire.event(artifact, kept["executions"][task], key, INPUT,
                                           now() * 1000))
        return wire.repeated(1, made)

    @staticmethod
    def _types(_message):
        return wire.repeated(1, (wire.artifact_type(key, name) for name, key in ARTIFACT_TYPES.items()))
