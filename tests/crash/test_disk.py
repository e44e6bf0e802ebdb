"""The disk fails or is full under the bot: it refuses or waits, and never accepts and loses.

KFOPS_VFS_FAULT makes the n-th write or sync of the database fail, once or from then on. A round gives a
command to such a bot, looks at what the webhook was answered, starts the bot again with a good disk (when it
has to), and compares the end with that of a round in which nothing failed.
"""

import errno
import http.client
import os
import random
import re
import subprocess
import time

import pytest
import rounds
from test_crash_points import difference

SEED = 1956
IO_ERROR = 75
ROUNDS = 4  # of each kind of fault, in the beginning and in the whole
ROUNDS_NIGHTLY = 100
BEGIN, WHOLE = {"write": 30, "sync": 6}, {"write": 230, "sync": 45}  # of a start and a /build_run, about
CONFIG = {"poll": {"deliveries_interval": "300ms"}}
FAULT_LOG = re.compile(r"event=(disk\.full|disk\.room|writer\.batch_failed|writer\.damaged|store\.sqlite"
                       r"|store\.checkpoint|store_waits|report_unstored|meta_failed|commit_failed"
                       r"|intent_failed|give_back_failed|start_failed|wake_failed)\b")


@pytest.fixture
def disk(tmp_path):
    made = rounds.Stage(tmp_path / "stage", config=CONFIG)
    yield made
    made.stop()


def answers_to(stage: rounds.Stage, comment) -> list[int]:
    """What the bot answered to the webhook of a comment, each attempt; 0: nothing."""
    found = [item for item in stage.scene.github.get("deliveries", whole=1)["deliveries"]
             if item["event"] == "issue_comment" and
             item["request"]["payload"]["comment"]["id"] == comment.id]
    return [item["status_code"] for item in reversed(found)]


class Round:
    """One command given to a bot with a failing disk."""

    def __init__(self, stage: rounds.Stage, spec: str, command: str = "/build_run"):
        self.stage, self.bot, self.spec = stage, stage.bot, spec
        self.pull = stage.pull_for(command)
        stage.rounds += 1
        self.bot.stop(kill=True)
        self.log_from = self.bot.log_file.stat().st_size
        self.before = stage.count(self.pull)
        self.alive = rounds.launch(self.bot, (IO_ERROR,), KFOPS_VFS_FAULT=spec)
        self.comment = stage.scene.ann.comments(command, on=self.pull)
        stage.until_idle()

    def log(self) -> str:
        with open(self.bot.log_file, encoding="utf-8", errors="replace") as log:
            log.seek(self.log_from)
            return log.read()

    def answer(self) -> int:
        """Of the first attempt to deliver the comment; 0: none."""
        return answers_to(self.stage, self.comment)[0]

    def is_stored(self) -> bool:
        return bool(self.bot.rows("SELECT 1 FROM jobs WHERE comment_id = ?", self.comment.id))

    def ends_alone(self) -> None:
        """With the process that met the fault, if that did not end by it; else with the next."""
        deadline = time.monotonic() + rounds.PATIENCE_S
        while not self.stage.is_at_rest(self.comment):
            if self.bot.process.poll() is not None:
                assert self.bot.process.returncode == IO_ERROR, self.bot.log_tail()
                self.ends_on_a_good_disk()
                return
            assert time.monotonic() < deadline, f"{self.spec}: not at rest\n{self.bot.log_tail(60)}"
            time.sleep(rounds.LOOK_S)

    def ends_on_a_good_disk(self) -> None:
        self.bot.stop(kill=True)
        rounds.launch(self.bot)
        self.stage.until_rest(self.comment, f"after {self.spec}")

    def end(self) -> dict:
        self.stage.until_idle()
        end = self.stage.end(self.pull, self.comment, self.before)
        end["trouble"] = [line for line in self.stage.trouble(self.log_from)
                          if not FAULT_LOG.search(line)]
        if self.bot.process.poll() is None:  # its fault may be still to come
            self.bot.stop(kill=True)
        rounds.launch(self.bot)
        return end


