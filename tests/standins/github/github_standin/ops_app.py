"""Operations of the App itself, its installations and deliveries, and of whoever asks."""

from . import hooks
from .auth import ApiError
from .rest import route

ZEN = "Responsive is better than fast."
REPOSITORIES_MAX = 500
RANK = {"read": 1, "write": 2, "admin": 3}


@route("GET", "/app", auth="jwt")
def get_app(c):
    return 200, c.views.app(counted=True)


@route("GET", "/apps/{app_slug}", auth="none")
def get_app_by_slug(c):
    if c.world.app is None or c.params["app_slug"] != c.world.app.slug:
        raise ApiError(404, "Not Found")
    return 200, c.views.app()


@route("GET", "/app/installations", auth="jwt")
def list_installations(c):
    return c.page(list(c.world.installations.values()), c.views.installation)


def _installation(c):
    installation = c.world.installations.get(c.number("installation_id"))
    if installation is None:
        raise ApiError(404, "Not Found")
    return installation


@route("GET", "/app/installations/{installation_id}", auth="jwt")
def get_installation(c):
    return 200, c.views.installation(_installation(c))


@route("POST", "/app/installations/{installation_id}/access_tokens", auth="jwt")
def create_token(c):
    installation = _installation(c)
    if installation.suspended_at is not None:
        raise ApiError(403, "This installation has been suspended")
    permissions = c.body.get("permissions") or dict(installation.permissions)
    for name, level in permissions.items():
        if RANK.get(level, 9) > RANK.get(installation.permissions.get(name), 0):
            raise ApiError(422, "The permissions requested are not granted to this installation.")
    repos = _token_repos(c, installation)
    old_form = c.request.headers.get("X-GitHub-Stateless-S2S-Token") == "disabled"
    ids = None if repos is None else {repo.id for repo in repos}
    entry = c.app.tokens.mint(installation, ids, permissions, old_form)
    shown = None if repos is None else [c.views.repo(repo) for repo in repos]
    c.app.record.mutation("token.minted", installation=installation.id,
                          repository_ids=sorted(ids) if ids else None, permissions=permissions)
    return 201, c.app.tokens.show(entry, shown)


def _token_repos(c, installation):
    """Repositories that the token is scoped to; None: all of the installation."""
    ids, names = c.body.get("repository_ids"), c.body.get("repositories")
    if ids is None and names is None:
        return None
    held = [c.world.repos[id] for id in installation.repo_ids if id in c.world.repos]
    chosen = [repo for repo in held if repo.id in (ids or []) or repo.name in (names or [])]
    if len(chosen) != len(ids or []) + len(names or []) or len(chosen) > REPOSITORIES_MAX:
        raise ApiError(422, "There is at least one repository that does not exist or is not accessible "
                            "to the parent installation.")
    return chosen


@route("DELETE", "/installation/token", auth="installation")
def revoke_token(c):
    c.app.tokens.revoke(c.credential.token)
    return 204, None


@route("GET", "/installation/repositories", auth="installation")
def list_installation_repos(c):
    ids = c.credential.repo_ids or c.credential.installation.repo_ids
    repos = [c.world.repos[id] for id in sorted(ids) if id in c.world.repos]
    return c.page(repos, c.views.repo, "repositories")


def _installation_for(c, installation):
    if installation is None:
        raise ApiError(404, "Not Found")
    return 200, c.views.installation(installation)


@route("GET", "/repos/{owner}/{repo}/installation", auth="jwt")
def get_repo_installation(c):
    return _installation_for(c, c.world.installation_of(c.repo))


@route("GET", "/orgs/{org}/installation", auth="jwt")
def get_org_installation(c):
    return _installation_for(c, _installation_of_account(c, c.params["org"], "Organization"))


@route("GET", "/users/{username}/installation", auth="jwt")
def get_user_installation(c):
    return _installation_for(c, _installation_of_account(c, c.params["username"], "User"))


def _installation_of_account(c, login, kind):
    for installation in c.world.installations.values():
        account = installation.account
        if account.login.lower() == login.lower() and account.type == kind:
            return installation
    return None


# deliveries


@route("GET", "/app/hook/config", auth="jwt")
def get_hook_config(c):
    hook = c.app.hooks.app_hook
    return 200, {"content_type": hook.content_type, "insecure_ssl": "0", "secret": "********",
                 "url": hook.url}


def page_deliveries(c, found):
    """Newest first, paged by cursor: the number of the first delivery of the next page."""
    wanted = c.arg("status")
    if wanted:
        found = [d for d in found if (d["status"] == "OK") == (wanted == "success")]
    cursor = c.arg("cursor")
    if cursor is not None:
        if not cursor.startswith("v1_") or not cursor[3:].isdigit():
            raise ApiError(400, "Invalid cursor.")
        found = [d for d in found if d["id"] <= int(cursor[3:])]
    per_page = c.per_page()
    if len(found) > per_page:
        query = f"?per_page={per_page}&cursor=v1_{found[per_page]['id']}"
        query += f"&status={wanted}" if wanted else ""
        c.links["next"] = c.canonical() + query
    return 200, [hooks.show(delivery) for delivery in found[:per_page]]


def pick_delivery(c, found):
    for delivery in found:
        if str(delivery["id"]) == c.params["delivery_id"]:
            return delivery
    raise ApiError(404, "Not Found")


@route("GET", "/app/hook/deliveries", auth="jwt")
def list_deliveries(c):
    return page_deliveries(c, c.app.hooks.list("integration"))


