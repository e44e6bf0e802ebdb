"""Other files in the model's place between the gates and the service: seen before anybody is served by them."""

import models


@models.IN_EACH_WAY
def test_files_that_are_changed_while_the_deployment_is_under_way(scene, bot, ann, ben, way):
    models.deployed(scene)

    models.next_pull(scene, "Waits")
    models.has_run(scene, ann, 1)
    ben.comments("/lock production")
    assert bot.ends() == "rocket"
    ann.is_given("maintain")
    waiting = ann.comments("/deploy")
    bot.answer("number 1 in line", to=waiting)
    before = models.writes(scene), models.writes(scene, "ml-prod/iris-canary")
    models.make(scene, 1, 2)
    ben.comments("/unlock production")
    assert bot.ends(to=waiting) == "-1"
    bot.answer("❌ **/deploy**", "`deploy.model_changed`", "changed while it was being deployed", to=waiting)
    assert before == (models.writes(scene), models.writes(scene, "ml-prod/iris-canary"))

    models.next_pull(scene, "Loads", models.files(way))
    models.has_run(scene, ann, 3)
    scene.cluster.post("timing", load="hold")
    asked = ben.comments("/deploy")
    scene.wait_until(lambda: scene.cluster.get("held"), "the model to be loading")
    models.make(scene, 3, 2)
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
    assert bot.ends(to=asked) == "-1"
    bot.answer("❌ **/deploy**", "`deploy.model_changed`", "back to the model before", to=asked)
    assert models.answers(scene) == [0]
    assert scene.cluster.service("ml-prod", "iris-canary") is None


@models.IN_EACH_WAY
def test_a_store_that_is_down_is_waited_for(scene, bot, ann, ben, way):
    models.deployed(scene)
    models.next_pull(scene, "Next", models.files(way))
    models.has_run(scene, ann, 1)
    scene.cluster.post("timing", load="hold")
    asked = ben.comments("/deploy")
    scene.wait_until(lambda: scene.cluster.get("held"), "the model to be loading")
    scene.cluster.post("faults", kind="status", status=503, times=2, match={"on": "s3"})
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
    assert bot.ends(to=asked) == "rocket"
    assert models.answers(scene) == [1]
