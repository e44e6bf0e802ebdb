"""What /deploy asks before it touches anything: each refusal has its code, its words and the line to paste next,
and production is as it was. What changes while it is under way is seen too."""

import models
import pytest
import texts

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY)

GRANTED = {"issues": "write", "pull_requests": "write", "checks": "write", "metadata": "read",
           "contents": "write", "deployments": "write", "statuses": "read"}  # as docs/operations.md has them
CHECK = {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "build"}]}}


def settings(scene, **changes) -> None:
    scene.github.post(f"repos/{scene.repo}/settings", **changes)


def check(scene, conclusion: str | None, name: str = "build") -> None:
    """What another App says of the head; None: it is still at it."""
    state = {"status": "completed", "conclusion": conclusion} if conclusion else {"status": "in_progress"}
    scene.github.post(f"repos/{scene.repo}/foreign-checks", name=name, head_sha=scene.pull.head, **state)


def refuses(scene, line: str, code: str, *words: str) -> None:
    """ben's command is refused so, and nothing was touched."""
    before = models.writes(scene)
    asked = scene.ben.comments(line)
    assert scene.bot.ends() == "-1"
    scene.bot.answer(f"`{code}`", *words, to=asked, patience=3)
    assert models.writes(scene) == before


def accepts(scene, line: str) -> str:
    asked = scene.ben.comments(line)
    assert scene.bot.ends() == "rocket"
    return scene.bot.answer("✅ **/deploy**", to=asked, patience=3)


def test_rules_of_the_base_branch(scene, bot, ann, ben):
    owner = scene.github.get("installations")[0]
    scene.github.post(f"installations/{owner['id']}/permissions", permissions=GRANTED)
    models.has_run(scene, ann, 1)
    scene.github.post(f"{scene.pull.path}/edit", draft=True)
    refuses(scene, "/deploy", "deploy.draft", "Ready for review")
    scene.github.post(f"{scene.pull.path}/edit", draft=False)

    check(scene, "failure")
    settings(scene, protection={"checks": ["build"]})
    refuses(scene, "/deploy", "deploy.checks", "build")
    settings(scene, protection={}, rules=[CHECK])
    refuses(scene, "/deploy", "deploy.checks", "build")
    settings(scene, rules=[{"type": "required_linear_history"}])
    refuses(scene, "/deploy", "deploy.merge_method", "`/deploy --merge-method squash`")
    settings(scene, rules=[], methods={"merge": False})
    refuses(scene, "/deploy production", "deploy.merge_method", "`/deploy production --merge-method squash`")

    settings(scene, rules=[CHECK], methods={"merge": True})
    for said in (None, "success"):
        waiting = ben.comments("/deploy --no-merge") if said is None else waiting
        check(scene, said)
        if said is None:
            bot.answer("still going on: build", to=waiting)
    assert bot.ends(to=waiting) == "rocket"

    settings(scene, rules=[], protection={"checks": ["lint"]})
    waiting = ben.comments("/deploy --merge-method squash")
    bot.answer("still going on: lint", to=waiting)
    check(scene, "success", "lint")
    assert bot.ends(to=waiting) == "rocket"
    assert scene.pull.look()["merged"]


