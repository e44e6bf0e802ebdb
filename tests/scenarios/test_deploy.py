"""Deploying: from a run's model to a service that answers, a label, and the merge of exactly that commit, in
each of the three ways that KServe has to try a model before it gets traffic."""

import models
import pytest
import texts
from models import IN_EACH_WAY

CALLS_MAX = 25  # to GitHub, for a /deploy in which nothing goes wrong


@IN_EACH_WAY
def test_from_staging_to_production_on_to_the_next_and_back(scene, bot, ann, ben, way):
    models.has_run(scene, ann, 0)
    ben.comments("/staging_deploy")
    assert bot.ends() == "rocket"
    said = bot.answer("✅ **/staging_deploy**", "Sample: status 200", "predictions")
    assert "loaded and ready" in said
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/deploy**", "100 %", "into `main`")
    seen = scene.pull.look()
    assert seen["merged"] and seen["state"] == "closed"
    assert "Deployed-to-production" in seen["labels"]
    assert [each["states"][-1] for each in seen["deployments"]] == ["success", "success"]
    assert models.answers(scene) == models.answers(scene, "ml-staging") == [0]
    first = scene.pull

    models.next_pull(scene, "Better")
    models.has_run(scene, ann, 2)
    before = len(scene.cluster.mutations_of("traffic"))
    ben.comments("/deploy --steps 10,50,100 --no-merge")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/deploy**", "100 %")
    assert models.answers(scene) == [2]
    if way != "second":
        assert models.shares(scene)[-3 if way == "knative" else -2:] == [10, 50, 100][:3 if way == "knative" else 2]
    assert scene.pull.look()["labels"] == ["Deployed-to-production"]
    assert "Deployed-to-production" not in first.look()["labels"]
    assert not scene.pull.look()["merged"]
    assert scene.cluster.service("ml-prod", "iris-canary") is None

    before = models.writes(scene)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/deploy**", "into `main`")
    assert models.writes(scene) == before
    assert scene.pull.look()["merged"]

    ben.comments("/rollback production")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/rollback**", "pull request 1) again")
    assert models.answers(scene) == [0]
    assert set(first.look()["labels"]) == {"Deployed-to-production", "Deployed-to-staging"}
    assert "Deployed-to-production" not in scene.pull.look()["labels"]

    models.next_pull(scene, "Third")
    models.has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]


def refused(scene, *words: str, **more) -> str:
    """A /deploy that gives up; production answers as before and nothing is left on GitHub."""
    scene.ben.comments("/deploy")
    assert scene.bot.ends() == "-1"
    return stayed(scene, *words, **more)


def stayed(scene, *words: str) -> str:
    said = scene.bot.answer("❌ **/deploy**", *words, patience=3)
    assert models.answers(scene) == [0]
    seen = scene.pull.look()
    assert not seen["merged"] and seen["labels"] == []
    assert [each["states"][-1] for each in seen["deployments"]] == ["failure"]
    return said


@IN_EACH_WAY
def test_a_model_that_does_not_work_stays_at_0(scene, bot, ann, ben, way):
    models.deployed(scene)

    models.next_pull(scene, "Broken file")
    models.has_run(scene, ann, 2, text="not a model")
    refused(scene, "`deploy.model_failed`", "back to the model before")

    models.next_pull(scene, "Other columns")
    models.has_run(scene, ann, "wide", constant=2, features=7)
    refused(scene, "`deploy.sample`", "500", "back to the model before")

    models.next_pull(scene, "Too large")
    models.has_run(scene, ann, 3)
    scene.cluster.post(trouble_of(way), kind="OOMKilled")
    refused(scene, "`deploy.model_failed`", "more memory than its limit", "back to the model before")

    models.next_pull(scene, "No image", models.files(way, timeout="2s"))
    models.has_run(scene, ann, 4)
    scene.cluster.post(trouble_of(way), kind="ImagePullBackOff")
    refused(scene, "`deploy.not_ready`", "cannot be pulled (ImagePullBackOff)", "back to the model before")

    models.next_pull(scene, "Never ready", models.files(way, timeout="1s"))
    models.has_run(scene, ann, 5)
    scene.cluster.post("timing", load="hold")
    refused(scene, "`deploy.not_ready`", "not ready in time", "back to the model before")
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")

    models.next_pull(scene, "Good", models.files(way))
    models.has_run(scene, ann, 6, constant=1)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_answers_that_are_none(scene, bot, ann, ben):
    models.deployed(scene)
    for kind, more, said in (("garbage", {}, "`deploy.sample`"), ("empty", {}, "the predictions are empty"),
                             ("slow", {"sample": "{max_latency: 1s}"}, "at most 1000 ms are allowed")):
        models.next_pull(scene, f"Sample {kind}", models.files("knative", **more))
        models.has_run(scene, ann, kind)
        models.loads(scene)
        ben.comments("/deploy")
        is_loading(scene, "knative")
        new = next(work["name"] for work in scene.cluster.service("ml-prod")["workloads"] if work["state"] == "loading")
        scene.cluster.post("services/ml-prod/iris/break", of=new, kind=kind, seconds=2)
        models.goes_on(scene)
        assert bot.ends() == "-1"
        stayed(scene, said, "back to the model before")


