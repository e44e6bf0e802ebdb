"""GitHub as it is: limits, faults, lost answers, suspended and renamed, tokens that end. What is to be said is said
in the end, once."""

import re
import time

import pytest

FAST_RETRY = {"retry-after": "1"}
COMMENTS = r"/issues/1/comments$"
EDITS = r"/issues/comments/\d+$"
REACTIONS = r"/reactions$"
CHECKS = r"/check-runs$"
CHECK_EDITS = r"/check-runs/\d+$"


def shown_once(scene, bot):
    """Everything about one /build_run, and nothing twice."""
    assert bot.ends(patience=60) == "rocket"
    bot.answer("✅ **/build_run**", patience=30)
    scene.wait_until(lambda: not bot.unsaid(), "everything to be said", 30)
    seen = scene.pull.look()
    assert len([item for item in seen["comments"] if item["user"] == bot.login]) == 1
    assert sorted((run["name"], run["conclusion"]) for run in seen["checks"]) == \
        [("kfops/build", "success"), ("kfops/run", "success")]
    assert scene.last_comment.reactions() == ["rocket"]
    assert len(scene.kubeflow.runs()) == 1


STUMBLES = {
    "500": dict(kind="status", status=500),
    "502 HTML, not acted": dict(kind="html_502"),
    "502 HTML, acted": dict(kind="html_502", acted=True),
    "503": dict(kind="sample", name="service-unavailable"),
    "504 after ten seconds": dict(kind="sample", name="gateway-timeout"),
    "reset before": dict(kind="reset_before"),
    "reset after": dict(kind="reset_after"),
    "lost answer": dict(kind="lost_answer"),
    "half a body": dict(kind="half_body"),
    "cut JSON": dict(kind="truncated"),
    "slow bytes": dict(kind="slow_bytes", interval=0.001, chunk=50),
    "secondary limit": dict(kind="sample", name="secondary-limit", headers=FAST_RETRY),
    "secondary limit, 429": dict(kind="sample", name="secondary-limit-429", headers=FAST_RETRY),
    "content limit": dict(kind="sample", name="secondary-limit-content", headers=FAST_RETRY),
    "primary limit": dict(kind="sample", name="primary-limit-installation", reset_in=1),
}


@pytest.mark.parametrize("name", STUMBLES)
def test_every_write_to_github_is_there_once(scene, bot, ann, name):
    """Each kind of write meets the trouble once: comment, edit, reaction on and off, check, its edit."""
    for method, path in (("POST", COMMENTS), ("PATCH", EDITS), ("POST", REACTIONS), ("DELETE", r"/reactions/\d+$"),
                         ("POST", CHECKS), ("PATCH", CHECK_EDITS)):
        fault = dict(STUMBLES[name])
        scene.github.fault(fault.pop("kind"), method, path, **fault)
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    bot.answer("▶️")  # so that there is something to edit
    bot.check("kfops/run", status="in_progress")
    scene.kubeflow.ends(run["run_id"])
    shown_once(scene, bot)


@pytest.mark.parametrize("name", ["500", "502 HTML, not acted", "reset before", "half a body", "cut JSON", "primary limit"])
def test_every_read_from_github_is_repeated(scene, bot, ann, name):
    for method, path in (("GET", r"/permission$"), ("GET", r"/pulls/1$"), ("POST", r"/access_tokens$")):
        fault = dict(STUMBLES[name])
        scene.github.fault(fault.pop("kind"), method, path, **fault)
    ann.comments("/build_run")
    shown_once(scene, bot)


@pytest.mark.parametrize("kind", ["reset_before", "html_502", "half_body"])
def test_a_fetch_that_breaks_is_repeated(scene, bot, ann, kind):
    scene.github.fault(kind, "GET", r"/info/refs")
    scene.github.fault(kind, "POST", r"/git-upload-pack")
    ann.comments("/build_run")
    shown_once(scene, bot)


def test_a_storm_of_faults(scene, bot, ann):
    scene.github.post("faults/random", seed=7, rate=0.3, kinds=["reset_before", "lost_answer", "half_body",
                      {"kind": "status", "status": 502}], match={"path_regex": "/api/v3/repos/"})
    ann.comments("/build_run")
    scene.wait_until(lambda: bot.jobs() and not bot.unfinished(), "the job to end", 60)
    scene.github.post("faults/random", rate=0)
    shown_once(scene, bot)


def test_told_to_wait_without_a_time(scene, bot, ann):
    """No Retry-After: at least a minute of silence towards GitHub, and nothing is lost."""
    scene.github.fault("sample", "POST", COMMENTS, name="secondary-limit-no-header")
    ann.comments("/build_run")
    scene.wait_until(lambda: not scene.github.get("faults")["pending"], "the bot to be told")
    told = scene.github.requests()[-1]["at"]
    due = scene.wait_until(lambda: bot.rows("SELECT due_at FROM jobs WHERE state = 3"), "the job to wait")[0]["due_at"]
    assert due / 1000 > told + 55
    assert bot.comments() == [] and bot.unsaid() and scene.github.violations() == []
    scene.may_leave_jobs = scene.may_leave_unsaid = True  # a minute is too long for a test


@pytest.mark.scene(config={"github": {"writes_per_minute": 4}})
def test_our_own_pace_keeps_below_the_limit(scene, bot, ann):
    """Progress makes way: what is said within the minute is the eyes, the comment and its end."""
    scene.github.post("limits", content_per_minute=4)
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    scene.wait_until(scene.kubeflow.runs, "the run to be made")
    assert [item for item in scene.github.requests() if item["status"] in (403, 429)] == []
    scene.may_leave_jobs = True


