"""The end of a deployment at GitHub: the merge queue, what the rules of the branch ask for, the branch that is left."""

import json
import pathlib

import models
import pytest
import texts
from test_deploy_gates import CHECK, accepts, check, refuses, settings

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY)

QUEUE = {"type": "merge_queue", "parameters": {"merge_method": "SQUASH"}}
REVIEW = {"type": "pull_request", "parameters": {"required_approving_review_count": 1}}


def queue(scene, **what) -> None:
    """What GitHub's queue does with the pull request."""
    scene.github.post(f"repos/{scene.repo}/queue", number=scene.pull.number, **what)


def is_queued(scene, asked) -> None:
    scene.wait_until(lambda: scene.pull.look()["in_queue"], "the pull request to be in the merge queue")
    scene.bot.answer("in the merge queue, position 1", to=asked)


def serves_unmerged(scene, asked, code: str, *words: str) -> None:
    """The end: deployed, not merged, and the way on."""
    assert scene.bot.ends(to=asked) in ("-1", "confused")
    scene.bot.answer(code, "roduction serves the model", "`/rollback production`", *words, to=asked, patience=3)
    seen = scene.pull.look()
    assert not seen["merged"] and not seen["in_queue"] and seen["labels"] == ["Deployed-to-production"]
    assert seen["deployments"][-1]["states"][-1] == "success"


def test_through_the_merge_queue(scene, bot, ann, ben):
    settings(scene, rules=[QUEUE])
    models.has_run(scene, ann, 1)
    ben.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("It goes into the merge queue when its model serves", "No gate refuses it")
    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    assert models.answers(scene) == [1] and not scene.pull.look()["merged"]
    queue(scene, state="AWAITING_CHECKS")
    bot.answer("its checks are going on", to=asked)
    bot.stop(kill=True)
    queue(scene, merge=True)
    bot.start()
    assert bot.ends(to=asked) == "rocket"
    bot.answer("✅ **/deploy**", "into `main`", "which is merged", to=asked, patience=3)
    assert scene.pull.look()["merged"]

    models.next_pull(scene, "Classic")
    settings(scene, rules=[], protection={"queue": True})
    models.has_run(scene, ann, 2)
    scene.github.fault("drop", on="webhook", event="pull_request", action="closed")
    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    queue(scene, merge=True)
    assert bot.ends(to=asked) == "rocket"
    assert models.answers(scene) == [2]


def test_thrown_out_of_the_merge_queue(scene, bot, ann, ben):
    settings(scene, rules=[QUEUE])
    models.has_run(scene, ann, 1)
    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    queue(scene, remove="CI_FAILURE")
    serves_unmerged(scene, asked, "`deploy.dequeued`", "removed from the merge queue", "ci_failure")

    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    ben.comments("/cancel")
    serves_unmerged(scene, asked, "topped by ben", "taken out of the merge queue")
    assert [item["code"] for item in bot.jobs() if item["comment_id"] == asked.id] == ["job.cancelled"]

    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    head = ann.pushes({"notes.md": "Seven neighbours.\n"})
    serves_unmerged(scene, asked, "`deploy.moved`", "its head has moved", "`/build_run`")
    assert scene.pull.head == head

    models.has_run(scene, ann, 2)
    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    ben.closes()
    serves_unmerged(scene, asked, "`deploy.closed_unmerged`", "closed without being merged", "Reopen it")
    ben.comments("/rollback production")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]


def test_the_merge_queue_says_no(scene, bot, ann, ben):
    settings(scene, rules=[QUEUE])
    models.has_run(scene, ann, 1)
    scene.github.post(f"repos/{scene.repo}/queue", number=scene.pull.number, enter="ann")
    refuses(scene, "/deploy", "deploy.in_queue", "Take it out of the queue first")
    queue(scene, remove="MANUAL")

    scene.cluster.post("timing", load="hold")
    asked = ben.comments("/deploy")
    scene.wait_until(lambda: scene.cluster.get("held"), "the model to be loading")
    settings(scene, rules=[QUEUE, CHECK])
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
    serves_unmerged(scene, asked, "`merge.refused`", 'Required status check "build" is expected')
    check(scene, "success")

    scene.github.fault("lost_answer", method="POST", path="/graphql", has="enqueuePullRequest")
    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    queue(scene, merge=True)
    assert bot.ends(to=asked) == "rocket"
    entered = [item for item in scene.github.mutations() if item["kind"] == "queue.entered"]
    assert [item["user"] for item in entered] == ["ann", bot.login]


