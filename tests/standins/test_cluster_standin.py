"""The cluster stand-in itself: who may, and the Kubernetes API."""

import http.client
import json
import ssl

import pytest
from cluster_play import (  # noqa: F401 (fixtures)
    APPLY, Cluster, cluster, GROUP, ISVCS, live, MERGE, ONE, read, sample, service, start, THREE, TWO)


# -- who may ------------------------------------------------------------------------------------


def test_nobody_is_401_and_strangers_are_403(cluster):  # noqa: F811
    status, value = cluster.kube("GET", ISVCS, token="wrong")
    assert status == 401 and value == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401}
    status, value = cluster.kube("GET", "/api/v1/namespaces/ml-prod/secrets/models")
    assert status == 403 and value["reason"] == "Forbidden"
    assert value["message"] == ('secrets "models" is forbidden: User "system:serviceaccount:kfops:kfops" '
                                'cannot get resource "secrets" in API group "" in the namespace "ml-prod"')
    assert [v["kind"] for v in cluster.take_violations()] == ["kube 401", "kube 403"]


def test_token_is_replaced_and_the_old_one_ends(cluster):  # noqa: F811
    old = cluster.token()
    cluster.post("token", keep_s=60)
    assert cluster.token() != old and cluster.kube("GET", ISVCS, token=old)[0] == 200
    cluster.advance(61)
    assert cluster.kube("GET", ISVCS, token=old)[0] == 401
    assert cluster.kube("GET", ISVCS)[0] == 200 and cluster.violations() == []


def test_access_reviews_answer_as_the_rules_do(cluster):  # noqa: F811
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


def check_tls(cluster):  # noqa: F811
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


def test_discovery_and_versions(cluster, start):  # noqa: F811
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
def test_refusals(live, method, path, body, kind, status, words):  # noqa: F811
    got, value = live.kube(method, ISVCS + path, body, kind)
    assert got == status, value
    if status != 200:
        assert words in value["message"] and value["status"] == "Failure" and value["code"] == status


def test_the_answer_of_a_write_is_the_object_as_kept(cluster):  # noqa: F811
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


def test_legacy_form_is_rewritten(cluster):  # noqa: F811
    body = service()
    model = body["spec"]["predictor"].pop("model")
    body["spec"]["predictor"]["sklearn"] = {"storageUri": model["storageUri"]}
    status, value = cluster.kube("POST", ISVCS, body)
    assert status == 201 and "sklearn" not in value["spec"]["predictor"]
    assert value["spec"]["predictor"]["model"]["modelFormat"] == {"name": "sklearn"}


def test_stale_version_is_409(live):  # noqa: F811
    old = live.isvc()["metadata"]["resourceVersion"]
    guarded = {"resourceVersion": old}
    assert live.patch({"canaryTrafficPercent": 100}, metadata=guarded)[0] == 200
    status, value = live.patch({"canaryTrafficPercent": 50}, metadata=guarded)
    assert status == 409
    told = sample("k8s/status_409_update_conflict.json")
    assert told is None or value == told


def test_dry_run_changes_nothing(live):  # noqa: F811
    before = live.isvc()
    count = len(live.mutations())
    status, value = live.kube("PATCH", f"{ISVCS}/iris?fieldManager=kfops&dryRun=All",
                              service(TWO), APPLY)
    assert status == 200 and value["spec"]["predictor"]["model"]["storageUri"] == TWO
    assert live.kube("PATCH", f"{ISVCS}/Other?fieldManager=kfops&dryRun=All",
                     service(name="Other"), APPLY)[0] == 403
    live.settle()
    assert live.isvc() == before and len(live.mutations()) == count


def test_unknown_fields(live):  # noqa: F811
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


def test_apply_conflict_names_the_other_and_force_takes_over(live):  # noqa: F811
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


def test_apply_takes_away_what_it_no_longer_says(live):  # noqa: F811
    assert live.deploy(ONE, canaryTrafficPercent=0, maxReplicas=3)[0] == 200
    live.kube("PATCH", ISVCS + "/iris", {"spec": {"predictor": {"timeout": 30}}}, MERGE)
    assert live.deploy(ONE)[0] == 200
    predictor = live.isvc()["spec"]["predictor"]
    assert "canaryTrafficPercent" not in predictor and "maxReplicas" not in predictor
    assert predictor["timeout"] == 30


def test_apply_of_a_new_object_needs_create(start):  # noqa: F811
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


def test_delete_with_precondition(live):  # noqa: F811
    uid = live.isvc()["metadata"]["uid"]
    status, value = live.kube("DELETE", ISVCS + "/iris", {"preconditions": {"uid": "other"}})
    assert status == 409 and "Precondition failed: UID in precondition: other" in value["message"]
    assert live.kube("DELETE", ISVCS + "/iris", {"preconditions": {"uid": uid}})[0] == 200
    assert live.kube("DELETE", ISVCS + "/iris")[0] == 404
    assert live.kube("GET", "/api/v1/namespaces/ml-prod/pods")[1]["items"] == []


def test_lists_pages_and_old_tokens(cluster):  # noqa: F811
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


def test_watch_tells_what_happens(live):  # noqa: F811
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


def test_metadata_and_size_are_checked(live):  # noqa: F811
    status, value = live.patch(metadata={"annotations": {"n": 1}})
    assert status == 400 and "of type string" in value["message"]
    assert live.patch(metadata={"annotations": {"n": "x" * 3_200_000}})[0] == 413


def test_a_cache_that_lags(live):  # noqa: F811
    live.post("timing", create="hold")
    live.patch({"canaryTrafficPercent": 100})
    live.fault("stale_read", method="GET", path="/iris$")
    assert "canaryTrafficPercent" not in live.isvc()["spec"]["predictor"]
    assert live.isvc()["spec"]["predictor"]["canaryTrafficPercent"] == 100


def test_published_samples_as_answers(live):  # noqa: F811
    if sample("k8s/status_429.json") is None:
        pytest.skip("no published samples")
    live.fault("sample", name="k8s/status_429.json")
    assert live.kube("GET", ISVCS + "/iris") == (429, sample("k8s/status_429.json"))


def test_faults_meet_the_port_they_are_for(live):  # noqa: F811
    live.fault("status", status=429, headers={"Retry-After": "3"}, body={"kind": "Status", "code": 429})
    live.fault("lost_answer", on="ingress", path="predict")
    status, headers, _ = live.ask("GET", ISVCS + "/iris")
    assert status == 429 and headers["Retry-After"] == "3" and live.isvc()
    with pytest.raises(http.client.RemoteDisconnected):
        live.predict()
    assert live.predict()[0] == 200
