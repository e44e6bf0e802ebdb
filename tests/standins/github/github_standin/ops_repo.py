"""Operations on repositories: themselves, their people, branches, commits and files."""

import base64

from standin_common.http import Answer

from .auth import ApiError
from .ops_pulls import show_file
from .rest import route

BASE = "/repos/{owner}/{repo}"
BLOB_JSON_MAX = 1 << 20


@route("GET", BASE, perms="metadata:read")
def get_repo(c):
    c.last_modified = c.repo.updated
    return 200, c.views.repo(c.repo, c.actor, full=True)


@route("GET", BASE + "/collaborators/{username}/permission", perms="metadata:read")
def get_permission(c):
    user = c.world.user(c.params["username"])
    if user is None:
        raise ApiError(404, f"{c.params['username']} is not a user")
    return 200, c.views.permission(c.repo, user)


@route("GET", BASE + "/collaborators/{username}", perms="metadata:read")
def is_collaborator(c):
    user = c.world.user(c.params["username"])
    if user is None or (user.id not in c.repo.roles and user.id != c.repo.owner.id):
        raise ApiError(404, "Not Found")
    return 204, None


@route("GET", "/orgs/{org}/teams/{team_slug}", perms="members:read")
def get_team(c):
    key = (c.params["org"].lower(), c.params["team_slug"].lower())
    if key not in c.world.teams:
        raise ApiError(404, "Not Found")
    return 200, c.views.team(c.world.user(key[0]), key[1], c.world.teams[key])


@route("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}", perms="members:read")
def get_team_membership(c):
    """No such team and nobody of that name in it are the same answer; members of child teams count."""
    role = c.world.member(c.params["org"], c.params["team_slug"], c.params["username"])
    if role is None:
        raise ApiError(404, "Not Found")
    url = f"{c.views.api}/orgs/{c.params['org']}/teams/{c.params['team_slug']}"
    state = "pending" if role == "pending" else "active"
    return 200, {"url": f"{url}/memberships/{c.params['username']}", "state": state,
                 "role": "member" if role == "pending" else role}


# branches, commits


@route("GET", BASE + "/branches", perms="contents:read")
def list_branches(c):
    refs = c.git.refs(c.repo.id)

    def show(item):
        name, sha = item
        return {"name": name.removeprefix("refs/heads/"), "protected": False,
                "commit": {"sha": sha, "url": f"{c.views.api}/repos/{c.repo.full_name}/commits/{sha}"}}
    return c.page(sorted(refs.items()), show)


@route("GET", BASE + "/branches/{branch}", perms="contents:read")
def get_branch(c):
    name = c.params["branch"]
    sha = c.git.head(c.repo.id, f"refs/heads/{name}")
    if sha is None:
        raise ApiError(404, "Branch not found")
    url = f"{c.views.api}/repos/{c.repo.full_name}/branches/{name}"
    commit = c.git.log(c.repo.id, sha, 1)[0]
    protection = c.repo.protection if name == c.repo.default_branch else {}
    checks = protection.get("checks", [])
    is_protected = bool(protection) or name in c.repo.protected_branches
    return 200, {"name": name, "commit": c.views.commit(c.repo, commit), "protected": is_protected,
                 "_links": {"self": url, "html": f"{c.views.web}/{c.repo.full_name}/tree/{name}"},
                 "protection": {"enabled": is_protected, "required_status_checks": {
                     "enforcement_level": "non_admins" if checks else "off", "contexts": checks,
                     "checks": [{"context": name, "app_id": None} for name in checks]}},
                 "protection_url": url + "/protection"}


@route("GET", BASE + "/branches/{branch}/protection", perms="administration:read", need="admin")
def get_protection(c):
    raise ApiError(404, "Branch not protected")


@route("GET", BASE + "/rules/branches/{branch}", perms="metadata:read")
def get_rules(c):
    found = c.repo.rules if c.params["branch"] == c.repo.default_branch else c.repo.branch_rules
    return c.page(list(found), lambda rule: rule)


@route("GET", BASE + "/commits/{ref}", perms="contents:read")
def get_commit(c):
    sha = c.resolve(c.params["ref"])
    commit = c.git.log(c.repo.id, sha, 1)[0]
    return 200, c.views.commit(c.repo, commit)


@route("GET", BASE + "/commits", perms="contents:read")
def list_commits(c):
    sha = c.resolve(c.arg("sha") or c.repo.default_branch)
    commits = list(reversed(c.git.log(c.repo.id, sha, 1000)))
    return c.page(commits, lambda commit: c.views.commit(c.repo, commit))


