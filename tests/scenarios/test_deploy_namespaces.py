"""The operator's ceiling over the namespaces in which models are served."""

import pytest

import texts
from models import KNATIVE_WAY, answers, has_run


def entry(*namespaces: str) -> dict:
    """The operator's file with this list, or with none."""
    return {"repositories": [{"match": "lab/*", "cluster": "main", **({"namespaces": namespaces} if namespaces else {})}]}


def scene_with(*namespaces: str):
    return pytest.mark.scene(cluster=KNATIVE_WAY["cluster"], files=texts.deployment(), config=entry(*namespaces))


@scene_with("team-a", "ml-staging")
def test_a_namespace_outside_of_the_list_is_refused(scene, bot, ann, ben):
    has_run(scene, ann, 1)
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "`ml-prod`", "`ml-staging`")
    assert scene.cluster.mutations() == [] or not scene.cluster.service("ml-prod")
    assert not scene.pull.look()["merged"]
    ben.comments("/staging_deploy")
    assert bot.ends() == "rocket"


@scene_with()
def test_without_a_list_nothing_is_served(scene, bot, ann, ben):
    has_run(scene, ann, 1)
    ben.comments("/staging_deploy")
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "`ml-staging`")
    assert not scene.cluster.service("ml-staging")


@scene_with("team-a", "ml-prod")
def test_a_namespace_that_was_taken_away_is_left_alone(scene, bot, ann, ben):
    for model in (0, 2):
        has_run(scene, ann, model)
        ben.comments("/deploy --no-merge")
        assert bot.ends() == "rocket"
    bot.stop()
    bot.configure(lambda config: config.update(entry("team-a")))
    bot.start()
    ben.comments("/rollback production")
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "`ml-prod`")
    assert answers(scene) == [2]
