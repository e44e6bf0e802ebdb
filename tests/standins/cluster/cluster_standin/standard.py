"""Standard mode: a Deployment for the predictor, and since 0.20 one for each entry of spec.canary.

canaryTrafficPercent is ignored. A changed template is a rolling update: the old pod serves until the
new one is ready, and goes on when it never is; the service stays Ready meanwhile, only modelStatus
tells. With spec.canary the external host is split by weight; each predictor also has its own host.
"""

import math

from .controller import Controller, Workload, condition, template_of


class Deployment:
    def __init__(self, name):
        self.name = name
        self.count = 0
        self.template = None
        self.serving = None  # Workload that answers
        self.next = None  # Workload on its way
        self.replicas = 1
        self.percent = 0

    def newest(self):
        return self.next or self.serving


class Standing:
    """The deployments of one service: the stable one, and canaries by predictor name."""

    def __init__(self):
        self.stable = None
        self.canaries = {}
        self.generation = 0


class Standard(Controller):
    def open(self, _obj):
        return Standing()

    def workloads(self, standing):
        deployments = [standing.stable, *standing.canaries.values()]
        return [work for d in deployments if d for work in (d.serving, d.next) if work]

    def reconcile(self, obj, standing):
        """One pass over all deployments, then the status. Under the world's lock."""
        fault = self.runtime_fault(obj)
        if not fault:
            self._adopt(obj, standing)
            predictor = obj["spec"]["predictor"]
            standing.generation += self._roll(obj, standing.stable, predictor)
            self._canaries(obj, standing)
        self._write(obj, standing, fault)

    @staticmethod
    def deployment_name(obj, predictor):
        middle = f"-{predictor['name']}" if predictor.get("name") else ""
        return f"{obj['metadata']['name']}{middle}-predictor"

    def _adopt(self, obj, standing):
        """A renamed predictor takes over the canary's deployment of that name."""
        name = self.deployment_name(obj, obj["spec"]["predictor"])
        if standing.stable is not None and standing.stable.name == name:
            return
        old = standing.stable
        taken = standing.canaries.pop(obj["spec"]["predictor"].get("name", ""), None)
        standing.stable = taken or Deployment(name)
        standing.stable.replicas = 1
        if old is None:
            return
        if standing.stable.serving is not None:
            self._end(old)
        else:
            standing.stable.serving, old.serving = old.serving, None
            self._end(old)

    def _end(self, deployment):
        for work in (deployment.serving, deployment.next):
            if work:
                self.take_down(work)

    def _canaries(self, obj, standing):
        entries = {e["predictor"]["name"]: e for e in obj["spec"].get("canary") or []}
        for name in set(standing.canaries) - set(entries):
            self._end(standing.canaries.pop(name))
        stable = obj["spec"]["predictor"].get("minReplicas", 1)
        for name, entry in entries.items():
            if name not in standing.canaries:
                standing.canaries[name] = Deployment(self.deployment_name(obj, entry["predictor"]))
                self.world.converging(f"{obj['metadata']['namespace']}/{obj['metadata']['name']}")
            canary = standing.canaries[name]
            if canary.percent != entry["trafficPercent"]:
                canary.percent = entry["trafficPercent"]
                self.world.record.mutation("traffic", service=f"{obj['metadata']['namespace']}/"
                                           f"{obj['metadata']['name']}",
                                           traffic={canary.name: canary.percent})
            canary.replicas = max(entry["predictor"].get("minReplicas", 0),
                                  math.ceil(stable * canary.percent / 100))
            self._roll(obj, canary, entry["predictor"])

    def _roll(self, obj, deployment, predictor):
        """A new pod when the template changed; the old one goes when the new one is ready."""
        template = template_of(obj, predictor)
        if deployment.replicas == 0:
            self._end(deployment)
            deployment.serving = deployment.next = deployment.template = None
            return False
        grown = template != deployment.template
        if grown:
            deployment.template = template
            if deployment.next:
                self.take_down(deployment.next)
            deployment.count += 1
            work = Workload(f"{deployment.name}-{deployment.count}", deployment.name, obj, predictor,
                            False)
            deployment.next = work
            self.bring_up(work, obj)
        if deployment.next and deployment.next.state == "ready":
            if deployment.serving:
                self.take_down(deployment.serving)
            deployment.serving, deployment.next = deployment.next, None
            self.world.converging(deployment.serving.service_key)
        return grown

    # -- status

    def _write(self, obj, standing, fault):
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        status = {"deploymentMode": "Standard", "observedGeneration": standing.generation,
                  "components": {"predictor": {}}}
        stable = standing.stable
        if stable is not None:
            host = f"http://{stable.name}.{namespace}.svc.cluster.local"
            external = f"http://{stable.name}-{namespace}.{self.world.domain}"
            status["components"]["predictor"] = {"url": external, "address": {"url": host}}
            if stable.serving:
                status["address"] = {"url": host}
                status["url"] = f"http://{name}-{namespace}.{self.world.domain}"
        runtime = obj["spec"]["predictor"].get("model", {}).get("runtime")
        if runtime:
            status["servingRuntimeName"] = runtime
        if fault:
            status["modelStatus"] = {
                "states": {"activeModelState": "", "targetModelState": "FailedToLoad"},
                "transitionStatus": "InvalidSpec",
                "lastFailureInfo": {"reason": fault[0], "message": fault[1]}}
        else:
            status["modelStatus"] = self.model_status(stable.newest(), stable.serving is not None)
        if obj["spec"].get("canary") and not fault:
            status["canaryStatuses"] = [self._canary_status(e, standing) for e in obj["spec"]["canary"]]
        self.write_status(obj, status, self._conditions(obj, standing, fault))

    def _canary_status(self, entry, standing):
        deployment = standing.canaries[entry["predictor"]["name"]]
        made = {"name": entry["predictor"]["name"], "trafficPercent": entry["trafficPercent"],
                "ready": deployment.replicas == 0 or deployment.serving is not None}
        if deployment.newest():
            made["modelStatus"] = self.model_status(deployment.newest(), bool(deployment.serving))
        return made

    @staticmethod
    def _conditions(obj, standing, fault):
        found = {"Stopped": condition("False", info=True)}
        stable = standing.stable
        serving = stable is not None and stable.serving is not None
        if fault:
            ready = condition("False", fault[0], fault[1])
        elif serving:
            ready = condition("True")
        elif stable.newest().given_up:
            ready = condition("False", "ProgressDeadlineExceeded",
                              f'ReplicaSet "{stable.newest().name}" has timed out progressing.')
        else:
            ready = condition("False", "MinimumReplicasUnavailable",
                              "Deployment does not have minimum availability.")
        found["PredictorReady"] = ready
        found["IngressReady"] = condition("True" if serving else "False",
                                          "" if serving else "PredictorNotReady")
        whole = dict(ready)
        if obj["spec"].get("canary") and not fault:
            waits = [name for name, d in standing.canaries.items() if d.replicas and not d.serving]
            failed = [n for n in waits if standing.canaries[n].newest().given_up]
            found["CanaryPredictorReady"] = condition("True") if not waits else condition(
                "False" if failed else "Unknown", "MinimumReplicasUnavailable",
                f"canary {waits[0]} is not available")
        found["Ready"] = whole
        return found

    # -- requests

    def hosts(self, obj, standing):
        """{host: [(workload, percent)]}."""
        name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
        stable = standing.stable
        if stable is None:
            return {}
        left = 100
        split, found = [], {}
        for canary in standing.canaries.values():
            serving = [(canary.serving, 100)] if canary.serving else []
            found[f"{canary.name}.{namespace}.svc.cluster.local"] = serving
            if self.world.gateway and canary.percent:
                split.append((canary.serving, canary.percent))
                left -= canary.percent
        own = [(stable.serving, 100)] if stable.serving else []
        split.append((stable.serving, left))
        found[f"{stable.name}.{namespace}.svc.cluster.local"] = own
        found[f"{stable.name}-{namespace}.{self.world.domain}"] = own
        found[f"{name}-{namespace}.{self.world.domain}"] = [pair for pair in split if pair[0]]
        return found
