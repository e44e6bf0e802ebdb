"""A clock that tests can move. Everything a stand-in dates or expires asks this one."""

import datetime
import threading
import time


class Clock:
    def __init__(self):
        self._offset = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since 1970, shifted by what the tests added."""
        with self._lock:
            return time.time() + self._offset

    def advance(self, seconds: float) -> float:
        with self._lock:
            self._offset += seconds
            return time.time() + self._offset

    def offset(self) -> float:
        with self._lock:
            return self._offset


def iso(seconds: float | None) -> str | None:
    """2023-02-07T12:54:40Z; None stays None."""
    if seconds is None:
        return None
    moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


def parse_iso(text: str) -> float:
    """RFC 3339 to seconds; ValueError when it is not."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
