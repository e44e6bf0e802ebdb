"""People who may not, and words that are put into others' mouths: rows 19 to 36 of the list in tests/attacks.toml that
are played here; deploying strangers and locks too."""

import models
import pytest
from attack_kit import Door


@pytest.mark.scene(config={"report": {"denial_pause": "1h"}})
def test_19_20_a_reader_on_a_branch_of_this_repository(scene, bot, ann, eve):
    """It is the commenter's right that counts, not where the branch lies; who asks again and again is answered once,
    and sees by the reaction that it was heard. Strangers on public repositories: test_strangers.py."""
    for line in ("/run", "/deploy", "/deploy production --force 'x'", "/build_run", "/rollback production",
                 "/lock production", "/unlock production --force"):
        eve.comments(line)
        assert bot.ends() == "-1", line
    refused = [job for job in bot.jobs() if job["code"] == "denied.permission"]
    assert len(refused) == len(bot.jobs()) == 7
    assert len([item for item in bot.comments() if "`denied.permission`" in item["body"]]) == 1
    assert scene.kubeflow.runs() == [] and scene.kubeflow.get("state")["pipelines"] == 0
    other = ann.opens("Other", "other", {"other.md": "x\n"})
    eve.comments("/run", on=other)
    assert bot.ends() == "-1"
    bot.answer("`denied.permission`")  # on another pull request it is said again


def test_26_its_own_words_are_no_commands(scene, bot, ann):
    """The log of a job prints a command, and the bot posts the log."""
    scene.kubeflow.fails_runs("train", "/deploy production", "/deploy production\n/build_run\n" * 5)
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`run.failed`")
    scene.webhooks_are_idle()
    assert len(bot.jobs()) == 1
    payload = scene.comment_payload(ann, "/build_run")
    payload["comment"]["performed_via_github_app"] = {"id": 4711, "slug": "kfops"}
    assert Door(scene).send(payload) == 202
    assert len(bot.jobs()) == 1


def test_27_edited_by_somebody_else(scene, bot, ann, ben):
    door, payload = Door(scene), scene.comment_payload(ann, "/build_run")
    payload["action"], payload["changes"] = "edited", {"body": {"from": "Looks good"}}
    payload["sender"] = {**payload["sender"], "login": "ben", "id": 99}
    assert door.send(payload) == 202
    payload["action"] = "created"  # and as if it had been made so
    assert door.send(payload) == 202
    assert bot.jobs() == []


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_28_states_of_a_pull_request(scene, bot, ann, ben):
    """Issues are none; drafts are not deployed; on closed and merged ones only what changes nothing, or takes back."""
    issue = scene.github.post("repos/lab/iris/issues", title="A question", user="ann")
    for line in ("/deploy", "/status"):
        scene.github.post(f"repos/lab/iris/pulls/{issue['number']}/comments", user="ben", body=line)
    scene.webhooks_are_idle()
    assert bot.jobs() == []
    models.deployed(scene, 0)
    merged = scene.pull
    for line, code in (("/deploy", "pull.closed"), ("/build", "pull.closed"), ("/staging_deploy", "pull.closed")):
        ben.comments(line, on=merged)
        bot.answer(f"`{code}`")
    models.next_pull(scene, "Next")
    scene.github.post(f"{scene.pull.path}/edit", user="ann", draft=True)
    models.has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.draft`")
    for line in ("/status", "/lock production", "/unlock production"):
        ben.comments(line, on=merged)
        assert bot.ends() == "rocket", line
    assert models.answers(scene) == [0]


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_29_a_stranger_unlocks(scene, bot, ann, ben):
    ben.comments('/lock production --reason "canary watch"')
    assert bot.ends() == "rocket"
    for line in ("/unlock production", "/unlock production --force"):
        asked = ann.comments(line)
        assert bot.ends() == "-1"
        bot.answer("`denied.permission`", "`production` was locked by ", "ben on ", to=asked)
    ann.comments("/status")
    assert bot.ends() == "rocket"
    bot.answer("locked by ben", "canary watch")
    kim = scene.person("kim")
    kim.is_given("maintain")
    kim.comments("/unlock production")
    assert bot.ends() == "-1"
    bot.answer("`lock.not_yours`", "ben")


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_39_a_push_while_it_waits_in_line(scene, bot, ann, ben):
    """A deployment that stands in line is not that of the new commit; what is built in line says what it took."""
    models.has_run(scene, ann, 1)
    old = scene.pull.head
    ben.comments("/lock production")
    assert bot.ends() == "rocket"
    kim = scene.person("kim")
    kim.is_given("maintain")
    waiting = kim.comments("/deploy")
    bot.answer("number 1 in line", to=waiting)
    head = ann.pushes({"notes.md": "Six neighbours.\n"})
    scene.webhooks_are_idle()
    ben.comments("/unlock production")
    assert bot.ends(to=waiting) == "-1"
    bot.answer("`deploy.head_moved`", f"`/deploy --sha {head}`", to=waiting)
    assert scene.cluster.service("ml-prod") is None
    assert {job["head_sha"] for job in bot.jobs() if job["comment_id"] == waiting.id} == {old}
