"""What a start meets: a damaged file, no descriptors, a port that is taken, a memory that ends."""

import resource
import socket
import sqlite3
import subprocess

import pytest
import rounds

DAMAGED, NO_SOCKET = 65, 71
IN_TIME_S = 15.0
PAGE = 4096
DESCRIPTORS = 40


def run_to_its_end(bot) -> int:
    """Starts the bot, which is to end by itself; its exit code."""
    rounds.spawn(bot)
    return bot.process.wait(IN_TIME_S)


def test_a_damaged_page_is_found_after_an_unclean_stop(stage):
    bot = stage.bot
    stage.play("/build_run")
    bot.stop()
    with sqlite3.connect(bot.state_dir / "kfops.db") as database:
        root = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'steps'").fetchone()[0]
    rounds.launch(bot)
    bot.stop(kill=True)
    with open(bot.state_dir / "kfops.db", "r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)
    assert run_to_its_end(bot) == DAMAGED
    said = bot.log_tail()
    assert "damaged" in said and "copy" in said


def test_a_clean_file_is_not_looked_through(stage):
    stage.play("/build")
    stage.bot.restart()
    assert "event=database_checked" not in stage.bot.log_tail(400).rpartition("event=listening")[2]


def test_a_port_that_is_taken_is_told_apart_from_a_wrong_file(stage):
    bot = stage.bot
    bot.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", bot.port))
        other.listen()
        assert run_to_its_end(bot) == NO_SOCKET
    assert "cannot listen" in bot.log_tail()


def test_a_bot_without_descriptors_goes_on_when_there_are_some(stage):
    """Connections take all of them: those that are there are answered, and nobody spins."""
    scene, bot = stage.scene, stage.bot
    pull = stage.pull_for("/build_run")
    soft, hard = resource.prlimit(bot.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(bot.process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    held = []
    try:
        for _ in range(2 * DESCRIPTORS):
            held.append(socket.create_connection(("127.0.0.1", bot.port), 5))
        before = cpu_seconds(bot.process.pid)
        with pytest.raises(OSError):  # nobody can take this one
            probe = socket.create_connection(("127.0.0.1", bot.port), 2)
            held.append(probe)
            probe.settimeout(2)
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            if probe.recv(100).startswith(b"HTTP/1.1"):
                raise OSError("answered: some connection had made room")
        assert cpu_seconds(bot.process.pid) - before < 1.0
    finally:
        for each in held:
            each.close()
        resource.prlimit(bot.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    comment = scene.ann.comments("/build_run", on=pull)
    stage.until_rest(comment, "a command after the connections are gone")
    assert comment.reactions() == ["rocket"]


def cpu_seconds(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_memory_that_ends_is_said_and_the_next_start_goes_on(stage):
    """Running out of memory is abort(): with the line that says so, the job of the thread noted, nothing lost."""
    scene, bot = stage.scene, stage.bot
    pull = stage.pull_for("/build_run")
    bot.stop(kill=True)
    comment = scene.ann.comments("/build_run", on=pull)
    rounds.launch(bot, KFOPS_CRASH_AT="worker.before_effect:2", KFOPS_CRASH_WITH="6")
    assert bot.process.wait(IN_TIME_S) == -6
    rounds.launch(bot)
    stage.until_rest(comment, "the job in hand")
    assert comment.reactions() == ["rocket"]
    assert "event=store.crashed signal=6" in bot.log_tail(2000)


def test_the_program_names_its_exit_codes():
    shown = subprocess.run([str(rounds.harness.daemon_path()), "--help"], capture_output=True, text=True, check=True)
    for code in (DAMAGED, NO_SOCKET):
        assert str(code) in shown.stdout
