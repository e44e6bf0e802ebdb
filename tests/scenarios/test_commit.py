"""Which commit a comment means: what the bot heard of pushes, what GitHub has written down of them, and what people
type. GitHub's clock is the stand-in's and is moved by the scene; deploying is in test_commit_deploy.py."""

import subprocess

import pytest


def heads(bot, number=1):
    return bot.rows("SELECT head_sha, action, at FROM heads WHERE pr = ? ORDER BY at, head_sha", number)


def chosen(bot):
    """The commit of the newest job."""
    return bot.jobs()[-1]["head_sha"]


# --- what is heard ---


def test_every_head_is_recorded_once(scene, bot, ann, ben):
    """Only what says something of the head counts; a change of the base, of the title or of labels does not."""
    first = scene.pull.head
    for kind in ("double", "two_hooks"):
        scene.github.fault(kind, on="webhook", event="pull_request", action="synchronize")
        ann.pushes({f"{kind}.md": "x\n"})
    scene.github.post("repos/lab/iris/commits", branch="release", files={"r.md": "r\n"}, user="ben")
    scene.github.post(f"{scene.pull.path}/edit", user="ann", base="release")
    scene.github.post(f"{scene.pull.path}/edit", user="ann", title="Another title")
    scene.webhooks_are_idle()
    scene.github.post("time", advance=5)
    ann.closes()
    scene.github.post("time", advance=5)
    ann.reopens()
    scene.webhooks_are_idle()
    rows = heads(bot)
    assert [row["action"] for row in rows] == ["opened", "synchronize", "synchronize", "reopened"]
    assert rows[0]["head_sha"] == first and rows[2]["head_sha"] == rows[3]["head_sha"] == scene.pull.head


def test_the_base_is_changed_after_the_push(scene, bot, ann):
    new = ann.pushes({"b.md": "b\n"})
    scene.github.post("repos/lab/iris/commits", branch="release", files={"r.md": "r\n"}, user="ben")
    scene.github.post(f"{scene.pull.path}/edit", user="ann", base="release")
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == new
    assert "NOTE" not in bot.answer(f"commit `{new[:7]}`")


def test_a_push_before_the_comment_is_heard_of_later(scene, bot, ann):
    """The webhook of the push comes after the comment: GitHub's API names the head."""
    old = scene.pull.head
    scene.github.fault("delay", on="webhook", event="pull_request", action="synchronize", seconds=2)
    new = ann.pushes({"b.md": "b\n"})
    ann.comments("/build")
    assert bot.ends() == "rocket"
    said = bot.answer(f"commit `{new[:7]}`")
    assert f"moved from `{old[:7]}` to `{new[:7]}` around your comment" in said


def test_a_push_between_comment_and_handling_is_not_what_was_meant(scene, bot, ann):
    """The comment arrives after a push that followed it: what runs is named plainly."""
    old = scene.pull.head
    scene.github.fault("delay", on="webhook", event="issue_comment", action="created", seconds=1.5)
    ann.comments("/build")
    new = ann.pushes({"b.md": "b\n"})
    assert bot.ends() == "rocket"
    bot.answer("/build", f"commit `{new[:7]}`", f"moved from `{old[:7]}` to `{new[:7]}`")


def test_pushes_that_are_heard_of_in_another_order(scene, bot, ann):
    scene.github.fault("delay", on="webhook", event="pull_request", action="synchronize", seconds=1)
    ann.pushes({"b.md": "b\n"})
    new = ann.pushes({"c.md": "c\n"})
    scene.webhooks_are_idle()
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == new
    assert "NOTE" not in bot.answer(f"commit `{new[:7]}`")


def test_several_pushes_within_one_second(scene, bot, ann):
    """Their order is not known, but the last of them is what GitHub names."""
    scene.github.post("time", stop=True)
    push = {"user": "ann", "files": {"b.md": "b\n"}}
    for text in ("b\n", "c\n", "d\n"):
        push["files"] = {"b.md": text}
        new = scene.github.post(f"{scene.pull.path}/push", **push)["head_sha"]
    scene.webhooks_are_idle()
    scene.github.post("time", stop=False, advance=2)
    assert len({row["at"] for row in heads(bot)[1:]}) == 1 and len(heads(bot)) == 4
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == new
    assert "NOTE" not in bot.answer(f"commit `{new[:7]}`")


