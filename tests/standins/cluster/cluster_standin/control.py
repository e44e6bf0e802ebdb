"""The control interface below /_standin/ on the Kubernetes http port. Bodies are JSON. Besides what
all stand-ins share (faults, violations, mutations, requests, time, health):

    GET  ports                       {"kube", "kube_tls", "ingress", "s3"}
    POST seed {seed}                 for the traffic split
    GET|POST timing                  {stage: "instant" | "hold" | milliseconds}
    GET  held, POST release          {stage?, service?, count?}: held steps go on
    GET  idle?timeout=S              waits until the controllers have nothing left to do
    POST settings                    {converge_requests?, kserve_installed?, gateway?, headless?}
    POST namespaces {name}
    POST token {keep_s?}             a new token for the bot; state/token is written anew
    POST users {token, user}, POST grants {namespace, user?, rules}, POST revoke {namespace, verb,
                                     resource}
    POST compact                     old resource versions are gone: 410
    POST hosts {host, status, times?}   regex; 403 is `RBAC: access denied`
    GET  answers?host=H              who answers there now: [{name, storageUri, percent, state}]
    GET  services/NS/NAME            revisions and traffic as the controller sees them
    POST services/NS/NAME/edit {patch, manager?}    a merge patch by someone else
    DELETE services/NS/NAME          deleted by someone else
    POST services/NS/NAME/trouble {kind or null, of?}   of the next pod, or of a workload by name;
                                     null: it ends, the pod starts
    POST services/NS/NAME/break {of, kind or null, times?, ...}   error, garbage, empty, nan, constant, slow
    POST services/NS/NAME/restart {of}   its container ran out of memory and is back already
    POST objects {uri, text | base64 | constant + features}, DELETE objects?uri=
    GET  objects?uri=                keys and sizes below a prefix
    POST roles {arn, trusts}         a role and the subject that STS lends it to; null: nobody
    POST identity {file, subject, lives_s?}   a service account's token is written to this file
    POST sessions {lives_s?, end?}   how long new sessions live; the present ones end
"""

import base64
import re

from standin_common import control as shared
from standin_common.http import Answer

from . import auth
from .pods import TROUBLES
from .s3 import S3Error

BROKEN = {"error", "garbage", "empty", "nan", "constant", "slow"}


