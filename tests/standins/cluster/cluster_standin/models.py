"""What KServe's storage initializer and model server do: fetch the objects below a storageUri, find
the one model file, load it in a child process, let it predict.

The child has no environment worth reading, a time limit, and is started again when it dies; the
models it held are loaded again when they are asked for.
"""

import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import threading

from standin_common import nursery

EXTENSIONS = (".joblib", ".pkl", ".pickle")
TIMEOUT_S = 60.0


class LoadFailure(Exception):
    """`container` failed: storage-initializer or kserve-container."""

    def __init__(self, container, message, exit_code=1, reason="Error"):
        super().__init__(message)
        self.container, self.message = container, message
        self.exit_code, self.reason = exit_code, reason


class Host:
    """The child process, one request at a time."""

    def __init__(self, folder):
        self._lock = threading.Lock()
        self._folder = folder
        self._child = self._requests = self._answers = None

    def _start(self):
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(self._folder),
                       "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self._hang_up()
        asked, requests = os.pipe()
        answers, answered = os.pipe()
        self._requests, self._answers = open(requests, "wb"), open(answers, "rb")
        with open(asked, "rb") as stdin, open(answered, "wb") as stdout:
            if nursery.VARIABLE in os.environ:
                self._child = nursery.Child(os.environ[nursery.VARIABLE], "cluster_standin.model_host", [],
                                            environment, self._folder, (stdin, stdout, sys.stderr))
            else:
                script = pathlib.Path(__file__).with_name("model_host.py")
                self._child = subprocess.Popen([sys.executable, str(script)], stdin=stdin, stdout=stdout,
                                               cwd=self._folder, env=environment, start_new_session=True)

    def _hang_up(self):
        for stream in (self._requests, self._answers):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def ask(self, **request):
        """The child's answer; {"died": code} when it ended or took too long."""
        with self._lock:
            if self._child is None or self._child.poll() is not None:
                self._start()
            try:
                self._requests.write(json.dumps(request).encode() + b"\n")
                self._requests.flush()
                ready, _, _ = select.select([self._answers], [], [], TIMEOUT_S)
                line = self._answers.readline() if ready else b""
            except BrokenPipeError:
                line = b""
            if line:
                return json.loads(line)
            self._child.kill()
            return {"died": self._child.wait()}

    def close(self):
        with self._lock:
            if self._child is not None:
                self._child.kill()
                self._child.wait()
                self._hang_up()


class Models:
    def __init__(self, objects, folder):
        self.objects = objects
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.host = Host(self.folder)

    def fetch(self, uri, target):
        """Copies what the storage initializer would; raises LoadFailure."""
        match = re.match(r"^s3://([^/]+)/?(.*)$", uri)
        if not match:
            raise LoadFailure("storage-initializer", "Exception: Cannot recognize storage type for "
                              f"{uri}")
        bucket, prefix = match.groups()
        if not self.objects.bucket(bucket):
            raise LoadFailure("storage-initializer", "botocore.exceptions.ClientError: An error "
                              "occurred (404) when calling the HeadBucket operation: Not Found")
        shutil.rmtree(target, ignore_errors=True)
        count = 0
        for key in self.objects.keys(bucket, prefix):
            data = self.objects.read(bucket, key)
            if key.endswith("/") or not data:
                continue
            inner = key.rsplit("/", 1)[-1] if key == prefix else key[len(prefix):].lstrip("/")
            path = target / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            count += 1
            if key == prefix:
                break
        if count == 0:
            raise LoadFailure("storage-initializer",
                              f"RuntimeError: Failed to fetch model. No model found in {uri}.")

    @staticmethod
    def model_file(folder):
        names = sorted(p.name for p in folder.iterdir() if p.is_file() and
                       p.name.endswith(EXTENSIONS))
        if not names:
            raise LoadFailure("kserve-container", "kserve.errors.ModelMissingError: Model with path "
                              "/mnt/models is not found")
        if len(names) > 1:
            raise LoadFailure("kserve-container", "RuntimeError: More than one model file is "
                              f"detected, Only one is allowed within model_dir: {names}")
        return folder / names[0]

    def load(self, key, uri):
        """Fetches and loads; raises LoadFailure. The files of a key are replaced."""
        target = self.folder / re.sub(r"[^A-Za-z0-9.-]", "_", key)
        self.fetch(uri, target)
        self._load_file(key, self.model_file(target))

    def _load_file(self, key, path):
        answer = self.host.ask(op="load", key=key, path=str(path))
        if "died" in answer:
            raise LoadFailure("kserve-container", "the model server's process ended",
                              128 - answer["died"] if answer["died"] < 0 else answer["died"])
        if "error" in answer:
            raise LoadFailure("kserve-container", answer["error"].replace(" : ", ": ", 1))

    def predict(self, key, rows):
        """{"values", "dtype"} or {"error"}."""
        answer = self.host.ask(op="predict", key=key, rows=rows)
        if "missing" in answer or "died" in answer:
            target = self.folder / re.sub(r"[^A-Za-z0-9.-]", "_", key)
            try:
                self._load_file(key, self.model_file(target))
            except (LoadFailure, FileNotFoundError) as error:
                return {"error": f"RuntimeError : {error}"}
            answer = self.host.ask(op="predict", key=key, rows=rows)
        return {"error": "RuntimeError : the model server's process ended"} if "died" in answer \
            else answer

    def drop(self, key):
        self.host.ask(op="drop", key=key)

    def make(self, constant, features):
        """The bytes of a small model that always answers `constant`."""
        path = self.folder / "made.joblib"
        answer = self.host.ask(op="make", path=str(path), constant=constant, features=features)
        if answer:
            raise ValueError(f"no model was made: {answer}")
        return path.read_bytes()
