"""What is to bring it down: rows 68 to 76 of the list in tests/attacks.toml."""

import os
import sqlite3
import subprocess
import time

import pytest

import texts
from attack_kit import Door


def test_69_a_database_that_is_locked(scene, bot, ann):
    """503, so GitHub counts the delivery as failed and the bot fetches it later; never 202 without a row."""
    scene.expects_log("batch_failed|store_waits|claim|meta_failed|wake_failed|report_unstored|not taking")
    door = Door(scene)
    other = sqlite3.connect(bot.state_dir / "kfops.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        comment = ann.comments("/build")
        assert door.send(door.comment("/status")) == 503
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert bot.ends(to=comment, patience=60) == "rocket"
    scene.webhooks_are_idle()


HOSTILE = {
    "an endless loop": ("compile.timeout", "while True: pass\n"),
    "deaf to SIGTERM": ("compile.timeout", "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(100)\n"),
    "a fork bomb": ("", "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"),
    "endless output": ("", "while True: print('x' * 100000)\n"),
    "a file without end": ("", "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * 1000000)\n"),
    "all memory": ("", "x = []\nwhile True: x.append(bytearray(50_000_000))\n"),
    "left behind": ("compile.timeout", "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\nwhile True: pass\n"),
}


@pytest.mark.scene(config={"compile": {"timeout": "2s", "memory": "300MiB"}})
def test_72_hostile_compile(scene, bot, ann):
    for name, (code, source) in HOSTILE.items():
        ann.pushes(texts.python("from kfp import dsl\n" + source, pipeline_function_name="x"))
        ann.comments("/build")
        assert bot.ends(patience=60) == "-1", name
        said = bot.answer("`compile.")
        assert f"`{code}" in said or not code, f"{name}:\n{said}"
        assert len(said.encode()) < 65536
    ann.pushes(texts.settings())
    ann.comments("/build")
    assert bot.ends() == "rocket"  # the next job is not concerned
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(bot.state_dir) not in left.replace(str(bot.config_file), ""), "a process was left behind"


def test_75_comments_from_the_future(scene, bot, ann):
    """GitHub's clock is compared with itself alone, so a comment that this machine's has not reached runs like others."""
    door = Door(scene)
    for minutes in (-4, -60):
        payload = scene.comment_payload(ann, "/build --no-cache", age_minutes=minutes)
        assert door.send(payload) == 202
        assert bot.ends() == "rocket"
    assert len(bot.jobs()) == 2 and not bot.unfinished()
