"""Runs: made, shown, listed, stopped, archived, deleted.

The order of making one is the server's: first the Workflow exists in the cluster and starts to
work, then the row is written. A script can stop the server in between (`drop_row`).
"""

import copy
import datetime
import json

import yaml

from . import listing, template as tpl, workflow as wf
from .api import Api, plain
from .errors import ApiError, INTERNAL, bad_request, invalid_input, not_found
from .store import new_id, now, rfc3339

OBJECT_BYTES_MAX = 3 << 19  # what etcd takes in one request
_ACTIVE = ("RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "PAUSED")


class RunApi(Api):
    def run_value(self, row):
        value = {"experiment_id": row["experiment_id"], "run_id": row["id"],
                 "display_name": row["display_name"], "storage_state": row["storage_state"],
                 "description": row["description"], "service_account": row["service_account"],
                 "created_at": rfc3339(row["created"]), "scheduled_at": rfc3339(row["created"]),
                 "finished_at": rfc3339(row["finished"]), "state": row["state"],
                 "runtime_config": plain({"parameters": row["parameters"],
                                          "pipeline_root": row["pipeline_root"]}),
                 "state_history": [{"update_time": rfc3339(at), "state": state}
                                   for at, state in row["history"]]}
        if row["version_id"]:
            value["pipeline_version_reference"] = {"pipeline_id": row["pipeline_id"],
                                                   "pipeline_version_id": row["version_id"]}
        else:
            value["pipeline_spec"] = row["spec"]
        workflow = self.store.workflows.get(row["workflow"])
        if workflow and workflow["order"]:
            value["run_details"] = {"task_details": wf.task_details(workflow)}
        return plain(value)

    def template_of(self, row):
        """The Template of a run that exists."""
        if row["version_id"]:
            version = self.store.versions.get(row["version_id"])
            if version is not None:
                return tpl.Template(version["spec"], version["platform"], version["workflow"])
        spec = row["spec"] or {}
        if "pipeline_spec" in spec:
            return tpl.Template(spec["pipeline_spec"], spec.get("platform_spec"))
        return tpl.Template(spec)

    def _source(self, body):
        """(template, pipeline id, version id) of a create request."""
        reference = body.get("pipeline_version_reference") or {}
        version_id, pipeline_id = (reference.get("pipeline_version_id", ""),
                                   reference.get("pipeline_id", ""))
        context = "Failed to fetch a template due to error retrieving pipeline version"
        if version_id:
            version = self.store.versions.get(version_id)
            if version is None:
                raise not_found("PipelineVersion", version_id).wrap(context)
            if pipeline_id and version["pipeline_id"] != pipeline_id:
                raise invalid_input(f"Pipeline version {version_id} belongs to pipeline "
                                    f"{version['pipeline_id']} (not {pipeline_id})").wrap(context)
        elif pipeline_id:
            versions = sorted(self.store.versions_of(pipeline_id).values(),
                              key=lambda v: v["created"])
            if not versions:
                raise not_found("PipelineVersion", pipeline_id).wrap(context)
            version = versions[-1]
        elif body.get("pipeline_spec"):
            spec = body["pipeline_spec"]
            documents = [spec["pipeline_spec"], spec.get("platform_spec") or {}] \
                if "pipeline_spec" in spec else [spec]
            data = yaml.safe_dump_all(documents).encode()
            return tpl.load(data, self.version), "", ""
        else:
            raise invalid_input("Failed to fetch a template with an empty pipeline spec manifest")
        return (tpl.Template(version["spec"], version["platform"], version["workflow"]),
                version["pipeline_id"], version["id"])

    def _experiment(self, request, key):
        if not key:
            if self.auth.multi_user:
                raise invalid_input("Experiment id can not be empty in multi-user mode")
            row = next((e for e in self.store.experiments.values()
                        if e["name"] == "Default" and not e["namespace"]), None)
            return row or self._add_experiment(
                "Default", "All runs created without specifying an experiment will be grouped "
                "here.", "")
        row = self.store.experiments.get(key)
        if row is None:
            raise not_found("Experiment", key).wrap(
                f"Failed to fetch namespace from experiment {key}")
        self.allow(request, row["namespace"], "create", "runs", "Failed to create a run due to "
                   "authorization error. Check if you have write permissions to namespace "
                   + row["namespace"])
        return row

    def runs_create(self, request):
        body = self.body(request, "Run")
        body.setdefault("experiment_id", request.query.get("experiment_id", ""))
        if body.get("plugins_output") is not None:
            raise bad_request("plugins_output must not be set by the client", "plugins_output is "
                              "server-owned and populated exclusively via plugin lifecycle hooks")
        if not body.get("display_name"):
            raise invalid_input("Run name cannot be empty").internal(
                "Failed to convert a API run detail to its internal representation").wrap(
                "CreateJob(job.ToV2())Failed to create a run due to conversion error")
        try:
            experiment = self._experiment(request, body["experiment_id"])
            try:
                template, pipeline_id, version_id = self._source(body)
            except ApiError as error:
                raise error.internal("Failed to create a run due to error fetching manifest")
            run_id = body.get("run_id") or new_id()
            config = body.get("runtime_config") or {}
            parameters = self._macros(config.get("parameters") or {}, run_id)
            if template.is_v2:
                try:
                    tpl.check_parameters(template, parameters)
                except ApiError as error:
                    raise error.wrap("Failed to generate the ExecutionSpec: invalid pipeline job "
                                     "inputs") from None
            row = self._new_row(body, experiment, run_id, pipeline_id, version_id, parameters)
            return self._submit(request, row, template, experiment)
        except ApiError as error:
            raise error.wrap("Failed to create a new run") from None

    def _macros(self, parameters, run_id):
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d%H%M%S")
        parameters = copy.deepcopy(parameters)
        for name, value in parameters.items():
            if isinstance(value, str):
                parameters[name] = value.replace("[[RunUUID]]", run_id)\
                    .replace("[[CurrentTime]]", stamp)
        return parameters

    def _new_row(self, body, experiment, run_id, pipeline_id, version_id, parameters):
        return {"id": run_id, "display_name": body["display_name"],
                "description": body.get("description", ""), "namespace": experiment["namespace"],
                "experiment_id": experiment["id"], "pipeline_id": pipeline_id,
                "version_id": version_id, "spec": None if version_id else body["pipeline_spec"],
                "parameters": parameters,
                "pipeline_root": (body.get("runtime_config") or {}).get("pipeline_root", ""),
                "service_account": body.get("service_account") or
                ("default-editor" if self.auth.multi_user else "pipeline-runner"),
                "storage_state": "AVAILABLE", "state": "PENDING", "status": "Pending",
                "created": now(), "scheduled": now(), "finished": 0,
                "history": [[now(), "PENDING"]], "workflow": "", "recurring_run_id": ""}

    def _submit(self, request, row, template, experiment):
        """Workflow first, row second; what may go wrong between is asked of the script. An upload may
        hold more than the cluster can keep as one object: that shows here only."""
        if len(json.dumps(template.as_struct())) > OBJECT_BYTES_MAX:
            raise ApiError(INTERNAL, "Failed to create a run: InternalServerError: Failed to create "
                           f"a workflow for ({row['id']}): etcdserver: request is too large",
                           "Internal Server Error")
        workflow = wf.new(row, template.name)
        row["workflow"] = workflow["id"]
        self.store.put("workflows", workflow)
        self.record("workflow", row["id"], {"name": workflow["name"],
                                            "namespace": workflow["namespace"]})
        double = row["id"] in self.store.runs
        if not double and request.fault != "drop_row":
            self.store.put("runs", row)
            self.record("run", row["id"], {k: row[k] for k in (
                "id", "display_name", "description", "experiment_id", "pipeline_id", "version_id",
                "parameters", "service_account")})
            experiment["last_run"] = row["created"]
            self.store.touch("experiments", experiment)
            answer = self.run_value(row)
        self.runner.start(workflow, template, row["parameters"])
        if double or request.fault == "drop_row":
            self.runner.orphan(workflow)
            raise ApiError(INTERNAL, "Failed to create a run: InternalServerError: Failed to store "
                           f"run {row['display_name']} to table: " +
                           ("Error 1062 (23000): Duplicate entry" if double else
                            "driver: bad connection"), "Internal Server Error")
        return answer

    def _run(self, request, key, verb, context):
        row = self.store.runs.get(key)
        if row is None:
            raise not_found("Run", key).wrap(context)
        self.allow(request, row["namespace"], verb, "runs", context)
        return row

    def runs_get(self, request, key):
        return self.run_value(self._run(request, key, "get", "Failed to get a run"))

    def runs_list(self, request):
        query = request.query
        namespace, experiment_id = self.namespace(query.get("namespace")), \
            query.get("experiment_id", "")
        context = "Failed to list runs"
        if experiment_id:
            experiment = self.find("experiments", "Experiment", experiment_id,
                                   f"{context}: Failed to list runs due to error fetching "
                                   f"namespace for experiment {experiment_id}")
            namespace = experiment["namespace"]
        if self.auth.multi_user and not namespace:
            raise invalid_input("A run cannot have an empty namespace in multi-user mode")\
                .wrap(context)
        self.allow(request, namespace, "list", "runs", f"{context}: Failed to list runs due to "
                   "authorization error. Check if you have permission to access namespace "
                   f"{namespace}: Failed to access run . Check if you have access to namespace "
                   + namespace)

        def keep(row):
            if experiment_id:
                return row["experiment_id"] == experiment_id
            return not self.auth.multi_user or row["namespace"] == namespace

        try:
            rows, total, token = listing.page(self.store.runs, "run", query, keep=keep)
        except ApiError as error:
            raise error.wrap("Failed to create list options") from None
        if not rows:
            return {}
        return plain({"runs": [self.run_value(r) for r in rows], "total_size": total,
                      "next_page_token": token})

    def runs_terminate(self, request, key):
        context = f"Failed to terminate a run: Failed to terminate run {key}"
        row = self._run(request, key, "terminate", context)
        self.body(request, "Empty")
        if row["state"] not in _ACTIVE:
            raise invalid_input(f"Failed to terminate a run {key}. Row not found").wrap(context)
        workflow = self.store.workflows.get(row["workflow"])
        row["state"], row["status"] = "CANCELING", "Terminating"
        row["history"].append([now(), "CANCELING"])
        self.store.touch("runs", row)
        self.record("run.terminate", key, {})
        if workflow is not None:
            self.runner.terminate(workflow)
        return {}

    def runs_retry(self, request, key):
        context = f"Failed to retry a run: Failed to retry run {key}"
        row = self._run(request, key, "retry", context)
        self.body(request, "Empty")
        workflow = self.store.workflows.get(row["workflow"])
        if workflow is None:
            raise bad_request("Workflow manifest cannot be empty",
                              f"Failed to retry run {key} due to error fetching workflow manifest")
        if row["state"] != "FAILED":
            raise ApiError(INTERNAL, f"{context}: InternalServerError: Failed to retry run {key} "
                           "as it does not allow retries: workflow cannot be retried",
                           "Internal Server Error")
        workflow.update(phase="", message="", finished=0, nodes={}, order=[], terminated=False)
        row.update(state="RUNNING", status="Running", finished=0)
        row["history"].append([now(), "RUNNING"])
        self.store.touch("runs", row)
        self.record("run.retry", key, {})
        self.runner.start(workflow, self.template_of(row), row["parameters"])
        return {}

    def runs_archive(self, request, key, archived):
        verb = "archive" if archived else "unarchive"
        row = self._run(request, key, verb, f"Failed to {verb} a run")
        self.body(request, "Empty")
        row["storage_state"] = "ARCHIVED" if archived else "AVAILABLE"
        self.store.touch("runs", row)
        self.record(f"run.{verb}", key, {})
        return {}

    def runs_delete(self, request, key):
        row = self._run(request, key, "delete", f"Failed to delete a run: Failed to delete run "
                        f"{key} as it does not exist")
        workflow = self.store.workflows.get(row["workflow"])
        self.store.drop("runs", key)
        if workflow is not None:
            workflow["deleted"] = True
            self.store.drop("workflows", workflow["id"])
            self.runner.kill(workflow["id"])
        self.record("run.delete", key, {})
        return {}
