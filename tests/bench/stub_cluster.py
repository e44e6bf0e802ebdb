"""The serving half of stub.py: InferenceServices as Knative has them, their models' records and files, and answers.

A service that is changed is ready at once, or when it is released. Every run has left one model, in a folder of its
own name. As in stub.py nothing is checked.
"""

import json
import os
import pathlib
import sys

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "standins" / "kubeflow"))

from kubeflow_standin import wire  # noqa: E402

API = "/apis/serving.kserve.io/v1beta1"
DOMAIN = "example.com"
BUCKET = "mlpipeline"
CRD = "specs/kserve/inferenceservices_v0.16.0.crd.yaml"


def missing(name: str) -> dict:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
            "message": f'inferenceservices.serving.kserve.io "{name}" not found',
            "details": {"name": name, "group": "serving.kserve.io", "kind": "inferenceservices"}}


def merged(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        found[key] = merged(found.get(key), value)
    return {key: value for key, value in found.items() if value is not None}


def schema() -> dict:
    """The published one, as large as it is, when it is at hand."""
    path = pathlib.Path(os.environ.get("KFOPS_SHARED", "/nonexistent")) / CRD
    if not path.exists():
        return {"type": "object", "properties": {"spec": {"type": "object", "properties": {"predictor": {}}}}}
    versions = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]["versions"]
    return next(each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == "v1beta1")


