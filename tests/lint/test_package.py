"""What `cmake --install` puts where, the man page, and the unit of systemd."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from test_house import ROOT, daemon

MAN = ROOT / "deploy/man/kfopsd.8"
UNIT = ROOT / "deploy/systemd/kfopsd.service"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(["cmake", "--install", daemon().parent, "--prefix", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_everything_is_installed(prefix):
    wanted = ["bin/kfopsd", "share/man/man8/kfopsd.8", "share/kfops/compiler/kfops/__init__.py",
              "share/doc/kfops/operations.md", "share/doc/kfops/examples/kfops.yaml",
              "share/doc/kfops/examples/config.yaml", "share/doc/kfops/LICENSE"]
    assert not [name for name in wanted if not (prefix / name).is_file()]
    assert os.access(prefix / "bin/kfopsd", os.X_OK)


def test_nothing_else_is_installed(prefix):
    """No test, no static library, nothing compiled by Python."""
    names = [p.relative_to(prefix).as_posix() for p in prefix.rglob("*") if p.is_file()]
    allowed = r"bin/(kfopsd|kfc)|libexec/kfops/[\w-]+|share/(man/man\d|kfops/compiler|doc/kfops)/.*"
    assert not [n for n in names if not re.fullmatch(allowed, n) or re.search(r"__pycache__|\.pyc$|/tests?/|\.a$", n)]


def test_installed_program_runs(prefix):
    done = subprocess.run([prefix / "bin/kfopsd", "--version"], capture_output=True, text=True)
    version = re.search(r"project\(kfops VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert done.returncode == 0 and version in done.stdout


def test_installed_compiler_is_the_whole_package(prefix):
    package = ROOT / "deploy/compiler/kfops"
    wanted = {p.relative_to(package).as_posix() for p in package.rglob("*.py")}
    there = {p.relative_to(prefix / "share/kfops/compiler/kfops").as_posix() for p in prefix.rglob("*.py")}
    assert wanted and wanted == there


def test_default_of_the_compiler_folder_is_where_it_is_installed():
    """For the prefix that the documentation uses."""
    row = re.search(r'"compile\.package_dir"[^"]*"([^"]+)"', (ROOT / "config/options.def").read_text())
    assert row and row[1] == "/usr/local/share/kfops/compiler"


def test_man_page_is_clean():
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-t", "-man", "-ww", "-Tutf8", MAN], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    assert "wrong configuration" in done.stdout


def test_unit_of_systemd_is_valid(prefix, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "kfopsd.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin", str(prefix / "bin")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "kfopsd.service" in line]
    assert not complaints, complaints


def test_unit_of_systemd_knows_the_exit_codes():
    codes = dict(re.findall(r"EXIT_CODE_(\w+) = (\d+)", (ROOT / "bot/daemon.h").read_text()))
    held = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.M)[1].split()
    assert held and not [code for code in held if code not in codes.values()]
