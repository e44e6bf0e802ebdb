"""The control interface below /_standin/: what a person does on GitHub, in one request each, and what
tests want to know. ../README.md lists the requests; the parts shared with other stand-ins are in
standin_common.control.
"""

import base64
import pathlib
import re

from standin_common import control as common
from standin_common.http import Answer

from . import gitstore, hooks, merge_queue, rules, web
from .ops_pulls import add_review, dismiss_review
from .world import ROLES

COMMANDS: list = []


class Bad(Exception):
    """A control request that makes no sense: 400."""


def command(method, template):
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + r"\Z")

    def register(function):
        COMMANDS.append((method, pattern, function))
        return function
    return register


class Control:
    """What a command is given."""

    def __init__(self, app, request, params):
        self.app = app
        self.world = app.world
        self.act = app.actions
        self.request = request
        self.params = params
        self.data = request.json() if request.body else {}

    @property
    def repo(self):
        repo = self.world.repo(self.params["owner"], self.params["name"])
        if repo is None:
            raise Bad("no such repository")
        return repo

    @property
    def issue(self):
        issue = self.repo.issues.get(int(self.params["number"]))
        if issue is None:
            raise Bad("no such pull request or issue")
        return issue

    def user(self, key="user", default=None):
        login = self.data.get(key, default)
        if not login:
            raise Bad(f"'{key}' is missing")
        return self.world.need_user(login)

    def files(self):
        files = {}
        if "template" in self.data:
            files.update(gitstore.read_template(self.data["template"]))
        files.update(self.data.get("files", {}))
        return files


def handle(app, request) -> Answer:
    name = request.path.removeprefix("/_standin/")
    if name.startswith(("assets/", "avatar/")):
        return web.asset(app, name)
    try:
        answer = common.handle(app, request, name)
        if answer is not None:
            return answer
        for method, pattern, function in COMMANDS:
            found = pattern.match(name)
            if found and method == request.method:
                with app.world.lock:
                    result = function(Control(app, request, found.groupdict()))
                return result if isinstance(result, Answer) else Answer.json(result or {})
    except (Bad, ValueError, KeyError, gitstore.GitError) as error:
        return Answer.json({"message": f"{type(error).__name__}: {error}"}, 400)
    return Answer.json({"message": f"no such control request: {request.method} {name}"}, 404)


# people and repositories


@command("POST", "users")
def add_user(c):
    """{login, id?, type?}; a login that exists gets a new user: the old one is renamed away."""
    held = c.world.user(c.data["login"])
    if held and c.data.get("id") not in (None, held.id):
        held.login += "-renamed"
        held = None
    user = held or c.world.add_user(c.data["login"], c.data.get("id"), c.data.get("type", "User"))
    return c.app.views.user(user)


@command("POST", "repos")
def create_repo(c):
    """{owner, name, private?, template?, files?, default_branch?, collaborators: {login: role},
    organization?: bool, install?: bool, hook?: bool}"""
    owner = c.world.need_user(c.data["owner"], "Organization" if c.data.get("organization") else "User")
    if c.world.repo(owner.login, c.data["name"]):
        raise Bad("repository exists")
    repo = c.act.create_repo(owner, c.data["name"], c.files(), c.data.get("private", True),
                             c.data.get("default_branch", "main"), c.data.get("author"),
                             c.data.get("message", "Initial commit"), install=False)
    for login, role in c.data.get("collaborators", {}).items():
        _grant(c, repo, login, role)
    if c.world.app and c.data.get("install", True):
        c.act.install(repo)
    if c.app.options.webhook_url and c.data.get("hook", c.world.app is None):
        c.app.hook_repo(repo)
    return _show_repo(c, repo)


def _grant(c, repo, login, role, base=None):
    base = base or role
    if base not in ROLES:
        raise Bad(f"unknown role '{base}'; a custom role needs 'base'")
    repo.roles[c.world.need_user(login).id] = (role, base)


