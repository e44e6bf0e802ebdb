"""Strangers on a public repository cannot make the bot spend: one short answer per person, pull request and hour,
then a permission check at most, out of everybody's way."""

import pytest
from test_audit import audit, said


@pytest.fixture
def public(scene):
    scene.github.post(f"repos/{scene.repo}/settings", private=False)
    return scene


def test_a_stranger_has_one_answer(public, scene, bot, ann):
    sam = scene.person("sam")
    sam.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`denied.permission`")
    said_so_far = len(bot.comments())
    later = [sam.comments(line) for line in ("/build_run", "/biuld", "/help", "/status", "/unlock production --force")]
    scene.webhooks_are_idle()
    scene.wait_until(lambda: not bot.unfinished(), "what the stranger said to be looked at", 60)
    assert len(bot.comments()) == said_so_far and [c.reactions() for c in later] == [[]] * len(later)
    assert scene.kubeflow.get("mutations") == []
    decided = [row for row in audit(scene) if row["actor"] == "sam"]
    assert said(decided)[:2] == ["refused denied.permission", "refused denied.permission"]
    assert said(decided).count("refused denied.often") == 2  # /help, /status: nobody is asked for them
    assert set(said(decided)) == {"refused denied.permission", "refused denied.often"}
    asked = [line for line in bot.log_lines() if line.get("event") == "github_call" and "/collaborators/sam/" in line["text"]]
    assert len(asked) == 3  # /deploy, /build_run, /unlock
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ann.comments("/biuld")
    bot.says("Did you mean `/build`?")
    ann.comments("/status")
    assert bot.ends() == "rocket"


def test_a_strangers_cancel_costs_what_a_refusal_costs(public, scene, bot, ann):
    """It is answered once in the hour, asks GitHub for the permission and for nothing else, and stops nothing."""
    def asked(login: str) -> list[str]:
        return [item["path"].replace(login, "...") for item in scene.github.get("requests")
                if login in item["path"].split("/")]

    scene.github.post(f"repos/{scene.repo}/commits", files={
        ".github/kfops.yaml": "environments: { production: { deploy: { teams: [ml-leads] } } }\n"})
    scene.github.post("teams", org="lab", slug="ml-leads", members={"ann": "member"})
    sam, tim = scene.person("sam"), scene.person("tim")
    scene.kubeflow.holds_runs()
    run = ann.comments("/build_run")
    bot.answer("▶️", to=run)
    assert bot.ends(to=tim.comments("/logs 1")) == "-1"
    assert bot.ends(to=sam.comments("/cancel all")) == "rocket"
    bot.answer("left as it is", "`/build_run`, was asked for by ann")
    assert len(asked("tim")) == 1 and asked("sam") == asked("tim")
    said_so_far = len(bot.comments())
    later = [sam.comments(line) for line in ("/cancel", "/cancel 1")]
    scene.webhooks_are_idle()
    scene.wait_until(lambda: len(bot.unfinished()) == 1, "what the stranger said to be looked at", 60)
    assert set(asked("sam")) == set(asked("tim")) and len(asked("sam")) <= 3
    assert len(bot.comments()) == said_so_far and [c.reactions() for c in later] == [[]] * len(later)
    ann.comments("/cancel")
    assert bot.ends(to=run) == "confused"


def test_several_at_once_have_one_answer_together(public, scene, bot):
    sam = scene.person("sam")
    scene.github.fault("delay", "GET", "/collaborators/sam/", times=4, seconds=1)
    asked = [sam.comments(line) for line in ("/build", "/run", "/help", "/status")]
    scene.wait_until(lambda: bot.jobs() and not bot.unfinished(), "all of them to be looked at", 60)
    scene.webhooks_are_idle()
    scene.wait_until(lambda: all(c.reactions() and "eyes" not in c.reactions() for c in asked), "the reactions")
    assert len(bot.comments()) == 1


def test_a_flood_keeps_nobody_waiting(public, scene, bot, ann):
    sam = scene.person("sam")
    sam.comments("/build")
    assert bot.ends() == "-1"
    for _ in range(30):
        sam.comments("\n".join(["/build", "/run"]))
    ann.comments("/build")
    assert bot.ends(patience=15) == "rocket"
    waiting = bot.rows("SELECT count(*) AS n FROM jobs WHERE stranger = 2 AND finished_at IS NULL")[0]["n"]
    assert waiting > 40  # the stranger's are still there, one look every few seconds
    scene.may_leave_jobs = True
    assert len([c for c in bot.comments() if "sam" in c["body"]]) == 1


def test_a_new_permission_counts_at_the_next_word(public, scene, bot):
    sam = scene.person("sam")
    sam.comments("/build")
    assert bot.ends() == "-1"
    sam.is_given("write")
    sam.comments("/build")
    assert bot.ends(patience=20) == "-1"
    bot.answer("`denied.again`", "give the command again")
    sam.comments("/build")
    assert bot.ends() == "rocket"


def test_ten_commands_a_comment(public, scene, bot):
    """A stranger's comment with ten thousand lines costs one answer, and the next one none."""
    sam = scene.person("sam")
    first = sam.comments("/build\n" * 10000)
    bot.says("`command.repeated`")
    second = sam.comments("/build\n" * 10000)
    scene.webhooks_are_idle()
    assert first.reactions() == ["confused"] and second.reactions() == [] and bot.jobs() == []


def test_a_writer_cannot_unlock_what_a_maintainer_locked(scene, bot, ann, ben):
    ben.comments("/lock production --reason \"canary watch\"")
    assert bot.ends() == "rocket"
    for line in ("/unlock production", "/unlock production --force"):
        ann.comments(line)
        assert bot.ends() == "-1"
        bot.answer("`denied.permission`")
    ann.comments("/status")
    assert bot.ends() == "rocket"
    bot.answer("production", "ben")
