"""The first deployment of all: KServe would give it all traffic at once, so it is tried in a second service before
anybody can reach it under the service's own name."""

import models
import pytest
import texts


@models.IN_EACH_WAY
def test_a_first_model_that_does_not_work_serves_nobody(scene, bot, ann, ben, way):
    models.has_run(scene, ann, "wide", constant=2, features=7)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    said = bot.answer("❌ **/deploy**", "`deploy.sample`", "500", "Nothing serves, as before")
    assert "nothing serves, as before" in said and "nothing, as before" in said
    assert models.writes(scene) == [] and scene.cluster.service("ml-prod") is None
    assert models.writes(scene, "ml-prod/iris-canary") == ["create", "delete"]
    seen = scene.pull.look()
    assert not seen["merged"] and seen["labels"] == [] and seen["deployments"][0]["states"][-1] == "failure"

    models.next_pull(scene, "Broken file", models.files(way))
    models.has_run(scene, ann, 2, text="not a model")
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "`deploy.model_failed`", "Nothing serves, as before")
    assert models.writes(scene) == [] and scene.cluster.service("ml-prod", "iris-canary") is None

    models.next_pull(scene, "Good", models.files(way))
    models.has_run(scene, ann, 1)
    ann.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("tried in a second service", patience=3)
    before = len(scene.cluster.mutations())
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/deploy**", "`iris-canary", "into `main`")
    assert models.answers(scene) == [1]
    made = [(item["kind"], item["service"]) for item in scene.cluster.mutations()[before:]
            if item["kind"].startswith("isvc.")]
    assert made == [("isvc.create", "ml-prod/iris-canary"), ("isvc.delete", "ml-prod/iris-canary"),
                    ("isvc.create", "ml-prod/iris")]


@pytest.mark.scene(**{**models.KNATIVE_WAY, "files": texts.deployment(try_first="false")})
def test_a_first_model_that_nobody_wants_tried_is_taken_away_when_it_fails(scene, bot, ann, ben):
    models.has_run(scene, ann, "wide", constant=2, features=7)
    ann.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("when it is ready, untried", patience=3)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "`deploy.sample`", "nothing serves, as before")
    assert models.writes(scene) == ["create", "delete"] and models.writes(scene, "ml-prod/iris-canary") == []
    models.has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]


@models.IN_EACH_WAY
def test_a_first_deployment_that_is_stopped_leaves_nothing(scene, bot, ann, ben, way):
    models.has_run(scene, ann, 1)
    scene.cluster.post("timing", load="hold")
    asked = ben.comments("/deploy")
    scene.wait_until(lambda: scene.cluster.get("held"), "the model to be loading")
    ben.comments("/cancel")
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
    bot.ends(to=asked)
    bot.answer("topped by ben", "Nothing serves, as before", to=asked)
    assert scene.cluster.service("ml-prod") is None and scene.cluster.service("ml-prod", "iris-canary") is None