def plan(kind: str, nightly: bool) -> list[str]:
    """Faults like write:17:full, spread over a whole command by a seed."""
    dice = random.Random(f"{SEED} {kind}")
    op, name = kind.split(":", 1)
    count = ROUNDS_NIGHTLY if nightly else ROUNDS
    chosen = {n for most in (BEGIN[op], WHOLE[op])
              for n in dice.sample(range(1, most), min(most - 1, count))}
    return [f"{op}:{n}:{name}" for n in sorted(chosen)]


@pytest.mark.parametrize("kind", ["write:full", "write:short", "write:ioerr", "sync:ioerr"])
def test_one_failure_is_survived(disk, kind, nightly, tell):
    """A full disk is waited out by the process itself; after an I/O error it leaves with 75, because
    only a new one can know what is on the disk."""
    wanted, _ = disk.play("/build_run")
    answers: dict[int, int] = {}
    left = 0
    for spec in plan(kind, nightly):
        turn = Round(disk, spec)
        if turn.alive:
            answer = turn.answer()
            answers[answer] = answers.get(answer, 0) + 1
            assert answer != 202 or turn.is_stored(), f"{spec}: accepted and lost"
        turn.ends_alone()
        left += "event=writer.damaged" in turn.log()
        if kind.endswith("ioerr"):
            assert ("disk I/O error" in turn.log()) <= ("writer.damaged" in turn.log() or not turn.alive)
        fault = difference(wanted, turn.end())
        assert fault is None, f"{spec}: {fault}"
    tell(f"{kind} once: first answers {answers}, {left} times left with {IO_ERROR}")


@pytest.mark.parametrize("kind", ["write:full:persistent", "write:ioerr:persistent",
                                  "sync:ioerr:persistent"])
def test_a_disk_that_stays_bad_is_refused_and_recovered_from(disk, kind, nightly, tell):
    wanted, _ = disk.play("/build_run")
    answers: dict[int, int] = {}
    for spec in plan(kind, nightly):
        turn = Round(disk, spec)
        answer = turn.answer()
        answers[answer] = answers.get(answer, 0) + 1
        if answer == 202:
            assert turn.is_stored(), f"{spec}: accepted and lost"
        turn.ends_on_a_good_disk()
        fault = difference(wanted, turn.end())
        assert fault is None, f"{spec}: {fault}"
    tell(f"{kind}: first answers {answers}")


def ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def ask_or_not(port: int, path: str) -> int:
    try:
        return ask(port, path)[0]
    except OSError:
        return 0


class SmallDisk:
    """A file system of its own, some megabytes large."""

    def __init__(self, folder, size_mib: int):
        folder.mkdir()
        self.folder = folder
        self._filler = folder / "filler"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "kfops-test", str(folder)],
                              capture_output=True, check=False)
        if done.returncode:
            pytest.skip("no right to mount a small file system")

    def fill(self, leave_kib: int) -> None:
        status = os.statvfs(self.folder)
        left = status.f_bavail * status.f_frsize - leave_kib * 1024
        with open(self._filler, "ab", buffering=0) as filler:
            try:
                while left > 0:
                    left -= filler.write(b"x" * min(left, 65536))
            except OSError as error:  # others write there too, so it may be full before
                assert error.errno == errno.ENOSPC

    def make_room(self) -> None:
        self._filler.unlink()

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    made = SmallDisk(tmp_path / "disk", 24)
    yield made
    made.close()


@pytest.fixture
def cramped(small_disk, tmp_path):
    """A stage whose bot keeps its state on the small disk."""
    made = rounds.Stage(tmp_path / "stage", config={
        **CONFIG, "state_dir": str(small_disk.folder / "state"), "limits": {"free_disk": "2MiB"}})
    yield made
    made.stop()


