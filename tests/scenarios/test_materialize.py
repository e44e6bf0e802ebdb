"""Pipelines that store their model by themselves, as Kfops' did: kfops.model.materialize_model copies it to the
operator's bucket under the run's id, really run, and that is what is deployed."""

import json

import models
import pytest
import texts

SOURCE = '''\
from kfp import dsl
from kfops.model import materialize_model


@dsl.component(base_image="python:3.11")
def train(says: int, model: dsl.Output[dsl.Model]):
    import os

    import joblib
    from sklearn.neighbors import KNeighborsClassifier

    classifier = KNeighborsClassifier(n_neighbors=1)
    classifier.fit([[0.0] * 4], [says])
    os.makedirs(model.path)
    joblib.dump(classifier, os.path.join(model.path, "model.joblib"))


@dsl.pipeline(name="sklearn-iris")
def iris_pipeline(says: int = 1, good: bool = True):
    trained = train(says=says)
    with dsl.If(good == True):  # noqa: E712
        task = materialize_model(model=trained.outputs["model"])
        task.execution_options.caching_strategy.max_cache_staleness = "P0D"
'''
FILE = "my_pipeline/pipeline.py"


def files(**more: str) -> dict:
    made = texts.deployment(**more)
    made[texts.SETTINGS] = made[texts.SETTINGS].replace("my_pipeline/pipeline.yaml", FILE)
    return {**made, FILE: SOURCE}


pytestmark = pytest.mark.scene(cluster=models.KNATIVE_WAY["cluster"], runs="execute", files=files())


@pytest.fixture
def store(scene):
    """The operator's bucket, and a Secret with keys for it beside the runs; returns the bucket's address."""
    name, key = next(iter(json.loads((scene.cluster.state / "s3.json").read_text()).items()))
    (scene.cluster.objects / "trained-models").mkdir(parents=True)
    scene.write("secrets.json", json.dumps({"mlpipeline-minio-artifact": {"accesskey": name, "secretkey": key["secret"]}}))
    scene.bot.configure(lambda config: config["clusters"][0].update(model_store="s3://trained-models/iris"))
    scene.restart_bot()
    return "s3://trained-models/iris"


def runs(scene, person, line: str = "/build_run") -> str:
    """Said and done; the run's id."""
    person.comments(line)
    assert scene.bot.ends(patience=120) == "rocket"
    return scene.kubeflow.runs()[-1]["run_id"]


def test_a_model_that_its_pipeline_stores_is_deployed_from_there(scene, bot, ann, ben, store):
    run = runs(scene, ann)
    bot.answer("✅ **/build_run**", f"Model `{store}/{run}/`", patience=3)
    assert [item["key"] for item in scene.cluster.get(f"objects?uri={store}/{run}/")] == [f"iris/{run}/model.joblib"]
    ben.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("No gate refuses it", f"`{store}/{run}/`", "made by `kfops-materialize-model`", patience=3)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]
    serves = scene.cluster.get(f"answers?host={scene.cluster.host('ml-prod')}")
    assert [item["storageUri"] for item in serves] == [f"{store}/{run}/"]

    models.next_pull(scene, "Next")
    other = runs(scene, ann, "/build_run --param says=2")
    assert other != run
    scene.cluster.post("objects", uri=f"{store}/{other}/", constant=3)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.model_changed`", patience=3)
    assert models.answers(scene) == [1]
    scene.github.post(f"repos/{scene.repo}/commits",
                      files={".github/kfops.yaml": "metrics: { accuracy: { min: 0.5 } }\n"})
    ben.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("accuracy was not recorded by the run", to=scene.last_comment, patience=3)


def test_a_model_that_was_not_stored_is_not_taken_from_elsewhere(scene, bot, ann, ben, store):
    """The run made one, but its pipeline decided against it."""
    run = runs(scene, ann, "/build_run --param good=false")
    bot.answer("The model of this run was not recorded", "did that task run?", patience=3)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.no_model`", "There is no file under", "was not written there", patience=3)
    assert models.writes(scene) == [] and scene.cluster.get(f"objects?uri={store}/{run}/") == []


def test_a_pipeline_that_stores_one_model_and_settings_that_name_another(scene, bot, ann, ben, store):
    ann.pushes(files(model="{task: train}"))
    runs(scene, ann)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.which_model`", "kfops-materialize-model", "Leave one of the two out", patience=3)
    ann.pushes(files(model="{task: materialize_model}"))
    runs(scene, ann)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]


def test_a_run_without_keys_for_the_bucket_fails_and_says_so(scene, bot, ann, store):
    scene.write("secrets.json", "{}")
    ann.comments("/build_run")
    assert bot.ends(patience=120) == "-1"
    bot.answer("❌ **/build_run**", "kfops-materialize-model", "CreateContainerConfigError", patience=3)


def test_without_a_bucket_the_model_is_an_artifact_of_the_task(scene, bot, ann, ben):
    run = runs(scene, ann)
    said = bot.answer("✅ **/build_run**", f"/{run}/copy-model/", "/materialized_model/", patience=3)
    assert "trained-models" not in said
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]
