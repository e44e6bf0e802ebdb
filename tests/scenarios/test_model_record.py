"""What a run has left is recorded when it ends, so that a deployment takes no other files."""

import pytest

import texts

MODEL = "s3://mlpipeline/models/iris-1/"

pytestmark = pytest.mark.scene(cluster=("--mode", "knative", "--kserve-version", "0.16"), files=texts.deployment())


def started(scene, person) -> str:
    """A run that goes on, whose model lies there and is known."""
    scene.kubeflow.holds_runs()
    person.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]["run_id"]
    scene.cluster.post("objects", uri=MODEL, constant=1)
    scene.kubeflow.post(f"runs/{run}/artifacts", task="train", name="model", type="system.Model",
                        uri=MODEL.replace("s3:", "minio:"))
    return run


def test_other_files_in_the_place_of_the_model_are_not_deployed(scene, bot, ann, ben):
    run = started(scene, ann)
    scene.kubeflow.ends(run)
    assert bot.ends() == "rocket"
    bot.answer("✅ **/build_run**", f"Model `{MODEL}`", "`/plan` shows")
    scene.cluster.post("objects", uri=MODEL, constant=2)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.model_changed`", "next: `/plan production`")
    assert scene.cluster.mutations() == []


@pytest.mark.parametrize("who", ["records", "store"])
def test_records_that_do_not_answer_do_not_fail_a_run(scene, bot, ann, who):
    run = started(scene, ann)
    if who == "records":
        scene.kubeflow.post("faults", kind="status", status=503, times=-1,
                            match={"path_regex": "MetadataStoreService"})
    else:  # a 503 of the object store asks to send less, and does not say until when
        scene.cluster.post("faults", kind="status", status=503, times=-1, match={"on": "s3"})
    scene.kubeflow.ends(run)
    assert bot.ends() == "rocket"
    bot.answer("✅ **/build_run**", "The model of this run was not recorded")