def test_what_became_of_the_branch(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    scene.github.post(f"repos/{scene.repo}/commits", files={"other.md": "of somebody else\n"}, user="ben")
    refuses(scene, "/deploy", "deploy.behind", "lacks 1 commits", "Update branch")
    refuses(scene, '/deploy --force " "', "deploy.force_reason", "needs a reason")
    said = accepts(scene, '/deploy --force "the model is not touched by it"')
    assert "Skipped by --force" in said and scene.pull.look()["merged"]

    models.next_pull(scene, "Conflict", {"shared.md": "mine\n"})
    models.has_run(scene, ann, 2)
    scene.github.post(f"repos/{scene.repo}/commits", files={"shared.md": "theirs\n"}, user="ben")
    refuses(scene, "/deploy", "deploy.conflicts", "Solve them")

    models.next_pull(scene, "Workflow", {".github/workflows/ci.yml": "on: push\n"})
    models.has_run(scene, ann, 3)
    owner = scene.github.get("installations")[0]
    granted = {name: level for name, level in owner["permissions"].items() if name != "workflows"}
    scene.github.post(f"installations/{owner['id']}/permissions", permissions=granted)
    refuses(scene, "/deploy", "deploy.workflows", "`/deploy --no-merge`")
    scene.github.post(f"installations/{owner['id']}/permissions", permissions={**granted, "workflows": "write"})
    accepts(scene, "/deploy")
    assert scene.pull.look()["merged"]


def test_runs_and_their_models(scene, bot, ann, ben):
    refuses(scene, "/deploy", "deploy.no_run", "`/build_run`")
    old = models.has_run(scene, ann, 1)["run_id"]
    refuses(scene, "/deploy --run-id 00000000-0000-0000-0000-000000000000", "deploy.no_run")
    ann.pushes({"notes.md": "Six neighbours.\n"})
    refuses(scene, "/deploy", "deploy.no_run", "`/build_run`")
    refuses(scene, f"/deploy --run-id {old}", "deploy.old_run", "`/build_run`")
    failed = models.starts_run(scene, ann)
    scene.kubeflow.ends(failed["run_id"], "FAILED")
    assert bot.ends() == "-1"
    refuses(scene, f"/deploy --run-id {failed['run_id']}", "deploy.run_not_done", "FAILED")

    nothing = models.starts_run(scene, ann)
    scene.kubeflow.ends(nothing["run_id"])
    assert bot.ends() == "rocket"
    refuses(scene, "/deploy", "deploy.no_model", "give it out of a task")
    two = models.starts_run(scene, ann)
    for name, output in ((2, "model"), (3, "backup")):
        models.make(scene, name)
        models.leaves(scene, two, name, output)
    scene.kubeflow.ends(two["run_id"])
    assert bot.ends() == "rocket"
    refuses(scene, "/deploy", "deploy.which_model", "train/model", "train/backup", "Name one in")
    bare = models.starts_run(scene, ann)
    scene.cluster.post("objects", uri="s3://mlpipeline/models/iris-bare/data", text="a model without a name\n")
    models.leaves(scene, bare, "bare")
    scene.kubeflow.ends(bare["run_id"])
    assert bot.ends() == "rocket"
    refuses(scene, "/deploy", "deploy.model_kind", "joblib")

    models.next_pull(scene, "Other", models.files("knative"))
    refuses(scene, f"/deploy --run-id {bare['run_id']}", "deploy.foreign_run", "another pull request")


def test_a_push_between_the_comment_and_its_arrival(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    old, payload = scene.pull.head, scene.comment_payload(ben, "/deploy")
    head = ann.pushes({"notes.md": "Six neighbours.\n"})
    scene.webhooks_are_idle()
    scene.hook("issue_comment", payload)
    assert bot.ends() == "-1"
    bot.answer("`deploy.head_moved`", f"moved from `{old[:7]}` to `{head[:7]}`", f"`/deploy --sha {head}`", patience=3)
    models.has_run(scene, ann, 2)
    accepts(scene, f"/deploy --sha {head}")


def test_a_service_that_is_no_environment(scene, bot, ann, ben):
    models.has_run(scene, ann, 1)
    refuses(scene, "/deploy canary-eu", "deploy.no_environment", "`canary-eu`")
    refuses(scene, "/deploy --steps 50,10", "deploy.steps", "growing whole numbers")
    ann.pushes({texts.SETTINGS: texts.settings()[texts.SETTINGS]})
    models.has_run(scene, ann, 2)
    refuses(scene, "/deploy", "deploy.no_environment", "production")


def test_files_of_the_repository(scene, bot, ann, ben):
    ann.pushes({"serving/sample.json": "not JSON\n"})
    models.has_run(scene, ann, 1)
    refuses(scene, "/deploy", "deploy.sample_file", "serving/sample.json", "line 1")
    wanted = texts.deployment()
    ann.pushes({texts.SETTINGS: wanted[texts.SETTINGS].replace("serving/iris.yaml", "serving/other.yaml")})
    models.has_run(scene, ann, 2)
    refuses(scene, "/deploy", "deploy.no_file", "serving/other.yaml")
