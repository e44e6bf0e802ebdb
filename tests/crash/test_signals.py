"""Signals, a second process, and a job that ends the process each time it is worked on."""

import json
import signal
import sqlite3
import subprocess
import time

import pytest
import rounds

IN_TIME_S = 12.0
AT_ONCE_S = 2.0
SLOW_S = 60  # longer than any stop may take
STILL_S = 1.5
STILL_NIGHTLY_S = 61
LOCKED = 73
CRASHES_MAX = 3
BURIED_AFTER = 6
DEAD = 14


def hold_a_run(stage):
    """A command whose run goes on until it is told to end; its comment and the run."""
    scene = stage.scene
    scene.kubeflow.holds_runs()
    pull = stage.pull_for("/build_run")
    comment = scene.ann.comments("/build_run", on=pull)
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[-1]
    scene.wait_until(lambda: stage.bot.rows("SELECT 1 FROM jobs WHERE comment_id = ? AND state = 2",
                                            comment.id), "the job to be parked")
    return comment, run


def hang_on_github(stage, pull):
    """A command that hangs in a call to GitHub."""
    scene = stage.scene
    scene.github.fault("delay", "GET", rf"/pulls/{pull.number}$", seconds=SLOW_S)
    comment = scene.ann.comments("/build_run", on=pull)
    scene.wait_until(lambda: any(fault["kind"] == "delay" for fault in scene.github.get("faults")["taken"]),
                     "the call that hangs")
    return comment


def test_sigterm_with_work_in_hand_ends_in_time_and_goes_on_later(stage):
    scene, bot = stage.scene, stage.bot
    parked, run = hold_a_run(stage)
    hanging = hang_on_github(stage, stage.pull_for("/build_run"))
    log_from = bot.log_file.stat().st_size
    began = time.monotonic()
    assert bot.stop() == 0
    assert time.monotonic() - began < IN_TIME_S
    rounds.launch(bot)
    scene.kubeflow.ends(run["run_id"])
    stage.until_rest(parked, "the parked job")
    later = scene.wait_until(lambda: scene.kubeflow.runs()[1:], "the other run to be made")[0]
    scene.kubeflow.ends(later["run_id"])
    stage.until_rest(hanging, "the job that hung")
    for comment in (parked, hanging):
        assert comment.reactions() == ["rocket"]
        assert len(bot.comments(comment.pull)) == 1
    assert len(scene.kubeflow.runs()) == 2
    assert [line for line in stage.trouble(log_from) if "level=error" in line] == []
    assert [job["crashes"] for job in bot.rows("SELECT crashes FROM jobs")] == [0, 0]


def test_sigterm_with_nothing_to_do_ends_at_once(stage):
    stage.play("/build")
    began = time.monotonic()
    assert stage.bot.stop() == 0
    assert time.monotonic() - began < AT_ONCE_S
    assert "unclean" not in stage.bot.log_tail()


def test_a_second_sigterm_ends_at_once(stage):
    hanging = hang_on_github(stage, stage.pull_for("/build_run"))
    bot = stage.bot
    bot.process.send_signal(signal.SIGTERM)
    stage.scene.wait_until(lambda: "event=stopping" in bot.log_tail() or bot.process.poll() is not None,
                           "the stop to begin")
    began = time.monotonic()
    bot.process.send_signal(signal.SIGTERM)
    assert bot.process.wait(IN_TIME_S) == 0
    assert time.monotonic() - began < AT_ONCE_S
    rounds.launch(bot)
    stage.until_rest(hanging, "the job that hung")
    assert hanging.reactions() == ["rocket"]


def test_webhooks_during_a_stop_are_refused_and_recovered(stage):
    """Between SIGTERM and the end nothing is accepted that nobody will work on."""
    hanging = hang_on_github(stage, stage.pull_for("/build_run"))
    other = stage.pull_for("/build_run")
    stage.bot.process.send_signal(signal.SIGTERM)
    late = stage.scene.ann.comments("/build_run", on=other)
    stage.until_idle()
    stored = bool(stage.bot.rows("SELECT 1 FROM jobs WHERE comment_id = ?", late.id))
    answers = [item["status_code"] for item in stage.scene.github.get("deliveries", whole=1)["deliveries"]
               if item["event"] == "issue_comment" and
               item["request"]["payload"]["comment"]["id"] == late.id]
    assert len(answers) == 1 and (answers[0] == 202) <= stored
    assert stage.bot.process.wait(IN_TIME_S) == 0
    rounds.launch(stage.bot)
    for comment in (hanging, late):
        stage.until_rest(comment, "a job of before the stop")
        assert comment.reactions() == ["rocket"]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same file", "another port"])
