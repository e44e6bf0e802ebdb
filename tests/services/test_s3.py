"""lib/services/s3 against a real server: build/.../test_s3_live does the calls, moto answers and checks signatures.

KFOPS_S3_PYTHON names the Python that has moto (scripts/setup.sh makes it); without one these tests fail, for it is never missing there.
"""
import json
import os
import pathlib
import subprocess
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = pathlib.Path(__file__).with_name("s3_server.py")


def program() -> pathlib.Path:
    path = pathlib.Path(os.environ.get("KFOPS_BUILD", ROOT / "build/asan")) / "tests/test_s3_live"
    if not path.exists():
        pytest.fail(f"no {path}: build first, or set KFOPS_BUILD")
    return path


@pytest.fixture
def server():
    python = os.environ.get("KFOPS_S3_PYTHON")
    if not python:
        pytest.fail("KFOPS_S3_PYTHON is not set: source scripts/setup.sh")
    process = subprocess.Popen([python, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    try:
        assert line, process.communicate()[1]
        yield json.loads(line)
    finally:
        process.kill()
        process.communicate()


def secret(folder: pathlib.Path, name: str, text: str) -> str:
    path = folder / name
    path.touch(0o600)
    path.write_text(text)
    return str(path)


def run(server: dict, folder: pathlib.Path, cases: str) -> None:
    env = os.environ | {"KFOPS_S3_URL": server["url"], "KFOPS_S3_ROLE": server["role"],
                        "KFOPS_S3_ACCESS_KEY_FILE": secret(folder, "access", server["access_key"]),
                        "KFOPS_S3_SECRET_KEY_FILE": secret(folder, "secret", server["secret_key"]),
                        "KFOPS_S3_OTHER_FILE": secret(folder, "other", "an-other-key-of-nobody"),
                        "KFOPS_S3_TOKEN_FILE": secret(folder, "token", "header.claims.signature")}
    done = subprocess.run([program(), cases], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120)
    assert done.returncode == 0 and "0 test(s) run" not in done.stdout, done.stdout


def test_calls(server, tmp_path):
    run(server, tmp_path, "open_*")


def test_every_signature_is_right(server, tmp_path):
    """The same server with its checks on: botocore signs what it got once more and compares."""
    switch = urllib.request.Request(f"{server['url']}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    urllib.request.urlopen(switch, timeout=30).close()
    run(server, tmp_path, "signed_*")
