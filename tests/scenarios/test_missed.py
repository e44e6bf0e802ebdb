"""Commands that no webhook brought: GitHub's log of deliveries, and the comments themselves. Nothing is done twice,
and nothing that nobody commanded."""

import time

import pytest

ONE_BY_ONE = [{"match": "lab/iris", "cluster": "main"}]
BY_HOOK = {"repositories": ONE_BY_ONE, "poll": {"comments_interval": "1h"}}
BY_COMMENT = {"repositories": ONE_BY_ONE, "poll": {"comments_interval": "200ms", "deliveries_interval": "1h"}}


def recovered(bot, event: str) -> list[dict]:
    return [line for line in bot.log_lines() if line.get("event") == event]


def looks(scene) -> int:
    """How often the comments of the repository were asked for."""
    return len([item for item in scene.github.requests() if item["method"] == "GET" and
                "/repos/lab/iris/issues/comments?" in item["path"] + "?"])


def two_more_looks(scene) -> None:
    before = looks(scene)
    scene.wait_until(lambda: looks(scene) >= before + 2, "the comments to be looked at twice")


@pytest.mark.scene(mode="token", start=False, config=BY_HOOK)
def test_token_mode_recovers_by_the_log_of_the_repositorys_hook(scene, bot, ann):
    scene.person("kfops-bot").is_given("admin")
    comment = ann.comments("/build_run")
    scene.webhooks_are_idle()
    bot.start()
    assert bot.ends(to=comment, patience=60) == "rocket"
    assert [line["kind"] for line in recovered(bot, "delivery_recovered")][-1] == "issue_comment"
    assert not recovered(bot, "comment_recovered") or len(bot.jobs()) == 1
    assert len(scene.kubeflow.runs()) == 1


@pytest.mark.scene(mode="token", start=False, config={
    **BY_COMMENT, "poll": {"comments_interval": "200ms", "deliveries_interval": "100ms"}})
def test_token_mode_without_the_right_to_read_hooks_says_so_once(scene, bot, ann):
    comment = ann.comments("/build_run")
    scene.webhooks_are_idle()
    bot.start()
    assert bot.ends(to=comment, patience=60) == "rocket"
    two_more_looks(scene)
    assert len(recovered(bot, "hook_unread")) == 1
    assert len(recovered(bot, "comment_recovered")) == 1
    assert len(scene.kubeflow.runs()) == 1


@pytest.mark.scene(mode="token", start=False, config={"poll": {"comments_interval": "200ms"}})
def test_token_mode_knows_the_repositories_that_a_star_means(scene, bot, ann):
    """Nobody has ever said anything there, and the first webhook failed."""
    comment = ann.comments("/build_run")
    scene.webhooks_are_idle()
    bot.start()
    assert bot.ends(to=comment, patience=60) == "rocket"
    assert len(recovered(bot, "comment_recovered")) == 1
    assert [item["path"] for item in scene.github.requests() if item["path"].endswith("/user/repos")]


@pytest.mark.scene(config=BY_COMMENT)
def test_a_webhook_that_never_came_is_found_by_its_comment(scene, bot, ann):
    scene.github.fault("drop", on="webhook", event="issue_comment", action="created")
    good = ann.comments("/build_run")
    assert bot.ends(to=good) == "rocket"
    scene.github.fault("drop", on="webhook", event="issue_comment", action="created")
    bad = ann.comments("/biuld")
    bot.answer("`command.unknown`", to=bad)
    two_more_looks(scene)
    assert len(recovered(bot, "comment_recovered")) == 2
    assert len(scene.kubeflow.runs()) == 1 and len(bot.jobs()) == 1


@pytest.mark.scene(config=BY_COMMENT)
def test_what_strangers_wrote_meanwhile_is_answered_once(scene, bot, ann):
    """As at the webhook's door: one answer a person, pull request and hour; the rest costs a permission check."""
    scene.github.post(f"repos/{scene.repo}/settings", private=False)
    scene.github.fault("drop", on="webhook", event="issue_comment", action="created", times=-1)
    sam, bea = scene.person("sam"), scene.person("bea")
    flood = [sam.comments(line) for line in ("/build", "/run", "/biuld", "/deploy", "/help", "/build_run")]
    other = bea.comments("/deploy")
    own = ann.comments("/build")
    assert bot.ends(to=own) == "rocket"
    assert bot.ends(to=other) == "-1"
    assert bot.ends(to=flood[0]) == "-1"
    two_more_looks(scene)
    assert [comment.reactions() for comment in flood[1:]] == [[]] * 5
    assert len([comment for comment in bot.comments() if "sam" in comment["body"]]) == 1
    assert bot.rows("SELECT count(*) AS n FROM jobs WHERE actor = 'sam'")[0]["n"] == 1
    asked = [item["path"] for item in scene.github.requests()]
    for comment in flood[1:]:
        assert not [path for path in asked if path.endswith(f"/issues/comments/{comment.id}/reactions")]
    kim = scene.person("kim")  # who has never said anything here, and may
    kim.is_given("write")
    for comment in [kim.comments(line) for line in ("/build", "/build_run")]:
        assert bot.ends(to=comment) == "rocket"