def test_a_second_process_leaves_the_first_alone(stage, elsewhere, tmp_path):
    bot = stage.bot
    config_file = bot.config_file
    if elsewhere:
        config = json.loads(config_file.read_text())
        config["server"]["listen"] = f"127.0.0.1:{rounds.harness.free_port()}"
        config_file = tmp_path / "second.yaml"
        config_file.write_text(json.dumps(config))
    before = bot.rows("SELECT value FROM meta WHERE key = 'incarnation'")
    began = time.monotonic()
    second = subprocess.run([str(rounds.harness.daemon_path()), "--config", str(config_file)],
                            capture_output=True, text=True, timeout=IN_TIME_S, check=False)
    took = time.monotonic() - began
    assert second.returncode == LOCKED, second.stderr
    assert f"process {bot.process.pid}" in second.stderr
    assert took < AT_ONCE_S
    assert bot.is_ready() and bot.rows("SELECT value FROM meta WHERE key = 'incarnation'") == before
    end, _ = stage.play("/build_run")
    assert end["reactions"] == ["rocket"] and end["trouble"] == []


def test_a_job_that_crashes_the_process_three_times_is_dead_and_others_go_on(stage):
    scene, bot = stage.scene, stage.bot
    bad, good = stage.pull_for("/build_run"), stage.pull_for("/build_run")
    bot.stop(kill=True)
    poison = scene.ann.comments("/build_run", on=bad)
    for crash in range(CRASHES_MAX):
        rounds.launch(bot, KFOPS_CRASH_AT="kfp.before_write:1", **rounds.REAL_CRASH)
        assert bot.process.wait(rounds.PATIENCE_S) == rounds.CRASHED_BY_SIGNAL, f"start {crash}"
    log_from = bot.log_file.stat().st_size
    other = scene.ann.comments("/build_run", on=good)
    rounds.launch(bot)
    stage.until_rest(poison, "the poisonous job")
    stage.until_rest(other, "the other job")
    job = bot.rows("SELECT state, code, crashes FROM jobs WHERE comment_id = ?", poison.id)[0]
    assert (job["state"], job["code"]) == (DEAD, "job.poison")
    said = bot.comments(bad)
    assert len(said) == 1 and "crashed the bot three times" in said[0]["body"]
    assert poison.reactions() == ["-1"]
    assert other.reactions() == ["rocket"]
    errors = [line for line in stage.trouble(log_from) if "level=error" in line]
    assert len(errors) == 2 and "event=store.crashed signal=11" in errors[0] and "event=job_dead" in errors[1]


def test_a_job_that_ends_the_process_even_while_it_is_being_ended_is_buried(stage):
    """The last resort: its words come from the start itself, before any worker."""
    scene, bot = stage.scene, stage.bot
    bad, good = stage.pull_for("/build_run"), stage.pull_for("/build_run")
    bot.stop(kill=True)
    poison = scene.ann.comments("/build_run", on=bad)
    rounds.launch(bot, KFOPS_CRASH_AT="worker.before_effect:1")
    assert bot.process.wait(rounds.PATIENCE_S) == rounds.CRASHED
    with sqlite3.connect(bot.state_dir / "kfops.db") as database:  # as after a few more such starts
        database.execute("UPDATE jobs SET crashes = ? WHERE comment_id = ? AND lease IS NOT NULL",
                         (BURIED_AFTER, poison.id))
    rounds.launch(bot)
    other = scene.ann.comments("/build_run", on=good)
    stage.until_rest(poison, "the job that is buried")
    stage.until_rest(other, "the other job")
    assert bot.rows("SELECT state, code FROM jobs WHERE comment_id = ?", poison.id) == \
        [{"state": DEAD, "code": "job.crashed"}]
    said = bot.comments(bad)
    assert len(said) == 1 and "again and again" in said[0]["body"]
    assert other.reactions() == ["rocket"]


