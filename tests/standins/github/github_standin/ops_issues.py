"""Operations on issues and their comments: pull-request conversations are issues here."""

from standin_common.clock import parse_iso

from .actions import comment_fault
from .auth import ApiError
from .rest import route
from .world import REACTIONS

EITHER_READ = "issues:read|pull_requests:read"
EITHER = "issues:write|pull_requests:write"
BASE = "/repos/{owner}/{repo}/issues"


def _invalid(resource, field, code, message=None):
    error = {"resource": resource, "code": code, "field": field}
    if message:
        error["message"] = message
    return ApiError(422, "Validation Failed", [error])


def _comment_body(c):
    body = c.body.get("body")
    fault = comment_fault(body)
    if fault == "nil":
        raise ApiError(422, "Invalid request.\n\nFor 'properties/body', nil is not a string.")
    if fault == "blank":
        raise ApiError(422, "Validation Failed", [{"resource": "IssueComment", "code": "unprocessable",
                                                   "field": "data", "message": "Body cannot be blank"}])
    if fault == "long":
        raise _invalid("IssueComment", "data", "unprocessable",
                       "Body is too long (maximum is 65536 characters)")
    return body


def _comment(c):
    comment = c.world.comments.get(c.number("comment_id"))
    if comment is None or comment.repo_id != c.repo.id or not c.seen(comment.created):
        raise ApiError(404, "Not Found")
    return comment


def _may_write(c) -> bool:
    """An App with the permission writes into locked conversations as little as a stranger does."""
    return c.credential.kind == "user" and c.world.may(c.repo, c.actor, "write")


def _since(c, comments):
    since = c.arg("since")
    if since is None:
        return comments
    try:
        moment = parse_iso(since)
    except ValueError:
        raise ApiError(422, "Validation Failed") from None
    return [comment for comment in comments if int(comment.updated) >= moment]


@route("GET", BASE + "/{issue_number}/comments", perms=EITHER_READ)
def list_comments(c):
    comments = [k for k in c.world.comments_of(c.issue()) if c.seen(k.created)]
    return c.page(_since(c, sorted(comments, key=lambda k: k.id)),
                  lambda k: c.views.comment(c.repo, k))


@route("POST", BASE + "/{issue_number}/comments", perms=EITHER, content=True, need="read")
def create_comment(c):
    issue = c.issue()
    if issue.locked and not _may_write(c):
        raise ApiError(403, "Unable to create comment because issue is locked.")
    body = _comment_body(c)
    app_id = c.world.app.id if c.credential.kind == "installation" else None
    comment = c.act.comment(c.repo, issue, c.actor, body, app_id)
    shown = c.views.comment(c.repo, comment)
    return 201, shown, {"Location": shown["url"]}


@route("GET", BASE + "/comments", perms=EITHER_READ)
def list_repo_comments(c):
    comments = [k for k in c.world.comments.values() if k.repo_id == c.repo.id and c.seen(k.created)]
    comments = _since(c, comments)
    by = "updated" if c.arg("sort") == "updated" else "created"
    comments.sort(key=lambda k: (getattr(k, by), k.id), reverse=c.arg("direction") == "desc")
    return c.page(comments, lambda k: c.views.comment(c.repo, k))


@route("GET", BASE + "/comments/{comment_id}", perms=EITHER_READ)
def get_comment(c):
    comment = _comment(c)
    c.last_modified = comment.updated
    return 200, c.views.comment(c.repo, comment)


@route("PATCH", BASE + "/comments/{comment_id}", perms=EITHER, content=True, need="read")
def update_comment(c):
    comment = _comment(c)
    own = comment.user and comment.user.id == c.actor.id
    if not own and not _may_write(c):
        raise ApiError(403, "Resource not accessible by integration")
    c.act.edit_comment(comment, c.actor, _comment_body(c))
    return 200, c.views.comment(c.repo, comment)


@route("DELETE", BASE + "/comments/{comment_id}", perms=EITHER, need="read")
def delete_comment(c):
    comment = _comment(c)
    own = comment.user and comment.user.id == c.actor.id
    if not own and not _may_write(c):
        raise ApiError(403, "Resource not accessible by integration")
    c.act.delete_comment(comment, c.actor)
    return 204, None


# reactions


def _react(c, owner):
    content = c.body.get("content")
    if content not in REACTIONS:
        raise ApiError(422, "Invalid request.\n\nFor 'properties/content', "
                            f"{content} is not a valid reaction.")
    reaction, is_new = c.act.react(owner, c.actor, content)
    return (201 if is_new else 200), c.views.reaction(reaction)


def _list_reactions(c, owner):
    wanted = c.arg("content")
    return c.page([r for r in owner.reactions if wanted in (None, r.content)], c.views.reaction)


@route("GET", BASE + "/comments/{comment_id}/reactions", perms="issues:read")
def list_comment_reactions(c):
    return _list_reactions(c, _comment(c))


@route("POST", BASE + "/comments/{comment_id}/reactions", perms="issues:write", content=True,
       need="read")
