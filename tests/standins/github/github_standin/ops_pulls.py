"""Operations on pull requests: reading, closing, merging, reviews."""

from . import merge_queue, rules
from .auth import ApiError
from .rest import route
from .world import Review

BASE = "/repos/{owner}/{repo}/pulls"
ONE = BASE + "/{pull_number}"


def _pull(c):
    return c.issue("pull_number", want_pull=True)


def _stale_head(c, issue):
    """The head that a stale read sees, or None."""
    if not c.stale_s:
        return None
    before = c.clock.now() - c.stale_s
    older = [sha for at, sha in issue.pull.history if at <= before]
    return older[-1] if older else issue.pull.history[0][1]


@route("GET", BASE, perms="pull_requests:read")
def list_pulls(c):
    state, head, base = c.arg("state", "open"), c.arg("head"), c.arg("base")
    found = []
    for issue in c.repo.pulls():
        pull = issue.pull
        owner = pull.head_owner.login if pull.head_owner else ""
        if state in ("all", issue.state) and head in (None, f"{owner}:{pull.head_ref}") and \
           base in (None, pull.base_ref):
            found.append(issue)
    found.sort(key=lambda issue: issue.number, reverse=c.arg("direction", "desc") == "desc")
    return c.page(found, lambda issue: c.views.pull(c.repo, issue, full=False))


@route("GET", ONE, perms="pull_requests:read|contents:read")
def get_pull(c):
    issue = _pull(c)
    c.act.look_mergeable(c.repo, issue)
    if not c.stale_s:
        c.last_modified = issue.updated
    return 200, c.views.pull(c.repo, issue, head_sha=_stale_head(c, issue))


@route("PATCH", ONE, perms="pull_requests:write", content=True)
def update_pull(c):
    issue = _pull(c)
    c.act.edit_pull(c.repo, issue, c.actor, c.body.get("title"), c.body.get("body"), c.body.get("base"))
    if c.body.get("state") == "open" and issue.pull.merged_at:
        raise ApiError(422, "Validation Failed")
    if "state" in c.body:
        c.act.set_state(c.repo, issue, c.body["state"], c.actor)
    return 200, c.views.pull(c.repo, issue)


@route("GET", ONE + "/commits", perms="pull_requests:read")
def list_pull_commits(c):
    pull = _pull(c).pull
    commits = c.git.log(c.repo.id, f"{pull.base_sha}..{pull.head_sha}", 250)
    return c.page(commits, lambda commit: c.views.commit(c.repo, commit))


def show_file(c, sha, file):
    base = f"{c.views.web}/{c.repo.full_name}"
    shown = {"sha": file["sha"], "filename": file["filename"], "status": file["status"],
             "additions": file["additions"], "deletions": file["deletions"],
             "changes": file["additions"] + file["deletions"],
             "blob_url": f"{base}/blob/{sha}/{file['filename']}",
             "raw_url": f"{base}/raw/{sha}/{file['filename']}",
             "contents_url": f"{c.views.api}/repos/{c.repo.full_name}/contents/"
                             f"{file['filename']}?ref={sha}"}
    if file["patch"] is not None:
        shown["patch"] = file["patch"]
    if "previous_filename" in file:
        shown["previous_filename"] = file["previous_filename"]
    return shown


@route("GET", ONE + "/files", perms="pull_requests:read")
def list_pull_files(c):
    pull = _pull(c).pull
    files = c.git.diff(c.repo.id, pull.base_sha, pull.head_sha)
    return c.page(files, lambda file: show_file(c, pull.head_sha, file))


@route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", perms="pull_requests:read")
def list_commit_pulls(c):
    sha = c.params["commit_sha"]
    found = [issue for issue in c.repo.pulls() if issue.pull.head_sha == sha or
             (c.git.has_commit(c.repo.id, sha) and
              c.git.is_ancestor(c.repo.id, sha, issue.pull.head_sha) and
              not c.git.is_ancestor(c.repo.id, sha, issue.pull.base_sha))]
    return c.page(found, lambda issue: c.views.pull(c.repo, issue, full=False))


# merging


