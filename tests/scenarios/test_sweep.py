"""The look at every waiting run: it sees what neither the feed nor the look at one run would."""

import pytest

import texts

NO_LOOKS = {"run_until": "0s", "finished_interval": "1h"}  # neither single looks nor the feed


def park(scene, bot, count: int) -> list[str]:
    """Waits until that many jobs wait for their runs; the runs' ids."""
    def parked():
        return [job for job in bot.jobs() if job["state"] == 2]
    scene.wait_until(lambda: len(parked()) == count, f"{count} jobs to be parked")
    return [workflow["run_id"] for workflow in scene.kubeflow.runs()]


@pytest.mark.scene(config={"poll": {**NO_LOOKS, "sweep_interval": "400ms"}})
def test_a_run_that_somebody_deleted(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    scene.kubeflow.api("DELETE", f"runs/{park(scene, bot, 1)[0]}")
    assert bot.ends() == "-1"
    bot.says("deleted")


@pytest.mark.scene(config={"poll": {**NO_LOOKS, "sweep_interval": "400ms"},
                           "repositories": [{"match": "lab/*", "cluster": "main", "namespaces": ["team-a", "team-b"]}]},
                   kubeflow=("--multi-user", "--namespaces", "team-a,team-b"))
def test_runs_in_two_namespaces_pass_after_pass(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    park(scene, bot, 1)
    other = ann.opens("Another team", "another", texts.settings(namespace="team-b"))
    second = ann.comments("/build_run", on=other)
    runs = park(scene, bot, 2)
    assert {workflow["namespace"] for workflow in scene.kubeflow.runs()} == {"team-a", "team-b"}
    for run in runs:
        scene.kubeflow.ends(run)
    assert bot.ends(second) == "rocket"
    scene.wait_until(lambda: not bot.unfinished(), "both jobs to end")


@pytest.mark.scene(config={"poll": {**NO_LOOKS, "sweep_interval": "400ms"}})
def test_kubeflow_is_away_for_a_pass(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = park(scene, bot, 1)[0]
    scene.kubeflow.fault("status", times=2, path=r"/runs\?", status=503)
    scene.kubeflow.ends(run)
    assert bot.ends() == "rocket"


FEED_ONLY = {"run_until": "0s", "finished_interval": "200ms", "service_first": "50ms", "deliveries_interval": "1h"}


@pytest.mark.scene(config={"poll": FEED_ONLY,
                           "repositories": [{"match": "lab/*", "cluster": "main", "namespaces": ["team-a", "team-b"]}]},
                   kubeflow=("--multi-user", "--namespaces", "team-a,team-b"))
def test_a_namespace_that_cannot_be_listed_does_not_hide_the_others(scene, bot, ann, ben):
    """A job that waited for its commit was in none yet, and a multi-user Kubeflow has no list without a name; and a
    right may be taken back."""
    scene.github.fault("drop", on="webhook", event="pull_request", action="synchronize")
    ann.pushes({"notes.md": "Six neighbours.\n"})
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.head_moved`")
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    one = park(scene, bot, 1)[0]
    scene.kubeflow.fault("status", times=-1, path=r"/runs\?namespace=team-a", status=403)
    second = ann.comments("/build_run", on=ann.opens("Another team", "another", texts.settings(namespace="team-b")))
    two = next(run for run in park(scene, bot, 2) if run != one)
    scene.kubeflow.ends(two)
    assert bot.ends(second) == "rocket"
    scene.kubeflow.send("DELETE", "faults")
    scene.kubeflow.ends(one)
    assert bot.ends(first) == "rocket"
    assert not any('event=feed_failed namespace=""' in line["text"] for line in bot.log_lines())
