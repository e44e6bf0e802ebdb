"""docs/faults.md names a test for each fault, and each named test is there."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
LAST = 89
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.M)
PLACE = re.compile(r"`(tests/[\w./]+)(?:::(\w+))?`")
ELSEWHERE = re.compile(r"^Rows? (.+) concerns? what is not there\.$", re.M)


def rows() -> dict[int, str]:
    found = ROW.findall(PAGE)
    assert len({number for number, *_ in found}) == len(found), "a row stands twice"
    return {int(number): played for number, _, _, played in found}


def test_every_row_is_there_or_said_to_be_left_out():
    left_out = {int(number) for line in ELSEWHERE.findall(PAGE) for number in re.findall(r"\b(\d+) \(", line)}
    assert set(rows()) | left_out == set(range(1, LAST + 1))
    assert not set(rows()) & left_out


def test_every_row_names_tests_that_exist():
    for number, played in rows().items():
        places = PLACE.findall(played)
        assert places, f"row {number} names no test"
        for path, name in places:
            file = ROOT / path
            assert file.is_file(), f"row {number}: {path}"
            if not name:
                assert path.startswith("tests/bench/"), f"row {number}: {path} without a test"
                continue
            text = file.read_text(encoding="utf-8")
            defined = rf"^def {name}\(" if file.suffix == ".py" else rf"^static void {name}\(void \*\*state\)"
            assert re.search(defined, text, re.M), f"row {number}: {path} has no {name}"
            used = file.suffix == ".py" or len(re.findall(rf"\b{name}\b", text)) > 1
            assert used, f"row {number}: {name} is never run"

