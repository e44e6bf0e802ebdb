"""What people type: typos, wrong flags, wrong values, several commands in one comment, words that are none
of ours. What is not understood is answered with what is allowed, and nothing has run then."""

import pytest

REFUSED = [
    # code, comment, words of the answer
    ("command.unknown", "/biuld", ["`/biuld`", "Did you mean `/build`?", "`/help` lists all"]),
    ("command.unknown", "/buildrun", ["Did you mean `/build_run`?"]),
    ("command.unknown", "/stauts", ["Did you mean `/status`?"]),
    ("command.unknown", "/kfops deploi", ["`/deploi`", "`/help` lists all"]),
    ("command.unknown", "/kfops", ["is followed by a command"]),
    ("command.unknown_flag", "/run --parm a=b", ["`--parm`", "Did you mean `--param`?", "Usage: `/run [VERSION]"]),
    ("command.unknown_flag", "/build --frobnicate", ["`/build` has no flag `--frobnicate`"]),
    ("command.unknown_flag", "/run -p a=b", ["two dashes", "`-p`"]),
    ("command.unknown_flag", "/status --param a=b", ["`/status` has no flag"]),
    ("command.doubled_flag", "/run --name a --name b", ["`--name` is given twice"]),
    ("command.doubled_flag", "/run --param a=1 --param a=2", ["`a` is given twice"]),
    ("command.doubled_flag", "/build --no-cache --no-cache", ["`--no-cache` is given twice"]),
    ("command.doubled_flag", "/run --timeout 6h --TIMEOUT=7h", ["`--timeout` is given twice"]),
    ("command.value", "/run --timeout soon", ["`90s`, `15m` or `6h`", "not `soon`"]),
    ("command.value", "/run --timeout 6", ["`--timeout` takes a time"]),
    ("command.value", "/run --timeout -1h", ["`--timeout`"]),
    ("command.value", "/run --timeout 0s", ["`--timeout` takes a time"]),
    ("command.value", "/logs 1e9", ["a whole number"]),
    ("command.missing", "/logs -- 1", ["no parameters after `--`"]),
    ("command.value", "/logs 1 --tail many", ["`--tail` takes a whole number"]),
    ("command.value", "/retry last", ["a whole number", "not `last`"]),
    ("command.value", "/run --sha main", ["a commit of 7 to 64 hex digits", "not `main`"]),
    ("command.value", "/run --sha abc123", ["a commit of 7 to 64 hex digits"]),
    ("command.value", "/run --name ''", ["`--name` is empty"]),
    ("command.value", "/run --name " + "x" * 501, ["text of at most 500 bytes"]),
    ("command.value", "/run --param neighbors", ["`name=value`", "not `neighbors`"]),
    ("command.value", "/run --param '$(id)=1'", ["`$(id)` is not the name of a parameter"]),
    ("command.value", "/run neighbors=5", ["looks like a parameter", "`--param` before it"]),
    ("command.value", "/build --no-cache=yes", ["`--no-cache` takes no value"]),
    ("command.value", "/run --name 'a\u202eb'", ["cannot be seen, U+202E"]),
    ("command.value", "/run --name a\u00a0b", ["a space of a special kind, U+00A0"]),
    ("command.missing", "/run --timeout", ["`--timeout` needs a value"]),
    ("command.missing", "/run --name --param a=b", ["`--name` needs a value"]),
    ("command.missing", "/logs", ["`JOB` is missing"]),
    ("command.missing", "/build now", ["takes no argument", "`now`"]),
    ("command.missing", "/run v1 v2", ["one argument", "`v2` is one too many"]),
    ("command.missing", "/cancel 1 2", ["`2` is one too many"]),
    ("command.quote", "/run --name 'five", ["opened and not closed"]),
    ("command.quote", "/run --name “five”", ["typographic quotes"]),
    ("command.too_long", "/run --name " + "x" * 4100, ["longer than 4,096 bytes"]),
    ("command.too_many", "\n".join(["/build", *(f"/nobody{i}" for i in range(11))]), ["more than 10"]),
    ("command.repeated", "/build\n/run\n/build", ["`/build` is in this comment twice", "no command of this comment"]),
    ("command.unknown_flag", "/build\n/run --bad", ["Line 2, so no command of this comment was run"]),
    ("command.unknown", "/build\n/rnu", ["Line 2", "Did you mean `/run`?"]),
]


