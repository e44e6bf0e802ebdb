"""What the tests of the cluster stand-in share: starting it, asking it as clients do, reading its answers."""

import collections
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import sys
import urllib.parse

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


def sample(name):
    path = SHARED / "samples" / name
    return json.loads(path.read_text()) if path.exists() else None


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
    gaps = [gap for cluster in made.values() for gap in cluster.get("violations")["gaps"]]
    for cluster in made.values():
        cluster.stop()
    assert gaps == []


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
