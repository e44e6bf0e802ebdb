"""What is deployed is the commit that was the head when the comment was written, proven, or it is refused with the line
to paste. Whatever is pushed around the comment, production stays as it is."""

import models
import pytest

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY, config={"poll": {"deliveries_interval": "1h"}})


def misses(scene, event="pull_request", action="synchronize", times=1):
    scene.github.fault("drop", on="webhook", event=event, action=action, times=times)


def refuses(scene, asked, code, *words):
    before = models.writes(scene)
    assert scene.bot.ends(to=asked) == "-1"
    scene.bot.answer(f"`{code}`", *words, to=asked, patience=3)
    assert models.writes(scene) == before and scene.cluster.service("ml-prod") is None


@pytest.mark.parametrize("heard", [True, False], ids=["heard", "missed"])
def test_a_backdated_commit(scene, bot, ann, ben, heard):
    """Its dates say that it was there before the comment; it was pushed after it, and that is what counts."""
    models.has_run(scene, ann, 1)
    old, payload = scene.pull.head, scene.comment_payload(ben, "/deploy")
    asked = scene.last_comment
    if not heard:
        misses(scene)
    head = ann.pushes({"notes.md": "Six neighbours.\n"}, backdated=3600)
    models.has_run(scene, ann, 2)  # a run of it does not help
    scene.webhooks_are_idle()
    scene.hook("issue_comment", payload)
    refuses(scene, asked, "deploy.head_moved", f"moved from `{old[:7]}` to `{head[:7]}`",
            f"`/deploy --sha {head}`")


def test_a_push_that_was_missed_is_not_deployed_unasked(scene, bot, ann, ben):
    """Pushed before the comment, as the person saw; but nothing proves it, so the line names it."""
    models.has_run(scene, ann, 1)
    misses(scene)
    head = ann.pushes({"notes.md": "Six neighbours.\n"})
    models.has_run(scene, ann, 2)
    refuses(scene, ben.comments("/deploy"), "deploy.head_moved", f"`/deploy --sha {head}`")
    ben.comments(f"/deploy --sha {head}")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [2] and f"commit `{head[:7]}`" in bot.answer("✅ **/deploy**")


def test_a_force_push_that_was_missed_is_recovered(scene, bot, ann, ben):
    misses(scene)
    head = ann.pushes({**models.KNATIVE_WAY["files"], "notes.md": "Six neighbours.\n"}, force=True)
    models.has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert bot.job_of()["head_sha"] == head and '"source":"pushes"' in bot.job_of()["data"]


def test_away_and_back_and_both_missed(scene, bot, ann, ben):
    """The head is what it was when the bot last heard of it, but it was another when the comment was written."""
    first = scene.pull.head
    models.has_run(scene, ann, 1)
    misses(scene, times=2)
    ann.pushes({"notes.md": "Six neighbours.\n"})
    asked = scene.comment_payload(ben, "/deploy")
    scene.github.post("time", advance=1)
    scene.github.post(f"{scene.pull.path}/reset", user="ann", sha=first)
    scene.hook("issue_comment", asked)
    refuses(scene, scene.last_comment, "deploy.sha_unproven", f"`/deploy --sha {first}`")


def test_a_late_event_is_waited_for(scene, bot, ann, ben):
    """The comment arrives before the event of the push that came before it."""
    scene.github.post("time", advance=2)
    models.has_run(scene, ann, 1)
    scene.github.fault("delay", on="webhook", event="pull_request", action="synchronize", seconds=1)
    scene.bot.configure(lambda config: config["poll"].update(service_first="300ms"))
    scene.restart_bot()
    head = ann.pushes({"notes.md": "Six neighbours.\n"})
    ben.comments("/plan")
    assert bot.ends() == "rocket"
    assert bot.job_of()["head_sha"] == head and '"source":"recorded"' in bot.job_of()["data"]


def test_an_older_commit_is_not_deployed(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    old = scene.pull.head
    head = ann.pushes({"notes.md": "Six neighbours.\n"})
    scene.webhooks_are_idle()
    refuses(scene, ben.comments(f"/deploy --sha {old[:10]}"), "deploy.head_moved", f"`/deploy --sha {head}`")


def test_reads_that_stay_behind(scene, bot, ann, ben):
    """GitHub told of a push and goes on to show the head of before."""
    models.has_run(scene, ann, 1)
    scene.github.post("time", advance=300)
    ann.pushes({"notes.md": "Six neighbours.\n"})
    models.has_run(scene, ann, 2)
    scene.github.fault("stale_read", "GET", r"/pulls/1$", times=-1, seconds=200)
    refuses(scene, ben.comments("/deploy"), "deploy.sha_unproven")
    scene.github.send("DELETE", "faults")
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [2]
