"""Draws the states of a job as Mermaid from the table in lib/core/job.c; --write puts it into the docs."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BETWEEN = re.compile(r"(<!-- states:begin -->\n).*?(<!-- states:end -->)", re.S)


def drawn() -> str:
    moves = re.findall(r'\{JOB_(\w+),\s*JOB_(\w+),\s*"([^"]*)"', (ROOT / "lib/core/job.c").read_text())
    final = sorted({to for _, to, _ in moves} - {start for start, _, _ in moves})
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> ready", "    [*] --> blocked"]
    lines += [f"    {start.lower()} --> {to.lower()}" for start, to, _ in moves]
    lines += [f"    {state.lower()} --> [*]" for state in final]
    lines += ["```", "", "| from | to | when |", "|---|---|---|"]
    lines += [f"| {start.lower()} | {to.lower()} | {why} |" for start, to, why in moves]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = PAGE.read_text()
    wanted = BETWEEN.sub(lambda m: m.group(1) + drawn() + m.group(2), page)
    if "--write" in sys.argv:
        PAGE.write_text(wanted)
    elif page != wanted:
        sys.exit("docs/architecture.md is behind lib/core/job.c: run scripts/draw_states.py --write")
