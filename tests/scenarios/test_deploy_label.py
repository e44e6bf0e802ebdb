"""The label that says what is live, moved at the pace that GitHub wants: one write, a pause, the next."""

import pytest

from models import KNATIVE_WAY, deployed, has_run, next_pull

PACED = {"github": {"write_gap": "400ms"}}


@pytest.mark.scene(**KNATIVE_WAY, config=PACED)
def test_the_label_moves_though_every_write_has_to_wait(scene, bot, ann, ben):
    deployed(scene, 0)
    first = scene.pull
    assert first.look()["labels"] == ["Deployed-to-production"]
    next_pull(scene, "Second")
    has_run(scene, ann, 2)
    ben.comments("/deploy")
    assert bot.ends(patience=60) == "rocket"
    assert scene.pull.look()["labels"] == ["Deployed-to-production"]
    assert first.look()["labels"] == []
