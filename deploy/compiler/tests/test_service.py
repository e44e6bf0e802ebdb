"""kfops.compile --service as the bot calls it: the object comes back framed, errors name their place."""

import json
import os
import subprocess
import sys

import pytest

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WISH = {"name": "iris", "namespace": "ml-prod", "storage_uri": "s3://models/iris/"}
GOOD = """
def inference_service_instance(name, storage_uri, namespace="default", canary_traffic_percent=None):
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"predictor": {"canaryTrafficPercent": canary_traffic_percent,
                                   "sklearn": {"storageUri": storage_uri}}}}
"""


@pytest.fixture
def evaluate(tmp_path):
    """Runs it on one file; {"name": of the frame, ...its JSON}."""
    source = tmp_path / "source"
    source.mkdir()

    def run(text, path="deployment.py"):
        (source / "deployment.py").write_text(text)
        read, write = os.pipe()
        command = [sys.executable, "-m", "kfops.compile", "--source", str(source), "--path", path, "--out",
                   str(tmp_path / "out"), "--service", json.dumps(WISH), "--stream", str(write)]
        subprocess.run(command, cwd="/", env={**os.environ, "PYTHONPATH": PACKAGE}, capture_output=True, check=False,
                       pass_fds=[write])
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            lines = stream.read()
        assert lines.startswith(b"kfops 1\n") and lines.endswith(b"end\n")
        frames = lines[len(b"kfops 1\n"):].removeprefix(b"ready 0\n")
        head, _, rest = frames.partition(b"\n")
        name, size = head.split()
        return {"frame": name.decode(), **json.loads(rest[:int(size)])}
    return run


def test_the_function_gets_what_it_asks_for(evaluate):
    made = evaluate(GOOD)
    assert made["frame"] == "service.json" and made["metadata"] == {"name": "iris", "namespace": "ml-prod"}
    assert made["spec"]["predictor"]["sklearn"]["storageUri"] == "s3://models/iris/"
    assert made["spec"]["predictor"]["canaryTrafficPercent"] == 0


def test_a_function_of_two_arguments_gets_two(evaluate):
    made = evaluate("def inference_service_instance(name, storage_uri):\n"
                    "    return {'kind': 'InferenceService', 'metadata': {'name': name + storage_uri}}\n")
    assert made["metadata"]["name"] == "iriss3://models/iris/"


def test_objects_of_the_kubernetes_package_become_json(evaluate):
    pytest.importorskip("kubernetes")
    made = evaluate("from kubernetes.client import V1ObjectMeta\n"
                    "class Service:\n"
                    "    openapi_types = {'kind': 'str', 'metadata': 'V1ObjectMeta'}\n"
                    "    attribute_map = {'kind': 'kind', 'metadata': 'metadata'}\n"
                    "    kind = 'InferenceService'\n"
                    "    metadata = V1ObjectMeta(name='iris', resource_version='1')\n"
                    "def inference_service_instance(**all): return Service()\n")
    assert made["metadata"] == {"name": "iris", "resourceVersion": "1"}


@pytest.mark.parametrize("text, message, line", [
    ("x = 1\n", "has no function inference_service_instance", 1),
    ("\ndef inference_service_instance(name): return 5\n", "must return an InferenceService", 2),
    ("def inference_service_instance(name):\n    return {}['a']\n", "'a'", 2),
    ("def inference_service_instance(name:\n", "was never closed", 1),
])
def test_faults_name_their_place(evaluate, text, message, line):
    made = evaluate(text)
    assert made["frame"] == "error.json" and message in made["message"]
    assert (made["path"], made["line"]) == ("deployment.py", line)


def test_the_file_must_be_in_the_repository(evaluate):
    assert "leaves the repository" in evaluate(GOOD, "../../etc/passwd.py")["message"]
