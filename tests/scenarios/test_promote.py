"""A canary that was left open: further up, to its end, out again, in each of the three ways that KServe has to try
a model before it gets traffic."""

import models
import pytest
from models import IN_EACH_WAY


def left_open(scene, flags: str = "", percent: int = 10, name: int = 2):
    """A second model beside the first, given this percent and left there."""
    models.deployed(scene)
    scene.before = scene.pull
    models.next_pull(scene, "Second")
    models.has_run(scene, scene.ann, name)
    scene.ben.comments(f"/deploy --steps {percent} {flags}".strip())
    assert scene.bot.ends() == "rocket"
    return scene.pull


def share(scene) -> int:
    """The percent that the newest model has by the controller."""
    return models.shares(scene)[-1]


def refused(scene, command: str, *words: str) -> str:
    """A command of a maintainer that changes nothing."""
    before = models.writes(scene), models.writes(scene, "ml-prod/iris-canary")
    scene.ben.comments(command)
    assert scene.bot.ends() == "-1"
    said = scene.bot.answer(f"❌ **{command.split()[0]}**", *words, patience=3)
    assert (models.writes(scene), models.writes(scene, "ml-prod/iris-canary")) == before
    return said


@IN_EACH_WAY
def test_from_a_share_to_half_to_all_and_merged(scene, bot, ann, ben, way):
    first = left_open(scene) and scene.pull
    splits = way != "second"
    if splits:
        bot.answer("10 % of the traffic", "`/promote production`", "| 10 % | the model of", "| 90 % | the model of")
        assert share(scene) == 10
    else:
        bot.answer("waits there, without traffic", "`/promote production`")
        assert scene.cluster.service("ml-prod", "iris-canary")
    assert models.answers(scene) == [0] or splits
    seen = first.look()
    assert not seen["merged"] and seen["labels"] == []
    assert [each["states"] for each in seen["deployments"]] == [["in_progress"]]
    assert scene.before.look()["deployments"][-1]["states"] == ["success"]
    ben.comments("/status")
    assert bot.ends() == "rocket"
    bot.answer("| 90 % |" if splits else "| 100 % |", "| 10 % |" if splits else "| 0 % |")

    if splits:
        ben.comments("/promote production --to 50")
        assert bot.ends() == "rocket"
        bot.answer("✅ **/promote**", "50 % of the traffic", "| traffic | 10 % → 50 % |", "Sample: status 200")
        assert share(scene) == 50
        assert first.look()["labels"] == [] and not first.look()["merged"]
        refused(scene, "/promote production --to 50", "`promote.not_above`", "has 50 % of the traffic already")
    else:
        refused(scene, "/promote production --to 50", "`promote.no_split`", "`/promote production`")

    ben.comments("/promote production")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/promote**", "which is merged", f"| traffic | {50 if splits else 0} % → 100 % |", "into `main`")
    assert models.answers(scene) == [2]
    seen = first.look()
    assert seen["merged"] and seen["labels"] == ["Deployed-to-production"]
    assert seen["deployments"][-1]["states"][-1] == "success"
    assert scene.before.look()["deployments"][-1]["states"] == ["success", "inactive"]
    assert scene.cluster.service("ml-prod", "iris-canary") is None
    refused(scene, "/promote production", "`promote.nothing`", "has all the traffic")

    ben.comments("/rollback production")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [0]
    assert first.look()["deployments"][-1]["states"][-1] == "inactive"


@IN_EACH_WAY
def test_what_was_left_open_is_taken_out_again(scene, bot, ann, ben, way):
    second = left_open(scene)
    models.next_pull(scene, "Third")
    models.has_run(scene, ann, 1)
    open_there = ("`deploy.canary_open`", "eployment 2 is open in production", f"of pull request {second.number}, which ben",
                  "waits without traffic" if way == "second" else "has 10 % of the traffic", "`/promote production`",
                  "`/rollback production`")
    ann.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("It would be refused", *open_there)
    refused(scene, "/deploy", *open_there)
    refused(scene, "/promote production", "`promote.other_pull`", f"pull request {second.number}")
    refused(scene, "/rollback production --to 1", "`rollback.is_live`")
    ben.comments("/rollback production")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/rollback**", "(pull request 1) alone again")
    assert models.answers(scene) == [0]
    assert scene.cluster.service("ml-prod", "iris-canary") is None
    assert second.look()["deployments"][-1]["states"] == ["in_progress", "inactive"]
    refused(scene, "/promote production", "`promote.nothing`")
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]


