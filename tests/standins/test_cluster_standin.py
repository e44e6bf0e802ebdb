"""The cluster stand-in itself: the Kubernetes API, KServe's controllers, the services, S3."""

import base64
import collections
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.parse
import xml.etree.ElementTree

import pytest

pytest.importorskip("sklearn")

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "common"))
sys.path.insert(0, str(HERE / "cluster"))

from standin_common.process import StandinProcess  # noqa: E402

GROUP = "/apis/serving.kserve.io/v1beta1"
ISVCS = GROUP + "/namespaces/ml-prod/inferenceservices"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
SHARED = pathlib.Path(os.environ.get("KFOPS_SHARED", HERE.parents[1].parent / "shared"))
ONE, TWO, THREE = (f"s3://mlpipeline/run-{n}/model/" for n in (1, 2, 3))
HOST = "iris.ml-prod.example.com"


class Cluster(StandinProcess):
    def __init__(self, folder, *args):
        # may do all that the stand-in knows, not only what the shipped Role grants
        super().__init__("cluster", folder, *(() if "--rbac" in args else ("--rbac", "")), *args)
        self.ports = self.get("ports")
        self.s3_key, self.s3_secret = "kfops", "kfops-secret"

    def token(self):
        return (self.state / "token").read_text().strip()

    def ask(self, method, path, body=None, kind="application/json", port="kube", headers=None,
            token=None):
        """(status, headers, JSON or text)."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        own = {"Content-Type": kind, "User-Agent": "kfops/1"}
        if port == "kube":
            own["Authorization"] = "Bearer " + (self.token() if token is None else token)
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=60)
        try:
            connection.request(method, path, data, {**own, **(headers or {})})
            return read(connection.getresponse())
        finally:
            connection.close()

    def kube(self, method, path, body=None, kind="application/json", **more):
        status, _, value = self.ask(method, path, body, kind, **more)
        return status, value

    def settle(self):
        assert self.get("idle")["idle"]

    def isvc(self, name="iris"):
        status, value = self.kube("GET", f"{ISVCS}/{name}")
        assert status == 200, value
        return value

    def deploy(self, uri=ONE, name="iris", force=False, metadata=None, **predictor):
        """A server-side apply by the bot."""
        return self.kube("PATCH", f"{ISVCS}/{name}?fieldManager=kfops" + ("&force=true" if force else ""),
                         service(uri, name, metadata, **predictor), APPLY)

    def patch(self, predictor=None, name="iris", **top):
        body = {"spec": {"predictor": predictor}} if predictor is not None else {}
        status, value = self.kube("PATCH", f"{ISVCS}/{name}", {**body, **top}, MERGE)
        if status == 200:
            self.settle()
        return status, value

    def uri(self, uri, percent, name="iris"):
        return self.patch({"model": {"storageUri": uri}, "canaryTrafficPercent": percent}, name)

    def models(self, *names):
        for number, uri in enumerate(names, 1):
            self.post("objects", uri=uri, constant=number)

    def predict(self, host=HOST, body=None, path="/v1/models/iris:predict"):
        status, _, value = self.ask("POST", path, body or {"instances": [[1, 2, 3, 4]]}, port="ingress",
                                    headers={"Host": host})
        return status, value

    def amz_date(self, shift_s=0):
        """By the stand-in's clock."""
        moment = datetime.datetime.fromtimestamp(self.get("time")["now"] + shift_s, datetime.timezone.utc)
        return moment.strftime("%Y%m%dT%H%M%SZ")

    def s3(self, method, path, query=(), body=b"", headers=None, secret=None, when=None, **change):
        """A signed request; the signing is this test's own."""
        when = when or self.amz_date()
        host = f"127.0.0.1:{self.ports['s3']}"
        own = {"host": host, "x-amz-date": when,
               "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
               **{k.lower(): v for k, v in (headers or {}).items()}, **change}
        scope = f"{when[:8]}/us-east-1/s3/aws4_request"
        text = canonical(method, path, query, own, own["x-amz-content-sha256"])
        mark = sign(secret or self.s3_secret, scope, when, text)
        own["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.s3_key}/{scope},"
                                f"SignedHeaders={';'.join(sorted(own))},Signature={mark}")
        target = quote(path, "/") + ("?" + urllib.parse.urlencode(query, quote_via=quote_value)
                                     if query else "")
        return self.ask(method, target, body or None, port="s3", headers=own)


def quote(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def quote_value(text, *_):
    return quote(text)


def canonical(method, path, query, headers, payload):
    pairs = sorted((quote(k), quote(v)) for k, v in query)
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    return (f"{method}\n{quote(path, '/')}\n{'&'.join(f'{k}={v}' for k, v in pairs)}\n{lines}\n"
            f"{';'.join(sorted(headers))}\n{payload}")


def sign(secret, scope, when, text):
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    digest = hashlib.sha256(text.encode()).hexdigest()
    return hmac.new(key, f"AWS4-HMAC-SHA256\n{when}\n{scope}\n{digest}".encode(),
                    hashlib.sha256).hexdigest()


def read(response):
    data = response.read()
    if "json" in response.headers.get("Content-Type", "") and data:
        return response.status, response.headers, json.loads(data)
    return response.status, response.headers, data.decode()


def service(uri=ONE, name="iris", metadata=None, **predictor):
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": name, "namespace": "ml-prod", **(metadata or {})},
            "spec": {"predictor": {"minReplicas": 1, "model": {
                "modelFormat": {"name": "sklearn"}, "storageUri": uri}, **predictor}}}


