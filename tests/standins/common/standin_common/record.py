"""What a stand-in saw: requests, mutations in order, and violations.

A violation is anything the real service would refuse or punish; a test ends with none of them. Mutations
carry rising numbers, so that a test can wait for the next one instead of sleeping.
"""

import collections
import threading
import time

REQUESTS_KEPT = 20000


class Recorder:
    def __init__(self, clock):
        self._clock = clock
        self._changed = threading.Condition()
        self.violations: list[dict] = []
        self.mutations: list[dict] = []
        self.gaps: list[dict] = []
        self.requests = collections.deque(maxlen=REQUESTS_KEPT)

    def violation(self, kind: str, detail: str, request=None) -> None:
        entry = {"kind": kind, "detail": detail, "at": self._clock.now()}
        if request is not None:
            entry["request"] = f"{request.method} {request.target}"
        with self._changed:
            self.violations.append(entry)
            self._changed.notify_all()

    def gap(self, detail: str) -> None:
        """Something the stand-in itself cannot do or did wrong: no fault of the program under test,
        but a test that meets one proves nothing."""
        with self._changed:
            self.gaps.append({"detail": detail, "at": self._clock.now()})
            self._changed.notify_all()

    def mutation(self, kind: str, **facts) -> int:
        """Notes a change of state; returns its number."""
        with self._changed:
            seq = len(self.mutations) + 1
            self.mutations.append({"seq": seq, "at": self._clock.now(), "kind": kind, **facts})
            self._changed.notify_all()
            return seq

    def request(self, **facts) -> None:
        with self._changed:
            self.requests.append({"at": self._clock.now(), **facts})

    def since(self, seq: int, timeout_s: float = 0.0) -> list[dict]:
        """Mutations after number `seq`; waits up to timeout_s for the first."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while len(self.mutations) <= seq:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return list(self.mutations[seq:])

    def take_violations(self) -> list[dict]:
        """All violations, which are forgotten with this call."""
        with self._changed:
            taken, self.violations = self.violations, []
            return taken
