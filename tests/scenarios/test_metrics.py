"""Thresholds of the policy: what a run recorded, against what was recorded of the model that serves."""

import models
import pytest

PATH = ".github/kfops.yaml"
HEAD = ("environments: { production: { deploy: { permission: write }, require: [] } }\n"
        "metrics: { accuracy: { min: 0.9, max_drop: 0.01 } }\n")

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY)


def measures(scene, name, *metrics: dict) -> None:
    """A successful run of the pull request's head, with a model and what its tasks have measured."""
    run = models.starts_run(scene, scene.ann)
    models.make(scene, name, name)
    models.leaves(scene, run, name)
    for number, metadata in enumerate(metrics):
        scene.kubeflow.post(f"runs/{run['run_id']}/artifacts", task="train", name=f"metrics-{number}",
                            type="system.Metrics", uri="", metadata=metadata)
    scene.kubeflow.ends(run["run_id"])
    assert scene.bot.ends() == "rocket"


def refused(scene, code: str, *words: str) -> None:
    asked = scene.ann.comments("/deploy")
    assert scene.bot.ends(to=asked) == "-1"
    scene.bot.answer(f"`{code}`", *words, to=asked)


def test_a_model_must_not_be_worse_than_what_serves(scene, bot, ann):
    scene.github.post(f"repos/{scene.repo}/commits", files={PATH: HEAD})
    measures(scene, 0, {"f1": 0.99})
    refused(scene, "deploy.metric_missing", "accuracy was not recorded by the run")
    measures(scene, 0, {"accuracy": 0.95}, {"accuracy": 0.97})
    refused(scene, "deploy.which_metric", "recorded 2 times", "train/accuracy")
    measures(scene, 0, {"accuracy": 0.95, "f1": 0.9})
    ann.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("accuracy 0.95", "min 0.9, nothing is in production yet", to=scene.last_comment)
    ann.comments("/deploy")
    assert bot.ends() == "rocket"
    models.next_pull(scene, "Second")
    measures(scene, 1, {"accuracy": 0.93})
    refused(scene, "deploy.metrics", "accuracy 0.93 is 0.02 below the 0.95 of production, and 0.01 is allowed")
    measures(scene, 1, {"accuracy": 0.945})
    ann.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]
    scene.ben.comments("/rollback production", on=scene.pull)
    assert bot.ends() == "rocket"
    models.next_pull(scene, "Third")
    measures(scene, 1, {"accuracy": 0.939})  # against 0.95 again
    refused(scene, "deploy.metrics", "0.011 below the 0.95")
    scene.github.post(f"repos/{scene.repo}/commits", files={PATH: HEAD.replace("accuracy:", "f1:")})
    measures(scene, 1, {"f1": 0.939})
    ann.comments("/deploy")
    assert bot.ends() == "rocket"