def create_comment_reaction(c):
    return _react(c, _comment(c))


@route("DELETE", BASE + "/comments/{comment_id}/reactions/{reaction_id}", perms="issues:write",
       need="read")
def delete_comment_reaction(c):
    comment = _comment(c)
    for reaction in comment.reactions:
        if reaction.id == c.number("reaction_id"):
            if reaction.user.id != c.actor.id:
                raise ApiError(403, "Resource not accessible by integration")
            c.act.unreact(comment, reaction)
            return 204, None
    raise ApiError(404, "Not Found")


@route("GET", BASE + "/{issue_number}/reactions", perms="issues:read")
def list_issue_reactions(c):
    return _list_reactions(c, c.issue())


@route("POST", BASE + "/{issue_number}/reactions", perms="issues:write", content=True, need="read")
def create_issue_reaction(c):
    return _react(c, c.issue())


# issues


@route("GET", BASE, perms="issues:read")
def list_issues(c):
    state = c.arg("state", "open")
    labels = {name.lower() for name in (c.arg("labels") or "").split(",") if name}
    found = [issue for issue in c.repo.issues.values()
             if state in ("all", issue.state) and labels <= {name.lower() for name in issue.labels}]
    found.sort(key=lambda issue: -issue.number)
    return c.page(found, lambda issue: c.views.issue(c.repo, issue))


@route("POST", BASE, perms="issues:write", content=True, need="read")
def create_issue(c):
    issue = c.act.open_issue(c.repo, c.body["title"], c.body.get("body"), c.actor)
    return 201, c.views.issue(c.repo, issue)


@route("GET", BASE + "/{issue_number}", perms="issues:read")
def get_issue(c):
    issue = c.issue()
    c.last_modified = issue.updated
    return 200, c.views.issue(c.repo, issue)


@route("PATCH", BASE + "/{issue_number}", perms=EITHER, content=True)
def update_issue(c):
    issue = c.issue()
    if "state" in c.body:
        c.act.set_state(c.repo, issue, c.body["state"], c.actor)
    issue.title = c.body.get("title", issue.title)
    issue.body = c.body.get("body", issue.body)
    return 200, c.views.issue(c.repo, issue)


@route("PUT", BASE + "/{issue_number}/lock", perms=EITHER)
def lock_issue(c):
    c.act.set_lock(c.repo, c.issue(), True, c.actor, c.body.get("lock_reason"))
    return 204, None


@route("DELETE", BASE + "/{issue_number}/lock", perms=EITHER)
def unlock_issue(c):
    c.act.set_lock(c.repo, c.issue(), False, c.actor)
    return 204, None


# labels


@route("GET", BASE + "/{issue_number}/labels", perms=EITHER_READ)
def list_issue_labels(c):
    issue = c.issue()
    return c.page(list(issue.labels), lambda name: c.views.label(c.repo, c.repo.labels[name.lower()]))


def _names(c):
    return [item["name"] if isinstance(item, dict) else item for item in c.body.get("labels", [])]


@route("POST", BASE + "/{issue_number}/labels", perms=EITHER, content=True)
def add_labels(c):
    issue = c.issue()
    for name in _names(c):
        c.act.add_label(c.repo, issue, name, c.actor)
    return 200, c.views.labels(c.repo, issue)


@route("PUT", BASE + "/{issue_number}/labels", perms=EITHER, content=True)
def set_labels(c):
    issue, wanted = c.issue(), _names(c)
    for name in list(issue.labels):
        if name.lower() not in {w.lower() for w in wanted}:
            c.act.remove_label(c.repo, issue, name, c.actor)
    for name in wanted:
        c.act.add_label(c.repo, issue, name, c.actor)
    return 200, c.views.labels(c.repo, issue)


@route("DELETE", BASE + "/{issue_number}/labels/{name}", perms=EITHER)
def remove_label(c):
    issue, name = c.issue(), c.params["name"]
    if name.lower() not in {held.lower() for held in issue.labels}:
        raise ApiError(404, "Label does not exist")
    c.act.remove_label(c.repo, issue, name, c.actor)
    return 200, c.views.labels(c.repo, issue)


@route("GET", "/repos/{owner}/{repo}/labels", perms=EITHER_READ)
def list_labels(c):
    return c.page(list(c.repo.labels.values()), lambda label: c.views.label(c.repo, label))


@route("POST", "/repos/{owner}/{repo}/labels", perms=EITHER, content=True)
def create_label(c):
    name = c.body["name"]
    if name.lower() in c.repo.labels:
        raise _invalid("Label", "name", "already_exists")
    label = c.act.create_label(c.repo, name, c.body.get("color", "ededed"), c.body.get("description"))
    return 201, c.views.label(c.repo, label)


@route("GET", "/repos/{owner}/{repo}/labels/{name}", perms=EITHER_READ)
def get_label(c):
    label = c.repo.labels.get(c.params["name"].lower())
    if label is None:
        raise ApiError(404, "Not Found")
    return 200, c.views.label(c.repo, label)
