"""The Kubeflow stand-in itself: does it answer as the real server, and fail when told to?"""

import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest

pytest.importorskip("kfp")

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "kubeflow"))

from kubeflow_standin import wire  # noqa: E402

V2, V1 = "/apis/v2beta1", "/apis/v1beta1"
SPEC = """
components:
  comp-train:
    executorLabel: exec-train
deploymentSpec:
  executors:
    exec-train:
      container: {image: python:3.11, command: [sh, -c, "true"]}
pipelineInfo: {name: iris}
root:
  dag:
    tasks:
      train: {cachingOptions: {}, componentRef: {name: comp-train}, taskInfo: {name: train}}
  inputDefinitions:
    parameters:
      neighbors: {parameterType: NUMBER_INTEGER}
      word: {parameterType: STRING, defaultValue: a, isOptional: true}
      kind: {parameterType: STRING, defaultValue: x, literals: [x, y]}
schemaVersion: 2.1.0
sdkVersion: kfp-2.13.0
"""
ARGO = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: old-}
spec: {entrypoint: a, templates: [{name: a, container: {image: x}}]}
"""
LOCAL = '''
from kfp import dsl

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def number(n: int) -> int:
    print("the number is", n)
    return n + 1

@dsl.component(base_image="python:3.11", install_kfp_package=False)
def check(n: int, fail: bool):
    if fail:
        raise ValueError(f"{n} is too much")

@dsl.pipeline(name="local-run")
def local_run(n: int = 1, fail: bool = False, loud: bool = False):
    made = number(n=n)
    with dsl.If(loud == True, name="loud"):
        number(n=5)
    check(n=made.output, fail=fail)
'''


class Standin:
    def __init__(self, folder, *options):
        self.folder = folder
        self.options = options
        self.start()

    def start(self):
        port_file = os.path.join(self.folder, "port")
        if os.path.exists(port_file):
            os.unlink(port_file)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kubeflow_standin", "--state",
             os.path.join(self.folder, "state"), "--port-file", port_file, *self.options],
            env={**os.environ, "PYTHONPATH": os.path.join(HERE, "kubeflow")},
            stdout=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(port_file))
        with open(port_file, encoding="utf-8") as source:
            self.port = int(source.read())

    def stop(self):
        self.process.terminate()
        assert self.process.wait(10) == 0

    def call(self, method, path, body=None, headers=None, query=None):
        """(status, JSON or text)."""
        url = f"http://127.0.0.1:{self.port}{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return self._read(answer.status, answer)
        except urllib.error.HTTPError as error:
            return self._read(error.code, error)

    @staticmethod
    def _read(status, answer):
        text = answer.read().decode()
        kind = answer.headers.get("Content-Type", "")
        return status, json.loads(text) if kind == "application/json" else text

    def get(self, path, **query):
        return self.call("GET", path, query=query)

    def ok(self, method, path, body=None, **query):
        status, value = self.call(method, path, body, query=query)
        assert status == 200, value
        return value

    def upload(self, pipeline, name, text=SPEC, file_name="pipeline.yaml", headers=None, **query):
        mark = "xxBOUNDARYxx"
        body = (f'--{mark}\r\nContent-Disposition: form-data; name="uploadfile"; '
                f'filename="{file_name}"\r\n\r\n{text}\r\n--{mark}--\r\n').encode()
        return self.call("POST", V2 + "/pipelines/upload_version", body, {
            "Content-Type": f"multipart/form-data; boundary={mark}", **(headers or {})},
            {"name": name, "pipelineid": pipeline, **query})

    def pipeline(self, name="iris"):
        return self.ok("POST", V2 + "/pipelines", {"display_name": name})["pipeline_id"]

    def version(self, text=SPEC):
        pipeline = self.pipeline(uuid.uuid4().hex)
        status, value = self.upload(pipeline, "v1", text)
        assert status == 200, value
        return value["pipeline_id"], value["pipeline_version_id"]

    def run(self, version, parameters=None, **more):
        return self.call("POST", V2 + "/runs", {
            "display_name": "run", "pipeline_version_reference": {
                "pipeline_id": version[0], "pipeline_version_id": version[1]},
            "runtime_config": {"parameters": parameters or {"neighbors": 3}}, **more})

    def until(self, run_id, *states, seconds=60):
        return wait_for(lambda: (lambda value: value if value["state"] in states else None)(
            self.ok("GET", f"{V2}/runs/{run_id}")), seconds)


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def make(tmp_path):
    made = []

    def start(*options):
        made.append(Standin(str(tmp_path), *options))
        return made[-1]

    yield start
    for standin in made:
        if standin.process.poll() is None:
            standin.stop()


@pytest.fixture
def standin(make):
    return make("--mode", "hold")


def text_of(answer):
    return answer[1]["details"][0]["message"]


# -- versions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version, v2_status", [("2.17.0", 200), ("2.5.0", 200), ("1.8.22", 404)])
def test_healthz_shows_what_the_server_is(make, version, v2_status):
    standin = make("--version", version)
    status, value = standin.get(V2 + "/healthz")
    assert status == v2_status
    if status == 200:
        assert value["tag_name"] == version and value["multi_user"] is False
    assert standin.get(V1 + "/healthz")[1]["tag_name"] == version


@pytest.mark.parametrize("body, message", [
    ({"labels": {}}, 'proto: (line 1:2): unknown field "labels"'),
    ({"display_name": "x", "runtime_config": {"parametres": 1}},
     'proto: (line 1:42): unknown field "parametres"'),
    ({"display_name": 3}, "proto: (line 1:18): invalid value for string field display_name: 3")])
def test_json_is_strict_since_2_14(standin, body, message):
    status, value = standin.call("POST", V2 + "/runs", body)
    assert (status, value) == (400, {"code": 3, "message": message, "details": []})


def test_unknown_members_were_ignored_before(make):
    standin = make("--version", "2.5.0")
    assert standin.call("POST", V2 + "/experiments", {"display_name": "e", "labels": {}})[0] == 200


@pytest.mark.parametrize("version, members", [("2.17.0", {"code", "message", "details"}),
                                              ("2.5.0", {"code", "message", "details", "error"})])
def test_errors_have_the_shape_of_the_version(make, version, members):
    status, value = make("--version", version).get(V2 + "/runs/none")
    assert status == 404 and set(value) == members
    assert value["details"][0]["message"] == "Run none not found"


# -- pipelines and versions ----------------------------------------------------------------------


def test_pipeline_is_found_by_name_and_not_made_twice(standin):
    key = standin.pipeline()
    assert standin.ok("GET", V2 + "/pipelines/names/iris")["pipeline_id"] == key
    assert standin.get(V2 + "/pipelines/names/none")[0] == 404
    answer = standin.call("POST", V2 + "/pipelines", {"name": "iris"})
    assert answer[0] == 409 and "already exist" in text_of(answer)


def test_version_is_found_again_and_409_the_second_time(standin):
    key = standin.pipeline()
    status, first = standin.upload(key, "pr-1-abc", description="sha256=1")
    assert status == 200 and first["pipeline_spec"]["pipelineInfo"] == {"name": "iris"}
    assert standin.upload(key, "pr-1-abc")[0] == 409
    found = standin.ok("GET", f"{V2}/pipelines/{key}/versions", filter=json.dumps(
        {"predicates": [{"operation": "EQUALS", "key": "name", "string_value": "pr-1-abc"}]}))
    assert [v["pipeline_version_id"] for v in found["pipeline_versions"]] == \
        [first["pipeline_version_id"]]


@pytest.mark.parametrize("text, name", [
    ("", "p.yaml"), ("a: [", "p.yaml"), (SPEC.replace("components:", "components_1:"), "p.yaml"),
    (SPEC.replace("{name: iris}", "{name: ''}"), "p.yaml"), ("x", "p.txt"),
    (SPEC.replace("schemaVersion: 2.1.0", "schemaVersion: 2.0.0"), "p.yaml"),
    (SPEC + "\n---\n" + SPEC, "p.yaml")])
def test_bad_packages_are_refused(standin, text, name):
    status, value = standin.upload(standin.pipeline(), "v", text, name)
    assert status == 400 and set(value) == {"error_message", "error_details"}


def test_argo_packages_and_second_documents_are_taken(standin):
    key = standin.pipeline()
    assert standin.upload(key, "old", ARGO)[1]["pipeline_spec"]["kind"] == "Workflow"
    good = "\n---\nplatforms: {kubernetes: {deploymentSpec: {executors: {}}}}\n"
    assert "platform_spec" in standin.upload(key, "two", SPEC + good)[1]["pipeline_spec"]
    bad = "\n---\nplatforms: {kubernetes: {nonesuch: 1}}\n"
    assert "platform_spec" not in standin.upload(key, "three", SPEC + bad)[1]["pipeline_spec"]


def test_published_invalid_packages_are_refused(standin):
    shared = os.environ.get("KFOPS_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))
    folder = os.path.join(shared, "samples")
    if not os.path.isdir(folder):
        pytest.skip("no shared samples")
    key = standin.pipeline()
    for name in sorted(os.listdir(os.path.join(folder, "kfp-ir-invalid"))):
        with open(os.path.join(folder, "kfp-ir-invalid", name), encoding="utf-8") as source:
            assert standin.upload(key, name, source.read())[0] == 400, name
    for name in sorted(os.listdir(os.path.join(folder, "kfp-ir"))):
        if name.endswith(".yaml"):
            with open(os.path.join(folder, "kfp-ir", name), encoding="utf-8") as source:
                status, value = standin.upload(key, name, source.read())
            assert status == 200, (name, value)


# -- lists --------------------------------------------------------------------------------------


def test_pages_hold_200_at_most_and_tokens_go_on(standin):
    ids = standin.ok("POST", "/_standin/rows", {"count": 450, "state": "RUNNING"})["ids"]
    seen, token, sizes = [], "", []
    while True:
        value = standin.ok("GET", V2 + "/runs", page_size=1000, page_token=token)
        seen += [run["run_id"] for run in value["runs"]]
        sizes.append(len(value["runs"]))
        token = value.get("next_page_token", "")
        assert value["total_size"] == 450
        if not token:
            break
    assert sizes == [200, 200, 50] and sorted(seen) == sorted(ids)
    assert len(standin.ok("GET", V2 + "/runs")["runs"]) == 20


def test_empty_list_is_an_empty_object(standin):
    assert standin.ok("GET", V2 + "/runs") == {}


def test_token_with_another_filter_is_refused(standin):
    standin.ok("POST", "/_standin/rows", {"count": 30})
    token = standin.ok("GET", V2 + "/runs")["next_page_token"]
    status, value = standin.get(V2 + "/runs", page_token=token, sort_by="created_at desc")
    assert status == 400 and "page token does not match" in value["message"]


@pytest.mark.parametrize("predicate, count", [
    ({"operation": "IN", "key": "state", "string_values": {"values": ["FAILED", "SUCCEEDED"]}}, 3),
    ({"operation": "EQUALS", "key": "state", "string_value": "RUNNING"}, 2),
    ({"operation": "NOT_EQUALS", "key": "state", "string_value": "RUNNING"}, 3),
    ({"operation": "GREATER_THAN", "key": "finished_at",
      "timestamp_value": "2020-01-01T00:00:00Z"}, 3),
    ({"operation": "LESS_THAN", "key": "created_at",
      "timestamp_value": "2020-01-01T00:00:00Z"}, 0),
    ({"operation": "IS_SUBSTRING", "key": "display_name", "string_value": "r_w"}, 5)])
def test_filters(standin, predicate, count):
    standin.ok("POST", "/_standin/rows", {"count": 2, "state": "RUNNING"})
    standin.ok("POST", "/_standin/rows", {"count": 3, "state": "FAILED"})
    value = standin.ok("GET", V2 + "/runs", filter=json.dumps({"predicates": [predicate]}))
    assert len(value.get("runs", [])) == count


@pytest.mark.parametrize("text", [
    "{", '{"predicates":[{"op":"EQUALS","key":"name","string_value":"x"}]}',
    '{"predicates":[{"operation":"EQUALS","key":"nonesuch","string_value":"x"}]}',
    '{"predicates":[{"operation":"IN","key":"name","string_value":"x"}]}'])
def test_bad_filters_are_400(standin, text):
    assert standin.get(V2 + "/runs", filter=text)[0] == 400


def test_filter_is_unescaped_a_second_time(standin):
    standin.ok("POST", V2 + "/experiments", {"display_name": "a+b 100%"})
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": "a+b 100%"}
    text = json.dumps({"predicates": [predicate]})
    status, value = standin.get(V2 + "/experiments", filter=text)
    assert status == 200 and value == {}
    twice = text.replace("%", "%25").replace("+", "%2B")
    assert len(standin.ok("GET", V2 + "/experiments", filter=twice)["experiments"]) == 1


# -- runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters, words", [
    ({}, "parameter neighbors is not optional, yet has neither default value nor user provided"),
    ({"neighbors": "3"}, "neighbors requires type double or integer"),
    ({"neighbors": True}, "neighbors requires type double or integer"),
    ({"neighbors": 3, "word": 4}, "word requires type string"),
    ({"neighbors": 3, "kind": "z"}, "does not match any of the allowed literal values"),
    ({"neighbors": 3, "extra": 1}, "parameter(s) provided are not required by pipeline: extra")])
def test_parameters_are_checked_as_the_server_does(standin, parameters, words):
    version = standin.version()
    answer = standin.call("POST", V2 + "/runs", {
        "display_name": "run", "pipeline_version_reference": {
            "pipeline_id": version[0], "pipeline_version_id": version[1]},
        "runtime_config": {"parameters": parameters}})
    assert answer[0] == 400 and words in text_of(answer)
    assert answer[1]["message"].startswith("Failed to create a new run: ")


def test_run_id_of_the_client_is_honoured_and_unfinished_is_1970(standin):
    key = str(uuid.uuid4())
    status, run = standin.run(standin.version(), run_id=key)
    assert (status, run["run_id"], run["state"]) == (200, key, "PENDING")
    assert run["finished_at"] == "1970-01-01T00:00:00Z"
    assert standin.ok("GET", f"{V2}/runs/{key}")["state"] == "RUNNING"


def test_same_run_id_twice_makes_a_second_workflow_and_500(standin):
    version, key = standin.version(), str(uuid.uuid4())
    assert standin.run(version, run_id=key)[0] == 200
    status, value = standin.run(version, run_id=key)
    assert status == 500 and "Failed to store run" in value["message"]
    workflows = standin.ok("GET", "/_standin/workflows")
    assert [w["run_id"] for w in workflows] == [key, key]


@pytest.mark.parametrize("change, status", [
    ({"display_name": ""}, 500), ({"experiment_id": "none"}, 404),
    ({"pipeline_version_reference": {"pipeline_version_id": "none"}}, 500),
    ({"plugins_output": {}}, 409)])
def test_callers_mistakes_have_the_servers_codes(standin, change, status):
    assert standin.run(standin.version(), **change)[0] == status


def test_what_the_cluster_cannot_keep_is_500_when_it_is_to_run(standin):
    """An upload may be larger than one object may be."""
    version = standin.version(SPEC.replace('"true"', '"' + "x" * (3 << 19) + '"'))
    status, value = standin.run(version)
    assert status == 500 and "etcdserver: request is too large" in value["message"]
    assert standin.ok("GET", "/_standin/workflows") == []


def test_terminated_run_is_canceling_then_failed(standin):
    run = standin.run(standin.version())[1]["run_id"]
    assert standin.ok("POST", f"{V2}/runs/{run}:terminate", {}) == {}
    assert standin.ok("GET", f"{V2}/runs/{run}")["state"] == "CANCELING"
    value = standin.until(run, "FAILED")
    assert [h["state"] for h in value["state_history"]] == \
        ["PENDING", "RUNNING", "CANCELING", "FAILED"]
    assert standin.call("POST", f"{V2}/runs/{run}:terminate", {})[0] == 400


def test_archive_and_delete(standin):
    run = standin.run(standin.version())[1]["run_id"]
    standin.ok("POST", f"{V2}/runs/{run}:archive", {})
    assert standin.ok("GET", f"{V2}/runs/{run}")["storage_state"] == "ARCHIVED"
    standin.ok("DELETE", f"{V2}/runs/{run}")
    assert standin.get(f"{V2}/runs/{run}")[0] == 404


def test_run_failed_by_hand_has_its_cause_and_log(standin):
    run = standin.run(standin.version())[1]["run_id"]
    standin.ok("POST", f"/_standin/runs/{run}", {
        "state": "FAILED", "task": "train", "message": "OOMKilled (exit code 137)",
        "log": "Killed\n"})
    value = standin.ok("GET", f"{V2}/runs/{run}")
    names = {t["display_name"]: t["state"] for t in value["run_details"]["task_details"]}
    assert value["state"] == "FAILED" and names["train"] == names["executor"] == "FAILED"
    assert names["train-driver"] == "SUCCEEDED"
    detail = standin.ok("GET", f"{V1}/runs/{run}")
    manifest = json.loads(detail["pipeline_runtime"]["workflow_manifest"])
    pod = next(n for n in manifest["status"]["nodes"].values()
               if n["type"] == "Pod" and n["phase"] == "Failed")
    assert pod["message"] == "OOMKilled (exit code 137)"
    assert pod["name"].endswith(".root.train.executor")
    name = f"{manifest['metadata']['name']}-{pod['templateName']}-{pod['id'].rsplit('-', 1)[1]}"
    path = f"/apis/v1alpha1/runs/{run}/nodes/"
    assert standin.get(path + name + "/log") == (200, "Killed\n")
    assert "not found" in standin.get(path + pod["id"] + "/log")[1]


def test_instant_runs_end_as_scripted(standin):
    version = standin.version()
    for state in ("SUCCEEDED", "FAILED"):
        standin.ok("POST", "/_standin/instant", {"on": True, "state": state})
        assert standin.until(standin.run(version)[1]["run_id"], state)


def test_pipelines_are_executed_for_real(make, tmp_path):
    standin = make()
    (tmp_path / "p.py").write_text(LOCAL)
    target = tmp_path / "p.yaml"
    subprocess.run([sys.executable, "-c", "import sys; sys.path[0:0]=[sys.argv[1]]\n"
                    "from kfp import compiler; import p\n"
                    "compiler.Compiler().compile(p.local_run, sys.argv[2])",
                    str(tmp_path), str(target)], check=True)
    version = standin.version(target.read_text())
    good = standin.run(version, {"n": 4.0})[1]["run_id"]
    value = standin.until(good, "SUCCEEDED", "FAILED")
    tasks = {t["display_name"]: t.get("state") for t in value["run_details"]["task_details"]}
    assert value["state"] == "SUCCEEDED", tasks
    assert tasks["number"] == tasks["check"] == "SUCCEEDED"
    assert "SKIPPED" in tasks.values()
    bad = standin.run(version, {"n": 9, "fail": True})[1]["run_id"]
    assert standin.until(bad, "SUCCEEDED", "FAILED")["state"] == "FAILED"
    manifest = json.loads(standin.ok("GET", f"{V1}/runs/{bad}")["pipeline_runtime"]
                          ["workflow_manifest"])
    pod = next(n for n in manifest["status"]["nodes"].values()
               if n["type"] == "Pod" and n["phase"] == "Failed")
    assert pod["message"] == "main: Error (exit code 1)"
    name = f"{manifest['metadata']['name']}-{pod['templateName']}-{pod['id'].rsplit('-', 1)[1]}"
    log = standin.get(f"/apis/v1alpha1/runs/{bad}/nodes/{name}/log")[1]
    assert "10 is too much" in log


def test_container_components_fail_with_a_clear_message(make):
    standin = make()
    run = standin.run(standin.version())[1]["run_id"]
    standin.until(run, "FAILED")
    manifest = standin.ok("GET", f"{V1}/runs/{run}")["pipeline_runtime"]["workflow_manifest"]
    assert "only supports running Lightweight Python Components" in manifest


def test_state_survives_a_restart(make):
    standin = make("--mode", "hold")
    run = standin.run(standin.version())[1]["run_id"]
    standin.stop()
    standin.start()
    assert standin.ok("GET", f"{V2}/runs/{run}")["run_id"] == run


# -- who may -------------------------------------------------------------------------------------


def test_tokens_audiences_and_namespaces(make, tmp_path):
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps({
        "good": {"user": "bot", "audiences": ["pipelines.kubeflow.org"], "namespaces": ["team"]},
        "wide": {"user": "bot", "audiences": ["https://kubernetes.default.svc"]}}))
    standin = make("--multi-user", "--tokens", str(tokens))

    def runs(token, namespace):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return standin.call("GET", f"{V2}/runs?namespace={namespace}", headers=headers)

    assert standin.get(V2 + "/healthz")[1]["multi_user"] is True
    assert runs(None, "team")[0] == 401
    assert runs("wide", "team")[0] == 401 and runs("nonesuch", "team")[0] == 401
    assert runs("good", "team") == (200, {})
    assert runs("good", "other")[0] == 403
    assert runs("good", "")[0] == 400
    assert standin.upload("none", "v")[0] == 400
    status, value = standin.call("POST", V2 + "/experiments",
                                 {"display_name": "e", "namespace": "other"},
                                 {"Authorization": "Bearer good"})
    assert status == 403 and "Namespace:other" in value["details"][0]["message"]
    tokens.write_text(json.dumps({"fresh": {"user": "bot"}}))
    assert runs("good", "team")[0] == 401 and runs("fresh", "team")[0] == 200


# -- faults --------------------------------------------------------------------------------------


def fault(standin, kind, method="", path="", **more):
    standin.ok("POST", "/_standin/faults", {"match": {"method": method, "path_regex": path},
                                            "kind": kind, **more})


def test_refusals_do_nothing(standin):
    fault(standin, "status", "POST", "/experiments", status=503)
    fault(standin, "html_502", "POST", "/experiments")
    for status in (503, 502):
        assert standin.call("POST", V2 + "/experiments", {"display_name": "e"})[0] == status
    assert standin.ok("GET", V2 + "/experiments") == {}
    assert standin.ok("POST", V2 + "/experiments", {"display_name": "e"})


def test_lost_answers_follow_the_deed(standin):
    for n, kind in enumerate(("lost_answer", "reset_after", "half_body")):
        fault(standin, kind, "POST", "/experiments")
        body = {"display_name": f"e{n}"}
        if kind == "lost_answer":
            assert standin.call("POST", V2 + "/experiments", body)[0] == 504
        else:
            with pytest.raises((OSError, ValueError, http.client.HTTPException)):
                standin.call("POST", V2 + "/experiments", body)
        assert standin.call("POST", V2 + "/experiments", body)[0] == 409


def test_faults_that_would_do_nothing_are_refused(standin):
    for bad in ({"kind": "meteor"}, {"kind": "drop_row", "match": {"method": "GET"}}, {"kind": "drop_row"},
                {"kind": "stale_read", "match": {"method": "POST"}}):
        assert standin.call("POST", "/_standin/faults", bad)[0] == 400


def test_reset_before_does_nothing(standin):
    fault(standin, "reset_before", "POST", "/experiments")
    with pytest.raises((ConnectionError, urllib.error.URLError, socket.error)):
        standin.call("POST", V2 + "/experiments", {"display_name": "e"})
    assert standin.ok("POST", V2 + "/experiments", {"display_name": "e"})


def test_stale_reads_show_what_was_before(standin):
    run = standin.run(standin.version())[1]["run_id"]
    fault(standin, "stale_read", "GET", f"/runs/{run}$")
    assert standin.get(f"{V2}/runs/{run}")[0] == 404
    assert standin.get(f"{V2}/runs/{run}")[0] == 200


def test_workflow_without_row_is_collected_after_the_grace_time(standin):
    standin.ok("POST", "/_standin/settings", {"gc_grace_s": 0.2})
    key = str(uuid.uuid4())
    fault(standin, "drop_row", "POST", "/runs$")
    assert standin.run(standin.version(), run_id=key)[0] == 500
    assert standin.get(f"{V2}/runs/{key}")[0] == 404
    assert [w["run_id"] for w in standin.ok("GET", "/_standin/workflows")] == [key]
    wait_for(lambda: standin.ok("GET", "/_standin/workflows") == [])


def test_faults_with_a_probability_follow_the_seed(standin):
    def pattern():
        standin.ok("POST", "/_standin/seed", {"seed": 7})
        standin.ok("DELETE", "/_standin/faults")
        fault(standin, "status", "GET", "/pipelines", times=-1, probability=0.5, status=500)
        return [standin.get(V2 + "/pipelines")[0] for _ in range(20)]

    first = pattern()
    assert {200, 500} == set(first) and pattern() == first


def test_mutations_are_recorded_in_order(standin):
    standin.run(standin.version(), run_id="r1")
    kinds = [m["kind"] for m in standin.ok("GET", "/_standin/mutations")]
    assert kinds == ["pipeline", "version", "experiment", "workflow", "run"]


def test_requests_against_the_specification_are_noted(make, monkeypatch):
    shared = os.environ.get("KFOPS_SHARED", os.path.abspath(
        os.path.join(HERE, "..", "..", "..", "shared")))
    if not os.path.isdir(os.path.join(shared, "specs", "kfp")):
        pytest.skip("no shared specifications")
    monkeypatch.setenv("KFOPS_SHARED", shared)
    standin = make("--mode", "hold", "--version", "2.5.0")
    assert standin.upload(standin.pipeline(), "v", SPEC)[0] == 500  # literals are newer
    version = standin.version(SPEC.replace(", literals: [x, y]", ""))
    run = standin.run(version, run_id=str(uuid.uuid4()))[1]["run_id"]
    standin.get(f"{V2}/runs/{run}")
    standin.get(f"{V1}/runs/{run}")
    standin.call("POST", f"{V2}/runs/{run}:terminate", {})
    standin.get(f"/apis/v1alpha1/runs/{run}/nodes/x/log")
    assert standin.ok("GET", "/_standin/violations") == []
    standin.call("POST", V2 + "/pipelines", {"name": "too new"})
    standin.get(V2 + "/runs", limit=3)
    standin.get(V2 + "/nonesuch")
    standin.get(V2 + "/runs", page_size="many")
    standin.call("POST", V2 + "/runs", b"")
    words = [v["violation"] for v in standin.ok("GET", "/_standin/violations")]
    assert words == ["unknown member .name", "unknown query parameter limit",
                     "no such operation in the specification",
                     "query parameter page_size is not an integer", "the body is missing"]


# -- ML Metadata ----------------------------------------------------------------------------------


def mlmd(standin, method, message=b"", body=None):
    """(headers, the answer's message as {number: [values]}) of a gRPC-Web call."""
    frame = b"\x00" + len(message).to_bytes(4, "big") + message
    request = urllib.request.Request(
        f"http://127.0.0.1:{standin.port}/ml_metadata.MetadataStoreService/{method}",
        frame if body is None else body, method="POST", headers={
            "Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        data = answer.read()
        if not data:
            return answer.headers, None
    size = int.from_bytes(data[1:5], "big")
    assert data[0] == 0 and data[5 + size] == 0x80 and b"grpc-status:0" in data[5 + size:]
    return answer.headers, wire.read(data[5:5 + size])


def context_of(standin, run):
    found = mlmd(standin, "GetContextByTypeAndName",
                 wire.field(1, "system.PipelineRun") + wire.field(2, run))[1]
    return wire.read(found[1][0]) if found else None


def values_of(entries):
    """Custom properties as {key: Python value}."""
    found = {}
    for entry in entries:
        pair = wire.read(entry)
        number, value = next(iter(wire.read(pair[2][0]).items()))
        found[pair[1][0].decode()] = struct.unpack("<d", value[0])[0] if number == 2 else \
            value[0].decode() if number == 3 else value[0]
    return found


def listed(standin, method, context, options=b""):
    message = wire.field(1, context) + (wire.field(2, options) if options else b"")
    answer = mlmd(standin, method, message)[1]
    return [wire.read(item) for item in answer.get(1, [])], answer.get(2, [b""])[0]


def artifacts_of(standin, run):
    """{name: (type, uri, custom properties)}."""
    items, _ = listed(standin, "GetArtifactsByContext", context_of(standin, run)[1][0],
                      wire.field(1, 100))
    return {a[7][0].decode(): (a[8][0].decode(), a[3][0].decode(), values_of(a[5])) for a in items}


def test_messages_are_encoded_as_published():
    shared = os.environ.get("KFOPS_SHARED", os.path.join(HERE, "..", "..", "..", "shared"))
    path = os.path.join(shared, "samples", "mlmd", "mlmd_grpc_web_samples.json")
    if not os.path.exists(path):
        pytest.skip("no published samples")
    with open(path, encoding="utf-8") as source:
        calls = json.load(source)["calls"]
    run = "9e68aca5-3afa-4028-8777-f697d858053f"
    root = f"minio://mlpipeline/v2/artifacts/iris-training-pipeline/{run}"
    context = wire.context(7, 11, run, {
        "namespace": "ml-team", "pipeline_root": root,
        "store_session_info": '{"Provider":"minio","Params":{"fromEnv":"true"}}'}, "system.PipelineRun")
    task = f"{root}/train-model/0c3d9a52-93a6-4d02-9d8c-0f3dcb7b1d4e"
    artifacts = [
        wire.artifact(21, 15, task + "/metrics", {"display_name": "metrics", "accuracy":
                      0.9736842105263158, "f1": 0.97}, "metrics", "system.Metrics"),
        wire.artifact(22, 16, task + "/model", {"display_name": "model", "framework":
                      "scikit-learn"}, "model", "system.Model")]
    container = "system.ContainerExecution"
    executions = [
        wire.execution(31, 12, 3, {"display_name": "root"}, f"run/{run}", "system.DAGExecution"),
        wire.execution(33, 13, 3, {
            "display_name": "train-model", "task_name": "train-model", "pod_name":
            "iris-training-pipeline-x7k2p-system-container-impl-2211", "parent_dag_id": 31,
            "outputs": wire.Outputs({"Output": 3})}, None, container),
        wire.execution(32, 13, 5, {"display_name": "create-dataset", "cached_execution_id": "12"},
                       None, container)]
    events = [wire.event(22, 33, "model", 4, 1787392000000), wire.event(21, 33, "metrics", 4, 1787392000000),
              wire.event(20, 33, "normalized_iris_dataset", 3, 1787391900000)]
    made = {"1.": wire.field(1, context), "1b": b"", "2.": wire.repeated(1, artifacts),
            "3.": wire.repeated(1, executions), "4.": wire.repeated(1, events)}
    for call in calls:
        data = made.get(call["note"][:2])
        if data is not None:
            assert data.hex() == call["response_message_hex"], call["note"]
            assert wire.frames(data).hex() == call["response_body_hex"], call["note"]


def test_scripted_run_has_metadata_and_objects(make, tmp_path):
    standin = make("--mode", "hold", "--objects", str(tmp_path / "objects"))
    run = standin.run(standin.version())[1]["run_id"]
    assert context_of(standin, "nonesuch") is None
    assert context_of(standin, run)[3] == [run.encode()]
    uri = standin.ok("POST", f"/_standin/runs/{run}/artifacts", {
        "task": "train", "name": "model", "type": "system.Model", "metadata": {"framework": "sklearn"},
        "files": {"model.joblib": "bytes"}})["uri"]
    standin.ok("POST", f"/_standin/runs/{run}/artifacts", {
        "task": "train", "name": "metrics", "type": "system.Metrics", "metadata": {"accuracy": 0.9},
        "cached": True})
    standin.ok("POST", f"/_standin/runs/{run}", {"state": "SUCCEEDED"})
    found = artifacts_of(standin, run)
    assert found["model"][:2] == ("system.Model", uri) and found["metrics"][2]["accuracy"] == 0.9
    assert uri.startswith(f"minio://mlpipeline/v2/artifacts/iris/{run}/train/")
    place = tmp_path / "objects" / uri.removeprefix("minio://") / "model.joblib"
    assert place.read_text() == "bytes"
    context = context_of(standin, run)[1][0]
    executions, _ = listed(standin, "GetExecutionsByContext", context)
    assert [(e[3], values_of(e[5])["display_name"]) for e in executions] == [([3], "root"), ([5], "train")]
    ids = b"".join(wire.varint(e[1][0]) for e in executions)
    events = [wire.read(e) for e in mlmd(standin, "GetEventsByExecutionIDs", wire.field(1, ids))[1][1]]
    assert [(e[2], e[4]) for e in events] == [(executions[1][1], [4])] * 2
    one = mlmd(standin, "GetArtifactsByID", wire.field(1, events[0][1][0]))[1]
    assert wire.read(one[1][0])[3] == [uri.encode()]
    names = {wire.read(t)[2][0] for t in mlmd(standin, "GetArtifactTypes")[1][1]}
    assert b"system.Model" in names
    standin.stop()
    standin.start()
    assert artifacts_of(standin, run) == found


def test_metadata_comes_in_pages_and_errors_in_headers(standin):
    run = standin.run(standin.version())[1]["run_id"]
    for number in range(25):
        standin.ok("POST", f"/_standin/runs/{run}/artifacts", {
            "task": "train", "name": f"a{number}", "type": "system.Artifact", "uri": "s3://b/k"})
    context = context_of(standin, run)[1][0]
    first, token = listed(standin, "GetArtifactsByContext", context)
    rest, end = listed(standin, "GetArtifactsByContext", context, wire.field(3, token))
    assert (len(first), len(rest), end) == (20, 5, b"")
    too_many = wire.field(1, context) + wire.field(2, wire.field(1, 101))
    for method, message, body, code in (("GetArtifactsByContext", too_many, None, "3"),
                                        ("GetArtifactTypes", b"", b"\x00\x00", "3"),
                                        ("Nonesuch", b"", None, "12")):
        headers, answer = mlmd(standin, method, message, body)
        assert answer is None and headers["grpc-status"] == code
