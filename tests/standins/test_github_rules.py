"""Rules of GitHub's stand-in: what a protected branch and rulesets show, and the merges that they refuse."""

import pytest
from test_github_standin import R, key_pem, play  # noqa: F401 (fixtures)

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
