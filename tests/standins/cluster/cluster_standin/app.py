"""The stand-in wired together: the world that all ports share, and the ports.

One lock guards objects and controllers. Requests hold it while they look or write, never while a
model is loaded or predicts.
"""

import base64
import copy
import json
import pathlib
import random
import threading
import time

from standin_common.clock import Clock
from standin_common.faults import FaultScript
from standin_common.http import FAULT_KINDS, Answer
from standin_common.record import Recorder

from . import auth, fields, webhook
from .certs import Authority
from .control import Control
from .ingress import IngressApp
from .knative import Knative
from .kube import KubeApp
from .kube_isvc import KIND, InferenceServices, merge_patch
from .models import Models
from .objects import Objects
from .pods import Pods
from .s3 import Objects as Store
from .s3 import S3App
from .schema import Schema
from .schema import folder as schema_folder
from .standard import Standard
from .timing import Timing

CONTROLLER = "manager"
ACTIVATOR_S = 10.0


class PortFaults:
    """The part of the fault script that one port meets."""

    def __init__(self, script, on):
        self._script, self._on = script, on

    def take(self, method, path, **more):
        return self._script.take(self._on, method=method, path=path, **more)


class Faults(FaultScript):
    """One script for all ports; `match.on` is "request" (Kubernetes), "ingress" or "s3"."""

    def of(self, on):
        return PortFaults(self, on)


