"""Webhooks out: signed, sent in order unless a script says otherwise, never repeated by itself.

A delivery has 10 seconds. What came of it is kept for three days of the stand-in's clock and served by
/app/hook/deliveries. The next delivery starts when the last one is answered or after a moment, so that
one slow answer does not hold up the rest. Faults for `on: "webhook"` (match by event and action):

    drop            recorded as failed ("timed out"), never sent
    delay           seconds: sent later; whatever follows overtakes it
    double          sent twice, the second time `seconds` (0) later, same GUID
    two_hooks       sent a second time as another hook (other hook id and GUID equal, as GitHub does)
    form            application/x-www-form-urlencoded
    bad_signature   signed with another secret
    no_signature    header left out
    sha1_only       only the legacy header
"""

import hashlib
import hmac
import http.client
import queue
import socket
import threading
import time
import urllib.parse
import uuid

from standin_common.clock import iso

WEBHOOK_FAULTS = {"drop", "delay", "double", "two_hooks", "form", "bad_signature", "no_signature",
                  "sha1_only"}
KEPT_S = 3 * 86400
PATIENCE_S = 0.25  # how long the next delivery waits for this one


class Hook:
    """One registered address: the App's, or a repository's."""

    def __init__(self, id: int, kind: str, target_id: int, url: str, secret: bytes, events=None,
                 content_type: str = "json"):
        self.id = id
        self.kind = kind  # "integration" or "repository"
        self.target_id = target_id
        self.url = url
        self.secret = secret
        self.events = events  # None: all
        self.content_type = content_type
        self.active = True


