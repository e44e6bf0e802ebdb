"""What static checkers see: clang-format, cppcheck, gcc's analyzer, cycles of includes, tests beside their headers."""
import concurrent.futures
import graphlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
JOBS = os.cpu_count() or 1
DEFINES = ["-D_GNU_SOURCE", "-DKFOPS_FAULTS=1", '-DKFOPS_VERSION="x"']
TESTED = {"base": "lib/base", "core": "lib/core", "config": "config", "commands": "lib/commands",
          "store": "lib/store", "services": "lib/services", "bot": "bot"}
THROUGH = {"tests/unit/services/test_sandbox.c": "lib/services/compile.h"}  # asked where its harm would show


def files(tops: tuple[str, ...], suffixes: tuple[str, ...]) -> list[str]:
    return sorted(p.relative_to(ROOT).as_posix() for top in tops for p in (ROOT / top).rglob("*")
                  if p.suffix in suffixes)


def needs(tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")


def includes(name: str) -> list[str]:
    """The headers of the project that a file names."""
    return [i for i in re.findall(r'^\s*#\s*include "([^"]+)"', (ROOT / name).read_text(), re.M)
            if (ROOT / i).exists()]


def test_layout_is_that_of_clang_format():
    needs("clang-format")
    names = files(("bot", "lib", "config", "tests"), (".c", ".h"))
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *names], cwd=ROOT, capture_output=True, text=True)
    bad = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error:", done.stderr, re.M)))
    assert not bad and done.returncode == 0, "run: clang-format -i " + " ".join(bad)


def not_asked() -> list[str]:
    rows = []
    for line in (ROOT / "tests/lint/cppcheck.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            key, _, reason = line.partition("  ")
            assert reason.strip(), f"cppcheck.txt: a reason is missing: {line}"
            rows.append(key)
    return rows


def test_cppcheck_finds_nothing():
    needs("cppcheck")
    done = subprocess.run(
        ["cppcheck", "-q", f"-j{JOBS}", "--language=c", "--std=c11", "--library=posix",
         "--library=tests/lint/cppcheck.cfg", *DEFINES, "-I.", "--enable=warning,style,performance,portability",
         *(f"--suppress={s}" for s in not_asked()), "--template={file}:{line}: {id}: {message}",
         "bot", "lib", "config"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def test_the_analyzer_of_gcc_finds_nothing(tmp_path):
    needs("gcc")
    if "-fanalyzer" not in subprocess.run(["gcc", "--help=common"], capture_output=True, text=True).stdout:
        pytest.skip("gcc has no -fanalyzer")
    flags = subprocess.run(["pkg-config", "--cflags", "libmicrohttpd", "libcurl", "jansson", "libgit2", "sqlite3",
                            "yaml-0.1", "expat", "libcmark", "zlib"], capture_output=True, text=True, check=True).stdout.split()
    generated = pathlib.Path(os.environ.get("KFOPS_BUILD", ROOT / "build/asan")) / "generated"
    names = [n for n in files(("bot", "lib", "config"), (".c",))
             if generated.is_dir() or "store_migrations.inc" not in (ROOT / n).read_text()]

    def analyze(name: str) -> str:
        done = subprocess.run(["gcc", "-std=c17", *DEFINES, *flags, "-I.", f"-I{generated}", "-O1", "-fanalyzer", "-Werror",
                               "-c", "-o", os.devnull, name], cwd=ROOT, capture_output=True, text=True)
        return "\n".join(re.findall(r".*(?:error|warning): .*", done.stderr)) if done.returncode else ""

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        found = [text for text in pool.map(analyze, names) if text]
    assert not found, "\n".join(found)


def test_headers_do_not_include_each_other_in_a_circle():
    graph = {name: includes(name) for name in files(("bot", "lib", "config", "tests"), (".h",))}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def seen_by(name: str) -> set[str]:
    """Headers that a file includes, itself or through others."""
    seen, waiting = set(), [name]
    while waiting:
        more = set(includes(waiting.pop())) - seen
        seen |= more
        waiting += more
    return seen


def test_unit_tests_include_the_header_that_they_test():
    wrong = []
    for name in files(("tests/unit",), (".c",)):
        folder, module = TESTED[name.split("/")[2]], re.sub(r"^test_", "", pathlib.Path(name).stem)
        seen = seen_by(name)
        if not any(header.startswith(folder + "/") for header in seen):
            wrong.append(f"{name} includes nothing of {folder}")
        header = THROUGH.get(name, f"{folder}/{module}.h")
        if (ROOT / header).exists() and header not in seen:
            wrong.append(f"{name} does not include {header}")
    assert not wrong


def test_headers_of_the_base_and_the_core_are_tested_or_private():
    tested = set().union(*(seen_by(name) for name in files(("tests/unit",), (".c",))))
    wrong = [header for header in files(("lib/base", "lib/core"), (".h",))
             if not header.endswith("_impl.h") and header not in tested and "Private to" not in (ROOT / header).read_text()]
    assert not wrong
