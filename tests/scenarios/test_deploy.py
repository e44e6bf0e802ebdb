"""Deploying: from a run's model to a service that answers, a label, and the merge of exactly that commit."""

import pytest

import texts

DEPLOYMENT = texts.deployment()
MODEL = "s3://mlpipeline/models/iris-1/"
KNATIVE = ("--mode", "knative", "--kserve-version", "0.16")

pytestmark = pytest.mark.scene(cluster=KNATIVE, files=DEPLOYMENT)


def has_run(scene, bot, person, model: int = 1, on=None) -> None:
    """A successful /build_run whose model answers with this class."""
    before = len(scene.kubeflow.runs())
    scene.kubeflow.holds_runs()
    person.comments("/build_run", on=on)
    run = scene.wait_until(lambda: scene.kubeflow.runs()[before:], "the run to be made")[0]
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


def deployed(scene, bot, person, model: int = 1) -> None:
    """A first model in production, merged."""
    has_run(scene, bot, scene.ann, model)
    person.comments("/deploy")
    assert bot.ends() == "rocket"


def answers(scene, environment: str = "ml-prod") -> list:
    """What the model that has the traffic says."""
    return scene.cluster.predicts(f"iris.{environment}.example.com", [[5.1, 3.5, 1.4, 0.2]])


def next_pull(scene, title: str = "Better") -> None:
    """Another pull request takes the place of the scene's own, after the first was merged."""
    scene.pull = scene.ann.opens(title, title.lower(), {"more.md": "more\n"})


def test_the_next_model_goes_from_0_to_100_and_back(scene, bot, ann, ben):
    deployed(scene, bot, ben, model=0)
    assert answers(scene) == [0]
    next_pull(scene)
    has_run(scene, bot, ann, model=2)
    ben.comments("/deploy --steps 10,50,100")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/deploy**", "100 %")
    assert answers(scene) == [2]
    assert scene.pull.look()["labels"] == ["Deployed-to-production"]
    ben.comments("/rollback production")
    assert bot.ends() == "rocket"
    bot.answer("✅ **/rollback**", "pull request 1) again")
    assert answers(scene) == [0]
    assert "Deployed-to-production" not in scene.pull.look()["labels"]


def test_a_broken_model_stays_at_0(scene, bot, ann, ben):
    deployed(scene, bot, ben, model=0)
    next_pull(scene)
    has_run(scene, bot, ann, model=2)
    scene.cluster.post("objects", uri="s3://mlpipeline/models/iris-2/model.joblib", text="not a model")
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("❌ **/deploy**", "back to the model before")
    assert answers(scene) == [0]
    seen = scene.pull.look()
    assert not seen["merged"] and seen["labels"] == [] and seen["deployments"][0]["states"][-1] == "failure"


def test_the_plan_shows_every_gate_and_changes_nothing(scene, bot, ann, ben):
    has_run(scene, bot, ann)
    ann.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("What `/deploy production` would do", "✅ | mergeable", "will be made", "0 % → 100 %")
    assert scene.cluster.mutations() == [] or not scene.cluster.service("ml-prod")


def test_no_run_no_deploy(scene, bot, ann, ben):
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.no_run`", "/build_run")


def test_a_locked_environment_is_waited_for(scene, bot, ann, ben):
    has_run(scene, bot, ann)
    ben.comments('/lock staging --reason "canary watch"')
    assert bot.ends() == "rocket"
    scene.github.post(f"repos/{scene.repo}/permissions", login="ann", role="maintain")
    waiting = ann.comments("/staging_deploy")
    bot.answer("number 1 in line", "canary watch", to=waiting)
    ben.comments("/unlock staging")
    assert bot.ends() == "rocket"
    assert bot.ends(to=waiting) == "rocket"


@pytest.mark.scene(cluster=KNATIVE, files=DEPLOYMENT,
                   config={"repositories": [{"match": "lab/*", "cluster": "main", "namespaces": ["team-a"]}]})
def test_a_namespace_that_the_operator_has_not_named(scene, bot, ann, ben):
    has_run(scene, bot, ann)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "ml-prod")
    assert scene.cluster.service("ml-prod") is None