def _show_repo(c, repo):
    return {"id": repo.id, "full_name": repo.full_name, "clone_url": f"{c.app.views.web}/"
            f"{repo.full_name}.git", "default_branch": repo.default_branch,
            "head": c.app.git.head(repo.id, f"refs/heads/{repo.default_branch}")}


@command("GET", "repos")
def list_repos(c):
    return [_show_repo(c, repo) for repo in c.world.repos.values()]


@command("POST", "repos/{owner}/{name}/permissions")
def set_permission(c):
    """{login, role, base?}; role none removes."""
    _grant(c, c.repo, c.data["login"], c.data["role"], c.data.get("base"))


@command("POST", "repos/{owner}/{name}/rename")
def rename_repo(c):
    c.act.rename(c.repo, c.data["name"], c.user(default=c.repo.owner.login))


@command("POST", "repos/{owner}/{name}/settings")
def repo_settings(c):
    """{archived?, private?, methods?: {merge, squash, rebase}, rules?: [...], branch_rules?: [...],
    protection?: {see rules.py}, code_owners?: [login], protected_branches?: [name], unreadable?: [field]}: rules and
    protection are those of the default branch, branch_rules those of all others; unreadable: fields that GraphQL
    refuses to the bot"""
    repo = c.repo
    repo.archived = c.data.get("archived", repo.archived)
    repo.private = c.data.get("private", repo.private)
    repo.methods.update(c.data.get("methods", {}))
    repo.rules = [rules.complete(rule) for rule in c.data.get("rules", repo.rules)]
    repo.protection = c.data.get("protection", repo.protection)
    for name in ("branch_rules", "code_owners", "protected_branches"):
        setattr(repo, name, c.data.get(name, getattr(repo, name)))
    c.app.unreadable_fields = c.data.get("unreadable", c.app.unreadable_fields)


@command("DELETE", "repos/{owner}/{name}")
def delete_repo(c):
    repo = c.repo
    del c.world.repos[repo.id]
    c.app.git.remove(repo.id)


@command("POST", "repos/{owner}/{name}/commits")
def commit(c):
    """{branch?, files?, template?, message?, user?, force?}: commits to a branch, as a push."""
    repo = c.repo
    sha = c.act.push(repo, c.data.get("branch", repo.default_branch), c.files(),
                     c.data.get("message", "Change files"), c.user(default=repo.owner.login),
                     c.data.get("force", False))
    return {"sha": sha}


@command("POST", "teams")
def set_team(c):
    """{org, slug, members: {login: role}, parent?: slug, gone?: true}"""
    key = (c.data["org"].lower(), c.data["slug"].lower())
    c.world.teams[key] = {login.lower(): role for login, role in c.data.get("members", {}).items()}
    if c.data.get("parent"):
        c.world.parents[key] = c.data["parent"].lower()
    if c.data.get("gone"):
        del c.world.teams[key]


# pull requests


@command("POST", "repos/{owner}/{name}/pulls")
def open_pull(c):
    """{title, branch, files?, template?, body?, base?, user?, draft?, fork?: owner, message?,
    maintainer_can_modify?, quiet_refs?}; by GitHub's form maintainers may push to a fork unless its owner unticks
    that; quiet_refs as below."""
    repo = c.repo
    user = c.user(default=c.data.get("fork") or repo.owner.login)
    base = c.data.get("base", repo.default_branch)
    head_repo = repo
    if c.data.get("fork"):
        owner = c.world.need_user(c.data["fork"])
        head_repo = c.world.repo(owner.login, repo.name) or c.act.fork(repo, owner)
    branch, files = c.data["branch"], c.files()
    ref = f"refs/heads/{branch}"
    if files or c.app.git.head(head_repo.id, ref) is None:
        parent = c.app.git.head(head_repo.id, ref) or c.app.git.head(repo.id, f"refs/heads/{base}")
        c.app.git.bring(repo.id, head_repo.id, parent)
        c.app.git.commit(head_repo.id, ref, files, c.data.get("message", c.data["title"]), user.login,
                         c.app.clock.now(), parent)
    issue = c.act.open_pull(repo, c.data["title"], c.data.get("body"), branch, base, user, head_repo,
                            c.data.get("draft", False), c.data.get("maintainer_can_modify", True),
                            c.data.get("quiet_refs", False))
    return _show_pull(c, repo, issue)


