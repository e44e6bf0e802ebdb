"""An environment has one deployment at a time: locks of people, the line before it, and what is cancelled."""

import models
import pytest

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY)


def two_pulls(scene) -> tuple:
    """Two pull requests with a model each, beside a model in production."""
    models.deployed(scene)
    pulls = []
    for number in (1, 2):
        models.next_pull(scene, f"Model {number}")
        models.has_run(scene, scene.ann, number)
        pulls.append(scene.pull)
    return tuple(pulls)


def loads(scene) -> None:
    """Models stay in loading from now on; waits until one is."""
    scene.cluster.post("timing", load="hold")


def is_loading(scene) -> None:
    scene.wait_until(lambda: scene.cluster.get("held"), "a model to be loading")


def goes_on(scene) -> None:
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")


def test_two_deployments_one_after_the_other(scene, bot, ann, ben):
    first, second = two_pulls(scene)
    loads(scene)
    one = ben.comments("/deploy --no-merge", on=first)
    is_loading(scene)
    two = ben.comments("/deploy --no-merge", on=second)
    bot.answer("number 1 in line for production", f"of #{first.number} has", to=two)
    models.next_pull(scene, "Model 3")
    models.has_run(scene, ann, 3)
    three = ben.comments("/deploy", on=scene.pull)
    bot.answer("number 2 in line for production", to=three)
    ben.comments("/status", on=second)
    assert bot.ends() == "rocket"
    goes_on(scene)
    for each in (one, two, three):
        assert bot.ends(to=each) == "rocket"
    assert models.answers(scene) == [3]
    live = [item["body"]["metadata"]["annotations"]["kfops.dev/fence"]
            for item in scene.cluster.mutations_of("isvc.patch") if "annotations" in item["body"]["metadata"]]
    assert live == sorted(live, key=int) and len(set(live)) == 3
    labelled = [pull.number for pull in (first, second, scene.pull) if pull.look()["labels"]]
    assert labelled == [scene.pull.number]


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
    ann.pushes({"notes.md": "Seven neighbours.\n"})
    scene.webhooks_are_idle()
    goes_on(scene)
    assert bot.ends(to=one) == "rocket"
    assert bot.ends(to=three) == "-1"
    bot.answer("`deploy.head_moved`", f"/deploy --sha {scene.pull.head}", to=three)
    assert models.answers(scene) == [1]


def test_cancelled_while_loading_and_between_steps(scene, bot, ann, ben):
    first, second = two_pulls(scene)
    loads(scene)
    one = ben.comments("/deploy", on=first)
    is_loading(scene)
    ben.comments("/cancel", on=first)
    goes_on(scene)
    ended = bot.ends(to=one)
    said = bot.answer("topped by ben", "back to the model before", to=one)
    assert models.answers(scene) == [0] and not first.look()["merged"], (ended, said)
    assert first.look()["deployments"][-1]["states"][-1] == "failure"

    two = ben.comments("/deploy --steps 10,50 --hold 10m", on=second)
    bot.answer("| traffic | 10 % |", to=two)
    ben.comments("/cancel", on=second)
    bot.ends(to=two)
    bot.answer("topped by ben", "back to the model before", to=two)
    assert models.answers(scene) == [0] and not second.look()["merged"]
    assert [item["code"] for item in bot.jobs() if item["comment_id"] in (one.id, two.id)] == \
        ["job.cancelled"] * 2


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