def test_what_is_not_understood_is_answered_and_nothing_runs(scene, bot, ann):
    asked = [(ann.comments(body), code, words) for code, body, words in REFUSED]
    for comment, code, words in asked:
        said = bot.answer(to=comment)
        for word in [f"`{code}`", *words]:
            assert word in said, f"{comment.body[:80]}: {word!r} is not in\n{said}"
        bot.reacts("confused", to=comment)
        assert comment.reactions() == ["confused"]
    assert bot.jobs() == [] and scene.kubeflow.runs() == []


NOT_COMMANDS = [
    "I would use /build_run here.",
    "> /build_run\n\nwhat he said",
    "```\n/build_run\n```",
    "~~~\n/build_run",  # never closed
    "    /build_run",
    "`/build_run`",
    "<!--\n/build_run\n-->",
    "- a list\n  /build_run",
    "[/build_run](https://example.org)",
    "> quoted\n/build_run",  # a lazy continuation belongs to the quote
    "/assign",
    "/lgtm\n/assign @ben",
    "/etc/passwd",
    "/build/run",
    "//build",
    "\u2215build_run",
    "/ build_run",
    "thanks\n\nOn Tue, 3 Mar 2026 at 10:02, Ann <ann@example.org> wrote:\n\n/build_run",
    "ok\n\n-- \n/build_run",
    "<div title='\n/build_run\n'>x</div>",
]


def test_words_that_are_no_commands_stay_unanswered(scene, bot, ann):
    asked = [ann.comments(body) for body in NOT_COMMANDS]
    scene.webhooks_are_idle()
    assert [comment.body for comment in asked if comment.reactions()] == []
    assert bot.comments() == [] and bot.jobs() == []


@pytest.mark.parametrize("body", [
    "/BUILD-run", "   /build_run  ", "Looks good.\n\n/build_run\n\nThanks!", "/kfops build_run",
    "/kfops /build_run", "- [ ] todo\n\n/build_run\n\n> /cancel", "/build_run\r\n",
    "<details><summary>x</summary>\n\n/build_run\n\n</details>", "/lgtm\n/build_run\n/assign",
], ids=["case and dash", "blanks around", "among sentences", "kfops form", "kfops form with slash",
        "beside a quote", "CRLF", "in details", "beside other bots' commands"])
def test_ways_to_write_it(scene, bot, ann, body):
    ann.comments(body)
    assert bot.ends() == "rocket"
    assert [job["command"] for job in bot.jobs()] == ["build_run"]


def test_help_lists_and_explains(scene, bot, ann, eve):
    said = ann.comments("/help") and bot.answer("| command |")
    for name in ("build", "run", "build_run", "status", "logs", "cancel", "retry", "help"):
        assert f"| `/{name}` |" in said
    bot.reacts("rocket")
    for line in ("/help run", "/run --help", "/run v1 --timeout 5 --help"):
        eve.comments(line)
        said = bot.answer("`/run [VERSION]")
        for flag in ("`--param K=V`", "`--experiment E`", "`--sha SHA`", "`--timeout T`", "`--name NAME`"):
            assert flag in said
    eve.comments("/help /Build-Run")
    bot.answer("`/build_run [--sha SHA]")
    ann.comments("/help train")
    bot.answer("There is no such command", "| `/build` |")
    assert scene.kubeflow.runs() == []


def test_several_commands_run_in_their_order(scene, bot, ann):
    ann.comments("/build\n/run --param rows=7\n/status")
    assert bot.ends() == "rocket"
    assert [(job["command"], job["state"]) for job in bot.jobs()] == [("build", 10), ("run", 10), ("status", 10)]
    assert scene.kubeflow.parameters()["rows"] == 7
    assert len(bot.comments()) == 3


def test_a_failure_stops_the_rest(scene, bot, ann):
    comment = ann.comments("/run --param rows=7\n/build")  # nothing is built yet, so /run fails
    assert bot.ends() == "-1"
    scene.wait_until(lambda: not bot.unfinished(), "the rest to be stopped")
    assert [(job["command"], job["code"]) for job in bot.jobs()] == \
        [("run", "run.no_version"), ("build", "group.stopped")]
    bot.answer("**/build**", "`group.stopped`", to=comment)
    assert scene.kubeflow.get("state")["versions"] == 0


def test_keep_going_goes_on_after_a_failure(scene, bot, ann):
    ann.comments("/run --param rows=7 --keep-going\n/build")
    scene.wait_until(lambda: len(bot.jobs()) == 2 and not bot.unfinished(), "both to end")
    assert [(job["command"], job["code"]) for job in bot.jobs()] == [("run", "run.no_version"), ("build", None)]
    assert scene.kubeflow.get("state")["versions"] == 1
    assert bot.ends() == "-1"  # the worst of both
