"""The bot ends hard at each of its crash points in turn, is started again, and nothing is different.

A point is a place in the program and how often it was passed: "worker.before_effect:3". Of every place that
a command passes n = 1, 2, 3 ... is tried until none fires; counting by place keeps threads that overtake each
other from hiding a point. Two stages work at the same time, each on the next point that nobody has taken.
Outside the nightly mode all points of /build_run are tried, and a part of those of /build and /run, which
take the same ways; the output says so.
"""

import concurrent.futures
import difflib
import json
import random
import threading

import pytest
import rounds

STAGES = 2
ROUNDS_A_STAGE = 60  # then it gets new stand-ins, so that their lists stay short
FAULTS_MAX = 5
SEED = 2022
SHARE = 0.33  # of the points of commands that are only sampled
DOUBLE_ROUNDS = 30
DOUBLE_ROUNDS_NIGHTLY = 1000
POINTS_ABOUT = 170  # of one command

PLACES = ["store.recover.before", "store.recover.after", "receive.before_queue", "receive.answered",
          "writer.before_commit", "writer.after_commit", "worker.before_effect", "worker.after_effect",
          "reporter.before_send", "reporter.after_send", "github.before_write", "github.after_write",
          "kfp.before_write", "kfp.after_write"]


class Plan:
    """Hands out crashes to be tried, as arguments of Stage.play, and collects what came of them."""

    def __init__(self, crashes=()):
        self._lock = threading.Lock()
        self._crashes = iter(crashes)
        self.played = self.crashed = 0
        self.faults: list[str] = []

    def take(self) -> dict | None:
        with self._lock:
            return None if len(self.faults) >= FAULTS_MAX else self.next_crash()

    def next_crash(self) -> dict | None:
        return next(self._crashes, None)

    def note(self, crash: dict, fired: bool, fault: str | None) -> None:
        with self._lock:
            self.played += 1
            self.crashed += fired
            if fault:
                self.faults.append(f"{crash}: {fault}")


class EveryPoint(Plan):
    """n = 1, 2, 3 ... of each place until none fires; with a share below 1 some n are left out."""

    def __init__(self, share: float, dice: random.Random):
        super().__init__()
        self._places = list(PLACES)
        self._n = 0
        self._share = share
        self._dice = dice
        self.fired: dict[str, int] = {}

    def next_crash(self) -> dict | None:
        if not self._places:
            return None
        self._n += 1
        while self._dice.random() >= self._share:
            self._n += 1
        return {"crash_at": f"{self._places[0]}:{self._n}"}

    def note(self, crash, fired, fault) -> None:
        super().note(crash, fired, fault)
        place = crash["crash_at"].partition(":")[0]
        with self._lock:
            if fired:
                self.fired[place] = self.fired.get(place, 0) + 1
            elif fault is None and self._places[:1] == [place]:
                self._places.pop(0)
                self._n = 0


def difference(wanted: dict, got: dict) -> str | None:
    """What is not the same without a crash (-) and with one (+)."""
    texts = [json.dumps(seen, indent=1, ensure_ascii=False).replace("\\n", "\n").splitlines()
             for seen in (wanted, got)]
    return "\n".join(difflib.unified_diff(*texts, lineterm="", n=1)) or None


def fresh(old, folder):
    """A new stage for an old one; none without a folder."""
    if old is not None:
        old.stop()
    return rounds.Stage(folder) if folder else None


def work(plan: Plan, command: str, folder) -> int:
    """Plays rounds until there are no more; how many webhooks were recovered from GitHub's log."""
    recovered, made, stage, wanted = 0, 0, None, None
    try:
        while (crash := plan.take()) is not None:
            if stage is None or stage.rounds >= ROUNDS_A_STAGE:
                recovered += stage.recovered if stage else 0
                stage = fresh(stage, folder / f"stage-{made}")
                made += 1
                wanted, _ = stage.play(command)
            try:
                got, fired = stage.play(command, **crash)
                plan.note(crash, fired, difference(wanted, got))
            except AssertionError as fault:
                plan.note(crash, True, str(fault))
                stage = fresh(stage, None)
        return recovered + (stage.recovered if stage else 0)
    finally:
        fresh(stage, None)


