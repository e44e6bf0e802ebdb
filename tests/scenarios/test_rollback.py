"""Back again: twice in a row, to a deployment by its number, and what GitHub shows of it; in each of the three ways."""

import models
import pytest
from models import IN_EACH_WAY


def deploys(scene, *names: int) -> list:
    """These models, one after the other, each of a pull request of its own, merged; the pull requests."""
    pulls = []
    for name in names:
        if pulls:
            models.next_pull(scene, f"Model {name}")
        models.has_run(scene, scene.ann, name)
        scene.ben.comments("/deploy")
        assert scene.bot.ends() == "rocket"
        assert models.answers(scene) == [name]
        pulls.append(scene.pull)
    return pulls


def back(scene, *words: str, command: str = "/rollback production") -> str:
    scene.ben.comments(command)
    assert scene.bot.ends() == "rocket"
    return scene.bot.answer("✅ **/rollback**", *words)


def states(pull) -> list[str]:
    return pull.look()["deployments"][-1]["states"]


def refused(scene, command: str, *words: str) -> str:
    before = models.writes(scene), models.answers(scene)
    scene.ben.comments(command)
    assert scene.bot.ends() == "-1"
    said = scene.bot.answer("❌ **/rollback**", *words, patience=3)
    assert (models.writes(scene), models.answers(scene)) == before
    return said


def number(scene, pull) -> int:
    """Of the deployment that this pull request made."""
    return scene.bot.rows("SELECT max(id) AS id FROM deployments WHERE pr = ? AND percent = 100", pull.number)[0]["id"]


@IN_EACH_WAY
def test_twice_in_a_row_and_on_again(scene, bot, ann, ben, way):
    first, second, third = deploys(scene, 0, 1, 2)
    assert [states(pull) for pull in (first, second, third)] == [["success", "inactive"]] * 2 + [["success"]]
    back(scene, f"(pull request {second.number}) again")
    assert models.answers(scene) == [1]
    assert states(third)[-1] == "inactive" and states(second)[-1] == "success"
    assert second.look()["labels"] == ["Deployed-to-production"] and third.look()["labels"] == []
    back(scene, f"(pull request {first.number}) again")
    assert models.answers(scene) == [0]
    assert [states(pull)[-1] for pull in (first, second, third)] == ["success", "inactive", "inactive"]
    assert first.look()["labels"] == ["Deployed-to-production"]
    refused(scene, "/rollback production", "`rollback.nothing`")

    models.next_pull(scene, "Fourth")
    models.has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]
    back(scene, f"(pull request {first.number}) again")
    assert models.answers(scene) == [0]
    assert scene.cluster.service("ml-prod", "iris-canary") is None


@IN_EACH_WAY
def test_to_a_number_back_and_forth(scene, bot, ann, ben, way):
    first, second, third = deploys(scene, 0, 1, 2)
    numbers = [number(scene, pull) for pull in (first, second, third)]
    ben.comments("/status")
    assert bot.ends() == "rocket"
    bot.answer(f"| production | {numbers[2]} |", f"Earlier in production: {numbers[1]} (", f"{numbers[0]} (",
               "`/rollback production --to NUMBER`")
    said = back(scene, f"(pull request {first.number}) again", f"| deployment | {numbers[0]} |", "Sample: status 200",
                command=f"/rollback production --to {numbers[0]}")
    assert "loaded and ready" in said
    assert models.answers(scene) == [0]
    assert [states(pull)[-1] for pull in (first, second, third)] == ["success", "inactive", "inactive"]
    refused(scene, f"/rollback production --to {numbers[0]}", "`rollback.is_live`")
    refused(scene, "/rollback production", "`rollback.nothing`")

    back(scene, f"(pull request {third.number}) again", command=f"/rollback production --to {numbers[2]}")
    assert models.answers(scene) == [2] and states(third)[-1] == "success"
    assert third.look()["labels"] == ["Deployed-to-production"]
    back(scene, f"(pull request {first.number}) again")
    assert models.answers(scene) == [0]
    assert scene.cluster.service("ml-prod", "iris-canary") is None


@IN_EACH_WAY
def test_numbers_that_lead_nowhere(scene, bot, ann, ben, way):
    first, _ = deploys(scene, 0, 2)
    one = number(scene, first)
    models.next_pull(scene, "Broken")
    models.has_run(scene, ann, 3, text="not a model")
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    failed = bot.rows("SELECT max(id) AS id FROM deployments")[0]["id"]
    refused(scene, f"/rollback production --to {failed}", "`rollback.never_served`", "/status")
    refused(scene, "/rollback production --to 999", "`rollback.no_deployment`", "/status")
    models.next_pull(scene, "In staging")
    models.has_run(scene, ann, 1)
    ben.comments("/staging_deploy")
    assert bot.ends() == "rocket"
    staged = bot.rows("SELECT max(id) AS id FROM deployments")[0]["id"]
    refused(scene, f"/rollback production --to {staged}", "`rollback.other_environment`", "made in staging")

    models.make(scene, 0, 1)
    refused(scene, f"/rollback production --to {one}", "`deploy.model_changed`")
    scene.cluster.send("DELETE", f"objects?uri={models.folder(0)}")
    refused(scene, f"/rollback production --to {one}", "`deploy.no_model`")


