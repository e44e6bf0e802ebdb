"""The cluster stand-in: KServe's controllers, in Knative and in Standard mode."""

import collections

import pytest
from cluster_play import (  # noqa: F401 (fixtures)
    cluster, component, conditions, ISVCS, live, MERGE, ONE, revisions, service, shares, standard, start,
    THREE, transition, TWO)


# -- Knative mode: the table of a canary's life ----------------------------------------------------


def test_life_of_a_canary_step_by_step(cluster):  # noqa: F811
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


def test_field_removed_is_promotion_too(live):  # noqa: F811
    live.uri(TWO, 0)
    live.patch({"canaryTrafficPercent": None})
    assert revisions(live.isvc()) == (2, 2, 2, 1) and shares(live.isvc()) == {"00002": 100}


def test_deploying_the_live_model_again_is_a_rollback(live):  # noqa: F811
    live.uri(TWO, 0)
    live.patch({"canaryTrafficPercent": 100})
    assert live.uri(TWO, 0)[0] == 200
    assert shares(live.isvc()) == {"00001": 100} and live.predict()[1] == {"predictions": [1]}


def test_old_model_back_with_100_goes_through_the_canary(live):  # noqa: F811
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


def test_second_canary_on_an_unpromoted_one(live):  # noqa: F811
    live.uri(TWO, 20)
    live.uri(THREE, 10)
    assert revisions(live.isvc()) == (3, 3, 1, 0) and shares(live.isvc()) == {"00003": 10, "00001": 90}


def test_rollback_takes_two_passes(live):  # noqa: F811
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


def test_tags_have_hosts_of_their_own(cluster):  # noqa: F811
    cluster.deploy(ONE, metadata={"annotations": {"serving.kserve.io/enable-tag-routing": "true"}})
    cluster.settle()
    cluster.uri(TWO, 0)
    found = {t["tag"]: t["url"] for t in component(cluster.isvc())["traffic"]}
    assert found == {"latest": "http://latest-iris-predictor.ml-prod.example.com",
                     "prev": "http://prev-iris-predictor.ml-prod.example.com"}
    assert cluster.predict("latest-iris-predictor.ml-prod.example.com")[1] == {"predictions": [2]}
    assert cluster.predict("prev-iris-predictor.ml-prod.svc.cluster.local")[1] == {"predictions": [1]}


def test_annotation_makes_a_revision_and_percent_does_not(live):  # noqa: F811
    live.patch(metadata={"annotations": {"note": "x"}})
    assert revisions(live.isvc())[0] == 2
    live.patch({"canaryTrafficPercent": 50})
    live.patch(metadata={"labels": {"team": "a"}})
    assert revisions(live.isvc())[0] == 3


def test_status_is_late_and_ready_is_of_the_old_revision(live):  # noqa: F811
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


def test_model_that_is_not_there(live):  # noqa: F811
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
def test_what_a_model_server_refuses(live, keys, words):  # noqa: F811
    live.send("DELETE", f"objects?uri={TWO}")
    for key in keys:
        live.post("objects", uri=TWO + key, text="no model")
    live.uri(TWO, 0)
    value = live.isvc()
    failure = value["status"]["modelStatus"]["lastFailureInfo"]
    assert words in failure["message"] or words == "KeyError"
    assert transition(value)[0] == "BlockedByFailedLoad"
    assert conditions(value)["Ready"] == ("False", "RevisionFailed")


def test_prefix_without_slash_takes_siblings(live):  # noqa: F811
    live.post("objects", uri="s3://mlpipeline/pre/model/", constant=1)
    live.post("objects", uri="s3://mlpipeline/pre/model2/", constant=2)
    live.uri("s3://mlpipeline/pre/model/", 0)
    assert transition(live.isvc())[0] == "UpToDate"


@pytest.mark.parametrize("kind, reason, place", [
    ("ImagePullBackOff", "ImagePullBackOff", "containerStatuses"),
    ("OOMKilled", "CrashLoopBackOff", "containerStatuses"),
    ("CrashLoopBackOff", "CrashLoopBackOff", "initContainerStatuses")])
def test_troubles_of_pods(live, kind, reason, place):  # noqa: F811
    live.post("services/ml-prod/iris/trouble", kind=kind)
    live.uri(TWO, 0)
    pod = live.kube("GET", "/api/v1/namespaces/ml-prod/pods")[1]["items"][-1]
    status = pod["status"][place][0]
    assert status["state"]["waiting"]["reason"] == reason
    if kind == "OOMKilled":
        assert status["lastState"]["terminated"]["reason"] == "OOMKilled"
        assert live.isvc()["status"]["modelStatus"]["lastFailureInfo"]["exitCode"] == 137


def test_unschedulable_until_the_deadline_or_the_end_of_it(live):  # noqa: F811
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


def test_no_runtime_for_the_format(cluster):  # noqa: F811
    body = service()
    body["spec"]["predictor"]["model"]["modelFormat"]["name"] = "abacus"
    cluster.kube("POST", ISVCS, body)
    cluster.settle()
    value = cluster.isvc()
    assert transition(value)[0] == "InvalidSpec"
    assert value["status"]["modelStatus"]["lastFailureInfo"]["reason"] == "NoSupportingRuntime"


def test_percent_out_of_range_moves_nothing(live):  # noqa: F811
    live.uri(TWO, 10)
    live.patch({"canaryTrafficPercent": 101})
    assert shares(live.isvc()) == {"00002": 10, "00001": 90}
    assert [v["kind"] for v in live.take_violations()] == ["knative percent"]


def test_scaled_to_zero_only_the_activator_wakes(cluster):  # noqa: F811
    cluster.deploy(ONE, metadata={"annotations": {"serving.kserve.io/enable-tag-routing": "true"}})
    cluster.settle()
    cluster.patch({"minReplicas": 0, "model": {"storageUri": TWO}, "canaryTrafficPercent": 0})
    assert shares(cluster.isvc()) == {"00001": 100}
    assert cluster.predict("iris-predictor-00002-private.ml-prod.svc.cluster.local")[0] == 503
    assert cluster.predict("latest-iris-predictor.ml-prod.example.com")[1] == {"predictions": [2]}


def test_rollback_fetches_the_old_model_again(live):  # noqa: F811
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
def plain(standard):  # noqa: F811
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


def test_canary_needs_the_annotation_and_the_version(standard, start):  # noqa: F811
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
