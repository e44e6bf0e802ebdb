"""Unkindness on demand: what goes wrong, how often, for which requests; seeded.

A fault: {"match": {"method": "POST", "path_regex": "/runs$"}, "times": 1, "skip": 0,
"probability": 1.0, "kind": ...}. Kinds:

  delay         wait `delay_ms`, then go on as usual
  status        answer `status` with `body` (or a gRPC error) and `headers`; nothing is done
  html_502      a proxy's HTML page with 502; nothing is done
  reset_before  the connection is reset; nothing is done
  reset_after   everything is done, the connection is reset instead of an answer
  lost_answer   everything is done; then `status` (504 unless given), as a gateway's time-out
  half_body     everything is done; half of the answer's body, then the connection is closed
  stale_read    GET: the answer before the last one to the same URL, or "not there"
  drop_row      POST /runs: the Workflow is made, the row is not; 500
"""

import random
import re

KINDS = {"delay", "status", "html_502", "reset_before", "reset_after", "lost_answer", "half_body",
         "stale_read", "drop_row"}
METHODS = {"stale_read": "GET", "drop_row": "POST"}  # elsewhere these would do nothing and prove nothing


class Faults:
    def __init__(self, seed=0):
        self.random = random.Random(seed)
        self.rules = []
        self.count = 0

    def add(self, rule):
        if rule.get("kind") not in KINDS:
            raise ValueError(f"unknown kind of fault: {rule.get('kind')}")
        match = rule.get("match", {})
        if match.get("method") != METHODS.get(rule["kind"], match.get("method")):
            raise ValueError(f"{rule['kind']} is for {METHODS[rule['kind']]} only")
        self.count += 1
        entry = {"id": self.count, "times": 1, "skip": 0, "probability": 1.0, "hits": 0,
                 "delay_ms": 0, **rule,
                 "match": {"method": match.get("method", ""),
                           "path_regex": match.get("path_regex", "")}}
        re.compile(entry["match"]["path_regex"])
        self.rules.append(entry)
        return entry

    def take(self, method, target):
        """The first rule that fires for this request, or None. Counts down."""
        for rule in self.rules:
            match = rule["match"]
            if rule["times"] == 0 or (match["method"] and match["method"] != method):
                continue
            if not re.search(match["path_regex"], target):
                continue
            if rule["skip"] > 0:
                rule["skip"] -= 1
                continue
            if rule["probability"] < 1.0 and self.random.random() >= rule["probability"]:
                continue
            rule["hits"] += 1
            if rule["times"] > 0:
                rule["times"] -= 1
            return rule
        return None
