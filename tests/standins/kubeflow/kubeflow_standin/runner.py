"""Runs on their way: executed for real in child processes, or moved by a script.

A run is PENDING when it is made, RUNNING when its workflow starts, final when the workflow ends.
`mode` says what happens to new runs: "execute" (kfp.local in a child), "instant" (they end at once
as scripted) or "hold" (they run until a test ends them by hand).
"""

import json
import os
import subprocess
import sys
import threading
import time

from . import workflow as wf
from .store import now

FINAL_STATES = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}


class Runner:
    def __init__(self, store, metadata, python=None, secrets=None):
        self.store = store
        self.secrets_file = secrets
        self.metadata = metadata
        self.python = python or sys.executable
        self.mode = "execute"
        self.instant = {"state": "SUCCEEDED", "delay_ms": 0}
        self.terminate_ms = 200
        self.gc_grace_s = 120
        self.workflow_bytes_max = 1024 * 1024
        self.children = {}
        self.slots = threading.Semaphore(4)
        self.closing = False

    # -- rows and workflows ---------------------------------------------------------------------

    def row_of(self, workflow):
        """The run row that shows this workflow, or None for an orphan."""
        run = self.store.runs.get(workflow["run_id"])
        return run if run and run.get("workflow") == workflow["id"] else None

    def set_state(self, workflow, state):
        run = self.row_of(workflow)
        if run is None or run["state"] in FINAL_STATES:
            return
        run["state"] = state
        if run["history"][-1][1] != state:
            run["history"].append([now(), state])
        if state in FINAL_STATES:
            run["finished"] = now()
        run["status"] = {"SUCCEEDED": "Succeeded", "FAILED": "Failed", "RUNNING": "Running",
                         "CANCELING": "Terminating", "SKIPPED": "Skipped"}.get(state, "Pending")
        self.store.touch("runs", run)

    def start(self, workflow, template, parameters):
        """Called once the workflow object exists; with the store's lock held."""
        args = (workflow, template, parameters)
        if self.mode == "hold":
            self._begin(workflow)
            return
        target = self._instantly if self.mode == "instant" else self._execute
        threading.Thread(target=target, args=args, daemon=True).start()

    def _begin(self, workflow):
        with self.store.lock:
            if workflow["phase"] in wf.FINAL or workflow.get("deleted"):
                return False
            workflow["phase"], workflow["started"] = "Running", now()
            wf.set_phase(wf.entry(workflow), "Running")
            wf.set_phase(wf.node(workflow, [], "driver"), "Succeeded")
            wf.set_phase(wf.node(workflow, [], "dag"), "Running")
            self.store.touch("workflows", workflow)
            run = self.row_of(workflow)
            if run is None or run["state"] != "CANCELING":
                self.set_state(workflow, "RUNNING")
            return True

    def task(self, workflow, path, phase, kind, message=""):
        """A task's news; makes the nodes a real cluster would have."""
        with self.store.lock:
            if workflow["phase"] in wf.FINAL:
                return
            wf.set_phase(wf.node(workflow, path, "driver"), "Succeeded")
            made = wf.node(workflow, path, kind)
            if kind == "container":
                wf.set_phase(wf.node(workflow, path, "executor"), phase, message)
                message = "" if phase != "Failed" else \
                    f"child '{wf.node(workflow, path, 'executor')['id']}' failed"
            wf.set_phase(made, phase, message)
            self.store.touch("workflows", workflow)

    def end(self, workflow, phase, message=""):
        """The workflow is over: what did not run is marked, the row becomes final."""
        with self.store.lock:
            if workflow["phase"] in wf.FINAL:
                return
            for made in workflow["nodes"].values():
                if made["phase"] not in wf.FINAL:
                    wf.set_phase(made, phase, message if made["type"] == "Pod" else "")
            workflow["phase"], workflow["finished"] = phase, now()
            workflow["message"] = message if phase != "Succeeded" else ""
            self.store.touch("workflows", workflow)
            self.set_state(workflow, wf.STATE_OF_PHASE[phase])

    # -- scripted -------------------------------------------------------------------------------

    def _instantly(self, workflow, template, _parameters):
        script = dict(self.instant)
        time.sleep(script.get("delay_ms", 0) / 1000)
        if not self._begin(workflow):
            return
        with self.store.lock:
            for given in script.get("artifacts", []):
                self.metadata.add(workflow, given["task"], given)
        self.finish(workflow, script.get("state", "SUCCEEDED"), template, script.get("task"),
                    script.get("message", ""), script.get("log", ""))

    def finish(self, workflow, state, template=None, task=None, message="", log=""):
        """Ends a workflow as told: all tasks succeeded, or `task` failed and the rest never ran."""
        tasks = list((template.spec["root"]["dag"]["tasks"] if template and template.is_v2
                      else {}).items())
        failed = state == "FAILED"
        if failed and task is None and tasks:
            task = tasks[-1][0]
        folder = os.path.join(self.store.run_folder(workflow["id"]), "pods")
        for name, spec in tasks:
            component = template.spec["components"].get(spec["componentRef"]["name"], {})
            kind = "dag" if "dag" in component else "container"
            if failed and name == task:
                text = message or "main: Error (exit code 1)"
                self.task(workflow, [name], "Failed", kind, text)
                if log:
                    os.makedirs(folder, exist_ok=True)
                    with open(os.path.join(folder, name + ".log"), "w", encoding="utf-8") as out:
                        out.write(log)
                break
            self.task(workflow, [name], "Succeeded", kind)
        self.end(workflow, wf.PHASE_OF_STATE.get(state, "Failed"),
                 message if failed and not tasks else "")

    # -- real -----------------------------------------------------------------------------------

    def _execute(self, workflow, template, parameters):
        with self.slots:
            if self.closing or not self._begin(workflow):
                return
            if not template.is_v2:
                self.end(workflow, "Error", "this cluster runs no Argo packages: only compiled "
                         "kfp 2 pipelines of Python components can be executed here")
                return
            self._child(workflow, template, parameters)

    def _environment(self, template):
        """{executor: {variable: value, or None when the Secret or its key is missing}} of `secretAsEnv`."""
        known = {}
        if self.secrets_file and os.path.exists(self.secrets_file):
            with open(self.secrets_file, encoding="utf-8") as source:
                known = json.load(source)
        kubernetes = (template.platform or {}).get("platforms", {}).get("kubernetes", {})
        found = {}
        for label, config in kubernetes.get("deploymentSpec", {}).get("executors", {}).items():
            for given in config.get("secretAsEnv", []):
                for pair in given.get("keyToEnv", []):
                    value = known.get(given.get("secretName"), {}).get(pair["secretKey"])
                    found.setdefault(label, {})[pair["envVar"]] = value
        return found

    def _child(self, workflow, template, parameters):
        folder = self.store.run_folder(workflow["id"])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "pipeline.json"), "w", encoding="utf-8") as out:
            json.dump(template.spec, out)
        with open(os.path.join(folder, "parameters.json"), "w", encoding="utf-8") as out:
            json.dump({"run_id": workflow["run_id"], "parameters": parameters or {},
                       "environment": self._environment(template)}, out)
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        child = subprocess.Popen(
            [self.python, "-m", "kubeflow_standin.execute", folder], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, cwd=folder, env=environment, start_new_session=True, text=True)
        with self.store.lock:
            self.children[workflow["id"]] = child
        ended = None
        with child.stdout:
            for line in child.stdout:
                event = json.loads(line)
                if event["event"] == "task":
                    self.task(workflow, event["path"], event["phase"], event["kind"],
                              event["message"])
                elif event["event"] == "made":
                    with self.store.lock:
                        self.metadata.record(workflow, event["path"], event["outputs"],
                                             event["artifacts"], event["inputs"])
                else:
                    ended = event
        code = child.wait()
        with self.store.lock:
            self.children.pop(workflow["id"], None)
            if self.closing or workflow.get("terminated"):
                return
            if ended is None:
                ended = {"phase": "Error", "message": f"the run's process ended with {code}"}
            self._close_tasks(workflow, template, ended["phase"])
            text = "" if any(n["type"] == "Pod" and n["phase"] == "Failed"
                             for n in workflow["nodes"].values()) else ended["message"]
            if ended["phase"] != "Succeeded" and not text:
                bad = next(n["id"] for n in workflow["nodes"].values() if n["phase"] == "Failed")
                text = f"child '{bad}' failed"
            self.end(workflow, ended["phase"], text)

    def _close_tasks(self, workflow, template, phase):
        """Tasks that never ran: their condition was false (Skipped), or something failed before."""
        components = template.spec.get("components", {})
        todo = [([], template.spec["root"])]
        while todo:
            path, component = todo.pop()
            for name, task in component.get("dag", {}).get("tasks", {}).items():
                child = components.get(task["componentRef"]["name"], {})
                below = [*path, name]
                kind = "dag" if "dag" in child else "container"
                dotted = ".".join([workflow["name"], "root", *below])
                ran = any(n["name"] == dotted for n in workflow["nodes"].values())
                if ran and kind == "dag" and "parameterIterator" not in task and \
                        "artifactIterator" not in task:
                    todo.append((below, child))
                elif not ran:
                    condition = task.get("triggerPolicy", {}).get("condition")
                    omitted = phase != "Succeeded" and not condition
                    if not omitted:
                        wf.set_phase(wf.node(workflow, below, "driver"), "Succeeded")
                    wf.set_phase(wf.node(workflow, below, kind),
                                 "Omitted" if omitted else "Skipped",
                                 "" if omitted else f"when 'false' evaluated false: {condition}")
        self.store.touch("workflows", workflow)

    # -- the end by force -----------------------------------------------------------------------

    def terminate(self, workflow):
        """CANCELING was set by the caller; the workflow stops a moment later and reports Failed."""
        workflow["terminated"] = True
        threading.Thread(target=self._terminate, args=(workflow,), daemon=True).start()

    def _terminate(self, workflow):
        time.sleep(self.terminate_ms / 1000)
        self.kill(workflow["id"])
        self.end(workflow, "Failed", "Stopped with strategy 'Terminate'")

    def kill(self, workflow_id):
        with self.store.lock:
            child = self.children.get(workflow_id)
        if child is not None:
            try:
                os.killpg(child.pid, 9)
            except ProcessLookupError:
                pass

    def orphan(self, workflow):
        """A workflow whose row could not be written."""
        threading.Thread(target=self._collect, args=(workflow["id"],), daemon=True).start()

    def _collect(self, workflow_id):
        """Deletes it after the grace time, as the persistence agent does when there is no row."""
        time.sleep(self.gc_grace_s)
        with self.store.lock:
            workflow = self.store.workflows.get(workflow_id)
            if workflow is None or workflow["run_id"] in self.store.runs:
                return
            workflow["deleted"] = True
            self.store.drop("workflows", workflow_id)
        self.kill(workflow_id)

    def resume(self, load):
        """After a restart: workflows that were under way start again."""
        for workflow in list(self.store.workflows.values()):
            if workflow["phase"] in wf.FINAL or workflow.get("terminated"):
                continue
            run = self.row_of(workflow)
            if run is None:
                continue
            workflow.update(nodes={}, order=[], phase="")
            self.start(workflow, load(run), run["parameters"])

    def close(self):
        self.closing = True
        for workflow_id in list(self.children):
            self.kill(workflow_id)
