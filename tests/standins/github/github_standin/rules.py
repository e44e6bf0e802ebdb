"""What must hold before a pull request is merged: classic protection of the default branch, and rulesets.

A merge that they forbid is refused with 405 and the sentences that GitHub says; the pull request shows itself
as `blocked` or `behind` before that. Rules are kept as the API gives them out, so a test writes what GitHub
would answer, as far as it matters: {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": ...}]}}.
"""

PASSED = ("success", "neutral", "skipped")
DEFAULTS = {
    "required_status_checks": {"strict_required_status_checks_policy": False},
    "pull_request": {"dismiss_stale_reviews_on_push": False, "require_code_owner_review": False,
                     "require_last_push_approval": False, "required_approving_review_count": 0,
                     "required_review_thread_resolution": False},
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


def _checks(world, repo, sha):
    for context, by_rule in required_checks(repo).items():
        state = state_of(world, repo, sha, context)
        if state != "passed":
            yield by_rule, f'Required status check "{context}" is {state}.'


def refusal(world, repo, issue, method, is_behind):
    """The sentence of a 405, or None when the merge may go on."""
    own, ruled = [], []
    for by_rule, text in _checks(world, repo, issue.pull.head_sha):
        (ruled if by_rule else own).append(text)
    if repo.protection.get("strict") and is_behind:
        own.append("Head branch is out of date.")
    if _of_type(repo, "merge_queue"):
        ruled.append("Changes must be made through the merge queue.")
    if _of_type(repo, "required_linear_history") and method == "merge":
        ruled.append("This branch must not contain merge commits.")
    for rule in _of_type(repo, "pull_request"):
        allowed = rule.get("parameters", {}).get("allowed_merge_methods")
        if allowed is not None and method not in allowed:
            ruled.append(f"Merge method {method} is not allowed.")
    if own:
        return own[0]
    return "Repository rule violations found\n\n" + "\n\n".join(ruled) if ruled else None


def blocks(world, repo, sha):
    """Is the pull request `blocked`, whatever way to merge is asked for?"""
    return any(True for _ in _checks(world, repo, sha)) or bool(_of_type(repo, "merge_queue"))