def test_jobs_in_hand_beside_a_poisonous_one_do_not_die_with_it(stage):
    """The crash notes whose it is, and what it is the third time works alone."""
    scene, bot = stage.scene, stage.bot
    bad, slow = stage.pull_for("/build_run"), stage.pull_for("/build_run")
    scene.github.fault("delay", "GET", rf"/pulls/{slow.number}$", times=-1, seconds=1.5)
    bot.stop(kill=True)
    innocent = scene.ann.comments("/run", on=slow)  # of no version: it never comes to the crash point
    poison = scene.ann.comments("/build_run", on=bad)
    starts = 0
    while not bot.rows("SELECT 1 FROM jobs WHERE comment_id = ? AND state = ?", poison.id, DEAD):
        starts += 1
        assert starts < 10
        if rounds.launch(bot, KFOPS_CRASH_AT="kfp.before_write:1", **rounds.REAL_CRASH):
            stage.until_rest(poison, f"start {starts}", may_crash=True)
    bot.stop(kill=True)
    scene.github.send("DELETE", "faults")
    rounds.launch(bot)
    stage.until_rest(innocent, "the job that was only near")
    assert [job["code"] for comment in (innocent, poison) for job in
            bot.rows("SELECT code FROM jobs WHERE comment_id = ?", comment.id)] == \
        ["run.no_version", "job.poison"]


def claimed_again_and_killed(stage, comment, step: str, end) -> None:
    """Lets the bot come to work on this step of the job, then ends it."""
    bot = stage.bot
    rounds.launch(bot)
    claimed = "SELECT 1 FROM jobs WHERE comment_id = ? AND step = ? AND lease IS NOT NULL"
    stage.scene.wait_until(lambda: bot.rows(claimed, comment.id, step), "the job to be claimed")
    end()


@pytest.mark.parametrize("how", ["kill", "signal"])
def test_a_long_job_survives_being_killed_again_and_again(stage, how):
    """kill -9, the kernel short of memory, and a signal from outside say nothing about the job in hand."""
    scene, bot = stage.scene, stage.bot
    pull = stage.pull_for("/build_run")
    bot.stop(kill=True)
    scene.github.fault("delay", "GET", rf"/pulls/{pull.number}$", times=-1, seconds=SLOW_S)
    comment = scene.ann.comments("/build_run", on=pull)
    for _ in range(2 * CRASHES_MAX):
        claimed_again_and_killed(stage, comment, "pin", lambda: (
            bot.process.send_signal(signal.SIGKILL if how == "kill" else signal.SIGSEGV),
            bot.process.wait(IN_TIME_S)))
    row = bot.rows("SELECT state, crashes, deaths FROM jobs WHERE comment_id = ?", comment.id)[0]
    assert (row["crashes"], row["deaths"]) == (0, 2 * CRASHES_MAX - 1), "the last start has not counted yet"
    scene.github.send("DELETE", "faults")
    rounds.launch(bot)
    stage.until_rest(comment, "the long job")
    assert comment.reactions() == ["rocket"]
    assert len(scene.kubeflow.runs()) == 1


def test_a_process_that_stood_still_goes_on_and_does_nothing_twice(stage, nightly):
    """SIGSTOP in mid-call, then SIGCONT; at night for longer than a commit counts."""
    scene, bot = stage.scene, stage.bot
    pull = stage.pull_for("/build_run")
    scene.github.fault("delay", "GET", rf"/pulls/{pull.number}$", seconds=1)
    comment = scene.ann.comments("/build_run", on=pull)
    scene.wait_until(lambda: any(fault["kind"] == "delay" for fault in scene.github.get("faults")["taken"]),
                     "the call that takes its time")
    bot.process.send_signal(signal.SIGSTOP)
    time.sleep(STILL_NIGHTLY_S if nightly else STILL_S)  # this is the fault itself
    bot.process.send_signal(signal.SIGCONT)
    stage.until_rest(comment, "the job of the process that stood still")
    assert comment.reactions() == ["rocket"]
    assert len(bot.comments(pull)) == 1 and len(scene.kubeflow.runs()) == 1