class World:
    def __init__(self, options):
        self.options = options
        self.clock = Clock()
        self.record = Recorder(self.clock)
        self.lock = threading.RLock()
        self.dice = random.Random(options.seed)
        self.faults = Faults({on: FAULT_KINDS for on in ("request", "ingress", "s3")})
        self.kserve_version = options.kserve_version
        self.kserve_installed = True
        self.default_mode = "Knative" if options.mode == "knative" else "Standard"
        self.domain = options.domain
        self.gateway = not options.no_gateway
        self.schema = Schema(options.kserve_version)
        self.objects = Objects(self.clock, self.lock, options.seed)
        namespaces = options.namespaces.split(",")
        for name in namespaces:
            self.add_namespace(name)
        self.tokens = auth.Tokens(self.clock, options.user)
        self.rbac = auth.Rbac(options.rbac, namespaces, options.user)
        state = pathlib.Path(options.state)
        self.store = Store(options.objects)
        self.models = Models(self.store, state / "models")
        self.pods = Pods(self.objects)
        self.timing = Timing(self.clock, self.record)
        self.controllers = {"Knative": Knative(self), "Standard": Standard(self)}
        self.states = {}  # service key -> the controller's state
        self.troubles = {}  # service key -> trouble of the next pod
        self.headless = False
        self.converge_requests = 0
        self.converge_left = {}
        self.authority = Authority(state)
        self.ingress = IngressApp(self)
        isvc = InferenceServices(self)
        self.control = Control(self)
        self.kube = KubeApp(self, isvc, self.control)
        isvc.keys = self.kube
        self.s3 = S3App(self.store, options.credentials, self.clock, self.record, self.faults.of("s3"))

    # -- small things

    def add_namespace(self, name):
        with self.lock:
            self.objects.create("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "status": {"phase": "Active"}})

    def new_uid(self):
        with self.lock:
            return self.objects.new_uid()

    @staticmethod
    def sample(fault):
        """A published sample by its path below samples/, such as k8s/status_429.json."""
        specs = schema_folder()
        path = specs.parents[1] / "samples" / fault["name"] if specs else None
        if path is None or not path.is_file():
            return Answer.json({"message": f"no sample {fault['name']}"}, 500)
        value = json.loads(path.read_text(encoding="utf-8"))
        return Answer.json(value, int(fault.get("status", value.get("code", 200))))

    @staticmethod
    def sleep(seconds):
        time.sleep(seconds)

    def reseed(self, seed):
        self.dice = random.Random(seed)

    def close(self):
        self.timing.close()
        self.models.host.close()

    # -- services; all under the lock

    def service(self, key):
        return self.objects.get(KIND, *key.split("/", 1))

    def write_service(self, obj, live, action, sent, manager):
        """A write through the API (or by hand): kept, recorded, the controllers told."""
        if live is None:
            obj["metadata"].setdefault("finalizers", ["inferenceservice.finalizers"])
            self.objects.create(KIND, obj)
        else:
            self.objects.replace(KIND, obj)
        metadata = obj["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}"
        self.record.mutation(f"isvc.{action}", service=key, body=copy.deepcopy(sent),
                             manager=manager, resourceVersion=metadata["resourceVersion"])
        self.timing.later("create", key, lambda: self._seen(key))

    def _seen(self, key):
        with self.lock:
            self.reconcile(key)

    def reconcile(self, key):
        obj = self.service(key)
        if obj is None:
            return
        mode = obj.get("status", {}).get("deploymentMode") or webhook.mode_of(obj, self.default_mode)
        controller = self.controllers.get(mode)
        if controller is None:
            self.record.gap(f"no controller for mode {mode}")
            return
        if key not in self.states:
            self.states[key] = controller.open(obj)
        controller.reconcile(obj, self.states[key])

    def write_status(self, obj, status):
        """The controller's status, if it differs from what is there."""
        now = self.service(f"{obj['metadata']['namespace']}/{obj['metadata']['name']}")
        if now is None or now.get("status") == status:
            return
        changed = copy.deepcopy(now)
        changed["status"] = status
        fields.updated(now, changed, self.schema.fields, CONTROLLER, self.objects.now(), "status")
        self.objects.replace(KIND, changed)

    def delete_service(self, namespace, name, by):
        key = f"{namespace}/{name}"
        state = self.states.pop(key, None)
        if state is not None:
            for work in self.controller_of(state).workloads(state):
                self.pods.delete(work)
        self.objects.delete(KIND, namespace, name)
        self.record.mutation("isvc.delete", service=key, by=by)

    def edit_service(self, key, patch, manager):
        """A person with kubectl, behind everyone's back."""
        live = self.service(key)
        obj = merge_patch(copy.deepcopy(live), patch)
        if obj["spec"] != live["spec"]:
            obj["metadata"]["generation"] += 1
        webhook.default(obj)
        fields.updated(live, obj, self.schema.fields, manager, self.objects.now())
        self.write_service(obj, live, "edit", patch, manager)

    def controller_of(self, state):
        return self.controllers["Standard" if hasattr(state, "canaries") else "Knative"]

    # -- hosts

    def hosts(self):
        """{host: (targets, service key)} of all services."""
        found = {}
        for key, state in self.states.items():
            obj = self.service(key)
            if obj is not None:
                for host, targets in self.controller_of(state).hosts(obj, state).items():
                    found[host] = (targets, key)
        return found

    def find_host(self, host):
        return self.hosts().get(host, (None, None))

    def listens(self, key, port):
        """Is this a port of a service's cluster-local name? Headless Services of Standard mode lead straight to
        the pods, where only the container's port is."""
        state = self.states.get(key)
        is_standard = state is not None and hasattr(state, "canaries")
        return port == ("8080" if is_standard and self.headless else "80")

    def external_host(self, namespace, name):
        state = self.states.get(f"{namespace}/{name}")
        middle = "-" if state is not None and hasattr(state, "canaries") else "."
        return f"{name}{middle}{namespace}.{self.domain}"

    def pick(self, targets):
        """One workload by weight; None when nobody serves."""
        total = sum(percent for _, percent in targets)
        if not total:
            return targets[0][0] if targets else None
        at = self.dice.random() * total
        for work, percent in targets:
            at -= percent
            if at < 0:
                return work
        return targets[-1][0]

    def activate(self, work):
        """Knative's activator: a revision without a ready pod is started, the request waits."""
        with self.lock:
            obj = self.service(work.service_key)
            if obj is not None and work.pod is None:
                self.controllers["Knative"].bring_up(work, obj)
        ends = time.monotonic() + ACTIVATOR_S
        while time.monotonic() < ends:
            with self.lock:
                if work.pod is None or work.state in ("ready", "failed"):
                    return
                self.objects.wait(ends - time.monotonic())

    def converging(self, key):
        """A route changed: the next requests meet 503, when a test wants it."""
        if self.converge_requests:
            self.converge_left[key] = self.converge_requests

    def still_converging(self, key):
        left = self.converge_left.get(key, 0)
        self.converge_left[key] = max(0, left - 1)
        return left > 0

    # -- files for the program under test

    def write_token(self):
        self.authority.write("token", self.tokens.current + "\n")

    def write_configs(self, https_port):
        """token, kubeconfig (token from file), and kubeconfig-certificate on request."""
        server = f"https://127.0.0.1:{https_port}"
        namespace = self.options.namespaces.split(",")[0]
        state = self.authority.folder
        self.write_token()
        self.authority.write("kubeconfig", self.authority.kubeconfig(
            server, {"tokenFile": str((state / "token").absolute())}, namespace))
        if self.options.client_certificate:
            self.authority.issue_client(self.options.user)
            data = {f"client-{kind}-data": base64.b64encode(
                (state / f"client.{end}").read_bytes()).decode()
                for kind, end in (("certificate", "crt"), ("key", "key"))}
            self.authority.write("kubeconfig-certificate",
                                 self.authority.kubeconfig(server, data, namespace))
