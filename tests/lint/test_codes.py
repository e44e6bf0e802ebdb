"""Reason codes: what the code can say, the documentation explains, and a test has seen.

A code is a text like "run.failed" where an error or the end of a job is made. Codes that only the operator meets (at
the start, in the log, in GitHub's list of deliveries) are explained in the operator's table; all others end up in
comments, so somebody must have watched one get there: a scenario, a trace, a golden comment or a unit test."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = re.compile(r'"([a-z]+\.[a-z_]+)"')
# calls -> the argument that is a code
CALLS = {"err_code": 2, "common_end": 2, "common_refuse": 1, "end_job": 2, "refuse": 1, "refuse_word": 1, "refusal_text": 0, "add_fault": 1,
         "fail": 1, "verdict": 2, "plan_fail": 1, "fail_with_cause": 1, "rollout_fail": 3, "say": 1, "end_not_back": 1, "end_unmerged": 1}
CALL = re.compile(r"\b(" + "|".join(CALLS) + r")\(")
# elsewhere: rows of tables of answers, what is assigned to something called a code, and functions that give one
ROW = re.compile(r'\bERR_[A-Z_]+,\s*"([a-z]+\.[a-z_]+)"')
ASSIGNED = re.compile(r"\w*(?:code|out_name)\s*=\s*([^;=]*);")
COPIED = re.compile(r'str_copy\([^;"]*code, [^;"]*"([a-z]+\.[a-z_]+)"\)')
NAME_OF = re.compile(r'#define (KUBE_[A-Z_]+)\s+"([a-z]+\.[a-z_]+)"')
GIVEN = re.compile(r'return "([a-z]+\.[a-z_]+)";')
OPERATOR_ONLY = {"event", "sandbox", "start", "store", "writer"}
AT_THE_START = {"config.no_namespaces"}  # of the operator, though others of its kind reach people
OWN_USE = {"github.none", "github.no_payload"}  # answers that our own code acts upon
TESTS = ["tests/scenarios/*.py", "tests/crash/*.py", "tests/unit/**/*.[ch]", "tests/golden/*",
         "tests/golden/rollouts/*"]


def sources():
    return [path for folder in ("bot", "lib", "config") for path in sorted((ROOT / folder).rglob("*.[ch]"))]


def arguments(text: str, at: int) -> list[str]:
    """Of a call whose opening parenthesis is before `at`."""
    parts, depth, begin = [], 0, at
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[(){}\[\],]', text[at:]):
        word, place = token.group(), at + token.start()
        if word in "([{":
            depth += 1
        elif word in ")]}" or (word == "," and depth == 0):
            if depth == 0:
                parts.append(text[begin:place])
                begin = place + 1
                if word != ",":
                    return parts
            else:
                depth -= 1
    return parts


def codes() -> set[str]:
    found = set()
    for path in sources():
        text = path.read_text(encoding="utf-8")
        for call in CALL.finditer(text):
            given = arguments(text, call.end())
            if len(given) > CALLS[call.group(1)]:
                found |= set(CODE.findall(given[CALLS[call.group(1)]]))
        found |= set(ROW.findall(text)) | set(GIVEN.findall(text)) | {code for _, code in NAME_OF.findall(text)} | set(COPIED.findall(text))
        for assigned in ASSIGNED.findall(text):
            found |= set(CODE.findall(assigned))
    found |= set(re.findall(r"'([a-z]+\.[a-z_]+)'", (ROOT / "lib/store/statements.def").read_text(encoding="utf-8")))
    return found


def text_of(*patterns: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for pattern in patterns
                     for path in sorted(ROOT.glob(pattern)) if path.is_file())


def explained(text: str) -> set[str]:
    """Codes in the first column of a table."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    return {code for row in rows for code in re.findall(r"`([a-z]+\.[a-z_]+)`", row)}


def test_there_are_codes():
    assert {"command.unknown", "compile.memory", "group.stopped", "github.fault", "job.superseded", "comment.late",
            "run.parameter_type", "pull.closed", "run.failed"} <= codes()


def test_every_code_is_explained():
    assert sorted(codes() - explained(text_of("docs/troubleshooting.md"))) == []


def test_every_explained_code_is_one():
    assert sorted(explained(text_of("docs/troubleshooting.md")) - codes()) == []


def test_every_code_that_people_see_was_seen_by_a_test():
    seen = text_of(*TESTS)
    for path in sources():  # a test may say the name of a code
        for name, code in NAME_OF.findall(path.read_text(encoding="utf-8")):
            seen += code if re.search(rf"\b{name}\b", seen) else ""
    people = {code for code in codes() - OWN_USE - AT_THE_START if code.split(".")[0] not in OPERATOR_ONLY}
    assert sorted(code for code in people if code not in seen) == []
