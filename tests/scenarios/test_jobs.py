"""Commands about commands: /status, /logs, /cancel, /retry; order, superseding, two people at once."""

import re

import pytest

import texts


def under_way(scene) -> dict:
    """A run that waits to be ended, once Kubeflow has it."""
    return scene.wait_until(lambda: [run for run in scene.kubeflow.runs() if run["phase"] == "Running"],
                            "a run to be under way")[-1]


def numbers(bot) -> list[int]:
    return [job["id"] for job in bot.jobs()]


def test_status_shows_what_runs_and_what_waits(scene, bot, ann, ben, eve):
    eve.comments("/status")
    bot.answer("No jobs yet in this repository")
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    run = under_way(scene)
    second = ben.comments("/build")
    bot.job_of(second)
    eve.comments("/status")
    said = bot.answer("| job | pull request | command |")
    sha = scene.pull.head[:7]
    assert re.search(rf"\| 2 \| #1 \| `/build_run` \| running: following the run \| `{sha}` \| ann \|", said), said
    assert re.search(r"\| 3 \| #1 \| `/build` \| number 1 in line \| +\| ben \|", said), said
    assert "`/status`" not in said
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket" and bot.ends(to=second) == "rocket"
    eve.comments("/status")
    said = bot.answer("| 2 | #1 | `/build_run` | done |")
    assert re.search(r"As of \d\d:\d\d UTC", said)


def test_logs_show_steps_and_the_end_of_the_log(scene, bot, ann, eve):
    scene.kubeflow.fails_runs("train", "exit code 1", "".join(f"line {i}\n" for i in range(100)))
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    ann.comments("/logs 1")
    said = bot.answer("Job 1, `/build_run`, failed")
    for step in ("github.permission", "repo.checkout", "compile", "kfp.upload_version", "kfp.create_run"):
        assert f"| {step.replace('_', chr(92) + '_')} | done |" in said or f"| {step} | done |" in said, said
    assert "line 99" in said and "line 49\n" not in said
    ann.comments("/logs 1 --step compile --tail 2")
    said = bot.answer("Job 1")
    assert "line 98\nline 99" in said and "line 97" not in said and "kfp." not in said
    ann.comments("/logs 99")
    assert bot.ends() == "-1"
    bot.answer("`job.unknown`", "`/status` lists them")
    eve.comments("/logs 1")
    bot.answer("`denied.permission`")


def test_cancel_stops_a_run(scene, bot, ann, ben):
    scene.kubeflow.holds_runs()
    asked = ann.comments("/build_run")
    under_way(scene)
    stop = ben.comments("/cancel 1")
    assert bot.ends(to=stop) == "rocket"
    bot.answer("job 1, `/build_run`: was ", "now cancelling")
    assert bot.ends(to=asked) == "confused"
    bot.answer("Stopped by ben; the run was terminated", "`job.cancelled`", to=asked)
    bot.check("kfops/run", conclusion="cancelled")
    bot.check("kfops/build", conclusion="success")
    assert scene.kubeflow.runs()[0]["phase"] == "Failed"


def test_cancel_stops_what_waits_in_line(scene, bot, ann, ben):
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    run = under_way(scene)
    second = ben.comments("/build")
    bot.job_of(second)
    ann.comments("/cancel 2")
    assert bot.ends() == "rocket"
    bot.answer("job 2, `/build`: was blocked, now cancelled")
    assert bot.ends(to=second) == "confused"
    bot.answer("Cancelled by ann before it started", "`job.cancelled`", to=second)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket"


