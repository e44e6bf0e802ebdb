"""The merge queue of a base branch: who stands in it, who is merged by it, who leaves it.

GitHub builds a commit of the base and what stands before, waits for its checks, and merges or throws out; when
that happens is for a test to say (control: `POST repos/{owner}/{name}/queue`). Pushing to a pull request, closing
it or making it a draft takes it out at once. Nothing goes past the queue.
"""

from . import rules


class Refused(Exception):
    """Why GitHub does not take a pull request: the sentence of an UNPROCESSABLE error."""


def is_enabled(repo, branch) -> bool:
    """By a ruleset or by classic protection; the stand-in protects the default branch only."""
    return branch == repo.default_branch and rules.demands_queue(repo)


def entry_of(repo, issue):
    return next((entry for entry in repo.queue if entry["number"] == issue.number), None)


def position(repo, entry) -> int:
    return 1 + repo.queue.index(entry)


def enqueue(act, repo, issue, user, expected=None) -> dict:
    pull = issue.pull
    if not is_enabled(repo, pull.base_ref):
        raise Refused("Merge queue is not enabled for this branch")
    if issue.state != "open":
        raise Refused("Pull request is closed")
    if pull.draft:
        raise Refused("Pull request is in draft state")
    if expected and expected != pull.head_sha:
        raise Refused("Head branch was modified. Review and try the merge again.")
    if entry_of(repo, issue):
        raise Refused("Pull request is already in the queue")
    forbidden = rules.refusal(act.world, repo, issue, None, act.is_behind(repo, issue), to_queue=True)
    if forbidden:
        raise Refused(f"Pull request {forbidden}")
    entry = {"id": act.world.new_id("queue"), "number": issue.number, "sha": pull.head_sha, "state": "QUEUED",
             "by": user, "at": act.clock.now()}
    repo.queue.append(entry)
    act.record.mutation("queue.entered", number=issue.number, sha=pull.head_sha, user=user.login)
    act._emit_pull(repo, issue, "enqueued", user)
    return entry


def remove(act, repo, issue, reason, user) -> None:
    """It leaves unmerged; nothing when it does not stand there."""
    entry = entry_of(repo, issue)
    if entry is None:
        return
    repo.queue.remove(entry)
    issue.removed_from_queue = {"reason": reason, "at": act.clock.now()}
    act.record.mutation("queue.left", number=issue.number, reason=reason)
    act._emit_pull(repo, issue, "dequeued", user, reason=reason)


def merge(act, repo, issue) -> str | None:
    """The checks of its group have passed."""
    entry = entry_of(repo, issue)
    method = next((rule.get("parameters", {}).get("merge_method", "MERGE") for rule in repo.rules
                   if rule["type"] == "merge_queue"), "MERGE")
    sha = act.merge(repo, issue, act.world.need_user("github-merge-queue[bot]", "Bot"), method.lower())
    if sha is None:
        remove(act, repo, issue, "MERGE_CONFLICT", entry["by"])
        return None
    repo.queue.remove(entry)
    act.record.mutation("queue.merged", number=issue.number, sha=sha)
    return sha
