"""Scripted faults.

A fault is a dictionary:

    {"match": {"method": "POST", "path_regex": "/comments$", "on": "request"},
     "skip": 0, "times": 1, "kind": "lost_answer", ...parameters of the kind}

`match` keys are optional; `body` is a text that the request's body has; `on` is "request" (default) or whatever else a stand-in offers ("webhook",
then matched by `event` and `action`). `times` -1 means always; `skip` lets so many matches pass first.
The first fault that matches and is not used up is taken. Kinds known to the HTTP server are listed in
http.py; a stand-in may add its own. In random mode every request meets a fault of the given kinds with
the given probability, drawn from a seeded generator.
"""

import random
import re
import threading

MATCH_KEYS = {"method", "path_regex", "body", "on", "event", "action"}
MISSING = object()


class Fault(dict):
    """One fault as taken: the script's dictionary; `kind` is always there."""

    @property
    def kind(self) -> str:
        return self["kind"]


class FaultScript:
    def __init__(self, kinds: dict[str, set[str]]):
        """`kinds` that exist, by what they happen on ("request", ...)."""
        self._kinds = kinds
        self._lock = threading.Lock()
        self._faults: list[dict] = []
        self._random = None
        self._rate = 0.0
        self._random_kinds: list[dict] = []
        self._random_match: dict = {}
        self._next_id = 1
        self.taken: list[dict] = []

    def add(self, fault: dict) -> int:
        """Adds a fault to the end of the script; ValueError says what is wrong with it."""
        fault = dict(fault)
        match = fault.setdefault("match", {})
        self._check_kind(fault.get("kind"), match)
        unknown = set(match) - MATCH_KEYS
        if unknown:
            raise ValueError(f"unknown match key {sorted(unknown)[0]!r}")
        if "path_regex" in match:
            re.compile(match["path_regex"])
        fault.setdefault("times", 1)
        fault.setdefault("skip", 0)
        fault["hits"] = 0
        with self._lock:
            fault["id"] = self._next_id
            self._next_id += 1
            self._faults.append(fault)
            return fault["id"]

    def randomly(self, seed: int, rate: float, kinds: list, match: dict | None = None) -> None:
        """Every matching request meets one of `kinds` (names or fault dictionaries) with probability
        `rate`; rate 0 ends it."""
        chosen = [{"kind": kind} if isinstance(kind, str) else dict(kind) for kind in kinds]
        for kind in chosen:
            self._check_kind(kind["kind"], match or {})
        with self._lock:
            self._random = random.Random(seed)
            self._rate = rate
            self._random_kinds = chosen
            self._random_match = match or {}

    def _check_kind(self, kind, match: dict) -> None:
        """A kind that nothing here can play would make a test that proves nothing."""
        known = self._kinds.get(match.get("on", "request"), set())
        if kind not in known:
            raise ValueError(f"unknown fault kind {kind!r}; known: {', '.join(sorted(known))}")

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._random = None

    def pending(self) -> list[dict]:
        """Faults not used up yet."""
        with self._lock:
            return [dict(fault) for fault in self._faults if fault["times"] != 0]

    def take(self, on: str = "request", **facts) -> Fault | None:
        """The fault that this event meets, if any. `facts` are method and path, or event and action."""
        with self._lock:
            for fault in self._faults:
                if fault["times"] == 0 or not _matches(fault["match"], on, facts):
                    continue
                if fault["skip"] > 0:
                    fault["skip"] -= 1
                    continue
                if fault["times"] > 0:
                    fault["times"] -= 1
                fault["hits"] += 1
                return self._note(fault, facts)
            if self._random is not None and self._random_kinds and \
               _matches(self._random_match, on, facts) and self._random.random() < self._rate:
                return self._note(self._random.choice(self._random_kinds), facts)
        return None

    def _note(self, fault: dict, facts: dict) -> Fault:
        self.taken.append({"kind": fault["kind"], **{key: value for key, value in facts.items() if key != "body"}})
        return Fault(fault)


def _matches(match: dict, on: str, facts: dict) -> bool:
    if match.get("on", "request") != on:
        return False
    for key in ("method", "event", "action"):
        if key in match and match[key] != facts.get(key, MISSING):
            return False
    if match.get("body", "") not in facts.get("body", ""):
        return False
    return "path_regex" not in match or bool(re.search(match["path_regex"], facts.get("path", "")))
