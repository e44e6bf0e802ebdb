"""The task of kfops.model.materialize_model against a real server: moto computes every signature once more."""

import json
import os
import pathlib
import subprocess
import types
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = pathlib.Path(__file__).with_name("s3_server.py")
LIST = """
import boto3, json, sys
url, key, secret, bucket = sys.argv[1:]
s3 = boto3.client("s3", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1")
print(json.dumps({item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read().decode()
                  for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}))
"""


@pytest.fixture
def lax():
    """The server before its checks are on: moto's STS wants a signature then, which the real one does not."""
    python = os.environ["KFOPS_S3_PYTHON"]
    with subprocess.Popen([python, SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield json.loads(process.stdout.readline())
        process.kill()


@pytest.fixture
def server(lax):
    switch = urllib.request.Request(f"{lax['url']}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
    urllib.request.urlopen(switch, timeout=30).close()
    return lax


@pytest.fixture
def task(monkeypatch):
    """The task's own function, with an environment that has no keys."""
    monkeypatch.syspath_prepend(str(ROOT / "deploy" / "compiler"))
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    import kfops.model
    return kfops.model.kfops_materialize_model.python_func


def stored(server) -> dict:
    done = subprocess.run([os.environ["KFOPS_S3_PYTHON"], "-c", LIST, server["url"], server["access_key"],
                           server["secret_key"], "models"], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def put(task, server, path, destination="s3://models", run_id="run-1", **more):
    return task(**{"model": types.SimpleNamespace(path=str(path)), "destination": destination, "run_id": run_id,
                   "endpoint": server["url"], "region": "us-east-1", **more})


def test_files_and_folders(task, server, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server["secret_key"])
    folder = tmp_path / "model"
    (folder / "ä b+").mkdir(parents=True)
    (folder / "model.joblib").write_text("one")
    (folder / "ä b+" / "x=1&y.txt").write_text("two")
    assert put(task, server, folder) == "s3://models/run-1/"
    assert put(task, server, folder / "model.joblib", "s3://models/team-a/") == "s3://models/team-a/run-1/"
    assert stored(server) == {"run-1/model.joblib": "one", "run-1/ä b+/x=1&y.txt": "two",
                              "team-a/run-1/model.joblib": "one"}
    put(task, server, folder)  # a task that is tried again
    (tmp_path / "nothing").mkdir()
    for missing in ("nothing", "none"):
        with pytest.raises(FileNotFoundError, match="was not written"):
            put(task, server, tmp_path / missing)


def test_refusals_are_told(task, server, tmp_path, monkeypatch):
    (tmp_path / "model.joblib").write_text("one")
    with pytest.raises(PermissionError, match="no keys for the object store"):
        put(task, server, tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(RuntimeError, match=r"(?s)does not take s3://models/run-1/model\.joblib: 403 .*SignatureDoesNotMatch"):
        put(task, server, tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server["secret_key"])
    with open(tmp_path / "weights.bin", "wb") as large:
        large.truncate((5 << 30) + 1)  # takes no space
    before = stored(server)
    with pytest.raises(ValueError, match=r"weights\.bin has 5368709121 bytes.*5 GiB.*nothing was stored.*several files"):
        put(task, server, tmp_path, run_id="too-large")
    assert stored(server) == before
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(RuntimeError, match="NoSuchBucket"):
        put(task, server, tmp_path, "s3://nowhere")
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with pytest.raises(RuntimeError, match="does not take .*ConnectionRefusedError"):
        put(task, server, tmp_path, endpoint="http://127.0.0.1:9")


def test_a_role(task, lax, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("header.claims.signature\n")
    (tmp_path / "model.joblib").write_text("one")
    monkeypatch.setenv("AWS_ROLE_ARN", lax["role"])
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", lax["url"])
    put(task, lax, tmp_path / "model.joblib")
    assert stored(lax) == {"run-1/model.joblib": "one"}
