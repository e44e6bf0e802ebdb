"""The cluster stand-in: requests to models, S3, and a model from its training to its service."""

import base64
import hashlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree

import pytest
from cluster_play import (  # noqa: F401 (fixtures)
    canonical, Cluster, cluster, HERE, HOST, live, ONE, quote_value, read, sample, sign, StandinProcess, start,
    transition, TWO)


# -- requests ---------------------------------------------------------------------------------------


def test_both_protocols(live):  # noqa: F811
    assert live.predict(body={"inputs": [[1, 2, 3, 4]] * 2})[1] == {"predictions": [1, 1]}
    status, value = live.predict(path="/v2/models/iris/infer", body={"id": "pr-42", "inputs": [{
        "name": "input-0", "shape": [2, 4], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6, 7, 8]}]})
    assert status == 200 and value["id"] == "pr-42"
    assert value["outputs"] == [{"name": "output-0", "shape": [2], "datatype": "INT64", "data": [1, 1],
                                 "parameters": None}]
    for path, told in (("/v1/models/iris", {"name": "iris", "ready": True}),
                       ("/v2/models/iris/ready", {"name": "iris", "ready": True}),
                       ("/v1/models", {"models": ["iris"]}), ("/v2/health/ready", {"ready": True})):
        status, _, value = live.ask("GET", path, port="ingress", headers={"Host": HOST})
        assert (status, value) == (200, told)


@pytest.mark.parametrize("path, body, status, words", [
    ("/v1/models/other:predict", None, 404, "Model with name other does not exist."),
    ("/v1/models/iris:predict", {"instances": [[1, 2, 3]]}, 500,
     "ValueError : X has 3 features, but KNeighborsClassifier is expecting 4 features as input."),
    ("/v1/models/iris:predict", {"instances": 5}, 400, 'Expected "instances" to be a list'),
    ("/v1/models/iris:predict", b"{", 400, "Unrecognized request format"),
    ("/v2/models/iris/infer", {"inputs": [{"name": "a", "shape": [3], "datatype": "FP32", "data": [1]}]},
     400, "does not fit")])
def test_errors_of_the_model_server(live, path, body, status, words):  # noqa: F811
    got, value = live.predict(path=path, body=body)
    assert got == status and words in value["error"]


@pytest.mark.parametrize("kind, status", [("error", 500), ("garbage", 200), ("empty", 200), ("nan", 200),
                                          ("constant", 200)])
def test_broken_models(live, kind, status):  # noqa: F811
    live.uri(TWO, 0)
    live.post("services/ml-prod/iris/break", of="iris-predictor-00002", kind=kind)
    private = "iris-predictor-00002-private.ml-prod.svc.cluster.local"
    got, value = live.predict(private)
    assert got == status and value != {"predictions": [2]} and live.predict()[1] == {"predictions": [1]}
    live.post("services/ml-prod/iris/break", of="latest", kind=None)
    assert live.predict(private)[1] == {"predictions": [2]}


def test_routes_converge_late_and_mesh_refuses(live):  # noqa: F811
    live.post("settings", converge_requests=2)
    live.patch({"canaryTrafficPercent": 100})
    live.uri(TWO, 100)
    assert [live.predict()[0] for _ in range(3)] == [503, 503, 200]
    live.post("hosts", host="-private", status=403)
    assert live.predict("iris-predictor-00002-private.ml-prod.svc.cluster.local") == \
        (403, "RBAC: access denied")
    assert live.predict("nobody.ml-prod.example.com")[0] == 404
    assert live.predict("gateway", path="/serving/ml-prod/iris/v1/models/iris:predict")[0] == 200


def test_who_answers_and_edits_behind_the_back(live):  # noqa: F811
    assert [(a["storageUri"], a["percent"]) for a in live.get("answers", host=HOST)] == [(ONE, 100)]
    live.post("services/ml-prod/iris/edit", patch={"spec": {"predictor": {"model": {"storageUri": TWO}}}})
    live.settle()
    assert live.get("answers", host=HOST)[0]["storageUri"] == TWO
    managers = [e["manager"] for e in live.isvc()["metadata"]["managedFields"]]
    assert "kubectl-edit" in managers
    live.send("DELETE", "services/ml-prod/iris")
    assert live.get("answers", host=HOST) == [] and live.predict()[0] == 404