def test_a_push_in_the_second_of_the_comment(scene, bot, ann):
    scene.github.post("time", advance=2)
    scene.github.post("time", stop=True)
    ann.comments("words of no matter")
    new = scene.github.post(f"{scene.pull.path}/push", user="ann", files={"b.md": "b\n"})["head_sha"]
    scene.webhooks_are_idle()
    ann.comments("/build")
    scene.github.post("time", stop=False)
    assert bot.ends() == "rocket" and chosen(bot) == new
    bot.answer(f"commit `{new[:7]}`", "around your comment")


@pytest.mark.parametrize("minutes", [-5, 5])
def test_clocks_that_differ_by_minutes(scene, bot, ann, minutes):
    """GitHub's times are compared with each other, never with ours."""
    scene.expects_log("event=github_clock_differs")
    scene.github.post("time", advance=60 * minutes)
    scene.pull = ann.opens("Later", "later", {"later.md": "x\n"})
    new = ann.pushes({"b.md": "b\n"})
    scene.webhooks_are_idle()
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == new
    assert "around your comment" not in bot.answer(f"commit `{new[:7]}`")


def test_github_still_shows_the_old_head(scene, bot, ann):
    """A read that is behind: the push that was heard of counts, and is what is built."""
    scene.github.post("time", advance=100)
    head = ann.pushes({"b.md": "b\n"})
    scene.webhooks_are_idle()
    scene.github.fault("stale_read", "GET", r"/pulls/1$", times=2, seconds=50)
    ann.comments("/build")
    assert bot.ends() == "rocket"
    bot.answer(head[:7])
    assert chosen(bot) == head and scene.github.get("faults")["pending"] == []


# --- what was missed ---


def misses_pushes(scene, times=1):
    scene.github.fault("drop", on="webhook", event="pull_request", action="synchronize", times=times)


@pytest.mark.scene(config={"poll": {"deliveries_interval": "1h"}})
def test_a_force_push_that_was_missed_is_recovered(scene, bot, ann):
    """GitHub has written down when it was: nothing is left to say."""
    misses_pushes(scene)
    new = ann.pushes({"b.md": "b\n"}, force=True)
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == new
    assert "around your comment" not in bot.answer(f"commit `{new[:7]}`")
    assert '"source":"pushes"' in bot.jobs()[-1]["data"]


@pytest.mark.scene(config={"poll": {"deliveries_interval": "1h"}})
def test_a_force_push_back_that_was_missed(scene, bot, ann):
    """GitHub names an older head, and that is no read that is behind."""
    first = scene.pull.head
    ann.pushes({"b.md": "b\n"})
    scene.webhooks_are_idle()
    misses_pushes(scene)
    scene.github.post("time", advance=1)
    scene.github.post(f"{scene.pull.path}/reset", user="ann", sha=first)
    scene.github.post("time", advance=1)
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == first
    assert "around your comment" not in bot.answer(f"commit `{first[:7]}`")


@pytest.mark.scene(config={"poll": {"deliveries_interval": "1h"}})
def test_a_push_that_was_missed_is_recovered(scene, bot, ann):
    """By the check suite that GitHub begins for a commit that comes to its branch."""
    scene.github.post("time", advance=120)
    misses_pushes(scene)
    new = ann.pushes({"b.md": "b\n"})
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == new
    assert '"source":"pushes"' in bot.jobs()[-1]["data"]


@pytest.mark.scene(mode="token", config={"poll": {"deliveries_interval": "1h"}})
def test_a_push_that_was_missed_and_left_no_trace(scene, bot, ann):
    """Without an App there are no check suites here: it is built, and said."""
    old = scene.pull.head
    misses_pushes(scene)
    new = ann.pushes({"b.md": "b\n"})
    ann.comments("/build")
    assert bot.ends() == "rocket" and chosen(bot) == new
    bot.answer(f"moved from `{old[:7]}` to `{new[:7]}` around your comment")


@pytest.mark.scene(start=False)
def test_a_comment_before_anything_was_heard(scene, bot, ann):
    """The pull request was opened before the bot listened; its log of deliveries is not for this bot either."""
    scene.expects_log("event=github_clock_differs")
    bot.configure(lambda config: config["poll"].update(deliveries_interval="1h"))
    scene.github.post("time", advance=4 * 86400)
    bot.start()
    ann.comments("/build")
    assert bot.ends() == "rocket"
    bot.answer("had not heard of a push")


