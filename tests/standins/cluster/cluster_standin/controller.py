"""What the controllers of both modes share: a workload (one pod template with one model) brought up
step by step, conditions, modelStatus, and the write of a service's status.

A workload is pending, then loading, then ready or failed. A failure of the storage initializer is
seen in modelStatus at once and in the conditions only when the deployment is given up; a failing
model server is seen in both at once.
"""

import copy

from . import webhook
from .models import LoadFailure
from .pods import STUCK

PROGRESS_S = 600
PROGRESS = "serving.knative.dev/progress-deadline"
NOT_IN_TEMPLATE = {"kubectl.kubernetes.io/last-applied-configuration",
                   "autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/max-scale"}


class Workload:
    def __init__(self, name, parent, obj, predictor, is_revision):
        self.name = name
        self.parent = parent
        self.namespace = obj["metadata"]["namespace"]
        self.service_name = obj["metadata"]["name"]
        self.predictor = copy.deepcopy(predictor)
        self.is_revision = is_revision
        self.state = "pending"
        self.was_ready = False
        self.failure = None
        self.given_up = False
        self.trouble = None
        self.broken = None
        self.restarts = 0
        self.pod = None

    @property
    def key(self):
        return f"{self.namespace}/{self.name}"

    @property
    def service_key(self):
        return f"{self.namespace}/{self.service_name}"

    @property
    def uri(self):
        return self.predictor.get("model", {}).get("storageUri", "")

    def facts(self):
        return {"name": self.name, "storageUri": self.uri, "state": self.state, "pod": self.pod,
                "trouble": self.trouble, "broken": self.broken,
                "failure": self.failure.message if self.failure else None}


def template_of(obj, predictor):
    """What makes a new pod template when it differs: the predictor, annotations and labels."""
    metadata = obj["metadata"]
    chosen = {name: metadata.get(name, {}) for name in ("annotations", "labels")}
    chosen["annotations"] = {k: v for k, v in chosen["annotations"].items()
                             if k not in NOT_IN_TEMPLATE}
    spec = {k: v for k, v in predictor.items() if k not in ("canaryTrafficPercent", "name")}
    return copy.deepcopy({**chosen, "spec": spec})


def format_of(predictor):
    return predictor.get("model", {}).get("modelFormat", {}).get("name", "")


def seconds(text, default):
    try:
        return float(text.rstrip("s"))
    except (AttributeError, ValueError):
        return default


