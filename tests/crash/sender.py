"""Signed webhooks from this process, as fast as they are answered, remembering what was answered how."""

import copy
import hashlib
import hmac
import http.client
import json
import random
import threading
import time
import uuid

CONNECTIONS = 4
WEBHOOK_PATH = "/webhook"


def sample(scene) -> dict:
    """A real payload of a comment, to make more from. The comment says nothing that is a command."""
    comment = scene.ann.comments("Looks good so far.")
    scene.webhooks_are_idle()
    for delivery in scene.github.get("deliveries", whole=1)["deliveries"]:
        payload = delivery["request"]["payload"]
        if delivery["event"] == "issue_comment" and payload["comment"]["id"] == comment.id:
            return payload
    raise AssertionError("GitHub sent no webhook for a comment")


class Sent:
    """One webhook: what it was, and the answers to each attempt (0: none)."""

    def __init__(self, guid: str, comment_id: int, body: bytes):
        self.guid = guid
        self.comment_id = comment_id
        self.body = body
        self.answers: list[int] = []

    @property
    def is_accepted(self) -> bool:
        return 202 in self.answers


class Sender:
    """Posts webhooks on several connections between `start` and `stop`; `sent` has all of them."""

    def __init__(self, port: int, secret: str, payload: dict, command: str, first_comment: int,
                 seed: int = 1, doubled: float = 0.05, rate: float = 0.0):
        self.port = port
        self.secret = secret.encode()
        self.payload = payload
        self.command = command
        self.pause_s = CONNECTIONS / rate if rate else 0.0
        self.sent: list[Sent] = []
        self._doubled = doubled
        self._dice = random.Random(seed)
        self._next = first_comment
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._stopping.clear()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def accepted(self) -> list[Sent]:
        return [item for item in self.sent if item.is_accepted]

    def make(self) -> Sent:
        with self._lock:
            self._next += 1
            comment_id = self._next
            guid = str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
        payload = copy.copy(self.payload)
        payload["comment"] = {**payload["comment"], "id": comment_id, "body": self.command,
                              "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        sent = Sent(guid, comment_id, json.dumps(payload).encode())
        with self._lock:
            self.sent.append(sent)
        return sent

    def post(self, sent: Sent, connection=None) -> int:
        """One attempt; the status, 0 for no answer."""
        mine = connection or self.connect()
        signature = hmac.new(self.secret, sent.body, hashlib.sha256).hexdigest()
        status = 0
        try:
            mine.request("POST", WEBHOOK_PATH, sent.body, {
                "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/044aadd",
                "X-GitHub-Delivery": sent.guid, "X-GitHub-Event": "issue_comment",
                "X-Hub-Signature-256": f"sha256={signature}"})
            answer = mine.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            mine.close()
        if connection is None:
            mine.close()
        sent.answers.append(status)
        return status

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def _run(self) -> None:
        connection = self.connect()
        while not self._stopping.is_set():
            sent = self.make()
            status = self.post(sent, connection)
            if status and self._dice.random() < self._doubled:
                self.post(sent, connection)
            if not status:
                self._stopping.wait(0.02)  # it is down
            elif self.pause_s:
                self._stopping.wait(self.pause_s)
        connection.close()