def carry_out(plan: Plan, command: str, folder, tell) -> int:
    with concurrent.futures.ThreadPoolExecutor(STAGES) as pool:
        futures = [pool.submit(work, plan, command, folder / str(i)) for i in range(STAGES)]
        recovered = sum(future.result() for future in futures)
    tell(f"{command}: {plan.played} rounds, {plan.crashed} with a crash, {recovered} webhooks recovered")
    assert not plan.faults, "\n\n".join(plan.faults)
    return recovered


@pytest.mark.parametrize("command", ["/build_run", "/build", "/run", rounds.OK])
def test_a_crash_at_any_point_changes_nothing_in_the_end(command, tmp_path, nightly, tell):
    share = 1.0 if nightly or command == "/build_run" else SHARE
    plan = EveryPoint(share, random.Random(f"{SEED} {command}"))
    recovered = carry_out(plan, command, tmp_path, tell)
    if share < 1.0:
        tell(f"{command}: that was about {share:.0%} of its points (seed {SEED}); KFOPS_CRASH_ALL=1 tries all")
    else:
        passed = [place for place in PLACES if command != rounds.OK or not place.startswith("kfp.")]
        assert [place for place in passed if not plan.fired.get(place)] == []
        assert recovered, "no webhook was lost, so the recovery was not tried"


def test_a_second_crash_after_the_first_changes_nothing_either(tmp_path, nightly, tell):
    """A sample, in the nightly mode a large one."""
    dice = random.Random(SEED)
    count = DOUBLE_ROUNDS_NIGHTLY if nightly else DOUBLE_ROUNDS
    plan = Plan([{"crash_at": str(dice.randrange(1, POINTS_ABOUT)),
                  "then_at": str(dice.randrange(1, POINTS_ABOUT // 2))} for _ in range(count)])
    carry_out(plan, "/build_run", tmp_path, tell)


def test_a_command_without_a_crash_ends_as_people_expect(stage):
    """What the rounds are compared with must itself be right, and no place may be new."""
    build, _ = stage.play("/build")
    assert [job[:3] for job in build["jobs"]] == [("build", 10, None)] and build["oks"] == []
    assert build["checks"] == [("kfops/build", "completed", "success", True)]
    assert build["kubeflow"] == {"versions": 1, "runs": 0, "workflows": 0}
    run, _ = stage.play("/run")
    assert run["checks"] == [("kfops/run", "completed", "success", True)]
    assert run["kubeflow"] == {"versions": 0, "runs": 1, "workflows": 1}
    word, _ = stage.play(rounds.OK)
    assert word["oks"] == [(1, 0, 1)] and "allows" in word["comments"][0] and word["checks"] == []
    both, _ = stage.play("/build_run")
    assert both["checks"] == [("kfops/build", "completed", "success", True),
                              ("kfops/run", "completed", "success", True)]
    assert both["kubeflow"] == {"versions": 1, "runs": 1, "workflows": 1}
    assert set(stage.points) - set(PLACES) == set()
    for seen in (build, run, both, word):
        assert seen["reactions"] == ["rocket"] and len(seen["comments"]) == 1
        assert seen["trouble"] == []


def test_a_crash_while_the_database_is_made_is_harmless(tmp_path):
    """The first start of all, ended at each of its points."""
    stage = rounds.Stage(tmp_path / "stage")
    try:
        stage.bot.stop(kill=True)
        n, alive = 0, False
        while not alive:
            n += 1
            for item in stage.bot.state_dir.iterdir():
                if item.name.startswith("kfops.db"):
                    item.unlink()
            alive = rounds.launch(stage.bot, KFOPS_CRASH_AT=str(n))
            if not alive:
                assert rounds.launch(stage.bot), f"no start after a crash at {n}"
            stage.bot.stop(kill=True)
        assert n > 4, "the points of the migration did not fire"
        rounds.launch(stage.bot)
        end, _ = stage.play("/build")
        assert end["trouble"] == []
    finally:
        stage.stop()