def _show_pull(c, repo, issue):
    pull = issue.pull
    return {"number": issue.number, "state": issue.state, "head_sha": pull.head_sha if pull else None,
            "base_sha": pull.base_sha if pull else None, "merged": bool(pull and pull.merged_at),
            "url": f"{c.app.views.web}/{repo.full_name}/pull/{issue.number}"}


@command("POST", "repos/{owner}/{name}/issues")
def open_issue(c):
    issue = c.act.open_issue(c.repo, c.data["title"], c.data.get("body"),
                             c.user(default=c.repo.owner.login))
    return {"number": issue.number}


@command("GET", "repos/{owner}/{name}/pulls/{number}")
def show_pull(c):
    return conversation(c.app, c.repo, c.issue)


@command("POST", "repos/{owner}/{name}/pulls/{number}/push")
def push(c):
    """{files?, template?, message?, user?, force?, quiet_refs?, commits?, backdated?}; quiet_refs:
    refs/pull/N/head lags until .../refs is posted; commits: so many in one push; backdated: so many seconds are
    author's and committer's dates before the push."""
    issue = c.issue
    head_repo = c.world.repos.get(issue.pull.head_repo_id)
    if head_repo is None:
        raise Bad("the fork is gone")
    user = c.user(default=issue.user.login)
    if head_repo.id != c.repo.id and user.id != head_repo.owner.id and not issue.pull.maintainer_can_modify:
        raise Bad(f"{user.login} may not push to the fork")
    files = c.files() or {"pushed.txt": f"{c.app.clock.now()}\n"}
    c.act.push(head_repo, issue.pull.head_ref, files, c.data.get("message", "Change files"),
               user, c.data.get("force", False),
               quiet_refs=c.data.get("quiet_refs", False), commits=int(c.data.get("commits", 1)),
               backdated=float(c.data.get("backdated", 0)))
    return _show_pull(c, c.repo, issue)


def _moves(c, sha):
    """The pull request's branch is at another commit now."""
    pull, head_repo = c.issue.pull, c.world.repos[c.issue.pull.head_repo_id]
    ref = f"refs/heads/{pull.head_ref}"
    before = c.app.git.head(head_repo.id, ref)
    c.app.git.set_ref(head_repo.id, ref, sha)
    c.act.branch_moved(head_repo, ref, before, sha, c.user(default=c.issue.user.login))


@command("POST", "repos/{owner}/{name}/pulls/{number}/reset")
def reset(c):
    """{sha, user?}: a force push to a commit that is there already."""
    _moves(c, c.data["sha"])
    return _show_pull(c, c.repo, c.issue)


@command("POST", "repos/{owner}/{name}/pulls/{number}/alike")
def alike(c):
    """{user?}: pushes two commits whose names begin with the same seven digits, and their merge."""
    pull = c.issue.pull
    shas, merge = c.app.git.commit_alike(pull.head_repo_id, pull.head_sha, c.user().login)
    _moves(c, merge)
    return {"shas": shas, **_show_pull(c, c.repo, c.issue)}


@command("POST", "repos/{owner}/{name}/pulls/{number}/refs")
def catch_up(c):
    c.app.git.set_ref(c.repo.id, f"refs/pull/{c.issue.number}/head", c.issue.pull.head_sha)


@command("POST", "repos/{owner}/{name}/pulls/{number}/close")
def close(c):
    c.act.set_state(c.repo, c.issue, "closed", c.user(default=c.issue.user.login))


@command("POST", "repos/{owner}/{name}/pulls/{number}/reopen")
def reopen(c):
    c.act.set_state(c.repo, c.issue, "open", c.user(default=c.issue.user.login))


@command("POST", "repos/{owner}/{name}/pulls/{number}/merge")
def merge(c):
    sha = c.act.merge(c.repo, c.issue, c.user(default=c.repo.owner.login), c.data.get("method", "merge"))
    if sha is None:
        raise Bad("conflict")
    return {"sha": sha}


