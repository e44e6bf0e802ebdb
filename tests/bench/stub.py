"""The far sides of a bench as one small process: GitHub's REST API, its git, and Kubeflow Pipelines.

    stub.py --port-file FILE [--repo BARE_REPOSITORY] [--cert FILE --key FILE]

Answers are as short as the bot allows and come at once, so that what is measured is the bot. Nothing is
checked: that is the work of the stand-ins in ../standins. Every request is recorded with the times
(CLOCK_MONOTONIC, nanoseconds) of its first and its last byte. Under /_bench/:

    GET  records?after=N     the requests from number N on
    POST set                 {"ended": [run ids that have finished], "ends_at_once": new runs succeed at once,
                             "holds": services that are changed are not ready until this is false}

The serving half (InferenceServices, models) is in stub_cluster.py.
"""

import argparse
import asyncio
import datetime
import gc
import json
import pathlib
import re
import ssl
import time
import urllib.parse

import stub_cluster

HEAD_MAX = 64 << 10
APP_ID = 4711
USER = {"id": 1001, "login": "ann", "permissions": {"pull": True, "triage": True, "push": True,
                                                    "maintain": True, "admin": False}}


def ahead(seconds: float) -> str:
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class World:
    """What the far sides know: a head SHA, ids that grow, runs that go on until they are said to have ended."""

    def __init__(self, repo: pathlib.Path | None):
        self.repo = repo
        self.records: list[dict] = []
        self.last_id = 1000
        self.runs: dict[str, str] = {}
        self.ended: dict[str, str] = {}  # run id -> finished at
        self.ends_at_once = True
        self.cluster = stub_cluster.Cluster()

    def next_id(self) -> int:
        self.last_id += 1
        return self.last_id

    def head(self) -> str:
        return (self.repo / "refs/pull/1/head").read_text().strip() if self.repo else "0" * 40

    # the bench's own

    def bench(self, method: str, path: str, query: dict, body: bytes):
        if path == "records":
            return 200, self.records[int(query.get("after", 0)):]
        wish = json.loads(body)
        for run_id in wish.get("ended", []):
            self.ended[run_id] = ahead(0)
        self.ends_at_once = wish.get("ends_at_once", self.ends_at_once)
        self.cluster.set(wish)
        return 200, {}

    # GitHub

    def github(self, method: str, path: str, body: bytes):
        if path == "/app":
            return 200, {"id": APP_ID, "slug": "kfops", "permissions": {
                "metadata": "read", "issues": "write", "pull_requests": "write", "contents": "write",
                "checks": "write", "deployments": "write"}}
        if path == "/app/hook/deliveries":
            return 200, []
        if path.endswith("/access_tokens"):
            return 201, {"token": "ghs_" + "x" * 36, "expires_at": ahead(3600)}
        if path.endswith("/permission"):
            return 200, {"permission": "write", "role_name": "maintain", "user": USER}
        if re.search(r"/pulls/\d+$", path):
            return 200, self.pull()
        if "/contents/" in path:  # no policy
            return 404, {"message": "Not Found"}
        if method == "GET":
            return 200, self.of_merge(path)
        if path.endswith("/merge"):
            return 200, {"merged": True, "sha": self.head(), "message": "merged"}
        if method == "DELETE":
            return 204, None
        made = {"id": self.next_id(), "node_id": "N_bench"}
        return 201 if method == "POST" else 200, made

    def pull(self) -> dict:
        return {"state": "open", "merged": False, "draft": False, "locked": False,
                "html_url": "https://127.0.0.1/lab/iris/pull/1",
                "head": {"sha": self.head(), "ref": "topic", "repo": {"id": 77}},
                "base": {"ref": "main", "repo": {"id": 77}}, "user": {"id": 1002, "login": "eve"},
                "mergeable": True, "mergeable_state": "clean"}

    def graphql(self, body: bytes):
        """What it is and whether it may be merged, or when its head was pushed."""
        node = {"id": "PR_bench", "state": "OPEN", "isDraft": False, "merged": False, "isCrossRepository": False,
                "headRefName": "topic", "headRefOid": self.head(), "baseRefName": "main", "createdAt": ahead(-7200),
                "author": {"login": "eve", "databaseId": 1002}, "mergeCommit": None, "mergeable": "MERGEABLE",
                "mergeStateStatus": "CLEAN", "reviewDecision": None, "isMergeQueueEnabled": False,
                "mergeQueueEntry": None, "baseRef": {"target": {"oid": "b" * 40}, "refUpdateRule": None},
                "reviewThreads": {"totalCount": 0, "nodes": []}, "timelineItems": {"nodes": []}, "baseChanges": {"nodes": []},
                "commits": {"nodes": [{"commit": {
                    "oid": self.head(), "deployments": {"nodes": []},
                    "checkSuites": {"nodes": [{"createdAt": ahead(-3600), "branch": {"name": "topic"}}]}}}]}}
        if b"mergeStateStatus" not in body:
            return 200, {"data": {"node": node}}
        return 200, {"data": {"repository": {
            "id": "R_bench", "mergeCommitAllowed": True, "squashMergeAllowed": True, "rebaseMergeAllowed": True,
            "defaultBranchRef": {"name": "main"}, "pullRequest": node}}}

    @staticmethod
    def of_merge(path: str):
        """A branch without rules, and a commit that is up to date with it."""
        if "/compare/" in path:
            return {"behind_by": 0, "ahead_by": 1, "files": [{"filename": "notes.md"}]}
        if re.search(r"^/repos/[^/]+/[^/]+$", path):
            return {"id": 77, "default_branch": "main", "allow_merge_commit": True, "allow_squash_merge": True,
                    "allow_rebase_merge": True}
        return {} if "/branches/" in path and "/rules/" not in path else []

    # Kubeflow Pipelines

    def kubeflow(self, method: str, path: str, query: dict, body: bytes):
        if path == "/healthz":
            return 200, {"multi_user": True, "tag_name": "2.5.0"}
        if path.startswith("/pipelines/names/"):
            return 200, {"pipeline_id": "11111111-0000-4000-8000-000000000000"}
        if path == "/pipelines/upload_version":
            return 200, self.version(f"22222222-0000-4000-8000-{self.next_id():012d}", query.get("name", ""))
        if "/versions/" in path:
            return 200, self.version(path.rpartition("/")[2], "")
        if path == "/experiments":
            return 200, {"experiments": [{"experiment_id": "33333333-0000-4000-8000-000000000000",
                                          "display_name": "Iris experiments"}]}
        if path == "/runs" and method == "POST":
            return 200, self.create_run(json.loads(body))
        if path == "/runs":
            return 200, self.list_runs(json.loads(query.get("filter", "{}")))
        return 200, self.run(path.rpartition("/")[2].partition(":")[0])

    def version(self, version_id: str, name: str) -> dict:
        return {"pipeline_version_id": version_id, "name": name, "pipeline_spec": {
            "pipelineInfo": {"name": "sklearn-iris"}, "root": {"dag": {"tasks": {}}}}}

    def create_run(self, wanted: dict) -> dict:
        run_id = wanted.get("run_id") or f"44444444-0000-4000-8000-{self.next_id():012d}"
        self.runs[run_id] = ahead(0)
        if self.ends_at_once:
            self.ended[run_id] = ahead(0)
        return self.run(run_id)

    def run(self, run_id: str) -> dict:
        ended = self.ended.get(run_id)
        return {"run_id": run_id, "state": "SUCCEEDED" if ended else "RUNNING",
                "created_at": self.runs.get(run_id, "2024-01-01T00:00:00Z"),
                "finished_at": ended or "1970-01-01T00:00:00Z", "run_details": {"task_details": []}}

    def list_runs(self, wanted: dict) -> dict:
        """By ids: those of them. Otherwise the feed: what has ended."""
        for predicate in wanted.get("predicates", []):
            if predicate.get("key") in ("run_id", "id", "uuid"):
                ids = predicate.get("string_values", {}).get("values", [])
                return {"runs": [self.run(run_id) for run_id in ids], "total_size": len(ids)}
        return {"runs": [self.run(run_id) for run_id in self.ended][-200:], "total_size": len(self.ended)}

    # git

    async def git(self, method: str, path: str, query: dict, body: bytes):
        """Upload-pack of the one repository, as `git http-backend` does it."""
        refs = path.endswith("/info/refs")
        args = ["git", "upload-pack", "--stateless-rpc", *(["--advertise-refs"] if refs else []), str(self.repo)]
        process = await asyncio.create_subprocess_exec(
            *args, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        text, _ = await process.communicate(None if refs else body)
        if refs:
            text = b"001e# service=git-upload-pack\n0000" + text
        return 200, (text, f"application/x-git-upload-pack-{'advertisement' if refs else 'result'}")


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time."""

    def __init__(self, world: World):
        self.world = world
        self.data = bytearray()
        self.first_ns = 0
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if not self.data:
            self.first_ns = time.monotonic_ns()
        self.data += data
        while self.take_one():
            self.first_ns = time.monotonic_ns()

    def take_one(self) -> bool:
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = self.data[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if len(self.data) < end + 4 + length:
            return False
        body = bytes(self.data[end + 4:end + 4 + length])
        del self.data[:end + 4 + length]
        method, target, _ = lines[0].split(" ", 2)
        self.answer(method, target, body, end + 4 + length)
        return bool(self.data)

    def answer(self, method, target, body, size):
        path, _, text = target.partition("?")
        query = dict(urllib.parse.parse_qsl(text))
        world = self.world
        if path.startswith("/_bench/"):
            self.send(*world.bench(method, path[len("/_bench/"):], query, body))
            return
        world.records.append({"first_ns": self.first_ns, "last_ns": time.monotonic_ns(), "method": method,
                              "path": path, "filter": query.get("filter", ""), "bytes": size,
                              "dry": "dryRun" in query, "content": "eyes" if b'"eyes"' in body else ""})
        if path == "/api/graphql":
            self.send(*world.graphql(body))
        elif path.startswith("/api/v3"):
            self.send(*world.github(method, path[len("/api/v3"):], body))
        elif path.startswith("/apis/v2beta1"):
            self.send(*world.kubeflow(method, path[len("/apis/v2beta1"):], query, body))
        elif served := world.cluster.answer(method, path, query, body):
            self.send(*served)
        else:
            task = asyncio.ensure_future(world.git(method, path, query, body))
            task.add_done_callback(lambda done: self.send(*done.result()))

    def send(self, status, content):
        kind = "application/json"
        if isinstance(content, tuple):
            content, kind = content
        elif content is not None:
            content = json.dumps(content).encode()
        now = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        head = (f"HTTP/1.1 {status} X\r\nDate: {now}\r\nContent-Type: {kind}\r\n"
                f"Content-Length: {len(content or b'')}\r\n\r\n")
        if not self.transport.is_closing():
            self.transport.write(head.encode() + (content or b""))


async def serve(args):
    world = World(pathlib.Path(args.repo) if args.repo else None)
    context = None
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(world), "127.0.0.1", 0,
                                                            ssl=context)
    port = server.sockets[0].getsockname()[1]
    part = pathlib.Path(args.port_file + ".part")
    part.write_text(str(port))
    part.rename(args.port_file)
    await server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--repo")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    gc.disable()
    try:
        asyncio.run(serve(parser.parse_args()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
