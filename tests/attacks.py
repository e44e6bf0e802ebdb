"""Prints the list of attacks (attacks.toml) with what the tests said, and ends with 1 when one of them failed.

    tests/attacks.py RESULT.xml...     JUnit files of pytest and ctest; a test that is in none of them was not run
    tests/attacks.py                   the list and its tests alone
"""
import pathlib
import re
import sys
import tomllib
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
WORSE = ["passed", "skipped", "not run", "failed"]  # one alone decides for the row, the worst of them


def attacks() -> list[dict]:
    """In the order of the list, each with the name of its section."""
    sections = tomllib.loads((HERE / "attacks.toml").read_text(encoding="utf-8"))["section"]
    return [{**attack, "section": section["name"]} for section in sections for attack in section["attacks"]]


def key_of(test: str) -> str:
    """"scenarios/test_x.py::test_y" as JUnit files name it: pytest gives the module and the function, ctest only the
    program, "core.pin"."""
    path, name = test.split("::")
    if path.startswith("unit/"):
        _, layer, file = path.split("/")
        return f"{layer}.{file.removesuffix('.c').removeprefix('test_')}"
    return f"{pathlib.PurePath(path).stem}::{name}"


def verdict_of(case) -> str:
    if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        return "failed"
    return "skipped" if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled") else "passed"


def results(paths: list[str]) -> dict[str, str]:
    """The worst verdict of all cases of a test, by its key."""
    found: dict[str, str] = {}
    for path in paths:
        try:
            root = ET.parse(path).getroot()
        except (OSError, ET.ParseError) as error:  # then its tests were not run
            print(f"{path}: no result ({error})", file=sys.stderr)
            continue
        for case in root.iter("testcase"):
            name = re.sub(r"\[.*", "", case.get("name", ""), flags=re.S)
            module = case.get("classname", "").rpartition(".")[2]
            for key in (name, f"{module}::{name}"):
                found[key] = max(found.get(key, "passed"), verdict_of(case), key=WORSE.index)
    return found


def row_of(attack: dict, found: dict[str, str] | None) -> tuple[str, str]:
    """What became of it, and by which tests or why."""
    for why, word in (("idle", "nothing to attack"), ("open", "open")):
        if why in attack:
            return word, attack[why]
    tests = ", ".join(attack["tests"])
    if found is None:
        return "", tests
    return max((found.get(key_of(test), "not run") for test in attack["tests"]), key=WORSE.index), tests


def main(paths: list[str]) -> int:
    found = results(paths) if paths else None
    counts: dict[str, int] = {}
    section = None
    for attack in attacks():
        if attack["section"] != section:
            section = attack["section"]
            print(f"\n## {section}\n\n| # | attack | result | tests, or why there are none |\n|---|---|---|---|")
        result, by = row_of(attack, found)
        counts[result] = counts.get(result, 0) + 1
        print(f"| {attack['row']} | {attack['name']} | {result} | {by} |")
    if found is not None:
        print("\n" + ", ".join(f"{count} {result}" for result, count in sorted(counts.items())))
    return 1 if counts.get("failed") else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
