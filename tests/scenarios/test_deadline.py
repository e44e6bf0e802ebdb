"""A deadline that passes while the cluster does not answer: traffic may be anywhere, so the job goes on until it is
back, however long that takes, and ends then."""

import models
import pytest

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY, config={"limits": {"patience": "1s"}})

SERVICES = {"path_regex": "/inferenceservices"}


def soon(scene, deadline: str = "5s") -> None:
    """Commands from now on have little time."""
    scene.bot.configure(lambda config: config["limits"].update(job_deadline=deadline))
    scene.restart_bot()


def is_past(bot) -> bool:
    """The only unfinished job has passed its deadline, and has been tried since."""
    return bool(bot.rows("SELECT id FROM jobs WHERE state = 3 AND tries >= 3 AND"
                         " deadline_at < CAST(strftime('%s', 'now') AS INTEGER) * 1000"))


@pytest.mark.parametrize("steps", ["", " --steps 10,50 --hold 5s"], ids=["while it loads", "with traffic"])
def test_a_cluster_that_is_silent_past_the_deadline(scene, bot, ann, ben, steps):
    models.deployed(scene)
    models.next_pull(scene, "Next")
    models.has_run(scene, ann, 1)
    soon(scene, "8s" if steps else "5s")
    if not steps:
        scene.cluster.post("timing", load="hold")
    asked = ben.comments("/deploy --no-merge" + steps)
    if steps:
        bot.answer("| traffic | 10 % |", to=asked)
    else:
        scene.wait_until(lambda: scene.cluster.get("held"), "the model to be loading")
    scene.cluster.post("faults", kind="status", status=503, times=-1, match=SERVICES)
    scene.wait_until(lambda: is_past(bot), "the deadline to pass while nothing answers", 60)
    assert len(bot.unfinished()) == 1
    bot.answer("[!WARNING]", "I keep trying", to=asked)
    scene.cluster.send("DELETE", "faults")
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
    bot.ends(to=asked, patience=60)
    bot.answer("`job.deadline`", "back to the model before", to=asked)
    assert bot.jobs()[-1]["state"] == 15 and models.answers(scene) == [0]
    assert models.shares(scene)[-1] in (0, 100)
    assert scene.pull.look()["deployments"][-1]["states"][-1] == "failure"