@pytest.mark.parametrize("leave_kib", [1024, 0], ids=["nearly full", "full to the last byte"])
def test_a_full_disk_is_said_and_waited_out(cramped, small_disk, leave_kib):
    """No start is needed: with room again the bot goes on and fetches what it has refused."""
    stage, scene, bot = cramped, cramped.scene, cramped.bot
    wanted, _ = stage.play("/build_run")
    pull = stage.pull_for("/build_run")
    log_from, before = bot.log_file.stat().st_size, stage.count(pull)
    small_disk.fill(leave_kib)
    scene.wait_until(lambda: ask(bot.port, "/readyz")[0] == 503, "the bot to notice", 10)
    assert "disk" in ask(bot.port, "/readyz")[1]
    assert ask(bot.port, "/healthz")[0] == 200
    comment = scene.ann.comments("/build_run", on=pull)
    stage.until_idle()
    assert answers_to(stage, comment) == [503]
    irrelevant = scene.github.post("webhook", event="watch", payload={"action": "started"})
    assert irrelevant["status"] == 202
    assert not bot.rows("SELECT 1 FROM jobs WHERE comment_id = ?", comment.id)
    small_disk.make_room()
    scene.wait_until(lambda: ask(bot.port, "/readyz")[0] == 200, "the bot to take work again", 10)
    stage.until_rest(comment, "the refused command")
    end = stage.end(pull, comment, before)
    end["trouble"] = [line for line in stage.trouble(log_from) if not FAULT_LOG.search(line)]
    assert difference(wanted, end) is None


def test_a_disk_that_fills_up_under_a_job_lets_it_end(cramped, small_disk):
    """What runs waits until its result can be stored; nothing is done twice."""
    stage, scene, bot = cramped, cramped.scene, cramped.bot
    pull = stage.pull_for("/build_run")
    scene.kubeflow.holds_runs()
    comment = scene.ann.comments("/build_run", on=pull)
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    small_disk.fill(0)
    scene.kubeflow.ends(run["run_id"])
    scene.wait_until(lambda: ask(bot.port, "/readyz")[0] == 503, "the bot to notice", 10)
    small_disk.make_room()
    stage.until_rest(comment, "the job that could not store its result")
    assert comment.reactions() == ["rocket"]
    assert len(scene.kubeflow.runs()) == 1 and len(bot.comments(pull)) == 1
    assert stage.violations() == []


def test_sigterm_on_a_full_disk_ends_in_time(cramped, small_disk):
    stage, bot = cramped, cramped.bot
    pull = stage.pull_for("/build_run")
    stage.scene.kubeflow.holds_runs()
    comment = stage.scene.ann.comments("/build_run", on=pull)
    run = stage.scene.wait_until(stage.scene.kubeflow.runs, "the run to be made")[0]
    small_disk.fill(0)
    stage.scene.kubeflow.ends(run["run_id"])
    stage.scene.wait_until(lambda: ask(bot.port, "/readyz")[0] == 503, "the bot to notice", 10)
    began = time.monotonic()
    assert bot.stop() == 0
    assert time.monotonic() - began < 12
    small_disk.make_room()
    rounds.launch(bot)
    stage.until_rest(comment, "the job after the stop on a full disk")
    assert comment.reactions() == ["rocket"]


def test_a_start_on_a_full_disk_waits_for_the_supervisor(cramped, small_disk):
    """It cannot recover without writing, says so, and leaves with the code that means: again, please."""
    stage, bot = cramped, cramped.bot
    end, _ = stage.play("/build")
    assert end["reactions"] == ["rocket"]
    bot.stop(kill=True)
    small_disk.fill(0)
    rounds.spawn(bot)
    assert bot.process.wait(10) == IO_ERROR
    assert "full" in bot.log_tail(3)
    small_disk.make_room()
    rounds.launch(bot)
    assert stage.play("/build")[0]["reactions"] == ["rocket"]


def test_a_start_on_a_full_disk_frees_the_ballast(cramped, small_disk):
    """With that it can recover, says why it takes nothing, and goes on by itself."""
    stage, scene, bot = cramped, cramped.scene, cramped.bot
    bot.stop(kill=True)
    ballast = bot.state_dir / "kfops.db.ballast"
    ballast.write_bytes(b"x" * (1 << 20))  # as an earlier process has left it; its own would not fit here
    small_disk.fill(0)
    rounds.spawn(bot)
    scene.wait_until(lambda: ask_or_not(bot.port, "/healthz") == 200, "the bot to be there", 10)
    assert ask(bot.port, "/readyz")[0] == 503 and not ballast.exists()
    small_disk.make_room()
    scene.wait_until(lambda: ask(bot.port, "/readyz")[0] == 200, "the bot to take work", 10)
    assert stage.play("/build")[0]["reactions"] == ["rocket"]
