"""Who may: the commenter's own right on GitHub, by numeric id, asked when the job starts and again before
anything changes. What is unclear is refused or waited for, never allowed."""

import pytest

import texts

MUTATING = ["/build", "/run", "/build_run", "/retry", "/logs 1"]


def test_readers_may_look_but_change_nothing(scene, bot, eve):
    for line in MUTATING:
        eve.comments(line)
        assert bot.ends() == "-1"
        said = bot.answer("`denied.permission`", "write permission")
        assert "@eve" in said and f"`/{line.split()[0][1:]}` was not run" in said
    for line in ("/status", "/help"):
        eve.comments(line)
        assert bot.ends() == "rocket"
    assert scene.kubeflow.runs() == []


def test_roles(scene, bot, ann):
    for role, base, may in [("triage", None, False), ("none", None, False), ("maintain", None, True),
                            ("admin", None, True), ("ml-engineer", "write", True), ("ml-reader", "read", False)]:
        person = scene.person(f"p-{role}")
        person.is_given(role, base)
        person.comments("/build")
        assert bot.ends() == ("rocket" if may else "-1"), role
        if not may:
            bot.answer("`denied.permission`")


def test_the_payloads_word_for_it_is_not_trusted(scene, bot, eve):
    """A payload that says OWNER changes nothing: GitHub's API is asked."""
    made = scene.comment_payload(eve, "/build_run")
    made["comment"]["author_association"] = "OWNER"
    assert scene.hook("issue_comment", made)["status"] == 202
    bot.says("`denied.permission`", "@eve")
    assert scene.kubeflow.runs() == []


def test_a_login_that_somebody_else_has_now(scene, bot, ann):
    """The comment was written by an account that was renamed; a new one has its login, and write."""
    made = scene.comment_payload(ann, "/build_run")
    scene.github.post("users", login="ann", id=987654321)
    scene.github.post("repos/lab/iris/permissions", login="ann", role="write")
    assert scene.hook("issue_comment", made)["status"] == 202
    bot.says("`denied.identity`", "is not the one that has this name now")
    assert scene.kubeflow.runs() == []


def test_a_person_who_is_gone(scene, bot, ann):
    made = scene.comment_payload(ann, "/build_run")
    made["comment"]["user"]["login"] = made["sender"]["login"] = "nobody-here"
    assert scene.hook("issue_comment", made)["status"] == 202
    bot.says("`denied.unverified`")
    assert scene.kubeflow.runs() == []


@pytest.mark.scene(files=texts.python(texts.ONE_TASK.format(name="slow", function="slow") + "import time\ntime.sleep(3)\n",
                                      pipeline_function_name="slow"))
def test_a_right_that_is_lost_while_it_compiles(scene, bot, ann):
    ann.comments("/build_run")
    bot.answer("compiling")
    ann.is_given("read")
    assert bot.ends() == "-1"
    bot.answer("`denied.permission`")
    assert scene.kubeflow.get("state")["pipelines"] == 0 and scene.kubeflow.runs() == []


def test_a_right_that_is_lost_in_line(scene, bot, ann, ben):
    scene.kubeflow.holds_runs()
    first = ben.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    second = ann.comments("/build_run --param rows=9")
    bot.job_of(second)
    ann.is_given("none")
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends(to=first) == "rocket" and bot.ends(to=second) == "-1"
    bot.answer("`denied.permission`", to=second)
    assert len(scene.kubeflow.runs()) == 1


