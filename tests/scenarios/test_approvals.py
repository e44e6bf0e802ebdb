"""Approvals: who may say that exactly this commit goes to production, and who may not. The operator asks for two."""

import models
import pytest
from test_audit import audit, said

REPOSITORIES = [{"match": "lab/*", "cluster": "main", "approvals": 2,
                 "namespaces": ["team-a", "ml-prod", "ml-staging"]}]
ASKED = pytest.mark.scene(**models.KNATIVE_WAY, config={"repositories": REPOSITORIES})
ONE_ASKED = pytest.mark.scene(**models.KNATIVE_WAY,
                              config={"repositories": [{**REPOSITORIES[0], "approvals": 1}]})


NAMED = ("environments: { production: { deploy: { permission: write }, require: [], approvals: 1, "
         "approvers: { teams: [ml-leads, gone] } } }\n")


@pytest.fixture
def cat(scene):
    return writer(scene, "cat")


@pytest.fixture
def dan(scene):
    return writer(scene, "dan")


def writer(scene, login: str):
    person = scene.person(login)
    person.is_given("write")
    return person


def deploys(scene) -> tuple:
    """Ben's /deploy of ann's pull request, which waits for approvals: his comment and the job's number."""
    models.has_run(scene, scene.ann, 0)
    comment = scene.ben.comments("/deploy")
    waits(scene, comment)
    return comment, scene.bot.job_of(comment)["id"]


def waits(scene, comment, *words: str) -> str:
    scene.bot.answer("approvals", "`/approve ", *words, to=comment)
    return scene.bot.answer("`/approve ", to=comment)


@ASKED
def test_two_people_approve_and_it_starts(scene, bot, cat, dan):
    comment, job = deploys(scene)
    bot.answer("0 of 2", to=comment)
    assert models.writes(scene) == []
    cat.reviews()
    bot.answer("1 of 2", to=comment)
    dan.comments(f"/approve {job}")
    assert bot.ends() == "rocket"
    bot.answer("2 of 2", f"dan approves `{scene.pull.look()['head_sha'][:7]}` for production")
    assert bot.ends(to=comment) == "rocket"
    bot.answer("✅ **/deploy**", "2 of 2", to=comment)
    assert models.answers(scene) == [0] and scene.pull.look()["merged"]
    row = next(row for row in audit(scene) if row["effect"] == "store.approve")
    assert row["actor"] == "dan" and row["after"].startswith(f"job={job} command=deploy sha=")


@ONE_ASKED
def test_many_strangers_who_approve_do_not_hide_who_counts(scene, bot, cat):
    models.has_run(scene, scene.ann, 0)
    for number in range(21):
        scene.person(f"guest-{number}").reviews()
    cat.reviews()
    comment = scene.ben.comments("/deploy")
    assert bot.ends(to=comment) == "rocket"
    bot.answer("1 of 1", to=comment)


@ONE_ASKED
def test_who_does_not_count(scene, bot, ann, ben, eve, cat):
    """The author, the requester, and who may only read; then somebody who does."""
    comment, job = deploys(scene)
    ann.comments(f"/approve {job}")
    assert bot.ends() == "-1"
    bot.answer("`approve.not_counted`", "ann opened the pull request")
    ben.comments(f"/approve {job}")
    assert bot.ends() == "-1"
    bot.answer("`approve.not_counted`", "ben asked for it")
    eve.comments(f"/approve {job}")
    assert bot.ends() == "-1"
    bot.answer("`denied.permission`")
    eve.reviews()
    bot.answer("0 of 1", "eve may not approve here", to=comment)
    assert models.writes(scene) == []
    cat.comments(f"/approve {job}")
    assert bot.ends(to=comment) == "rocket"
    assert said(audit(scene)).count("refused approve.not_counted") == 2


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_only_the_named_approve(scene, bot, cat, dan):
    """The policy names two teams; cat is in neither of those that GitHub shows, dan is in one below the first."""
    scene.github.post(f"repos/{scene.repo}/commits", files={".github/kfops.yaml": NAMED})
    scene.github.post("teams", org="lab", slug="ml-leads", members={})
    scene.github.post("teams", org="lab", slug="ml-vision", members={"dan": "member"}, parent="ml-leads")
    comment, job = deploys(scene)
    waits(scene, comment, "needs approval by one of `@lab/ml-leads`, `@lab/gone`;", "by them starts it")
    cat.comments(f"/approve {job}")
    assert bot.ends() == "-1"
    bot.answer("`approve.not_counted`", "cat is perhaps in the team `gone`, which GitHub does not show",
               "Who counts: one of `@lab/ml-leads`, `@lab/gone`")
    scene.github.post("teams", org="lab", slug="gone", members={})
    cat.reviews()
    bot.answer("0 of 1", "cat is not one of the approvers", to=comment)
    assert models.writes(scene) == []
    dan.reviews()
    assert bot.ends(to=comment) == "rocket"
    bot.answer("1 of 1", to=comment)


