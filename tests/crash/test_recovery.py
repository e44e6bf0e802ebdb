"""Webhooks that were not answered 2xx come back from GitHub's log of deliveries, once each."""

import pytest
import rounds

CONFIG = {"poll": {"deliveries_interval": "200ms"}}
MANY = 560  # more than one look takes in


@pytest.fixture
def watchful(tmp_path):
    made = rounds.Stage(tmp_path / "stage", config=CONFIG)
    yield made
    made.stop()


def test_a_github_that_fails_for_a_while_does_not_lose_a_delivery(watchful):
    """Failed tries count only when the payload itself is at fault."""
    scene, pull = watchful.scene, watchful.pull_for("/build")
    scene.github.fault("status", "GET", r"/app/hook/deliveries/\d+$", times=6, status=502)
    scene.github.fault("drop", on="webhook", event="issue_comment", action="created")
    comment = scene.ann.comments("/build", on=pull)
    watchful.until_rest(comment, "the command that GitHub could not deliver")
    assert comment.reactions() == ["rocket"]
    assert scene.github.get("faults")["pending"] == []


def test_more_missed_webhooks_than_one_look_takes_in(watchful):
    """The oldest is not forgotten for the many that follow it."""
    scene, bot = watchful.scene, watchful.bot
    pulls = [watchful.pull_for("/build") for _ in range(2)]
    bot.stop()
    first = scene.ann.comments("/build", on=pulls[0])
    for number in range(MANY):
        scene.ann.comments(f"A thought, number {number}.", on=pulls[0])
    last = scene.ann.comments("/build", on=pulls[1])
    watchful.until_idle()
    rounds.launch(bot)
    for comment in (last, first):
        watchful.until_rest(comment, "a missed command")
        assert comment.reactions() == ["rocket"]
    assert len(bot.comments(pulls[0])) == 1
    assert watchful.violations() == []


def test_what_was_recovered_is_not_fetched_again(watchful):
    scene, pull = watchful.scene, watchful.pull_for("/build")
    scene.github.fault("drop", on="webhook", event="issue_comment", action="created")
    comment = scene.ann.comments("/build", on=pull)
    watchful.until_rest(comment, "the command that GitHub could not deliver")

    def fetched():
        return [item["path"] for item in scene.github.requests()
                if "/app/hook/deliveries/" in item["path"]]

    def looks():
        return sum(1 for item in scene.github.requests()
                   if item["path"].partition("?")[0].endswith("/app/hook/deliveries"))
    looked = looks()
    scene.wait_until(lambda: looks() >= looked + 3, "three more looks")
    watchful.bot.restart(kill=True)
    looked = looks()
    scene.wait_until(lambda: looks() >= looked + 2, "two looks after a restart")
    assert len(fetched()) == len(set(fetched())) > 0
    assert len(watchful.bot.jobs()) == 1