@route("GET", BASE + "/compare/{basehead}", perms="contents:read")
def compare(c):
    base, _, head = c.params["basehead"].partition("...")
    try:
        base_sha, head_sha = c.resolve(base), c.resolve(head.rpartition(":")[2])
    except ApiError:
        raise ApiError(404, "Not Found") from None
    fork = c.git.run(c.repo.id, "merge-base", base_sha, head_sha, check=False).stdout.decode().strip()
    if not fork:
        raise ApiError(404, f"No common ancestor between {base} and {head}.")
    ahead = int(c.git.text(c.repo.id, "rev-list", "--count", f"{base_sha}..{head_sha}"))
    behind = int(c.git.text(c.repo.id, "rev-list", "--count", f"{head_sha}..{base_sha}"))
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind",
              (True, True): "diverged"}[(ahead > 0, behind > 0)]
    url = f"{c.views.api}/repos/{c.repo.full_name}/compare/{c.params['basehead']}"
    html = f"{c.views.web}/{c.repo.full_name}/compare/{c.params['basehead']}"

    def one(sha):
        return c.views.commit(c.repo, c.git.log(c.repo.id, sha, 1)[0])
    _, commits = c.page(c.git.log(c.repo.id, f"{base_sha}..{head_sha}"),
                        lambda commit: c.views.commit(c.repo, commit))
    files = c.git.diff(c.repo.id, fork, head_sha) if c.arg("page", "1") == "1" else []
    return 200, {"url": url, "html_url": html, "permalink_url": html, "diff_url": html + ".diff",
                 "patch_url": html + ".patch", "base_commit": one(base_sha),
                 "merge_base_commit": one(fork), "status": status, "ahead_by": ahead,
                 "behind_by": behind, "total_commits": ahead, "commits": commits,
                 "files": [show_file(c, head_sha, file) for file in files[:300]]}


# files


@route("GET", BASE + "/contents/{path}", perms="contents:read")
def get_contents(c):
    path = c.params["path"].strip("/")
    try:
        sha = c.resolve(c.arg("ref") or c.repo.default_branch)
    except ApiError:
        raise ApiError(404, f"No commit found for the ref {c.arg('ref')}") from None
    rows = c.git.list_tree(c.repo.id, sha, path)
    if rows is not None:
        return 200, [_entry(c, sha, f"{path}/{row['name']}".strip("/"), row) for row in rows[:1000]]
    raw = c.git.read(c.repo.id, sha, path)
    if raw is None:
        raise ApiError(404, "Not Found")
    if "raw" in c.request.headers.get("Accept", ""):
        return Answer(200, raw, {"Content-Type": "application/vnd.github.raw+json; charset=utf-8"})
    folder, _, name = path.rpartition("/")
    row = next(row for row in c.git.list_tree(c.repo.id, sha, folder) if row["name"] == name)
    small = len(raw) <= BLOB_JSON_MAX
    return 200, {**_entry(c, sha, path, row), "encoding": "base64" if small else "none",
                 "content": base64.encodebytes(raw).decode() if small else ""}


def _entry(c, sha, path, row):
    kind = {"120000": "symlink", "160000": "submodule"}.get(row["mode"],
                                                            "dir" if row["kind"] == "tree" else "file")
    url = f"{c.views.api}/repos/{c.repo.full_name}/contents/{path}?ref={sha}"
    git = f"{c.views.api}/repos/{c.repo.full_name}/git/blobs/{row['sha']}"
    html = f"{c.views.web}/{c.repo.full_name}/blob/{sha}/{path}"
    return {"name": path.rpartition("/")[2], "path": path, "sha": row["sha"], "size": row["size"],
            "url": url, "html_url": html, "git_url": git,
            "download_url": f"{c.views.web}/{c.repo.full_name}/raw/{sha}/{path}", "type": kind,
            "_links": {"self": url, "git": git, "html": html}}


# refs


def _show_ref(c, ref, sha):
    return {"ref": ref, "node_id": f"REF_{sha}",
            "url": f"{c.views.api}/repos/{c.repo.full_name}/git/{ref}",
            "object": {"sha": sha, "type": "commit",
                       "url": f"{c.views.api}/repos/{c.repo.full_name}/git/commits/{sha}"}}


@route("GET", BASE + "/git/ref/{ref}", perms="contents:read")
def get_ref(c):
    ref = "refs/" + c.params["ref"]
    sha = c.git.head(c.repo.id, ref)
    if sha is None:
        raise ApiError(404, "Not Found")
    return 200, _show_ref(c, ref, sha)


@route("POST", BASE + "/git/refs", perms="contents:write")
def create_ref(c):
    ref, sha = c.body["ref"], c.commit(c.body.get("sha"))
    if c.git.head(c.repo.id, ref):
        raise ApiError(422, "Reference already exists")
    c.git.set_ref(c.repo.id, ref, sha)
    if ref.startswith("refs/heads/"):
        c.act.branch_moved(c.repo, ref, None, sha, c.actor)
    return 201, _show_ref(c, ref, sha)


@route("DELETE", BASE + "/git/refs/{ref}", perms="contents:write")
def delete_ref(c):
    ref = "refs/" + c.params["ref"]
    sha = c.git.head(c.repo.id, ref)
    if sha is None:
        raise ApiError(422, "Reference does not exist")
    c.git.set_ref(c.repo.id, ref, None)
    if ref.startswith("refs/heads/"):
        c.act.branch_moved(c.repo, ref, sha, None, c.actor)
    return 204, None
