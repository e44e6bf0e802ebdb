"""/_standin/: how a test looks behind the scenes and makes things happen.

  GET  violations, mutations, workflows, requests, faults, state
  POST reset       {}                        forgets mutations, violations, requests and faults
  POST faults      a fault (see faults.py)   DELETE faults: none any more
  POST seed        {"seed": 7}               the random numbers of faults with a probability
  POST instant     {"on": true, "state": "SUCCEEDED", "task", "message", "log", "delay_ms",
                    "artifacts": [as below]}
  POST hold        {"on": true}              new runs stay RUNNING
  POST settings    {"terminate_ms", "gc_grace_s", "workflow_bytes_max"}
  POST runs/ID     {"state", "task", "message", "log"}   ends a run by hand
  POST runs/ID/task {"path": ["train"], "phase": "Running", "kind": "container", "message"}
  POST runs/ID/artifacts {"task": "train", "name": "model", "type": "system.Model", "metadata",
                          "uri", "files": {"model.joblib": text or {"base64"}}, "cached": true}
                   an output of a task in ML Metadata; without `uri` where the launcher would put it
  POST versions/NAME   {"spec"}                            changes what a version holds, behind everybody's back
  POST rows        {"count", "namespace", "state", "ids"}  rows without workflows, for load
"""

from . import workflow as wf
from .faults import Faults
from .store import new_id, now


class Control:
    def __init__(self, api, conformance, faults):
        self.api = api
        self.store = api.store
        self.runner = api.runner
        self.conformance = conformance
        self.faults = faults
        self.requests = []

    def get(self, name):
        if name == "violations":
            return self.conformance.violations
        if name == "mutations":
            return self.api.mutations
        if name == "requests":
            return self.requests
        if name == "faults":
            return self.faults.rules
        if name == "workflows":
            return [{k: w[k] for k in ("id", "run_id", "name", "namespace", "phase", "message")}
                    for w in self.store.workflows.values()]
        if name == "state":
            return {kind: len(getattr(self.store, kind)) for kind in
                    ("pipelines", "versions", "experiments", "runs", "workflows")}
        raise KeyError(name)

    def delete(self, name):
        if name != "faults":
            raise KeyError(name)
        self.faults.rules.clear()
        return {}

    def post(self, name, body):
        parts = name.split("/")
        if parts[0] == "runs" and len(parts) == 2:
            return self._finish(parts[1], body)
        if parts[0] == "runs" and len(parts) == 3 and parts[2] == "task":
            return self._task(parts[1], body)
        if parts[0] == "runs" and len(parts) == 3 and parts[2] == "artifacts":
            return {"uri": self.runner.metadata.add(self._workflow(parts[1])[1], body["task"], body)}
        if parts[0] == "versions" and len(parts) == 2:
            return self._change(parts[1], body)
        action = {"faults": self.faults.add, "seed": self._seed, "instant": self._instant,
                  "hold": self._hold, "settings": self._settings, "rows": self._rows,
                  "reset": self._reset}[name]
        return action(body)

    def _reset(self, _body):
        self.api.mutations.clear()
        self.conformance.violations.clear()
        self.requests.clear()
        self.faults.rules.clear()
        return {}

    def _seed(self, body):
        self.faults.random = Faults(body["seed"]).random
        return {}

    def _instant(self, body):
        self.runner.mode = "instant" if body.get("on", True) else "execute"
        script = {k: v for k, v in body.items() if k != "on"}
        self.runner.instant = {"state": "SUCCEEDED", "delay_ms": 0, **script}
        return {"mode": self.runner.mode}

    def _hold(self, body):
        self.runner.mode = "hold" if body.get("on", True) else "execute"
        return {"mode": self.runner.mode}

    def _settings(self, body):
        for name in ("terminate_ms", "gc_grace_s", "workflow_bytes_max"):
            if name in body:
                setattr(self.runner, name, body[name])
        return {}

    def _workflow(self, run_id):
        run = self.store.runs[run_id]
        return run, self.store.workflows[run["workflow"]]

    def _finish(self, run_id, body):
        run, workflow = self._workflow(run_id)
        self.runner.kill(workflow["id"])
        self.runner.finish(workflow, body.get("state", "SUCCEEDED"), self.api.template_of(run),
                           body.get("task"), body.get("message", ""), body.get("log", ""))
        return {"state": run["state"]}

    def _task(self, run_id, body):
        _, workflow = self._workflow(run_id)
        self.runner.task(workflow, body["path"], body["phase"], body.get("kind", "container"),
                         body.get("message", ""))
        return {"nodes": len(workflow["nodes"])}

    def _change(self, name, body):
        row = next(v for v in self.store.versions.values() if v["name"] == name)
        row["spec"] = body["spec"]
        self.store.touch("versions", row)
        return {"id": row["id"]}

    def _rows(self, body):
        ids = body.get("ids") or [new_id() for _ in range(body["count"])]
        state = body.get("state", "RUNNING")
        ended = wf.PHASE_OF_STATE.get(state) in wf.FINAL
        for key in ids:
            self.store.runs[key] = {
                "id": key, "display_name": "row", "description": "",
                "namespace": body.get("namespace", ""), "experiment_id": "", "pipeline_id": "",
                "version_id": "", "spec": None, "parameters": {}, "pipeline_root": "",
                "service_account": "", "storage_state": "AVAILABLE", "state": state,
                "status": "", "created": now(), "scheduled": now(),
                "finished": now() if ended else 0, "history": [[now(), state]], "workflow": "",
                "recurring_run_id": ""}
        return {"ids": ids}
