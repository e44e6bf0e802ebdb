"""v1beta1: what a v2 server still serves of it, and the little that a 1.8 server is asked."""

import os
import re

from . import listing, workflow as wf
from .api import plain
from .errors import ApiError, ABORTED, not_found
from .store import rfc3339


class ApiV1:
    def __init__(self, api):
        self.api = api
        self.store = api.store

    def healthz(self, _request):
        return {"commit_sha": "74c7773ca40decfd0d4ed40dc93a6af591bbc190",
                "tag_name": ".".join(map(str, self.api.version)),
                "multi_user": self.api.auth.multi_user}

    def run_value(self, row):
        references = [{"key": {"type": "EXPERIMENT", "id": row["experiment_id"]},
                       "relationship": "OWNER"}]
        if row["namespace"]:
            references.append({"key": {"type": "NAMESPACE", "id": row["namespace"]},
                               "relationship": "OWNER"})
        if row["version_id"]:
            references.append({"key": {"type": "PIPELINE_VERSION", "id": row["version_id"]},
                               "relationship": "CREATOR"})
        return plain({
            "id": row["id"], "name": row["display_name"],
            "storage_state": "STORAGESTATE_" + row["storage_state"],
            "description": row["description"],
            "pipeline_spec": plain({"pipeline_id": row["pipeline_id"], "runtime_config": plain(
                {"parameters": row["parameters"], "pipeline_root": row["pipeline_root"]})}),
            "resource_references": references, "service_account": row["service_account"],
            "created_at": rfc3339(row["created"]), "scheduled_at": rfc3339(row["created"]),
            "finished_at": rfc3339(row["finished"]), "status": row["status"]})

    def runs_get(self, request, key):
        """The run with the Argo workflow in it: the only place that has causes of failures."""
        row = self.store.runs.get(key)
        if row is None:
            raise not_found("Run", key).wrap("Failed to get a v1beta1 run")
        self.api.allow(request, row["namespace"], "get", "runs", "Failed to get a v1beta1 run")
        answer = {"run": self.run_value(row)}
        workflow = self.store.workflows.get(row["workflow"])
        if workflow is not None and workflow["order"]:
            text = wf.manifest(workflow, self.api.runner.workflow_bytes_max)
            answer["pipeline_runtime"] = {"workflow_manifest": text}
        return answer

    def runs_list(self, request):
        rows, total, token = listing.page(self.store.runs, "run", request.query, v1=True)
        return plain({"runs": [self.run_value(r) for r in rows], "total_size": total,
                      "next_page_token": token}) if rows else {}

    def log(self, run_id, pod):
        """Text of a pod's container `main`. Only pod names are known, not node ids."""
        row = self.store.runs.get(run_id)
        if row is None:
            raise ApiError(ABORTED, f"BadRequestError: Failed to read logs for run {run_id} due to "
                           f"run fetching error: ResourceNotFoundError: Run {run_id} not found")
        workflow = self.store.workflows.get(row["workflow"], {"nodes": {}})
        made = next((n for n in workflow["nodes"].values() if n["pod"] == pod), None)
        if made is None or not re.fullmatch(r"[a-z0-9.-]+", pod):
            raise ApiError(ABORTED, f"BadRequestError: Failed to read logs for run {run_id}: "
                           f"InternalServerError: Failed to read logs from pod {pod} due to error "
                           f'opening log stream: pods "{pod}" not found')
        path = os.path.join(self.store.run_folder(workflow["id"]), "pods",
                            ".".join(made["task"]) + ".log")
        if not made["template"].endswith("-impl") or not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read()
