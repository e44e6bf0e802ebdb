"""What happens to the pull request around a command: pushes, closing, locks, deleted comments."""

import pytest

import texts


def held_run(scene):
    return scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]


def test_closed_and_merged_pull_requests(scene, bot, ann, ben):
    ann.closes()
    for line in ("/build", "/run", "/build_run"):
        ann.comments(line)
        bot.reacts("confused")
        bot.answer("`pull.closed`", "is closed", f"Reopen it and comment `{line}` again")
    for line in ("/status", "/help", "/logs 77", "/cancel"):
        ann.comments(line)
        assert bot.ends() in ("rocket", "-1")
        assert "pull.closed" not in bot.answer()
    ann.reopens()
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ben.merges()
    ann.comments("/build_run")
    bot.answer("`pull.closed`", "is merged")
    assert scene.kubeflow.runs() == []


def test_issues_are_not_pull_requests(scene, bot, ann):
    made = scene.github.post("repos/lab/iris/issues", title="A question", user="ann")
    scene.github.post(f"repos/lab/iris/pulls/{made['number']}/comments", user="ann", body="/build_run")
    scene.webhooks_are_idle()
    assert bot.jobs() == []


def test_a_pull_request_that_github_does_not_know_yet(scene, bot, ann):
    """Told of by a webhook, not yet to be read."""
    scene.github.fault("stale_read", "GET", r"/pulls/2$", times=2, seconds=3600)
    scene.pull = ann.opens("Quick", "quick", {"quick.md": "x\n"})
    ann.comments("/build")
    assert bot.ends() == "rocket" and scene.github.get("faults")["pending"] == []


def test_a_push_in_mid_job_changes_nothing(scene, bot, ann):
    scene.kubeflow.holds_runs()
    old = scene.pull.head
    ann.comments("/build_run")
    run = held_run(scene)
    ann.pushes({"b.md": "b\n"})
    scene.webhooks_are_idle()
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    bot.answer(f"commit `{old[:7]}`")
    for check in ("kfops/build", "kfops/run"):
        bot.check(check, conclusion="success", head_sha=old)
    assert f"sha={old}" in scene.kubeflow.newest_run()["description"]


def test_a_force_push_away_from_the_commit(scene, bot, ann):
    old = scene.pull.head
    scene.github.fault("delay", "GET", r"/pulls/1$", seconds=1, when="after")
    ann.comments("/build_run")
    bot.job_of()
    scene.wait_until(lambda: any(item["path"].endswith("/pulls/1") for item in scene.github.requests())
                     or scene.github.get("faults")["taken"], "the head to be asked for")
    ann.pushes({"c.md": "c\n"}, force=True)
    end = bot.ends()
    said = bot.answer("/build_run")
    assert (end, "`repo.sha_not_in_ref`" in said) == ("-1", True) or f"commit `{old[:7]}`" not in said


def test_refs_that_lag_behind_a_push_are_waited_for(scene, bot, ann):
    new = ann.pushes({"b.md": "b\n"}, quiet_refs=True)
    ann.comments("/build")
    scene.wait_until(lambda: any(row["tries"] for row in bot.rows("SELECT tries FROM jobs")), "a second try")
    scene.github.post(f"{scene.pull.path}/refs")
    assert bot.ends() == "rocket"
    bot.answer(f"commit `{new[:7]}`")


def test_a_new_pull_request_that_git_does_not_show_yet(scene, bot, ann):
    pull = ann.opens("Six neighbours", "six-neighbours", {"notes.md": "Six neighbours.\n"}, quiet_refs=True)
    asked = ann.comments("/build", on=pull)
    scene.wait_until(lambda: any(row["tries"] for row in bot.rows("SELECT tries FROM jobs")), "a second try")
    scene.github.post(f"{pull.path}/refs")
    assert bot.ends(asked) == "rocket"


def test_refs_that_never_catch_up(scene, bot, ann):
    ann.pushes({"b.md": "b\n"}, quiet_refs=True)
    ann.comments("/build")
    assert bot.ends(patience=60) == "-1"
    bot.answer("`repo.sha_not_in_ref`")


def test_a_pull_request_that_is_closed_in_mid_job(scene, bot, ann, ben):
    """What is under way goes on and says how it ended; what waits in line is stopped."""
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    run = held_run(scene)
    second = ben.comments("/build")
    bot.job_of(second)
    ann.closes()
    assert bot.ends(to=second) == "confused"
    bot.answer("`pull.closed`", "closed before it started", to=second)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket"


def test_a_pull_request_that_is_closed_before_the_job_starts(scene, bot, ann):
    scene.github.fault("delay", on="webhook", event="pull_request", action="closed", seconds=3)
    scene.github.fault("delay", on="webhook", event="issue_comment", action="created", seconds=1)
    ann.comments("/build_run")
    ann.closes()
    assert bot.ends() == "-1"
    bot.answer("`pull.closed`", "eopen it, then `/build_run`")
    assert scene.kubeflow.runs() == []


def test_the_comment_is_deleted_in_mid_job(scene, bot, ann):
    scene.kubeflow.holds_runs()
    comment = ann.comments("/build_run")
    run = held_run(scene)
    comment.is_deleted()
    scene.kubeflow.ends(run["run_id"])
    bot.says("✅ **/build_run**", "asked by @ann")
    scene.wait_until(lambda: not bot.unsaid(), "everything to be said")


@pytest.mark.scene(config={"github": {"write_gap": "150ms"}})
def test_the_status_comment_is_deleted_by_a_person(scene, bot, ann, ben):
    """The end is a new comment, though GitHub wants the edit that fails and the new one apart."""
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = held_run(scene)
    bot.answer("▶️")
    ben.deletes(bot.comments()[0])
    scene.kubeflow.task(run["run_id"], "prepare", "Succeeded")  # progress is not worth a new comment
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    bot.answer("✅ **/build_run**")
    assert len(bot.comments()) == 1


@pytest.mark.scene(config={"report": {"notify_after": "0s"}})
def test_a_deleted_comment_needs_no_folding(scene, bot, ann, ben):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = held_run(scene)
    bot.answer("▶️")
    ben.deletes(bot.comments()[0])
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    bot.answer("✅ **/build_run**")
    scene.wait_until(lambda: not bot.unsaid(), "everything to be said")


def test_a_locked_conversation(scene, bot, ann, ben):
    """Nobody may write there; the check still tells."""
    ben.locks()
    scene.expects_log("event=report_refused.*locked")
    ann.comments("/build_run")
    check = bot.check("kfops/run", conclusion="success")
    assert "✅ **/build_run**" in check["output"]["summary"]
    assert bot.comments() == []
    scene.may_leave_unsaid = True  # it is tried again for a while: somebody may unlock it


def test_two_pull_requests_do_not_wait_for_each_other(scene, bot, ann, ben):
    other = ben.opens("Other", "other", {"other.md": "x\n"})
    scene.kubeflow.holds_runs()
    first = ann.comments("/build_run")
    held_run(scene)
    second = ben.comments("/build", on=other)
    assert bot.ends(to=second) == "rocket"
    scene.kubeflow.ends(held_run(scene)["run_id"])
    assert bot.ends(to=first) == "rocket"


@pytest.mark.scene(files={"my_pipeline/pipeline.yaml": texts.CHURN})
def test_each_pull_request_has_its_own_pipeline(scene, bot, ann):
    ann.comments("/build_run -- label=x rate=1 neighbors=1")
    assert bot.ends() == "-1"
    bot.answer("no parameter `neighbors`")
