"""A new model whose share of the traffic is held: it is asked again and again until it may have more."""

import models
import pytest
from models import IN_EACH_WAY


def begins_to_be_held(scene, way: str, hold: str, name: int = 2) -> None:
    """A second model beside the first, with 10 % of the traffic where that can be split, held for so long."""
    models.next_pull(scene, f"Model {name}")
    models.has_run(scene, scene.ann, name)
    scene.ben.comments(f"/deploy --steps 10,100 --hold {hold} --no-merge")
    scene.bot.says("**/deploy**", "traffic | 10 %" if way != "second" else "traffic | 0 %")


def breaks(scene, way: str, **how) -> None:
    service = "iris-canary" if way == "second" else "iris"
    scene.cluster.post(f"services/ml-prod/{service}/break", of="latest", kind="error", **how)


@IN_EACH_WAY
def test_a_model_that_turns_bad_while_it_is_held_goes_back(scene, bot, ann, ben, way):
    models.deployed(scene)
    begins_to_be_held(scene, way, "10m")
    breaks(scene, way)
    assert bot.ends() == "-1"
    said = bot.answer("❌ **/deploy**", "`deploy.turned_bad`", f"sample requests failed at {0 if way == 'second' else 10} %",
                      "the model server answers 500", "back to the model before", "while its traffic was held")
    assert "2 of " in said
    assert models.answers(scene) == [0]
    assert scene.cluster.service("ml-prod", "iris-canary") is None
    seen = scene.pull.look()
    assert seen["labels"] == [] and seen["deployments"][-1]["states"][-1] == "failure"


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_one_blip_is_survived_and_a_restart_is_not(scene, bot, ann, ben):
    models.deployed(scene)
    begins_to_be_held(scene, "knative", "6s")
    breaks(scene, "knative", times=1)
    bot.says("**/deploy**", "sample requests failed")
    bot.restart(kill=True)
    assert bot.ends() == "rocket"
    said = bot.answer("✅ **/deploy**", "100 %", "while its traffic was held", "⚠️ the model server answers 500")
    assert "| 10 % | " in said
    assert models.answers(scene) == [2]

    begins_to_be_held(scene, "knative", "10m", 1)
    scene.cluster.post("services/ml-prod/iris/restart", of="latest")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "A container of the new model was started anew at 10 %", "OOMKilled",
               "back to the model before")
    assert models.answers(scene) == [2]


@IN_EACH_WAY
def test_a_pull_request_that_is_closed_while_it_is_held_stops_that(scene, bot, ann, ben, way):
    models.deployed(scene)
    before = scene.pull
    begins_to_be_held(scene, way, "10m")
    asked = scene.last_comment
    ann.closes()
    ann.reopens()
    assert bot.ends(to=asked) == "confused"
    bot.answer("**/deploy**", "`pull.closed`", "topped because ann closed the pull request", "back to the model before",
               to=asked)
    assert models.answers(scene) == [0]
    assert scene.cluster.service("ml-prod", "iris-canary") is None
    seen = scene.pull.look()
    assert seen["labels"] == [] and seen["deployments"][-1]["states"][-1] == "failure"
    assert before.look()["deployments"][-1]["states"] == ["success"]
