"""Scenarios in a person's words: people who comment and push, a bot that answers, and waiting for marks.

A scene is one GitHub stand-in, one Kubeflow stand-in and one kfopsd with its own state, all on loopback.
Nothing here sleeps to synchronise: `wait_until` looks again whenever a stand-in reports a change. At its
end a scene must be clean: no request that the real services would refuse, no unexpected warning in the
bot's log, every job at rest, everything said that was to be said, and every scripted fault met.
"""

import atexit
import concurrent.futures
import contextlib
import functools
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import audit_chain

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "standins" / "common"))

from standin_common import nursery  # noqa: E402
from standin_common.process import Refused, StandinProcess  # noqa: E402

PATIENCE_S = 30.0
LOOK_AGAIN_S = 0.25  # for changes that no stand-in reports (the bot's own database)
FINAL_STATE = 10  # states of jobs from here on are final
FINAL_REACTIONS = {"rocket", "-1", "confused"}
APP_ID = 4711
HELD_PORTS: list[socket.socket] = []
TOKENS = re.compile(rb"gh[opsu]_[A-Za-z0-9_.-]{20,}|-----BEGIN[A-Z ]* PRIVATE KEY")
LOG_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


class Timeout(AssertionError):
    """What was waited for did not come."""


def daemon_path() -> pathlib.Path:
    """KFOPS_BUILD names the folder; without it the usual ones are looked at."""
    named = os.environ.get("KFOPS_BUILD")
    folders = [pathlib.Path(named)] if named else [ROOT / "build" / "asan", ROOT / "build"]
    found = [folder / "kfopsd" for folder in folders if (folder / "kfopsd").exists()]
    return found[0] if found else folders[0] / "kfopsd"


