"""An environment has one deployment at a time: locks of people, the line before it, and what is cancelled."""

import models
import pytest
from models import goes_on, is_loading, loads, two_pulls

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY)


def test_the_place_in_line_moves_up_when_one_leaves(scene, bot, ann, ben):
    first, second = two_pulls(scene)
    loads(scene)
    one = ben.comments("/deploy --no-merge", on=first)
    is_loading(scene)
    two = ben.comments("/deploy --no-merge", on=second)
    bot.answer("number 1 in line", to=two)
    models.next_pull(scene, "Model 3")
    models.has_run(scene, ann, 3)
    three = ben.comments("/deploy --no-merge")
    bot.answer("number 2 in line", to=three)
    ben.comments("/cancel", on=second)
    assert bot.ends(to=two) in ("-1", "confused", "rocket")
    bot.answer("**/deploy**", "ben", to=two)
    bot.answer("number 1 in line", to=three)
    again = ben.comments("/deploy --no-merge", on=second)
    bot.answer("number 2 in line", to=again)
    ann.closes(second)
    assert bot.ends(to=again) == "confused"
    bot.answer("**/deploy**", "`pull.closed`", "ancelled because ann closed the pull request", to=again)
    ann.pushes({"notes.md": "Seven neighbours.\n"})
    scene.webhooks_are_idle()
    goes_on(scene)
    assert bot.ends(to=one) == "rocket"
    assert bot.ends(to=three) == "-1"
    bot.answer("`deploy.head_moved`", f"/deploy --sha {scene.pull.head}", to=three)
    assert models.answers(scene) == [1]


def test_the_base_moves_while_one_stands_in_line(scene, bot, ann, ben):
    first, second = two_pulls(scene)
    loads(scene)
    one = ben.comments("/deploy", on=first)
    is_loading(scene)
    two = ben.comments("/deploy", on=second)
    bot.answer("number 1 in line for production", to=two)
    goes_on(scene)
    assert bot.ends(to=one) == "rocket"
    assert first.look()["merged"]
    assert bot.ends(to=two) == "-1"
    said = bot.answer("`deploy.behind`", "lacks", "Update branch", "Nothing was changed", to=two, patience=3)
    assert "| ✅ | gates | all passed" not in said
    assert models.answers(scene) == [1] and not second.look()["merged"]

    loads(scene)
    three = ben.comments('/deploy --no-merge --force "seen"', on=second)
    is_loading(scene)
    models.next_pull(scene, "Model 3")
    models.has_run(scene, ann, 3)
    four = ben.comments("/deploy", on=scene.pull)
    bot.answer("number 1 in line for production", to=four)
    branch(scene, "release")
    scene.github.post(f"{scene.pull.path}/edit", user="ann", base="release")
    scene.webhooks_are_idle()
    goes_on(scene)
    assert bot.ends(to=three) == "rocket"
    assert bot.ends(to=four) == "-1"
    bot.answer("`deploy.base_branch`", "Nothing was changed", to=four, patience=3)
    assert models.answers(scene) == [2]


def branch(scene, name: str) -> str:
    """A branch of the repository, as the default branch is now."""
    return scene.github.post(f"repos/{scene.repo}/commits", branch=name, files={}, user="ben")["sha"]


def test_locks_of_people(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    ann.is_given("maintain")
    ben.comments('/lock production --reason "canary watch"')
    assert bot.ends() == "rocket"
    ann.comments("/lock production")
    assert bot.ends() == "-1"
    bot.answer("`lock.held`", "locked by", "canary watch", patience=3)
    ann.comments("/unlock production")
    assert bot.ends() == "-1"
    bot.answer("`lock.not_yours`", "/unlock production --force")
    ann.comments("/deploy --wait-lock 1s")
    assert bot.ends() == "-1"
    bot.answer("`deploy.lock_held`", "within `--wait-lock`")
    waiting = ann.comments("/deploy --no-merge")
    bot.answer("number 1 in line", "canary watch", to=waiting)
    ben.comments("/deploy --no-merge --wait-lock 1s")
    ann.comments("/unlock production --force")
    assert bot.ends(to=waiting) == "rocket"
    ann.comments("/unlock production")
    assert bot.ends() == "-1"
    bot.answer("`lock.none`")
    ben.comments("/lock staging --for 2s")
    assert bot.ends() == "rocket"
    ann.comments("/staging_deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == models.answers(scene, "ml-staging") == [1]