def test_the_installation_is_suspended_and_lifted(scene, bot, ann):
    installation = scene.github.get("installations")[0]["id"]
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    bot.answer("▶️")
    scene.expects_log("report_refused.*suspended")
    scene.github.post(f"installations/{installation}/suspend")
    scene.kubeflow.ends(run["run_id"])
    scene.wait_until(lambda: not bot.unfinished(), "the job to end without GitHub")
    scene.github.post(f"installations/{installation}/unsuspend")
    shown_once(scene, bot)


def test_installation_tokens_that_end_early(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    bot.answer("▶️")
    time.sleep(5.2)  # a token younger than five seconds is waited for, not given up
    scene.github.post("tokens", revoke_installations=True)
    scene.kubeflow.ends(run["run_id"])
    shown_once(scene, bot)
    ann.comments("/build --no-cache")  # the token that git got is withdrawn, too
    assert bot.ends() == "rocket"


def test_installation_tokens_that_are_not_known_everywhere_yet(scene, bot, ann):
    scene.github.post("tokens", fresh_lag_s=0.5)
    ann.comments("/build_run")
    shown_once(scene, bot)


def test_tokens_are_renewed_before_their_hour_ends(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    minted = [item for item in scene.github.mutations() if item["kind"] == "token.minted"]
    # one that is not for this repository alone reads the policy of its owner, and can do nothing else
    assert all(item["permissions"] == {"contents": "read"} for item in minted if not item["repository_ids"])
    assert {tuple(item["repository_ids"]) for item in minted if item["repository_ids"]} == {(scene.pull.look()["repo_id"],)}
    assert {"contents": "read"} in [item["permissions"] for item in minted]  # the one that git gets


def test_the_clock_of_this_machine_is_wrong(scene, bot, ann):
    """GitHub's clock is an hour behind: its Date corrects the App's token."""
    scene.expects_log("github_clock_differs")
    scene.github.post("time", advance=-3600)
    scene.github.post("tokens", revoke_installations=True)
    time.sleep(5.2)
    ann.comments("/build")
    assert bot.ends() == "rocket"


def test_a_repository_that_is_renamed_in_mid_job(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    bot.answer("▶️")
    scene.github.post("repos/lab/iris/rename", name="flowers")
    scene.pull.moves("lab/flowers")
    scene.kubeflow.ends(run["run_id"])
    shown_once(scene, bot)
    ann.comments("/status")
    assert bot.ends() == "rocket"


def test_the_app_is_removed_in_mid_job(scene, bot, ann):
    installation = scene.github.get("installations")[0]["id"]
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    scene.expects_log("report_refused")
    scene.github.send("DELETE", f"installations/{installation}")
    scene.kubeflow.ends(run["run_id"])
    scene.wait_until(lambda: not bot.unfinished(), "the job to end")
    scene.may_leave_unsaid = True


@pytest.mark.scene(mode="token")
def test_token_mode_statuses_and_a_token_that_is_replaced(scene, bot, ann):
    sha = scene.pull.head
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    assert bot.status("kfops/run", state="pending")["description"]
    new = "ghp_" + "n" * 36
    old = (scene.folder / "token").read_text().strip()
    scene.github.post("tokens", user="kfops-bot", token=new)
    scene.write("token", new + "\n")
    scene.github.post("tokens", revoke=old)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    assert run["run_id"] in bot.status("kfops/run", state="success")["target_url"]
    bot.status("kfops/build", state="success")
    ann.comments("/run --param nope=1")
    assert bot.ends() == "-1"
    assert "nope" in bot.status("kfops/run", state="failure")["description"]
    assert scene.pull.look()["checks"] == [] and scene.pull.head == sha


def test_git_gets_a_token_that_reads_one_repository_only(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    fetched = [item for item in scene.github.requests() if "git-upload-pack" in str(item.get("route"))]
    assert fetched or re.search("git", str(scene.github.requests()))


def test_comments_heard_of_late(scene, bot, ann):
    """The comment was written three minutes ago; the answer says so."""
    assert scene.hook("issue_comment", scene.comment_payload(ann, "/build", age_minutes=3))["status"] == 202
    assert bot.ends() == "rocket"
    bot.answer("Your comment of", "reached me at", "(UTC)")


@pytest.mark.scene(config={"limits": {"comment_age": "1h"}})
def test_comments_that_come_too_late_are_not_run(scene, bot, ann):
    late = scene.comment_payload(ann, "/build --no-cache", age_minutes=61)
    assert scene.hook("issue_comment", late)["status"] == 202
    assert bot.ends() == "confused"
    bot.answer("`comment.late`", "too late", "`/build --no-cache`")
    assert scene.kubeflow.get("state")["versions"] == 0


def test_missed_webhooks_come_in_their_order(scene, bot, ann, ben):
    bot.stop()
    first = ann.comments("/build")
    second = ben.comments("/run")
    plain = ben.comments("no command")
    scene.webhooks_are_idle()
    bot.start()
    assert bot.ends(to=first) == "rocket" and bot.ends(to=second) == "rocket"
    assert [job["command"] for job in bot.jobs()] == ["build", "run"] and plain.reactions() == []


def test_two_hooks_and_redeliveries_make_one_run(scene, bot, ann):
    scene.github.fault("two_hooks", on="webhook", event="issue_comment", action="created")
    ann.comments("/build_run")
    shown_once(scene, bot)
    for delivery in scene.github.get("deliveries")["deliveries"]:
        if delivery["event"] == "issue_comment":
            scene.github.post(f"deliveries/{delivery['id']}/redeliver")
    scene.webhooks_are_idle()
    shown_once(scene, bot)
