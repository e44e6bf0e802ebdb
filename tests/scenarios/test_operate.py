"""The operator's side: starting, refusing to start, asking, stopping, changing secrets."""

import json
import sqlite3
import subprocess

import pytest

import harness


def kfopsd(scene, *args: str, config: bool = True) -> subprocess.CompletedProcess:
    command = [str(harness.daemon_path()), *args, *(["--config", str(scene.bot.config_file)] if config else [])]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_stop_in_mid_job_and_a_start_go_on_where_it_was(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    bot.answer("▶️")
    assert bot.stop() == 0
    scene.kubeflow.ends(run["run_id"])
    bot.start()
    assert bot.ends() == "rocket"
    assert len(scene.kubeflow.runs()) == 1 and len(bot.comments()) == 1
    assert bot.log_lines()[-1].get("level") in ("info", "debug")


def as_left_by_another_version(bot, **columns) -> None:
    """The row of the one job, as a version with other commands or steps would have left it."""
    assert bot.stop() == 0
    with sqlite3.connect(bot.state_dir / "kfops.db") as database:
        for column, value in columns.items():
            database.execute(f"UPDATE jobs SET {column} = ?", (value,))
    bot.start()


@pytest.mark.parametrize("column", ["step", "command"])
def test_a_job_at_a_step_that_this_version_does_not_know_ends_visibly(scene, bot, ann, column):
    scene.expects_log("event=unknown_step")
    scene.kubeflow.holds_runs()
    comment = ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    scene.wait_until(lambda: bot.rows("SELECT 1 FROM jobs WHERE state = 2"), "the job to be parked")
    as_left_by_another_version(bot, **{column: "smelt"})
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=comment) == "-1"
    said = bot.answer("`job.unknown_step`", to=comment)
    assert "`/retry` does the command again" in said
    assert bot.rows("SELECT step FROM jobs") == [{"step": "smelt" if column == "step" else "follow"}]


def test_a_job_that_another_version_ended_can_be_retried(scene, bot, ann):
    scene.expects_log("event=unknown_step")
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    scene.wait_until(lambda: bot.rows("SELECT 1 FROM jobs WHERE state = 2"), "the job to be parked")
    as_left_by_another_version(bot, step="smelt")
    scene.kubeflow.holds_runs(False)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "-1"
    ann.comments("/retry")
    assert bot.ends() == "rocket"
    assert len(scene.kubeflow.runs()) == 2


def test_the_webhook_secret_is_changed_without_a_gap(scene, bot, ann):
    old, new = scene.webhook_secret, "the-next-secret-of-this-hook"
    scene.write("webhook-secret", new + "\n")
    previous = scene.write("webhook-secret-before", old + "\n")
    bot.configure(lambda config: config["server"].update(webhook_secret_previous_file=str(previous)))
    bot.restart()
    ann.comments("/build")  # signed with the old one
    assert bot.ends() == "rocket"
    scene.github.post("hook", secret=new)
    ann.comments("/run")
    assert bot.ends() == "rocket"
    bot.configure(lambda config: config["server"].pop("webhook_secret_previous_file"))
    bot.restart()
    assert scene.hook("ping", {"zen": "x", "hook_id": 1})["status"] == 200
    scene.expects_log("event=receive.unauthorized")
    scene.github.post("hook", secret=old)
    assert scene.hook("ping", {"zen": "x", "hook_id": 1})["status"] == 401
    scene.github.post("hook", secret=new)
    scene.webhook_secret = new


@pytest.mark.scene(start=False)
@pytest.mark.parametrize("secret", ["", "  \n", None], ids=["empty", "blank", "no file"])
def test_no_secret_no_start(scene, secret):
    path = scene.write("webhook-secret", secret or "")
    if secret is None:
        path.unlink()
    done = kfopsd(scene)
    assert done.returncode == 78 and "webhook_secret_file" in done.stderr


@pytest.mark.scene(start=False)
def test_a_secret_that_others_may_read_is_refused(scene):
    (scene.folder / "webhook-secret").chmod(0o644)
    done = kfopsd(scene)
    assert done.returncode == 78 and "webhook_secret_file" in done.stderr
    assert scene.webhook_secret not in done.stderr + done.stdout


@pytest.mark.scene(start=False)
def test_mistakes_in_the_operators_file_are_all_told_with_their_place(scene):
    scene.bot.config_file.write_text("server:\n  lisen: 127.0.0.1:80\n  listen: [x]\ngithub: 5\nclusters:\n"
                                     "- name: main\n  kfp_url: ftp://x\nrepositories: []\n")
    done = kfopsd(scene, "--check-config")
    assert done.returncode == 78
    text = done.stdout + done.stderr
    for place in ("2:3", "3:11", "4:1", "7:"):
        assert place in text, text
    assert '"lisen"' in text and "listen" in text


