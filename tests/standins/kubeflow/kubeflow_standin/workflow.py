"""Argo Workflows as the server's compiler would make them, and what the API shows of them.

A workflow is a dict: id (its uid), run_id, name, namespace, phase, message, started, finished,
nodes {id: node}, order [id]. A node: id, name, display, type, template, phase, message, started,
finished, children, pod (name of the pod, or None), task (path of task names), task_id.
"""

import base64
import gzip
import hashlib
import json
import re
import secrets

from .store import new_id, now, rfc3339

FINAL = {"Succeeded", "Failed", "Error", "Skipped", "Omitted"}
STATE_OF_PHASE = {
    "": "RUNTIME_STATE_UNSPECIFIED", "Pending": "PENDING", "Running": "RUNNING",
    "Succeeded": "SUCCEEDED", "Skipped": "SKIPPED", "Failed": "FAILED", "Error": "FAILED",
    "Omitted": "RUNTIME_STATE_UNSPECIFIED",
}
PHASE_OF_STATE = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "SKIPPED": "Skipped",
                  "RUNNING": "Running", "PENDING": "Pending", "CANCELED": "Failed"}
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def new(run, template_name, argo=None):
    """A workflow that has been created and has not started."""
    base = re.sub(r"[^a-z0-9-]+", "-", template_name.lower()).strip("-")[:52] or "workflow"
    name = base + "-" + "".join(secrets.choice(_ALPHABET) for _ in range(5))
    return {"id": new_id(), "run_id": run["id"], "name": name,
            "namespace": run["namespace"] or "kubeflow", "display_name": run["display_name"],
            "created": now(), "phase": "", "message": "", "started": 0, "finished": 0,
            "nodes": {}, "order": [], "argo": argo}


def _node_id(workflow, name):
    if name == workflow["name"]:
        return name
    digest = hashlib.blake2s(name.encode(), digest_size=4).digest()
    return f"{workflow['name']}-{int.from_bytes(digest, 'big')}"


def node(workflow, path, part):
    """The node of a task path and one of its parts: "dag", "driver" or "executor"; made if new.

    An empty path is the root. Names follow `<workflow>.root.<task>[.executor]`.
    """
    dotted = ".".join([workflow["name"], "root", *path])
    if part == "driver":
        name, display = dotted + "-driver", (path[-1] if path else "root") + "-driver"
    elif part == "executor":
        name, display = dotted + ".executor", "executor"
    else:
        name, display = dotted, path[-1] if path else "root"
    key = _node_id(workflow, name)
    if key in workflow["nodes"]:
        return workflow["nodes"][key]
    pod = None
    template = {"driver": "system-dag-driver" if not path else "system-container-driver",
                "executor": "system-container-impl", "container": "system-container-executor",
                "dag": "root" if not path else "comp-" + path[-1]}[part]
    if part in ("driver", "executor"):
        pod = f"{workflow['name']}-{template}-{key.rsplit('-', 1)[1]}"
    if path and part == "driver":
        parent = node(workflow, path[:-1], "dag")
    elif part == "executor":
        parent = node(workflow, path, "dag")
    elif path:
        parent = node(workflow, path[:-1], "dag")
    else:
        parent = entry(workflow)
    made = {"id": key, "name": name, "display": display, "type": "Pod" if pod else "DAG",
            "template": template, "phase": "Pending", "message": "", "started": now(),
            "finished": 0, "children": [], "pod": pod, "task": list(path), "task_id": new_id(),
            "boundary": parent["id"], "history": []}
    workflow["nodes"][key] = made
    workflow["order"].append(key)
    parent["children"].append(key)
    return made


def entry(workflow):
    """The node of the whole workflow."""
    key = workflow["name"]
    if key not in workflow["nodes"]:
        workflow["nodes"][key] = {
            "id": key, "name": key, "display": key, "type": "DAG", "template": "entrypoint",
            "phase": "Running", "message": "", "started": now(), "finished": 0, "children": [],
            "pod": None, "task": [], "task_id": new_id(), "boundary": "", "history": []}
        workflow["order"].insert(0, key)
    return workflow["nodes"][key]


def set_phase(made, phase, message=""):
    """Moves a node on; a final phase stays."""
    if made["phase"] in FINAL:
        return
    made["phase"] = phase
    made["message"] = message or made["message"]
    if phase in FINAL:
        made["finished"] = now()
    state = STATE_OF_PHASE[phase]
    if not made["history"] or made["history"][-1][1] != state:
        made["history"].append([now(), state])


def task_details(workflow):
    """run_details.task_details of the v2beta1 API; what the server never fills is not there."""
    result = []
    for key in workflow["order"]:
        made = workflow["nodes"][key]
        detail = {"run_id": workflow["run_id"], "task_id": made["task_id"],
                  "display_name": made["display"], "create_time": rfc3339(made["started"]),
                  "start_time": rfc3339(made["started"]), "end_time": rfc3339(made["finished"])}
        state = STATE_OF_PHASE[made["phase"]]
        if state != "RUNTIME_STATE_UNSPECIFIED":
            detail["state"] = state
        if made["history"]:
            detail["state_history"] = [{"update_time": rfc3339(at), "state": name}
                                       for at, name in made["history"]]
        if made["children"]:
            detail["child_tasks"] = [{"pod_name": child} for child in made["children"]]
        result.append(detail)
    return result


def manifest(workflow, bytes_max):
    """The workflow object as JSON text, as v1beta1's pipeline_runtime carries it. Of one that is larger than
    bytes_max (Argo's MAX_WORKFLOW_SIZE) the nodes are packed."""
    nodes = {}
    for key in workflow["order"]:
        made = workflow["nodes"][key]
        value = {"id": key, "name": made["name"], "displayName": made["display"],
                 "type": made["type"], "templateName": made["template"], "phase": made["phase"],
                 "startedAt": rfc3339(made["started"]),
                 "finishedAt": rfc3339(made["finished"]) if made["finished"] else None}
        if made["boundary"]:
            value["boundaryID"] = made["boundary"]
        if made["message"]:
            value["message"] = made["message"]
        if made["children"]:
            value["children"] = made["children"]
        match = re.search(r"exit code (\d+)", made["message"])
        if match and made["type"] == "Pod":
            value["outputs"] = {"exitCode": match.group(1)}
        if made["type"] == "Pod":
            value["hostNodeName"] = "node-1"
        nodes[key] = value
    pods = [n for n in workflow["nodes"].values() if n["type"] == "Pod"]
    done = [n for n in pods if n["phase"] in FINAL]
    labels = {"pipeline/runid": workflow["run_id"],
              "workflows.argoproj.io/phase": workflow["phase"]}
    if workflow["phase"] in FINAL:
        labels["workflows.argoproj.io/completed"] = "true"
    status = {"phase": workflow["phase"], "progress": f"{len(done)}/{len(pods)}", "nodes": nodes,
              "startedAt": rfc3339(workflow["started"]) if workflow["started"] else None,
              "finishedAt": rfc3339(workflow["finished"]) if workflow["finished"] else None}
    if workflow["message"]:
        status["message"] = workflow["message"]
    whole = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
        "metadata": {"name": workflow["name"], "namespace": workflow["namespace"],
                     "uid": workflow["id"], "labels": labels,
                     "annotations": {"pipelines.kubeflow.org/run_name":
                                     workflow["display_name"]}},
        "status": status}
    text = json.dumps(whole)
    if len(text) > bytes_max:
        packed = gzip.compress(json.dumps(status.pop("nodes")).encode())
        status["compressedNodes"] = base64.b64encode(packed).decode()
        text = json.dumps(whole)
    return text
