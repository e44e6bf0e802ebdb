"""The question about a pull request, and the orders that only GraphQL has: into the merge queue, out of it, and
refs changed only if they are where they are expected to be."""

from standin_common.clock import iso
from standin_common.http import Answer

from . import merge_queue, rest, rules
from .world import node_id

STATE = """query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    id mergeCommitAllowed squashMergeAllowed rebaseMergeAllowed defaultBranchRef { name }
    pullRequest(number: $number) {
      id state isDraft merged isCrossRepository headRefName headRefOid baseRefName
      author { login ... on User { databaseId } } mergeCommit { oid }
      mergeable mergeStateStatus reviewDecision isMergeQueueEnabled mergeQueueEntry { state position }
      baseRef { target { oid } refUpdateRule { requiresConversationResolution requiresSignatures viewerCanPush } }
      reviewThreads(first: 100) { totalCount nodes { isResolved } }
      commits(last: 1) { nodes { commit { oid deployments(last: 50) { nodes { environment state } } } } }
      timelineItems(last: 1, itemTypes: [REMOVED_FROM_MERGE_QUEUE_EVENT]) {
        nodes { ... on RemovedFromMergeQueueEvent { reason createdAt } } }
      baseChanges: timelineItems(last: 1, itemTypes: [BASE_REF_CHANGED_EVENT, AUTOMATIC_BASE_CHANGE_SUCCEEDED_EVENT]) {
        nodes { ... on BaseRefChangedEvent { createdAt } ... on AutomaticBaseChangeSucceededEvent { createdAt } } } } } }"""
ENQUEUE = """mutation($id: ID!, $oid: GitObjectID!) {
  enqueuePullRequest(input: {pullRequestId: $id, expectedHeadOid: $oid}) { mergeQueueEntry { id position state } } }"""
DEQUEUE = "mutation($id: ID!) { dequeuePullRequest(input: {id: $id}) { mergeQueueEntry { id } } }"
UPDATE_REFS = """mutation($repo: ID!, $name: GitRefname!, $before: GitObjectID!, $after: GitObjectID!) {
  updateRefs(input: {repositoryId: $repo, refUpdates: [{name: $name, beforeOid: $before, afterOid: $after}]}) {
    clientMutationId } }"""
MERGEABLE = {None: "UNKNOWN", True: "MERGEABLE", False: "CONFLICTING"}


def errors(data, kind, path, message) -> Answer:
    error = {"type": kind, "path": path, "locations": [{"line": 1, "column": 20}], "message": message}
    return Answer.json({"data": data, "errors": [error]})


def _missing(name, node) -> Answer:
    return errors({name: None}, "NOT_FOUND", [name], f"Could not resolve to a node with the global id of '{node}'.")


def _find_repo(app, credential, owner, name):
    repo = app.world.repo(owner, name) or app.world.moved_repo(owner, name)
    return repo if repo and rest._sees(app, credential, repo) else None


def state(app, credential, variables) -> Answer:
    repo = _find_repo(app, credential, variables["owner"], variables["name"])
    if repo is None:
        return errors({"repository": None}, "NOT_FOUND", ["repository"], "Could not resolve to a Repository with the "
                      f"name '{variables['owner']}/{variables['name']}'.")
    issue = repo.issues.get(variables["number"])
    if issue is None or not issue.pull:
        return errors({"repository": {"pullRequest": None}}, "NOT_FOUND", ["repository", "pullRequest"],
                      f"Could not resolve to a PullRequest with the number of {variables['number']}.")
    app.actions.look_mergeable(repo, issue)
    pull = _pull(app, credential, repo, issue)
    faults = [{"type": "FORBIDDEN", "path": ["repository", "pullRequest", *path], "message": rest.FORBIDDEN,
               "locations": [{"line": 1, "column": 20}]} for path in _forbid(pull, app.unreadable_fields)]
    data = {"repository": {
        "id": repo.node_id, "mergeCommitAllowed": repo.methods["merge"], "squashMergeAllowed": repo.methods["squash"],
        "rebaseMergeAllowed": repo.methods["rebase"], "defaultBranchRef": {"name": repo.default_branch},
        "pullRequest": pull}}
    return Answer.json({"data": data, **({"errors": faults} if faults else {})})


def _forbid(pull, names):
    """Fields that may not be read are null, and named."""
    for name in names:
        if name in pull:
            pull[name] = None
            yield [name]
        elif name == "refUpdateRule" and pull["baseRef"]:
            pull["baseRef"][name] = None
            yield ["baseRef", name]


