"""GraphQL: the exact texts that the bot ships, white space folded, and nothing else.

Faults of a query are 200 with `errors`, as GitHub's are. A text that is not known is a violation: either
the bot changed its query, and this table has to follow, or it sends something by mistake.
"""

import json
import re

from standin_common.clock import iso
from standin_common.http import Answer

from .auth import ApiError
from . import graphql_pulls as pulls
from . import rest

MINIMIZE = """mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED})
              { minimizedComment { isMinimized } } }"""


EDITED = "query($id: ID!) { node(id: $id) { ... on IssueComment { lastEditedAt } } }"

PEOPLE = """query($owner: String!, $name: String!, $oid: GitObjectID!)
            { repository(owner: $owner, name: $name) { object(oid: $oid) { ... on Commit
            { authors(first: 100) { totalCount nodes { name email user { databaseId login } } }
            committer { name email user { databaseId login } } } } } }"""


PUSHES = """query($id: ID!) { node(id: $id) { ... on PullRequest { createdAt headRefOid headRefName isCrossRepository
            commits(last: 1) { nodes { commit { oid checkSuites(first: 50) { nodes { createdAt branch { name } } } } } }
            timelineItems(last: 1, itemTypes: [HEAD_REF_FORCE_PUSHED_EVENT]) { nodes { ... on HeadRefForcePushedEvent
            { createdAt afterCommit { oid } } } } } } }"""


def fold(text: str) -> str:
    """White space counts only between words."""
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" ?([{}():,!$]) ?", r"\1", text)


def handle(app, request) -> Answer:
    request.facts["api_path"] = "/graphql"
    request.facts["resource"] = "graphql"
    request.facts["route"] = "POST /graphql"
    try:
        answer = _handle(app, request)
    except rest.HtmlError as error:
        answer = Answer.text(error.text, error.status, "text/html; charset=utf-8")
    except ApiError as error:
        answer = Answer.json(error.body, error.status, error.headers)
    return rest._finish(app, request, answer)


def _handle(app, request):
    rest._check_headers(app, request)
    if request.method != "POST":
        app.record.violation("unknown_method", "GraphQL takes POST", request)
        raise ApiError(404, "Not Found")
    with app.world.lock:
        credential = app.tokens.credential(request.headers.get("Authorization"))
        request.facts["key"] = credential.key
        if credential.kind in ("anonymous", "jwt"):
            raise ApiError(401, "This endpoint requires you to be authenticated.")
        app.limits.check_wait(credential.key)
        query, variables = _parse(app, request)
        try:
            app.limits.count(credential.key, "graphql", "POST", query.startswith("mutation"), request)
        except ApiError as error:
            if "secondary" in error.body["message"]:
                raise
            return _errors(None, "RATE_LIMITED", None, error.body["message"], error.headers)
        known = OPERATIONS.get(query)
        if known:
            return known(app, credential, variables)
        app.record.violation("graphql", f"unknown query: {query[:200]}", request)
        return _errors(None, None, None, "Parse error on an unknown query of the stand-in")


def _parse(app, request):
    try:
        body = json.loads(request.body)
        query, variables = body["query"], body.get("variables") or {}
    except (ValueError, KeyError, TypeError):
        app.record.violation("bad_json", "no query in the GraphQL body", request)
        raise ApiError(400, "Problems parsing JSON") from None
    extra = set(body) - {"query", "variables", "operationName"}
    if extra:
        app.record.violation("description", f"unknown member '{sorted(extra)[0]}'", request)
    return fold(query), variables


def _last_edited(app, credential, variables):
    comment = app.world.by_node_id(variables.get("id"))
    repo = app.world.repos.get(comment.repo_id) if comment else None
    if repo is None or not rest._sees(app, credential, repo):
        return _errors({"node": None}, "NOT_FOUND", ["node"],
                       f"Could not resolve to a node with the global id of '{variables.get('id')}'.")
    at = iso(comment.updated) if comment.editor else None
    return Answer.json({"data": {"node": {"lastEditedAt": at}}})