# --- what is typed ---


def test_a_sha_must_be_of_the_pull_request(scene, bot, ann, ben):
    """Its own commits: no head of another pull request, no commit of the base, no branch."""
    old, base = scene.pull.head, scene.github.get("repos")[0]["head"]
    other = ben.opens("Other", "other", {"other.md": "x\n"}).head
    new = ann.pushes({"b.md": "b\n"})
    scene.webhooks_are_idle()
    for sha in (other, base, base[:10], "1234567", "0" * 40):
        ann.comments(f"/build --sha {sha}")
        assert bot.ends() == "-1", sha
        bot.answer("`pin.not_this_pull`", f"`/build --sha {new}`")
    for sha, want in ((new[:7], new), (old[:9], old), (new, new)):
        ann.comments(f"/build --sha {sha}")
        assert bot.ends() == "rocket", sha
        assert chosen(bot) == want
        bot.answer(f"commit `{want[:7]}`")


def test_a_branch_that_is_called_like_a_commit(scene, bot, ann, ben):
    """Names of branches and tags are never looked up, whatever they are called."""
    new = ann.pushes({"b.md": "b\n"})
    evil = ben.opens("Evil", "abcdef12", {"evil.md": "x\n"}).head
    git_dir = next(scene.folder.glob("github/git/*"))
    for ref, sha in ((f"refs/heads/{new[:7]}", evil), (f"refs/tags/{new[:8]}", evil)):
        subprocess.run(["git", "--git-dir", str(git_dir), "update-ref", ref, sha], check=True)
    scene.webhooks_are_idle()
    ann.comments("/build --sha abcdef12")
    assert bot.ends() == "-1"
    bot.answer("`pin.not_this_pull`")
    for length in (7, 8):
        ann.comments(f"/build --sha {new[:length]}")
        assert bot.ends() == "rocket" and chosen(bot) == new


def test_a_commit_of_a_fork_is_not_of_this_pull_request(scene, bot, ann, eve):
    """Every object of the whole network of forks can be read through the base repository."""
    theirs = eve.opens("From afar", "from-afar", {"x.md": "x\n"}, fork="eve").head
    for sha in (theirs, theirs[:12]):
        ann.comments(f"/build --sha {sha}")
        assert bot.ends() == "-1"
        bot.answer("`pin.not_this_pull`")


@pytest.mark.parametrize("text", ["abcdef", "main", "five-neighbours", "refs/heads/main", "HEAD", "abcdefg", "a" * 65,
                                  "--upload-pack=x", ""])
def test_what_is_no_sha_is_not_understood(scene, bot, ann, text):
    ann.comments(f"/build --sha {text}")
    bot.reacts("confused")
    bot.answer("`command.")


def test_a_pull_request_with_more_commits_than_are_listed(scene, bot, ann):
    """GitHub lists 250. A short name may be that of several then, a whole one is compared with head and base."""
    first, base = scene.pull.head, scene.github.get("repos")[0]["head"]
    new = scene.github.post(f"{scene.pull.path}/push", user="ann", files={"many.md": "x\n"}, commits=260)["head_sha"]
    scene.github.post("time", advance=1)
    scene.webhooks_are_idle()
    ann.comments(f"/build --sha {new[:9]}")
    assert bot.ends() == "-1"
    bot.answer("`pin.too_short`", f"`/build --sha {new}`")
    for sha in (new, first):
        ann.comments(f"/build --sha {sha}")
        assert bot.ends() == "rocket" and chosen(bot) == sha
    for sha in (base, "0" * 40):
        ann.comments(f"/build --sha {sha}")
        assert bot.ends() == "-1"
        bot.answer("`pin.not_this_pull`")


def test_two_commits_that_begin_alike(scene, bot, ann):
    one, two = scene.github.post(f"{scene.pull.path}/alike", user="ann")["shas"]
    scene.github.post("time", advance=1)
    scene.webhooks_are_idle()
    assert one[:7] == two[:7]
    ann.comments(f"/build --sha {one[:7]}")
    assert bot.ends() == "-1"
    bot.answer("`pin.ambiguous`", f"begin with `{two[:7]}`", scene.pull.head)
    ann.comments(f"/build --sha {one}")
    assert bot.ends() == "rocket" and chosen(bot) == one
