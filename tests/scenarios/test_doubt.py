"""What Kubeflow does not say clearly: nothing is made twice, nothing is forgotten."""

import contextlib
import sqlite3
import time

import pytest


def test_a_lost_answer_and_then_an_outage_make_one_run(scene, bot, ann):
    """The look for the run that may be there fails too: that is no reason to send another one."""
    scene.kubeflow.fault("lost_answer", "POST", r"/apis/v2beta1/runs$")
    scene.kubeflow.fault("status", "GET", r"/apis/v2beta1/runs/[0-9a-f-]+$", times=2, status=503)
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert len(scene.kubeflow.runs()) == 1


def test_a_lost_answer_and_then_a_refused_token_make_one_run(scene, bot, ann):
    scene.expects_log("event=credentials_refused")
    scene.kubeflow.fault("lost_answer", "POST", r"/apis/v2beta1/runs$")
    scene.kubeflow.fault("status", "GET", r"/apis/v2beta1/runs/[0-9a-f-]+$", times=2, status=401)
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert len(scene.kubeflow.runs()) == 1


@pytest.mark.parametrize("refusal", [dict(status=401), dict(status=403),
                                     dict(status=403, body="RBAC: access denied")],
                         ids=["the token", "the right", "a mesh"])
def test_a_run_outlives_what_is_refused_for_a_while(scene, bot, ann, refusal):
    scene.expects_log("event=credentials_refused")
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    scene.kubeflow.fault("status", "GET", r"/apis/v2beta1/runs/[0-9a-f-]+$", times=3, **refusal)
    bot.answer("[!WARNING]", str(refusal["status"]), refusal.get("body", ""), "I keep trying")
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"


def test_a_stop_that_was_put_off_is_asked_for_again(scene, bot, ann):
    scene.kubeflow.holds_runs()
    comment = ann.comments("/build_run")
    scene.wait_until(scene.kubeflow.runs, "the run to be made")
    bot.answer("▶️")
    scene.kubeflow.fault("status", "POST", r":terminate$", status=429)
    ann.comments("/cancel")
    assert bot.ends(to=comment) == "confused"
    assert scene.kubeflow.runs()[0]["phase"] == "Failed"
    assert len(scene.kubeflow.runs()) == 1


@pytest.fixture
def locked(scene):
    """Somebody else writes to the database and takes their time."""
    @contextlib.contextmanager
    def lock():
        other = sqlite3.connect(scene.bot.state_dir / "kfops.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()
    return lock


def test_what_cannot_be_stored_for_a_while_is_not_lost(scene, bot, ann, locked):
    """The writer gives up after five seconds; the run that was made meanwhile must be followed all the same."""
    scene.expects_log("store_waits|batch_failed|claim|report_unstored|wake_failed|meta_failed")
    scene.kubeflow.fault("delay", "POST", r"/apis/v2beta1/runs$", delay_ms=2000)
    ann.comments("/build_run")
    bot.answer("▶️")
    scene.wait_until(lambda: bot.rows("SELECT 1 FROM steps WHERE effect = 'kfp.create_run'"), "the intent")
    with locked():
        time.sleep(13)
    assert bot.ends(patience=30) == "rocket"
    assert len(scene.kubeflow.runs()) == 1


def test_folders_left_behind_are_removed_at_the_next_start(scene, bot, ann):
    left = bot.state_dir / "work" / "01ARZ3NDEKTSV4RRFFQ69G5FAV" / "src"
    left.mkdir(parents=True)
    (left / "big").write_text("x")
    scene.restart_bot()
    scene.wait_until(lambda: not left.parent.exists(), "the folder to go")
