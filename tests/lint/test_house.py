"""The rules of the house that a machine can see: layers, sizes, banned functions, headers, wrappers, docs."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = {  # a folder may include itself and what is listed
    "lib/base": [],
    "lib/core": ["lib/base"],
    "config": ["lib/core", "lib/base"],
    "lib/commands": ["lib/core", "lib/base"],
    "lib/store": ["lib/core", "lib/base"],
    "lib/services": ["lib/core", "lib/base"],
    "bot": ["lib/services", "lib/store", "lib/commands", "config", "lib/core", "lib/base"],
}
WRAPPERS = {  # foreign header -> the only files that may include it
    "microhttpd.h": r"bot/receive",
    "curl/curl.h": r"lib/base/http\.c",
    "openssl/": r"lib/base/sign\.c",
    "sqlite3.h": r"lib/store/",
    "git2.h": r"lib/services/repo",
    "yaml.h": r"lib/base/yaml",
    "expat.h": r"lib/base/xml\.c",
    "cmark.h": r"lib/core/comment\.c",
    "zlib.h": r"lib/base/gzip\.c",
}
BANNED = ("strcpy strcat sprintf vsprintf strtok atoi atol atof gmtime localtime system popen gets alloca "
          "tmpnam mktemp").split()
BANNED_OUTSIDE_BASE = "malloc calloc realloc free strdup strndup asprintf".split()


def sources(*suffixes: str) -> list[pathlib.Path]:
    return sorted(p for top in ("bot", "lib", "config") for p in (ROOT / top).rglob("*")
                  if p.suffix in suffixes)


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def without_comments_and_strings(text: str) -> str:
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', lambda m: re.sub(r"[^\n]", " ", m.group()), text,
                  flags=re.S)


def allowed() -> dict[str, str]:
    rows = {}
    for line in (ROOT / "tests/lint/allow.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            key, _, reason = line.partition("  ")
            assert reason.strip(), f"allow.txt: a reason is missing: {line}"
            rows[key.strip()] = reason
    return rows


def layer_of(path: str) -> str:
    return max((layer for layer in LAYERS if path.startswith(layer + "/")), key=len)


def test_includes_go_one_way():
    wrong = []
    for path in sources(".c", ".h"):
        mine = layer_of(name_of(path))
        for include in re.findall(r'^\s*#include "([^"]+)"', path.read_text(), re.M):
            if not (ROOT / include).exists():
                continue  # generated
            theirs = layer_of(include)
            if theirs != mine and theirs not in LAYERS[mine]:
                wrong.append(f"{name_of(path)} includes {include}")
    assert not wrong


def test_one_wrapper_per_foreign_library():
    wrong = []
    for path in sources(".c", ".h"):
        for include in re.findall(r"^\s*#include <([^>]+)>", path.read_text(), re.M):
            for foreign, owner in WRAPPERS.items():
                if include.startswith(foreign) and not re.match(owner, name_of(path)):
                    wrong.append(f"{name_of(path)} includes <{include}>")
    assert not wrong


def test_core_is_pure():
    impure = ["unistd.h", "fcntl.h", "pthread.h", "sys/stat.h", "sys/socket.h", "time.h", "signal.h", "stdatomic.h"]
    wrong = [f"{name_of(p)} includes <{h}>" for p in sources(".c", ".h") if name_of(p).startswith("lib/core/")
             for h in impure if f"#include <{h}>" in p.read_text()]
    wrong += [f"{name_of(p)} calls the clock" for p in sources(".c") if name_of(p).startswith(("lib/core/", "lib/commands/"))
              and re.search(r"\bclock_(now|mono)_ms\b", p.read_text())]
    assert not wrong


def test_banned_functions():
    wrong = []
    for path in sources(".c", ".h"):
        text = without_comments_and_strings(path.read_text())
        names = BANNED + ([] if name_of(path).startswith("lib/base/") else BANNED_OUTSIDE_BASE)
        for name in names:
            for match in re.finditer(rf"(?<![\w.>]){name}\s*\(", text):
                wrong.append(f"{name_of(path)}:{text.count(chr(10), 0, match.start()) + 1} {name}")
    assert not wrong


@pytest.mark.parametrize("kind, suffix, limit", [("file", ".c", 800), ("header", ".h", 200)])
def test_files_can_be_read_in_one_sitting(kind, suffix, limit):
    allow = allowed()
    wrong = [f"{name_of(p)}: {n} lines" for p in sources(suffix)
             if (n := len(p.read_text().splitlines())) > limit and name_of(p) not in allow]
    assert not wrong, f"{kind}s over {limit} lines"


def test_lines_are_not_too_long():
    wrong = [f"{name_of(p)}:{i}" for p in sources(".c", ".h")
             for i, line in enumerate(p.read_text().splitlines(), 1) if len(line.expandtabs(8)) > 110]
    assert not wrong


def test_functions_are_small():
    if not shutil.which("pmccabe"):
        pytest.skip("pmccabe is not installed")
    allow = allowed()
    out = subprocess.run(["pmccabe", *map(str, sources(".c"))], capture_output=True, text=True, check=True).stdout
    wrong = []
    for line in out.splitlines():
        fields = line.split("\t")
        complexity, lines = int(fields[1]), int(fields[4])
        place, function = fields[5].split(": ")
        if (complexity > 20 or lines > 80) and function not in allow:
            wrong.append(f"{place}: {function} complexity {complexity}, {lines} lines")
    assert not wrong


def test_functions_take_few_parameters():
    allow = allowed()
    wrong = []
    for path in sources(".h"):
        text = without_comments_and_strings(path.read_text())
        for match in re.finditer(r"\b([a-z]\w+)\(([^;{}()]*(?:\([^()]*\)[^;{}()]*)*)\)\s*(?:MUST_CHECK|__attribute__[^;]*)?;", text):
            count = 1 + re.sub(r"\([^()]*\)", "", match.group(2)).count(",")
            if count > 7 and match.group(1) not in allow:
                wrong.append(f"{name_of(path)}: {match.group(1)} takes {count}")
    assert not wrong


def test_headers_compile_alone(tmp_path):
    wrong = []
    for header in sources(".h"):
        probe = tmp_path / "probe.c"
        probe.write_text(f'#include "{name_of(header)}"\nextern int nothing;\n')
        done = subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-DKFOPS_FAULTS=1", '-DKFOPS_VERSION="x"',
                               "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}", str(probe)],
                              capture_output=True, text=True)
        if done.returncode:
            wrong.append(f"{name_of(header)}: {done.stderr.splitlines()[0]}")
    assert not wrong


def test_headers_begin_with_what_they_are_for():
    wrong = [name_of(p) for p in sources(".h", ".c")
             if not re.match(rf"/\* {re.escape(p.name)} - ", p.read_text())]
    assert not wrong


def test_no_unfinished_words():
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK|[Nn]ot implemented|[Ff]or now)\b")
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True,
                             text=True).stdout.split("\n")
    wrong = []
    for name in tracked:
        path = ROOT / name
        if path.suffix in (".c", ".h", ".py", ".sh", ".md", ".yaml", ".def", ".sql") and path.is_file() \
                and "tests/lint" not in name:
            wrong += [f"{name}:{i}" for i, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
                      if words.search(line)]
    assert not wrong


def daemon() -> pathlib.Path:
    path = pathlib.Path(os.environ.get("KFOPS_BUILD", ROOT / "build/asan")) / "kfopsd"
    if not path.exists():
        pytest.skip("kfopsd is not built")
    return path


def test_docs_name_every_option():
    written = (ROOT / "docs/configuration.md").read_text()
    tables = subprocess.run([daemon(), "--print-options"], capture_output=True, text=True, check=True).stdout
    assert tables.strip() in written, "run: scripts/write_docs.py BUILD"


def test_docs_name_every_metric():
    operations = (ROOT / "docs/operations.md").read_text()
    names = re.findall(r'"(kfops_\w+)"', (ROOT / "lib/base/metrics.def").read_text())
    assert names and not [n for n in names if n not in operations]


def test_docs_name_every_command_and_flag():
    text = (ROOT / "docs/commands.md").read_text()
    missing = []
    for name in re.findall(r"^COMMAND\((\w+)\)", (ROOT / "lib/commands/commands.def").read_text(), re.M):
        source = (ROOT / f"lib/commands/{name}.c").read_text()
        said = re.search(r'^\t\.name = "([\w-]+)"', source, re.M)[1]
        missing += [said] if f"`/{said}" not in text else []
        missing += [f"{name} --{flag}" for flag in re.findall(r'^\t\{"([\w-]+)", FLAG_', source, re.M)
                    if f"--{flag}" not in text]
    assert not missing


def test_docs_name_every_reason_code():
    codes = set()
    for path in sources(".c"):
        text = path.read_text()
        codes |= set(re.findall(r'err_code\([^;]*?"([a-z]+\.[a-z_]+)"', text))
        codes |= set(re.findall(r'common_end\([^;]*?"([a-z]+\.[a-z_]+)"', text))
        codes |= set(re.findall(r'end_job\([^;]*?"([a-z]+\.[a-z_]+)"', text))
    page = (ROOT / "docs/troubleshooting.md").read_text()
    assert codes and not sorted(c for c in codes if f"`{c}`" not in page)


def test_docs_links_work():
    wrong = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                wrong.append(f"{name_of(page)} -> {target}")
    assert not wrong


def test_docs_draw_the_states_of_the_table():
    done = subprocess.run(["python3", str(ROOT / "scripts/draw_states.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def moves() -> list[tuple[str, str]]:
    return re.findall(r"\{JOB_(\w+),\s*JOB_(\w+),", (ROOT / "lib/core/job.c").read_text())


def test_states_have_no_dead_end_and_all_are_reached():
    names = set(re.findall(r"^\tJOB_(\w+) = \d+", (ROOT / "lib/core/job.h").read_text(), re.M))
    final = {"DONE", "FAILED", "CANCELLED", "SUPERSEDED", "DEAD", "EXPIRED"}
    reached = {"READY", "BLOCKED"}
    while True:
        more = {to for start, to in moves() if start in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == names
    assert {start for start, _ in moves()} == names - final


def private_key() -> str:
    done = subprocess.run(["openssl", "genrsa", "2048"], capture_output=True, text=True, check=True)
    return done.stdout


def test_example_configuration_is_valid(tmp_path):
    text = (ROOT / "config/examples/kfops.yaml").read_text()
    for name in set(re.findall(r"/etc/kfops/[\w.-]+", text)):
        file = tmp_path / pathlib.Path(name).name
        file.write_text(private_key())
        file.chmod(0o600)
        text = text.replace(name, str(file))
    config = tmp_path / "kfops.yaml"
    config.write_text(text)
    done = subprocess.run([daemon(), "--config", config, "--print-config"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_exit_codes_are_the_same_everywhere():
    header = dict(re.findall(r"EXIT_CODE_(\w+) = (\d+)", (ROOT / "bot/daemon.h").read_text()))
    for page in ("docs/operations.md", "deploy/man/kfopsd.8", "bot/kfopsd.c"):
        text = (ROOT / page).read_text()
        assert not [code for code in header.values() if not re.search(rf"\b{code}\b", text)], page


def test_man_page_names_every_option():
    page = (ROOT / "deploy/man/kfopsd.8").read_text().replace("\\-", "-")
    options = re.findall(r'^\t\t\{"([\w-]+)", (?:no|required)_argument', (ROOT / "bot/kfopsd.c").read_text(), re.M)
    assert options and not [name for name in options if f"--{name}" not in page]
