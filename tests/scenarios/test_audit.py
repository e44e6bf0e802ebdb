"""The audit: who was allowed or refused what, and every change outside, chained; what an operator reads of it.
That the chain is sound is looked at after every scenario of all files (audit_chain.py)."""

import json
import sqlite3

import harness
import models
import pytest
from test_operate import kfopsd


def audit(scene, *args: str) -> list[dict]:
    done = kfopsd(scene, "--audit", "--json", *args)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def said(rows: list[dict]) -> list[str]:
    """In an order that does not depend on the time: "authorized write", "intent kfp.create_run", ..."""
    return [" ".join(word for word in (row["decision"], row["effect"], row["code"]) if word) for row in rows]


def test_a_run_from_the_right_to_the_end(scene, bot, ann):
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    job = bot.jobs()[0]
    rows = audit(scene)
    assert said(rows) == 2 * ["authorized default of /run"] + [*(f"{when} kfp.{what}" for what in (
        "pipeline", "upload_version", "experiment", "create_run") for when in ("intent", "done")), "done"]
    for row in rows:
        assert (row["actor"], row["command"], row["job_id"]) == ("ann", "build_run", job["id"])
        assert row["actor_id"] > 0 and row["repo"] == "lab/iris" and row["repo_id"] > 0 and row["pr"] == scene.pull.number
    run = scene.kubeflow.runs()[0]["run_id"]
    made = next(row for row in rows if row["decision"] == "done" and row["effect"] == "kfp.create_run")
    assert f"run_id={run}" in made["after"] and made["sha"] == scene.pull.look()["head_sha"]
    lines = [line for line in bot.log_lines() if line.get("event") == "audit"]
    assert [(int(line["no"]), line["digest"]) for line in lines] == [(row["no"], row["digest"]) for row in rows]


def test_what_is_refused(scene, bot, ann, eve):
    eve.comments("/build")
    assert bot.ends() == "-1"
    ann.comments("/biuld")
    bot.says("Did you mean `/build`?")
    ann.closes()
    ann.comments("/run")
    bot.says("`pull.closed`")
    rows = audit(scene)
    assert said(rows) == ["refused denied.permission", "refused command.unknown", "refused pull.closed"]
    assert [row["actor"] for row in rows] == ["eve", "ann", "ann"] and len({row["actor_id"] for row in rows}) == 2
    assert scene.kubeflow.get("mutations") == []


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_a_deployment_with_locks(scene, bot, ann, ben):
    models.has_run(scene, ann, 0)
    ben.comments("/lock production --reason \"canary watch\" --for 4h")
    assert bot.ends() == "rocket"
    ben.comments("/unlock production")
    assert bot.ends() == "rocket"
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    rows = [row for row in audit(scene) if row["actor"] == "ben"]
    effects = [row for row in rows if row["effect"]]
    by = {(row["decision"], row["effect"]): row for row in effects}
    assert "reason=canary watch" in by["done", "store.lock"]["after"] == by["done", "store.unlock"]["before"]
    assert "fence=1" in by["done", "store.turn"]["after"]
    assert "storageUri=" in by["intent", "kserve.send"]["after"] and "verb=create" in by["done", "kserve.send"]["after"]
    assert by["done", "store.deployed"]["after"] == "state=live"
    assert by["done", "github.merge"]["before"] == f"sha={scene.pull.look()['head_sha']}"
    assert "merged_sha=" in by["done", "github.merge"]["after"]
    for row in effects:
        if row["effect"].startswith("store."):
            assert row["decision"] == "done"
        elif row["decision"] == "done":
            assert any(r["no"] < row["no"] and r["decision"] == "intent" for r in effects if r["effect"] == row["effect"])
    ben.comments("/cancel all")
    assert bot.ends() == "rocket"


def test_a_change_of_which_nobody_knew(scene, bot, ann):
    """The answer is lost: it stays open, is looked for, and is told once as done."""
    scene.kubeflow.fault("lost_answer", "POST", r"/apis/v2beta1/runs$")
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    told = [row["decision"] for row in audit(scene) if row["effect"] == "kfp.create_run"]
    assert told[0] == "intent" and told[-1] == "done" and told.count("done") == 1 and "failed" not in told


