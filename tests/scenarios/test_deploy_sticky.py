"""An environment that stays with the pull request that deployed there until that is merged or closed."""

import models
import pytest
import texts


def sticky() -> dict:
    """Files in which staging stays with whoever deployed there."""
    files = texts.deployment()
    files[texts.SETTINGS] = files[texts.SETTINGS].replace(
        "    namespace: ml-staging\n", "    namespace: ml-staging\n    sticky_lock: true\n")
    return files


pytestmark = pytest.mark.scene(**{**models.KNATIVE_WAY, "files": sticky()})


def two_pulls(scene) -> tuple:
    """The first has staging; the second has a model, too."""
    models.has_run(scene, scene.ann, 1)
    first = scene.pull
    scene.ben.comments("/staging_deploy")
    assert scene.bot.ends() == "rocket"
    models.next_pull(scene, "Second", sticky())
    models.has_run(scene, scene.ann, 2)
    return first, scene.pull


def waits(scene, first):
    """A deployment of the second pull request, which stands in line for the first one's sake."""
    asked = scene.ann.comments("/staging_deploy", on=scene.pull)
    scene.bot.answer("number 1 in line for staging", f"stays with #{first.number}", "@ben deployed",
                     "merged or closed", to=asked)
    return asked


def test_it_stays_until_the_pull_request_is_closed(scene, bot, ann, ben):
    ann.is_given("maintain")
    first, second = two_pulls(scene)
    ben.comments("/status", on=second)
    assert bot.ends() == "rocket"
    bot.answer("| staging |", f"stays with #{first.number} of ben", "until that is merged or closed")
    asked = waits(scene, first)
    ben.comments("/staging_deploy", on=first)
    assert bot.ends() == "rocket"
    assert models.answers(scene, "ml-staging") == [1]
    ben.closes(first)
    assert bot.ends(to=asked) == "rocket"
    assert models.answers(scene, "ml-staging") == [2]
    ann.comments("/status", on=second)
    assert bot.ends() == "rocket"
    bot.answer(f"stays with #{second.number} of ann")


def test_it_stays_until_the_pull_request_is_merged(scene, bot, ann, ben):
    ann.is_given("maintain")
    first, _ = two_pulls(scene)
    asked = waits(scene, first)
    ben.comments("/deploy", on=first)
    assert bot.ends() == "rocket"
    assert first.look()["merged"]
    assert bot.ends(to=asked) == "-1"
    bot.answer("`deploy.behind`", "lacks 2 commits", to=asked, patience=3)
    assert models.answers(scene, "ml-staging") == [1]


@pytest.mark.scene(**{**models.KNATIVE_WAY, "files": sticky()},
                   config={"poll": {"deliveries_interval": "1h", "service_first": "50ms"}})
def test_nobody_told_that_it_was_closed(scene, bot, ann, ben):
    ann.is_given("maintain")
    first, second = two_pulls(scene)
    scene.github.fault("drop", on="webhook", event="pull_request", action="closed")
    ben.closes(first)
    scene.webhooks_are_idle()
    ann.comments("/staging_deploy", on=second)
    assert bot.ends() == "rocket"
    assert models.answers(scene, "ml-staging") == [2]


def test_it_is_unlocked(scene, bot, ann, ben):
    ann.is_given("maintain")
    first, second = two_pulls(scene)
    asked = waits(scene, first)
    ann.comments("/unlock staging", on=second)
    assert bot.ends() == "-1"
    bot.answer("`lock.not_yours`", f"stays with pull request {first.number}", "/unlock staging --force")
    ben.comments("/unlock staging", on=first)
    assert bot.ends() == "rocket"
    bot.answer("`staging` is open", f"It stayed with #{first.number}")
    assert bot.ends(to=asked) == "rocket"
    assert models.answers(scene, "ml-staging") == [2]
    ben.comments("/unlock staging --force", on=first)
    assert bot.ends() == "rocket"
    ben.comments("/unlock staging --force", on=first)
    assert bot.ends() == "-1"
    bot.answer("`lock.none`")


def test_what_failed_keeps_nothing(scene, bot, ann, ben):
    ann.is_given("maintain")
    models.has_run(scene, ann, "wide", constant=2, features=7)
    ben.comments("/staging_deploy")
    assert bot.ends() == "-1"
    models.next_pull(scene, "Second", sticky())
    models.has_run(scene, ann, 2)
    ann.comments("/staging_deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene, "ml-staging") == [2]