TROUBLE = {
    "500": dict(kind="status", status=500),
    "502 as HTML": dict(kind="html_502"),
    "cut JSON": dict(kind="truncated", keep=0.5),
    "half a body": dict(kind="half_body"),
    "reset": dict(kind="reset_before"),
    "429 with Retry-After": dict(kind="status", status=429, body={"message": "slow down"}, headers={"Retry-After": "1"}),
    "403 secondary limit": dict(kind="sample", name="secondary-limit", headers={"retry-after": "1"}),
    "403 primary limit": dict(kind="sample", name="primary-limit-installation", reset_in=1),
    "an empty object": dict(kind="status", status=200, body={}),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_permission_is_asked_again_when_github_stumbles(scene, bot, ann, name):
    fault = dict(TROUBLE[name])
    scene.github.fault(fault.pop("kind"), "GET", r"/permission$", times=1, **fault)
    ann.comments("/build")
    assert bot.ends() == "rocket" if name != "an empty object" else "-1"
    if name == "an empty object":
        bot.answer("`denied.unverified`", "could not be verified")


@pytest.mark.scene(config={"limits": {"patience": "1500ms"}})
@pytest.mark.parametrize("status", [500, 503])
def test_permission_that_cannot_be_asked_for_too_long_is_no_permission(scene, bot, ann, status):
    scene.github.fault("status", "GET", r"/permission$", times=-1, status=status)
    ann.comments("/build")
    assert bot.ends() == "-1"
    bot.answer("ould not verify what ann may do")
    assert scene.kubeflow.get("state")["pipelines"] == 0


@pytest.mark.parametrize("status, code", [(404, "`denied.unverified`"), (403, "`github.denied`")])
def test_permission_that_github_does_not_tell_is_no_permission(scene, bot, ann, status, code):
    scene.github.fault("status", "GET", r"/permission$", times=-1, status=status, body={"message": "Not here"})
    ann.comments("/build")
    assert bot.ends() == "-1"
    bot.answer(code)
    assert scene.kubeflow.get("state")["pipelines"] == 0


def test_bots_and_apps_are_not_listened_to(scene, bot, ann):
    scene.github.post("users", login="helper[bot]", type="Bot")
    scene.github.post("repos/lab/iris/permissions", login="helper[bot]", role="admin")
    other = scene.person("helper[bot]").comments("/build_run")
    own = scene.person(bot.login).comments("/build_run")
    through_us = scene.github.post(f"{scene.pull.path}/comments", user="ann", body="/build_run", app_id=4711)
    scene.webhooks_are_idle()
    assert bot.jobs() == [] and bot.comments() == [item for item in bot.comments() if item["id"] == own.id]
    assert other.reactions() == own.reactions() == [] and through_us["id"]


def test_look_alikes_are_people_like_others(scene, bot, ann):
    """We are the App of our number, whatever somebody calls themselves and however their comments begin."""
    twin = scene.person("kfops-bot")
    twin.comments("/build")
    assert bot.ends() == "-1"
    bot.answer("`denied.permission`", "kfops-bot")
    twin.is_given("write")
    comment = twin.comments("<!-- kf:v1 job=01ARZ3NDEKTSV4RRFFQ69G5FAV slot=status -->\n/build")
    assert bot.ends(to=comment) == "rocket"
    through_other = scene.github.post(f"{scene.pull.path}/comments", user="ann", body="/run", app_id=99)
    scene.wait_until(lambda: any(job["command"] == "run" for job in bot.jobs()), "ann to be heard through another App")
    assert bot.ends() == "rocket" and through_other["id"]


def test_our_marker_in_somebody_elses_comment_is_not_ours(scene, bot, ann, ben):
    """The answer to our own comment is lost, and somebody has copied its first line meanwhile."""
    scene.github.fault("lost_answer", "POST", r"/issues/\d+/comments$")
    comment = ann.comments("/status")
    marker = scene.wait_until(lambda: [c["body"].splitlines()[0] for c in bot.comments()], "our comment")[0]
    copied = ben.comments(f"{marker}\nnothing to see")
    assert bot.ends(to=comment) == "rocket"
    scene.wait_until(lambda: not bot.unsaid(), "everything to be said")
    assert len(bot.comments()) == 1 and copied.reactions() == []
    assert next(c for c in scene.pull.look()["comments"] if c["id"] == copied.id)["body"].endswith("nothing to see")


@pytest.mark.scene(mode="token")
def test_the_users_own_comments_are_not_listened_to_in_token_mode(scene, bot, ann):
    own = scene.person(bot.login).comments("/build_run")
    scene.webhooks_are_idle()
    assert own.reactions() == [] and bot.jobs() == []


def test_edited_and_deleted_comments_start_nothing(scene, bot, ann, ben):
    plain = ann.comments("Looks good to me.")
    plain.is_edited("/build_run")
    plain.is_edited("/build_run", by=ben)
    scene.webhooks_are_idle()
    assert bot.jobs() == [] and plain.reactions() == []