class Service:
    """An object with what KServe and Knative make of it."""

    def __init__(self, obj: dict):
        self.object = obj
        self.generation, self.version = 0, 100
        self.created = self.ready = self.rolled_out = self.previous = ""
        self.count = 0
        obj["metadata"]["uid"] = "55555555-0000-4000-8000-000000000000"

    def change(self, obj: dict, is_ready: bool) -> None:
        if self.template(obj) != self.template(self.object) or not self.created:
            self.count += 1
            self.created = f"{obj['metadata']['name']}-predictor-{self.count:05d}"
        self.object = obj
        self.generation += 1
        self.settle(is_ready)

    @staticmethod
    def template(obj: dict):
        predictor = {k: v for k, v in obj["spec"]["predictor"].items() if k != "canaryTrafficPercent"}
        return predictor, obj["metadata"].get("annotations")

    def settle(self, is_ready: bool) -> None:
        """What the controllers would do now."""
        self.version += 1
        if is_ready:
            self.ready = self.created
        if self.ready == self.created and self.percent() == 100 and self.rolled_out != self.created:
            self.previous, self.rolled_out = self.rolled_out, self.created

    def percent(self) -> int:
        return self.object["spec"]["predictor"].get("canaryTrafficPercent", 100) if self.rolled_out else 100

    def traffic(self) -> list[dict]:
        name, space = self.object["metadata"]["name"], self.object["metadata"]["namespace"]
        newest = {"revisionName": self.ready, "percent": self.percent(), "latestRevision": True, "tag": "latest",
                  "url": f"http://latest-{name}-predictor.{space}.{DOMAIN}"}
        if self.rolled_out in ("", self.ready):
            return [{**newest, "percent": 100}] if self.ready else []
        return [newest, {"revisionName": self.rolled_out, "percent": 100 - self.percent(), "tag": "prev",
                         "latestRevision": False, "url": f"http://prev-{name}-predictor.{space}.{DOMAIN}"}]

    def shown(self) -> dict:
        meta = self.object["metadata"]
        ready = "True" if self.ready == self.created else "Unknown"
        component = {"latestCreatedRevision": self.created, "latestReadyRevision": self.ready,
                     "latestRolledoutRevision": self.rolled_out, "previousRolledoutRevision": self.previous,
                     "traffic": self.traffic()}
        status = {"deploymentMode": "Knative", "observedGeneration": self.generation,
                  "url": f"http://{meta['name']}.{meta['namespace']}.{DOMAIN}",
                  "components": {"predictor": {k: v for k, v in component.items() if v}},
                  "conditions": [{"type": kind, "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}
                                 for kind in ("Ready", "PredictorReady")],
                  "modelStatus": {"transitionStatus": "UpToDate" if ready == "True" else "InProgress",
                                  "states": {"activeModelState": "Loaded",
                                             "targetModelState": "Loaded" if ready == "True" else "Loading"}}}
        return {**self.object, "status": status,
                "metadata": {**meta, "generation": self.generation, "resourceVersion": str(self.version)}}


class Cluster:
    def __init__(self):
        self.services: dict[str, Service] = {}
        self.holds = False
        self.openapi = json.dumps({"openapi": "3.0.0", "components": {"schemas": {
            "io.kserve.serving.v1beta1.InferenceService": schema()}}}).encode()

    def set(self, wish: dict) -> None:
        self.holds = wish.get("holds", self.holds)
        if not self.holds:
            for service in self.services.values():
                service.settle(True)

    def answer(self, method: str, path: str, query: dict, body: bytes):
        """None when the path is of another far side."""
        if path.startswith("/ml_metadata."):
            return 200, (wire.frames(metadata(path, body)), "application/grpc-web+proto")
        if path == f"/{BUCKET}" or path.startswith(f"/{BUCKET}?") or path.startswith(f"/{BUCKET}/"):
            return 200, (listing(query.get("prefix", "")), "application/xml")
        if path.endswith(":predict"):
            return 200, {"predictions": [1] * len(json.loads(body)["instances"])}
        if path == "/openapi/v3":
            return 200, {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={'A' * 128}"}
                                   for name in [API[1:], *(f"apis/g{i}.example.com/v1" for i in range(80))]}}
        if path.startswith("/openapi/v3/"):
            return 200, (self.openapi, "application/json")
        if path == API:
            return 200, {"kind": "APIResourceList", "groupVersion": "serving.kserve.io/v1beta1",
                         "resources": [{"name": "inferenceservices", "kind": "InferenceService", "namespaced": True}]}
        if path.startswith(f"{API}/"):
            return self.object(method, path.rpartition("/inferenceservices")[2].strip("/"), query, body)
        return None

    def object(self, method: str, name: str, query: dict, body: bytes):
        found = self.services.get(name)
        if method == "GET":
            return (200, found.shown()) if found else (404, missing(name))
        if method == "DELETE":
            self.services.pop(name, None)
            return 200, {"kind": "Status", "status": "Success"}
        given = json.loads(body)
        if method == "PATCH":
            given["metadata"].pop("resourceVersion", None)
            given = merged(found.object, given)
        name = given["metadata"]["name"]
        if "dryRun" in query:
            return 200, given
        if not found:
            found = self.services[name] = Service(given)
        found.change(given, not self.holds)
        return 200, found.shown()


def metadata(path: str, body: bytes) -> bytes:
    """A run is its own context: the number at the end of its id."""
    call, message = path.rpartition("/")[2], wire.read(wire.unframe(body))
    if call == "GetContextByTypeAndName":
        run = message[2][0].decode()
        return wire.field(1, wire.context(int(run.replace("-", "")[-15:], 16), 11, run, {}, "system.PipelineRun"))
    if call == "GetArtifactsByContext":
        uri = f"minio://{BUCKET}/models/{message[1][0]}/"
        return wire.repeated(1, [wire.artifact(7, 16, uri, {"display_name": "model"}, "model", "system.Model")])
    if call == "GetExecutionsByContext":
        return wire.repeated(1, [wire.execution(8, 13, 3, {"task_name": "train"}, "train",
                                                "system.ContainerExecution")])
    return wire.repeated(1, [wire.event(7, 8, "model", 4, 0)])


def listing(prefix: str) -> bytes:
    return (f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false'
            f"</IsTruncated><Contents><Key>{prefix}model.joblib</Key><Size>1234</Size><ETag>&quot;{'a' * 32}&quot;"
            "</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>").encode()