@route("GET", "/app/hook/deliveries/{delivery_id}", auth="jwt")
def get_delivery(c):
    return 200, hooks.show(pick_delivery(c, c.app.hooks.list("integration")), whole=True)


@route("POST", "/app/hook/deliveries/{delivery_id}/attempts", auth="jwt")
def redeliver(c):
    c.app.hooks.redeliver(pick_delivery(c, c.app.hooks.list("integration")))
    return 202, {}


# a repository's own hooks (token mode)


def _hook(c):
    hook = c.app.hooks.repo_hooks.get(c.number("hook_id"))
    if hook is None or hook.target_id != c.repo.id:
        raise ApiError(404, "Not Found")
    return hook


def _show_hook(c, hook):
    url = f"{c.views.api}/repos/{c.repo.full_name}/hooks/{hook.id}"
    return {"type": "Repository", "id": hook.id, "name": "web", "active": hook.active,
            "events": hook.events or ["*"], "url": url, "test_url": url + "/tests",
            "ping_url": url + "/pings", "deliveries_url": url + "/deliveries",
            "config": {"content_type": hook.content_type, "insecure_ssl": "0", "secret": "********",
                       "url": hook.url},
            "updated_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z",
            "last_response": {"code": None, "status": "unused", "message": None}}


@route("GET", "/repos/{owner}/{repo}/hooks", perms="repository_hooks:read", need="admin")
def list_hooks(c):
    found = [hook for hook in c.app.hooks.repo_hooks.values() if hook.target_id == c.repo.id]
    return c.page(found, lambda hook: _show_hook(c, hook))


@route("POST", "/repos/{owner}/{repo}/hooks", perms="repository_hooks:write", need="admin")
def create_hook(c):
    config = c.body.get("config", {})
    if not config.get("url"):
        raise ApiError(422, "Validation Failed", [{"resource": "Hook", "code": "custom",
                                                   "field": "url", "message": "url is missing"}])
    hook = hooks.Hook(c.world.new_id("label"), "repository", c.repo.id, config["url"],
                      str(config.get("secret", "")).encode(), c.body.get("events", ["push"]),
                      config.get("content_type", "form"))
    hook.active = c.body.get("active", True)
    c.app.hooks.repo_hooks[hook.id] = hook
    c.app.ping(hook, c.repo)
    return 201, _show_hook(c, hook)


@route("GET", "/repos/{owner}/{repo}/hooks/{hook_id}", perms="repository_hooks:read", need="admin")
def get_hook(c):
    return 200, _show_hook(c, _hook(c))


@route("DELETE", "/repos/{owner}/{repo}/hooks/{hook_id}", perms="repository_hooks:write", need="admin")
def delete_hook(c):
    del c.app.hooks.repo_hooks[_hook(c).id]
    return 204, None


@route("POST", "/repos/{owner}/{repo}/hooks/{hook_id}/pings", perms="repository_hooks:write",
       need="admin")
def ping_hook(c):
    c.app.ping(_hook(c), c.repo)
    return 204, None


@route("GET", "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries", perms="repository_hooks:read",
       need="admin")
def list_repo_deliveries(c):
    hook = _hook(c)
    return page_deliveries(c, c.app.hooks.list("repository", hook.target_id))


@route("GET", "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}",
       perms="repository_hooks:read", need="admin")
def get_repo_delivery(c):
    found = c.app.hooks.list("repository", _hook(c).target_id)
    return 200, hooks.show(pick_delivery(c, found), whole=True)


@route("POST", "/repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts",
       perms="repository_hooks:write", need="admin")
def redeliver_repo(c):
    found = c.app.hooks.list("repository", _hook(c).target_id)
    c.app.hooks.redeliver(pick_delivery(c, found))
    return 202, {}


# everybody


@route("GET", "/user", auth="user")
def get_user(c):
    zero = {name: 0 for name in ("followers", "following", "public_gists", "public_repos",
                                 "collaborators", "disk_usage", "owned_private_repos", "private_gists",
                                 "total_private_repos")}
    return 200, {**c.views.user(c.actor), **_profile(c.actor), **zero,
                 "two_factor_authentication": True}


@route("GET", "/user/repos", auth="user")
def list_user_repos(c):
    """Those that the person was given something in, or owns; public ones of others are not listed."""
    repos = [repo for repo in c.world.repos.values()
             if c.actor.id in repo.roles or c.actor.id == repo.owner.id]
    return c.page(sorted(repos, key=lambda repo: repo.full_name.lower()), c.views.repo)


def _profile(user):
    return {"name": user.name, "company": None, "blog": "", "location": None, "email": None,
            "hireable": None, "bio": None, "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z"}


@route("GET", "/users/{username}")
def get_user_by_login(c):
    user = c.world.user(c.params["username"])
    if user is None:
        raise ApiError(404, "Not Found")
    zero = {name: 0 for name in ("followers", "following", "public_gists", "public_repos")}
    return 200, {**c.views.user(user), **_profile(user), **zero}


@route("GET", "/rate_limit")
def get_rate_limit(c):
    c.app.limits.refund(c.credential.key, "core")
    resources = c.app.limits.state(c.credential.key)
    return 200, {"resources": resources, "rate": resources["core"]}


@route("GET", "/meta", auth="none")
def get_meta(c):
    return 200, {"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8", "::1/128"],
                 "web": ["127.0.0.0/8"], "api": ["127.0.0.0/8"], "git": ["127.0.0.0/8"]}


@route("GET", "/zen", auth="none")
def get_zen(c):
    from standin_common.http import Answer
    return Answer.text(ZEN)
