"""tests/attacks.toml names for each attack the tests that play it, or why there are none; each named test is there, and
no test of an attack is left out."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import attacks  # noqa: E402

LAST = 76
LIST = attacks.attacks()


def defined(test: str) -> bool:
    path, name = test.split("::")
    file = ROOT / "tests" / path
    pattern = rf"^def {name}\(" if file.suffix == ".py" else rf"^static void {name}\(void \*\*state\)"
    return file.is_file() and re.search(pattern, file.read_text(encoding="utf-8"), re.M) is not None


def test_every_row_stands_once_and_says_one_thing():
    assert [attack["row"] for attack in LIST] == list(range(1, LAST + 1))
    for attack in LIST:
        said = [key for key in ("tests", "idle", "open") if attack.get(key)]
        assert len(said) == 1, f"row {attack['row']} says {said}"


def test_every_named_test_is_there():
    missing = [f"{attack['row']}: {test}" for attack in LIST for test in attack.get("tests", []) if not defined(test)]
    assert missing == []


def test_every_test_with_a_number_is_named_by_its_row():
    """test_48_50_x belongs to the rows 48 and 50."""
    named = {(attack["row"], test.partition("::")[2]) for attack in LIST for test in attack.get("tests", [])}
    idle = {attack["row"] for attack in LIST if "idle" in attack}
    for file in sorted((ROOT / "tests" / "scenarios").glob("test_attacks_*.py")):
        for name in re.findall(r"^def (test_\d\w*)\(", file.read_text(encoding="utf-8"), re.M):
            rows = {int(number) for number in re.match(r"test_((?:\d+_)+)", name).group(1).strip("_").split("_")}
            assert all((row, name) in named or row in idle for row in rows), name


def test_results_are_read_from_both_kinds_of_files(tmp_path, capsys):
    (tmp_path / "a.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.scenarios.test_attacks_transport" name="test_1_no_signature"/>'
        '<testcase classname="tests.scenarios.test_attacks_transport" name="test_11_smuggling[a]"/>'
        '<testcase classname="tests.scenarios.test_attacks_transport" name="test_11_smuggling[b]"><failure/></testcase>'
        '</testsuite></testsuites>')
    (tmp_path / "b.xml").write_text('<testsuite><testcase name="core.pin" classname="core.pin" status="run"/></testsuite>')
    files = [str(tmp_path / name) for name in ("a.xml", "b.xml")]
    found = attacks.results(files)
    assert found[attacks.key_of("unit/core/test_pin.c::test_random_histories")] == "passed"
    assert attacks.main(files) == 1
    said = capsys.readouterr().out
    assert "| 1 | no signature | passed |" in said and "| 11 | smuggling | failed |" in said
    assert "| 65 | setup capture | nothing to attack |" in said and "| 3 | wrong secret | not run |" in said
