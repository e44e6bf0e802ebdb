"""What must hold before a pull request is merged: classic protection of the default branch, and rulesets.

A merge that they forbid is refused with 405 and the sentences that GitHub says; the pull request shows itself
as `blocked` or `behind` before that. Rules are kept as the API gives them out, so a test writes what GitHub
would answer, as far as it matters: {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": ...}]}}.
Classic protection is {"checks": [contexts], "strict", "reviews": count, "code_owners", "conversations", "signatures",
"queue"}. No commit here is signed, so a rule that asks for signatures never holds.
"""

PASSED = ("success", "neutral", "skipped")
OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
DEFAULTS = {
    "required_status_checks": {"strict_required_status_checks_policy": False},
    "pull_request": {"dismiss_stale_reviews_on_push": False, "require_code_owner_review": False,
                     "require_last_push_approval": False, "required_approving_review_count": 0,
                     "required_review_thread_resolution": False},
    "merge_queue": {"check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5,
                    "max_entries_to_merge": 5, "merge_method": "MERGE", "min_entries_to_merge": 1,
                    "min_entries_to_merge_wait_minutes": 5},
}


def complete(rule):
    """A rule with the parameters that the API always shows."""
    if rule["type"] not in DEFAULTS:
        return rule
    return {**rule, "parameters": {**DEFAULTS[rule["type"]], **rule.get("parameters", {})}}


def required_checks(repo):
    """{context: True when a ruleset wants it, False when classic protection does}."""
    found = {context: False for context in repo.protection.get("checks", [])}
    for rule in _of_type(repo, "required_status_checks"):
        found.update({each["context"]: True
                      for each in rule["parameters"]["required_status_checks"]})
    return found


def _of_type(repo, kind):
    return [rule for rule in repo.rules if rule["type"] == kind]


def demands_queue(repo) -> bool:
    return bool(repo.protection.get("queue") or _of_type(repo, "merge_queue"))


def classic(repo) -> dict | None:
    """RefUpdateRule of the default branch: what classic protection shows to whoever may read."""
    if not repo.protection:
        return None
    return {"requiresConversationResolution": repo.protection.get("conversations", False),
            "requiresSignatures": repo.protection.get("signatures", False)}


def state_of(world, repo, sha, context):
    """"passed", "pending", "failing" or "expected" (nobody has said anything)."""
    runs = [run for run in world.checks_of(repo, sha) if run.name == context]
    if runs:
        newest = max(runs, key=lambda run: run.id)
        if newest.status != "completed":
            return "pending"
        return "passed" if newest.conclusion in PASSED else "failing"
    statuses = [status for status in repo.statuses.get(sha, []) if status["context"] == context]
    if not statuses:
        return "expected"
    return {"success": "passed", "pending": "pending"}.get(statuses[-1]["state"], "failing")


# reviews


def _wanted_reviews(repo) -> tuple[int, bool]:
    """How many approvals, and whether one of a code owner."""
    asked = [rule["parameters"] for rule in _of_type(repo, "pull_request")]
    count = max([repo.protection.get("reviews", 0)] + [each["required_approving_review_count"] for each in asked])
    owners = repo.protection.get("code_owners", False) or any(each["require_code_owner_review"] for each in asked)
    return count, owners and bool(repo.code_owners)


def decision(world, repo, issue) -> str | None:
    """reviewDecision: None when no rule asks for a review."""
    count, owners = _wanted_reviews(repo)
    if not count and not owners:
        return None
    stale = any(rule["parameters"]["dismiss_stale_reviews_on_push"] for rule in _of_type(repo, "pull_request"))
    newest = {}
    for review in issue.reviews:
        if review.state in OPINIONS and review.user.id != issue.user.id and world.may(repo, review.user, "write") and \
           not (stale and review.state == "APPROVED" and review.commit_id != issue.pull.head_sha):
            newest[review.user.login] = review.state
    if "CHANGES_REQUESTED" in newest.values():
        return "CHANGES_REQUESTED"
    approved = {login for login, state in newest.items() if state == "APPROVED"}
    enough = len(approved) >= count and (not owners or approved & set(repo.code_owners))
    return "APPROVED" if enough else "REVIEW_REQUIRED"


def _reviews(world, repo, issue):
    is_classic = bool(repo.protection.get("reviews") or repo.protection.get("code_owners"))
    found = decision(world, repo, issue)
    if found == "REVIEW_REQUIRED":
        count, owners = _wanted_reviews(repo)
        yield not is_classic, "Waiting on code owner review." if owners else \
            f"At least {count} approving review is required by reviewers with write access."
    elif found == "CHANGES_REQUESTED":
        yield not is_classic, "Changes were requested in a review."


# the rest


def _conversations(repo, issue):
    by_rule = any(rule["parameters"]["required_review_thread_resolution"] for rule in _of_type(repo, "pull_request"))
    if (by_rule or repo.protection.get("conversations")) and any(not each["resolved"] for each in issue.threads):
        yield by_rule, "A conversation must be resolved before this pull request can be merged."


def _deployments(repo, sha):
    for rule in _of_type(repo, "required_deployments"):
        for name in rule["parameters"]["required_deployment_environments"]:
            states = [each["statuses"][-1]["state"] for each in repo.deployments
                      if each["sha"] == sha and each["environment"] == name and each["statuses"]]
            if "success" not in states:
                yield True, f"Missing successful active {name} deployment."


def _signatures(repo):
    if repo.protection.get("signatures"):
        yield False, "Commits must have verified signatures."
    for _ in _of_type(repo, "required_signatures"):
        yield True, "Commits must have verified signatures."


def _checks(world, repo, sha):
    for context, by_rule in required_checks(repo).items():
        state = state_of(world, repo, sha, context)
        if state != "passed":
            yield by_rule, f'Required status check "{context}" is {state}.'


def _holding_up(world, repo, issue):
    """(by a ruleset, sentence) of all that blocks the merge, whatever way to merge is asked for."""
    sha = issue.pull.head_sha
    yield from _checks(world, repo, sha)
    yield from _reviews(world, repo, issue)
    yield from _conversations(repo, issue)
    yield from _deployments(repo, sha)
    yield from _signatures(repo)


def refusal(world, repo, issue, method, is_behind, to_queue=False):
    """The sentence of a 405, or None when the merge may go on."""
    own, ruled = [], []
    for by_rule, text in _holding_up(world, repo, issue):
        (ruled if by_rule else own).append(text)
    if is_strict(repo) and is_behind and not to_queue:
        own.append("Head branch is out of date.")
    if demands_queue(repo) and not to_queue:
        ruled.append("Changes must be made through the merge queue.")
    if _of_type(repo, "required_linear_history") and method == "merge":
        ruled.append("This branch must not contain merge commits.")
    for rule in _of_type(repo, "pull_request"):
        allowed = rule.get("parameters", {}).get("allowed_merge_methods")
        if method and allowed is not None and method not in allowed:
            ruled.append(f"Merge method {method} is not allowed.")
    if own:
        return own[0]
    return "Repository rule violations found\n\n" + "\n\n".join(ruled) if ruled else None


def is_strict(repo) -> bool:
    """Must the branch be up to date?"""
    return bool(repo.protection.get("strict")) or any(
        rule["parameters"]["strict_required_status_checks_policy"] for rule in _of_type(repo, "required_status_checks"))


def blocks(world, repo, issue) -> bool:
    """Is the pull request `blocked`? A queue alone does not block what may go into it."""
    return any(True for _ in _holding_up(world, repo, issue))