def test_cancel_without_a_number_and_all_stop_everything(scene, bot, ann, ben, eve):
    ann.comments("/cancel")
    bot.answer("nothing to cancel")
    ann.comments("/cancel 77")
    assert bot.ends() == "-1"
    bot.answer("`job.unknown`")
    ann.comments("/cancel soon")
    bot.answer("`soon` is not the number of a job", "`job.unknown`")
    for line in ("/cancel", "/cancel ALL"):
        scene.kubeflow.holds_runs()
        first = ann.comments("/build_run")
        under_way(scene)
        second = ben.comments("/build")
        bot.job_of(second)
        eve.comments("/cancel all")
        said = bot.answer("was asked for by ann; others need the right to `/build_run`", "asked for by ben")
        assert said.count("left as it is") == 2 and "now cancel" not in said
        stop = ben.comments(line)
        said = bot.answer("`/build_run`", "`/build`", to=stop)
        assert said.count("- job ") == 2
        assert bot.ends(to=first) == "confused" and bot.ends(to=second) == "confused"
    done = bot.jobs()[0]["id"]
    ann.comments(f"/cancel {done}")
    assert bot.ends() == "-1"
    bot.answer("`job.ended`")


def test_who_asked_may_stop_it_and_who_could_ask_for_it_too(scene, bot, ann, ben, eve):
    """Ann, who may write, does not stop the maintainer's deployment; he does, also when he may not deploy any more.
    Eve, who may read and whom the policy lets run, stops her own run and nothing else, though her quota is used up."""
    scene.github.post(f"repos/{scene.repo}/commits",
                      files={".github/kfops.yaml": "commands: { run: { permission: read, quota: 1/day } }\n"
                                                   "environments: { production: { deploy: { teams: [ml-leads] } } }\n"})
    scene.github.post("teams", org="lab", slug="ml-leads", members={"ben": "member"})
    ann.comments("/build")
    assert bot.ends() == "rocket"
    scene.kubeflow.holds_runs()
    run = eve.comments("/run")
    under_way(scene)
    build = ann.comments("/build_run")
    bot.job_of(build)
    deploy = ben.comments("/deploy")
    asked = bot.job_of(deploy)["id"]
    refused = ann.comments(f"/cancel {asked}")
    assert bot.ends(to=refused) == "-1"
    bot.answer("`cancel.not_yours`", f"ob {asked}, `/deploy`, was asked for by ben", "the right to `/deploy production`")
    stop = eve.comments("/cancel all")
    assert bot.ends(to=run) == "confused"
    bot.answer("Stopped by eve", to=run)
    said = bot.answer("`/run`: was ", "now cancelling", "`/build_run`, was asked for by ann", f"job {asked}, `/deploy`", to=stop)
    assert said.count("left as it is") == 2
    scene.github.post("teams", org="lab", slug="ml-leads", members={})
    ben.is_given("read")
    ben.comments(f"/cancel {asked}")
    bot.answer(f"job {asked}, `/deploy`: was blocked, now cancelled")
    assert bot.ends(to=deploy) == "confused"
    scene.kubeflow.ends(under_way(scene)["run_id"])
    assert bot.ends(to=build) == "rocket"


def test_cancel_before_anything_was_sent(scene, bot, ann):
    scene.github.fault("delay", "GET", r"/collaborators/ann/permission$", seconds=2, when="before")
    asked = ann.comments("/build_run")
    bot.job_of(asked)
    ann.comments("/cancel 1")
    assert bot.ends(to=asked) == "confused"
    bot.answer("`job.cancelled`", to=asked)
    assert scene.kubeflow.runs() == []


def test_retry_does_the_same_again(scene, bot, ann, ben):
    ann.comments("/retry")
    assert bot.ends() == "-1"
    bot.answer("`job.none`")
    scene.kubeflow.fails_runs("train", "exit code 1")
    sha = scene.pull.head
    failed = ann.comments("/build_run --param rows=7")
    assert bot.ends() == "-1"
    ann.pushes({"later.md": "a later commit\n"})
    scene.kubeflow.post("instant", on=True, state="SUCCEEDED")
    ben.comments("/retry")
    assert bot.ends() == "rocket"
    bot.answer("does `/build_run` of job 2 again on", f"`{sha[:7]}`")
    scene.wait_until(lambda: not bot.unfinished(), "the retry to end")
    bot.answer("**/build_run**", f"commit `{sha[:7]}`", "asked by @ben")
    assert len(scene.kubeflow.runs()) == 2 and scene.kubeflow.parameters()["rows"] == 7
    assert failed.reactions() == ["-1"]
    again = bot.jobs()[-1]["id"]
    ann.comments(f"/retry {again}")
    assert bot.ends() == "-1"
    bot.answer("`job.succeeded`")
    ann.comments("/retry 99")
    assert bot.ends() == "-1"
    bot.answer("`job.unknown`")


