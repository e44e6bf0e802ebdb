"""Rules of GitHub's stand-in: what a protected branch and rulesets show, and the merges that they refuse."""

import pytest
from github_play import R, key_pem, play  # noqa: F401 (fixtures)

from github_standin import graphql_pulls as pulls

PULL = f"{R}/pulls/1"
CHECK = {"type": "required_status_checks",
         "parameters": {"required_status_checks": [{"context": "build"}]}}


def merges(play, method="merge"):
    return play.call("PUT", f"{PULL}/merge", {"merge_method": method})


def seen(play):
    """The state of the pull request once it is worked out."""
    for _ in range(10):
        state = play.call("GET", PULL).json["mergeable_state"]
        if state != "unknown":
            return state
    return state


def test_a_classic_check_is_shown_and_asked_for(play):  # noqa: F811
    sha = play.call("GET", PULL).json["head"]["sha"]
    play.standin.post("repos/ann/iris/settings", protection={"checks": ["build"]})
    shown = play.call("GET", f"{R}/branches/main").json
    assert shown["protected"] and shown["protection"]["required_status_checks"]["contexts"] == ["build"]
    for state, word in ((None, "expected"), ("pending", "pending"), ("failure", "failing")):
        if state:
            play.call("POST", f"{R}/statuses/{sha}", {"state": state, "context": "build"})
        answer = merges(play)
        assert answer.status == 405
        assert answer.json["message"] == f'Required status check "build" is {word}.'
        assert seen(play) == "blocked"
    play.call("POST", f"{R}/statuses/{sha}", {"state": "success", "context": "build"})
    assert merges(play).status == 200


def test_strict_protection_asks_for_the_newest_base(play):  # noqa: F811
    play.standin.post("repos/ann/iris/settings", protection={"strict": True})
    play.standin.post("repos/ann/iris/commits", branch="main", files={"new.md": "x\n"})
    assert merges(play).json["message"] == "Head branch is out of date."


@pytest.mark.parametrize("rule, method, words", [
    (CHECK, "merge", 'Required status check "build" is expected.'),
    ({"type": "merge_queue"}, "merge", "through the merge queue"),
    ({"type": "required_linear_history"}, "merge", "must not contain merge commits"),
    ({"type": "pull_request", "parameters": {"allowed_merge_methods": ["squash"]}}, "merge",
     "Merge method merge is not allowed"),
])
def test_a_ruleset_refuses_a_merge(play, rule, method, words):  # noqa: F811
    play.standin.post("repos/ann/iris/settings", rules=[rule])
    shown = play.call("GET", f"{R}/rules/branches/main").json
    assert [each["type"] for each in shown] == [rule["type"]]
    answer = merges(play, method)
    assert answer.status == 405 and words in answer.json["message"]
    assert answer.json["message"].startswith("Repository rule violations found\n\n")


def asks(play, query, **variables):
    return play.call("POST", "/api/graphql", {"query": query, "variables": variables}).json


def state(play) -> dict:
    """What the question tells of the pull request once it is worked out."""
    for _ in range(10):
        found = asks(play, pulls.STATE, owner="ann", name="iris", number=1)["data"]["repository"]["pullRequest"]
        if found["mergeable"] != "UNKNOWN":
            break
    return found


def test_reviews_and_their_decision(play):  # noqa: F811
    assert state(play)["reviewDecision"] is None
    play.standin.post("repos/ann/iris/permissions", login="kim", role="write")
    play.standin.post("repos/ann/iris/settings", protection={"reviews": 1})
    assert (state(play)["reviewDecision"], state(play)["mergeStateStatus"]) == ("REVIEW_REQUIRED", "BLOCKED")
    assert "approving review is required" in merges(play).json["message"]
    for user, given, decision in (("eve", "APPROVED", "REVIEW_REQUIRED"), ("kim", "CHANGES_REQUESTED", "CHANGES_REQUESTED"),
                                  ("kim", "COMMENTED", "CHANGES_REQUESTED"), ("kim", "APPROVED", "APPROVED")):
        play.standin.post("repos/ann/iris/pulls/1/reviews", user=user, state=given)
        assert state(play)["reviewDecision"] == decision
    play.standin.post("repos/ann/iris/settings", protection={"code_owners": True}, code_owners=["lee"])
    assert state(play)["reviewDecision"] == "REVIEW_REQUIRED"
    assert merges(play).status == 405