def component(obj):
    return obj["status"]["components"]["predictor"]


def shares(obj):
    """{revision: percent}, summed up as a careful reader does."""
    found = collections.Counter()
    for target in component(obj)["traffic"]:
        found[target["revisionName"][-5:]] += target["percent"]
    return dict(+found)


def revisions(obj):
    """(created, ready, rolled out, previous) as numbers."""
    part = component(obj)
    return tuple(int(part[key][-5:]) if part.get(key) else 0 for key in (
        "latestCreatedRevision", "latestReadyRevision", "latestRolledoutRevision",
        "previousRolledoutRevision"))


def conditions(obj):
    return {c["type"]: (c["status"], c.get("reason", "")) for c in obj["status"]["conditions"]}


def transition(obj):
    status = obj["status"]["modelStatus"]
    return status["transitionStatus"], status["states"]["targetModelState"]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts a stand-in with options; one for each set of options of the module."""
    made = {}

    def begin(*args):
        if args not in made:
            made[args] = Cluster(tmp_path_factory.mktemp("cluster"), *args)
            made[args].models(ONE, TWO, THREE)
        return made[args]

    yield begin
    for cluster in made.values():
        cluster.stop()


def cleared(cluster):
    for name in ("iris", "iris-canary", "other"):
        if cluster.kube("GET", f"{ISVCS}/{name}")[0] == 200:
            cluster.send("DELETE", f"services/ml-prod/{name}")
    cluster.send("DELETE", "faults")
    cluster.send("DELETE", "hosts")
    cluster.post("timing", create="instant", pod="instant", load="instant", deadline="instant",
                 route="instant")
    cluster.post("release")
    cluster.post("settings", converge_requests=0)
    cluster.settle()
    cluster.models(ONE, TWO, THREE)
    cluster.take_violations()
    return cluster


@pytest.fixture
def cluster(start):
    return cleared(start())


@pytest.fixture
def standard(start):
    return cleared(start("--mode", "standard"))


@pytest.fixture
def live(cluster):
    """The cluster with `iris` serving model 1."""
    assert cluster.deploy()[0] == 201
    cluster.settle()
    return cluster


# -- who may ------------------------------------------------------------------------------------


def sample(name):
    path = SHARED / "samples" / name
    return json.loads(path.read_text()) if path.exists() else None


def test_nobody_is_401_and_strangers_are_403(cluster):
    status, value = cluster.kube("GET", ISVCS, token="wrong")
    assert status == 401 and value == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401}
    status, value = cluster.kube("GET", "/api/v1/namespaces/ml-prod/secrets/models")
    assert status == 403 and value["reason"] == "Forbidden"
    assert value["message"] == ('secrets "models" is forbidden: User "system:serviceaccount:kfops:kfops" '
                                'cannot get resource "secrets" in API group "" in the namespace "ml-prod"')
    assert [v["kind"] for v in cluster.take_violations()] == ["kube 401", "kube 403"]


def test_token_is_replaced_and_the_old_one_ends(cluster):
    old = cluster.token()
    cluster.post("token", keep_s=60)
    assert cluster.token() != old and cluster.kube("GET", ISVCS, token=old)[0] == 200
    cluster.advance(61)
    assert cluster.kube("GET", ISVCS, token=old)[0] == 401
    assert cluster.kube("GET", ISVCS)[0] == 200 and cluster.violations() == []


def test_access_reviews_answer_as_the_rules_do(cluster):
    def allowed(verb, resource, group="serving.kserve.io", namespace="ml-prod"):
        status, value = cluster.kube("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"namespace": namespace, "verb": verb, "group": group,
                                            "resource": resource}}})
        assert status == 201
        return value["status"]["allowed"]

    assert allowed("patch", "inferenceservices") and allowed("list", "events", "")
    assert not allowed("update", "inferenceservices") and not allowed("get", "secrets", "")
    assert not allowed("get", "inferenceservices", namespace="kube-system")


def test_roles_are_read_from_yaml(tmp_path):
    (tmp_path / "rbac").mkdir()
    (tmp_path / "rbac" / "role.yaml").write_text("""
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: ml-prod}
rules:
- {apiGroups: [serving.kserve.io], resources: [inferenceservices], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: ml-prod}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: kfops, namespace: kfops}]
""")
    cluster = Cluster(tmp_path / "state", "--rbac", str(tmp_path / "rbac"), "--client-certificate")
    try:
        assert cluster.kube("GET", ISVCS + "/none")[0] == 404
        assert cluster.kube("GET", ISVCS)[0] == 403
        assert cluster.deploy()[0] == 403
        check_tls(cluster)
    finally:
        cluster.stop()


def check_tls(cluster):
    """https with the authority of the kubeconfig: by token, by certificate, by neither."""
    context = ssl.create_default_context(cafile=str(cluster.state / "ca.crt"))
    answers = {}
    for name in ("token", "nobody", "certificate"):
        if name == "certificate":
            context.load_cert_chain(cluster.state / "client.crt", cluster.state / "client.key")
        connection = http.client.HTTPSConnection("127.0.0.1", cluster.ports["kube_tls"], context=context)
        headers = {"Authorization": "Bearer " + cluster.token()} if name == "token" else {}
        connection.request("GET", ISVCS + "/none", headers=headers)
        answers[name] = read(connection.getresponse())[0]
        connection.close()
    assert answers == {"token": 404, "nobody": 401, "certificate": 404}
    strict = ssl.create_default_context()
    connection = http.client.HTTPSConnection("127.0.0.1", cluster.ports["kube_tls"], context=strict)
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/version")
    for name in ("token", "kubeconfig", "kubeconfig-certificate", "client.key"):
        assert (cluster.state / name).stat().st_mode & 0o777 == 0o600


# -- the API server ------------------------------------------------------------------------------


def test_discovery_and_versions(cluster, start):
    assert cluster.kube("GET", "/version")[1]["major"] == "1"
    assert cluster.kube("GET", GROUP)[1]["resources"][0]["name"] == "inferenceservices"
    path = "/openapi/v3/apis/serving.kserve.io/v1beta1"
    assert path.strip("/").removeprefix("openapi/v3/") in cluster.kube("GET", "/openapi/v3")[1]["paths"]

    def knows_canary(one):
        schemas = one.kube("GET", path)[1]["components"]["schemas"]
        spec = schemas["io.kserve.serving.v1beta1.InferenceService"]["properties"]["spec"]
        return "canary" in spec["properties"]

    assert knows_canary(cluster) and not knows_canary(start("--kserve-version", "0.16"))
    cluster.post("settings", kserve_installed=False)
    assert cluster.kube("GET", GROUP) == cluster.kube("GET", ISVCS) == (404, "404 page not found\n")
    cluster.post("settings", kserve_installed=True)


@pytest.mark.parametrize("method, path, body, kind, status, words", [
    ("PATCH", "/iris", {}, "application/strategic-merge-patch+json", 415, "accepted media types include"),
    ("PATCH", "/none", {}, MERGE, 404, 'inferenceservices.serving.kserve.io "none" not found'),
    ("PATCH", "/iris", service(), APPLY, 422, "fieldManager: Required value"),
    ("PATCH", "/iris", b"{", MERGE, 400, "error decoding"),
    ("PATCH", "/iris", {"spec": {"predictor": {"minReplicas": "1"}}}, MERGE, 422,
     'must be of type integer: "string"'),
    ("PATCH", "/iris", {"spec": {"predictor": {"model": {"modelFormat": None}}}}, MERGE, 200, ""),
    ("PATCH", "/iris/status", {"status": {}}, MERGE, 403, ""),
    ("PUT", "/iris", service(), "application/json", 403, "cannot update"),
    ("DELETE", "", None, "application/json", 403, "cannot deletecollection"),
    ("POST", "", service(), "application/json", 409, "already exists"),
    ("POST", "", {**service(), "kind": "Pod"}, "application/json", 400, "unrecognized"),
    ("POST", "", service(name="Iris"), "application/json", 403, "denied the request: the InferenceServi"),
    ("POST", "", service(uri="minio://b/k", name="other"), "application/json", 403, "is not supported"),
    ("PATCH", "/iris", {"metadata": {"annotations": {
        "serving.kserve.io/deploymentMode": "Standard"}}}, MERGE, 403,
     "deploymentMode cannot be changed from 'Knative' to 'Standard'")])
def test_refusals(live, method, path, body, kind, status, words):
    got, value = live.kube(method, ISVCS + path, body, kind)
    assert got == status, value
    if status != 200:
        assert words in value["message"] and value["status"] == "Failure" and value["code"] == status


def test_the_answer_of_a_write_is_the_object_as_kept(cluster):
    status, value = cluster.deploy(ONE)
    assert status == 201 and "status" not in value
    model = value["spec"]["predictor"]["model"]
    assert model["protocolVersion"] == "v1" and model["runtime"] == "kserve-sklearnserver"
    first = value["metadata"]
    assert first["generation"] == 1 and first["managedFields"][0]["operation"] == "Apply"
    cluster.settle()
    again = cluster.isvc()["metadata"]
    assert cluster.deploy(ONE)[0] == 200
    assert cluster.isvc()["metadata"]["resourceVersion"] == again["resourceVersion"]
    assert again["uid"] == first["uid"] and again["generation"] == 1


def test_legacy_form_is_rewritten(cluster):
    body = service()
    model = body["spec"]["predictor"].pop("model")
    body["spec"]["predictor"]["sklearn"] = {"storageUri": model["storageUri"]}
    status, value = cluster.kube("POST", ISVCS, body)
    assert status == 201 and "sklearn" not in value["spec"]["predictor"]
    assert value["spec"]["predictor"]["model"]["modelFormat"] == {"name": "sklearn"}


def test_stale_version_is_409(live):
    old = live.isvc()["metadata"]["resourceVersion"]
    guarded = {"resourceVersion": old}
    assert live.patch({"canaryTrafficPercent": 100}, metadata=guarded)[0] == 200
    status, value = live.patch({"canaryTrafficPercent": 50}, metadata=guarded)
    assert status == 409
    told = sample("k8s/status_409_update_conflict.json")
    assert told is None or value == told


def test_dry_run_changes_nothing(live):
    before = live.isvc()
    count = len(live.mutations())
    status, value = live.kube("PATCH", f"{ISVCS}/iris?fieldManager=kfops&dryRun=All",
                              service(TWO), APPLY)
    assert status == 200 and value["spec"]["predictor"]["model"]["storageUri"] == TWO
    assert live.kube("PATCH", f"{ISVCS}/Other?fieldManager=kfops&dryRun=All",
                     service(name="Other"), APPLY)[0] == 403
    live.settle()
    assert live.isvc() == before and len(live.mutations()) == count


def test_unknown_fields(live):
    wrong = {"spec": {"predictor": {"nonesuch": 1}}}
    status, headers, value = live.ask("PATCH", ISVCS + "/iris", wrong, MERGE)
    assert status == 200 and "nonesuch" not in value["spec"]["predictor"]
    assert headers["Warning"] == '299 - "unknown field \\"spec.predictor.nonesuch\\""'
    status, value = live.kube("PATCH", ISVCS + "/iris?fieldValidation=Strict", wrong, MERGE)
    assert status == 400 and 'unknown field "spec.predictor.nonesuch"' in value["message"]
    body = service()
    body["spec"]["predictor"]["nonesuch"] = 1
    status, value = live.kube("PATCH", ISVCS + "/iris?fieldManager=kfops", body, APPLY)
    assert status == 500 and "field not declared in schema" in value["message"]
    assert {v["kind"] for v in live.take_violations()} == {"kube dropped", "kube 400", "kube 500"}


def test_apply_conflict_names_the_other_and_force_takes_over(live):
    live.post("services/ml-prod/iris/edit", patch={"spec": {"predictor": {"model": {
        "storageUri": TWO}}}}, manager="kubectl-edit")
    status, value = live.deploy(THREE)
    assert status == 409 and value["reason"] == "Conflict"
    cause = value["details"]["causes"][0]
    assert cause["reason"] == "FieldManagerConflict" and 'conflict with "kubectl-edit"' in cause["message"]
    assert cause["field"] == ".spec.predictor.model.storageUri"
    assert value["message"].startswith('Apply failed with 1 conflict: conflict with "kubectl-edit" using '
                                       "serving.kserve.io/v1beta1 at ")
    assert live.deploy(THREE, force=True)[0] == 200
    assert live.deploy(ONE)[0] == 200


def test_apply_takes_away_what_it_no_longer_says(live):
    assert live.deploy(ONE, canaryTrafficPercent=0, maxReplicas=3)[0] == 200
    live.kube("PATCH", ISVCS + "/iris", {"spec": {"predictor": {"timeout": 30}}}, MERGE)
    assert live.deploy(ONE)[0] == 200
    predictor = live.isvc()["spec"]["predictor"]
    assert "canaryTrafficPercent" not in predictor and "maxReplicas" not in predictor
    assert predictor["timeout"] == 30


def test_apply_of_a_new_object_needs_create(start):
    cluster = start("--kserve-version", "0.16")
    cluster.post("revoke", namespace="ml-prod", verb="create", resource="inferenceservices")
    status, value = cluster.deploy()
    assert status == 403 and "cannot create resource" in value["message"]


def test_ownership_of_items_of_a_list():
    from cluster_standin import fields
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"env": {
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object"}}}}}}

    def apply(live, manager, force=False, **env):
        return fields.apply(live, {"apiVersion": "v1", "kind": "X", "metadata": {}, "spec": {"env": [
            {"name": name, "value": value} for name, value in env.items()]}}, schema, manager, force, "t")

    def env(obj):
        return {item["name"]: item["value"] for item in obj["spec"]["env"]}

    one = apply(apply(None, "a", A="1", B="2"), "b", C="3")
    assert env(one) == {"A": "1", "B": "2", "C": "3"}
    with pytest.raises(fields.Conflict) as caught:
        apply(one, "b", A="9")
    assert fields.show(caught.value.found[0][1]) == '.spec.env[name="A"].value'
    two = apply(apply(one, "b", True, A="9"), "a", B="2")
    assert env(two) == {"A": "9", "B": "2"}
    for item in two["metadata"]["managedFields"]:
        assert fields.encode(fields.decode(item["fieldsV1"])) == item["fieldsV1"]


def test_delete_with_precondition(live):
    uid = live.isvc()["metadata"]["uid"]
    status, value = live.kube("DELETE", ISVCS + "/iris", {"preconditions": {"uid": "other"}})
    assert status == 409 and "Precondition failed: UID in precondition: other" in value["message"]
    assert live.kube("DELETE", ISVCS + "/iris", {"preconditions": {"uid": uid}})[0] == 200
    assert live.kube("DELETE", ISVCS + "/iris")[0] == 404
    assert live.kube("GET", "/api/v1/namespaces/ml-prod/pods")[1]["items"] == []


def test_lists_pages_and_old_tokens(cluster):
    for name in ("iris", "iris-canary", "other"):
        assert cluster.deploy(name=name)[0] == 201
    cluster.settle()
    value = cluster.kube("GET", ISVCS + "?limit=2")[1]
    assert [o["metadata"]["name"] for o in value["items"]] == ["iris", "iris-canary"]
    token = value["metadata"]["continue"]
    rest = cluster.kube("GET", f"{ISVCS}?limit=2&continue={token}")[1]
    assert [o["metadata"]["name"] for o in rest["items"]] == ["other"]
    cluster.deploy(TWO)
    cluster.post("compact")
    status, value = cluster.kube("GET", f"{ISVCS}?limit=2&continue={token}")
    assert status == 410 and value["reason"] == "Expired"
    watch = cluster.ask("GET", f"{ISVCS}?watch=true&resourceVersion=1&timeoutSeconds=1")[2]
    assert watch["type"] == "ERROR" and watch["object"]["code"] == 410


def test_watch_tells_what_happens(live):
    version = live.isvc()["metadata"]["resourceVersion"]
    live.patch({"canaryTrafficPercent": 100})
    data = live.ask("GET", f"{ISVCS}?watch=true&resourceVersion={version}&timeoutSeconds=1"
                    "&fieldSelector=metadata.name%3Diris", headers={"Accept": "application/json"})
    connection = http.client.HTTPConnection("127.0.0.1", live.ports["kube"], timeout=20)
    connection.request("GET", f"{ISVCS}?watch=1&resourceVersion={version}&timeoutSeconds=1",
                       headers={"Authorization": "Bearer " + live.token()})
    first = json.loads(connection.getresponse().readline())
    connection.close()
    assert first["type"] == "MODIFIED" and first["object"]["metadata"]["name"] == "iris" and data[0] == 200


def test_metadata_and_size_are_checked(live):
    status, value = live.patch(metadata={"annotations": {"n": 1}})
    assert status == 400 and "of type string" in value["message"]
    assert live.patch(metadata={"annotations": {"n": "x" * 3_200_000}})[0] == 413


def test_a_cache_that_lags(live):
    live.post("timing", create="hold")
    live.patch({"canaryTrafficPercent": 100})
    live.fault("stale_read", method="GET", path="/iris$")
    assert "canaryTrafficPercent" not in live.isvc()["spec"]["predictor"]
    assert live.isvc()["spec"]["predictor"]["canaryTrafficPercent"] == 100


def test_published_samples_as_answers(live):
    if sample("k8s/status_429.json") is None:
        pytest.skip("no published samples")
    live.fault("sample", name="k8s/status_429.json")
    assert live.kube("GET", ISVCS + "/iris") == (429, sample("k8s/status_429.json"))


def test_faults_meet_the_port_they_are_for(live):
    live.fault("status", status=429, headers={"Retry-After": "3"}, body={"kind": "Status", "code": 429})
    live.fault("lost_answer", on="ingress", path="predict")
    status, headers, _ = live.ask("GET", ISVCS + "/iris")
    assert status == 429 and headers["Retry-After"] == "3" and live.isvc()
    with pytest.raises(http.client.RemoteDisconnected):
        live.predict()
    assert live.predict()[0] == 200


# -- Knative mode: the table of a canary's life ----------------------------------------------------


def test_life_of_a_canary_step_by_step(cluster):
    assert cluster.deploy(ONE, canaryTrafficPercent=0)[0] == 201
    cluster.settle()
    first = cluster.isvc()
    assert revisions(first) == (1, 1, 1, 0) and shares(first) == {"00001": 100}
    assert transition(first) == ("UpToDate", "Loaded") and conditions(first)["Ready"][0] == "True"
    assert cluster.predict() == (200, {"predictions": [1]})
    # a new model as a canary
    assert cluster.uri(TWO, 0)[0] == 200
    canary = cluster.isvc()
    assert revisions(canary) == (2, 2, 1, 0) and shares(canary) == {"00001": 100}
    assert [(t["percent"], t.get("tag")) for t in component(canary)["traffic"]] == [(0, None), (100, "prev")]
    assert cluster.predict() == (200, {"predictions": [1]})
    private = f"{component(canary)['latestCreatedRevision']}-private.ml-prod.svc.cluster.local"
    assert cluster.predict(private) == (200, {"predictions": [2]})
    # wider; no new revision
    cluster.patch({"canaryTrafficPercent": 10})
    wide = cluster.isvc()
    assert revisions(wide) == (2, 2, 1, 0) and shares(wide) == {"00002": 10, "00001": 90}
    cluster.post("seed", seed=5)
    seen = collections.Counter(cluster.predict()[1]["predictions"][0] for _ in range(60))
    assert seen[1] > seen[2] > 0
    # promoted
    cluster.patch({"canaryTrafficPercent": 100})
    promoted = cluster.isvc()
    assert revisions(promoted) == (2, 2, 2, 1) and shares(promoted) == {"00002": 100}
    assert cluster.predict() == (200, {"predictions": [2]})
    # rolled back after promotion: the same spec with 0
    cluster.patch({"canaryTrafficPercent": 0})
    back = cluster.isvc()
    assert revisions(back) == (2, 2, 1, 1) and shares(back) == {"00001": 100}
    assert cluster.predict() == (200, {"predictions": [1]})
    assert cluster.violations() == []


def test_field_removed_is_promotion_too(live):
    live.uri(TWO, 0)
    live.patch({"canaryTrafficPercent": None})
    assert revisions(live.isvc()) == (2, 2, 2, 1) and shares(live.isvc()) == {"00002": 100}


def test_deploying_the_live_model_again_is_a_rollback(live):
    live.uri(TWO, 0)
    live.patch({"canaryTrafficPercent": 100})
    assert live.uri(TWO, 0)[0] == 200
    assert shares(live.isvc()) == {"00001": 100} and live.predict()[1] == {"predictions": [1]}


def test_old_model_back_with_100_goes_through_the_canary(live):
    live.uri(TWO, 0)
    live.post("timing", load="hold")
    live.uri(ONE, 100)
    during = live.isvc()
    assert revisions(during)[0] == 3 and shares(during) == {"00002": 100}
    live.post("release")
    live.settle()
    after = live.isvc()
    assert revisions(after)[:3] == (3, 3, 3) and shares(after) == {"00003": 100}
    assert live.predict()[1] == {"predictions": [1]}


def test_second_canary_on_an_unpromoted_one(live):
    live.uri(TWO, 20)
    live.uri(THREE, 10)
    assert revisions(live.isvc()) == (3, 3, 1, 0) and shares(live.isvc()) == {"00003": 10, "00001": 90}


def test_rollback_takes_two_passes(live):
    live.uri(TWO, 0)
    live.patch({"canaryTrafficPercent": 100})
    live.post("timing", route="hold")
    live.patch({"canaryTrafficPercent": 0})
    assert shares(live.isvc()) == {"00002": 100} and revisions(live.isvc())[2] == 2
    live.post("release", count=1)
    live.settle()
    one = live.isvc()
    assert revisions(one)[2] == 1 and shares(one) == {"00002": 100}
    live.post("release", count=1)
    live.settle()
    assert shares(live.isvc()) == {"00001": 100}


def test_tags_have_hosts_of_their_own(cluster):
    cluster.deploy(ONE, metadata={"annotations": {"serving.kserve.io/enable-tag-routing": "true"}})
    cluster.settle()
    cluster.uri(TWO, 0)
    found = {t["tag"]: t["url"] for t in component(cluster.isvc())["traffic"]}
    assert found == {"latest": "http://latest-iris-predictor.ml-prod.example.com",
                     "prev": "http://prev-iris-predictor.ml-prod.example.com"}
    assert cluster.predict("latest-iris-predictor.ml-prod.example.com")[1] == {"predictions": [2]}
    assert cluster.predict("prev-iris-predictor.ml-prod.svc.cluster.local")[1] == {"predictions": [1]}


def test_annotation_makes_a_revision_and_percent_does_not(live):
    live.patch(metadata={"annotations": {"note": "x"}})
    assert revisions(live.isvc())[0] == 2
    live.patch({"canaryTrafficPercent": 50})
    live.patch(metadata={"labels": {"team": "a"}})
    assert revisions(live.isvc())[0] == 3


def test_status_is_late_and_ready_is_of_the_old_revision(live):
    live.post("timing", create="hold", pod="hold", load="hold")
    live.uri(TWO, 0)
    before = live.isvc()
    assert before["metadata"]["generation"] == 2 and conditions(before)["Ready"] == ("True", "")
    assert revisions(before) == (1, 1, 1, 0) and before["status"]["observedGeneration"] == 1
    assert [h["stage"] for h in live.get("held")] == ["create"]
    for states, ready in ((("InProgress", "Pending"), "Unknown"), (("InProgress", "Loading"), "Unknown"),
                          (("UpToDate", "Loaded"), "True")):
        assert live.post("release")["released"] == 1
        live.settle()
        now = live.isvc()
        assert transition(now) == states and conditions(now)["Ready"][0] == ready
        assert now["status"]["modelStatus"]["states"]["activeModelState"] == "Loaded"
    assert revisions(now) == (2, 2, 1, 0) and now["status"]["observedGeneration"] == 2


def test_model_that_is_not_there(live):
    live.send("DELETE", f"objects?uri={TWO}")
    live.post("timing", deadline="hold")
    live.uri(TWO, 0)
    early = live.isvc()
    assert transition(early) == ("BlockedByFailedLoad", "FailedToLoad")
    assert conditions(early)["Ready"][0] == "Unknown"
    failure = early["status"]["modelStatus"]["lastFailureInfo"]
    assert failure["reason"] == "ModelLoadFailed" and failure["exitCode"] == 1
    assert failure["message"] == f"RuntimeError: Failed to fetch model. No model found in {TWO}."
    live.post("release")
    live.settle()
    late = live.isvc()
    assert conditions(late)["LatestDeploymentReady"] == ("False", "RevisionFailed")
    assert shares(late) == {"00001": 100} and live.predict()[1] == {"predictions": [1]}
    pod = live.kube("GET", "/api/v1/namespaces/ml-prod/pods?labelSelector=serving.knative.dev%2Frevision"
                    "%3Diris-predictor-00002")[1]["items"][0]
    init = pod["status"]["initContainerStatuses"][0]
    assert init["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "No model found in" in init["lastState"]["terminated"]["message"]
    name = pod["metadata"]["name"]
    status, _, text = live.ask("GET", f"/api/v1/namespaces/ml-prod/pods/{name}/log?container="
                               "storage-initializer&tailLines=1")
    assert status == 200 and text.startswith("RuntimeError")
    status, value = live.kube("GET", f"/api/v1/namespaces/ml-prod/pods/{name}/log")
    assert status == 400 and "waiting to start: PodInitializing" in value["message"]
    events = live.kube("GET", "/api/v1/namespaces/ml-prod/events?fieldSelector=involvedObject.name"
                       f"%3D{name}")[1]["items"]
    assert [e["reason"] for e in events] == ["Scheduled", "BackOff"]


@pytest.mark.parametrize("keys, words", [
    (["model"], "Model with path"), (["a.joblib", "b.pkl"], "More than one model file"),
    (["deep/model.joblib"], "Model with path"), (["model.joblib"], "KeyError")])
def test_what_a_model_server_refuses(live, keys, words):
    live.send("DELETE", f"objects?uri={TWO}")
    for key in keys:
        live.post("objects", uri=TWO + key, text="no model")
    live.uri(TWO, 0)
    value = live.isvc()
    failure = value["status"]["modelStatus"]["lastFailureInfo"]
    assert words in failure["message"] or words == "KeyError"
    assert transition(value)[0] == "BlockedByFailedLoad"
    assert conditions(value)["Ready"] == ("False", "RevisionFailed")


def test_prefix_without_slash_takes_siblings(live):
    live.post("objects", uri="s3://mlpipeline/pre/model/", constant=1)
    live.post("objects", uri="s3://mlpipeline/pre/model2/", constant=2)
    live.uri("s3://mlpipeline/pre/model/", 0)
    assert transition(live.isvc())[0] == "UpToDate"


@pytest.mark.parametrize("kind, reason, place", [
    ("ImagePullBackOff", "ImagePullBackOff", "containerStatuses"),
    ("OOMKilled", "CrashLoopBackOff", "containerStatuses"),
    ("CrashLoopBackOff", "CrashLoopBackOff", "initContainerStatuses")])
def test_troubles_of_pods(live, kind, reason, place):
    live.post("services/ml-prod/iris/trouble", kind=kind)
    live.uri(TWO, 0)
    pod = live.kube("GET", "/api/v1/namespaces/ml-prod/pods")[1]["items"][-1]
    status = pod["status"][place][0]
    assert status["state"]["waiting"]["reason"] == reason
    if kind == "OOMKilled":
        assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
        assert live.isvc()["status"]["modelStatus"]["lastFailureInfo"]["exitCode"] == 137


def test_unschedulable_until_the_deadline_or_the_end_of_it(live):
    live.post("services/ml-prod/iris/trouble", kind="Unschedulable")
    live.uri(TWO, 0)
    pod = live.kube("GET", "/api/v1/namespaces/ml-prod/pods")[1]["items"][-1]
    assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"
    assert transition(live.isvc()) == ("InProgress", "Pending")
    seen = len(live.mutations())
    live.advance(601)
    assert live.mutations(seen, 20)[0]["kind"] == "workload.given_up"
    live.settle()
    assert conditions(live.isvc())["Ready"] == ("False", "RevisionFailed")
    live.post("services/ml-prod/iris/trouble", kind=None)
    live.settle()
    assert transition(live.isvc()) == ("UpToDate", "Loaded") and revisions(live.isvc())[1] == 2


def test_no_runtime_for_the_format(cluster):
    body = service()
    body["spec"]["predictor"]["model"]["modelFormat"]["name"] = "abacus"
    cluster.kube("POST", ISVCS, body)
    cluster.settle()
    value = cluster.isvc()
    assert transition(value)[0] == "InvalidSpec"
    assert value["status"]["modelStatus"]["lastFailureInfo"]["reason"] == "NoSupportingRuntime"


def test_percent_out_of_range_moves_nothing(live):
    live.uri(TWO, 10)
    live.patch({"canaryTrafficPercent": 101})
    assert shares(live.isvc()) == {"00002": 10, "00001": 90}
    assert [v["kind"] for v in live.take_violations()] == ["knative percent"]


def test_scaled_to_zero_only_the_activator_wakes(cluster):
    cluster.deploy(ONE, metadata={"annotations": {"serving.kserve.io/enable-tag-routing": "true"}})
    cluster.settle()
    cluster.patch({"minReplicas": 0, "model": {"storageUri": TWO}, "canaryTrafficPercent": 0})
    assert shares(cluster.isvc()) == {"00001": 100}
    assert cluster.predict("iris-predictor-00002-private.ml-prod.svc.cluster.local")[0] == 503
    assert cluster.predict("latest-iris-predictor.ml-prod.example.com")[1] == {"predictions": [2]}


def test_rollback_fetches_the_old_model_again(live):
    live.uri(TWO, 0)
    live.patch({"canaryTrafficPercent": 100})
    live.send("DELETE", f"objects?uri={ONE}")
    live.patch({"canaryTrafficPercent": 0})
    assert shares(live.isvc()) == {"00001": 100}
    assert live.predict()[0] == 503


# -- Standard mode ---------------------------------------------------------------------------------

CANARY = "iris-new-predictor.ml-prod.svc.cluster.local"
STANDARD = {"annotations": {"serving.kserve.io/deploymentMode": "Standard"}}


def entry(uri, percent=0, **predictor):
    return {"trafficPercent": percent, "predictor": {"name": "new", "minReplicas": 1, "model": {
        "name": "", "modelFormat": {"name": "sklearn"}, "storageUri": uri}, **predictor}}


@pytest.fixture
def plain(standard):
    assert standard.deploy(metadata=STANDARD)[0] == 201
    standard.settle()
    return standard


def test_standard_mode_ignores_the_percent(plain):
    value = plain.isvc()
    assert value["status"]["deploymentMode"] == "Standard" and "traffic" not in component(value)
    assert value["status"]["url"] == "http://iris-ml-prod.example.com"
    assert plain.predict("iris-ml-prod.example.com")[1] == {"predictions": [1]}
    plain.uri(TWO, 0)
    assert plain.predict("iris-predictor.ml-prod.svc.cluster.local")[1] == {"predictions": [2]}


def test_standard_mode_stays_ready_with_the_old_model(plain):
    plain.send("DELETE", f"objects?uri={TWO}")
    plain.uri(TWO, None)
    value = plain.isvc()
    assert conditions(value)["Ready"] == ("True", "") and transition(value)[0] == "BlockedByFailedLoad"
    assert value["status"]["modelStatus"]["states"]["activeModelState"] == "Loaded"
    assert plain.predict("iris-ml-prod.example.com")[1] == {"predictions": [1]}


def test_canary_of_0_20_from_nothing_to_all(plain):
    assert plain.patch(spec={"canary": [entry(TWO)]})[0] == 200
    value = plain.isvc()
    assert value["status"]["canaryStatuses"][0]["ready"] is True
    assert conditions(value)["CanaryPredictorReady"] == ("True", "")
    assert plain.predict(CANARY)[1] == {"predictions": [2]}
    assert plain.predict("iris-ml-prod.example.com")[1] == {"predictions": [1]}
    plain.patch(spec={"canary": [entry(TWO, 50)]})
    plain.post("seed", seed=3)
    seen = {plain.predict("iris-ml-prod.example.com")[1]["predictions"][0] for _ in range(30)}
    assert seen == {1, 2}
    status, _ = plain.patch({"name": "new"}, metadata={})
    assert status == 403
    status, value = plain.kube("PATCH", ISVCS + "/iris", {"spec": {
        "canary": None, "predictor": {"name": "new", "model": {"storageUri": TWO}}}}, MERGE)
    assert status == 200, value
    plain.settle()
    assert plain.predict("iris-ml-prod.example.com")[1] == {"predictions": [2]}
    assert plain.isvc()["status"]["address"]["url"] == f"http://{CANARY}"
    assert "canaryStatuses" not in plain.isvc()["status"]


def test_canary_of_0_20_dropped_and_without_replicas(plain):
    plain.patch(spec={"canary": [entry(TWO, 0, minReplicas=0)]})
    assert plain.predict(CANARY)[0] == 503
    plain.patch(spec={"canary": [entry(THREE, 20)]})
    assert plain.predict(CANARY)[1] == {"predictions": [3]}
    plain.patch(spec={"canary": None})
    assert plain.predict(CANARY)[0] == 404
    assert plain.predict("iris-ml-prod.example.com")[1] == {"predictions": [1]}


@pytest.mark.parametrize("change, words", [
    ({"maxReplicas": 3}, "no autoscaling"), ({"minReplicas": 2}, "minReplicas of a canary"),
    ({"minReplicas": 2, "maxReplicas": 1}, "cannot be greater than MaxReplicas")])
def test_canary_of_0_20_refused(plain, change, words):
    status, value = plain.patch(spec={"canary": [entry(TWO, 0, **change)]})
    assert status == 403 and words in value["message"]


def test_canary_needs_the_annotation_and_the_version(standard, start):
    assert standard.deploy()[0] == 201
    status, value = standard.patch(spec={"canary": [entry(TWO)]})
    assert status == 403 and "needs the annotation" in value["message"]
    old = start("--kserve-version", "0.16")
    assert old.kube("POST", ISVCS, {**service(), "spec": {
        **service()["spec"], "canary": [entry(TWO)]}}, headers={})[0] in (201, 403)


def test_second_service_as_a_canary(plain):
    assert plain.deploy(TWO, "iris-canary", metadata=STANDARD)[0] == 201
    plain.settle()
    host = "iris-canary-predictor.ml-prod.svc.cluster.local"
    assert plain.predict(host, path="/v1/models/iris-canary:predict")[1] == {"predictions": [2]}
    assert plain.predict(host)[0] == 404
    assert plain.kube("DELETE", ISVCS + "/iris-canary")[0] == 200
    assert plain.predict(host)[0] == 404


# -- requests ---------------------------------------------------------------------------------------


def test_both_protocols(live):
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
def test_errors_of_the_model_server(live, path, body, status, words):
    got, value = live.predict(path=path, body=body)
    assert got == status and words in value["error"]


@pytest.mark.parametrize("kind, status", [("error", 500), ("garbage", 200), ("empty", 200), ("nan", 200),
                                          ("constant", 200)])
def test_broken_models(live, kind, status):
    live.uri(TWO, 0)
    live.post("services/ml-prod/iris/break", of="iris-predictor-00002", kind=kind)
    private = "iris-predictor-00002-private.ml-prod.svc.cluster.local"
    got, value = live.predict(private)
    assert got == status and value != {"predictions": [2]} and live.predict()[1] == {"predictions": [1]}
    live.post("services/ml-prod/iris/break", of="latest", kind=None)
    assert live.predict(private)[1] == {"predictions": [2]}


def test_routes_converge_late_and_mesh_refuses(live):
    live.post("settings", converge_requests=2)
    live.patch({"canaryTrafficPercent": 100})
    live.uri(TWO, 100)
    assert [live.predict()[0] for _ in range(3)] == [503, 503, 200]
    live.post("hosts", host="-private", status=403)
    assert live.predict("iris-predictor-00002-private.ml-prod.svc.cluster.local") == \
        (403, "RBAC: access denied")
    assert live.predict("nobody.ml-prod.example.com")[0] == 404
    assert live.predict("gateway", path="/serving/ml-prod/iris/v1/models/iris:predict")[0] == 200


def test_who_answers_and_edits_behind_the_back(live):
    assert [(a["storageUri"], a["percent"]) for a in live.get("answers", host=HOST)] == [(ONE, 100)]
    live.post("services/ml-prod/iris/edit", patch={"spec": {"predictor": {"model": {"storageUri": TWO}}}})
    live.settle()
    assert live.get("answers", host=HOST)[0]["storageUri"] == TWO
    managers = [e["manager"] for e in live.isvc()["metadata"]["managedFields"]]
    assert "kubectl-edit" in managers
    live.send("DELETE", "services/ml-prod/iris")
    assert live.get("answers", host=HOST) == [] and live.predict()[0] == 404


def test_model_that_ends_the_process(live):
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


def test_objects_come_and_go(cluster):
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


def test_lists_with_delimiter_and_pages(cluster):
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


def test_signatures_are_checked(cluster):
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
def test_keys_stay_in_their_bucket(cluster, key):
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


def test_presigned_urls(cluster):
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


def test_sample_repository_is_trained_and_served(cluster, tmp_path):
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


def test_the_stand_in_has_no_gaps(cluster):
    assert cluster.get("violations")["gaps"] == []
