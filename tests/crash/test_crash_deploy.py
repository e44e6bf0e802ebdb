"""The bot ends hard at points of /deploy, /promote and /rollback, is started again, and the world is as without it.

In each of the three ways to try a model. With KFOPS_CRASH_ALL=1 all points are tried; else one of each stretch of the
way from the first point to the last, others every day. KFOPS_SEED=N, as printed, tries those of another day.
"""

import concurrent.futures
import os
import random
import time

import deploys
import models
import pytest
from test_crash_points import PLACES, Plan, difference

WAYS = {"knative": models.KNATIVE_WAY, "canary": models.CANARY_WAY, "second": models.SECOND_WAY}
NEW_PLACES = ["kube.before_write", "kube.after_write"]
ROUNDS = {"/deploy": 8}  # of each way, outside the nightly mode
ROUNDS_OF_OTHERS = 5
# the object is made from the checkout, and nothing of it is stored
ALWAYS = {"/deploy": ["worker.after_effect:8"]}
STAGES = {"/deploy": (deploys.DeployStage, deploys.COMMAND),
          "/deploy, held, then the merge queue": (deploys.QueueStage, deploys.HELD),
          "/deploy where what was open is gone": (deploys.GoneStage, deploys.COMMAND),
          "/promote": (deploys.PromoteStage, f"/promote production {deploys.FORCE}"),
          "/rollback": (deploys.RollbackStage, "/rollback production"),
          "/rollback --to": (deploys.NumberStage, "/rollback production --to 1")}
# where little is new: in one way to try the model, and of the points the part that has it
PARTS = {"/deploy, held, then the merge queue": ("knative", 0.5, 1.0),
         "/deploy where what was open is gone": ("second", 0.3, 0.7)}
ROUNDS_A_STAGE = 60
SEED = int(os.environ.get("KFOPS_SEED") or time.time() // 86400)


def points_of(passed: list[str]) -> list[str]:
    """Each point by its place and how often that was passed before: "kube.after_write:2"."""
    seen: dict[str, int] = {}
    found = []
    for place in passed:
        seen[place] = seen.get(place, 0) + 1
        found.append(f"{place}:{seen[place]}")
    return found


def sample(points: list[str], count: int, way: str) -> list[str]:
    """One of each stretch, so that no part of the way is left out."""
    dice = random.Random(f"{SEED} {way}")
    ends = [len(points) * part // count for part in range(count + 1)]
    return [dice.choice(points[begin:end]) for begin, end in zip(ends, ends[1:])]


def play(what: str, way: str, folder, nightly: bool) -> tuple[Plan, int, list[str]]:
    """All rounds of a command in one way; what came of them and how many points there are."""
    kind, command = STAGES[what]
    always, count_of = ALWAYS.get(what, []), ROUNDS.get(what, ROUNDS_OF_OTHERS)
    plan, made, stage, wanted, count = Plan(), 0, None, None, 0
    try:
        while True:
            if stage is None or stage.rounds >= ROUNDS_A_STAGE:
                if stage:
                    stage.stop()
                stage = kind(folder / f"{way}-{made}", WAYS[way])
                made += 1
                wanted, _ = stage.play(command)
            if not count:
                passed = stage.points
                count = len(passed)
                every = points_of(passed)
                if what in PARTS:
                    every = every[int(count * PARTS[what][1]):int(count * PARTS[what][2])]
                plan = Plan({"crash_at": point} for point in
                            (every if nightly else always + sample(every, count_of - len(always), f"{what} {way}")))
                expected(what, wanted)
            crash = plan.take()
            if crash is None:
                return plan, count, passed
            try:
                got, fired = stage.play(command, **crash)
                plan.note(crash, fired, difference(wanted, got))
            except AssertionError as fault:
                plan.note(crash, True, str(fault))
                stage.stop()
                stage = None
    finally:
        if stage:
            stage.stop()


def expected(what: str, end: dict) -> None:
    """What the rounds are compared with must itself be right."""
    back = what.startswith("/rollback")
    assert [job[:3] for job in end["jobs"]] == [(what.strip("/").split()[0].strip(","), 10, None)], end
    gone = [("production", ["in_progress", "inactive"])] if what.endswith("is gone") else []
    assert end["serves its model"] and end["labels"] == ([] if back else ["Deployed-to-production"]), end
    *others, mine = sorted(end["deployments"], key=lambda each: each[1][-1])
    assert mine[1][-1] == ("inactive" if back else "success") and others == gone, end
    assert end["merged"] == ((False, 0) if back else (True, 1)) and not end["second service"], end
    assert end["traffic without a sample"] == [] and end["trouble"] == [], end
    assert end["reactions"] == ["rocket"] and len(end["comments"]) == 1, end


@pytest.mark.parametrize("what", list(STAGES))
def test_a_crash_changes_nothing_in_the_end(what, tmp_path, nightly, tell):
    ways = PARTS[what][:1] if what in PARTS else list(WAYS)
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        futures = {way: pool.submit(play, what, way, tmp_path, nightly) for way in ways}
        results = {way: future.result() for way, future in futures.items()}
    faults = []
    for way, (plan, count, passed) in results.items():
        tell(f"{what}, {way}: {count} points, {plan.played} rounds, {plan.crashed} with a crash (seed {SEED})")
        faults += [f"{way}: {fault}" for fault in plan.faults]
        assert set(passed) - set(PLACES) - set(NEW_PLACES) == set()
        assert plan.crashed > plan.played // 3  # late points of looks are not always reached
    assert not faults, "\n\n".join(faults)
