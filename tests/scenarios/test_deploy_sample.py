"""Where the new model is asked: at every address that may lead to it, in order, until the model itself answers."""

import models
import pytest

INSIDE = {**models.KNATIVE_WAY, "inside": True}
SECOND_INSIDE = {**models.SECOND_WAY, "inside": True}


def asked(bot) -> list[tuple[str, str]]:
    """Which addresses the sample went to, and what was there: (by, status; "0": nobody)."""
    return [(line["by"], line["status"]) for line in bot.log_lines() if line.get("event") == "sample_asked"]


@pytest.mark.scene(**INSIDE)
def test_the_revision_answers_where_the_tag_has_no_route(scene, bot, ann, ben):
    models.deployed(scene)
    models.next_pull(scene, "Next")
    models.has_run(scene, ann, 1)
    before = len(asked(bot))
    for number, status in enumerate((404, 403, 503), 2):
        scene.cluster.post("hosts", host="^latest-", status=status)
        ben.comments("/deploy --no-merge" if status != 503 else "/deploy")
        assert bot.ends() == "rocket"
        bot.answer("✅ **/deploy**", "By its revision", "iris-predictor-0000", "-private.ml-prod.svc.cluster.local",
                   "Tried without an answer of the model: tag latest-iris-predictor.ml-prod.svc.cluster.local: "
                   f"{status}")
        assert asked(bot)[before:] == [("tag", str(status)), ("revision", "200")]
        before = len(asked(bot))
        scene.cluster.send("DELETE", "hosts")
        if status != 503:
            models.next_pull(scene, f"After {status}")
            models.has_run(scene, ann, number)


@pytest.mark.scene(**INSIDE)
def test_no_address_lets_the_sample_through(scene, bot, ann, ben):
    models.deployed(scene)
    models.next_pull(scene, "Next")
    models.has_run(scene, ann, 1)
    scene.cluster.post("hosts", host="^(latest-|.*-private)", status=403)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "`deploy.sample`", "403", "RBAC: access denied", "back to the model before",
               "tag latest-iris-predictor.ml-prod.svc.cluster.local: 403; revision")
    assert models.answers(scene) == [0]


@pytest.mark.scene(**INSIDE)
def test_a_bad_answer_of_the_model_counts_at_once(scene, bot, ann, ben):
    """The next address would lead to the same model."""
    models.deployed(scene)
    models.next_pull(scene, "Next")
    models.has_run(scene, ann, "wide", constant=2, features=7)
    before = len(asked(bot))
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "`deploy.sample`", "500")
    assert asked(bot)[before:] == [("tag", "500")]


@pytest.mark.parametrize("way, by", [
    pytest.param("canary", "canary", marks=pytest.mark.scene(**models.CANARY_WAY)),
    pytest.param("second", "canary", marks=pytest.mark.scene(**SECOND_INSIDE)),
])
def test_headless_services_answer_at_the_port_of_the_container(scene, bot, ann, ben, way, by):
    scene.cluster.post("settings", headless=True)
    models.deployed(scene)
    models.next_pull(scene, "Next", models.files(way))
    models.has_run(scene, ann, 1)
    before = len(asked(bot))
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/deploy**", ".ml-prod.svc.cluster.local:8080`")
    assert asked(bot)[before:] == [(by, "0"), (by, "200")]
    assert models.answers(scene) == [1]


@pytest.mark.scene(**models.SECOND_WAY)
def test_through_the_ingress_the_predictor_is_asked_where_the_service_has_no_route(scene, bot, ann, ben):
    scene.cluster.post("hosts", host="^iris-canary-ml-prod", status=404)
    models.has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/deploy**", "By its predictor: `iris-canary-predictor-ml-prod.example.com`")
    assert asked(bot) == [("canary", "404"), ("predictor", "200")]