def test_who_cancelled_what(scene, bot, ann, ben):
    scene.kubeflow.holds_runs()
    comment = ann.comments("/build_run")
    scene.wait_until(scene.kubeflow.runs, "the run to be made")
    job = bot.job_of(comment)
    ben.comments(f"/cancel {job['id']}")
    assert bot.ends(to=comment) == "confused"
    row = next(row for row in audit(scene, "--job", str(job["id"])) if row["effect"] == "store.cancel")
    assert row["actor"] == "ben" and row["command"] == "cancel" and row["before"].startswith("command=build_run state=")
    assert said(audit(scene, "--job", str(job["id"])))[-1] == "cancelled job.cancelled"


def test_what_the_operator_can_ask(scene, bot, ann, eve):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    eve.comments("/build")
    assert bot.ends() == "-1"
    everything = audit(scene)
    assert audit(scene, "--repo", "LAB/iris") == audit(scene, "--repo", str(everything[0]["repo_id"])) == everything
    assert audit(scene, "--repo", "lab/none") == []
    assert audit(scene, "--since", "1h") == everything and audit(scene, "--since", "2099-01-01T00:00:00Z") == []
    first = everything[0]["job_id"]
    assert audit(scene, "--job", str(first)) == [row for row in everything if row["job_id"] == first]
    people = kfopsd(scene, "--audit").stdout
    assert "refused    lab/iris #1 eve" in people and "denied.permission" in people
    head = f"{everything[-1]['no']}:{everything[-1]['digest']}"
    assert people.splitlines()[-1] == f"head {head}"
    verified = kfopsd(scene, "--audit", "--verify", "--kept", head)
    assert verified.returncode == 0 and verified.stdout == f"head {head}\nok   {len(everything)} rows\n"
    for wrong in (["--job", "x"], ["--since", "yesterday"], ["--kept", head], ["--verify", "--kept", "7"],
                  ["--verify", "--json"]):
        assert kfopsd(scene, "--audit", *wrong).returncode == 64, wrong
    assert kfopsd(scene, "--jobs", "--json").returncode == 64
    bot.stop()
    told = [line for line in bot.log_lines() if line.get("event") == "audit_head"]
    assert [f"{line['no']}:{line['digest']}" for line in told] == [f"0:{'0' * 64}", head]


def tampered(database, *lines: str) -> None:
    with sqlite3.connect(database) as connection:
        for name in ("audit_stays", "audit_keeps", "audit_goes_on"):
            connection.execute(f"DROP TRIGGER {name}")
        for line in lines:
            connection.execute(line)
    connection.close()


@pytest.mark.parametrize("line, place", [
    ("UPDATE audit SET actor = 'ben', actor_id = actor_id + 1 WHERE no = 3", "row 3: its digest"),
    ("DELETE FROM audit WHERE no = 2", "row 2: the row is missing"),
    ("DELETE FROM audit WHERE no > 3", "row 4: the rows from here to the one kept elsewhere are missing"),
])
def test_a_chain_that_somebody_broke(scene, bot, ann, tmp_path, line, place):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    kept = kfopsd(scene, "--audit").stdout.splitlines()[-1].removeprefix("head ")
    bot.stop()
    database = bot.state_dir / "kfops.db"
    whole = database.read_bytes()
    tampered(database, line)
    done = kfopsd(scene, "--audit", "--verify", "--kept", kept)
    assert done.returncode == 65 and f"FAIL the chain breaks at {place}" in done.stdout
    database.write_bytes(whole)
    assert kfopsd(scene, "--audit", "--verify", "--kept", kept).returncode == 0


def test_nobody_changes_a_row_by_mistake(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    bot.stop()
    with sqlite3.connect(bot.state_dir / "kfops.db") as connection:
        for line in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "REPLACE INTO audit SELECT * FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="rows of the audit"):
                connection.execute(line)
    connection.close()


@pytest.mark.scene(start=False)
def test_a_database_from_before_the_audit(scene, bot, ann):
    """One of the first release, without its jobs; the next start brings it up."""
    with sqlite3.connect(bot.state_dir / "kfops.db") as connection:
        connection.executescript((harness.ROOT / "tests/data/store/v1.sql").read_text())
        for table in ("outbox", "steps", "jobs", "deliveries", "heads"):
            connection.execute(f"DELETE FROM {table}")
    connection.close()
    asked = kfopsd(scene, "--audit")
    assert asked.returncode == 78 and "no audit yet" in asked.stderr
    bot.start()
    assert audit(scene) == []
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert said(audit(scene))[0] == "authorized default of /run" and audit(scene)[0]["previous"] == "0" * 64
    assert kfopsd(scene, "--audit", "--verify").returncode == 0
