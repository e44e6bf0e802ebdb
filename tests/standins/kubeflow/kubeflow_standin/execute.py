"""One run, executed: `python -m kubeflow_standin.execute FOLDER` in a process of its own.

FOLDER holds pipeline.json (the IR) and parameters.json (also the run's id and what Secrets give to tasks). The pipeline is loaded as a kfp component
and run by kfp.local's SubprocessRunner. Progress goes out on the original stdout, one JSON object a
line: {"event": "task", "path": [...], "phase": ..., "kind": "container"|"dag", "message": ...},
{"event": "made", "path": [...], "outputs": {...}, "artifacts": [...], "inputs": [...]} after a task that
succeeded, and {"event": "end", "phase": ..., "message": ...}. What a task prints is written to pods/<path>.log.

kfp.local tells its progress only to people, so three of its functions are wrapped here: the one
that runs a task, the one that runs a group of tasks, and the one that starts a task's process.
"""

import concurrent.futures
import contextvars
import json
import os
import subprocess
import sys
import threading
import traceback

_path = contextvars.ContextVar("path", default=())
_pod_log = contextvars.ContextVar("pod_log", default=None)
_exit_code = contextvars.ContextVar("exit_code", default=None)
_environment = contextvars.ContextVar("environment", default=None)


class ContextPool(concurrent.futures.ThreadPoolExecutor):
    """Threads that know in which task they were started."""

    def submit(self, fn, /, *args, **kwargs):
        context = contextvars.copy_context()
        return super().submit(context.run, fn, *args, **kwargs)


class Events:
    def __init__(self, stream):
        self.stream = stream
        self.lock = threading.Lock()

    def send(self, **event):
        with self.lock:
            self.stream.write(json.dumps(event) + "\n")
            self.stream.flush()

    def task(self, path, phase, kind, message=""):
        self.send(event="task", path=list(path), phase=phase, kind=kind, message=message)


def made_by(outputs, arguments):
    """What a task made and used, as JSON: parameters, artifacts with their files, input artifacts."""
    artifacts, parameters = [], {}
    for name, value in outputs.items():
        for one in value if isinstance(value, list) else [value]:
            if hasattr(one, "uri"):
                artifacts.append({"name": name, "type": one.schema_title, "path": one.uri,
                                  "metadata": one.metadata})
            else:
                parameters[name] = value
    inputs = [{"key": name, "path": value.uri} for name, value in arguments.items()
              if hasattr(value, "uri")]
    return {"outputs": parameters, "artifacts": artifacts, "inputs": inputs}


def log_name(path):
    return ".".join(path) + ".log"


def failure_message(code):
    """What Argo writes about a container that ended with this code."""
    if code is None:
        return "main: Error"
    if code < 0:
        code = 128 - code
    return "OOMKilled (exit code 137)" if code == 137 else f"main: Error (exit code {code})"


def run_process(full_command, env_vars=None):
    """In place of kfp.local's: the output goes to the pod's log, the exit code is remembered."""
    with open(_pod_log.get(), "ab", buffering=0) as log:
        process = subprocess.run(full_command, stdout=log, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, check=False,
                                 env={**os.environ, **(env_vars or {}), **(_environment.get() or {})})
    _exit_code.get()[0] = process.returncode
    return process.returncode


def environment_of(kwargs, environment):
    """What the platform gives the task's container; raises when a Secret is missing, where a pod would wait."""
    component = kwargs["components"][kwargs["task_spec"].component_ref.name]
    given = environment.get(component.executor_label, {})
    for name, value in given.items():
        if value is None:
            raise RuntimeError(f"CreateContainerConfigError: the Secret or key for {name} is not found")
    return given