def free_port() -> int:
    """A port that stays free for the bot: a bound socket that does not listen keeps the kernel from giving it to an
    outgoing connection, also while the bot is down."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    HELD_PORTS.append(held)
    return held.getsockname()[1]


@functools.cache
def open_nursery() -> subprocess.Popen:
    """Stand-ins are forked from now on. The nursery ends with this process, whose pipe it reads."""
    folder = tempfile.mkdtemp(prefix="kfops-")  # the name of a socket is short
    StandinProcess.nursery = f"{folder}/nursery"
    atexit.register(shutil.rmtree, folder, True)
    return nursery.start(StandinProcess.nursery)


class Kubeflow(StandinProcess):
    """The Kubeflow stand-in. Runs are finished at once unless the scene wants them executed."""

    def __init__(self, state, mode: str, version: str = "2.17.0", *args: str):
        self._args = (state, mode, version, *args)
        super().__init__("kubeflow", state, "--mode", mode, "--version", version, *args)

    def goes_away(self) -> None:
        """Nothing listens there any more."""
        self.stop()

    def comes_back(self) -> None:
        """At the same address, with everything it knew."""
        self.__init__(*self._args[:3], "--port", str(self.port), *self._args[3:])

    def violations(self) -> list:
        return self.get("violations")

    def unmet_faults(self) -> list:
        return [rule for rule in self.get("faults") if not rule["hits"]]

    def take_violations(self) -> list:
        found = self.violations()
        self.post("reset")
        return found

    def runs(self) -> list[dict]:
        """Workflows in the order of their making; one is made for each run."""
        return self.get("workflows")

    def holds_runs(self, on: bool = True) -> None:
        """New runs stay RUNNING until `ends` is said."""
        self.post("hold", on=on)

    def newest_run(self) -> dict:
        """As it was made: display_name, description, parameters, experiment_id, ..."""
        return [item["body"] for item in self.get("mutations") if item["kind"] == "run"][-1]

    def parameters(self) -> dict:
        """What the newest run was given."""
        return self.newest_run()["parameters"]

    def task(self, run_id: str, name: str, phase: str, message: str = "") -> None:
        """News of a task in a run that is held."""
        self.send("POST", f"runs/{run_id}/task", {"path": [name], "phase": phase, "message": message})

    def uploads(self, pipeline_id: str, name: str, content: bytes, description: str = "") -> None:
        """A version that somebody else uploads."""
        edge = "kfops-scenarios"
        body = (f'--{edge}\r\nContent-Disposition: form-data; name="uploadfile"; filename="p.yaml"\r\n'
                f"Content-Type: application/yaml\r\n\r\n").encode() + content + f"\r\n--{edge}--\r\n".encode()
        self._request("POST", f"pipelines/upload_version?name={name}&pipelineid={pipeline_id}"
                      f"&description={urllib.parse.quote(description)}", body,
                      f"multipart/form-data; boundary={edge}")

    def version(self, name: str) -> dict:
        """A version of the only pipeline there is."""
        pipeline = self.api("GET", "pipelines")["pipelines"][0]["pipeline_id"]
        found = self.api("GET", f"pipelines/{pipeline}/versions")["pipeline_versions"]
        return next(item for item in found if item["display_name"] == name)

    def archives(self, run_id: str) -> None:
        """A person in Kubeflow's own pages."""
        self.api("POST", f"runs/{run_id}:archive")

    def api(self, method: str, path: str, body: dict | None = None) -> dict:
        """A request as somebody else sends it."""
        data = None if method in ("GET", "DELETE") else json.dumps(body or {}).encode()
        return self._request(method, path, data, "application/json")

    def _request(self, method: str, path: str, data, content_type: str) -> dict:
        request = urllib.request.Request(f"{self.url}/apis/v2beta1/{path}", method=method, data=data,
                                         headers={"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"{}")

    def ends(self, run_id: str, state: str = "SUCCEEDED", **more) -> None:
        self.post(f"runs/{run_id}", state=state, **more)

    def fails_runs(self, task: str, message: str, log: str = "") -> None:
        """New runs fail at once, in this task."""
        self.post("instant", on=True, state="FAILED", task=task, message=message, log=log)


class Cluster(StandinProcess):
    """The stand-in of Kubernetes with KServe, an object store and the models it serves."""

    namespaces = ("ml-prod", "ml-staging", "team-a")

    def __init__(self, state, objects, *args: str):
        super().__init__("cluster", state, "--objects", str(objects), "--namespaces", ",".join(self.namespaces),
                         "--rbac", str(self.roles(state)), "--user", "system:serviceaccount:kfops:kfops-deployer", *args)
        self.state = pathlib.Path(state)
        self.objects = pathlib.Path(objects)
        self.is_knative = "standard" not in args
        self.ports = json.loads((self.state / "ports.json").read_text())

    def roles(self, state) -> pathlib.Path:
        """The role that we ship, once for each namespace, as an operator applies it."""
        folder = pathlib.Path(state).parent / "rbac"
        folder.mkdir()
        shipped = (ROOT / "deploy" / "rbac" / "kfops-deployer.yaml").read_text()
        for namespace in self.namespaces:
            (folder / f"{namespace}.yaml").write_text(shipped.replace("namespace: models", f"namespace: {namespace}"))
        return folder

    def settings(self, scene) -> dict:
        """What the operator's file says of it. A bot inside the cluster asks the models by their own names."""
        keys = json.loads((self.state / "s3.json").read_text())
        name, key = next(iter(keys.items()))
        ingress = {} if scene.inside else {"serving_url": f"http://127.0.0.1:{self.ports['ingress']}"}
        return {"serving": True, "kubeconfig": str(self.state / "kubeconfig"), **ingress,
                "s3_url": f"http://127.0.0.1:{self.ports['s3']}",
                "s3_access_key_file": str(scene.write("s3-access", name)),
                "s3_secret_key_file": str(scene.write("s3-secret", key["secret"]))}

    def service(self, namespace: str, name: str = "iris") -> dict | None:
        """Revisions and traffic as the controller sees them; None when there is no such service."""
        try:
            return self.get(f"services/{namespace}/{name}")
        except Refused:
            return None

    def host(self, namespace: str, name: str = "iris") -> str:
        """Where the world asks a service."""
        return f"{name}.{namespace}.example.com" if self.is_knative else f"{name}-{namespace}.example.com"

    def mutations_of(self, kind: str, service: str = "ml-prod/iris") -> list[dict]:
        """What happened to a service, oldest first."""
        return [item for item in self.mutations() if item["kind"] == kind and item.get("service") == service]

    def predicts(self, host: str, instances: list) -> list:
        """What answers at this host says of the instances."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['ingress']}/v1/models/iris:predict",
                                         json.dumps({"instances": instances}).encode(),
                                         {"Host": host, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())["predictions"]


class Bot:
    """kfopsd as a process, and what people see of it on the scene's pull request."""

    def __init__(self, scene, folder: pathlib.Path, config: dict):
        self.scene = scene
        self.folder = folder
        self.folder.mkdir()
        self.config_file = folder / "kfops.yaml"
        self.config_file.write_text(json.dumps(config, indent=1) + "\n")
        self.port = int(config["server"]["listen"].rpartition(":")[2])
        self.state_dir = pathlib.Path(config["state_dir"])
        self.log_file = folder / "kfopsd.log"
        self.process = None
        self.env: dict[str, str] = {}
        self.login = "kfops[bot]" if "app_id" in config["github"] else "kfops-bot"

    def configure(self, change) -> None:
        """Changes the operator's file; it counts from the next start on."""
        config = json.loads(self.config_file.read_text())
        change(config)
        self.config_file.write_text(json.dumps(config, indent=1) + "\n")

    # the process

    def start(self, **env: str) -> None:
        """Starts and waits until it is ready; `env` for crash points and the like."""
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                [str(daemon_path()), "--config", str(self.config_file)], stdout=log, stderr=log,
                env={**os.environ, **self.env, **env}, start_new_session=True)
        deadline = time.monotonic() + PATIENCE_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Timeout(f"kfopsd is not ready (exit code {self.process.poll()}):\n{self.log_tail()}")
            time.sleep(0.01)

    def is_ready(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
            connection.request("GET", "/readyz")
            ready = connection.getresponse().status == 200
            connection.close()
            return ready
        except OSError:
            return False

    def stop(self, kill: bool = False) -> int:
        """Ends it; the exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Timeout("kfopsd did not end within 15 s of SIGTERM") from None

    def restart(self, kill: bool = False, **env: str) -> None:
        self.stop(kill)
        self.start(**env)

    def log_tail(self, lines: int = 40) -> str:
        if not self.log_file.exists():
            return ""
        told = [line for line in self.log_file.read_text(errors="replace").splitlines()
                if "/app/hook/deliveries" not in line]
        return "\n".join(told[-lines:])

    def log_lines(self) -> list[dict]:
        """The log as dictionaries; what is not logfmt (a sanitizer's report) has only "text"."""
        found = []
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        for line in text.splitlines():
            fields = {key: json.loads(value) if value.startswith('"') and _is_json(value) else value
                      for key, value in LOG_FIELD.findall(line)}
            found.append({**fields, "text": line})
        return found

    # its memory

    def rows(self, query: str, *values) -> list[dict]:
        """Rows of its database; read only, and safe beside the running process."""
        path = self.state_dir / "kfops.db"
        if not path.exists():
            return []
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]
        finally:
            database.close()

    def jobs(self) -> list[dict]:
        return self.rows("SELECT id, uid, command, state, code, message, repo, pr, comment_id, head_sha,"
                         " data FROM jobs ORDER BY id")

    def unfinished(self) -> list[dict]:
        return [job for job in self.jobs() if job["state"] < FINAL_STATE]

    def unsaid(self) -> list[dict]:
        """What it still wants to show on GitHub."""
        return self.rows("SELECT slot, tries, error FROM outbox"
                         " WHERE sent_version < version AND refusals < 10")

    # what people see

    def comments(self, pull=None) -> list[dict]:
        """Its comments that are not folded away, oldest first."""
        return [item for item in (pull or self.scene.pull).look()["comments"]
                if item["user"] == self.login and not item["minimized"]]

    def says(self, *containing: str, pull=None, patience: float = PATIENCE_S) -> str:
        """Waits for a comment that contains all of these; its text."""
        def found():
            for item in reversed(self.comments(pull)):
                if all(text in item["body"] for text in containing):
                    return item["body"]
            return None
        return self.scene.wait_until(found, f"the bot to say {containing}", patience)

    def answer(self, *containing: str, to=None, patience: float = PATIENCE_S) -> str:
        """Waits for its comment on a comment (the last one that a person wrote): that of a job which the
        comment started, or the refusal; the text."""
        to = to or self.scene.last_comment

        def found():
            marks = [f"job={job['uid']} " for job in self.jobs() if job["comment_id"] == to.id]
            marks.append(f"refusal={to.id} ")
            for item in reversed(self.comments(to.pull)):
                if any(mark in item["body"] for mark in marks) and \
                   all(text in item["body"] for text in containing):
                    return item["body"]
            return None
        return self.scene.wait_until(found, f"an answer to '{to.body[:200]}' with {containing}", patience)

    def job_of(self, to=None) -> dict:
        """The newest job that a comment (the last one) started, once it is stored."""
        to = to or self.scene.last_comment
        return self.scene.wait_until(
            lambda: next((job for job in reversed(self.jobs()) if job["comment_id"] == to.id), None),
            f"a job of '{to.body}'")

    def metrics(self) -> dict[str, float]:
        """What /metrics says, by name and labels as written there."""
        text = self.get("/metrics")[1]
        return {name: float(value) for name, _, value in
                (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")}

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def reacts(self, content: str, to=None, patience: float = PATIENCE_S) -> None:
        """Waits for a reaction to a comment (the last one that a person wrote)."""
        to = to or self.scene.last_comment
        self.scene.wait_until(lambda: content in to.reactions(), f"{content} on '{to.body}'", patience)

    def ends(self, to=None, patience: float = PATIENCE_S) -> str:
        """Waits for the final reaction and for everything to be said; which reaction it was."""
        to = to or self.scene.last_comment

        def found():
            final = FINAL_REACTIONS & set(to.reactions())
            return final.pop() if final and "eyes" not in to.reactions() else None
        content = self.scene.wait_until(found, f"the end of '{to.body}'", patience)
        self.scene.wait_until(lambda: not self.unsaid(), "everything to be said", patience)
        return content

    def check(self, name: str, pull=None, **wanted) -> dict:
        """Waits for a check run whose members have these values, like conclusion="success"."""
        def found():
            for run in (pull or self.scene.pull).look()["checks"]:
                if run["name"] == name and all(run[key] == value for key, value in wanted.items()):
                    return run
            return None
        return self.scene.wait_until(found, f"check {name} with {wanted}")

    def status(self, context: str, pull=None, **wanted) -> dict:
        """Waits for a commit status (token mode)."""
        def found():
            for status in (pull or self.scene.pull).look()["statuses"]:
                if status["context"] == context and \
                   all(status[key] == value for key, value in wanted.items()):
                    return status
            return None
        return self.scene.wait_until(found, f"status {context} with {wanted}")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class Comment:
    """A comment that a person wrote."""

    def __init__(self, pull, person, made: dict, body: str):
        self.pull = pull
        self.person = person
        self.id = made["id"]
        self.body = body

    def reactions(self) -> list[str]:
        """The bot's reactions on it."""
        for item in self.pull.look()["comments"]:
            if item["id"] == self.id:
                return [reaction["content"] for reaction in item["reactions"]
                        if reaction["user"] == self.pull.scene.bot.login]
        return []

    def is_edited(self, body: str, by=None) -> None:
        self.pull.scene.github.send("PATCH", f"comments/{self.id}",
                                    {"user": (by or self.person).login, "body": body})

    def is_deleted(self) -> None:
        self.pull.scene.github.send("DELETE", f"comments/{self.id}")


class Pull:
    """A pull request."""

    def __init__(self, scene, repo: str, made: dict):
        self.scene = scene
        self.repo = repo
        self.number = made["number"]
        self.path = f"repos/{repo}/pulls/{self.number}"

    def look(self) -> dict:
        """Everything on it, as the stand-in tells it."""
        return self.scene.github.get(f"conversation/{self.repo}/{self.number}.json")

    @property
    def head(self) -> str:
        return self.look()["head_sha"]

    def moves(self, repo: str) -> None:
        """Its repository has another name now."""
        self.repo, self.path = repo, f"repos/{repo}/pulls/{self.number}"

    def markdown(self) -> str:
        return self.scene.github.get(f"conversation/{self.repo}/{self.number}.md")


class Person:
    """Somebody with a login and a role; acts on the scene's pull request unless another is given."""

    def __init__(self, scene, login: str):
        self.scene = scene
        self.login = login

    def comments(self, body: str, on=None) -> Comment:
        pull = on or self.scene.pull
        made = self.scene.github.post(f"{pull.path}/comments", user=self.login, body=body)
        self.scene.last_comment = Comment(pull, self, made, body)
        return self.scene.last_comment

    def opens(self, title: str, branch: str, files: dict, **more) -> Pull:
        made = self.scene.github.post(f"repos/{self.scene.repo}/pulls", title=title, branch=branch,
                                      files=files, user=self.login, **more)
        return Pull(self.scene, self.scene.repo, made)

    def pushes(self, files: dict, on=None, **more) -> str:
        """A commit on the pull request's branch; its SHA. GitHub's dates have whole seconds, and what happens within
        the same one cannot be told apart: people are slower than that."""
        pull = on or self.scene.pull
        self.scene.github.post("time", advance=1)
        made = self.scene.github.post(f"{pull.path}/push", user=self.login, files=files, **more)
        self.scene.github.post("time", advance=1)
        return made["head_sha"]

    def reviews(self, state: str = "APPROVED", sha: str | None = None) -> int:
        """Of the head, unless a commit is named; the review's number."""
        more = {"commit_id": sha} if sha else {}
        return self.scene.github.post(f"{self.scene.pull.path}/reviews", user=self.login, state=state, **more)["id"]

    def dismisses(self, review: int) -> None:
        self.scene.github.post(f"{self.scene.pull.path}/reviews/{review}/dismiss", user=self.login)

    def closes(self, pull=None) -> None:
        self.scene.github.post(f"{(pull or self.scene.pull).path}/close", user=self.login)

    def reopens(self, pull=None) -> None:
        self.scene.github.post(f"{(pull or self.scene.pull).path}/reopen", user=self.login)

    def merges(self, pull=None) -> None:
        self.scene.github.post(f"{(pull or self.scene.pull).path}/merge", user=self.login)

    def locks(self, pull=None) -> None:
        """The conversation, for everybody without write permission; an App counts as such."""
        self.scene.github.post(f"{(pull or self.scene.pull).path}/lock", user=self.login)

    def reruns(self, check: dict) -> None:
        """Presses Re-run on a check."""
        self.scene.github.post(f"check-runs/{check['id']}/rerequest", user=self.login)

    def deletes(self, comment: dict) -> None:
        """Somebody else's comment."""
        self.scene.github.send("DELETE", f"comments/{comment['id']}?user={self.login}")

    def is_given(self, role: str, base: str | None = None) -> None:
        body = {"login": self.login, "role": role, **({"base": base} if base else {})}
        self.scene.github.post(f"repos/{self.scene.repo}/permissions", **body)


class Scene:
    """Both stand-ins, the bot, a repository lab/iris with a pull request by ann, and its people."""

    repo = "lab/iris"

    def __init__(self, folder: pathlib.Path, mode: str = "app", runs: str = "instant",
                 version: str = "2.17.0", config: dict | None = None, files: dict | None = None,
                 kubeflow: tuple = (), cluster: tuple | None = None, inside: bool = False,
                 start: bool = True):
        self.folder = folder
        self.inside = inside
        self.expected_log: list[re.Pattern] = []
        self.expected_violations: list[re.Pattern] = []
        self.may_leave_jobs = False
        self.may_leave_unsaid = False
        self.last_comment: Comment | None = None
        self.github = self.kubeflow = self.cluster = self.bot = None
        open_nursery()
        try:
            if cluster is not None:
                kubeflow = (*kubeflow, "--objects", str(folder / "objects"), "--secrets", str(folder / "secrets.json"))
                self.cluster = Cluster(folder / "cluster", folder / "objects", *cluster)
            self._start(mode, (runs, version, *kubeflow), config or {}, files or {}, start)
        except BaseException:
            self.stop()
            raise

    def _start(self, mode, kubeflow_args, config, files, start) -> None:
        self.webhook_secret = secrets.token_urlsafe(32)
        port = free_port()
        self.write("webhook-secret", self.webhook_secret + "\n")
        args = ["--webhook-url", f"http://127.0.0.1:{port}/webhook", "--webhook-secret-file",
                str(self.folder / "webhook-secret")]
        if mode == "app":
            self.write("app.pem", make_key())
            args += ["--app-id", str(APP_ID), "--app-key-file", str(self.folder / "app.pem")]
        else:
            token = "ghp_" + secrets.token_urlsafe(27)
            self.write("token", token + "\n")
            args += ["--token", token]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            github = pool.submit(StandinProcess, "github", self.folder / "github", *args)
            kubeflow = pool.submit(Kubeflow, self.folder / "kubeflow", *kubeflow_args)
        self.github, self.kubeflow = github.result(), kubeflow.result()
        self.github.post("limits", content_per_minute=10000, content_per_hour=10000,
                         points_per_minute=100000)
        self.bot = Bot(self, self.folder / "bot", self._config(mode, port, config))
        if self.inside:
            self.bot.env["KFOPS_CLUSTER_LOCAL"] = f"127.0.0.1:{self.cluster.ports['ingress']}"
        if start:
            self.bot.start()
        self.people(mode, files)
        self.webhooks_are_idle()

    def people(self, mode: str, files: dict) -> None:
        roles = {"ann": "write", "ben": "maintain", "eve": "read"}
        if mode == "token":
            roles["kfops-bot"] = "write"
        self.github.post("repos", owner="lab", name="iris", organization=True, author="ben",
                         template=str(HERE / "repo"), collaborators=roles)
        self.ann, self.ben, self.eve = (Person(self, login) for login in ("ann", "ben", "eve"))
        self.pull = self.ann.opens("Five neighbours", "five-neighbours",
                                   {"notes.md": "Five neighbours instead of three.\n", **files})

    def write(self, name: str, text) -> pathlib.Path:
        """A file of the operator, readable by nobody else."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o600)
        return path

    def _config(self, mode: str, port: int, changes: dict) -> dict:
        """kfops.yaml with everything in it fast; `changes` are merged in by section."""
        github = {"api_url": f"{self.github.url}/api/v3", "web_url": self.github.url, "write_gap": "5ms",
                  "writes_per_minute": 5000, "writes_per_hour": 50000}
        if mode == "app":
            github.update(app_id=str(APP_ID), private_key_file=str(self.folder / "app.pem"))
        else:
            github.update(token_file=str(self.folder / "token"))
        config = {
            "server": {"listen": f"127.0.0.1:{port}", "webhook_path": "/webhook",
                       "webhook_secret_file": str(self.folder / "webhook-secret")},
            "state_dir": str(self.folder / "state"),
            "github": github,
            "compile": {"python": os.environ.get("KFOPS_PYTHON") or sys.executable,
                        "package_dir": str(ROOT / "deploy" / "compiler")},
            "report": {"edit_interval": "50ms", "list_lag": "200ms", "denial_pause": "0s"},
            "poll": {"run_first": "100ms", "finished_interval": "200ms", "deliveries_interval": "1s",
                     "run_doubt": "2s"},
            "log": {"level": "debug"},
            "clusters": [{"name": "main", "kfp_url": self.kubeflow.url, "kfp_ui_url": self.kubeflow.url}],
            "repositories": [{"match": "lab/*", "cluster": "main"}],
        }
        if self.cluster:
            config["clusters"][0].update(self.cluster.settings(self))
            config["clusters"][0]["mlmd_url"] = self.kubeflow.url
            config["poll"].update({"service_first": "50ms", "held_interval": "2s"})
            config["repositories"][0]["namespaces"] = ["team-a", "ml-prod", "ml-staging"]
        for section, values in changes.items():
            if isinstance(values, dict):
                config.setdefault(section, {}).update(values)
            else:
                config[section] = values
        (self.folder / "state").mkdir(mode=0o700)
        return config

    def person(self, login: str) -> Person:
        return Person(self, login)

    # webhooks made by hand, signed as GitHub does

    def hook(self, event: str, payload: dict | None = None, **more) -> dict:
        """Sends exactly this; the bot's answer: status, body, guid."""
        return self.github.post("webhook", event=event, payload=payload, **more)

    def comment_payload(self, person, body: str, age_minutes: float = 0) -> dict:
        """What GitHub would send for a comment. The comment is there, with other words that nobody minds, so the
        bot hears these only from whoever sends the payload."""
        comment = person.comments("words of no matter")
        self.webhooks_are_idle()
        payload = next(item["request"]["payload"] for item in self.github.get("deliveries", whole=1)["deliveries"]
                       if item["event"] == "issue_comment" and
                       item["request"]["payload"]["comment"]["id"] == comment.id)
        comment.body = payload["comment"]["body"] = body
        if age_minutes:
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * age_minutes))
            payload["comment"]["created_at"] = payload["comment"]["updated_at"] = at
        return payload

    # waiting

    def wait_until(self, predicate, what: str, patience: float = PATIENCE_S):
        """The first true value of predicate(). Looks again whenever GitHub's stand-in reports a change,
        and now and then for what it cannot know; Timeout names `what` and shows the conversation."""
        deadline = time.monotonic() + patience
        while True:
            seen = len(self.github.mutations())
            value = predicate()
            if value:
                return value
            if self.bot and self.bot.process and self.bot.process.poll() is not None:
                raise Timeout(f"kfopsd ended with {self.bot.process.poll()} while the scene waited for "
                              f"{what}\n{self.bot.log_tail()}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout(f"waited {patience:.0f} s for {what}\n{self.pull.markdown()}\n"
                              f"{self.bot.log_tail()}")
            self.github.mutations(after=seen, timeout=min(LOOK_AGAIN_S, left))

    def restart_bot(self, kill: bool = False, **env: str) -> None:
        self.bot.restart(kill, **env)

    def webhooks_are_idle(self) -> None:
        """Waits until everything that GitHub had to say is said."""
        self.wait_until(lambda: self.github.get("deliveries")["idle"], "GitHub to deliver its webhooks")

    # the end

    def expects_log(self, pattern: str) -> None:
        """A warning or error that belongs to the scenario."""
        self.expected_log.append(re.compile(pattern))

    def expects_violation(self, pattern: str) -> None:
        self.expected_violations.append(re.compile(pattern))

    def check_clean(self) -> None:
        """Everything that must hold at the end of every scenario."""
        if not self.may_leave_jobs:
            self.webhooks_are_idle()
            self.wait_until(lambda: not self.bot.unfinished(), "every job to be at rest", 10)
            self.wait_until(lambda: self.may_leave_unsaid or not self.bot.unsaid(), "everything to be said", 10)
        ran = self.bot.process is not None
        code = self.bot.stop()
        faults = self.leaks() + audit_chain.faults(self.bot.state_dir / "kfops.db")
        faults += [] if code == 0 or not ran else [f"kfopsd ended with exit code {code}"]
        for name, standin in (("GitHub", self.github), ("Kubeflow", self.kubeflow), ("the cluster", self.cluster)):
            faults += [f"never met at {name}: {fault}" for fault in (standin.unmet_faults() if standin else [])]
            faults += [f"{name} would have refused: {item}" for item in (standin.violations() if standin else [])
                       if not _any(self.expected_violations, json.dumps(item))]
        gaps = self.github.get("violations")["gaps"]
        faults += [f"the stand-in fell short: {gap}" for gap in gaps]
        faults += [f"unexpected in the log: {line['text']}" for line in self.bot.log_lines()
                   if line.get("level") not in ("info", "debug") and
                   not _any(self.expected_log, line["text"])]
        for job in [] if self.may_leave_jobs else self.bot.unfinished():
            faults.append(f"a job is not at rest: {job}")
        if faults:
            raise AssertionError("\n".join(faults))

    def leaks(self) -> list[str]:
        """Places where a secret is to be read: log, comments and checks, everything the bot stores."""
        own = [self.webhook_secret.encode()]
        if (self.folder / "token").exists():
            own.append((self.folder / "token").read_bytes().strip())
        places = {"what GitHub shows": json.dumps(self.github.get("mutations")).encode()}
        stored = [path for path in self.bot.state_dir.rglob("*") if path.is_file()]
        for path in [*([self.bot.log_file] if self.bot.log_file.exists() else []), *stored]:
            with contextlib.suppress(FileNotFoundError):  # the bot goes on, and what it removes it does not store
                places[str(path.relative_to(self.folder))] = path.read_bytes()
        return [f"a secret is in {name}" for name, data in places.items()
                if TOKENS.search(data) or any(secret in data for secret in own)]

    def stop(self) -> None:
        """Ends all processes, whatever happened."""
        if self.bot is not None:
            try:
                self.bot.stop(kill=True)
            except Timeout:
                pass
        for standin in (self.github, self.kubeflow, self.cluster):
            if standin is not None:
                standin.stop()


def _any(patterns: list, text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


@functools.cache
def make_key() -> bytes:
    """An App key in GitHub's form (PKCS#1 PEM), new in every test run."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())