class Controller:
    """`world` is the application. Steps take its lock; only loading a model does not hold it."""

    def __init__(self, world):
        self.world = world
        self.timing = world.timing

    # -- a workload's way

    def bring_up(self, work, obj):
        """Starts a workload; the service is reconciled at each of its steps."""
        work.state, work.failure, work.given_up = "pending", None, False
        work.trouble = self.world.troubles.pop(work.service_key, work.trouble)
        self.world.pods.create(work)
        self.world.record.mutation("workload.created", service=work.service_key, name=work.name,
                                   uri=work.uri)
        limit = seconds(obj["metadata"].get("annotations", {}).get(PROGRESS), PROGRESS_S)
        self.timing.at(self.world.clock.now() + limit, work.service_key,
                       lambda: self._give_up(work))
        self.timing.later("pod", work.service_key, lambda: self._scheduled(work))

    def _scheduled(self, work):
        with self.world.lock:
            if not self._is_wanted(work, "pending"):
                return
            if work.trouble in STUCK:
                self.world.pods.event(work, "Warning", "Failed", f"Error: {work.trouble}")
                self.changed(work)
                return
            work.state = "loading"
            self.changed(work)
            self.timing.later("load", work.service_key, lambda: self.load(work))

    def load(self, work):
        """Fetches and loads the model; not under the lock."""
        failure = None
        try:
            if work.trouble == "OOMKilled":
                raise LoadFailure("kserve-container", "OOMKilled", 137, "OOMKilled")
            if work.trouble == "CrashLoopBackOff":
                raise LoadFailure("storage-initializer", "RuntimeError: Failed to fetch model. No "
                                  f"model found in {work.uri}.")
            if work.predictor.get("model", {}).get("runtime") != webhook.FRAMEWORKS["sklearn"]:
                self.world.record.gap("only scikit-learn models can be served")
            self.world.models.load(work.key, work.uri)
        except LoadFailure as error:
            failure = error
        with self.world.lock:
            if not self._is_wanted(work, "loading"):
                return
            work.failure = failure
            work.state = "failed" if failure else "ready"
            work.was_ready = work.was_ready or not failure
            self.world.record.mutation("workload." + work.state, service=work.service_key,
                                       name=work.name, uri=work.uri,
                                       message=failure.message if failure else "")
            if failure:
                work.failed_at = self.world.objects.now()
                self.world.pods.event(work, "Warning", "BackOff", "Back-off restarting failed container")
                self.timing.later("deadline", work.service_key, lambda: self._give_up(work))
            self.changed(work)

    def _give_up(self, work):
        with self.world.lock:
            if self._is_wanted(work, work.state) and work.state != "ready" and not work.given_up:
                work.given_up = True
                self.world.record.mutation("workload.given_up", service=work.service_key,
                                           name=work.name)
                self.changed(work)

    def end_trouble(self, work):
        """The cause is gone: the pod starts, whatever it was."""
        work.trouble = None
        work.state, work.failure, work.given_up = "pending", None, False
        self.changed(work)
        self.timing.later("pod", work.service_key, lambda: self._scheduled(work))

    def take_down(self, work):
        self.world.pods.delete(work)

    def _is_wanted(self, work, state):
        return work.pod is not None and work.state == state

    def changed(self, work):
        """Something happened to a workload."""
        self.world.pods.show(work)
        self.world.reconcile(work.service_key)

    # -- status

    def runtime_fault(self, obj):
        """(reason, message) when no runtime takes this predictor, else None."""
        model = obj["spec"]["predictor"].get("model")
        if model is None:
            return None
        kind = format_of(obj["spec"]["predictor"])
        if model.get("runtime"):
            if model["runtime"] not in webhook.FRAMEWORKS.values():
                return ("RuntimeNotRecognized", f"Specified runtime {model['runtime']} not found")
        elif kind not in webhook.FRAMEWORKS:
            return ("NoSupportingRuntime",
                    f"No runtime found to support specified framework/version: {kind}")
        return None

    def model_status(self, work, has_active):
        """modelStatus, for the workload that should be live next."""
        active = "Loaded" if has_active else ""
        if work.state == "ready":
            return _model_status("UpToDate", "Loaded", "Loaded", 0)
        if work.state == "failed":
            made = _model_status("BlockedByFailedLoad", active, "FailedToLoad", 1)
            made["lastFailureInfo"] = {
                "exitCode": work.failure.exit_code, "message": work.failure.message,
                "reason": "ModelLoadFailed", "time": work.failed_at}
            return made
        target = "Loading" if work.state == "loading" else "Pending"
        return _model_status("InProgress", active, target, 0)

    def write_status(self, obj, status, conditions):
        """Keeps the status when it differs; times of unchanged conditions stay."""
        before = {c["type"]: c for c in obj.get("status", {}).get("conditions", [])}
        listed = []
        for name in sorted(conditions):
            made = {"type": name, **conditions[name]}
            old = before.get(name)
            same = old is not None and old["status"] == made["status"]
            made["lastTransitionTime"] = old["lastTransitionTime"] if same else \
                self.world.objects.now()
            listed.append(made)
        status["conditions"] = listed
        self.world.write_status(obj, status)


def _model_status(transition, active, target, failed):
    return {"copies": {"failedCopies": failed, "totalCopies": 1},
            "states": {"activeModelState": active, "targetModelState": target},
            "transitionStatus": transition}


def condition(status, reason="", message="", info=False):
    made = {"status": status}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    if info:
        made["severity"] = "Info"
    return made
