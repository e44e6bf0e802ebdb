"""The pods of the services, as the API shows them, with their waiting reasons, logs and events."""

import hashlib

TROUBLES = {"ImagePullBackOff", "ErrImagePull", "Unschedulable", "OOMKilled", "CrashLoopBackOff",
            "CreateContainerConfigError"}
STUCK = {"ImagePullBackOff", "ErrImagePull", "Unschedulable", "CreateContainerConfigError"}
UNSCHEDULABLE = "0/3 nodes are available: 3 Insufficient memory."
IMAGES = {"storage-initializer": "kserve/storage-initializer:latest",
          "kserve-container": "kserve/sklearnserver:latest",
          "queue-proxy": "gcr.io/knative-releases/queue:latest"}


class Pods:
    def __init__(self, objects):
        self._objects = objects
        self._events = 0
        self._uris = {}

    def create(self, work):
        """The pod of a workload; its name is written into it."""
        digest = hashlib.sha256(work.name.encode()).hexdigest()[:9]
        middle = "-deployment" if work.is_revision else ""
        name = f"{work.name}{middle}-{digest}-{self._objects.suffix()}"[-63:]
        labels = {"serving.kserve.io/inferenceservice": work.service_name, "component": "predictor"}
        containers = ["kserve-container"]
        if work.is_revision:
            labels.update({"app": work.name, "serving.knative.dev/revision": work.name,
                           "serving.knative.dev/service": work.parent})
            containers.append("queue-proxy")
        else:
            labels["app"] = "isvc." + work.parent
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": name, "namespace": work.namespace, "labels": labels},
            "spec": {"serviceAccountName": work.predictor.get("serviceAccountName", "default"),
                     "initContainers": [_container("storage-initializer")],
                     "containers": [_container(one) for one in containers]}}
        work.pod = name
        self._uris[name] = work.uri
        pod["status"] = self._status(work, containers)
        self._objects.create("Pod", pod)
        if work.trouble == "Unschedulable":
            self.event(work, "Warning", "FailedScheduling", UNSCHEDULABLE)
        else:
            self.event(work, "Normal", "Scheduled",
                       f"Successfully assigned {work.namespace}/{name} to node-1")

    def show(self, work):
        """Brings the pod in step with its workload."""
        pod = self._objects.get("Pod", work.namespace, work.pod) if work.pod else None
        if pod is None:
            return
        names = [container["name"] for container in pod["spec"]["containers"]]
        status = self._status(work, names)
        if status != pod["status"]:
            pod["status"] = status
            self._objects.replace("Pod", pod)

    def delete(self, work):
        if work.pod and self._objects.get("Pod", work.namespace, work.pod):
            self._objects.delete("Pod", work.namespace, work.pod)
        work.pod = None

    def event(self, work, kind, reason, message):
        self._events += 1
        pod = self._objects.get("Pod", work.namespace, work.pod)
        involved = {"kind": "Pod", "namespace": work.namespace, "name": work.pod}
        if pod is not None:
            involved["uid"] = pod["metadata"]["uid"]
        self._objects.create("Event", {
            "apiVersion": "v1", "kind": "Event", "metadata": {
                "name": f"{work.pod}.{self._events:016x}", "namespace": work.namespace},
            "involvedObject": involved, "type": kind, "reason": reason, "message": message,
            "count": 1, "firstTimestamp": self._objects.now(), "lastTimestamp": self._objects.now()})

    def log(self, pod, container, previous):
        """The text; None: no such container; False: it has not started."""
        known = [c["name"] for c in pod["spec"]["initContainers"] + pod["spec"]["containers"]]
        if container not in known:
            return None
        for status in pod["status"].get("initContainerStatuses", []) + \
                pod["status"].get("containerStatuses", []):
            if status["name"] == container:
                return self._text(pod["metadata"]["name"], status, previous)
        return False

    def _text(self, pod_name, status, previous):
        """What a container printed, from its state."""
        last = status["lastState"].get("terminated")
        if last:
            return f"Traceback (most recent call last):\n{last['message']}\n"
        if previous or "waiting" in status["state"]:
            return False
        if status["name"] == "storage-initializer" and "terminated" in status["state"]:
            return f"INFO:root:Successfully copied {self._uris[pod_name]} to /mnt/models\n"
        return "INFO: started\n"

    # -- the status of a pod, from its workload

    def _status(self, work, names):
        now = self._objects.now()
        if work.trouble == "Unschedulable":
            return {"phase": "Pending", "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": UNSCHEDULABLE,
                "lastTransitionTime": now}]}
        status = {"phase": "Pending", "hostIP": "127.0.0.1", "podIP": "127.0.0.1",
                  "conditions": [{"type": "PodScheduled", "status": "True"},
                                 {"type": "Ready", "status": "False"}]}
        init, main = self._states(work)
        status["initContainerStatuses"] = [_show("storage-initializer", init)]
        status["containerStatuses"] = [_show(name, main) for name in names]
        if work.restarts:
            status["containerStatuses"][0].update(
                {"restartCount": work.restarts, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}})
        if "running" in main or "last" in main:
            status["phase"] = "Running"
        if "running" in main:
            status["conditions"][1]["status"] = "True"
        return status

    @staticmethod
    def _states(work):
        """(init container, main container)."""
        waits = {"waiting": {"reason": "PodInitializing"}}
        done = {"terminated": {"exitCode": 0, "reason": "Completed"}}
        if work.trouble in STUCK:
            text = f'Back-off pulling image "{IMAGES["kserve-container"]}"' \
                if "Pull" in work.trouble else "secret \"models\" not found"
            return done, {"waiting": {"reason": work.trouble, "message": text}}
        if work.state == "pending":
            return waits, waits
        if work.state == "loading":
            return {"running": {}}, waits
        if work.state == "ready":
            return done, {"running": {}}
        failure = work.failure
        crash = {"waiting": {"reason": "CrashLoopBackOff",
                             "message": f"back-off 20s restarting failed container="
                                        f"{failure.container}"},
                 "last": {"exitCode": failure.exit_code, "reason": failure.reason,
                          "message": failure.message}}
        return (crash, waits) if failure.container == "storage-initializer" else (done, crash)


def _container(name):
    return {"name": name, "image": IMAGES[name], "terminationMessagePolicy": "FallbackToLogsOnError"}


def _show(name, state):
    last = {"terminated": state["last"]} if "last" in state else {}
    if name == "queue-proxy" and last:
        state, last = {"running": {}}, {}
    return {"name": name, "image": IMAGES[name], "imageID": "", "ready": "running" in state,
            "restartCount": 2 if last else 0, "lastState": last,
            "state": {k: v for k, v in state.items() if k != "last"}}
