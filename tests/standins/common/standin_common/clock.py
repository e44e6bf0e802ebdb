"""A clock that tests can move. Everything a stand-in dates or expires asks this one."""

import datetime
import threading
import time


class Clock:
    def __init__(self):
        self._offset = 0.0
        self._stopped: float | None = None
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since 1970, shifted by what the tests added."""
        with self._lock:
            return self._now()

    def _now(self) -> float:
        return (time.time() if self._stopped is None else self._stopped) + self._offset

    def advance(self, seconds: float) -> float:
        with self._lock:
            self._offset += seconds
            return self._now()

    def stop(self, stopped: bool) -> None:
        """Stands still, at the beginning of a second; or goes on from there."""
        with self._lock:
            if stopped and self._stopped is None:
                self._stopped = float(int(time.time() + self._offset)) - self._offset
            elif not stopped and self._stopped is not None:
                self._offset += self._stopped - time.time()
                self._stopped = None

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
