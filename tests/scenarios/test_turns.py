"""Repositories take turns: at the bot's workers, and in what is written to GitHub."""

import concurrent.futures
import pathlib

import pytest
from harness import FINAL_REACTIONS, Pull

FLOOD = 200


def another_repository(scene, name: str) -> Pull:
    """Of the same owner, so that both share an installation and what it may write."""
    scene.github.post("repos", owner="lab", name=name, organization=True, author="ben",
                      template=str(pathlib.Path(__file__).with_name("repo")), collaborators={"ann": "write", "ben": "maintain"})
    made = scene.github.post(f"repos/lab/{name}/pulls", title="Six", branch="six", files={"notes.md": "Six.\n"}, user="ann")
    return Pull(scene, f"lab/{name}", made)


def writes(scene) -> list[str]:
    return [item["path"] for item in scene.github.requests() if item["method"] != "GET" and "/repos/lab/" in item["path"]]


@pytest.mark.scene(config={"github": {"write_gap": "40ms"}})
def test_a_flood_in_one_repository_does_not_delay_another(scene, bot, ann):
    quiet = another_repository(scene, "quiet")
    with concurrent.futures.ThreadPoolExecutor(8) as people:
        list(people.map(lambda _: ann.comments("/status"), range(FLOOD)))
    scene.webhooks_are_idle()
    before = writes(scene)
    asked = ann.comments("/status", on=quiet)
    scene.wait_until(lambda: FINAL_REACTIONS & set(asked.reactions()) and "eyes" not in asked.reactions(), "the answer")
    after = writes(scene)[len(before):]
    own = [path for path in after if "/lab/quiet/" in path]
    unanswered = bot.rows("SELECT count(*) AS n FROM outbox WHERE sent_version < version AND repo = 'lab/iris'")[0]["n"]
    assert unanswered > FLOOD, "the flood was over before; nothing was shown"
    assert len(own) >= 2, own  # the answer and the rocket; the eyes only if they came first
    assert len(after) <= 3 * len(own) + 10, f"{len(own)} of {len(after)} writes were of the quiet repository"
    scene.may_leave_jobs = scene.may_leave_unsaid = True