def _pull(app, credential, repo, issue) -> dict:
    pull, entry, removed = issue.pull, merge_queue.entry_of(repo, issue), issue.removed_from_queue
    merged = pull.merged_at is not None
    base = app.git.head(repo.id, f"refs/heads/{pull.base_ref}")
    rule = rules.classic(repo) if pull.base_ref == repo.default_branch else None
    if rule is not None:
        rule["viewerCanPush"] = credential.has({"contents": "write"}) if credential.kind == "installation" else \
            app.world.may(repo, credential.actor, "write")
    return {
        "id": issue.node_id, "state": "MERGED" if merged else issue.state.upper(), "isDraft": pull.draft,
        "merged": merged, "isCrossRepository": pull.head_repo_id != repo.id, "headRefName": pull.head_ref,
        "headRefOid": pull.head_sha, "baseRefName": pull.base_ref,
        "author": {"login": issue.user.login, "databaseId": issue.user.id},
        "mergeCommit": {"oid": pull.merge_commit_sha} if merged else None, "mergeable": MERGEABLE[pull.mergeable],
        "mergeStateStatus": app.views.mergeable_state(repo, issue).upper(),
        "reviewDecision": rules.decision(app.world, repo, issue),
        "isMergeQueueEnabled": merge_queue.is_enabled(repo, pull.base_ref),
        "mergeQueueEntry": {"state": entry["state"], "position": merge_queue.position(repo, entry)} if entry else None,
        "baseRef": {"target": {"oid": base}, "refUpdateRule": rule} if base else None,
        "reviewThreads": {"totalCount": len(issue.threads),
                          "nodes": [{"isResolved": each["resolved"]} for each in issue.threads[:100]]},
        "commits": {"nodes": [{"commit": {"oid": pull.head_sha, "deployments": {"nodes": [
            {"environment": each["environment"], "state": _state_of(each)}
            for each in repo.deployments if each["sha"] == pull.head_sha][-50:]}}}]},
        "timelineItems": {"nodes": [{"reason": removed["reason"], "createdAt": iso(removed["at"])}] if removed else []},
        "baseChanges": {"nodes": [{"createdAt": iso(issue.base_changed_at)}] if issue.base_changed_at else []},
    }


def _state_of(deployment) -> str:
    """DeploymentState; a newest status of success shows as ACTIVE."""
    newest = deployment["statuses"][-1]["state"].upper() if deployment["statuses"] else "PENDING"
    return "ACTIVE" if newest == "SUCCESS" else newest


# orders


def _pull_of(app, credential, node):
    for repo in app.world.repos.values():
        for issue in repo.pulls():
            if issue.node_id == node:
                return (repo, issue) if rest._sees(app, credential, repo) else (None, None)
    return None, None


def _may_write(app, credential, repo) -> bool:
    if credential.kind == "installation":
        return credential.has({"contents": "write"})
    return app.world.may(repo, credential.actor, "write")


def enqueue(app, credential, variables) -> Answer:
    name = "enqueuePullRequest"
    repo, issue = _pull_of(app, credential, variables.get("id"))
    if repo is None:
        return _missing(name, variables.get("id"))
    if not _may_write(app, credential, repo):
        return errors({name: None}, "FORBIDDEN", [name], rest.FORBIDDEN)
    try:
        entry = merge_queue.enqueue(app.actions, repo, issue, credential.actor, variables.get("oid"))
    except merge_queue.Refused as refused:
        return errors({name: None}, "UNPROCESSABLE", [name], str(refused))
    return Answer.json({"data": {name: {"mergeQueueEntry": {
        "id": node_id("MQE", entry["id"]), "position": merge_queue.position(repo, entry), "state": entry["state"]}}}})


def dequeue(app, credential, variables) -> Answer:
    name = "dequeuePullRequest"
    repo, issue = _pull_of(app, credential, variables.get("id"))
    if repo is None:
        return _missing(name, variables.get("id"))
    if not _may_write(app, credential, repo):
        return errors({name: None}, "FORBIDDEN", [name], rest.FORBIDDEN)
    entry = merge_queue.entry_of(repo, issue)
    if entry is None:
        return errors({name: None}, "UNPROCESSABLE", [name], "Pull request is not in the merge queue")
    merge_queue.remove(app.actions, repo, issue, "MANUAL", credential.actor)
    return Answer.json({"data": {name: {"mergeQueueEntry": {"id": node_id("MQE", entry["id"])}}}})


def update_refs(app, credential, variables) -> Answer:
    name = "updateRefs"
    repo = next((each for each in app.world.repos.values() if each.node_id == variables.get("repo") and
                 rest._sees(app, credential, each)), None)
    if repo is None:
        return _missing(name, variables.get("repo"))
    if not _may_write(app, credential, repo):
        return errors({name: None}, "FORBIDDEN", [name], rest.FORBIDDEN)
    ref, after = variables["name"], variables["after"]
    is_at = app.git.head(repo.id, ref)
    if set(after) != {"0"}:
        app.record.gap("updateRefs that does not delete")
    if is_at != variables["before"]:
        return errors({name: None}, "UNPROCESSABLE", [name], f"Reference {ref} is at {is_at} but expected "
                      f"{variables['before']}")
    branch = ref.removeprefix("refs/heads/")
    if branch == repo.default_branch or branch in repo.protected_branches:
        return errors({name: None}, "UNPROCESSABLE", [name], f"Cannot delete protected branch {branch}")
    app.git.set_ref(repo.id, ref, None)
    app.actions.branch_moved(repo, ref, is_at, None, credential.actor)
    app.record.mutation("branch.deleted", branch=branch, sha=is_at)
    return Answer.json({"data": {name: {"clientMutationId": None}}})
