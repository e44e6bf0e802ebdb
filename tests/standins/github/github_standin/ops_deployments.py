"""Deployments and their statuses, with GitHub's surprising defaults.

A new deployment that does not say otherwise merges the default branch into a branch that is behind (202, and no
deployment), and refuses while any status or check of the commit is not green (409).
"""

from .auth import ApiError
from .ops_checks import latest_statuses
from .rest import route
from .views import iso
from .world import node_id

BASE = "/repos/{owner}/{repo}/deployments"
STATES = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
ENVIRONMENT_MAX = 255
DESCRIPTION_MAX = 140


def _show(c, deployment):
    url = f"{c.views.api}/repos/{c.repo.full_name}/deployments/{deployment['id']}"
    return {"url": url, "id": deployment["id"], "node_id": node_id("DE", deployment["id"]), "sha": deployment["sha"],
            "ref": deployment["ref"], "task": deployment["task"], "payload": deployment["payload"],
            "original_environment": deployment["environment"], "environment": deployment["environment"],
            "description": deployment["description"], "creator": c.views.user(deployment["creator"]),
            "created_at": iso(deployment["created"]), "updated_at": iso(deployment["updated"]),
            "statuses_url": url + "/statuses", "repository_url": f"{c.views.api}/repos/{c.repo.full_name}",
            "transient_environment": deployment["transient"], "production_environment": deployment["production"]}


def _show_status(c, deployment, status):
    url = f"{c.views.api}/repos/{c.repo.full_name}/deployments/{deployment['id']}"
    return {"url": f"{url}/statuses/{status['id']}", "id": status["id"], "node_id": node_id("DES", status["id"]),
            "state": status["state"], "creator": c.views.user(status["creator"]),
            "description": status["description"], "environment": status["environment"],
            "target_url": status["log_url"], "log_url": status["log_url"],
            "environment_url": status["environment_url"], "created_at": iso(status["created"]),
            "updated_at": iso(status["created"]), "deployment_url": url,
            "repository_url": f"{c.views.api}/repos/{c.repo.full_name}"}


def _invalid(field, message):
    return ApiError(422, "Validation Failed",
                    [{"resource": "Deployment", "code": "custom", "field": field, "message": message}])


def _not_green(c, sha):
    """Names of statuses and checks of the commit that are not green."""
    names = [status["context"] for status in latest_statuses(c.repo, sha) if status["state"] != "success"]
    names += [run.name for run in c.app.world.check_runs.values()
              if run.head_sha == sha and run.conclusion not in ("success", "neutral", "skipped")]
    return names


@route("POST", BASE, perms="deployments:write", content=True)
def create_deployment(c):
    sha = c.resolve(c.body["ref"])
    environment = c.body.get("environment", "production")
    if not environment or len(environment) > ENVIRONMENT_MAX:
        raise _invalid("environment", "environment is too long")
    if len(c.body.get("description") or "") > DESCRIPTION_MAX:
        raise _invalid("description", "description is too long (maximum is 140 characters)")
    base = c.git.head(c.repo.id, f"refs/heads/{c.repo.default_branch}")
    if c.body.get("auto_merge", True) and c.git.text(c.repo.id, "rev-list", "--count", f"{sha}..{base}") != "0":
        c.app.record.mutation("deployment.merged_base", ref=c.body["ref"])
        return 202, {"message": f"Auto-merged {c.repo.default_branch} into {c.body['ref']} on deployment."}
    wanted = c.body.get("required_contexts")
    waiting = [name for name in _not_green(c, sha) if wanted is None or name in wanted]
    if waiting:
        raise ApiError(409, f"Conflict: Commit status checks failed for {c.body['ref']}.")
    deployment = {"id": c.app.world.new_id("deployment"), "sha": sha, "ref": c.body["ref"],
                  "task": c.body.get("task", "deploy"), "payload": c.body.get("payload", {}),
                  "environment": environment, "description": c.body.get("description"), "creator": c.actor,
                  "created": c.clock.now(), "updated": c.clock.now(), "statuses": [],
                  "transient": c.body.get("transient_environment", False),
                  "production": c.body.get("production_environment", environment == "production")}
    c.repo.deployments.append(deployment)
    c.app.record.mutation("deployment.created", id=deployment["id"], sha=sha, environment=environment,
                      payload=deployment["payload"])
    return 201, _show(c, deployment)


@route("GET", BASE, perms="deployments:read")
def list_deployments(c):
    found = [deployment for deployment in reversed(c.repo.deployments)
             if all(c.arg(key) in (None, deployment[key]) for key in ("sha", "ref", "task", "environment"))]
    return c.page(found, lambda deployment: _show(c, deployment))


def _deployment(c):
    for deployment in c.repo.deployments:
        if str(deployment["id"]) == c.params["deployment_id"]:
            return deployment
    raise ApiError(404, "Not Found")


@route("GET", BASE + "/{deployment_id}", perms="deployments:read")
def get_deployment(c):
    return 200, _show(c, _deployment(c))


@route("POST", BASE + "/{deployment_id}/statuses", perms="deployments:write", content=True)
def create_deployment_status(c):
    deployment, state = _deployment(c), c.body.get("state")
    if state not in STATES:
        raise _invalid("state", "state is not included in the list")
    if len(c.body.get("description") or "") > DESCRIPTION_MAX:
        raise _invalid("description", "description is too long (maximum is 140 characters)")
    status = _add(c, deployment, state, c.body)
    if state == "success" and c.body.get("auto_inactive", True):
        for other in c.repo.deployments:
            if other is not deployment and other["environment"] == deployment["environment"] and \
               not other["transient"] and not other["production"] and _newest(other) == "success":
                _add(c, other, "inactive", {})
    return 201, _show_status(c, deployment, status)


def _newest(deployment):
    return deployment["statuses"][-1]["state"] if deployment["statuses"] else None


def _add(c, deployment, state, body):
    status = {"id": c.app.world.new_id("deployment"), "state": state, "creator": c.actor,
              "description": body.get("description") or "", "created": c.clock.now(),
              "environment": body.get("environment") or deployment["environment"],
              "log_url": body.get("log_url") or body.get("target_url") or "",
              "environment_url": body.get("environment_url") or ""}
    deployment["statuses"].append(status)
    deployment["updated"] = c.clock.now()
    c.app.record.mutation("deployment.status", deployment=deployment["id"], state=state,
                      environment=deployment["environment"])
    return status


@route("GET", BASE + "/{deployment_id}/statuses", perms="deployments:read")
def list_deployment_statuses(c):
    deployment = _deployment(c)
    return c.page(list(reversed(deployment["statuses"])), lambda status: _show_status(c, deployment, status))
