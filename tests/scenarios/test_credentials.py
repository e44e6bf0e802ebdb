"""Keys and tokens that are refused: the operator hears of it once, commands wait, and go on with the new file."""

import json

import harness
import models
import pytest

REFUSED = "event=credentials_refused"
PATIENT = {"limits": {"patience": "1s"}}


def alarms(bot) -> list[dict]:
    return [line for line in bot.log_lines() if line.get("event") == "credentials_refused"]


def tries(bot) -> int:
    return max((row["tries"] for row in bot.rows("SELECT tries FROM jobs WHERE state = 3")), default=0)


def revoke_app_key(scene) -> str:
    """The App's key is deleted at GitHub and another one is made; the new one, which the bot does not have."""
    key = harness.make_key.__wrapped__().decode()
    scene.github.post("tokens", app_key=key, revoke_installations=True, fresh_lag_s=0)
    return key


@pytest.mark.scene(config=PATIENT)
def test_an_app_key_that_is_revoked_is_waited_out(scene, bot, ann):
    scene.expects_log(REFUSED)
    scene.expects_log("event=github_clock_differs")
    key = revoke_app_key(scene)
    comment = ann.comments("/build_run")
    scene.wait_until(lambda: tries(bot) >= 2, "the job to be tried again, longer than patience lasts")
    assert bot.metrics()["kfops_ready"] == 0  # whether or not anybody asks /readyz
    status, why = bot.get("/readyz")
    assert status == 503 and "credentials" in why
    scene.wait_until(lambda: bot.metrics()["kfops_outbox_waiting"], "the eyes that cannot be sent to be counted")
    assert bot.metrics()["kfops_outbox_oldest_seconds"] < 600
    assert len(alarms(bot)) == 1 and alarms(bot)[0]["by"] == "GitHub"
    trouble = bot.rows("SELECT json_extract(data, '$.trouble.message') AS said FROM jobs")
    assert "GitHub" in trouble[0]["said"]
    scene.write("app.pem", key)
    assert bot.ends(to=comment) == "rocket"
    assert bot.is_ready() and len(alarms(bot)) == 1
    assert len(scene.kubeflow.runs()) == 1


@pytest.mark.scene(mode="token", config=PATIENT)
def test_a_token_that_is_revoked_is_waited_out(scene, bot, ann):
    scene.expects_log(REFUSED)
    old, new = (scene.folder / "token").read_text().strip(), "ghp_" + "m" * 36
    scene.github.post("tokens", revoke=old)
    ann.comments("/build_run")
    scene.wait_until(lambda: tries(bot) >= 2, "the job to be tried again")
    assert not bot.is_ready() and len(alarms(bot)) == 1
    scene.github.post("tokens", user="kfops-bot", token=new)
    path = scene.folder / "token"
    path.chmod(0o644)
    path.write_text(new + "\n")  # and is told to make it his own
    scene.expects_log("event=github_token_unreadable")
    scene.wait_until(lambda: "event=github_token_unreadable" in bot.log_tail(400), "the bot to say what to do")
    path.chmod(0o600)
    assert bot.ends() == "rocket"
    assert bot.is_ready()


@pytest.mark.scene(config=PATIENT)
def test_kubeflow_refuses_for_longer_than_patience(scene, bot, ann):
    """The pull request shows it, and a command that is worth its time waits; the bot itself stays ready."""
    scene.expects_log(REFUSED)
    scene.kubeflow.fault("status", "POST", r"/apis/v2beta1/runs$", times=-1, status=401)
    ann.comments("/build_run")
    scene.wait_until(lambda: tries(bot) >= 3, "the run to be asked for again and again")
    bot.answer("[!WARNING]", "I keep trying")
    assert bot.is_ready() and [line["by"] for line in alarms(bot)] == ["main"]
    scene.kubeflow.send("DELETE", "faults")
    assert bot.ends(patience=60) == "rocket"
    assert len(scene.kubeflow.runs()) == 1


def test_a_job_that_waits_for_a_key_can_be_stopped(scene, bot, ann):
    scene.expects_log(REFUSED)
    scene.kubeflow.fault("status", "POST", r"/apis/v2beta1/runs$", times=-1, status=401)
    waits = ann.comments("/build_run")
    scene.wait_until(lambda: tries(bot) >= 1, "the run to be refused")
    ann.comments("/cancel")
    assert bot.ends(to=waits) == "confused"
    assert scene.kubeflow.runs() == []


@pytest.mark.scene(config={"limits": {"job_deadline": "3s"}})
def test_the_deadline_of_a_job_ends_its_waiting(scene, bot, ann):
    scene.expects_log(REFUSED)
    scene.kubeflow.fault("status", "GET", r"/pipelines", times=-1, status=401)
    ann.comments("/build")
    assert bot.ends() in ("-1", "confused")
    assert bot.jobs()[0]["state"] in (11, 15)


@pytest.mark.scene(**models.KNATIVE_WAY, config=PATIENT)
def test_keys_of_the_object_store_that_are_replaced_are_waited_out(scene, bot, ann, ben):
    scene.expects_log(REFUSED)
    models.has_run(scene, ann, 1)
    store = scene.cluster.state / "s3.json"
    old = next(iter(json.loads(store.read_text()).values()))["secret"]
    store.write_text(store.read_text().replace(old, "renewed" + old))
    comment = ben.comments("/staging_deploy")
    scene.wait_until(lambda: tries(bot) >= 2, "the job to be tried again, longer than patience lasts")
    assert [alarm["by"] for alarm in alarms(bot)] == ["object store of main"]
    assert bot.is_ready() and "renewed" not in bot.log_tail(400)
    scene.write("s3-secret", "renewed" + old)
    assert bot.ends(to=comment) == "rocket"
    assert len(alarms(bot)) == 1
    assert models.answers(scene, "ml-staging") == [1]
    scene.expects_violation("SignatureDoesNotMatch")


@pytest.mark.scene(mode="token", config={
    "repositories": [{"match": f"lab/{name}", "cluster": "main"} for name in ("iris", "second", "third")],
    "poll": {"comments_interval": "1h", "deliveries_interval": "1h"}})
def test_a_new_token_makes_ready_though_nothing_waits(scene, bot):
    """The look at comments, once an hour and a second for each repository, has met the refusal; no command and no
    comment is there to try the new token."""
    scene.expects_log(REFUSED)
    scene.github.fault("status", "GET", r"/lab/third/issues/comments", times=-1, status=401)
    scene.wait_until(lambda: alarms(bot), "the comments to be refused")
    assert not bot.is_ready()
    scene.github.send("DELETE", "faults")
    scene.write("token", (scene.folder / "token").read_text())
    scene.wait_until(bot.is_ready, "the new token to be tried")


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_the_operators_keys_are_not_shown(scene, bot, ann):
    """A task that has the same keys writes them into its log."""
    secret = (scene.folder / "s3-secret").read_text().strip()
    scene.kubeflow.fails_runs("train", "boom", f"first\nthe pod said {secret} aloud\n")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    said = bot.answer("`run.failed`", "the pod said")
    assert secret not in said and "the pod said [redacted] aloud" in said
    assert secret not in json.dumps(bot.check("kfops/run", conclusion="failure"))