def _pushes(app, credential, variables):
    """Of a pull request: what GitHub writes down itself, and no date of a commit."""
    repo, issue = app.world.pull_by_node_id(variables.get("id"))
    if repo is None or not rest._sees(app, credential, repo):
        return _errors({"node": None}, "NOT_FOUND", ["node"],
                       f"Could not resolve to a node with the global id of '{variables.get('id')}'.")
    if credential.kind != "user" and not credential.has({"pull_requests": "read"}):
        return _errors({"node": None}, "FORBIDDEN", ["node"], rest.FORBIDDEN)
    pull, forced = issue.pull, [item for item in issue.timeline if item["kind"] == "force-push"][-1:]
    suites = [suite for suite in app.world.suites.values()
              if suite.repo_id == repo.id and suite.head_sha == pull.head_sha]
    if credential.kind != "user" and not credential.has({"checks": "read"}):
        return _errors({"node": None}, "FORBIDDEN", ["node", "commits", "nodes", 0, "commit", "checkSuites"],
                       rest.FORBIDDEN)
    return Answer.json({"data": {"node": {
        "createdAt": iso(issue.created), "headRefOid": pull.head_sha, "headRefName": pull.head_ref,
        "isCrossRepository": pull.head_repo_id != repo.id,
        "commits": {"nodes": [{"commit": {"oid": pull.head_sha, "checkSuites": {"nodes": [
            {"createdAt": iso(suite.created), "branch": {"name": suite.head_branch} if suite.head_branch else None}
            for suite in suites]}}}]},
        "timelineItems": {"nodes": [{"createdAt": iso(item["at"]), "afterCommit": {"oid": item["after"]}}
                                    for item in forced]}}}})


def _people(app, credential, variables):
    """Author, committer and the co-authors of the message's trailers, with the accounts that have their addresses."""
    if set(variables) != {"owner", "name", "oid"}:
        return _errors(None, None, None, "Variable $oid of type GitObjectID! was provided invalid value")
    repo = app.world.repo(variables["owner"], variables["name"])
    if repo is None or not rest._sees(app, credential, repo):
        return _errors({"repository": None}, "NOT_FOUND", ["repository"],
                       f"Could not resolve to a Repository with the name '{variables['owner']}/{variables['name']}'.")
    sha = variables["oid"]
    if not re.fullmatch("[0-9a-f]{40}", sha) or not app.git.has_commit(repo.id, sha):
        return Answer.json({"data": {"repository": {"object": None}}})
    commit = app.git.log(repo.id, sha, 1)[0]
    written = (commit["name"], commit["email"])
    others = re.findall(r"^Co-authored-by: *(.+?) *<([^<>]+)>\s*$", commit["message"], re.M | re.I)
    people = list(dict.fromkeys([written, *others]))
    shown = [_actor(app, *person) for person in people]
    return Answer.json({"data": {"repository": {"object": {
        "authors": {"totalCount": len(shown), "nodes": shown[:100]}, "committer": _actor(app, *written)}}}})


def _actor(app, name, email):
    """GitHub knows a person by the address alone."""
    login, _, host = email.partition("@")
    user = app.world.user(login.partition("+")[2] or login) if "noreply" in host else None
    return {"name": name, "email": email, "user": user and {"databaseId": user.id, "login": user.login}}


def _minimize(app, credential, variables):
    unknown = set(variables) - {"id"}
    if unknown or not isinstance(variables.get("id"), str):
        return _errors(None, None, None, "Variable $id of type ID! was provided invalid value")
    comment = app.world.by_node_id(variables["id"])
    repo = app.world.repos.get(comment.repo_id) if comment else None
    if repo is None or not rest._sees(app, credential, repo):
        return _errors({"minimizeComment": None}, "NOT_FOUND", ["minimizeComment"],
                       f"Could not resolve to a node with the global id of '{variables['id']}'.")
    allowed = app.world.may(repo, credential.actor, "write") if credential.kind == "user" else \
        credential.has({"issues": "write"}) or credential.has({"pull_requests": "write"})
    if not allowed:
        return _errors({"minimizeComment": None}, "FORBIDDEN", ["minimizeComment"], rest.FORBIDDEN)
    app.actions.minimize(comment, "OUTDATED")
    return Answer.json({"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}})


def _errors(data, kind, path, message, headers=None):
    error = {"message": message}
    if kind:
        error["type"] = kind
    if path:
        error["path"] = path
        error["locations"] = [{"line": 1, "column": 20}]
    body = {"errors": [error]}
    if data is not None:
        body = {"data": data, **body}
    return Answer.json(body, 200, headers)


OPERATIONS = {fold(text): function for text, function in (
    (MINIMIZE, _minimize), (EDITED, _last_edited), (PUSHES, _pushes), (PEOPLE, _people), (pulls.STATE, pulls.state), (pulls.ENQUEUE, pulls.enqueue),
    (pulls.DEQUEUE, pulls.dequeue), (pulls.UPDATE_REFS, pulls.update_refs))}