class Control:
    def __init__(self, world):
        self.world = world
        self.ports = {}

    def handle(self, request):
        name = request.path[len("/_standin/"):]
        answer = shared.handle(self.world, request, name)
        if answer is not None:
            return answer
        try:
            value = self._do(request, name)
        except (KeyError, ValueError, TypeError, AttributeError, re.error, S3Error) as error:
            return Answer.json({"message": f"{type(error).__name__}: {error}"}, 400)
        return Answer.json({} if value is None else value)

    def _do(self, request, name):
        parts = name.split("/")
        if parts[0] == "services" and len(parts) >= 3:
            return self._service(request, f"{parts[1]}/{parts[2]}", "/".join(parts[3:]))
        method = getattr(self, f"_{request.method.lower()}_{name}", None)
        if method is None:
            raise KeyError(f"{request.method} {name}")
        return method(request)

    # -- time

    def _get_ports(self, _request):
        return self.ports

    def _post_seed(self, request):
        self.world.reseed(request.json()["seed"])

    def _get_timing(self, _request):
        return self.world.timing.values

    def _post_timing(self, request):
        for stage, value in request.json().items():
            self.world.timing.set(stage, value)
        return self.world.timing.values

    def _get_held(self, _request):
        return self.world.timing.held()

    def _post_release(self, request):
        body = request.json()
        return {"released": self.world.timing.release(body.get("stage"), body.get("service"),
                                                      body.get("count"))}

    def _get_idle(self, request):
        return {"idle": self.world.timing.idle(min(60.0, float(request.arg("timeout", "30"))))}

    # -- the cluster

    def _post_settings(self, request):
        for key, value in request.json().items():
            if key not in ("converge_requests", "kserve_installed", "gateway", "headless"):
                raise KeyError(key)
            setattr(self.world, key, value)

    def _post_namespaces(self, request):
        self.world.add_namespace(request.json()["name"])

    def _post_token(self, request):
        self.world.tokens.rotate(float(request.json().get("keep_s", 0)))
        self.world.write_token()

    def _post_users(self, request):
        body = request.json()
        self.world.tokens.add(body["token"], auth.of_service_account(body["user"]))

    def _post_grants(self, request):
        body = request.json()
        self.world.rbac.grant(body["namespace"], body.get("user", self.world.tokens.bot), body["rules"])

    def _post_revoke(self, request):
        body = request.json()
        self.world.rbac.revoke(body["namespace"], body["verb"], body["resource"])

    def _post_compact(self, _request):
        with self.world.lock:
            self.world.objects.compact()

    def _post_hosts(self, request):
        body = request.json()
        re.compile(body["host"])
        self.world.ingress.rules.append({"host": body["host"], "status": int(body["status"]),
                                         "times": int(body.get("times", -1))})

    def _delete_hosts(self, _request):
        self.world.ingress.rules.clear()

    def _get_answers(self, request):
        with self.world.lock:
            targets, _ = self.world.find_host(request.arg("host"))
            return [{**work.facts(), "percent": percent} for work, percent in targets or []]

    # -- one service

    def _service(self, request, key, what):
        world = self.world
        with world.lock:
            if world.service(key) is None and what != "trouble":
                raise KeyError(key)
            body = request.json() if request.body else {}
            if (request.method, what) == ("DELETE", ""):
                world.delete_service(*key.split("/"), by="someone")
            elif (request.method, what) == ("GET", ""):
                return self._facts(key)
            elif (request.method, what) == ("POST", "edit"):
                world.edit_service(key, body["patch"], body.get("manager", "kubectl-edit"))
            elif (request.method, what) == ("POST", "trouble"):
                self._trouble(key, body)
            elif (request.method, what) == ("POST", "break"):
                self._break(key, body)
            elif (request.method, what) == ("POST", "restart"):
                work = self._named(key, body["of"])
                work.restarts += 1
                world.pods.show(work)
            else:
                raise KeyError(what)
        return None

    def _workloads(self, key):
        state = self.world.states.get(key)
        return self.world.controller_of(state).workloads(state) if state is not None else []

    def _facts(self, key):
        state = self.world.states.get(key)
        facts = {"workloads": [work.facts() for work in self._workloads(key)]}
        if state is not None and hasattr(state, "traffic"):
            facts["traffic"] = self.world.controllers["Knative"].shares(state)
        return facts

    def _named(self, key, name):
        found = [work for work in self._workloads(key) if work.name == name or name == "latest"]
        if not found:
            raise KeyError(name)
        return found[-1]

    def _trouble(self, key, body):
        kind = body["kind"]
        if kind is not None and kind not in TROUBLES:
            raise ValueError(f"unknown trouble {kind!r}; known: {', '.join(sorted(TROUBLES))}")
        if kind is None:
            self.world.troubles.pop(key, None)
            for work in self._workloads(key):
                if work.trouble and work.name in (body.get("of", work.name), ):
                    self.world.controller_of(self.world.states[key]).end_trouble(work)
        else:
            self.world.troubles[key] = kind

    def _break(self, key, body):
        work = self._named(key, body["of"])
        kind = body["kind"]
        if kind is not None and kind not in BROKEN:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(sorted(BROKEN))}")
        work.broken = {**body} if kind else None

    # -- objects

    @staticmethod
    def _uri(text):
        bucket, _, key = text.removeprefix("s3://").partition("/")
        return bucket, key

    def _post_objects(self, request):
        body = request.json()
        bucket, key = self._uri(body["uri"])
        if "constant" in body:
            data = self.world.models.make(body["constant"], int(body.get("features", 4)))
            key = key + "model.joblib" if key.endswith("/") else key
        elif "base64" in body:
            data = base64.b64decode(body["base64"])
        else:
            data = body["text"].encode()
        if not self.world.store.bucket(bucket):
            self.world.store.make_bucket(bucket)
        self.world.store.write(bucket, key, data)
        return {"key": key, "size": len(data)}

    def _delete_objects(self, request):
        bucket, key = self._uri(request.arg("uri"))
        keys = self.world.store.keys(bucket, key)
        for one in keys:
            self.world.store.delete(bucket, one)
        return {"deleted": keys}

    # -- roles

    def _post_roles(self, request):
        body = request.json()
        self.world.s3.sts.roles[body["arn"]] = body["trusts"]

    def _post_identity(self, request):
        body = request.json()
        self.world.s3.sts.write_identity(body["file"], body["subject"], float(body.get("lives_s", 3600)))

    def _post_sessions(self, request):
        body, lent = request.json(), self.world.s3.sts
        lent.lives_s = body.get("lives_s", lent.lives_s)
        for session in lent.sessions.values() if body.get("end") else []:
            session["ends"] = 0

    def _get_objects(self, request):
        bucket, key = self._uri(request.arg("uri"))
        return [{"key": one, "size": self.world.store.facts(bucket, one)[0]}
                for one in self.world.store.keys(bucket, key)]
