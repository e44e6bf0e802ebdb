"""kfops.compile as the bot calls it: a process of its own, files in, files out."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("kfp")

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMPONENT = """
from kfp import dsl

@dsl.component
def hello(name: str) -> str:
    return "hello " + name
"""
PIPELINE = COMPONENT + """
@dsl.pipeline(name="greet")
def greet(name: str = "you"):
    hello(name=name)
"""


class Repository:
    def __init__(self, root):
        self.root = root
        self.out = root.parent / "out"

    def write(self, path, text):
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)

    def compile(self, path="my_pipeline/pipeline.py", function=None, fd=None):
        command = [sys.executable, "-m", "kfops.compile", "--source", str(self.root), "--path",
                   path, "--out", str(self.out)]
        command += ["--function", function] if function else []
        command += ["--stream", str(fd)] if fd is not None else []
        return subprocess.run(command, cwd="/", env={**os.environ, "PYTHONPATH": PACKAGE},
                              capture_output=True, text=True, check=False,
                              pass_fds=[fd] if fd is not None else [])

    def error(self):
        return json.loads((self.out / "error.json").read_text())

    def documents(self):
        return json.loads((self.out / "pipeline.json").read_text())


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "source").mkdir()
    return Repository(tmp_path / "source")


def test_pipeline_becomes_yaml_and_json(repository):
    repository.write("my_pipeline/pipeline.py", PIPELINE)
    assert repository.compile().returncode == 0
    assert repository.documents()[0]["pipelineInfo"]["name"] == "greet"
    assert "schemaVersion: 2.1.0" in (repository.out / "pipeline.yaml").read_text()
    assert not (repository.out / "error.json").exists()


def test_modules_beside_the_file_and_below_the_root_are_found(repository):
    repository.write("my_pipeline/settings.py", "NAME = 'greet'")
    repository.write("shared/__init__.py", "")
    repository.write("shared/words.py", "WORD = 'hi'")
    repository.write("my_pipeline/pipeline.py", "import settings\nimport shared.words\n" + PIPELINE)
    assert repository.compile().returncode == 0, repository.error()


@pytest.mark.parametrize("name", ["kfp.py", "json.py", "yaml.py", "pipeline-a.py", "kfops.py",
                                  "argparse.py", "2024.py"])
def test_file_may_have_the_name_of_an_installed_module(repository, name):
    repository.write(name, PIPELINE)
    assert repository.compile(name).returncode == 0, repository.error()


def test_function_is_chosen_among_several(repository):
    second = PIPELINE.replace("greet", "other").replace(COMPONENT, "")
    repository.write("p.py", PIPELINE + second)
    assert repository.compile("p.py", "other").returncode == 0
    assert repository.documents()[0]["pipelineInfo"]["name"] == "other"


def test_own_pipeline_wins_over_an_imported_one(repository):
    repository.write("base.py", PIPELINE)
    repository.write("p.py", "from base import greet\n"
                     + PIPELINE.replace("greet", "own"))
    assert repository.compile("p.py").returncode == 0
    assert repository.documents()[0]["pipelineInfo"]["name"] == "own"


FAULTS = {
    "bad syntax": ({"p.py": "x = 1\ny = (\n"}, "SyntaxError", "exception", "p.py", 2),
    "bad syntax in a module": ({"p.py": "import m", "m.py": "a = 1\n\nif a\n"},
                               "SyntaxError", "exception", "m.py", 3),
    "exception": ({"p.py": "x = {}\nx['a']\n"}, "KeyError", "exception", "p.py", 2),
    "exception in a module": ({"p.py": "import m\nm.f()\n", "m.py": "def f():\n    1 / 0\n"},
                              "ZeroDivisionError", "exception", "m.py", 2),
    "missing module": ({"p.py": "import os\nimport nonesuch\n"},
                       "ModuleNotFoundError", "exception", "p.py", 2),
    "exception in the pipeline": (
        {"p.py": PIPELINE.replace("hello(name=name)", "hello(nme=name)")},
        "TypeError", "exception", "p.py", 10),
    "no pipeline": ({"p.py": "x = 1\n"}, "CompileError", "no_pipeline", "p.py", 1),
    "two pipelines": ({"p.py": PIPELINE + PIPELINE.replace("greet", "other")},
                      "CompileError", "many_pipelines", "p.py", 1),
    "sys.exit": ({"p.py": "import sys\nsys.exit(0)\n"}, "SystemExit", "exception", "p.py", 2),
    "memory": ({"p.py": "raise MemoryError()\n"}, "MemoryError", "memory", "p.py", 1),
    "disk full": ({"p.py": "raise OSError(28, 'No space left on device')\n"}, "OSError", "output",
                  "p.py", 1),
    "missing file": ({}, "CompileError", "not_found", None, None),
}


@pytest.mark.parametrize("case", FAULTS)
def test_fault_is_told_with_its_place(repository, case):
    files, kind_of_error, kind, path, line = FAULTS[case]
    for name, text in files.items():
        repository.write(name, text)
    assert repository.compile("p.py").returncode == 1
    error = repository.error()
    assert (error["type"], error["kind"], error["path"], error["line"]) == \
        (kind_of_error, kind, path, line)
    assert error["message"]
    assert str(repository.root) not in json.dumps(error)
    assert not (repository.out / "pipeline.yaml").exists()


@pytest.mark.parametrize("path", ["../p.py", "/etc/passwd", "a/../../p.py", "link.py", "p.txt"])
def test_paths_out_of_the_repository_are_refused(repository, path):
    repository.write("p.txt", PIPELINE)
    outside = repository.root.parent / "p.py"
    outside.write_text(PIPELINE)
    (repository.root / "link.py").symlink_to(outside)
    assert repository.compile(path).returncode == 1
    assert repository.error()["kind"] == "not_found"


def test_stream_carries_the_files_framed(repository):
    repository.write("p.py", PIPELINE)
    read, write = os.pipe()
    with open(repository.root.parent / "streamed", "w+b") as sink:
        os.close(read)
        os.close(write)
        assert repository.compile("p.py", fd=sink.fileno()).returncode == 0
        sink.seek(0)
        data = sink.read()
    assert data.startswith(b"kfops 1\n")
    data = data[len(b"kfops 1\n"):]
    frames = {}
    while not data.startswith(b"end\n"):
        head, data = data.split(b"\n", 1)
        name, size = head.split()
        frames[name.decode()], data = data[:int(size)], data[int(size):]
    assert data == b"end\n"
    assert list(frames) == ["ready", "pipeline.yaml"] and frames["ready"] == b""
    assert frames == {"ready": b"", "pipeline.yaml": (repository.out / "pipeline.yaml").read_bytes()}


def test_check_finds_kfp(repository):
    command = [sys.executable, "-m", "kfops.compile", "--check", "--out", str(repository.out)]
    assert subprocess.run(command, env={**os.environ, "PYTHONPATH": PACKAGE}, cwd="/",
                          check=False).returncode == 0


def test_exit_handlers_and_threads_do_not_hold_it_up(repository):
    repository.write("p.py", PIPELINE + """
import atexit, threading, time
atexit.register(time.sleep, 600)
threading.Thread(target=time.sleep, args=(600,)).start()
""")
    assert repository.compile("p.py").returncode == 0
