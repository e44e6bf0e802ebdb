"""The bot ends hard at point n = 1, 2, 3 ... of a command, is started again, and nothing is different.

Two stages work at the same time, each on the next n that nobody has taken. When no point has fired for
some rounds there are no more; one such round is not enough, because several threads count and the number
of points differs by some from round to round.
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
QUIET_ROUNDS = 3
FAULTS_MAX = 5
SEED = 2022
DOUBLE_ROUNDS = 30
DOUBLE_ROUNDS_NIGHTLY = 1000
POINTS_ABOUT = 170  # of one command

PLACES = ("receive.before_queue", "writer.before_commit", "writer.after_commit", "worker.before_effect",
          "worker.after_effect", "reporter.before_send", "reporter.after_send", "github.before_write",
          "github.after_write", "kfp.before_write", "kfp.after_write")


class Plan:
    """Hands out crashes to be tried, as arguments of Stage.play, and collects what came of them."""

    def __init__(self, crashes):
        self._lock = threading.Lock()
        self._crashes = iter(crashes)
        self._quiet = 0
        self.played = 0
        self.names: dict[str, int] = {}
        self.faults: list[str] = []

    def take(self) -> dict | None:
        with self._lock:
            if self._quiet >= QUIET_ROUNDS or len(self.faults) >= FAULTS_MAX:
                return None
            return next(self._crashes, None)

    def note(self, crash: dict, name: str | None, fault: str | None) -> None:
        with self._lock:
            self.played += 1
            self._quiet = self._quiet + 1 if name is None and fault is None else 0
            if name:
                self.names[name] = self.names.get(name, 0) + 1
            if fault:
                self.faults.append(f"{crash}, {name}: {fault}")


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
            name = None
            try:
                got, name = stage.play(command, **crash)
                plan.note(crash, name, difference(wanted, got))
            except AssertionError as fault:
                plan.note(crash, name, str(fault))
                stage = fresh(stage, None)
        return recovered + (stage.recovered if stage else 0)
    finally:
        fresh(stage, None)


def carry_out(plan: Plan, command: str, folder, tell) -> int:
    with concurrent.futures.ThreadPoolExecutor(STAGES) as pool:
        futures = [pool.submit(work, plan, command, folder / str(i)) for i in range(STAGES)]
        recovered = sum(future.result() for future in futures)
    tell(f"{command}: {plan.played} rounds, {sum(plan.names.values())} crashes at {len(plan.names)} kinds "
         f"of places, {recovered} webhooks recovered")
    assert not plan.faults, "\n\n".join(plan.faults)
    return recovered


@pytest.mark.parametrize("command", ["/build_run", "/build", "/run"])
def test_a_crash_at_any_point_changes_nothing_in_the_end(command, tmp_path, tell):
    plan = Plan({"crash_at": n} for n in range(1, 10000))
    recovered = carry_out(plan, command, tmp_path, tell)
    for place in PLACES:
        assert place in plan.names, f"no crash at {place}"
    assert recovered, "no webhook was lost, so the recovery was not tried"


def test_a_second_crash_after_the_first_changes_nothing_either(tmp_path, nightly, tell):
    dice = random.Random(SEED)
    count = DOUBLE_ROUNDS_NIGHTLY if nightly else DOUBLE_ROUNDS
    plan = Plan({"crash_at": dice.randrange(1, POINTS_ABOUT), "then_at": dice.randrange(1, POINTS_ABOUT // 2)}
                for _ in range(count))
    carry_out(plan, "/build_run", tmp_path, tell)


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
    assert both["kubeflow"] == {"versions": 1, "runs": 1, "workflows": 1}
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
