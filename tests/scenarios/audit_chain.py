"""The audit's chain, verified from the description in docs/operations.md alone: another program than the bot's."""

import hashlib
import pathlib
import sqlite3

FIELDS = ["previous", "no", "at", "actor_id", "actor", "command", "decision", "code", "sha", "repo_id", "repo", "pr",
          "job_id", "effect", "before", "after"]


def canonical(row: dict) -> bytes:
    form = b"kfops-audit 1\n"
    for name in FIELDS:
        value = row[name].hex() if name == "previous" else str(row[name])
        form += f"{name} {len(value.encode())} {value}\n".encode()
    return form


def faults(database: pathlib.Path) -> list[str]:
    """What does not fit; nothing for a file that has no audit yet."""
    if not database.exists():
        return []
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit'").fetchone():
            return []
        rows = [dict(row) for row in connection.execute("SELECT * FROM audit ORDER BY no")]
    connection.close()
    previous, found = bytes(32), []
    for i, row in enumerate(rows, 1):
        if row["no"] != i or row["previous"] != previous:
            found.append(f"row {row['no']} of the audit does not follow the one before it")
        previous = hashlib.sha256(canonical(row)).digest()
        if row["digest"] != previous:
            found.append(f"row {row['no']} of the audit has another digest than it should")
    return found
