"""What the server keeps: pipelines, versions, experiments, runs, workflows; on disk as a journal.

Every change appends the object as one JSON line, so a stopped server goes on where it was. All
access is under one lock (`with store.lock`).
"""

import json
import os
import threading
import time
import uuid

KINDS = ("pipelines", "versions", "experiments", "runs", "workflows")


class Store:
    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.RLock()
        self.pipelines = {}
        self.versions = {}
        self.experiments = {}
        self.runs = {}
        self.workflows = {}
        os.makedirs(os.path.join(folder, "runs"), exist_ok=True)
        self._replay(os.path.join(folder, "journal.jsonl"))
        self._journal = open(os.path.join(folder, "journal.jsonl"), "a", encoding="utf-8")

    def _replay(self, path):
        if not os.path.exists(path):
            return
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                try:
                    kind, key, value = json.loads(line)
                except ValueError:
                    continue  # the line that was being written when the process ended
                if value is None:
                    getattr(self, kind).pop(key, None)
                else:
                    getattr(self, kind)[key] = value

    def put(self, kind, value):
        getattr(self, kind)[value["id"]] = value
        self.touch(kind, value)

    def touch(self, kind, value):
        self._journal.write(json.dumps([kind, value["id"], value], separators=(",", ":")) + "\n")
        self._journal.flush()

    def drop(self, kind, key):
        getattr(self, kind).pop(key, None)
        self._journal.write(json.dumps([kind, key, None]) + "\n")
        self._journal.flush()

    def run_folder(self, workflow_id):
        return os.path.join(self.folder, "runs", workflow_id)

    def versions_of(self, pipeline_id):
        return {v["id"]: v for v in self.versions.values() if v["pipeline_id"] == pipeline_id}

    def close(self):
        self._journal.close()


def now():
    return int(time.time())


def new_id():
    return str(uuid.uuid4())


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds or 0))