@command("POST", "repos/{owner}/{name}/pulls/{number}/lock")
def lock(c):
    """{locked?: true}"""
    c.act.set_lock(c.repo, c.issue, c.data.get("locked", True), c.user(default=c.repo.owner.login))


@command("POST", "repos/{owner}/{name}/pulls/{number}/edit")
def edit_pull(c):
    """{title?, body?, base?, draft?}"""
    user = c.user(default=c.issue.user.login)
    c.act.edit_pull(c.repo, c.issue, user, c.data.get("title"), c.data.get("body"), c.data.get("base"))
    if "draft" in c.data:
        c.act.set_draft(c.repo, c.issue, c.data["draft"], user)


@command("POST", "repos/{owner}/{name}/pulls/{number}/delete-fork")
def delete_fork(c):
    c.act.drop_fork(c.repo, c.issue)


@command("POST", "repos/{owner}/{name}/pulls/{number}/reviews")
def review(c):
    """{user, state: APPROVED|CHANGES_REQUESTED|COMMENTED, body?, commit_id?}"""
    made = add_review(c.act, c.repo, c.issue, c.user(), c.data["state"], c.data.get("body", ""),
                      c.data.get("commit_id"))
    return {"id": made.id}


@command("POST", "repos/{owner}/{name}/pulls/{number}/threads")
def thread(c):
    """{id?, resolved?: false}: a conversation of a review begins, or (with its id) changes"""
    found = next((each for each in c.issue.threads if each["id"] == c.data.get("id")), None)
    if found is None:
        found = {"id": c.world.new_id("thread")}
        c.issue.threads.append(found)
    found["resolved"] = c.data.get("resolved", False)
    return found


@command("POST", "repos/{owner}/{name}/queue")
def change_queue(c):
    """{number, state?} or {number, merge: true} or {number, remove: reason} or {number, enter: login}: what GitHub's
    queue does with a pull request that stands in it, or a person who puts one into it"""
    issue = c.repo.issues[c.data["number"]]
    if "enter" in c.data:
        merge_queue.enqueue(c.act, c.repo, issue, c.user("enter"))
        return
    entry = merge_queue.entry_of(c.repo, issue)
    if entry is None:
        raise Bad("it is not in the queue")
    entry["state"] = c.data.get("state", entry["state"])
    if c.data.get("merge"):
        merge_queue.merge(c.act, c.repo, issue)
    elif "remove" in c.data:
        merge_queue.remove(c.act, c.repo, issue, c.data["remove"], entry["by"])


@command("GET", "repos/{owner}/{name}/queue")
def show_queue(c):
    return [{"number": each["number"], "sha": each["sha"], "state": each["state"], "by": each["by"].login}
            for each in c.repo.queue]


@command("POST", "repos/{owner}/{name}/pulls/{number}/reviews/{id}/dismiss")
def dismiss(c):
    """{user}: the review stays in its place and says DISMISSED, as GitHub's does."""
    review = next(item for item in c.issue.reviews if item.id == int(c.params["id"]))
    dismiss_review(c.act, c.repo, c.issue, c.user(), review)


# comments


@command("POST", "repos/{owner}/{name}/pulls/{number}/comments")
def comment(c):
    """{user, body, app_id?}: app_id: a person writing through some App."""
    made = c.act.comment(c.repo, c.issue, c.user(), c.data["body"], c.data.get("app_id"))
    return {"id": made.id, "node_id": made.node_id}


def _comment(c):
    found = c.world.comments.get(int(c.params["id"]))
    if found is None:
        raise Bad("no such comment")
    return found


@command("PATCH", "comments/{id}")
def edit_comment(c):
    c.act.edit_comment(_comment(c), c.user(), c.data["body"])


@command("DELETE", "comments/{id}")
def delete_comment(c):
    found = _comment(c)
    c.act.delete_comment(found, c.world.need_user(c.request.arg("user") or found.user.login))