def test_model_that_ends_the_process(live):  # noqa: F811
    evil = b"cos\n_exit\n(I7\ntR."
    live.send("DELETE", f"objects?uri={TWO}")
    live.post("objects", uri=TWO + "model.pkl", base64=base64.b64encode(evil).decode())
    live.uri(TWO, 0)
    assert transition(live.isvc())[0] == "BlockedByFailedLoad"
    assert live.predict()[1] == {"predictions": [1]}


# -- S3 ---------------------------------------------------------------------------------------------


def keys_of(text):
    root = xml.etree.ElementTree.fromstring(text)
    space = {"s": "http://s3.amazonaws.com/doc/2006-03-01/"}
    return ([e.text for e in root.findall("s:Contents/s:Key", space)],
            [e.text for e in root.findall("s:CommonPrefixes/s:Prefix", space)],
            root.findtext("s:NextContinuationToken", namespaces=space))


def code_of(text):
    return xml.etree.ElementTree.fromstring(text).findtext("Code")


def test_objects_come_and_go(cluster):  # noqa: F811
    key = "/mlpipeline/a b/żółw+&<1>.txt"
    status, headers, _ = cluster.s3("PUT", key, body=b"hello")
    assert status == 200 and headers["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    assert cluster.s3("PUT", key, body=b"x", headers={"If-None-Match": "*"})[0] == 412
    assert cluster.s3("GET", key)[2] == "hello"
    status, headers, text = cluster.s3("GET", key, headers={"Range": "bytes=1-2"})
    assert (status, text, headers["Content-Range"]) == (206, "el", "bytes 1-2/5")
    status, headers, _ = cluster.s3("HEAD", key)
    assert status == 200 and headers["Content-Length"] == "5"
    assert cluster.s3("DELETE", key)[0] == 204 and cluster.s3("DELETE", key)[0] == 204
    status, _, text = cluster.s3("GET", key)
    assert status == 404 and code_of(text) == "NoSuchKey"
    assert cluster.s3("HEAD", "/mlpipeline")[0] == 200 and cluster.s3("HEAD", "/none")[0] == 404
    assert code_of(cluster.s3("PUT", "/mlpipeline")[2]) == "BucketAlreadyOwnedByYou"
    assert cluster.violations() == []


def test_lists_with_delimiter_and_pages(cluster):  # noqa: F811
    for key in ("p/a.txt", "p/b/1", "p/b/2", "p/c&<d>", "p/e/", "q"):
        cluster.s3("PUT", "/lists", body=b"")
        cluster.s3("PUT", "/lists/" + key, body=b"" if key.endswith("/") else b"x")
    base = [("list-type", "2"), ("prefix", "p/")]
    keys, prefixes, token = keys_of(cluster.s3("GET", "/lists", base)[2])
    assert keys == ["p/a.txt", "p/b/1", "p/b/2", "p/c&<d>", "p/e/"] and token is None and prefixes == []
    keys, prefixes, _ = keys_of(cluster.s3("GET", "/lists", [*base, ("delimiter", "/")])[2])
    assert keys == ["p/a.txt", "p/c&<d>"] and prefixes == ["p/b/", "p/e/"]
    keys, _, _ = keys_of(cluster.s3("GET", "/lists", [*base, ("encoding-type", "url")])[2])
    assert keys[3] == "p/c%26%3Cd%3E"
    seen, token = [], None
    for _ in range(4):
        more = [("continuation-token", token)] if token else []
        keys, prefixes, token = keys_of(cluster.s3(
            "GET", "/lists", [*base, ("delimiter", "/"), ("max-keys", "1"), *more])[2])
        seen += keys + prefixes
    assert seen == ["p/a.txt", "p/b/", "p/c&<d>", "p/e/"] and token is None


def test_signatures_are_checked(cluster):  # noqa: F811
    path, query = "/mlpipeline", [("list-type", "2")]
    status, _, text = cluster.s3("GET", path, query, secret="other")
    assert status == 403 and code_of(text) == "SignatureDoesNotMatch"
    old = cluster.amz_date(-16 * 60)
    assert code_of(cluster.s3("GET", path, query, when=old)[2]) == "RequestTimeTooSkewed"
    wrong = {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}
    assert code_of(cluster.s3("PUT", path + "/x", body=b"x", **wrong)[2]) == "XAmzContentSHA256Mismatch"
    assert cluster.s3("PUT", path + "/x", body=b"x", **{"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})[0] == 200
    assert code_of(cluster.ask("GET", path + "?list-type=2", port="s3")[2]) == "AccessDenied"
    cluster.s3_key = "nobody"
    try:
        assert code_of(cluster.s3("GET", path, query)[2]) == "InvalidAccessKeyId"
    finally:
        cluster.s3_key = "kfops"
    assert len(cluster.take_violations()) == 5


@pytest.mark.parametrize("key", ["/mlpipeline/../../secret", "/mlpipeline/a/../b", "/mlpipeline/a//b"])
def test_keys_stay_in_their_bucket(cluster, key):  # noqa: F811
    assert code_of(cluster.s3("PUT", key, body=b"x")[2]) == "XMinioInvalidObjectName"


def test_keys_of_one_bucket(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"kfops": {"secret": "kfops-secret", "buckets": ["one"], "list": False}}))
    cluster = Cluster(tmp_path / "state", "--credentials", str(path))
    try:
        cluster.post("objects", uri="s3://one/x", text="1")
        cluster.post("objects", uri="s3://two/x", text="1")
        assert cluster.s3("GET", "/one/x")[0] == 200 and cluster.s3("GET", "/two/x")[0] == 403
        assert cluster.s3("HEAD", "/one")[0] == 403
    finally:
        cluster.stop()


def test_published_signatures():
    vectors = sample("s3/sigv4_vectors.json")
    if vectors is None:
        pytest.skip("no published samples")
    from cluster_standin import sigv4
    for vector in vectors["vectors"]:
        headers = {k.lower(): v for k, v in vector["headers"].items()}
        text = sigv4.canonical_request(vector["method"], vector["path"], vector["query"], headers,
                                       sorted(headers), vector["payload_hash"])
        assert text == vector["canonical_request"], vector["name"]
        scope = f"{vector['amz_date'][:8]}/{vector['region']}/s3/aws4_request"
        told = sigv4.string_to_sign(text, vector["amz_date"], scope)
        assert sigv4.signature(vectors["secret_key"], scope, told) == vector["signature"], vector["name"]


def test_presigned_urls(cluster):  # noqa: F811
    cluster.post("objects", uri="s3://mlpipeline/pre.txt", text="signed")
    when = cluster.amz_date()
    scope = f"{when[:8]}/us-east-1/s3/aws4_request"
    query = [("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", f"kfops/{scope}"),
             ("X-Amz-Date", when), ("X-Amz-Expires", "60"), ("X-Amz-SignedHeaders", "host")]
    host = {"host": f"127.0.0.1:{cluster.ports['s3']}"}
    text = canonical("GET", "/mlpipeline/pre.txt", query, host, "UNSIGNED-PAYLOAD")
    query.append(("X-Amz-Signature", sign("kfops-secret", scope, when, text)))
    target = "/mlpipeline/pre.txt?" + urllib.parse.urlencode(query, quote_via=quote_value)
    assert cluster.ask("GET", target, port="s3")[2] == "signed"
    assert cluster.ask("GET", target.replace("pre.txt", "pre2.txt"), port="s3")[0] == 403


# -- a model from its training to its service ---------------------------------------------------------


def upload(port, pipeline_file):
    """Pipeline and version in the Kubeflow stand-in; (pipeline id, version id)."""
    made = call(port, "POST", "/apis/v2beta1/pipelines", {"display_name": "iris"})
    mark = "xxBOUNDARYxx"
    body = (f'--{mark}\r\nContent-Disposition: form-data; name="uploadfile"; filename="p.yaml"\r\n\r\n'
            f"{pipeline_file.read_text()}\r\n--{mark}--\r\n").encode()
    version = call(port, "POST", "/apis/v2beta1/pipelines/upload_version?name=v1&pipelineid="
                   + made["pipeline_id"], body, f"multipart/form-data; boundary={mark}")
    return made["pipeline_id"], version["pipeline_version_id"]


def call(port, method, path, body=None, kind="application/json"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    connection.request(method, path, data, {"Content-Type": kind})
    status, _, value = read(connection.getresponse())
    connection.close()
    assert status == 200, value
    return value


def metadata(port, method, message):
    """The answer's message of an ML Metadata call, as {number: [values]}."""
    from kubeflow_standin import wire
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", f"/ml_metadata.MetadataStoreService/{method}",
                       b"\x00" + len(message).to_bytes(4, "big") + message,
                       {"Content-Type": "application/grpc-web+proto"})
    data = connection.getresponse().read()
    connection.close()
    return wire.read(data[5:5 + int.from_bytes(data[1:5], "big")])


def model_of(port, run):
    """The storageUri of the run's model, found as the bot finds it."""
    from kubeflow_standin import wire
    context = metadata(port, "GetContextByTypeAndName",
                       wire.field(1, "system.PipelineRun") + wire.field(2, run))
    answer = metadata(port, "GetArtifactsByContext", wire.field(
        1, wire.read(context[1][0])[1][0]) + wire.field(2, wire.field(1, 100)))
    found = [wire.read(item) for item in answer[1]]
    kinds = {item[8][0].decode() for item in found}
    assert kinds == {"system.Dataset", "system.Model", "system.Metrics", "system.ClassificationMetrics"}
    return next(i[3][0].decode() for i in found if i[8][0] == b"system.Model")


def test_sample_repository_is_trained_and_served(cluster, tmp_path):  # noqa: F811
    pytest.importorskip("kfp")
    sys.path.insert(0, str(HERE / "kubeflow"))
    folder = HERE / "sample_repository"
    package = tmp_path / "pipeline.yaml"
    subprocess.run([pathlib.Path(sys.executable).with_name("kfp"), "dsl", "compile", "--py",
                    str(folder / "my_pipeline" / "pipeline.py"), "--output", str(package)], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    kubeflow = StandinProcess("kubeflow", tmp_path / "kubeflow", "--objects",
                              str(cluster.state / "objects"))
    try:
        pipeline, version = upload(kubeflow.port, package)
        run = call(kubeflow.port, "POST", "/apis/v2beta1/runs", {
            "display_name": "run", "pipeline_version_reference": {
                "pipeline_id": pipeline, "pipeline_version_id": version}})["run_id"]
        state = wait_for_end(kubeflow.port, run)
        assert state == "SUCCEEDED"
        uri = model_of(kubeflow.port, run)
    finally:
        kubeflow.stop()
    assert uri.startswith(f"minio://mlpipeline/v2/artifacts/iris-training/{run}/train-model/")
    key = uri.removeprefix("minio://mlpipeline/")
    listed = cluster.s3("GET", "/mlpipeline", [("list-type", "2"), ("prefix", key + "/")])[2]
    assert keys_of(listed)[0] == [key + "/model.joblib"]
    assert cluster.deploy(uri.replace("minio://", "s3://") + "/")[0] == 201
    cluster.settle()
    status, value = cluster.predict(body=json.loads(
        (folder / "test_deployment" / "input.json").read_text()))
    assert (status, value) == (200, {"predictions": [0, 2]})


def wait_for_end(port, run):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        state = call(port, "GET", f"/apis/v2beta1/runs/{run}")["state"]
        if state in ("SUCCEEDED", "FAILED"):
            return state
        time.sleep(0.1)
    return "late"