def instrument(folder, events, run_id, environment):
    from kfp.local import pipeline_orchestrator, status, subprocess_task_handler
    from kfp.local.orchestrator import enhanced_dag_orchestrator, orchestrator_utils, task_executor

    run_task = task_executor.execute_single_task
    run_any = enhanced_dag_orchestrator.execute_task
    run_loop = enhanced_dag_orchestrator._run_parallel_for_task

    def execute_single_task(*args, **kwargs):
        path = (*_path.get(), kwargs["task_name"])
        tokens = [(var, var.set(value)) for var, value in (
            (_path, path), (_exit_code, [None]),
            (_pod_log, os.path.join(folder, "pods", log_name(path))))]
        events.task(path, "Running", "container")
        try:
            tokens.append((_environment, _environment.set(environment_of(kwargs, environment))))
            outputs, result = run_task(*args, **kwargs)
            message = "" if result == status.Status.SUCCESS else \
                failure_message(_exit_code.get()[0])
        except Exception as error:
            outputs, result, message = {}, status.Status.FAILURE, f"{error}"
            with open(_pod_log.get(), "a", encoding="utf-8") as log:
                log.write(traceback.format_exc())
        finally:
            for var, token in tokens:
                var.reset(token)
        phase = "Succeeded" if result == status.Status.SUCCESS else "Failed"
        if phase == "Succeeded":
            arguments = orchestrator_utils.OrchestratorUtils.make_task_arguments(
                task_inputs_spec=kwargs["task_spec"].inputs, io_store=kwargs["io_store"])
            events.send(event="made", path=list(path), **made_by(outputs, arguments))
        events.task(path, phase, "container", message)
        return outputs, result

    def group(inner, failed):
        def wrapped(*args, **kwargs):
            path = (*_path.get(), kwargs["task_name"])
            token = _path.set(path)
            events.task(path, "Running", "dag")
            try:
                result = inner(*args, **kwargs)
            except Exception as error:
                events.task(path, "Failed", "dag", f"{error}")
                raise
            finally:
                _path.reset(token)
            events.task(path, "Failed" if failed(result) else "Succeeded", "dag")
            return result
        return wrapped

    run_group = group(run_any, lambda result: result[1] == status.Status.FAILURE)

    def execute_task(*args, **kwargs):
        component = kwargs["components"][kwargs["task_spec"].component_ref.name]
        is_dag = component.WhichOneof("implementation") == "dag"
        return (run_group if is_dag else run_any)(*args, **kwargs)

    task_executor.execute_single_task = execute_single_task
    enhanced_dag_orchestrator.execute_task = execute_task
    enhanced_dag_orchestrator._run_parallel_for_task = group(run_loop, bool)
    concurrent.futures.ThreadPoolExecutor = ContextPool
    subprocess_task_handler.run_local_subprocess = run_process
    pipeline_orchestrator.placeholder_utils.make_random_id = lambda: run_id


def execute(folder, events):
    with open(os.path.join(folder, "pipeline.json"), encoding="utf-8") as source:
        text = source.read()
    with open(os.path.join(folder, "parameters.json"), encoding="utf-8") as source:
        request = json.load(source)
    from kfp import components, local

    instrument(folder, events, request["run_id"], request.get("environment", {}))
    local.init(runner=local.SubprocessRunner(use_venv=False),
               pipeline_root=os.path.join(folder, "artifacts"), raise_on_error=True)
    pipeline = components.load_component_from_text(text)
    types = pipeline.pipeline_spec.root.input_definitions.parameters
    arguments = {}
    for name, value in request["parameters"].items():
        # An integer may travel as 3.0; the component's own check wants an int.
        is_int = types[name].parameter_type == 2 and float(value).is_integer()
        arguments[name] = int(value) if is_int else value
    pipeline(**arguments)


def main():
    folder = sys.argv[1]
    os.makedirs(os.path.join(folder, "pods"), exist_ok=True)
    events = Events(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    log = os.open(os.path.join(folder, "run.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Installing what is there already needs no network; nothing else may be installed.
    os.environ.update(PIP_NO_INDEX="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    try:
        execute(folder, events)
        events.send(event="end", phase="Succeeded", message="")
    except Exception as error:
        traceback.print_exc()
        events.send(event="end", phase="Failed", message=f"{error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