def test_retry_of_what_has_not_ended_is_refused(scene, bot, ann):
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    run = under_way(scene)
    ann.comments("/retry 1")
    assert bot.ends() == "-1"
    bot.answer("`job.unfinished`")
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket"


def test_jobs_of_other_pull_requests_are_not_touched(scene, bot, ann):
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    run = under_way(scene)
    other = ann.opens("Other", "other", {"other.md": "x\n"})
    ann.comments("/cancel 1", on=other)
    assert bot.ends() == "-1"
    ann.comments("/cancel all", on=other)
    bot.answer("nothing to cancel")
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket"


def test_two_people_take_turns(scene, bot, ann, ben):
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run --param rows=1")
    run = under_way(scene)
    second = ben.comments("/build")
    third = ann.comments("/run --param rows=3")
    bot.job_of(third)
    assert [job["state"] for job in bot.jobs()] == [2, 4, 4]
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket" and bot.ends(to=second) == "rocket"
    scene.kubeflow.ends(under_way(scene)["run_id"])
    assert bot.ends(to=third) == "rocket"
    assert [job["command"] for job in bot.jobs()] == ["build_run", "build", "run"]
    assert scene.kubeflow.parameters()["rows"] == 3


def test_a_newer_command_supersedes_an_older_one_in_line(scene, bot, ann):
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run --param rows=1")
    run = under_way(scene)
    second = ann.comments("/run --param rows=2")
    bot.job_of(second)
    third = ann.comments("/run --param rows=3")
    assert bot.ends(to=second) == "confused"
    bot.answer("`job.superseded`", "job 3", to=second)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket"
    scene.kubeflow.ends(under_way(scene)["run_id"])
    assert bot.ends(to=third) == "rocket"
    assert len(scene.kubeflow.runs()) == 2


def test_commands_that_overtake_each_other_run_in_the_order_of_comments(scene, bot, ann, ben):
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    run = under_way(scene)
    scene.github.fault("delay", on="webhook", event="issue_comment", action="created", seconds=1)
    older = ann.comments("/build")  # arrives last
    newer = ben.comments("/run")
    bot.job_of(newer)
    bot.job_of(older)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket" and bot.ends(to=older) == "rocket"
    scene.kubeflow.ends(under_way(scene)["run_id"])
    assert bot.ends(to=newer) == "rocket"
    finished = bot.rows("SELECT command FROM jobs ORDER BY finished_at, id")
    assert [row["command"] for row in finished] == ["build_run", "build", "run"]


@pytest.mark.scene(files=texts.CHURN_FILES)
def test_the_re_run_button_starts_a_failed_check_again(scene, bot, ann, ben):
    asked = ann.comments("/build_run -- label=x rate=1 epochs=many")
    assert bot.ends() == "-1"
    check = bot.check("kfops/build", conclusion="failure")
    ben.reruns(check)
    scene.wait_until(lambda: len(bot.jobs()) == 2 and not bot.unfinished(), "the re-run to end")
    bot.answer("job 2", "asked by @ben", "`run.parameter_type`", to=asked)


def test_the_re_run_button_after_a_failed_run(scene, bot, ann, ben, eve):
    scene.kubeflow.fails_runs("train", "exit code 1")
    asked = ann.comments("/build_run")
    assert bot.ends() == "-1"
    check = bot.check("kfops/run", conclusion="failure")
    scene.kubeflow.post("instant", on=True, state="SUCCEEDED")
    ben.reruns(check)
    scene.wait_until(lambda: len(bot.jobs()) == 2 and not bot.unfinished(), "the re-run to end")
    bot.answer("✅", "asked by @ben", to=asked)
    scene.wait_until(lambda: asked.reactions() == ["rocket"], "the old reaction to be replaced")
    assert len(scene.kubeflow.runs()) == 2
    eve.reruns(bot.check("kfops/run", conclusion="success"))
    bot.answer("`denied.permission`", to=asked)