@pytest.mark.scene(start=True)
def test_what_the_operator_can_ask(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    shown = kfopsd(scene, "--print-config")
    assert shown.returncode == 0 and "webhook_path" in shown.stdout and scene.webhook_secret not in shown.stdout
    checked = kfopsd(scene, "--check-config")
    assert checked.returncode == 0 and "ok   GitHub knows us" in checked.stdout, checked.stdout + checked.stderr
    assert "ok   compile memory: held " in checked.stdout
    held = next(line for line in bot.log_lines() if line.get("event") == "compile_memory")
    assert held["held_by"] == "cgroup" or (held["held_by"] == "watching" and held["message"])
    jobs = kfopsd(scene, "--jobs")
    assert jobs.returncode == 0 and "build" in jobs.stdout and "lab/iris" in jobs.stdout and "done" in jobs.stdout
    assert kfopsd(scene, "--version", config=False).stdout.startswith("kfopsd ")
    assert "--check-config" in kfopsd(scene, "--help", config=False).stdout
    assert kfopsd(scene, "--frobnicate", config=False).returncode == 64
    second = kfopsd(scene)
    assert second.returncode == 73 and str(bot.process.pid) in second.stderr
    for version, code in ((9, "older"), (999, "newer")):  # than this program
        with sqlite3.connect(bot.state_dir / "kfops.db") as database:
            known = database.execute("PRAGMA user_version").fetchone()[0]
            database.execute(f"PRAGMA user_version = {version}")
        jobs = kfopsd(scene, "--jobs")
        with sqlite3.connect(bot.state_dir / "kfops.db") as database:
            database.execute(f"PRAGMA user_version = {known}")
        assert jobs.returncode == 78 and code in jobs.stderr, jobs.stderr


@pytest.mark.scene(start=False, kubeflow=("--multi-user", "--namespaces", "team-a"))
def test_a_multi_user_server_without_namespaces_is_told_to_the_operator(scene):
    done = kfopsd(scene, "--check-config")
    assert done.returncode == 78 and "FAIL Kubeflow Pipelines of cluster main: " in done.stdout
    assert "entry lab/* of repositories has no namespaces" in done.stdout
    scene.bot.configure(lambda config: config["repositories"][0].update(namespaces=["team-a"]))
    done = kfopsd(scene, "--check-config")
    assert done.returncode == 0 and "ok   Kubeflow Pipelines of cluster main" in done.stdout
    assert "repositories[0].namespaces: [team-a]  # " in kfopsd(scene, "--print-config").stdout


def test_health_readiness_and_metrics(scene, bot, ann):
    assert bot.get("/healthz")[0] == 200 and bot.get("/readyz")[0] == 200
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ann.comments("/biuld")
    bot.reacts("confused")
    metrics = bot.metrics()
    assert metrics['kfops_deliveries_total{outcome="stored"}'] >= 2
    assert metrics['kfops_commands_total{command="build"}'] == 1
    text = bot.get("/metrics")[1]
    for secretive in ("lab", "iris", "ann", "Sklearn"):
        assert secretive not in text
    for path, status in (("/", 404), ("/metrics/", 404), ("/webhook", 405)):
        assert bot.get(path)[0] == status


@pytest.mark.scene(config={"poll": {"deliveries_interval": "1h"}})
def test_github_is_down_at_the_start(scene, bot, ann):
    bot.stop()
    scene.github.fault("reset_before", path="/api/v3/", times=6)
    bot.start()
    ann.comments("/build")
    assert bot.ends(patience=40) == "rocket"


@pytest.mark.scene(start=False)
def test_a_key_that_github_does_not_know(scene):
    scene.expects_log("github_refuses")
    other = harness.make_key.__wrapped__()
    scene.write("app.pem", other)
    done = kfopsd(scene, "--check-config")
    assert done.returncode == 78 and "FAIL GitHub knows us" in done.stdout


@pytest.mark.scene(config={"retention": {"jobs": "8d"}})
def test_a_large_answer_is_cut_and_stays_markdown(scene, bot, ann):
    scene.kubeflow.fails_runs("train", "x" * 5000, "".join(f"{i} " + "y" * 150 + "\n" for i in range(3000)))
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    said = bot.answer("`run.failed`")
    assert len(said.encode()) <= 65536 and said.count("<details>") == said.count("</details>")
    assert said.count("```") % 2 == 0 and "2999" in said
    check = bot.check("kfops/run", conclusion="failure")
    assert len(json.dumps(check["output"]["text"])) < 70000