def test_conversations_deployments_and_signatures_block(play):  # noqa: F811
    made = play.standin.post("repos/ann/iris/pulls/1/threads")
    play.standin.post("repos/ann/iris/settings", protection={"conversations": True})
    assert state(play)["baseRef"]["refUpdateRule"]["requiresConversationResolution"]
    assert state(play)["mergeStateStatus"] == "BLOCKED" and "conversation" in merges(play).json["message"]
    play.standin.post("repos/ann/iris/pulls/1/threads", id=made["id"], resolved=True)
    wanted = {"type": "required_deployments", "parameters": {"required_deployment_environments": ["qa"]}}
    play.standin.post("repos/ann/iris/settings", protection={}, rules=[wanted])
    assert state(play)["mergeStateStatus"] == "BLOCKED" and "qa deployment" in merges(play).json["message"]
    sha = play.call("GET", PULL).json["head"]["sha"]
    made = play.call("POST", f"{R}/deployments", {"ref": sha, "environment": "qa", "auto_merge": False,
                                                 "required_contexts": []}).json
    play.call("POST", f"{R}/deployments/{made['id']}/statuses", {"state": "success"})
    assert state(play)["mergeStateStatus"] in ("CLEAN", "UNSTABLE")
    play.standin.post("repos/ann/iris/settings", rules=[{"type": "required_signatures"}])
    assert state(play)["mergeStateStatus"] == "BLOCKED"


def test_the_merge_queue(play):  # noqa: F811
    sha, node = state(play)["headRefOid"], state(play)["id"]
    assert asks(play, pulls.ENQUEUE, id=node, oid=sha)["errors"][0]["type"] == "UNPROCESSABLE"
    play.standin.post("repos/ann/iris/settings", rules=[{"type": "merge_queue"}])
    assert state(play)["isMergeQueueEnabled"] and state(play)["mergeStateStatus"] != "BLOCKED"
    assert "Head branch was modified" in asks(play, pulls.ENQUEUE, id=node, oid="1" * 40)["errors"][0]["message"]
    assert asks(play, pulls.ENQUEUE, id=node, oid=sha)["data"]["enqueuePullRequest"]["mergeQueueEntry"]["position"] == 1
    assert "already in the queue" in asks(play, pulls.ENQUEUE, id=node, oid=sha)["errors"][0]["message"]
    assert "in the merge queue" in merges(play).json["message"]
    assert state(play)["mergeQueueEntry"] == {"state": "QUEUED", "position": 1}
    assert asks(play, pulls.DEQUEUE, id=node)["data"]["dequeuePullRequest"]
    assert state(play)["timelineItems"]["nodes"][0]["reason"] == "MANUAL"
    assert asks(play, pulls.DEQUEUE, id=node)["errors"]
    asks(play, pulls.ENQUEUE, id=node, oid=sha)
    play.standin.post("repos/ann/iris/pulls/1/push")
    assert state(play)["mergeQueueEntry"] is None
    asks(play, pulls.ENQUEUE, id=node, oid=state(play)["headRefOid"])
    play.standin.post("repos/ann/iris/queue", number=1, merge=True)
    assert state(play)["merged"] and state(play)["state"] == "MERGED"
    told = [payload["action"] for _, payload, _ in play.receiver.wait("pull_request", "closed") +
            play.receiver.wait("pull_request", "dequeued")]
    assert "closed" in told and "dequeued" in told


def test_a_ref_goes_only_from_where_it_is_expected(play):  # noqa: F811
    branch, sha = state(play)["headRefName"], state(play)["headRefOid"]
    repo = asks(play, pulls.STATE, owner="ann", name="iris", number=1)["data"]["repository"]["id"]
    order = {"repo": repo, "name": f"refs/heads/{branch}", "before": "1" * 40, "after": "0" * 40}
    assert "expected" in asks(play, pulls.UPDATE_REFS, **order)["errors"][0]["message"]
    play.standin.post("repos/ann/iris/settings", protected_branches=[branch])
    assert "protected" in asks(play, pulls.UPDATE_REFS, **{**order, "before": sha})["errors"][0]["message"]
    play.standin.post("repos/ann/iris/settings", protected_branches=[])
    assert "errors" not in asks(play, pulls.UPDATE_REFS, **{**order, "before": sha})
    assert play.call("GET", f"{R}/branches/{branch}").status == 404


def test_fields_that_may_not_be_read_are_null_and_named(play):  # noqa: F811
    play.standin.post("repos/ann/iris/settings", unreadable=["reviewDecision"])
    answer = asks(play, pulls.STATE, owner="ann", name="iris", number=1)
    assert answer["data"]["repository"]["pullRequest"]["reviewDecision"] is None
    assert answer["errors"][0]["path"] == ["repository", "pullRequest", "reviewDecision"]


def test_teams(play):  # noqa: F811
    """Nobody of that name and no such team are the same answer; a child team's members count."""
    play.standin.post("users", login="lab", type="Organization")
    play.standin.post("teams", org="lab", slug="ml", members={"ben": "maintainer", "eve": "pending"})
    play.standin.post("teams", org="lab", slug="vision", members={"ann": "member"}, parent="ml")

    def member(slug, login):
        answer = play.call("GET", f"/orgs/lab/teams/{slug}/memberships/{login}")
        return answer.json["state"] if answer.status == 200 else answer.status
    assert [member("ml", login) for login in ("ann", "ben", "eve", "zoe")] == ["active", "active", "pending", 404]
    assert member("vision", "ben") == 404 and member("gone", "ann") == 404
    assert play.call("GET", "/orgs/lab/teams/ml").json["slug"] == "ml"
    assert play.call("GET", "/orgs/lab/teams/gone").status == 404