@command("POST", "comments/{id}/ghost")
def ghost(c):
    """The author's account is deleted."""
    _comment(c).user = None


# checks


def _check(c):
    run = c.world.check_runs.get(int(c.params["id"]))
    if run is None:
        raise Bad("no such check run")
    return c.world.repos[run.repo_id], run


@command("POST", "check-runs/{id}/rerequest")
def rerequest(c):
    repo, run = _check(c)
    c.act.rerequest_check(repo, run, c.user())


@command("POST", "check-runs/{id}/action")
def action(c):
    """{user, identifier}"""
    repo, run = _check(c)
    c.act.request_action(repo, run, c.user(), c.data["identifier"])


@command("POST", "repos/{owner}/{name}/foreign-checks")
def foreign_check(c):
    """{name, head_sha, status?, conclusion?}: a check run of another App."""
    run = c.act.create_check(c.repo, 15368, c.world.need_user("github-actions[bot]", "Bot"), c.data)
    return {"id": run.id}


# the App and its webhooks


def _installation(c):
    found = c.world.installations.get(int(c.params["id"]))
    if found is None:
        raise Bad("no such installation")
    return found


@command("GET", "installations")
def list_installations(c):
    return [c.app.views.installation(item) for item in c.world.installations.values()]


@command("POST", "installations/{id}/suspend")
def suspend(c):
    found = _installation(c)
    c.act.suspend(found, found.account)


@command("POST", "installations/{id}/unsuspend")
def unsuspend(c):
    c.act.unsuspend(_installation(c))


@command("POST", "installations/{id}/permissions")
def permissions(c):
    """{permissions: {name: level}}: replaces what the owner has granted."""
    _installation(c).permissions = c.data["permissions"]


@command("DELETE", "installations/{id}")
def uninstall(c):
    c.act.uninstall(_installation(c))


@command("POST", "tokens")
def tokens(c):
    """{user, token, scopes?}: one more valid personal token, scopes null: a fine-grained one; {revoke: token}; {revoke_installations: true};
    {fresh_lag_s: seconds}: new installation tokens answer 401 for so long; {app_key: PEM}: the App's key is
    this one, the one before is deleted."""
    if "token" in c.data:
        c.app.tokens.add_user_token(c.data["token"], c.user(), c.data.get("scopes", "repo, read:org"))
    if "revoke" in c.data:
        c.app.tokens.revoke(c.data["revoke"])
    if c.data.get("revoke_installations"):
        c.app.tokens.revoke_all()
    if "app_key" in c.data:
        c.app.tokens.set_key(c.data["app_key"].encode())
    c.app.tokens.fresh_lag_s = float(c.data.get("fresh_lag_s", c.app.tokens.fresh_lag_s))


@command("POST", "hook")
def hook(c):
    """{url?, secret?, active?}"""
    if "secret" in c.data:
        c.app.webhook_secret = c.data["secret"].encode()
        for held in [c.app.hooks.app_hook, *c.app.hooks.repo_hooks.values()]:
            if held:
                held.secret = c.app.webhook_secret
    if "url" in c.data:
        c.app.set_hook(c.data["url"])
    if "active" in c.data and c.app.hooks.app_hook:
        c.app.hooks.app_hook.active = c.data["active"]


@command("POST", "ping")
def ping(c):
    for held in [c.app.hooks.app_hook, *c.app.hooks.repo_hooks.values()]:
        if held:
            c.app.ping(held, c.world.repos.get(held.target_id))


@command("GET", "deliveries")
def deliveries(c):
    found = c.app.hooks.list("integration") + c.app.hooks.list("repository")
    shown = [hooks.show(item, whole=bool(c.request.arg("whole"))) for item in found]
    return {"idle": c.app.hooks.is_idle(), "deliveries": sorted(shown, key=lambda d: -d["id"])}


@command("POST", "deliveries/{id}/redeliver")
def redeliver(c):
    for item in c.app.hooks.list("integration") + c.app.hooks.list("repository"):
        if item["id"] == int(c.params["id"]):
            return {"id": c.app.hooks.redeliver(item)["id"]}
    raise Bad("no such delivery")