@pytest.mark.scene(config=BY_COMMENT)
def test_a_webhook_that_comes_after_all_changes_nothing(scene, bot, ann):
    scene.github.fault("delay", on="webhook", event="issue_comment", action="created", seconds=2)
    comment = ann.comments("/build_run")
    assert bot.ends(to=comment) == "rocket"
    scene.webhooks_are_idle()
    two_more_looks(scene)
    assert len(bot.jobs()) == 1 and len(scene.kubeflow.runs()) == 1


@pytest.mark.scene(config={**BY_COMMENT, "limits": {"comment_age": "1s"}})
def test_a_comment_that_is_found_too_late_is_only_reported(scene, bot, ann):
    two_more_looks(scene)
    scene.wait_until(lambda: bot.rows("SELECT 1 FROM meta WHERE key LIKE 'comments_seen:%'"), "the look to be noted")
    bot.stop()
    comment = ann.comments("/build_run")
    scene.webhooks_are_idle()
    time.sleep(2.1)  # the age itself; GitHub's times have whole seconds
    bot.start()
    assert bot.ends(to=comment) == "confused"
    bot.answer("`comment.late`", "`/build_run`", to=comment)
    assert scene.kubeflow.runs() == []


@pytest.mark.scene(config=BY_COMMENT)
def test_what_is_not_a_command_of_its_writer_is_not_found_either(scene, bot, ann, ben):
    """Changed by somebody else, said by the bot, quoted, or on no pull request."""
    scene.github.fault("drop", on="webhook", event="issue_comment", times=-1)
    words = ann.comments("a word")
    words.is_edited("/build_run", by=ben)
    ann.comments("> /build_run")
    two_more_looks(scene)
    assert bot.jobs() == [] and recovered(bot, "comment_recovered") == []
    scene.github.send("DELETE", "faults")
    heard = ann.comments("/help")
    assert bot.ends(to=heard) == "rocket"
    two_more_looks(scene)
    assert len(bot.jobs()) == 1


@pytest.mark.scene(config=BY_COMMENT)
def test_a_database_that_is_lost_repeats_nothing(scene, bot, ann):
    """Our reaction on the comment says that it was heard."""
    comment = ann.comments("/build_run")
    assert bot.ends(to=comment) == "rocket"
    bot.stop()
    for path in bot.state_dir.glob("kfops.db*"):
        path.unlink()
    bot.start()
    two_more_looks(scene)
    assert bot.jobs() == [] and len(scene.kubeflow.runs()) == 1
    assert comment.reactions() == ["rocket"]


def is_found_by_an_hour_ahead(scene, bot, ann, look: str) -> None:
    """This machine's clock is an hour ahead of GitHub's; a look at `look` has been made since, then a webhook is lost."""
    scene.expects_log("github_clock_differs")
    scene.github.post("time", advance=-3600)
    before = len(scene.github.requests())
    scene.wait_until(lambda: len([item for item in scene.github.requests()[before:] if look in item["path"]]) >= 3,
                     "three looks by the other clock")
    scene.github.fault("drop", on="webhook", event="issue_comment", action="created")
    comment = ann.comments("/build_run")
    assert bot.ends(to=comment) == "rocket"
    assert len(scene.kubeflow.runs()) == 1


@pytest.mark.scene(config={"poll": {"deliveries_interval": "200ms"}})
def test_a_lost_webhook_is_found_though_our_clock_is_ahead(scene, bot, ann):
    is_found_by_an_hour_ahead(scene, bot, ann, "/app/hook/deliveries")


@pytest.mark.scene(config=BY_COMMENT)
def test_a_comment_is_found_though_our_clock_is_ahead(scene, bot, ann):
    is_found_by_an_hour_ahead(scene, bot, ann, "/issues/comments")
