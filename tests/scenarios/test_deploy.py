"""Deploying: from a run's model to a service that answers, a label, and the merge of exactly that commit."""

import pytest

import texts

DEPLOYMENT = texts.deployment()
MODEL = "s3://mlpipeline/models/iris-1/"
KNATIVE = ("--mode", "knative", "--kserve-version", "0.16")

pytestmark = pytest.mark.scene(cluster=KNATIVE, files=DEPLOYMENT)


def has_run(scene, bot, person, model: int = 1, on=None) -> None:
    """A successful /build_run whose model answers with this class."""
    scene.kubeflow.holds_runs()
    person.comments("/build_run", on=on)
    run = scene.wait_until(lambda: scene.kubeflow.runs(), "the run to be made")[-1]
    scene.cluster.post("objects", uri=f"s3://mlpipeline/models/iris-{model}/", constant=model)
    scene.kubeflow.post(f"runs/{run['run_id']}/artifacts", task="train", name="model", type="system.Model",
                        uri=f"minio://mlpipeline/models/iris-{model}/")
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"


def test_staging_then_production(scene, bot, ann, ben):
    has_run(scene, bot, ann)
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