@IN_EACH_WAY
def test_a_model_that_does_not_start_any_more(scene, bot, ann, ben, way):
    first, second = deploys(scene, 0, 2)
    scene.cluster.post(f"services/ml-prod/iris{'-canary' if way == 'second' else ''}/trouble", kind="OOMKilled")
    ben.comments(f"/rollback production --to {number(scene, first)}")
    assert bot.ends() == "-1"
    bot.answer("❌ **/rollback**", "`deploy.model_failed`", "back to the model before")
    assert models.answers(scene) == [2]
    assert second.look()["labels"] == ["Deployed-to-production"] and states(second)[-1] == "success"
    back(scene, f"(pull request {first.number}) again")
    assert models.answers(scene) == [0]


@IN_EACH_WAY
def test_after_a_deployment_that_was_given_twice(scene, bot, ann, ben, way):
    (first,) = deploys(scene, 0)
    models.next_pull(scene, "Twice")
    models.has_run(scene, ann, 2)
    ben.comments("/deploy --no-merge")
    assert bot.ends() == "rocket"
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert len(scene.pull.look()["deployments"]) == 1
    back(scene, f"(pull request {first.number}) again")
    assert [each["states"][-1] for each in scene.pull.look()["deployments"]] == ["inactive"]
    assert states(first) == ["success", "inactive", "success"]


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_the_same_model_of_another_commit(scene, bot, ann, ben):
    first, second = deploys(scene, 0, 2)
    models.next_pull(scene, "Words only")
    run = models.starts_run(scene, ann)
    models.leaves(scene, run, 2)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    bot.answer("which is merged")
    print([x for x in bot.log_lines() if x.get("event") == "audit"][-6:], models.writes(scene))
    assert states(second)[-1] == "inactive" and states(scene.pull)[-1] == "success"
    back(scene, f"(pull request {first.number}) again")
    assert [states(pull)[-1] for pull in (first, second, scene.pull)] == ["success", "inactive", "inactive"]


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_the_audit_says_what_served_before(scene, bot, ann, ben):
    deploys(scene, 0)
    models.next_pull(scene, "Broken")
    models.has_run(scene, ann, 3, text="not a model")
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    models.next_pull(scene, "Good")
    models.has_run(scene, ann, 2)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    back(scene)
    said = [(line["before"], line["after"].split("storage_uri=")[1]) for line in bot.log_lines()
            if line.get("event") == "audit" and line["what"] == "store.deployment"]
    assert said == [("", models.folder(0)), (models.folder(0), models.folder(3)),
                    (models.folder(0), models.folder(2)), (models.folder(2), models.folder(0))]


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_somebody_else_put_a_model_there(scene, bot, ann, ben):
    first, _ = deploys(scene, 0, 2)
    scene.cluster.post("services/ml-prod/iris/edit",
                       patch={"metadata": {"annotations": {"kfops.dev/job": "somebody"}}})
    refused(scene, "/rollback production", "`deploy.changed`", "--to NUMBER")
    back(scene, f"(pull request {first.number}) again", command=f"/rollback production --to {number(scene, first)}")
    assert models.answers(scene) == [0]


@IN_EACH_WAY
def test_somebody_deleted_the_service(scene, bot, ann, ben, way):
    first, second = deploys(scene, 0, 2)
    scene.cluster.send("DELETE", "services/ml-prod/iris")
    ben.comments("/rollback production")
    assert bot.ends() == "-1"
    bot.answer("❌ **/rollback**", "`deploy.deleted`", "--to NUMBER")
    assert scene.cluster.service("ml-prod") is None
    back(scene, f"(pull request {first.number}) again", command=f"/rollback production --to {number(scene, first)}")
    assert models.answers(scene) == [0] and states(second)[-1] == "inactive"


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_the_service_was_made_anew_by_a_deployment(scene, bot, ann, ben):
    first, = deploys(scene, 0)
    scene.cluster.send("DELETE", "services/ml-prod/iris")
    models.next_pull(scene, "Anew")
    models.has_run(scene, ann, 2)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    back(scene, f"(pull request {first.number}) again")
    assert models.answers(scene) == [0]