@IN_EACH_WAY
def test_no_merge_was_said_by_whoever_deployed(scene, bot, ann, ben, way):
    pull = left_open(scene, "--no-merge")
    ann.pushes({"more.md": "x\n"})
    scene.webhooks_are_idle()
    ben.comments("/promote production")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/promote**", "Production serves the model of")
    assert models.answers(scene) == [2] and not pull.look()["merged"]
    assert pull.look()["labels"] == ["Deployed-to-production"]


@IN_EACH_WAY
def test_the_merge_is_of_what_was_tried_or_of_nothing(scene, bot, ann, ben, way):
    pull = left_open(scene)
    tried = pull.head
    ann.pushes({"more.md": "x\n"})
    scene.webhooks_are_idle()
    refused(scene, "/promote production", "`promote.head_moved`", f"`{tried[:7]}`", "--no-merge")
    ben.comments("/promote production --no-merge")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [2] and not pull.look()["merged"]


@IN_EACH_WAY
def test_somebody_changed_the_service_meanwhile(scene, bot, ann, ben, way):
    left_open(scene)
    scene.cluster.post("services/ml-prod/iris/edit", patch={"spec": {"predictor": {"timeout": 77}}})
    refused(scene, "/promote production", "`deploy.changed`", "Nothing was changed by this command")


@IN_EACH_WAY
def test_other_files_in_its_place_are_not_promoted(scene, bot, ann, ben, way):
    left_open(scene)
    models.make(scene, 2, 1)
    refused(scene, "/promote production", "`deploy.model_changed`")
    scene.cluster.send("DELETE", f"objects?uri={models.folder(2)}")
    refused(scene, "/promote production", "`deploy.no_model`")


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_who_may_promote_and_how_far(scene, bot, ann, ben):
    left_open(scene)
    ann.comments("/promote production")
    assert bot.ends() == "-1"
    bot.answer("`denied.permission`")
    refused(scene, "/promote production --to 101", "`promote.percent`")
    refused(scene, "/promote production --to 5", "`promote.not_above`")
    refused(scene, "/promote staging", "`promote.nothing`", "nothing was deployed there")
    assert share(scene) == 10


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_merged_by_hand_while_it_was_open(scene, bot, ann, ben):
    pull = left_open(scene)
    ben.merges(pull)
    ben.comments("/promote production")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/promote**", "Production serves the model of")
    assert models.answers(scene) == [2] and pull.look()["labels"] == ["Deployed-to-production"]


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_a_sample_that_fails_by_now_takes_it_out(scene, bot, ann, ben):
    pull = left_open(scene)
    scene.cluster.post("services/ml-prod/iris/break", of="iris-predictor-00002", kind="error")
    ben.comments("/promote production")
    assert bot.ends(patience=90) == "-1"
    bot.answer("❌ **/promote**", "`deploy.sample`", "All traffic is back")
    assert models.answers(scene) == [0] and pull.look()["deployments"][-1]["states"][-1] == "failure"
    refused(scene, "/promote production", "`promote.nothing`")


@pytest.mark.parametrize("way, command", [
    pytest.param(way, command, marks=pytest.mark.scene(**models.WAYS[way]))
    for way, command in (("knative", "/promote production"), ("canary", "/rollback production"),
                         ("second", "/promote production"), ("second", "/deploy"))])
def test_what_was_open_went_with_its_service(scene, bot, ann, ben, way, command):
    second = left_open(scene)
    scene.cluster.send("DELETE", "services/ml-prod/iris")
    models.next_pull(scene, "Anew")
    models.has_run(scene, ann, 1)
    if command != "/deploy":
        ben.comments(command, on=second if command.startswith("/promote") else scene.pull)
        assert bot.ends() == "-1"
        assert second.look()["deployments"][-1]["states"] == ["in_progress", "failure"]
        assert scene.cluster.service("ml-prod", "iris-canary") is None
        assert [row["state"] for row in bot.rows("SELECT state FROM deployments WHERE job_id IN"
                                                 " (SELECT id FROM jobs WHERE pr = ?)", second.number)] == [3]
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]
    states = second.look()["deployments"][-1]["states"]
    assert states[:2] == ["in_progress", "inactive" if command == "/deploy" else "failure"] and len(states) == 2
    assert scene.cluster.service("ml-prod", "iris-canary") is None
    refused(scene, "/promote production", "`promote.nothing`", "has all the traffic")
