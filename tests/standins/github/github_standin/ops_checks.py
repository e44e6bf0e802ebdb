"""Operations on check runs, check suites and commit statuses."""

from .auth import ApiError
from .rest import route

BASE = "/repos/{owner}/{repo}"
CONCLUSIONS = {"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
STATUSES = {"queued", "in_progress", "completed"}
TEXT_MAX = 65535
ANNOTATIONS_MAX = 50
ACTIONS_MAX = 3
STATUSES_PER_CONTEXT_MAX = 1000
DESCRIPTION_MAX = 140
MISSING = object()


def _bad(text):
    return ApiError(422, f"Invalid request.\n\n{text}")


def _check_fields(data):
    """What GitHub refuses beyond the shape."""
    if data.get("status") not in (None, *STATUSES):
        raise _bad(f"'{data['status']}' is not a possible value for 'status'.")
    if data.get("conclusion") not in (None, *CONCLUSIONS):
        raise _bad(f"'{data['conclusion']}' is not a possible value for 'conclusion'.")
    if data.get("status") == "completed" and not data.get("conclusion"):
        raise _bad("'conclusion' is required when 'status' is 'completed'.")
    output = data.get("output")
    if output is not None:
        _check_output(output)
    actions = data.get("actions", [])
    if len(actions) > ACTIONS_MAX:
        raise _bad("No more than 3 items are allowed in 'actions'.")
    for action in actions:
        for key, limit in (("label", 20), ("description", 40), ("identifier", 20)):
            if not 0 < len(action.get(key, "")) <= limit:
                raise _bad(f"'actions.{key}' has to have 1 to {limit} characters.")


def _check_output(output):
    for key in ("title", "summary"):
        if not isinstance(output.get(key), str):
            raise _bad(f"For 'properties/output', \"{key}\" wasn't supplied.")
    for key in ("summary", "text"):
        if len(output.get(key) or "") > TEXT_MAX:
            raise _bad(f"Only 65535 characters are allowed; {len(output[key])} were supplied for {key}.")
    annotations = output.get("annotations", [])
    if len(annotations) > ANNOTATIONS_MAX:
        raise _bad("No more than 50 items are allowed in 'annotations'.")
    for item in annotations:
        for key in ("path", "start_line", "end_line", "annotation_level", "message"):
            if item.get(key) in (None, ""):
                raise _bad(f"For 'items/properties', \"{key}\" wasn't supplied.")
        if item["annotation_level"] not in ("notice", "warning", "failure"):
            raise _bad(f"'{item['annotation_level']}' is not an annotation level.")
        if "start_column" in item and item["start_line"] != item["end_line"]:
            raise _bad("start_column is allowed only when start_line equals end_line.")
        if item["start_line"] > item["end_line"]:
            raise _bad("end_line is before start_line.")
        if max(len((item.get(key) or "").encode()) for key in ("message", "raw_details")) > 65536 or \
           len(item.get("title") or "") > 255:
            raise _bad("annotation too long.")


def _run(c):
    run = c.world.check_runs.get(c.number("check_run_id"))
    if run is None or run.repo_id != c.repo.id:
        raise ApiError(404, "Not Found")
    return run


@route("POST", BASE + "/check-runs", perms="checks:write", auth="installation", content=True)
def create_check(c):
    for key in ("name", "head_sha"):
        if not isinstance(c.body.get(key), str):
            raise _bad(f'"{key}" wasn\'t supplied.')
    _check_fields(c.body)
    c.commit(c.body["head_sha"])
    run = c.act.create_check(c.repo, c.world.app.id, c.actor, c.body)
    return 201, c.views.check_run(c.repo, run)


@route("PATCH", BASE + "/check-runs/{check_run_id}", perms="checks:write", auth="installation",
       content=True)
def update_check(c):
    run = _run(c)
    if run.app_id != c.world.app.id:
        raise ApiError(403, "Invalid app_id `" + str(c.world.app.id) + "` - check run can only be "
                            "modified by the GitHub App that created it.")
    _check_fields(c.body)
    c.act.update_check(c.repo, run, c.actor, c.body)
    return 200, c.views.check_run(c.repo, run)


@route("GET", BASE + "/check-runs/{check_run_id}", perms="checks:read")
def get_check(c):
    return 200, c.views.check_run(c.repo, _run(c))


@route("GET", BASE + "/check-runs/{check_run_id}/annotations", perms="checks:read")
def list_annotations(c):
    run = _run(c)

    def show(item):
        return {"path": item["path"], "start_line": item["start_line"], "end_line": item["end_line"],
                "start_column": item.get("start_column"), "end_column": item.get("end_column"),
                "annotation_level": item["annotation_level"], "title": item.get("title"),
                "message": item["message"], "raw_details": item.get("raw_details"),
                "blob_href": f"{c.views.web}/{c.repo.full_name}/blob/{run.head_sha}/{item['path']}"}
    return c.page(run.annotations, show)


@route("POST", BASE + "/check-runs/{check_run_id}/rerequest", perms="checks:write")
def rerequest_check(c):
    c.act.rerequest_check(c.repo, _run(c), c.actor)
    return 201, {}


def _filter(c, runs):
    """check_name, status, app_id and filter=latest (the default: newest of each name and App)."""
    name, status, app_id = c.arg("check_name"), c.arg("status"), c.arg("app_id")
    runs = [run for run in runs if name in (None, run.name) and status in (None, run.status) and
            app_id in (None, str(run.app_id))]
    if c.arg("filter", "latest") == "latest":
        newest = {}
        for run in sorted(runs, key=lambda r: r.id):
            newest[(run.name, run.app_id)] = run
        runs = list(newest.values())
    return sorted(runs, key=lambda r: -r.id)


@route("GET", BASE + "/commits/{ref}/check-runs", perms="checks:read")
def list_checks(c):
    runs = c.world.checks_of(c.repo, c.resolve(c.params["ref"]))
    if c.stale_s:
        runs = [run for run in runs if run.updates]
    return c.page(_filter(c, runs), lambda run: c.views.check_run(c.repo, run), "check_runs")


@route("GET", BASE + "/commits/{ref}/check-suites", perms="checks:read")
def list_suites(c):
    sha = c.resolve(c.params["ref"])
    suites = [s for s in c.world.suites.values() if s.repo_id == c.repo.id and s.head_sha == sha]
    return c.page(suites, lambda s: _suite(c, s), "check_suites")


def _suite(c, suite):
    return {**c.views.check_suite(c.repo, suite), "repository": c.views.repo(c.repo)}


@route("POST", BASE + "/check-suites", perms="checks:write", auth="installation")
def create_suite(c):
    sha = c.commit(c.body.get("head_sha"))
    count = len(c.world.suites)
    suite = c.act.suite(c.repo, sha, c.world.app.id)
    return (201 if len(c.world.suites) > count else 200), _suite(c, suite)


@route("GET", BASE + "/check-suites/{check_suite_id}", perms="checks:read")
def get_suite(c):
    suite = c.world.suites.get(c.number("check_suite_id"))
    if suite is None or suite.repo_id != c.repo.id:
        raise ApiError(404, "Not Found")
    return 200, _suite(c, suite)


# statuses


@route("POST", BASE + "/statuses/{sha}", perms="statuses:write", content=True)
def create_status(c):
    sha = c.commit(c.params["sha"])
    if c.body.get("state") not in ("error", "failure", "pending", "success"):
        raise ApiError(422, "Validation Failed", [{"resource": "Status", "code": "custom",
                                                   "field": "state",
                                                   "message": "state is not included in the list"}])
    if len(c.body.get("description") or "") > DESCRIPTION_MAX:
        raise ApiError(422, "Validation Failed", [
            {"resource": "Status", "code": "custom", "field": "description",
             "message": "description is too long (maximum is 140 characters)"}])
    context = c.body.get("context", "default").lower()
    held = [s for s in c.repo.statuses.get(sha, []) if s["context"].lower() == context]
    if len(held) >= STATUSES_PER_CONTEXT_MAX:
        raise ApiError(422, "Validation Failed", [
            {"resource": "Status", "code": "custom", "field": "base",
             "message": "This SHA and context has reached the maximum number of statuses."}])
    status = c.act.add_status(c.repo, sha, c.actor, c.body)
    shown = c.views.status(c.repo, status)
    return 201, shown, {"Location": shown["url"]}


def latest_statuses(repo, sha):
    """The newest status of each context."""
    newest = {}
    for status in repo.statuses.get(sha, []):
        newest[status["context"].lower()] = status
    return list(newest.values())


@route("GET", BASE + "/commits/{ref}/status", perms="statuses:read")
def combined_status(c):
    sha = c.resolve(c.params["ref"])
    latest = latest_statuses(c.repo, sha)
    states = {status["state"] for status in latest}
    state = "failure" if states & {"error", "failure"} else \
        "success" if states == {"success"} else "pending"
    url = f"{c.views.api}/repos/{c.repo.full_name}/commits/{sha}"
    status, shown = c.page(latest, lambda s: c.views.status(c.repo, s), "statuses")
    return status, {**shown, "state": state, "sha": sha, "repository": c.views.repo(c.repo),
                    "commit_url": url, "url": url + "/status"}


@route("GET", BASE + "/commits/{ref}/statuses", perms="statuses:read")
def list_statuses(c):
    sha = c.resolve(c.params["ref"])
    return c.page(list(reversed(c.repo.statuses.get(sha, []))), lambda s: c.views.status(c.repo, s))
