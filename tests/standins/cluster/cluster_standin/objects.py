"""What etcd keeps: objects by kind, namespace and name, one resource version for all of them, and
the history that watches read. All access is under the world's lock."""

import copy
import random
import threading
import uuid

from standin_common.clock import iso

HISTORY_MAX = 5000


class Objects:
    def __init__(self, clock, lock, seed):
        self._clock = clock
        self._changed = threading.Condition(lock)
        self._dice = random.Random(seed)
        self._kept = {}
        self.version = 48000 + self._dice.randrange(1000)
        self.oldest = self.version
        self.history = []  # (resource version, kind, namespace, type, object)

    def now(self):
        return iso(self._clock.now())

    def new_uid(self):
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    def suffix(self, length=5):
        return "".join(self._dice.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(length))

    def get(self, kind, namespace, name):
        """The object itself, not a copy; None when there is none."""
        return self._kept.get((kind, namespace, name))

    def list(self, kind, namespace=None):
        found = [obj for (k, ns, _), obj in self._kept.items()
                 if k == kind and namespace in (None, ns)]
        return sorted(found, key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"]))

    def create(self, kind, obj):
        """Keeps a new object with uid, creation time, generation and resource version."""
        metadata = obj["metadata"]
        metadata["uid"] = self.new_uid()
        metadata["creationTimestamp"] = self.now()
        metadata.setdefault("generation", 1)
        self._kept[(kind, metadata.get("namespace", ""), metadata["name"])] = obj
        self._note("ADDED", kind, obj)

    def replace(self, kind, obj):
        metadata = obj["metadata"]
        self._kept[(kind, metadata.get("namespace", ""), metadata["name"])] = obj
        self._note("MODIFIED", kind, obj)

    def delete(self, kind, namespace, name):
        obj = self._kept.pop((kind, namespace, name))
        self._note("DELETED", kind, obj)
        return obj

    def _note(self, what, kind, obj):
        self.version += self._dice.randint(1, 9)
        obj["metadata"]["resourceVersion"] = str(self.version)
        namespace = obj["metadata"].get("namespace", "")
        self.history.append((self.version, kind, namespace, what, copy.deepcopy(obj)))
        if len(self.history) > HISTORY_MAX:
            self.oldest = self.history.pop(0)[0]
        self._changed.notify_all()

    def compact(self):
        """Forgets the history, as etcd does every few minutes."""
        self.history.clear()
        self.oldest = self.version

    def wait(self, seconds):
        """Until something changes."""
        with self._changed:
            self._changed.wait(seconds)
