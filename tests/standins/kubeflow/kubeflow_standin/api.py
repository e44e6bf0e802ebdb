"""The v2beta1 API: pipelines, versions, experiments, runs. One method per route.

Each handler gets a Request and returns the JSON value of the answer. Texts and status codes follow
backend/src/apiserver of kubeflow/pipelines, also where they are odd (500 for a caller's mistake).
"""

import json

from . import listing, protojson, template as tpl
from .errors import (ApiError, INVALID_ARGUMENT, UploadError, already_exists, invalid_input,
                     not_found)
from .store import new_id, now, rfc3339


def plain(value):
    """Without empty members, as the server's marshaller writes."""
    return {k: v for k, v in value.items() if v not in (None, "", [], {})}


class Api:
    def __init__(self, store, run, auth, version):
        self.store = store
        self.runner = run
        self.auth = auth
        self.version = version
        self.messages = protojson.messages(version)
        self.mutations = []

    # -- helpers --------------------------------------------------------------------------------

    def record(self, kind, key, body):
        self.mutations.append({"n": len(self.mutations) + 1, "at": now(), "kind": kind, "key": key,
                               "body": body})

    def body(self, request, message):
        return protojson.parse(request.body, self.messages[message], self.version)

    def namespace(self, given):
        return given or "" if self.auth.multi_user else ""

    def need_namespace(self, namespace):
        if self.auth.multi_user and not namespace:
            raise invalid_input("Namespace is required in multi-user mode")

    def allow(self, request, namespace, verb, resource, context):
        try:
            self.auth.check(request.user, namespace, verb, resource)
        except ApiError as error:
            raise error.wrap(context) from None

    def length(self, kind, field, value, most):
        if len(value) > most:
            raise invalid_input(f"{kind}.{field} length cannot exceed {most}, got {len(value)}")

    def find(self, kind, label, key, context):
        row = getattr(self.store, kind).get(key)
        if row is None:
            raise not_found(label, key).wrap(context)
        return row

    # -- health ---------------------------------------------------------------------------------

    def healthz(self, _request):
        value = {"commit_sha": "7b70c7b95f6832772efd6fd0029a4024491a0f44",
                 "tag_name": ".".join(map(str, self.version)), "multi_user": self.auth.multi_user}
        if self.version >= (2, 14):
            value["pipeline_store"] = "database"
        return value

    # -- pipelines ------------------------------------------------------------------------------

    def pipeline_value(self, row):
        value = {"pipeline_id": row["id"], "display_name": row["display_name"],
                 "description": row["description"], "created_at": rfc3339(row["created"]),
                 "namespace": row["namespace"]}
        if self.version >= (2, 14):
            value["name"] = row["name"]
        if self.version >= (2, 17):
            value["tags"] = row["tags"]
        return plain(value)

    def _pipeline_named(self, name, namespace):
        return next((p for p in self.store.pipelines.values()
                     if p["name"] == name and p["namespace"] == namespace), None)

    def _add_pipeline(self, name, display_name, description, namespace, tags):
        if self._pipeline_named(name, namespace):
            raise already_exists("Failed to create a new pipeline. The name "
                                 f"{name} already exist. Please specify a new name")
        row = {"id": new_id(), "name": name, "display_name": display_name or name,
               "description": description, "namespace": namespace, "created": now(), "tags": tags}
        self.store.put("pipelines", row)
        self.record("pipeline", name, self.pipeline_value(row))
        return row

    def pipelines_create(self, request):
        body = self.body(request, "Pipeline")
        name = body.get("name") or body.get("display_name", "")
        context = "Failed to create a pipeline"
        namespace = self.namespace(body.get("namespace"))
        try:
            self.length("Pipeline", "Name", name, 128)
            self.need_namespace(namespace)
            if not name:
                raise invalid_input("name is required")
            self.allow(request, namespace, "create", "pipelines", "Failed to create a pipeline due "
                       "to authorization error. Check if you have write permissions to namespace "
                       + namespace)
            row = self._add_pipeline(name, body.get("display_name"), body.get("description", ""),
                                     namespace, body.get("tags", {}))
        except ApiError as error:
            raise error.wrap(context) from None
        return self.pipeline_value(row)

    def pipelines_list(self, request):
        namespace = self.namespace(request.query.get("namespace"))
        self.need_namespace(namespace)
        self.allow(request, namespace, "list", "pipelines", "Failed to list pipelines due to "
                   "authorization error. Check if you have read permission to namespace "
                   + namespace)
        rows, total, token = listing.page(
            self.store.pipelines, "pipeline", request.query, tags=self.version >= (2, 17),
            keep=lambda row: row["namespace"] == namespace)
        return plain({"pipelines": [self.pipeline_value(r) for r in rows], "total_size": total,
                      "next_page_token": token}) if rows else {}

    def pipelines_by_name(self, request, name):
        namespace = self.namespace(request.query.get("namespace"))
        context = (f"Failed to get a pipeline with name {name} and namespace {namespace}. Check "
                   "error stack.")
        self.need_namespace(namespace)
        self.allow(request, namespace, "get", "pipelines", context)
        row = self._pipeline_named(name, namespace)
        if row is None:
            raise not_found("Namespace/Pipeline", f"{namespace}/{name}").wrap(context)
        return self.pipeline_value(row)

    def pipelines_get(self, request, key):
        context = f"Failed to get a pipeline {key}. Check error stack"
        row = self.find("pipelines", "Pipeline", key, context)
        self.allow(request, row["namespace"], "get", "pipelines", context)
        return self.pipeline_value(row)

    def pipelines_delete(self, request, key):
        context = f"Failed to delete pipeline {key}. Check error stack"
        row = self.find("pipelines", "Pipeline", key, context)
        self.allow(request, row["namespace"], "delete", "pipelines", context)
        versions = self.store.versions_of(key)
        if versions and request.query.get("cascade") != "true":
            raise invalid_input(f"Failed to delete pipeline {key} as it has existing pipeline "
                                "versions").wrap(context)
        for version in versions:
            self.store.drop("versions", version)
        self.store.drop("pipelines", key)
        self.record("pipeline.delete", key, {})
        return {}

    # -- versions -------------------------------------------------------------------------------

    def version_value(self, row):
        value = {"pipeline_id": row["pipeline_id"], "pipeline_version_id": row["id"],
                 "display_name": row["display_name"], "description": row["description"],
                 "created_at": rfc3339(row["created"]),
                 "pipeline_spec": tpl.Template(row["spec"], row["platform"],
                                               row["workflow"]).as_struct()}
        if self.version >= (2, 14):
            value["name"] = row["name"]
        if self.version >= (2, 17):
            value["tags"] = row["tags"]
        return plain(value)

    def _upload_error(self, status, error, context):
        """2.17 tells a caller only about his own mistakes, older servers tell the whole chain."""
        if self.version >= (2, 14):
            own = isinstance(error, ApiError) and error.code == INVALID_ARGUMENT and status != 409
            if isinstance(error, ApiError) and own:
                return UploadError(400, error.text)
            return UploadError(status, context)
        if isinstance(error, ApiError) and status == 400 and error.code == INVALID_ARGUMENT:
            status = 500
        suffix = " The pipeline already exists." if status == 409 else ""
        return UploadError(status, f"{context}{'.' if suffix else ''}{suffix}: "
                           f"{getattr(error, 'chain', error)}")

    def _file(self, request, context):
        part = request.form_file("uploadfile")
        if part is None:
            raise self._upload_error(400, "http: no such file", context)
        try:
            return part[0], tpl.read_package(*part)
        except ApiError as error:
            raise UploadError(400, context if self.version >= (2, 14)
                              else f"{context}: {error.chain}") from None

    def _tags(self, request):
        text = request.query.get("tags")
        if not text or self.version < (2, 17):
            return {}
        try:
            tags = json.loads(text)
            if not all(isinstance(v, str) for v in tags.values()):
                raise ValueError
        except (ValueError, AttributeError):
            raise UploadError(400, "Failed to parse tags query parameter. Expected JSON object "
                              "with string keys and values") from None
        return tags

    def _add_version(self, pipeline, name, display_name, description, template, tags):
        if len(tags) > 20 or any(len(k) > 63 or len(v) > 63 or "." in k for k, v in tags.items()):
            raise invalid_input("tags: at most 20, at most 63 characters, no dots in keys")
        if any(v["name"] == name for v in self.store.versions_of(pipeline["id"]).values()):
            raise already_exists("Failed to create a new pipeline version. The name "
                                 f"{name} already exist. Specify a new name")
        row = {"id": new_id(), "pipeline_id": pipeline["id"], "name": name,
               "display_name": display_name or name, "description": description,
               "created": now(), "tags": tags, "spec": template.spec,
               "platform": template.platform, "workflow": template.workflow}
        self.store.put("versions", row)
        self.record("version", name, {k: row[k] for k in ("id", "pipeline_id", "name",
                                                          "display_name", "description", "tags")})
        return row

    def upload_version(self, request):
        context = "Failed to create a pipeline version"
        file_name, data = self._file(request, context)
        query = request.query
        pipeline = self.store.pipelines.get(query.get("pipelineid", ""))
        name = query.get("name") or (query.get("display_name") if self.version >= (2, 14)
                                     else "") or file_name
        if len(name) > 127 and self.version >= (2, 14):
            raise UploadError(400, f"PipelineVersion.Name length cannot exceed 127, got "
                              f"{len(name)}", plain=True)
        if pipeline is None:
            raise self._upload_error(400, "ResourceNotFoundError: Pipeline "
                                     f"{query.get('pipelineid')} not found", context)
        try:
            self.auth.check(request.user, pipeline["namespace"], "create", "pipelines")
        except ApiError as error:
            raise UploadError(400, context if self.version >= (2, 14) else
                              f"{context} due to authorization error: {error.chain}") from None
        tags = self._tags(request)
        try:
            template = tpl.load(data, self.version)
            row = self._add_version(pipeline, name, query.get("display_name", ""),
                                    query.get("description", ""), template, tags)
        except ApiError as error:
            if error.status == 409:
                raise self._upload_error(409, error, context) from None
            raise self._upload_error(
                400, error.wrap("Failed to create a pipeline version due to template creation "
                                "error"), context) from None
        return self.version_value(row)

    def upload_pipeline(self, request):
        context = "Failed to create a pipeline and a pipeline version"
        file_name, data = self._file(request, context)
        query = request.query
        namespace = self.namespace(query.get("namespace"))
        if self.auth.multi_user and not namespace:
            raise UploadError(400, "Namespace is required in multi-user mode", plain=True)
        name = query.get("name") or query.get("display_name", "") or file_name
        try:
            self.auth.check(request.user, namespace, "create", "pipelines")
        except ApiError:
            raise UploadError(400, "Failed to create a pipeline") from None
        tags = self._tags(request)
        try:
            template = tpl.load(data, self.version)
            row = self._add_pipeline(name, query.get("display_name"),
                                     query.get("description", ""), namespace, tags)
            self._add_version(row, name, query.get("display_name"), query.get("description", ""),
                              template, {})
        except ApiError as error:
            raise self._upload_error(409 if error.status == 409 else 400, error, context) from None
        return self.pipeline_value(row)

    def versions_list(self, request, pipeline_id):
        context = (f"Failed to list pipeline versions due to error fetching the namespace for "
                   f"pipeline {pipeline_id}")
        pipeline = self.find("pipelines", "Pipeline", pipeline_id, context)
        self.allow(request, pipeline["namespace"], "list", "pipelines", context)
        rows, total, token = listing.page(self.store.versions_of(pipeline_id), "version",
                                          request.query, tags=self.version >= (2, 17))
        if not rows:
            return {}
        return plain({"pipeline_versions": [self.version_value(r) for r in rows],
                      "total_size": total, "next_page_token": token})

    def versions_get(self, request, pipeline_id, key):
        context = f"Failed to get a pipeline version {key}"
        row = self.find("versions", "PipelineVersion", key, context)
        pipeline = self.store.pipelines.get(row["pipeline_id"], {"namespace": ""})
        self.allow(request, pipeline["namespace"], "get", "pipelines", context)
        return self.version_value(row)

    def versions_delete(self, request, pipeline_id, key):
        context = f"Failed to delete a pipeline version {key}"
        self.find("versions", "PipelineVersion", key, context)
        self.store.drop("versions", key)
        self.record("version.delete", key, {})
        return {}

    # -- experiments ----------------------------------------------------------------------------

    def experiment_value(self, row):
        return plain({"experiment_id": row["id"], "display_name": row["name"],
                      "description": row["description"], "created_at": rfc3339(row["created"]),
                      "namespace": row["namespace"], "storage_state": row["storage_state"],
                      "last_run_created_at": rfc3339(row["last_run"])})

    def _add_experiment(self, name, description, namespace):
        if any(e["name"] == name and e["namespace"] == namespace
               for e in self.store.experiments.values()):
            raise already_exists("Failed to create a new experiment. The name "
                                 f"{name} already exists. Please specify a new name")
        row = {"id": new_id(), "name": name, "description": description, "namespace": namespace,
               "created": now(), "storage_state": "AVAILABLE", "last_run": 0}
        self.store.put("experiments", row)
        self.record("experiment", name, self.experiment_value(row))
        return row

    def experiments_create(self, request):
        body = self.body(request, "Experiment")
        name = body.get("display_name", "")
        namespace = self.namespace(body.get("namespace"))
        context = "Failed to create a experiment"
        if not name:
            raise invalid_input("Experiment must have a non-empty name").internal(
                "Failed to convert API experiment to model experiment").wrap(
                "[ExperimentServer]: Failed to create a experiment due to conversion error")
        try:
            if len(name) > 128:
                raise invalid_input(f"Experiment.Name length cannot exceed 128, got {len(name)}")\
                    .internal("Failed to convert API experiment to model experiment")
            if self.auth.multi_user and not namespace:
                raise invalid_input("An experiment cannot have an empty namespace in multi-user "
                                    "mode")
            self.allow(request, namespace, "create", "experiments",
                       "Failed to authorize the request: Failed to authorize with API")
            row = self._add_experiment(name, body.get("description", ""), namespace)
        except ApiError as error:
            raise error.wrap(context) from None
        return self.experiment_value(row)

    def experiments_list(self, request):
        namespace = self.namespace(request.query.get("namespace"))
        if self.auth.multi_user and not namespace:
            raise invalid_input("An experiment cannot have an empty namespace in multi-user mode")\
                .wrap("List experiments failed: Failed to authorize with API")
        self.allow(request, namespace, "list", "experiments",
                   "List experiments failed: Failed to authorize with API")
        rows, total, token = listing.page(self.store.experiments, "experiment", request.query,
                                          keep=lambda row: row["namespace"] == namespace)
        if not rows:
            return {}
        return plain({"experiments": [self.experiment_value(r) for r in rows],
                      "total_size": total, "next_page_token": token})

    def experiments_get(self, request, key):
        context = "Failed to fetch experiment"
        row = self.find("experiments", "Experiment", key, context)
        self.allow(request, row["namespace"], "get", "experiments", context)
        return self.experiment_value(row)

    def experiments_delete(self, request, key):
        self.find("experiments", "Experiment", key, "Failed to delete experiment")
        self.store.drop("experiments", key)
        self.record("experiment.delete", key, {})
        return {}

    def experiments_verb(self, request, key, verb):
        row = self.find("experiments", "Experiment", key, f"Failed to {verb} experiment")
        self.body(request, "Empty")
        row["storage_state"] = "ARCHIVED" if verb == "archive" else "AVAILABLE"
        self.store.touch("experiments", row)
        self.record(f"experiment.{verb}", key, {})
        return {}