@ONE_ASKED
def test_co_authors_do_not_count(scene, bot, ann, cat, dan):
    ann.pushes({"more.md": "more\n"}, message="More\n\nCo-authored-by: cat <cat@users.noreply.example.com>\n"
               "Co-authored-by: Dan <99+dan@users.noreply.example.com>")
    comment, job = deploys(scene)
    for person in (cat, dan):
        person.comments(f"/approve {job}")
        assert bot.ends() == "-1"
        bot.answer("`approve.not_counted`", f"{person.login} is co-author of the commit")
    writer(scene, "eli").reviews()
    assert bot.ends(to=comment) == "rocket"


@ONE_ASKED
def test_an_author_without_an_account_stops_it(scene, bot, ann, ben, cat):
    ann.pushes({"more.md": "more\n"}, message="More\n\nCo-authored-by: Cat <cat@laptop.local>")
    cat.reviews()
    models.has_run(scene, ann, 0)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.approvals_unknown`", "which account the co-author", "laptop")
    assert models.writes(scene) == []


@ONE_ASKED
def test_an_older_commit_does_not_count(scene, bot, ann, ben, cat):
    old = scene.pull.look()["head_sha"]
    cat.reviews()
    ann.pushes({"more.md": "more\n"})
    comment, _ = deploys(scene)
    bot.answer("0 of 1", f"approved another commit, `{old[:7]}`", to=comment)
    cat.reviews()
    assert bot.ends(to=comment) == "rocket"


@ASKED
def test_dismissed_and_changed_reviews(scene, bot, ben, cat, dan):
    comment, job = deploys(scene)
    review = cat.reviews()
    bot.answer("1 of 2", to=comment)
    ben.dismisses(review)
    bot.answer("0 of 2", "cat was dismissed", to=comment)
    cat.comments(f"/approve {job}")
    assert bot.ends() == "rocket"
    dan.reviews("CHANGES_REQUESTED")
    assert bot.ends(to=comment) == "-1"
    bot.answer("`deploy.changes_requested`", "dan", to=comment)
    assert models.writes(scene) == []


@ONE_ASKED
def test_an_approval_of_another_base_does_not_count(scene, bot, ann, ben, cat):
    """Approved while it went to a branch that nothing guards, then pointed at the default branch."""
    scene.github.post(f"repos/{scene.repo}/commits", branch="playground", files={}, user="ben")
    scene.github.post(f"{scene.pull.path}/edit", user="ann", base="playground")
    cat.reviews()
    scene.github.post("time", advance=2)
    scene.github.post(f"{scene.pull.path}/edit", user="ann", base="main")
    scene.webhooks_are_idle()
    comment, _ = deploys(scene)
    bot.answer("0 of 1", "cat approved before the base branch was changed", to=comment)
    scene.github.post("time", advance=2)
    cat.reviews()
    assert bot.ends(to=comment) == "rocket"


@ONE_ASKED
def test_a_push_ends_the_wait(scene, bot, ann, cat):
    comment, job = deploys(scene)
    new = ann.pushes({"more.md": "more\n"})
    assert bot.ends(to=comment) == "-1"
    bot.answer("`deploy.head_moved`", f"--sha {new[:7]}", to=comment)
    cat.comments(f"/approve {job}")
    assert bot.ends() == "-1"
    bot.answer("`job.ended`")


@ONE_ASKED
def test_an_edited_comment_approves_nothing(scene, bot, ben, cat):
    comment, job = deploys(scene)
    plain = cat.comments("ok")
    plain.is_edited(f"/approve {job}", by=ben)
    scene.webhooks_are_idle()
    assert plain.reactions() == [] and bot.rows("SELECT * FROM approvals") == []
    cat.comments(f"/approve {job}")
    assert bot.ends(to=comment) == "rocket"


@pytest.mark.scene(**models.KNATIVE_WAY, config={
    "repositories": REPOSITORIES, "limits": {"job_deadline": "20s"}})
def test_approvals_that_do_not_come(scene, bot, cat):
    comment, _ = deploys(scene)
    cat.reviews()
    assert bot.ends(to=comment, patience=40) == "confused"
    bot.answer("`deploy.approvals_expired`", "1 of 2", "`/deploy`", to=comment)
    assert models.writes(scene) == []


@ONE_ASKED
def test_a_wait_outlives_a_kill(scene, bot, cat):
    comment, job = deploys(scene)
    bot.restart(kill=True)
    cat.comments(f"/approve {job}")
    assert bot.ends(to=comment) == "rocket"
    assert models.answers(scene) == [0]


@ONE_ASKED
def test_what_plan_says_and_what_needs_none(scene, bot, ann, ben, cat):
    models.has_run(scene, ann, 0)
    ann.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("0 of 1 approvals that count")
    ben.comments("/staging_deploy")
    assert bot.ends() == "rocket"
    cat.comments("/approve 1")
    assert bot.ends() == "-1"
    bot.answer("`job.ended`")
    cat.comments("/approve 99")
    assert bot.ends() == "-1"
    bot.answer("`job.unknown`")
    scene.kubeflow.holds_runs()
    comment = ann.comments("/run")
    bot.answer("▶️", to=comment)
    cat.comments(f"/approve {bot.job_of(comment)['id']}")
    assert bot.ends() == "-1"
    bot.answer("`approve.not_waiting`")
    ann.comments("/cancel all")
    assert bot.ends(to=comment) == "confused"
