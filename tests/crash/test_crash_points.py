"""The bot ends hard at point n = 1, 2, 3 ... of a command, is started again, and nothing is different.

Two stages work at the same time, each on the next n that nobody has taken. A round in which no point
fires ends the count; a few more are tried, because several threads count and the number of points differs
by some from round to round.
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
QUIET_ROUNDS = 3  # without a crash, one after the other: there are no more points
FAULTS_MAX = 5
SEED = 2022
SHARE = 3  # of the commands that are only sampled, every third point


class Points:
    """Hands out n, and collects what came of it."""

    def __init__(self, wanted):
        self._lock = threading.Lock()
        self._wanted = wanted
        self._next = 0
        self._quiet = 0
        self.played = 0
        self.names: dict[str, int] = {}
        self.faults: list[str] = []

    def take(self) -> int | None:
        with self._lock:
            if self._quiet >= QUIET_ROUNDS or len(self.faults) >= FAULTS_MAX:
                return None
            self._next += 1
            while not self._wanted(self._next):
                self._next += 1
            return self._next

    def note(self, n: int, name: str | None, fault: str | None) -> None:
        with self._lock:
            self.played += 1
            self._quiet = self._quiet + 1 if name is None and fault is None else 0
            if name:
                self.names[name] = self.names.get(name, 0) + 1
            if fault:
                self.faults.append(f"crash at {n}, {name}: {fault}")


def difference(wanted: dict, got: dict) -> str | None:
    """What is not the same without a crash (-) and with one (+)."""
    texts = [json.dumps(seen, indent=1, ensure_ascii=False).replace("\\n", "\n").splitlines()
             for seen in (wanted, got)]
    return "\n".join(difflib.unified_diff(*texts, lineterm="", n=1)) or None


def work(points: Points, command: str, folder) -> int:
    """Plays rounds until there are no more; how many webhooks were recovered from GitHub's log."""
    recovered, made, stage, wanted = 0, 0, None, None
    try:
        while (n := points.take()) is not None:
            if stage is None or stage.rounds >= ROUNDS_A_STAGE:
                recovered += stage.recovered if stage else 0
                stage = fresh(stage, folder / f"stage-{made}")
                made += 1
                wanted, _ = stage.play(command)
            name = None
            try:
                got, name = stage.play(command, n)
                points.note(n, name, difference(wanted, got))
            except AssertionError as fault:
                points.note(n, name, str(fault))
                stage = fresh(stage, None)
        return recovered + (stage.recovered if stage else 0)
    finally:
        fresh(stage, None)


def fresh(old, folder):
    """A new stage for an old one; none without a folder."""
    if old is not None:
        old.stop()
    return rounds.Stage(folder) if folder else None


@pytest.mark.parametrize("command", ["/build_run", "/build", "/run"])
def test_a_crash_at_any_point_changes_nothing_in_the_end(command, tmp_path, nightly, tell):
    dice = random.Random(f"{SEED} {command}")
    all_of_them = nightly or command == "/build_run"
    points = Points(lambda n: all_of_them or dice.randrange(SHARE) == 0)
    folders = [tmp_path / str(i) for i in range(STAGES)]
    with concurrent.futures.ThreadPoolExecutor(STAGES) as pool:
        futures = [pool.submit(work, points, command, folder) for folder in folders]
        recovered = sum(future.result() for future in futures)
    chosen = "every point" if all_of_them else f"one point in {SHARE}, seed {SEED}"
    tell(f"{command}: {points.played} rounds ({chosen}), {sum(points.names.values())} crashes at "
         f"{len(points.names)} places, {recovered} webhooks recovered")
    assert not points.faults, "\n\n".join(points.faults)
    for place in ("receive.before_queue", "writer.before_commit", "writer.after_commit",
                  "worker.before_effect", "worker.after_effect", "reporter.before_send",
                  "reporter.after_send", "github.before_write", "github.after_write"):
        assert points.names.get(place) or not all_of_them, f"no crash at {place}"
    assert recovered or not all_of_them, "no webhook was lost, so the recovery was not tried"


def test_a_command_without_a_crash_ends_as_people_expect(stage):
    """What the rounds are compared with must itself be right."""
    build, _ = stage.play("/build")
    assert [job[:3] for job in build["jobs"]] == [("build", 10, None)]
    assert build["checks"] == [("kfops/build", "completed", "success", True)]
    assert build["kubeflow"] == {"versions": 1, "runs": 0, "workflows": 0}
    run, _ = stage.play("/run")
    assert run["checks"] == [("kfops/run", "completed", "success", True)]
    assert run["kubeflow"] == {"versions": 0, "runs": 1, "workflows": 1}
    both, _ = stage.play("/build_run")
    assert both["checks"] == [("kfops/build", "completed", "success", True),
                              ("kfops/run", "completed", "success", True)]
    for seen in (build, run, both):
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
