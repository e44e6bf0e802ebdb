"""Rate limits that bite: primary per hour and resource, secondary for content, points, and the waits that
follow. Whoever sends anything while told to wait has committed a violation, as has who sends more than
ten requests at once or writes too close to each other (when a gap is set).
"""

import collections
import threading
import time

from .auth import ApiError

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
CONTENT = ("You have exceeded a secondary rate limit and have been temporarily blocked from content "
           "creation. Please retry your request again later.")
GRACE_S = 0.1  # requests that were on their way when the wait was announced
CLOCKS_S = 0.05  # what two clocks, one of the wall and one that counts, may differ over a wait


class Bucket:
    """What is counted for one credential."""

    def __init__(self):
        self.used: dict[str, int] = {}
        self.reset: dict[str, float] = {}
        self.content: collections.deque = collections.deque()
        self.points: collections.deque = collections.deque()
        self.wait_until = 0.0
        self.told_at = 0.0  # monotonic
        self.in_flight = 0
        self.last_write = 0.0  # monotonic, of the clock that the far side lives by


class Limits:
    def __init__(self, clock, record):
        self._clock = clock
        self._record = record
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}
        self.settings = {"primary_per_hour": 5000, "graphql_per_hour": 5000, "search_per_minute": 30,
                         "content_per_minute": 80, "content_per_hour": 500, "points_per_minute": 900,
                         "retry_after_s": 60, "send_retry_after": True, "status": 403,
                         "concurrent_max": 10, "write_gap_s": 0.0}

    def configure(self, **changes) -> None:
        unknown = set(changes) - set(self.settings)
        if unknown:
            raise ValueError(f"unknown limit {sorted(unknown)[0]!r}")
        self.settings.update(changes)

    def reset(self) -> None:
        with self._lock:
            self._buckets.clear()

    def _bucket(self, key: str) -> Bucket:
        return self._buckets.setdefault(key, Bucket())

    # around each request

    def enter(self, key: str, request) -> None:
        with self._lock:
            bucket = self._bucket(key)
            bucket.in_flight += 1
            count = bucket.in_flight
        if count > self.settings["concurrent_max"]:
            self._record.violation("concurrency", f"{count} requests at once for {key}", request)

    def leave(self, key: str) -> None:
        with self._lock:
            self._bucket(key).in_flight -= 1

    def note_impatience(self, key: str, request) -> None:
        """Notes a violation when the credential was told to wait, whatever the request meets then."""
        with self._lock:
            bucket = self._bucket(key)
            left = bucket.wait_until - self._clock.now()
            late = request.started > bucket.told_at + GRACE_S
        if left > CLOCKS_S and late:
            self._record.violation("told_to_wait", f"{key} has to wait {left:.1f} s more", request)

    def check_wait(self, key: str) -> None:
        """Refuses while the credential has to wait."""
        with self._lock:
            left = self._bucket(key).wait_until - self._clock.now()
        if left > 0:
            self._refuse(key, SECONDARY, left)

    def tell_to_wait(self, key: str, until: float) -> None:
        with self._lock:
            bucket = self._bucket(key)
            if until > bucket.wait_until:
                bucket.wait_until = until
                bucket.told_at = time.monotonic()

    def observe(self, key: str, answer) -> None:
        """Answers that tell to wait are remembered, scripted ones too."""
        if answer.status not in (403, 429):
            return
        headers = {name.lower(): str(value) for name, value in answer.headers.items()}
        if headers.get("retry-after", "").isdigit():
            self.tell_to_wait(key, self._clock.now() + int(headers["retry-after"]))
        elif headers.get("x-ratelimit-remaining") == "0":
            self.tell_to_wait(key, float(headers.get("x-ratelimit-reset", self._clock.now() + 1)))
        elif b"secondary rate" in answer.body:
            self.tell_to_wait(key, self._clock.now() + 60)

    def count(self, key: str, resource: str, method: str, is_content: bool, request) -> None:
        """Counts a request; ApiError when it is one too many."""
        now, set_ = self._clock.now(), self.settings
        with self._lock:
            bucket = self._bucket(key)
            self._roll(bucket, resource, now)
            if bucket.used[resource] >= self._limit(resource):
                wait = bucket.reset[resource] - now
            else:
                bucket.used[resource] += 1
                wait = 0
            if method not in ("GET", "HEAD") and key != "jwt":  # minting tokens is not spaced
                self._note_gap(bucket, key, request)
            secondary = None if wait else self._secondary(bucket, method, is_content, now)
        if wait:
            raise ApiError(set_["status"], f"API rate limit exceeded for {key.replace(':', ' ID ')}.",
                           headers={"x-ratelimit-remaining": "0"})
        if secondary:
            self._refuse(key, secondary, set_["retry_after_s"])

    def refund(self, key: str, resource: str) -> None:
        """304 costs nothing."""
        with self._lock:
            self._bucket(key).used[resource] -= 1

    def _note_gap(self, bucket, key, request) -> None:
        gap, last = self.settings["write_gap_s"], bucket.last_write
        bucket.last_write = request.started
        if gap and last and request.started - last < gap * 0.9:
            self._record.violation("write_gap", f"{request.started - last:.3f} s after the last write "
                                   f"of {key}", request)

    def _secondary(self, bucket, method, is_content, now) -> str | None:
        set_ = self.settings
        points = 1 if method in ("GET", "HEAD", "OPTIONS") else 5
        while bucket.points and bucket.points[0][0] <= now - 60:
            bucket.points.popleft()
        bucket.points.append((now, points))
        if sum(worth for _, worth in bucket.points) > set_["points_per_minute"]:
            return SECONDARY
        if not is_content:
            return None
        while bucket.content and bucket.content[0] <= now - 3600:
            bucket.content.popleft()
        bucket.content.append(now)
        minute = sum(1 for at in bucket.content if at > now - 60)
        if minute > set_["content_per_minute"] or len(bucket.content) > set_["content_per_hour"]:
            return CONTENT
        return None

    def _refuse(self, key: str, text: str, wait_s: float) -> None:
        headers = {}
        if self.settings["send_retry_after"]:
            headers["Retry-After"] = str(max(1, round(wait_s)))
        raise ApiError(self.settings["status"], text, headers=headers)

    # headers

    def _limit(self, resource: str) -> int:
        return {"graphql": self.settings["graphql_per_hour"],
                "search": self.settings["search_per_minute"]}.get(resource,
                                                                 self.settings["primary_per_hour"])

    def _roll(self, bucket, resource, now) -> None:
        if now >= bucket.reset.get(resource, 0):
            bucket.reset[resource] = now + (60 if resource == "search" else 3600)
            bucket.used[resource] = 0

    def headers(self, key: str, resource: str) -> dict:
        with self._lock:
            bucket = self._bucket(key)
            self._roll(bucket, resource, self._clock.now())
            limit, used = self._limit(resource), bucket.used[resource]
            return {"x-ratelimit-limit": str(limit), "x-ratelimit-remaining": str(max(0, limit - used)),
                    "x-ratelimit-used": str(used), "x-ratelimit-resource": resource,
                    "x-ratelimit-reset": str(int(bucket.reset[resource]) + 1)}

    def state(self, key: str) -> dict:
        """Of GET /rate_limit."""
        resources = {}
        for resource in ("core", "search", "graphql"):
            heads = self.headers(key, resource)
            resources[resource] = {"limit": int(heads["x-ratelimit-limit"]),
                                   "used": int(heads["x-ratelimit-used"]),
                                   "remaining": int(heads["x-ratelimit-remaining"]),
                                   "reset": int(heads["x-ratelimit-reset"])}
        return resources
