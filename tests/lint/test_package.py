"""What `cmake --install` puts where, the man page, and the unit of systemd."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from test_house import ROOT, daemon

PAGES = {ROOT / "deploy/man/kfopsd.8": "wrong configuration", ROOT / "deploy/man/kfc.1": "wrong usage"}
UNIT = ROOT / "deploy/systemd/kfopsd.service"
ROLE = ROOT / "deploy/rbac/kfops-deployer.yaml"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("prefix")
    done = subprocess.run(["cmake", "--install", daemon().parent, "--prefix", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_everything_is_installed(prefix):
    wanted = ["bin/kfopsd", "bin/kfc", "share/man/man8/kfopsd.8", "share/man/man1/kfc.1", "share/kfops/compiler/kfops/__init__.py",
              "share/doc/kfops/operations.md", "share/doc/kfops/examples/kfops.yaml",
              "share/doc/kfops/examples/config.yaml", "share/doc/kfops/LICENSE", "share/doc/kfops/kfops-deployer.yaml"]
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


@pytest.mark.parametrize("page, says", PAGES.items(), ids=lambda value: getattr(value, "name", ""))
def test_man_page_is_clean(page, says):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-t", "-man", "-ww", "-Tutf8", page], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    assert says in done.stdout


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


def test_the_role_grants_no_more_than_is_used():
    yaml = pytest.importorskip("yaml")
    documents = list(yaml.safe_load_all(ROLE.read_text()))
    assert [d["kind"] for d in documents] == ["ServiceAccount", "Role", "RoleBinding"]
    granted = {(group, resource): set(rule["verbs"]) for rule in documents[1]["rules"]
               for group in rule["apiGroups"] for resource in rule["resources"]}
    assert granted == {("serving.kserve.io", "inferenceservices"): {"get", "create", "patch", "delete"},
                       ("", "pods"): {"list"}, ("", "pods/log"): {"get"}}
    account, binding = documents[0]["metadata"], documents[2]
    assert binding["roleRef"]["name"] == documents[1]["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}]