@route("GET", ONE + "/merge", perms="pull_requests:read")
def is_merged(c):
    if _pull(c).pull.merged_at is None:
        raise ApiError(404, "Not Found")
    return 204, None


@route("PUT", ONE + "/merge", perms="contents:write", content=True)
def merge_pull(c):
    issue = _pull(c)
    pull, method = issue.pull, c.body.get("merge_method", "merge")
    if issue.state != "open" or pull.draft:
        raise ApiError(405, "Pull Request is not mergeable" if not pull.draft else
                       "Pull Request is still a draft")
    if not c.repo.methods[method]:
        words = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}
        raise ApiError(405, f"{words[method]} are not allowed on this repository.")
    if "sha" in c.body and c.body["sha"] != pull.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    if merge_queue.entry_of(c.repo, issue):
        raise ApiError(405, "Pull Request is in the merge queue")
    forbidden = rules.refusal(c.world, c.repo, issue, method, c.act.is_behind(c.repo, issue))
    if forbidden:
        raise ApiError(405, forbidden)
    changed = [file["filename"] for file in c.git.diff(c.repo.id, pull.base_sha, pull.head_sha)]
    if any(name.startswith(".github/workflows/") for name in changed):
        if c.credential.kind == "installation" and not c.credential.has({"workflows": "write"}):
            raise ApiError(403, "Resource not accessible by integration")
        if c.credential.kind == "user" and c.credential.scopes is not None and \
           "workflow" not in c.credential.scopes.split(", "):
            raise ApiError(403, "refusing to allow a Personal Access Token to create or update workflow without "
                           "`workflow` scope")
    sha = c.act.merge(c.repo, issue, c.actor, method, c.body.get("commit_title"),
                      c.body.get("commit_message"))
    if sha is None:
        raise ApiError(405, "Pull Request is not mergeable")
    return 200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


# reviews


@route("GET", ONE + "/reviews", perms="pull_requests:read")
def list_reviews(c):
    issue = _pull(c)
    return c.page(list(issue.reviews), lambda review: c.views.review(c.repo, issue, review))


@route("POST", ONE + "/reviews", perms="pull_requests:write", content=True, need="read")
def create_review(c):
    issue = _pull(c)
    state = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED",
             "COMMENT": "COMMENTED"}.get(c.body.get("event"), "PENDING")
    if c.actor.id == issue.user.id and state in ("APPROVED", "CHANGES_REQUESTED"):
        raise ApiError(422, "Unprocessable Entity", errors=["Can not approve your own pull request"])
    review = add_review(c.act, c.repo, issue, c.actor, state, c.body.get("body", ""),
                        c.body.get("commit_id"))
    return 200, c.views.review(c.repo, issue, review)


def add_review(act, repo, issue, user, state, body, commit_id=None):
    review = Review(act.world.new_id("review"), user, state, body or "",
                    commit_id or issue.pull.head_sha, act.clock.now())
    issue.reviews.append(review)
    issue.timeline.append({"kind": "reviewed", "at": review.submitted, "user": user, "state": state,
                           "body": review.body})
    shown = act.views.review(repo, issue, review)
    shown["state"] = state.lower()
    act._emit("pull_request_review", "submitted", repo, user, review=shown,
              pull_request=act.views.pull(repo, issue, full=False))
    return review


@route("PUT", ONE + "/reviews/{review_id}/dismissals", perms="pull_requests:write", content=True)
def dismiss(c):
    issue = _pull(c)
    found = [item for item in issue.reviews if item.id == int(c.params["review_id"])]
    if not found:
        raise ApiError(404, "Not Found")
    if found[0].state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise ApiError(422, "Unprocessable Entity", errors=["Can not dismiss a commented pull request review"])
    dismiss_review(c.act, c.repo, issue, c.actor, found[0])
    return 200, c.views.review(c.repo, issue, found[0])


def dismiss_review(act, repo, issue, user, review):
    review.state = "DISMISSED"
    shown = act.views.review(repo, issue, review)
    shown["state"] = "dismissed"
    act._emit("pull_request_review", "dismissed", repo, user, review=shown,
              pull_request=act.views.pull(repo, issue, full=False))