class Sender:
    def __init__(self, world, record, faults, clock, timeout_s: float = 10.0):
        self._world = world
        self._record = record
        self._faults = faults
        self._clock = clock
        self.timeout_s = timeout_s
        self.app_hook: Hook | None = None
        self.repo_hooks: dict[int, Hook] = {}
        self._deliveries: dict[int, dict] = {}
        self._lock = threading.Lock()
        self._queue: queue.Queue = queue.Queue()
        self._busy = 0
        threading.Thread(target=self._loop, name="webhooks", daemon=True).start()

    # what happened -> deliveries

    def emit(self, event: str, action: str | None, payload: dict, repo=None, installation=None) -> None:
        """Queues one event for every hook that hears it."""
        from .views import dump
        hooks = []
        if self.app_hook and self._app_hears(event, installation):
            hooks.append((self.app_hook, {"installation": {
                "id": installation.id, "node_id": f"MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u{installation.id}"
            }} if event != "installation" and installation else {}))
        for hook in list(self.repo_hooks.values()):
            if repo is not None and hook.target_id == repo.id and hook.active and \
               (hook.events is None or event in hook.events):
                hooks.append((hook, {}))
        guid = str(uuid.UUID(int=self._world.dice.getrandbits(128), version=4))
        for hook, extra in hooks:
            body = dump({**payload, **extra})
            delivery = self._new(hook, guid, event, action, body, repo, installation)
            self._start(hook, delivery, body)

    def emit_to(self, hook, event: str, payload: dict, repo=None) -> None:
        """Queues one event for one hook, whatever it has subscribed to."""
        from .views import dump
        guid = str(uuid.UUID(int=self._world.dice.getrandbits(128), version=4))
        body = dump(payload)
        self._start(hook, self._new(hook, guid, event, None, body, repo, None), body)

    def _app_hears(self, event, installation) -> bool:
        if event == "installation":
            return True
        if installation is None or installation.suspended_at is not None:
            return False
        return self.app_hook.active and event in self._world.app.events

    def _start(self, hook, delivery, body) -> None:
        facts = {"event": delivery["event"], "action": delivery["action"]}
        fault = self._faults.take("webhook", **facts)
        kind = fault.kind if fault else None
        if kind == "drop":
            delivery.update(status="timed out", status_code=0)
            return
        mode = kind if kind in ("form", "bad_signature", "no_signature", "sha1_only") else None
        self._put(hook, delivery, body, mode, fault.get("seconds", 0) if kind == "delay" else 0)
        if kind == "double":
            again = self._new(hook, delivery["guid"], delivery["event"], delivery["action"], body,
                              None, None, like=delivery)
            self._put(hook, again, body, None, fault.get("seconds", 0))
        if kind == "two_hooks":
            other = Hook(hook.id + 1, hook.kind, hook.target_id, hook.url, hook.secret)
            again = self._new(other, delivery["guid"], delivery["event"], delivery["action"], body,
                              None, None, like=delivery)
            self._put(other, again, body, None, 0)

    def _put(self, hook, delivery, body, mode, delay_s) -> None:
        with self._lock:
            self._busy += 1
        if delay_s:
            timer = threading.Timer(delay_s, self._send, (hook, delivery, body, mode))
            timer.daemon = True
            timer.start()
        else:
            self._queue.put((hook, delivery, body, mode))

    def _loop(self) -> None:
        while True:
            item = self._queue.get()
            thread = threading.Thread(target=self._send, args=item, name="delivery", daemon=True)
            thread.start()
            thread.join(PATIENCE_S)

    def is_idle(self) -> bool:
        """Has everything been sent and answered?"""
        with self._lock:
            return self._busy == 0

    # one delivery

    def _new(self, hook, guid, event, action, body, repo, installation, like=None, redelivery=False):
        with self._world.lock:
            number = self._world.new_id("delivery")
        delivery = {"id": number, "guid": guid, "at": self._clock.now(), "redelivery": redelivery,
                    "duration": 0.0, "status": "pending", "status_code": 0, "event": event,
                    "action": action,
                    "installation_id": installation.id if installation else None,
                    "repository_id": repo.id if repo else None, "url": hook.url, "body": body,
                    "hook": hook, "request_headers": {}, "response_headers": {}, "response_body": ""}
        if like:
            delivery["installation_id"] = like["installation_id"]
            delivery["repository_id"] = like["repository_id"]
        with self._lock:
            self._deliveries[number] = delivery
        return delivery

    def headers(self, hook, guid, event, content_type, body, mode=None) -> dict:
        secret = b"not the secret" if mode == "bad_signature" else hook.secret
        headers = {"Accept": "*/*", "Content-Type": content_type,
                   "User-Agent": "GitHub-Hookshot/044aadd", "X-GitHub-Delivery": guid,
                   "X-GitHub-Event": event, "X-GitHub-Hook-ID": str(hook.id),
                   "X-GitHub-Hook-Installation-Target-ID": str(hook.target_id),
                   "X-GitHub-Hook-Installation-Target-Type": hook.kind}
        if hook.secret and mode != "no_signature":
            headers["X-Hub-Signature"] = "sha1=" + hmac.new(secret, body, hashlib.sha1).hexdigest()
            if mode != "sha1_only":
                digest = hmac.new(secret, body, hashlib.sha256).hexdigest()
                headers["X-Hub-Signature-256"] = "sha256=" + digest
        return headers

    def _send(self, hook, delivery, body, mode) -> None:
        content_type = "application/json"
        if mode == "form" or hook.content_type == "form":
            content_type = "application/x-www-form-urlencoded"
            body = ("payload=" + urllib.parse.quote_plus(body)).encode()
        headers = self.headers(hook, delivery["guid"], delivery["event"], content_type, body, mode)
        delivery["request_headers"] = headers
        started = time.monotonic()
        try:
            self._post(hook.url, body, headers, delivery)
        except socket.timeout:
            delivery.update(status="timed out", status_code=0)
        except (OSError, http.client.HTTPException, ValueError) as error:
            delivery.update(status=f"failed to connect to host: {error}"[:200], status_code=0)
        delivery["duration"] = round(time.monotonic() - started, 3)
        with self._lock:
            self._busy -= 1
        self._record.mutation("delivery", event=delivery["event"], action=delivery["action"],
                              id=delivery["id"], guid=delivery["guid"],
                              status_code=delivery["status_code"], status=delivery["status"])

    def _post(self, url, body, headers, delivery) -> None:
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80,
                                                timeout=self.timeout_s)
        try:
            connection.request("POST", parts.path or "/", body, headers)
            answer = connection.getresponse()
            text = answer.read(65536)
        finally:
            connection.close()
        delivery["status_code"] = answer.status
        good = 200 <= answer.status < 300
        delivery["status"] = "OK" if good else f"Invalid HTTP Response: {answer.status}"
        delivery["response_headers"] = dict(answer.getheaders())
        delivery["response_body"] = text.decode(errors="replace")

    # the log of deliveries

    def list(self, hook_kind: str, target_id: int | None = None) -> list[dict]:
        """Deliveries that GitHub still knows, newest first."""
        oldest = self._clock.now() - KEPT_S
        with self._lock:
            for number in [n for n, d in self._deliveries.items() if d["at"] < oldest]:
                del self._deliveries[number]
            found = [d for d in self._deliveries.values() if d["hook"].kind == hook_kind and
                     (target_id is None or d["hook"].target_id == target_id)]
        return sorted(found, key=lambda d: -d["id"])

    def redeliver(self, delivery: dict) -> dict:
        again = self._new(delivery["hook"], delivery["guid"], delivery["event"], delivery["action"],
                          delivery["body"], None, None, like=delivery, redelivery=True)
        self._put(delivery["hook"], again, delivery["body"], None, 0)
        return again


def show(delivery: dict, whole: bool = False) -> dict:
    import json
    shown = {key: delivery[key] for key in ("id", "guid", "redelivery", "duration", "status",
                                            "status_code", "event", "action", "installation_id",
                                            "repository_id")}
    millis = int(delivery["at"] * 1000 % 1000)
    shown["delivered_at"] = iso(delivery["at"]).replace("Z", f".{millis:03d}Z")
    shown["throttled_at"] = None
    if whole:
        shown["url"] = delivery["url"]
        shown["request"] = {"headers": delivery["request_headers"],
                            "payload": json.loads(delivery["body"])}
        shown["response"] = {"headers": delivery["response_headers"],
                             "payload": delivery["response_body"]}
    return shown