@command("POST", "webhook")
def raw_webhook(c):
    """{event, payload or body_base64, guid?, headers?: {...}}: sends exactly this, signed."""
    import http.client
    import json
    import urllib.parse
    import uuid
    held = c.app.hooks.app_hook or next(iter(c.app.hooks.repo_hooks.values()))
    body = base64.b64decode(c.data["body_base64"]) if "body_base64" in c.data else \
        json.dumps(c.data["payload"]).encode()
    guid = c.data.get("guid") or str(uuid.uuid4())
    headers = c.app.hooks.headers(held, guid, c.data["event"], "application/json", body)
    headers.update(c.data.get("headers", {}))
    parts = urllib.parse.urlsplit(held.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request("POST", parts.path, body, headers)
    answer = connection.getresponse()
    return {"status": answer.status, "body": answer.read(65536).decode(errors="replace"), "guid": guid}


@command("POST", "limits")
def limits(c):
    """Any of limits.Limits.settings; {reset: true} forgets what was counted."""
    data = dict(c.data)
    if data.pop("reset", False):
        c.app.limits.reset()
    c.app.limits.configure(**data)
    return c.app.limits.settings


# looking


def conversation(app, repo, issue) -> dict:
    """Everything about one pull request that a test may ask for."""
    world, views = app.world, app.views
    comments = []
    for item in world.comments_of(issue):
        comments.append({"id": item.id, "node_id": item.node_id, "body": item.body,
                         "user": item.user.login if item.user else None, "app_id": item.app_id,
                         "minimized": item.minimized, "created": item.created,
                         "edited": item.updated > item.created,
                         "reactions": [{"user": r.user.login, "content": r.content}
                                       for r in item.reactions]})
    shas = [sha for _, sha in issue.pull.history] if issue.pull else []
    checks = [{"id": run.id, "name": run.name, "head_sha": run.head_sha, "status": run.status,
               "conclusion": run.conclusion, "external_id": run.external_id, "output": run.output,
               "annotations": run.annotations, "actions": run.actions, "updates": run.updates,
               "app_id": run.app_id}
              for run in world.check_runs.values() if run.repo_id == repo.id and run.head_sha in shas]
    statuses = [views.status(repo, s) for sha in shas for s in repo.statuses.get(sha, [])]
    shown = {"repo": repo.full_name, "repo_id": repo.id, "number": issue.number, "title": issue.title,
             "state": issue.state, "locked": issue.locked, "labels": list(issue.labels),
             "comments": comments, "checks": checks, "statuses": statuses,
             "reactions": [{"user": r.user.login, "content": r.content} for r in issue.reactions]}
    if issue.pull:
        shown.update(head_sha=issue.pull.head_sha, head_ref=issue.pull.head_ref,
                     merged=issue.pull.merged_at is not None, draft=issue.pull.draft,
                     in_queue=merge_queue.entry_of(repo, issue) is not None,
                     branch_at=app.git.head(issue.pull.head_repo_id, f"refs/heads/{issue.pull.head_ref}")
                     if issue.pull.head_repo_id in world.repos else None,
                     deployments=[{"id": each["id"], "environment": each["environment"], "sha": each["sha"],
                                   "payload": each["payload"],
                                   "states": [status["state"] for status in each["statuses"]]}
                                  for each in repo.deployments if each["sha"] in shas])
    return shown


@command("GET", "conversation/{owner}/{name}/{number}.md")
def conversation_markdown(c):
    return Answer.text(web.conversation_markdown(c.app, c.repo, c.issue),
                       content_type="text/markdown; charset=utf-8")


@command("GET", "conversation/{owner}/{name}/{number}.json")
def conversation_json(c):
    return conversation(c.app, c.repo, c.issue)


@command("GET", "assets-folder")
def assets_folder(c):
    return {"static": str(pathlib.Path(__file__).parent / "static"), "mermaid": web.mermaid_path(c.app)}
