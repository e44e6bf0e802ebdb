"""One round: a command is given, the bot ends hard in the middle, is started again, and finishes.

A stage is a scene (both stand-ins, the bot, people) that is used for many rounds, each on a pull request
of its own. `play` gives what a person, GitHub and Kubeflow have at the end of a round, with times and ids
taken out, so that rounds can be compared with one in which nothing happened.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))

import harness  # noqa: E402

CRASHED = 137
CRASHED_BY_SIGNAL = -11
# a crash point that really crashes; a sanitizer is to leave the signal alone
REAL_CRASH = {"KFOPS_CRASH_WITH": "11",
              "ASAN_OPTIONS": ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "handle_segv=0"]))}
PATIENCE_S = 40.0
LOOK_S = 0.01
FAST = {
    "poll": {"run_first": "50ms", "run_doubt": "300ms", "finished_interval": "200ms",
             "deliveries_interval": "1h"},
    "report": {"edit_interval": "10ms", "list_lag": "100ms"},
    "github": {"write_gap": "1ms", "writes_per_minute": 10000, "writes_per_hour": 100000},
}
# what a start after a crash may say, at any level
EXPECTED_LOG = re.compile(r"event=(store\.sqlite code=283|clock_jump)\b")
OK = "/ok-to-run"  # of a fork's head, by a maintainer
FINAL_REACTIONS = {"rocket", "-1", "confused"}


class Fault(AssertionError):
    """A round did not come to the same end."""


def spawn(bot, **env: str) -> None:
    """Starts the bot and waits for nothing."""
    with open(bot.log_file, "ab") as log:
        bot.process = subprocess.Popen(
            [str(harness.daemon_path()), "--config", str(bot.config_file)], stdout=log, stderr=log,
            env={**os.environ, **bot.env, **env}, start_new_session=True)


def launch(bot, ends_with: tuple = (CRASHED, CRASHED_BY_SIGNAL), **env: str) -> bool:
    """Starts the bot and waits until it is ready; False when it ended as it was told to before."""
    spawn(bot, **env)
    deadline = time.monotonic() + PATIENCE_S
    while not bot.is_ready():
        if bot.process.poll() is not None:
            if env and bot.process.returncode in ends_with:
                return False
            raise Fault(f"kfopsd ended with {bot.process.returncode} while starting\n{bot.log_tail()}")
        if time.monotonic() > deadline:
            raise Fault(f"kfopsd is not ready\n{bot.log_tail()}")
        time.sleep(LOOK_S)
    return True


def plain(text: str | None, pull) -> str | None:
    """A text of the bot without what differs from round to round: ids, commits, times, numbers."""
    if text is None:
        return None
    text = text.replace(pull.head, "SHA").replace(pull.head[:12], "SHA").replace(pull.head[:7], "SHA")
    text = re.sub(r"`[0-9a-f]{7}`", "`SHA`", text)  # of an earlier pull request
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UUID", text)
    text = re.sub(r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "UID", text)
    text = re.sub(r"\bkf-[0-9a-z]{8}\b", "kf-JOB", text)  # the predictor of a canary
    text = re.sub(r"\b\d+(\.\d+)? ?(ms|s|m|h)\b( \d+ s)?", "TIME", text)
    return re.sub(r"\d+", "N", text)


class Stage:
    """A scene for many rounds."""

    PULLS_AT_ONCE = 10

    def __init__(self, folder: pathlib.Path, config: dict | None = None, **more):
        merged = {**FAST, **(config or {})}
        for section in FAST:
            merged[section] = {**FAST[section], **(config or {}).get(section, {})}
        folder.mkdir(parents=True, exist_ok=True)
        self.scene = harness.Scene(folder, config=merged, **more)
        self.bot = self.scene.bot
        self.rounds = 0
        self.recovered = 0
        self._fresh: list = []
        self._built: list = []

    def stop(self) -> None:
        self.scene.stop()

    # what a round starts from

    def pull_for(self, command: str):
        """A pull request on which the command can be given; for /run, one with a version."""
        if command == OK:
            return self.scene.eve.opens("From afar", f"afar-{self.rounds}", {"notes.md": f"{self.rounds}\n"}, fork="eve")
        if command.startswith("/run"):
            if not self._built:
                pull = self._new_pull()
                self.scene.ann.comments("/build", on=pull)
                self.until_rest(self.scene.last_comment, "/build before /run")
                self._built = [pull] * self.PULLS_AT_ONCE
            return self._built.pop()
        return self._new_pull()

    def _new_pull(self):
        if not self._fresh:
            self._fresh = [self.scene.ann.opens("Five neighbours", f"round-{self.rounds}-{i}",
                                                {"notes.md": f"{self.rounds} {i}\n"})
                           for i in range(self.PULLS_AT_ONCE)]
            self.scene.webhooks_are_idle()
        return self._fresh.pop()

    # waiting

    def is_at_rest(self, comment) -> bool:
        """Are all jobs of the comment ended, and is everything said?"""
        jobs = self.bot.rows("SELECT state FROM jobs WHERE comment_id = ?", comment.id)
        return bool(jobs) and all(job["state"] >= harness.FINAL_STATE for job in jobs) and \
            not self.bot.unsaid()

    def until_rest(self, comment, what: str, may_crash: bool = False) -> bool:
        """Waits for the end; False when the bot ended at a crash point before."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.is_at_rest(comment):
            code = self.bot.process.poll()
            if code is not None and not (may_crash and code in (CRASHED, CRASHED_BY_SIGNAL)):
                raise Fault(f"{what}: kfopsd ended with {code}\n{self.bot.log_tail()}")
            if code is not None:
                return False
            if time.monotonic() > deadline:
                raise Fault(f"{what}: not at rest after {PATIENCE_S:.0f} s\njobs: {self.bot.jobs()}\n"
                            f"unsaid: {self.bot.unsaid()}\n{self.bot.log_tail()}")
            time.sleep(LOOK_S)
        return True

    def until_idle(self) -> None:
        """Waits until GitHub has tried to deliver everything; the bot may be down."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.scene.github.get("deliveries")["idle"]:
            if time.monotonic() > deadline:
                raise Fault("GitHub still delivers webhooks")
            time.sleep(LOOK_S)

    # a round

    def play(self, command: str, crash_at: str = "", then_at: str = "") -> tuple[dict, bool]:
        """The end of the command with a crash at this point ("worker.before_effect:3" or the number of
        any), and whether it came to it. `then_at`: the next process crashes too, there."""
        pull = self.pull_for(command)
        points = self.scene.folder / "crash-points"
        self.rounds += 1
        self.bot.stop(kill=True)
        points.unlink(missing_ok=True)
        log_from = self.bot.log_file.stat().st_size
        before = self.count(pull)
        alive = launch(self.bot, KFOPS_CRASH_AT=crash_at, KFOPS_CRASH_LOG=str(points))
        line, person = (f"{OK} {pull.head}", self.scene.ben) if command == OK else (command, self.scene.ann)
        comment = person.comments(line, on=pull)
        crashed = not alive or not self.until_rest(comment, f"{command}, crash at {crash_at}",
                                                   may_crash=True)
        armed = crash_at and not crashed
        if crashed:
            self.until_idle()
            armed = then_at and launch(self.bot, KFOPS_CRASH_AT=then_at) and self.until_rest(
                comment, f"{command} between crashes at {crash_at} and {then_at}", may_crash=True)
            if not armed:
                self.until_idle()
                launch(self.bot)
                self.until_rest(comment, f"{command} after crashes at {crash_at} and {then_at}")
        self.points = [line.split()[1] for line in points.read_text().splitlines()]
        self.until_idle()
        end = {**self.end(pull, comment, before), "trouble": self.trouble(log_from)}
        if armed:
            self.bot.stop(kill=True)  # a point is still ahead of it
            launch(self.bot)
        return end, crashed

    def count(self, pull) -> dict:
        seen = pull.look()
        return {"comments": {item["id"] for item in seen["comments"]},
                "checks": {item["id"] for item in seen["checks"]},
                "kubeflow": self.scene.kubeflow.get("state"),
                "runs": {run["run_id"] for run in self.scene.kubeflow.runs()}}

    def end(self, pull, comment, before: dict) -> dict:
        """What is there now and was not before."""
        seen = pull.look()
        now = self.scene.kubeflow.get("state")
        jobs = self.bot.rows("SELECT uid, command, state, code, message, head_sha, crashes FROM jobs"
                             " WHERE comment_id = ? ORDER BY cmd_no", comment.id)
        runs = [run for run in self.scene.kubeflow.runs() if run["run_id"] not in before["runs"]]
        return {
            "jobs": [(job["command"], job["state"], job["code"], plain(job["message"], pull),
                      job["head_sha"] == pull.head, job["crashes"]) for job in jobs],
            "comments": [plain(item["body"], pull) for item in seen["comments"]
                         if item["user"] == self.bot.login and not item["minimized"] and
                         item["id"] not in before["comments"]],
            "checks": sorted((item["name"], item["status"], item["conclusion"],
                              item["head_sha"] == pull.head) for item in seen["checks"]
                             if item["id"] not in before["checks"]),
            "reactions": sorted(comment.reactions()),
            "oks": [tuple(row.values()) for row in self.bot.rows(
                "SELECT o.sha = ?, o.build_only, a.no > 0 FROM fork_oks o LEFT JOIN audit a ON a.pr = o.pr AND "
                "a.effect = 'store.ok_to_run' WHERE o.pr = ?", pull.head, pull.number)],
            "runs": [run["phase"] for run in runs],
            "kubeflow": {kind: now[kind] - before["kubeflow"][kind]
                         for kind in ("versions", "runs", "workflows")},
        }

    def violations(self) -> list[str]:
        """Requests since the last look that the real services would have refused."""
        return [f"GitHub would have refused: {item}" for item in self.scene.github.take_violations()] + \
               [f"Kubeflow would have refused: {item}" for item in self.scene.kubeflow.take_violations()]

    def trouble(self, log_from: int) -> list[str]:
        """Refused requests, and warnings that nobody expects."""
        found = self.violations()
        with open(self.bot.log_file, encoding="utf-8", errors="replace") as log:
            log.seek(log_from)
            for line in log:
                if "event=delivery_recovered" in line and "kind=issue_comment" in line:
                    self.recovered += 1
                if not re.search(r"level=(debug|info) ", line) and not EXPECTED_LOG.search(line):
                    found.append(line.rstrip())
        return found
