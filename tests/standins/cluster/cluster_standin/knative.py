"""Knative mode: the Knative Service of a predictor, its revisions and traffic, and what KServe makes
of them in the InferenceService's status.

The order of KServe's own code is kept, because its traps come from it: the traffic is computed from
canaryTrafficPercent and latestRolledoutRevision, the route resolves "latest" to the latest *ready*
revision, and then the status is propagated; a split that points twice at one revision with less than
100 for "latest" sends the traffic back to previousRolledoutRevision, one pass later.
"""

import copy

from .controller import Controller, Workload, condition, template_of

NO_INGRESS = "Predictor ingress not created"
TAGS = "serving.kserve.io/enable-tag-routing"


class Ksvc:
    """The Knative Service with its Configuration and Route."""

    def __init__(self, name):
        self.name = name
        self.generation = 0
        self.revisions = {}
        self.template = None
        self.created = ""
        self.ready = ""
        self.traffic_spec = []
        self.traffic = []
        self.route_waits = False
        self.rolled_out = ""
        self.previous = ""

    def latest(self):
        return self.revisions.get(self.created)


class Knative(Controller):
    def open(self, obj):
        return Ksvc(obj["metadata"]["name"] + "-predictor")

    def workloads(self, ksvc):
        return list(ksvc.revisions.values())

    def reconcile(self, obj, ksvc):
        """One pass: new revision, wanted traffic, status. Under the world's lock."""
        fault = self.runtime_fault(obj)
        if fault:
            self._write(obj, ksvc, fault)
            return
        template = template_of(obj, obj["spec"]["predictor"])
        grown = template != ksvc.template
        if grown:
            ksvc.template = template
            self._new_revision(obj, ksvc)
        latest = ksvc.latest()
        if latest.was_ready and ksvc.ready != ksvc.created:
            ksvc.ready = ksvc.created
        self._propagate(ksvc)
        wanted = self._traffic(obj, ksvc)
        if wanted != ksvc.traffic_spec:
            ksvc.traffic_spec = wanted
            grown = True
        ksvc.generation += grown
        if ksvc.ready and self._resolved(ksvc) != ksvc.traffic and not ksvc.route_waits:
            ksvc.route_waits = True
            key = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
            self.timing.later("route", key, lambda: self._route(key, ksvc))
        self._write(obj, ksvc, None)

    def _new_revision(self, obj, ksvc):
        name = f"{ksvc.name}-{len(ksvc.revisions) + 1:05d}"
        work = Workload(name, ksvc.name, obj, obj["spec"]["predictor"], True)
        ksvc.revisions[name] = work
        ksvc.created = name
        self.bring_up(work, obj)

    def _traffic(self, obj, ksvc):
        """createKnativeService's targets."""
        percent = obj["spec"]["predictor"].get("canaryTrafficPercent")
        tagged = obj["metadata"].get("annotations", {}).get(TAGS) == "true"
        latest = {"latestRevision": True, "percent": 100}
        if tagged:
            latest["tag"] = "latest"
        if percent is None or not ksvc.rolled_out:
            return [latest]
        if not 0 <= percent <= 100:
            self.world.record.violation("knative percent", f"canaryTrafficPercent {percent}")
            return ksvc.traffic_spec or [latest]
        latest["percent"] = percent
        if percent >= 100:
            return [latest]
        return [latest, {"latestRevision": False, "revisionName": ksvc.rolled_out,
                         "percent": 100 - percent, "tag": "prev"}]

    def _resolved(self, ksvc):
        return [{**target, "revisionName": ksvc.ready} if target["latestRevision"] else target
                for target in ksvc.traffic_spec]

    def _route(self, key, ksvc):
        with self.world.lock:
            ksvc.route_waits = False
            obj = self.world.service(key)
            if obj is None or self.world.states.get(key) is not ksvc:
                return
            ksvc.traffic = copy.deepcopy(self._resolved(ksvc))
            self.world.converging(key)
            self.world.record.mutation("traffic", service=key, traffic={
                name: percent for name, percent in self.shares(ksvc).items()})
            self._scale(obj, ksvc)
            self._propagate(ksvc)
            self.reconcile(obj, ksvc)

    @staticmethod
    def shares(ksvc):
        """{revision: percent}."""
        found = {}
        for target in ksvc.traffic:
            name = target["revisionName"]
            found[name] = found.get(name, 0) + target["percent"]
        return found

    def _scale(self, obj, ksvc):
        """Pods of revisions without a route end, with minReplicas 0 also those without a share; those
        that are wanted again start again."""
        routed = self.shares(ksvc)
        for work in ksvc.revisions.values():
            idles = work.predictor.get("minReplicas", 1) == 0 and work.was_ready
            wanted = routed.get(work.name, 0) > 0 or not idles and (
                work.name in routed or work.name == ksvc.created)
            if not wanted and work.pod:
                self.take_down(work)
            elif wanted and not work.pod:
                self.bring_up(work, obj)

    @staticmethod
    def _propagate(ksvc):
        """PropagateStatus of KServe, branch by branch."""
        sums = Knative.shares(ksvc)
        for target in ksvc.traffic:
            if not target["latestRevision"] or target["revisionName"] != ksvc.ready:
                continue
            if ksvc.rolled_out != ksvc.ready:
                if target["percent"] == 100:
                    ksvc.previous, ksvc.rolled_out = ksvc.rolled_out, ksvc.ready
            elif ksvc.ready == ksvc.created and target["percent"] < 100 and \
                    sums[target["revisionName"]] == 100 and ksvc.previous:
                ksvc.rolled_out = ksvc.previous

    # -- status

    def _write(self, obj, ksvc, fault):
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        domain = self.world.domain
        status = {"deploymentMode": "Knative", "observedGeneration": ksvc.generation,
                  "components": {"predictor": {}}}
        if ksvc.created:
            status["components"]["predictor"] = self._component(ksvc, namespace)
        if ksvc.traffic:
            status["url"] = f"http://{name}.{namespace}.{domain}"
            status["address"] = {"url": f"http://{name}.{namespace}.svc.cluster.local"}
        runtime = obj["spec"]["predictor"].get("model", {}).get("runtime")
        if runtime:
            status["servingRuntimeName"] = runtime
        if fault:
            status["modelStatus"] = {
                "states": {"activeModelState": "", "targetModelState": "FailedToLoad"},
                "transitionStatus": "InvalidSpec",
                "lastFailureInfo": {"reason": fault[0], "message": fault[1]}}
        else:
            status["modelStatus"] = self.model_status(ksvc.latest(), bool(ksvc.rolled_out))
        self.write_status(obj, status, self._conditions(ksvc, fault))

    def _component(self, ksvc, namespace):
        host = f"{ksvc.name}.{namespace}"
        made = {"latestCreatedRevision": ksvc.created}
        if ksvc.ready:
            made["latestReadyRevision"] = ksvc.ready
        if ksvc.rolled_out:
            made["latestRolledoutRevision"] = ksvc.rolled_out
        if ksvc.previous:
            made["previousRolledoutRevision"] = ksvc.previous
        if ksvc.traffic:
            made["url"] = f"http://{host}.{self.world.domain}"
            made["address"] = {"url": f"http://{host}.svc.cluster.local"}
            made["traffic"] = [dict(target) for target in ksvc.traffic]
            for target in made["traffic"]:
                if "tag" in target:
                    target["url"] = f"http://{target['tag']}-{host}.{self.world.domain}"
        return made

    @staticmethod
    def _conditions(ksvc, fault):
        latest = ksvc.latest()
        routed = bool(ksvc.traffic)
        route = condition("True" if routed else "Unknown", "" if routed else "RevisionMissing", info=True)
        ingress = condition("True")
        stopped = condition("False", info=True)
        if fault or latest is None:
            ready = condition("False", *(fault or ()))
            return {"Ready": ready, "PredictorReady": dict(ready), "Stopped": stopped,
                    "IngressReady": ingress if routed else condition("False", NO_INGRESS)}
        ready, reason, text = "Unknown", "", ""
        if latest.was_ready:
            ready = "True"
        elif latest.state == "failed" and latest.failure.container == "kserve-container":
            ready, reason = "False", "RevisionFailed"
            text = f'Revision "{latest.name}" failed with message: Container failed with: ' \
                   f"{latest.failure.message}."
        elif latest.given_up:
            ready, reason = "False", "RevisionFailed"
            text = f'Revision "{latest.name}" failed with message: Initial scale was never achieved.'
        whole = ready
        if ready == "True" and (not routed or ksvc.route_waits):
            whole = "Unknown"
        if not routed:
            ingress = condition("False" if ready == "False" else "Unknown", NO_INGRESS)
        info = condition(ready, reason, text, True)
        routes = "True" if whole != "Unknown" and routed else "Unknown"
        return {"LatestDeploymentReady": info, "PredictorConfigurationReady": dict(info),
                "PredictorReady": condition(whole, reason, text), "Ready": condition(
                    whole, reason, text), "PredictorRouteReady": route, "IngressReady": ingress,
                "RoutesReady": condition(routes, info=True), "Stopped": stopped}

    # -- requests

    def hosts(self, obj, ksvc):
        """{host: [(workload, percent)]}; an empty list: there, but nobody serves."""
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        ends = (f"{namespace}.{self.world.domain}", f"{namespace}.svc.cluster.local")
        split = [(ksvc.revisions[n], p) for n, p in self.shares(ksvc).items()]
        found = {}
        if ksvc.traffic:
            for end in ends:
                found[f"{name}.{end}"] = found[f"{ksvc.name}.{end}"] = split
            for target in ksvc.traffic:
                if "tag" in target:
                    one = [(ksvc.revisions[target["revisionName"]], 100)]
                    for end in ends:
                        found[f"{target['tag']}-{ksvc.name}.{end}"] = one
        for work in ksvc.revisions.values():
            found[f"{work.name}-private.{ends[1]}"] = [(work, 100)]
        return found