def test_reviews_that_the_branch_requires(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    ask = f"{scene.pull.path}/reviews"
    for rules, protection in ([REVIEW], {}), ([], {"reviews": 1}):
        settings(scene, rules=rules, protection=protection)
        refuses(scene, "/deploy", "deploy.review_required", 'The rules of "main" ask for a review')
    scene.github.post(ask, user="eve", state="APPROVED")
    refuses(scene, "/deploy", "deploy.review_required")
    scene.github.post(ask, user="ben", state="CHANGES_REQUESTED")
    refuses(scene, '/deploy --force "now"', "deploy.changes_requested", "Settle that first")
    scene.github.post(ask, user="ben", state="APPROVED")
    settings(scene, protection={"reviews": 1, "code_owners": True}, code_owners=["kim"])
    refuses(scene, "/deploy", "deploy.review_required", "code owners")
    settings(scene, unreadable=["reviewDecision", "mergeStateStatus"])
    refuses(scene, "/deploy", "deploy.unverified", "Could not verify the reviews")
    settings(scene, unreadable=[], code_owners=["ben"])
    ben.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("The reviews that the branch requires have been given")
    accepts(scene, "/deploy")
    assert scene.pull.look()["merged"]


def test_other_rules_of_the_branch(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    threads = f"{scene.pull.path}/threads"
    opened = scene.github.post(threads)
    resolved = {"type": "pull_request", "parameters": {"required_review_thread_resolution": True}}
    for rules, protection in ([resolved], {}), ([], {"conversations": True}):
        settings(scene, rules=rules, protection=protection)
        refuses(scene, "/deploy", "deploy.conversations", "1 are not")
    scene.github.post(threads, id=opened["id"], resolved=True)

    settings(scene, protection={}, rules=[{"type": "required_signatures"}])
    refuses(scene, "/deploy", "deploy.blocked", "blocks the merge", "signatures")
    settings(scene, rules=[], unreadable=["mergeStateStatus"])
    refuses(scene, "/deploy", "deploy.unverified", "whether the rules of the branch hold")
    settings(scene, unreadable=["isMergeQueueEnabled"])
    refuses(scene, "/deploy", "deploy.unverified", "has a merge queue")

    wanted = {"type": "required_deployments",
              "parameters": {"required_deployment_environments": ["staging", "production"]}}
    settings(scene, unreadable=[], rules=[wanted])
    refuses(scene, "/deploy", "deploy.required_deployment", "`/deploy staging`")
    assert accepts(scene, "/deploy staging")
    assert accepts(scene, "/deploy")
    assert scene.pull.look()["merged"]


def test_a_branch_that_must_be_up_to_date(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    settings(scene, protection={"strict": True})
    scene.github.post(f"repos/{scene.repo}/commits", files={"other.md": "of somebody else\n"}, user="ben")
    refuses(scene, '/deploy --force "the model is not touched by it"', "deploy.behind", "--force does not lift them")
    settings(scene, protection={})
    accepts(scene, '/deploy --force "the model is not touched by it"')
    assert scene.pull.look()["merged"]


DELETES = {"files": texts.deployment(delete_branch="true")}


@pytest.mark.scene(**{**models.KNATIVE_WAY, **DELETES})
def test_the_branch_is_deleted_after_the_merge(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    accepts(scene, "/deploy --no-merge")
    assert scene.pull.look()["branch_at"] == scene.pull.head
    said = accepts(scene, "/deploy")
    assert "its branch is deleted" in said and scene.pull.look()["branch_at"] is None

    for number, what in enumerate(("protected", "ruled", "pushed", "gone"), 2):
        models.next_pull(scene, what.capitalize())
        branch = what
        models.has_run(scene, ann, number)
        if what == "protected":
            settings(scene, protected_branches=[branch])
        if what == "ruled":
            settings(scene, branch_rules=[{"type": "deletion"}])
        if what == "pushed":
            settings(scene, branch_rules=[])
            scene.github.fault("delay", method="POST", path="/graphql", has="updateRefs", seconds=3, when="before")
        asked = ben.comments("/deploy")
        if what in ("pushed", "gone"):
            scene.wait_until(lambda: scene.pull.look()["merged"], "the merge")
        if what == "pushed":
            scene.github.post(f"repos/{scene.repo}/commits", branch=branch, files={"late.md": "late\n"}, user="ann")
        assert bot.ends(to=asked) == "rocket"
        said = bot.answer("✅ **/deploy**", "which is merged", to=asked, patience=3)
        kept = {"protected": "it is protected", "ruled": "it is protected", "pushed": "is at"}.get(what)
        assert (f"The branch was not deleted: {kept}" in said) if kept == "it is protected" else \
            ("The branch was not deleted" in said) == bool(kept), said
        assert (scene.pull.look()["branch_at"] is not None) == bool(kept)


@pytest.mark.scene(mode="token", **models.KNATIVE_WAY)
def test_as_a_user_with_a_token(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    ben.comments("/staging_deploy")
    assert bot.ends() == "rocket"
    said = accepts(scene, "/deploy")
    assert "into `main`" in said and models.answers(scene) == [1]
    seen = scene.pull.look()
    assert seen["merged"] and set(seen["labels"]) == {"Deployed-to-staging", "Deployed-to-production"}
    assert [each["states"][-1] for each in seen["deployments"]] == ["success", "success"]
    bot.status("kfops/deploy-production", state="success")

    models.next_pull(scene, "Queue")
    settings(scene, rules=[QUEUE])
    models.has_run(scene, ann, 2)
    asked = ben.comments("/deploy")
    is_queued(scene, asked)
    queue(scene, merge=True)
    assert bot.ends(to=asked) == "rocket"

    models.next_pull(scene, "Workflow", {".github/workflows/ci.yml": "on: push\n"})
    settings(scene, rules=[])
    models.has_run(scene, ann, 3)
    refuses(scene, "/deploy", "deploy.workflows", "a classic token: the scope", "--no-merge")
    told = pathlib.Path(json.loads(bot.config_file.read_text())["github"]["token_file"])
    scene.github.post("tokens", user="kfops-bot", token=told.read_text().strip(), scopes=None)
    refuses(scene, "/deploy", "deploy.unverified", "not of a fine-grained one", "`/deploy --no-merge`")
    scene.github.post("tokens", user="kfops-bot", token=told.read_text().strip(), scopes="repo, read:org, workflow")
    accepts(scene, "/deploy")
    assert models.answers(scene) == [3] and scene.pull.look()["merged"]