def trouble_of(way: str) -> str:
    """Of the next pod with the new model."""
    return f"services/ml-prod/iris{'-canary' if way == 'second' else ''}/trouble"


def is_loading(scene, way: str) -> None:
    """Waits until the new model is being loaded beside the old one."""
    name = "iris-canary" if way == "second" else "iris"

    def found():
        service = scene.cluster.service("ml-prod", name)
        return service and any(work["state"] == "loading" for work in service["workloads"])
    scene.wait_until(found, "the new model to be loading")


@IN_EACH_WAY
def test_somebody_else_is_in_the_way(scene, bot, ann, ben, way):
    models.deployed(scene)

    models.next_pull(scene, "Refused", models.files(way, predictor="    minReplicas: 3\n    maxReplicas: 2\n"))
    models.has_run(scene, ann, 2)
    before = models.writes(scene), models.writes(scene, "ml-prod/iris-canary")
    refused(scene, "MinReplicas cannot be greater than MaxReplicas")
    scene.expects_violation("MinReplicas cannot be greater than MaxReplicas")
    models.next_pull(scene, "Other mode", texts.deployment(
        {"serving.kserve.io/deploymentMode": "Standard" if way == "knative" else "Knative"}))
    models.has_run(scene, ann, "mode")
    refused(scene, "deploymentMode cannot be changed")
    scene.expects_violation("deploymentMode cannot be changed")
    assert before == (models.writes(scene), models.writes(scene, "ml-prod/iris-canary"))

    models.next_pull(scene, "No right", models.files(way))
    models.has_run(scene, ann, 3)
    verb = "create" if way == "second" else "patch"
    scene.cluster.post("revoke", namespace="ml-prod", verb=verb, resource="inferenceservices")
    refused(scene, "`kube.forbidden`", f"{verb} inferenceservices.serving.kserve.io in the namespace")
    scene.cluster.post("grants", namespace="ml-prod", rules=[
        {"apiGroups": ["serving.kserve.io"], "resources": ["inferenceservices"], "verbs": [verb]}])
    scene.expects_violation("forbidden")

    models.next_pull(scene, "Edited")
    models.has_run(scene, ann, 4)
    scene.cluster.post("timing", load="hold")
    ben.comments("/deploy")
    is_loading(scene, way)
    scene.cluster.post("services/ml-prod/iris/edit", patch={"spec": {"predictor": {"timeout": 77}}})
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
    assert bot.ends() == "-1"
    stayed(scene, "`deploy.changed`")

    models.next_pull(scene, "Deleted")
    models.has_run(scene, ann, 5)
    scene.cluster.post("timing", load="hold")
    ben.comments("/deploy")
    is_loading(scene, way)
    scene.cluster.send("DELETE", "services/ml-prod/iris")
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "`deploy.deleted`")
    assert scene.cluster.service("ml-prod") is None
    assert scene.cluster.service("ml-prod", "iris-canary") is None


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_the_store_of_models_is_looked_at_first(scene, bot, ann, ben):
    keys = scene.cluster.state / "s3.json"
    models.has_run(scene, ann, 1)
    told = keys.read_text()
    keys.write_text(told.replace('"secret"', '"list": false, "secret"'))
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "list", "mlpipeline")
    keys.write_text(told)
    ben.comments("/staging_deploy")
    assert bot.ends() == "rocket"
    models.make(scene, 1, 2)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "`deploy.model_changed`", "/build_run")
    assert models.writes(scene) == []
    scene.cluster.send("DELETE", f"objects?uri={models.folder(1)}")
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "`deploy.no_model`")


@pytest.mark.scene(**models.KNATIVE_WAY, config={"report": {"edit_interval": "1h"}})
def test_github_is_asked_sparingly(scene, bot, ann, ben, capsys):
    """Of what is shown meanwhile, at most one edit in each interval comes beside these."""
    models.has_run(scene, ann, 1)
    before = len(scene.github.requests())
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    lines = [f"{item['method']} {item['path']}" for item in scene.github.requests()[before:]]
    made = [line for line in lines if "/api/v3/repos/" in line or "/graphql" in line]
    with capsys.disabled():
        print(f"\n  /deploy asked GitHub {len(made)} times", end="")
    assert len(made) <= CALLS_MAX, "\n".join(made)


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_the_plan_shows_every_gate_and_changes_nothing(scene, bot, ann):
    models.has_run(scene, ann, 1)
    ann.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("What `/deploy production` would do", "✅ | mergeable", "will be made", "0 % → 100 %")
    assert models.writes(scene) == []


@pytest.mark.scene(**models.KNATIVE_WAY,
                   config={"repositories": [{"match": "lab/*", "cluster": "main", "namespaces": ["team-a"]}]})
def test_a_namespace_that_the_operator_has_not_named(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "ml-prod")
    assert scene.cluster.service("ml-prod") is None
