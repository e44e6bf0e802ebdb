"""The label that says what is live, moved at the pace that GitHub wants: one write, a pause, the next."""

import pytest

from test_deploy import DEPLOYMENT, KNATIVE, deployed, has_run, next_pull

PACED = {"github": {"write_gap": "400ms"}}


@pytest.mark.scene(cluster=KNATIVE, files=DEPLOYMENT, config=PACED)
def test_the_label_moves_though_every_write_has_to_wait(scene, bot, ann, ben):
    deployed(scene, bot, ben, model=0)
    first = scene.pull
    assert first.look()["labels"] == ["Deployed-to-production"]
    next_pull(scene)
    has_run(scene, bot, ann, model=2)
    ben.comments("/deploy")
    assert bot.ends(patience=60) == "rocket"
    assert scene.pull.look()["labels"] == ["Deployed-to-production"]
    assert first.look()["labels"] == []
