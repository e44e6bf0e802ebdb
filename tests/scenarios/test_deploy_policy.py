"""What the policy asks of a deployment beside the right to it: holds, freezes, the environment before, namespaces."""

import models
import pytest
import texts

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY)

ELSEWHERE = {**texts.deployment(), texts.SETTINGS: texts.deployment()[texts.SETTINGS].replace("ml-staging", "ml-prod")}
ALWAYS = '["Mon 00:00-Sun 00:00", "Sun 00:00-Mon 00:00"]'


def merged(scene, policy: str) -> None:
    scene.github.post(f"repos/{scene.repo}/commits", files={".github/kfops.yaml": policy})


def refused(scene, person, line: str, code: str, *words: str) -> None:
    before = models.writes(scene)
    asked = person.comments(line)
    assert scene.bot.ends(to=asked) == "-1"
    scene.bot.answer(f"`{code}`", *words, to=asked)
    assert models.writes(scene) == before


def done(scene, person, line: str) -> None:
    assert scene.bot.ends(to=person.comments(line)) == "rocket", line


def test_production_comes_after_staging_and_a_hold_holds(scene, bot, ann, ben):
    merged(scene, "environments:\n"
                  "  staging: { deploy: { permission: write }, require: [] }\n"
                  "  production: { deploy: { users: [ann] }, after: staging, require: [], merge: squash }\n")
    models.has_run(scene, ann, 1)
    refused(scene, ben, "/deploy", "denied.team", "user `ann`")
    refused(scene, ann, "/deploy", "deploy.previous", "must be in staging", "`/deploy staging`")
    done(scene, ann, "/staging_deploy")
    done(scene, ben, "/hold --reason 'numbers look odd'")
    refused(scene, ann, "/deploy", "deploy.on_hold", "by ben: numbers look odd", "`/unhold`")
    done(scene, ann, "/plan")
    bot.answer("on hold by ben", to=scene.last_comment)
    done(scene, ann, "/unhold")
    refused(scene, ann, "/deploy --merge-method merge", "deploy.merge_method", "squash")
    ann.pushes({"notes.md": "words\n"})  # the training task comes from the cache, so the model is the same
    run = models.starts_run(scene, ann)
    models.leaves(scene, run, 1)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    refused(scene, ann, "/deploy", "deploy.previous", "must be in staging")
    done(scene, ann, "/staging_deploy")
    done(scene, ann, "/deploy")
    assert scene.pull.look()["merged"] and models.answers(scene) == [1]


def test_a_freeze_which_only_maintainers_pass_over(scene, bot, ann, ben):
    merged(scene, "environments:\n"
                  "  production: { deploy: { permission: write }, require: [], canary: [50], "
                  f"freeze: {ALWAYS} }}\n")
    models.has_run(scene, ann, 1)
    refused(scene, ann, "/deploy", "deploy.frozen", "the freeze ends")
    refused(scene, ann, "/deploy --force urgent", "deploy.force_denied", "maintain permission")
    refused(scene, ben, "/deploy --steps 100 --force urgent", "deploy.steps", "leave `--steps` out")
    done(scene, ben, "/deploy --force urgent")
    assert models.answers(scene) == [1]


@pytest.mark.scene(**{**models.KNATIVE_WAY, "files": ELSEWHERE})
def test_production_is_not_staging_by_another_name(scene, bot, ann, ben):
    """The pull request calls production's namespace its staging, which everybody may deploy to."""
    merged(scene, "environments:\n"
                  "  staging: { deploy: { permission: write } }\n"
                  "  production: { namespace: ml-prod }\n")
    refused(scene, ann, "/staging_deploy", "deploy.namespace", "`ml-prod`", "that is production")


def test_approvals_of_the_policy(scene, bot, ann):
    merged(scene, "environments: { production: { approvals: 1, require: [] } }\n")
    ann.pushes({".github/kfops.yaml": "environments: { production: { approvals: 0, require: [] } }\n"})
    models.has_run(scene, ann, 1)
    done(scene, ann, "/plan")
    bot.answer("0 of 1 approval", "This pull request has another `.github/kfops.yaml`", to=scene.last_comment)


def test_a_lock_of_another_is_opened_by_maintainers_only(scene, bot, ann, ben):
    merged(scene, "environments: { production: { lock: { permission: write } } }\n")
    done(scene, ben, "/lock production")
    refused(scene, ann, "/unlock production", "lock.not_yours")
    refused(scene, ann, "/unlock production --force", "denied.permission", "`--force` needs maintain", "ben on ")
    done(scene, ben, "/unlock production --force")
