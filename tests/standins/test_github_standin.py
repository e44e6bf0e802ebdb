"""The GitHub stand-in, held against the reference: it has to be at least as unkind as the real thing.

Every test gets a process of its own with one repository, one pull request and an installed App; at the
end its own answers must have matched GitHub's description (when that is at hand)."""

import concurrent.futures
import gzip
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "common"), str(HERE / "github")]

from github_standin import __main__ as main  # noqa: E402
from github_standin import app, markdown, rest  # noqa: E402
from github_standin.samples import BUILT_IN  # noqa: E402
from standin_common.http import StandinServer  # noqa: E402
from standin_common.process import StandinClient, StandinProcess  # noqa: E402

SECRET = b"a secret for webhooks"
SHARED = app.find_shared()
needs_shared = pytest.mark.skipif(SHARED is None, reason="GitHub's description is not at hand")
R = "/api/v3/repos/ann/iris"
MINIMIZE = ("mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) "
            "{ minimizedComment { isMinimized } } }")


class Answer:
    def __init__(self, status, headers, raw):
        self.status = status
        self.headers = headers
        self.raw = gzip.decompress(raw) if headers.get("Content-Encoding") == "gzip" else raw

    @property
    def json(self):
        return json.loads(self.raw)


class Receiver:
    """Hears webhooks."""

    def __init__(self):
        self.heard = []
        self.status = 202
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.changed:
                    outer.heard.append((dict(self.headers), body))
                    outer.changed.notify_all()
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/webhook"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def wait(self, event, action=None, count=1, also=lambda payload: True):
        """The first `count` deliveries of that kind."""
        def found():
            kept = []
            for headers, body in self.heard:
                if headers["X-GitHub-Event"] != event or not body.startswith(b"{"):
                    continue
                payload = json.loads(body)
                if action in (None, payload.get("action")) and also(payload):
                    kept.append((headers, payload, body))
            return kept
        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, 10), \
                f"{event}.{action}: {len(found())} of {count}"
            return found()[:count]


class StandinThread(StandinClient):
    """The stand-in inside this process: starts in milliseconds."""

    def __init__(self, state, *args):
        options = main.parse(["--state", str(state), *args])
        self.standin = app.Standin(options)
        self.server = StandinServer(self.standin)
        self.standin.open(self.server.port)
        self.server.start()
        super().__init__(self.server.port)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Play:
    """The stand-in with what a test says to it."""

    def __init__(self, standin, receiver, key):
        self.standin = standin
        self.receiver = receiver
        self.key = key
        self.token = None

    def call(self, method, path, body=None, token=None, headers=None, raw=None, drop=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.standin.port, timeout=10)
        sent = {"User-Agent": "kfops-test", "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28"}
        token = self.token if token is None else token
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        for name in drop:
            sent.pop(name)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def jwt(self, key=None, algorithm="RS256", **claims):
        now = int(time.time())
        claims = {"iat": now - 60, "exp": now + 540, "iss": "4242", **claims}
        return jwt.encode(claims, key or self.key, algorithm=algorithm)

    @property
    def installation(self):
        return self.standin.get("installations")[0]["id"]

    def mint(self, headers=None, **body):
        return self.call("POST", f"/api/v3/app/installations/{self.installation}/access_tokens", body,
                         self.jwt(), headers)

    def comment(self, body, user="ben"):
        return self.standin.post("repos/ann/iris/pulls/1/comments", user=user, body=body)

    def violations(self):
        """Kinds of violations so far, which are forgotten."""
        return [item["kind"] for item in self.standin.take_violations()]


@pytest.fixture(scope="session")
def key_pem():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


@pytest.fixture
def play(tmp_path, key_pem):
    (tmp_path / "key.pem").write_bytes(key_pem)
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    receiver = Receiver()
    standin = StandinThread(tmp_path / "state", "--webhook-url", receiver.url,
                            "--webhook-secret-file", str(tmp_path / "secret"), "--app-id", "4242",
                            "--app-key-file", str(tmp_path / "key.pem"), "--token", "ghp_good",
                            "--check-answers")
    try:
        standin.post("repos", owner="ann", name="iris", collaborators={"ben": "write", "kim": "read"},
                     files={"README.md": "# Iris\n", "src/train.py": "print('train')\n"})
        standin.post("repos/ann/iris/pulls", title="Deeper trees", branch="deeper", user="ben",
                     files={"src/train.py": "print('deeper')\n"})
        made = Play(standin, receiver, key_pem.decode())
        made.token = made.mint().json["token"]
        yield made
        gaps = standin.get("violations")
        assert gaps["gaps"] == []
        assert gaps["violations"] == []
    finally:
        standin.stop()
        receiver.server.shutdown()


# who is asking


@pytest.mark.parametrize("claims, status, text", [
    ({}, 200, None),
    ({"iss": 4242}, 200, None),
    ({"iss": "Iv23li00000000004242"}, 200, None),
    ({"iss": "777"}, 404, "Integration not found"),
    ({"exp": int(time.time()) + 7200}, 401, "'Expiration time' claim ('exp') is too far in the future"),
    ({"exp": int(time.time()) - 10}, 401, "must be a numeric value representing the future time"),
    ({"iat": int(time.time()) + 300}, 401, "'Issued at' claim ('iat')"),
])
def test_jwt_claims(play, claims, status, text):
    if claims.get("iss") == 4242:
        claims = {"iss": 4242}
        token = jwt.encode({"iat": int(time.time()) - 60, "exp": int(time.time()) + 540, "iss": "4242"},
                           play.key, algorithm="RS256")
    else:
        token = play.jwt(**claims)
    answer = play.call("GET", "/api/v3/app", token=token)
    assert answer.status == status
    if text:
        assert text in answer.json["message"]
        assert "Date" in answer.headers
    else:
        assert answer.json["slug"] == "kfops"


def test_jwt_of_another_key_or_algorithm_is_refused(play):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for token in (play.jwt(key=other), play.jwt(key="x" * 32, algorithm="HS256"), "a.b.c"):
        answer = play.call("GET", "/api/v3/app", token=token)
        assert (answer.status, answer.json["message"]) == (401, "A JSON web token could not be decoded")


def test_installation_tokens_are_long_dotted_scoped_and_end(play):
    answer = play.mint()
    token = answer.json["token"]
    assert answer.status == 201
    assert len(token) == 520 and token.startswith("ghs_4242_") and token.count(".") == 2
    assert len(play.mint({"X-GitHub-Stateless-S2S-Token": "disabled"}).json["token"]) == 40
    assert play.call("GET", R, token=token).status == 200
    assert play.call("GET", "/api/v3/app", token=token).status == 401
    assert play.call("GET", R, token=play.jwt()).status == 401
    play.standin.advance(3601)
    assert play.call("GET", R, token=token).json["message"] == "Bad credentials"


def test_token_scope_is_kept(play):
    other = play.standin.post("repos", owner="ann", name="other", files={"a": "b"})
    narrow = play.mint(repository_ids=[other["id"]], permissions={"contents": "read"}).json["token"]
    assert play.call("GET", R, token=narrow).status == 404
    answer = play.call("POST", "/api/v3/repos/ann/other/check-runs",
                       {"name": "x", "head_sha": other["head"]}, token=narrow)
    assert answer.status == 403
    assert answer.headers["x-accepted-github-permissions"] == "checks=write"
    assert play.mint(permissions={"administration": "write"}).status == 422
    assert play.mint(repository_ids=[1]).status == 422


def test_suspended_and_deleted_installations(play):
    number = play.installation
    play.standin.post(f"installations/{number}/suspend")
    assert play.call("GET", R).status == 403
    answer = play.call("POST", f"/api/v3/app/installations/{number}/access_tokens", {}, play.jwt())
    assert (answer.status, answer.json["message"]) == (403, "This installation has been suspended")
    play.standin.post(f"installations/{number}/unsuspend")
    assert play.call("GET", R).status == 200
    play.standin.send("DELETE", f"installations/{number}")
    assert play.call("GET", R).status == 401
    answer = play.call("POST", f"/api/v3/app/installations/{number}/access_tokens", {}, play.jwt())
    assert answer.status == 404


def test_a_fresh_token_may_answer_401_for_a_moment(play):
    play.standin.post("tokens", fresh_lag_s=5)
    token = play.mint().json["token"]
    assert play.call("GET", R, token=token).status == 401
    play.standin.advance(6)
    assert play.call("GET", R, token=token).status == 200


def test_personal_tokens_act_as_their_owner(play):
    assert play.call("GET", R, token="ghp_good").status == 404
    play.standin.post("repos/ann/iris/permissions", login="kfops-bot", role="write")
    made = play.call("POST", f"{R}/issues/1/comments", {"body": "hello"}, token="ghp_good").json
    assert made["user"]["login"] == "kfops-bot" and made["performed_via_github_app"] is None
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    answer = play.call("POST", f"{R}/check-runs", {"name": "x", "head_sha": sha}, token="ghp_good")
    assert answer.status == 403
    assert play.call("POST", f"{R}/statuses/{sha}", {"state": "pending"}, token="ghp_good").status == 201
    assert play.call("GET", "/api/v3/user", token="ghp_good").json["login"] == "kfops-bot"


# what every request must have


@pytest.mark.parametrize("change, status, kind", [
    ({"drop": ["User-Agent"]}, 403, "no_user_agent"),
    ({"drop": ["Accept"]}, 200, "accept"),
    ({"drop": ["X-GitHub-Api-Version"]}, 200, "api_version"),
    ({"headers": {"X-GitHub-Api-Version": "2019-01-01"}}, 400, "api_version"),
    ({"path": f"{R}/pulls/1/"}, 404, "trailing_slash"),
    ({"path": f"{R}/pulls/1?state=open&foo=1"}, 200, "description"),
    ({"path": f"{R}/issues/1/comments?per_page=1000"}, 200, "per_page"),
    ({"path": f"{R}/no/such/thing"}, 404, "unknown_path"),
    ({"method": "PUT", "path": f"{R}/issues/1/comments"}, 404, "unknown_method"),
    ({"path": f"{R}/branches/feature/x"}, 404, "slash"),
    ({"method": "POST", "path": f"{R}/issues/1/comments", "raw": b"{"}, 400, "bad_json"),
    ({"method": "POST", "path": f"{R}/issues/1/comments", "raw": b"[]"}, 400, "bad_json"),
    ({"method": "POST", "path": f"{R}/issues/1/comments", "body": {"body": "x"},
      "headers": {"Content-Type": "text/plain"}}, 201, "content_type"),
    ({"method": "POST", "path": f"{R}/issues/1/comments", "body": {"body": "x", "extra": 1}}, 201,
     "description"),
    ({"method": "POST", "path": f"{R}/issues/1/comments", "body": {}}, 422, "description"),
    ({"method": "POST", "path": f"{R}/issues/1/labels", "body": {"label": ["x"]}}, 200, "description"),
])
def test_violations_are_noted(play, change, status, kind):
    if kind == "description" and SHARED is None:
        pytest.skip("GitHub's description is not at hand")
    change = dict(change)
    method, path = change.pop("method", "GET"), change.pop("path", f"{R}/pulls/1")
    answer = play.call(method, path, **change)
    assert answer.status == status
    assert kind in play.violations()
    if kind == "no_user_agent":
        assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path, body, field", [
    ("issues/1/comments", {"body": "x" * 65537}, "Body is too long"),
    ("issues/1/comments", {"body": "  "}, "Body cannot be blank"),
    ("check-runs", {"name": "x", "head_sha": "SHA", "status": "completed"}, "conclusion"),
    ("check-runs", {"name": "x", "head_sha": "SHA", "output": {"title": "t"}}, "summary"),
    ("check-runs", {"name": "x", "head_sha": "SHA", "output": {"title": "t", "summary": "s" * 65536}},
     "65535"),
    ("check-runs", {"name": "x", "head_sha": "SHA", "actions": [
        {"label": "l", "description": "d", "identifier": "i"}] * 4}, "3"),
    ("check-runs", {"name": "x", "head_sha": "SHA", "actions": [
        {"label": "l" * 21, "description": "d", "identifier": "i"}]}, "20"),
    ("check-runs", {"name": "x", "head_sha": "SHA", "output": {"title": "t", "summary": "s", "annotations": [
        {"path": "a", "start_line": 2, "end_line": 1, "annotation_level": "notice", "message": "m"}]}}, "end_line"),
    ("check-runs", {"name": "x", "head_sha": "SHA", "output": {"title": "t", "summary": "s", "annotations": [
        {"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m",
         "raw_details": "r" * 65537}]}}, "too long"),
    ("statuses/SHA", {"state": "running"}, ""),
    ("statuses/SHA", {"state": "pending", "description": "d" * 141}, "140"),
])
def test_what_github_refuses_is_refused(play, path, body, field):
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    text = json.dumps(body).replace("SHA", sha)
    answer = play.call("POST", f"{R}/{path.replace('SHA', sha)}", json.loads(text))
    assert answer.status == 422
    assert field in json.dumps(answer.json)
    assert play.violations()


def test_unknown_commits_are_422_without_a_violation(play):
    for path, body in (("check-runs", {"name": "x", "head_sha": "a" * 40}),
                       ("statuses/" + "a" * 40, {"state": "pending"})):
        answer = play.call("POST", f"{R}/{path}", body)
        assert (answer.status, answer.json["message"]) == (422, f"No commit found for SHA: {'a' * 40}")


@needs_shared
def test_permissions_are_those_of_the_published_table():
    table = json.loads((SHARED / "app-permissions.json").read_text())["operations"]
    known = {"app JWT": "jwt", "installation token": "installation", "user token": "user", "none": "none",
             "installation or user token": "token"}
    for route in rest.ROUTES:
        entry = table[route.name]
        assert route.alternatives == entry["any_of"], route.name
        assert route.auth == known[entry["auth"]], route.name


# conversations


def test_the_second_reaction_is_200_and_deleted_comments_are_404(play):
    made = play.comment("/build_run")
    path = f"{R}/issues/comments/{made['id']}/reactions"
    first = play.call("POST", path, {"content": "eyes"})
    assert first.status == 201
    again = play.call("POST", path, {"content": "eyes"})
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert play.call("DELETE", f"{path}/{first.json['id']}").status == 204
    assert play.call("DELETE", f"{path}/{first.json['id']}").status == 404
    play.standin.send("DELETE", f"comments/{made['id']}")
    assert play.call("POST", path, {"content": "eyes"}).status == 404
    assert play.call("PATCH", f"{R}/issues/comments/{made['id']}", {"body": "x"}).status == 404


def test_locked_conversations_refuse_the_app(play):
    play.standin.post("repos/ann/iris/pulls/1/lock")
    answer = play.call("POST", f"{R}/issues/1/comments", {"body": "x"})
    assert (answer.status, answer.json["message"]) == \
        (403, "Unable to create comment because issue is locked.")


def test_lists_are_paged_by_number(play):
    for index in range(5):
        play.comment(f"comment {index}")
    answer = play.call("GET", f"{R}/issues/1/comments?per_page=2&page=2")
    links = {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["Link"])}
    assert set(links) == {"prev", "next", "last", "first"}
    assert re.search(r"/repositories/\d+/issues/1/comments\?per_page=2&page=3$", links["next"])
    rest_of = play.call("GET", urllib.parse.urlsplit(links["next"])._replace(
        scheme="", netloc="").geturl())
    assert [item["body"] for item in rest_of.json] == ["comment 4"]


def test_since_compares_the_time_of_change(play):
    old = play.comment("old")
    play.standin.advance(3600)
    play.comment("new")
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1800))
    path = f"{R}/issues/comments?since={since}&sort=updated&direction=asc&per_page=100"
    token = play.call("POST", f"/api/v3/app/installations/{play.installation}/access_tokens", {},
                      play.jwt(iat=int(time.time()) + 3500, exp=int(time.time()) + 4100)).json["token"]
    assert [item["body"] for item in play.call("GET", path, token=token).json] == ["new"]
    play.standin.send("PATCH", f"comments/{old['id']}", {"user": "ben", "body": "old, edited"})
    assert len(play.call("GET", path, token=token).json) == 2


def test_etags_die_with_the_token_and_304_is_free(play):
    first = play.call("GET", f"{R}/pulls/1/reviews")
    tag = first.headers["ETag"]
    again = play.call("GET", f"{R}/pulls/1/reviews", headers={"If-None-Match": tag})
    assert (again.status, again.raw) == (304, b"")
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    other = play.call("GET", f"{R}/pulls/1/reviews", token=play.mint().json["token"],
                      headers={"If-None-Match": tag})
    assert other.status == 200


def test_last_modified_survives_the_token(play):
    made = play.comment("hello")
    path = f"{R}/issues/comments/{made['id']}"
    stamp = play.call("GET", path).headers["Last-Modified"]
    answer = play.call("GET", path, token=play.mint().json["token"], headers={"If-Modified-Since": stamp})
    assert answer.status == 304


def test_gzip_only_when_asked(play):
    assert "Content-Encoding" not in play.call("GET", R).headers
    answer = play.call("GET", R, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and answer.json["name"] == "iris"


# pull requests


def test_mergeable_is_null_first_and_a_push_forgets_it(play):
    seen = [play.call("GET", f"{R}/pulls/1").json["mergeable"] for _ in range(4)]
    assert seen[0] is None and seen[-1] is True
    play.standin.post("repos/ann/iris/pulls/1/push", files={"README.md": "# Mine\n"})
    play.standin.post("repos/ann/iris/commits", files={"README.md": "# Theirs\n"})
    seen = [play.call("GET", f"{R}/pulls/1").json for _ in range(4)]
    assert seen[0]["mergeable"] is None
    assert (seen[-1]["mergeable"], seen[-1]["mergeable_state"]) == (False, "dirty")
    answer = play.call("PUT", f"{R}/pulls/1/merge", {"sha": seen[-1]["head"]["sha"]})
    assert answer.status == 405


def test_merging_takes_the_head_it_was_given(play):
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    play.standin.post("repos/ann/iris/pulls/1/push", files={"a.txt": "a\n"})
    assert play.call("PUT", f"{R}/pulls/1/merge", {"sha": sha}).status == 409
    assert play.call("GET", f"{R}/pulls/1/merge").status == 404
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    answer = play.call("PUT", f"{R}/pulls/1/merge", {"sha": sha, "merge_method": "rebase"})
    assert (answer.status, answer.json["message"]) == \
        (405, "Rebase merges are not allowed on this repository.")
    assert play.call("PUT", f"{R}/pulls/1/merge", {"sha": sha, "merge_method": "squash"}).json["merged"]
    assert play.call("GET", f"{R}/pulls/1/merge").status == 204
    _, payload, _ = play.receiver.wait("pull_request", "closed")[0]
    assert payload["pull_request"]["merged"] is True


def test_workflow_changes_need_the_workflows_permission(play):
    play.standin.post("repos/ann/iris/pulls/1/push", files={".github/workflows/ci.yml": "on: push\n"})
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    assert play.call("PUT", f"{R}/pulls/1/merge", {"sha": sha}).status == 403


def test_renamed_repositories_answer_301_and_307(play):
    play.standin.post("repos/ann/iris/rename", name="flowers")
    answer = play.call("GET", f"{R}/pulls/1?x=")
    assert answer.status == 301
    assert re.search(r"/api/v3/repositories/\d+/pulls/1\?x=$", answer.headers["Location"])
    target = urllib.parse.urlsplit(answer.headers["Location"]).path
    assert play.call("GET", target).json["base"]["repo"]["full_name"] == "ann/flowers"
    answer = play.call("POST", f"{R}/issues/1/comments", {"body": "moved"})
    assert answer.status == 307
    target = urllib.parse.urlsplit(answer.headers["Location"]).path
    assert play.call("POST", target, {"body": "moved"}).status == 201
    play.standin.take_violations()  # the unknown query key


def test_archived_repositories_are_read_only(play):
    play.standin.post("repos/ann/iris/settings", archived=True)
    answer = play.call("POST", f"{R}/issues/1/comments", {"body": "x"})
    assert (answer.status, answer.json["message"]) == \
        (403, "Repository was archived so is read-only.")


@pytest.mark.parametrize("role, base, permission, push", [
    ("admin", None, "admin", True), ("maintain", None, "write", True), ("write", None, "write", True),
    ("triage", None, "read", False), ("read", None, "read", False), ("none", None, "none", False),
    ("ml-lead", "write", "write", True)])
def test_permission_folds_roles(play, role, base, permission, push):
    body = {"login": "zoe", "role": role, **({"base": base} if base else {})}
    play.standin.post("repos/ann/iris/permissions", **body)
    answer = play.call("GET", f"{R}/collaborators/zoe/permission").json
    assert (answer["permission"], answer["role_name"]) == (permission, role)
    assert answer["user"]["permissions"]["push"] is push


def test_a_login_can_belong_to_somebody_else_later(play):
    before = play.call("GET", f"{R}/collaborators/ben/permission").json["user"]["id"]
    play.standin.post("users", login="ben", id=99)
    after = play.call("GET", f"{R}/collaborators/ben/permission").json
    assert after["user"]["id"] == 99 != before
    assert after["permission"] == "none"


# checks and statuses


def test_check_runs_belong_to_one_app(play):
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    made = play.call("POST", f"{R}/check-runs", {"name": "kfops/run", "head_sha": sha,
                                                 "external_id": "job-1", "status": "in_progress"})
    assert made.status == 201
    foreign = play.standin.post("repos/ann/iris/foreign-checks", name="lint", head_sha=sha)
    path = f"{R}/check-runs/{foreign['id']}"
    assert play.call("PATCH", path, {"status": "in_progress"}).status == 403
    listed = play.call("GET", f"{R}/commits/{sha}/check-runs?check_name=kfops%2Frun").json
    assert [run["external_id"] for run in listed["check_runs"]] == ["job-1"]
    assert listed["check_runs"][0]["pull_requests"][0]["number"] == 1
    note = {"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "m"}
    done = {"status": "completed", "conclusion": "success",
            "output": {"title": "t", "summary": "s", "annotations": [note] * 50}}
    for _ in range(2):
        assert play.call("PATCH", f"{R}/check-runs/{made.json['id']}", done).status == 200
    shown = play.call("GET", f"{R}/check-runs/{made.json['id']}").json
    assert shown["output"]["annotations_count"] == 100 and shown["completed_at"]
    play.receiver.wait("check_run", "created")
    play.receiver.wait("check_run", "completed")
    play.standin.post(f"check-runs/{made.json['id']}/rerequest", user="ben")
    _, payload, _ = play.receiver.wait("check_run", "rerequested")[0]
    assert payload["sender"]["login"] == "ben"
    assert payload["check_run"]["external_id"] == "job-1"
    assert play.call("GET", f"{R}/check-runs/{made.json['id']}").json["status"] == "completed"


def test_combined_status(play):
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    assert play.call("GET", f"{R}/commits/{sha}/status").json["state"] == "pending"
    for state in ("pending", "success"):
        play.call("POST", f"{R}/statuses/{sha}", {"state": state, "context": "KFops/Run"})
    combined = play.call("GET", f"{R}/commits/{sha}/status").json
    assert (combined["state"], combined["total_count"]) == ("success", 1)
    assert len(play.call("GET", f"{R}/commits/{sha}/statuses").json) == 2


# limits


@pytest.mark.parametrize("status, with_header", [(403, True), (429, True), (403, False)])
def test_the_content_budget_bites_and_waiting_is_watched(play, status, with_header):
    play.standin.post("limits", content_per_minute=2, status=status, send_retry_after=with_header,
                      retry_after_s=30)
    for _ in range(2):
        assert play.call("POST", f"{R}/issues/1/comments", {"body": "x"}).status == 201
    answer = play.call("POST", f"{R}/issues/1/comments", {"body": "x"})
    assert answer.status == status
    assert "secondary rate limit" in answer.json["message"]
    assert answer.headers.get("Retry-After") == ("30" if with_header else None)
    assert answer.headers["x-ratelimit-remaining"] != "0"
    assert play.violations() == []
    time.sleep(0.15)
    assert play.call("GET", R).status == status
    assert play.violations() == ["told_to_wait"]
    play.standin.advance(61)
    assert play.call("GET", R).status == 200


def test_waiting_is_watched_also_when_a_fault_is_met_instead(play):
    play.standin.fault("sample", path="/pulls/1$", times=-1, name="secondary-limit")
    for _ in range(3):
        assert play.call("GET", f"{R}/pulls/1").status == 403
        time.sleep(0.15)
    assert play.violations() == ["told_to_wait"] * 2


def test_the_primary_limit_names_its_end(play):
    play.standin.post("limits", primary_per_hour=3, reset=True)
    answers = [play.call("GET", R) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 403]
    assert answers[3].headers["x-ratelimit-remaining"] == "0"
    assert int(answers[3].headers["x-ratelimit-reset"]) > time.time() + 3000
    assert "API rate limit exceeded" in answers[3].json["message"]
    play.standin.take_violations()


def test_more_than_ten_at_once_is_a_violation(play):
    play.standin.fault("delay", path="/pulls/1$", times=-1, seconds=0.5)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: play.call("GET", f"{R}/pulls/1"), range(12)))
    assert set(play.violations()) == {"concurrency"}


def test_writes_too_close_together_are_noticed(play):
    play.standin.post("limits", write_gap_s=1.0)
    for _ in range(2):
        play.call("POST", f"{R}/issues/1/comments", {"body": "x"})
    assert play.violations() == ["write_gap"]


@needs_shared
@pytest.mark.parametrize("name", ["secondary-limit", "unicorn", "bad-credentials", "gone",
                                  "primary-limit-installation", "jwt-undecodable"])
def test_named_samples(play, name):
    samples = json.loads((SHARED / "errors.sample.json").read_text())["samples"]
    sample = next(item for item in samples if item["name"] == name)
    play.standin.fault("sample", path="/pulls/1$", name=name, headers={"retry-after": "1"}
                       if "retry-after" in sample["headers"] else {})
    answer = play.call("GET", f"{R}/pulls/1")
    assert answer.status == sample["status"]
    assert answer.raw.decode() == (sample["body"] if isinstance(sample["body"], str)
                                   else json.dumps(sample["body"]))
    if name.startswith(("secondary", "primary")):
        time.sleep(0.15)
        play.call("GET", R)
        assert play.violations() == ["told_to_wait"]


def test_answers_that_scenarios_name_are_built_in():
    used = set()
    for page in (pathlib.Path(__file__).parents[1] / "scenarios").glob("test_*.py"):
        used |= set(re.findall(r'"sample"[^\n]*?name="([\w-]+)"', page.read_text()))
    assert used and not used - set(BUILT_IN)


@needs_shared
@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_answers_are_like_the_published_ones(name):
    samples = {item["name"]: item for item in json.loads((SHARED / "errors.sample.json").read_text())["samples"]}
    published, ours = samples[name], BUILT_IN[name]
    assert ours["status"] == published["status"]
    assert set(ours["headers"]) <= set(published["headers"])


# faults


def test_faults_before_the_act_do_nothing(play):
    for kind in ("reset_before", "status", "html_502"):
        play.standin.fault(kind, "POST", "/issues/1/comments$")
        try:
            assert play.call("POST", f"{R}/issues/1/comments", {"body": kind}).status >= 500
        except ConnectionResetError:
            assert kind == "reset_before"
    assert play.call("GET", f"{R}/issues/1/comments").json == []


@pytest.mark.parametrize("kind, error", [
    ("reset_after", ConnectionResetError), ("lost_answer", http.client.RemoteDisconnected),
    ("half_body", http.client.IncompleteRead), ("truncated", None), ("html_502", None)])
def test_faults_after_the_act_have_acted(play, kind, error):
    more = {"acted": True} if kind == "html_502" else {}
    play.standin.fault(kind, "POST", "/issues/1/comments$", **more)
    if error:
        with pytest.raises(error):
            play.call("POST", f"{R}/issues/1/comments", {"body": kind})
    else:
        answer = play.call("POST", f"{R}/issues/1/comments", {"body": kind})
        with pytest.raises(ValueError):
            answer.json
    assert [item["body"] for item in play.call("GET", f"{R}/issues/1/comments").json] == [kind]


def test_slow_bytes_and_late_answers(play):
    play.standin.fault("slow_bytes", path="/pulls/1/reviews$", interval=0.1)
    started = time.monotonic()
    assert play.call("GET", f"{R}/pulls/1/reviews").json == []
    assert time.monotonic() - started >= 0.1
    play.standin.fault("delay", "POST", "/issues/1/comments$", seconds=2)
    connection = socket.create_connection(("127.0.0.1", play.standin.port))
    body = b'{"body": "late"}'
    connection.sendall((f"POST {R}/issues/1/comments HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\nAccept: "
                        "application/vnd.github+json\r\nX-GitHub-Api-Version: 2022-11-28\r\n"
                        f"Content-Type: application/json\r\nAuthorization: Bearer {play.token}\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
    deadline = time.monotonic() + 5
    while not play.call("GET", f"{R}/issues/1/comments").json:
        assert time.monotonic() < deadline
    connection.close()


def test_stale_reads_hide_what_is_new(play):
    old = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    play.standin.advance(60)
    play.standin.post("repos/ann/iris/pulls/1/push")
    play.comment("just now")
    play.standin.fault("stale_read", path="/pulls/1$", seconds=5)
    play.standin.fault("stale_read", path="/issues/1/comments$", seconds=5)
    assert play.call("GET", f"{R}/pulls/1").json["head"]["sha"] == old
    assert play.call("GET", f"{R}/issues/1/comments").json == []
    assert play.call("GET", f"{R}/pulls/1").json["head"]["sha"] != old
    assert len(play.call("GET", f"{R}/issues/1/comments").json) == 1
    made = play.standin.post("repos/ann/iris/pulls", title="New", branch="new", files={"x": "y"})
    play.standin.fault("stale_read", path="/pulls/2$", seconds=5)
    assert play.call("GET", f"{R}/pulls/{made['number']}").status == 404


def test_random_faults_follow_their_seed(play):
    def run():
        play.standin.post("faults/random", seed=7, rate=0.5, kinds=["status"],
                          match={"path_regex": "/reviews$"})
        return [play.call("GET", f"{R}/pulls/1/reviews").status for _ in range(20)]
    first = run()
    assert first == run()
    assert {200, 500} == set(first)


def test_bad_faults_are_refused(play):
    for bad in ({"kind": "meteor"}, {"kind": "drop"}, {"kind": "lost_answer", "match": {"on": "webhook"}},
                {"kind": "delay", "match": {"on": "the moon"}}):
        with pytest.raises(Exception, match="unknown fault kind"):
            play.standin.post("faults", **bad)
    with pytest.raises(Exception, match="unknown fault kind"):
        play.standin.post("faults/random", rate=1, kinds=["drop"])


# webhooks


def test_webhooks_are_signed_and_have_githubs_headers(play):
    made = play.comment("/build_run · ☃")
    headers, payload, body = play.receiver.wait("issue_comment", "created")[0]
    digest = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert headers["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert headers["X-GitHub-Hook-Installation-Target-ID"] == "4242"
    assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert headers["Content-Type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["X-GitHub-Delivery"])
    assert payload["comment"]["id"] == made["id"]
    assert payload["issue"]["pull_request"] and payload["installation"]["id"] == play.installation


def test_the_bot_hears_itself(play):
    play.call("POST", f"{R}/issues/1/comments", {"body": "mine"})
    _, payload, _ = play.receiver.wait("issue_comment", "created")[0]
    assert payload["sender"]["type"] == "Bot"
    assert payload["comment"]["performed_via_github_app"]["id"] == 4242


@needs_shared
def test_payloads_fit_the_published_schema(play):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((SHARED / "webhooks.schema.json").read_text())
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    made = play.comment("/build_run")
    play.standin.send("PATCH", f"comments/{made['id']}", {"user": "ben", "body": "edited"})
    play.standin.send("DELETE", f"comments/{made['id']}")
    run = play.call("POST", f"{R}/check-runs", {"name": "x", "head_sha": sha, "conclusion": "success"})
    play.standin.post(f"check-runs/{run.json['id']}/rerequest", user="ben")
    play.standin.post("repos/ann/iris/pulls/1/push")
    for what in ("close", "reopen"):
        play.standin.post(f"repos/ann/iris/pulls/1/{what}")
    play.standin.post("ping")
    wanted = [("issue_comment", "created"), ("issue_comment", "edited"), ("issue_comment", "deleted"),
              ("pull_request", "opened"), ("pull_request", "synchronize"), ("pull_request", "closed"),
              ("pull_request", "reopened"), ("check_run", "created"), ("check_run", "completed"),
              ("check_run", "rerequested"), ("check_suite", "requested"), ("installation", "created"),
              ("push", None), ("ping", None)]
    for event, action in wanted:
        _, payload, _ = play.receiver.wait(event, action)[0]
        name = schema["x-events"][event].get(action or event) or \
            next(iter(schema["x-events"][event].values()))
        checker = jsonschema.Draft7Validator({"$ref": name, "$defs": schema["$defs"]})
        faults = [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
                  for error in checker.iter_errors(payload)]
        assert faults == [], f"{event}.{action}"


def test_failed_deliveries_are_kept_and_never_repeated(play):
    play.receiver.wait("pull_request", "opened")
    play.receiver.status = 503
    play.comment("/build_run")
    play.receiver.wait("issue_comment", "created")
    deadline = time.monotonic() + 5
    while not play.standin.get("deliveries")["idle"]:
        assert time.monotonic() < deadline
    play.receiver.status = 202
    listed = play.call("GET", "/api/v3/app/hook/deliveries?status=failure&per_page=100",
                       token=play.jwt()).json
    assert [item["event"] for item in listed] == ["issue_comment"]
    one = play.call("GET", f"/api/v3/app/hook/deliveries/{listed[0]['id']}", token=play.jwt()).json
    assert one["request"]["payload"]["comment"]["body"] == "/build_run"
    assert (one["status_code"], one["status"]) == (503, "Invalid HTTP Response: 503")
    assert len([1 for headers, _ in play.receiver.heard
                if headers["X-GitHub-Event"] == "issue_comment"]) == 1
    answer = play.call("POST", f"/api/v3/app/hook/deliveries/{listed[0]['id']}/attempts",
                       token=play.jwt())
    assert answer.status == 202
    twice = play.receiver.wait("issue_comment", "created", count=2)
    assert twice[0][0]["X-GitHub-Delivery"] == twice[1][0]["X-GitHub-Delivery"]
    play.standin.advance(3 * 86400 + 10)
    late = play.jwt(iat=int(time.time()) + 3 * 86400, exp=int(time.time()) + 3 * 86400 + 500)
    assert play.call("GET", "/api/v3/app/hook/deliveries", token=late).json == []


def test_deliveries_are_paged_by_cursor(play):
    for index in range(4):
        play.comment(f"c{index}")
    play.receiver.wait("issue_comment", "created", count=4)
    assert play.call("GET", "/api/v3/app/hook/deliveries?per_page=1000", token=play.jwt()).status == 200
    assert play.violations() == ["per_page"]
    path, seen = "/api/v3/app/hook/deliveries?per_page=3", []
    while path:
        answer = play.call("GET", path, token=play.jwt())
        seen += [item["id"] for item in answer.json]
        found = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("Link", ""))
        path = found.group(1).removeprefix(play.standin.url) if found else None
    assert len(seen) == len(set(seen)) == len(play.standin.get("deliveries")["deliveries"])
    assert seen == sorted(seen, reverse=True)
    assert play.call("GET", "/api/v3/app/hook/deliveries?cursor=x", token=play.jwt()).status == 400


def test_webhooks_are_doubled_delayed_dropped_and_spoilt_on_script(play):
    def heard(text):
        return [headers for headers, body in play.receiver.heard
                if headers["X-GitHub-Event"] == "issue_comment" and text.encode() in body]

    def script(kind, **more):
        play.standin.fault(kind, on="webhook", event="issue_comment", action="created", **more)
    script("double")
    play.comment("twice")
    twice = play.receiver.wait("issue_comment", count=2)
    assert twice[0][0]["X-GitHub-Delivery"] == twice[1][0]["X-GitHub-Delivery"]
    script("two_hooks")
    play.comment("both hooks")
    pair = play.receiver.wait("issue_comment", count=2,
                              also=lambda p: p["comment"]["body"] == "both hooks")
    assert pair[0][0]["X-GitHub-Delivery"] == pair[1][0]["X-GitHub-Delivery"]
    assert pair[0][0]["X-GitHub-Hook-ID"] != pair[1][0]["X-GitHub-Hook-ID"]
    script("delay", seconds=0.4)
    play.comment("first")
    play.comment("second")
    play.receiver.wait("issue_comment", also=lambda p: p["comment"]["body"] == "first")
    order = [json.loads(body)["comment"]["body"] for headers, body in play.receiver.heard
             if headers["X-GitHub-Event"] == "issue_comment"]
    assert order.index("second") < order.index("first")
    script("drop")
    play.comment("never")
    script("bad_signature")
    play.comment("wrong key")
    script("sha1_only")
    play.comment("old signature")
    script("form")
    play.comment("as a form")
    play.comment("end")
    play.receiver.wait("issue_comment", also=lambda p: p["comment"]["body"] == "end")
    assert not heard("never")
    assert "X-Hub-Signature-256" not in heard("old signature")[0]
    assert heard("as+a+form")[0]["Content-Type"] == "application/x-www-form-urlencoded"
    for headers, body in play.receiver.heard:
        good = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        assert (headers.get("X-Hub-Signature-256") == good) == \
            (b"wrong key" not in body and b"old signature" not in body)


def test_repository_hooks_for_token_mode(play):
    play.standin.post("repos/ann/iris/permissions", login="kfops-bot", role="admin")
    body = {"name": "web", "active": True, "events": ["issue_comment"],
            "config": {"url": play.receiver.url, "content_type": "json", "secret": "other",
                       "insecure_ssl": "0"}}
    made = play.call("POST", f"{R}/hooks", body, token="ghp_good")
    assert made.status == 201
    headers, payload, _ = play.receiver.wait("ping")[0]
    assert headers["X-GitHub-Hook-Installation-Target-Type"] == "repository"
    play.comment("heard twice")
    pair = play.receiver.wait("issue_comment", count=2)
    assert pair[0][0]["X-GitHub-Delivery"] == pair[1][0]["X-GitHub-Delivery"]
    assert {"installation" in payload for _, payload, _ in pair} == {True, False}
    path = f"{R}/hooks/{made.json['id']}/deliveries"
    assert {d["event"] for d in play.call("GET", path, token="ghp_good").json} == \
        {"ping", "issue_comment"}


# git


def _git(*args, cwd=None, token=None, check=True):
    env = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": "/dev/null"}
    settings = ["-c", "user.name=ben", "-c", "user.email=ben@example.com"]
    if token:
        script = f"!f() {{ echo username=x-access-token; echo password={token}; }}; f"
        settings += ["-c", f"credential.helper={script}"]
    return subprocess.run(["git", *settings, *args], cwd=cwd, env=env, capture_output=True, text=True,
                          check=check)


def test_git_over_http_with_tokens(play, tmp_path):
    url = f"{play.standin.url}/ann/iris.git"
    assert _git("ls-remote", url, check=False).returncode != 0
    assert _git("ls-remote", url, token="ghs_wrong", check=False).returncode != 0
    listed = _git("ls-remote", url, token=play.token).stdout
    head = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    assert f"{head}\trefs/pull/1/head" in listed
    narrow = play.mint(permissions={"issues": "write"}).json["token"]
    assert "403" in _git("ls-remote", url, token=narrow, check=False).stderr
    other = play.standin.post("repos", owner="ann", name="other", files={"a": "b"})
    scoped = play.mint(repository_ids=[other["id"]]).json["token"]
    assert "not found" in _git("ls-remote", url, token=scoped, check=False).stderr.lower()
    _git("init", "-q", str(tmp_path / "work"))
    _git("fetch", "-q", url, "refs/pull/1/head", cwd=tmp_path / "work", token=play.token)
    _git("fetch", "-q", "--depth=1", url, head, cwd=tmp_path / "work", token=play.token)


def test_pushes_move_the_pull_request(play, tmp_path):
    url = f"{play.standin.url}/ann/iris.git"
    _git("clone", "-q", "-b", "deeper", url, str(tmp_path / "work"), token=play.token)
    (tmp_path / "work" / "new.txt").write_text("new\n")
    _git("add", ".", cwd=tmp_path / "work")
    _git("commit", "-q", "-m", "more", cwd=tmp_path / "work")
    _git("push", "-q", "origin", "deeper", cwd=tmp_path / "work", token=play.token)
    sha = _git("rev-parse", "HEAD", cwd=tmp_path / "work").stdout.strip()
    _, payload, _ = play.receiver.wait("pull_request", "synchronize")[0]
    assert payload["after"] == sha == play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    assert f"{sha}\trefs/pull/1/head" in _git("ls-remote", url, token=play.token).stdout
    readonly = play.mint(permissions={"contents": "read"}).json["token"]
    assert _git("push", url, "HEAD:refs/heads/evil", cwd=tmp_path / "work", token=readonly,
                check=False).returncode != 0


def test_force_pushes_keep_the_old_commit(play):
    old = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    play.standin.post("repos/ann/iris/pulls/1/push", force=True, files={"x": "y"})
    _, payload, _ = play.receiver.wait("push", also=lambda p: p["forced"])[0]
    assert payload["before"] == old
    assert play.call("POST", f"{R}/statuses/{old}", {"state": "pending"}).status == 201


def test_forks_and_deleted_forks(play):
    made = play.standin.post("repos/ann/iris/pulls", title="From a fork", branch="patch", fork="zoe",
                             files={"z.txt": "z\n"})
    shown = play.call("GET", f"{R}/pulls/{made['number']}").json
    assert shown["head"]["repo"]["id"] != shown["base"]["repo"]["id"]
    assert shown["head"]["label"] == "zoe:patch"
    check = play.call("POST", f"{R}/check-runs", {"name": "x", "head_sha": made["head_sha"]})
    assert (check.status, check.json["pull_requests"]) == (201, [])
    play.standin.post(f"repos/ann/iris/pulls/{made['number']}/push")
    play.receiver.wait("pull_request", "synchronize")
    play.standin.post(f"repos/ann/iris/pulls/{made['number']}/delete-fork")
    shown = play.call("GET", f"{R}/pulls/{made['number']}").json
    assert shown["head"]["repo"] is None
    listed = _git("ls-remote", f"{play.standin.url}/ann/iris.git", token=play.token).stdout
    assert f"{shown['head']['sha']}\trefs/pull/{made['number']}/head" in listed
    play.comment("after the fork is gone")


def test_the_ref_may_lag_behind_the_push(play):
    play.standin.post("repos/ann/iris/pulls/1/push", quiet_refs=True)
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    url = f"{play.standin.url}/ann/iris.git"
    assert f"{sha}\trefs/pull/1/head" not in _git("ls-remote", url, token=play.token).stdout
    play.standin.post("repos/ann/iris/pulls/1/refs")
    assert f"{sha}\trefs/pull/1/head" in _git("ls-remote", url, token=play.token).stdout


def test_odd_trees_can_be_made(play):
    files = {"link": {"symlink": "../../etc/passwd"}, "sub": {"gitlink": "a" * 40},
             "run.sh": {"content": "#!/bin/sh\n", "mode": "100755"}, "with \"quotes\".txt": "x"}
    play.standin.post("repos/ann/iris/pulls/1/push", files=files)
    listed = {item["filename"] for item in play.call("GET", f"{R}/pulls/1/files").json}
    assert {"link", "sub", "run.sh"} <= listed


# GraphQL


def test_minimize_is_the_only_query(play):
    made = play.call("POST", f"{R}/issues/1/comments", {"body": "progress"}).json
    query = MINIMIZE.replace("{ minimized", "{\n  minimized")
    answer = play.call("POST", "/api/graphql", {"query": query, "variables": {"id": made["node_id"]}})
    assert answer.json == {"data": {"minimizeComment": {"minimizedComment": {"isMinimized": True}}}}
    assert answer.headers["x-ratelimit-resource"] == "graphql"
    shown = play.call("GET", f"{R}/issues/comments/{made['id']}").json
    assert shown["minimized"] == {"reason": "outdated"}
    answer = play.call("POST", "/graphql", {"query": MINIMIZE, "variables": {"id": "IC_nothing"}})
    assert (answer.status, answer.json["errors"][0]["type"]) == (200, "NOT_FOUND")
    narrow = play.mint(permissions={"contents": "read"}).json["token"]
    answer = play.call("POST", "/api/graphql", {"query": MINIMIZE, "variables": {"id": made["node_id"]}},
                       token=narrow)
    assert (answer.status, answer.json["errors"][0]["type"]) == (200, "FORBIDDEN")
    answer = play.call("POST", "/api/graphql", {"query": "{ viewer { login } }"})
    assert answer.status == 200 and "errors" in answer.json
    assert play.violations() == ["graphql"]


# pages


@pytest.mark.parametrize("text, wanted", [
    ("| a | b |\n|---|--:|\n| 1 | 2 |", '<td align="right">2</td>'),
    ("- [x] done", 'type="checkbox" disabled checked'),
    ("> [!WARNING]\n> hot", '<div class="markdown-alert markdown-alert-warning">\n<p class="markdown-'
                            'alert-title">Warning</p>\n<p>hot</p>'),
    ("one\ntwo", "one<br>"),
    ("hi @ann-b, mail a@b.c", '<a class="user-mention" href="/ann-b" rel="nofollow">@ann-b</a>, mail a@b'),
    ("`@ann` and ```\n", "<code>@ann</code>"),
    ("see #12", '<a class="issue-link" href="/o/r/pull/12" rel="nofollow">#12</a>'),
    ("~~no~~", "<s>no</s>"),
    ("<details><summary>S</summary>\n\n**b**\n\n</details>", "<summary>S</summary>"),
    (":rocket:", "🚀"),
    ("```mermaid\nflowchart TD\n a-->b\n```", '<pre class="mermaid">flowchart TD'),
    ("https://example.com/x?a=1&b=2.", '<a href="https://example.com/x?a=1&amp;b=2"'),
])
def test_markdown_as_github_renders_it(text, wanted):
    assert wanted in markdown.render(text, "o/r")


@pytest.mark.parametrize("text, unwanted", [
    ("<!-- kf:v1 job=1 -->\nhello", "kf:v1"),
    ("<script>alert(1)</script>x", "alert"),
    ("<img src=x onerror=alert(1)>", "onerror"),
    ("<a href=\"javascript:alert(1)\">x</a>", "javascript"),
    ("[x](javascript:alert(1))", "href=\"javascript"),
    ("<p style=\"color:red\" class=\"evil\">x</p>", "style"),
    ("<p class=\"evil\">x</p>", "evil"),
    ("<iframe src=\"//x\"></iframe>", "iframe"),
    ("<svg onload=alert(1)>", "<svg"),
    ("<textarea><script>", "<script"),
    ("a <b <script>alert(1)</script>", "<script"),
])
def test_markdown_lets_nothing_through(text, unwanted):
    assert unwanted not in markdown.render(text, "o/r")


def test_the_page_shows_the_conversation(play):
    play.call("POST", f"{R}/issues/1/comments", {"body": "<!-- kf:v1 job=1 -->\n**done** <script>x"})
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    run = play.call("POST", f"{R}/check-runs", {
        "name": "kfops/run", "head_sha": sha, "conclusion": "failure",
        "output": {"title": "train failed", "summary": "**why**", "annotations": [
            {"path": "src/train.py", "start_line": 1, "end_line": 1, "annotation_level": "failure",
             "message": "KeyError"}]}}).json
    page = play.call("GET", "/ann/iris/pull/1").raw.decode()
    for text in ("Deeper trees", "<strong>done</strong>", '<span class="badge">bot</span>', sha[:7],
                 "Some checks were not successful", "train failed", "wants to merge 1 commit"):
        assert text in page, text
    assert "kf:v1" not in page and "<script>x" not in page
    detail = play.call("GET", f"/ann/iris/runs/{run['id']}").raw.decode()
    assert "<strong>why</strong>" in detail and "KeyError" in detail and "Re-run" in detail
    for path in ("", "/commits", "/checks", "/files"):
        assert play.call("GET", f"/ann/iris/pull/1{path}").status == 200
    for path in ("/", "/ann/iris", f"/ann/iris/commit/{sha}", f"/ann/iris/blob/{sha}/src/train.py",
                 "/_standin/assets/page.js", "/_standin/assets/github.css"):
        assert play.call("GET", path).status == 200, path
    assert play.call("GET", "/ann/iris/pull/99").status == 404
    assert play.call("GET", "/_standin/assets/../app.py").status == 404


def test_the_pages_forms_act(play):
    def post(path, **form):
        return play.call("POST", path, raw=urllib.parse.urlencode(form).encode(),
                         headers={"Content-Type": "application/x-www-form-urlencoded"})
    answer = post("/ann/iris/pull/1/comment", user="ben", body="/build_run", do="comment")
    assert answer.status == 303
    _, payload, _ = play.receiver.wait("issue_comment", "created")[0]
    assert (payload["comment"]["body"], payload["sender"]["login"]) == ("/build_run", "ben")
    post("/ann/iris/pull/1/comment", user="ben", do="close")
    assert play.call("GET", f"{R}/pulls/1").json["state"] == "closed"
    text = play.standin.get("conversation/ann/iris/1.md")
    assert "# Deeper trees #1" in text and "**@ben**" in text and "/build_run" in text


def test_it_runs_as_a_process_of_its_own(tmp_path, key_pem):
    (tmp_path / "key.pem").write_bytes(key_pem)
    standin = StandinProcess("github", tmp_path / "state", "--app-id", "1", "--app-key-file",
                             str(tmp_path / "key.pem"))
    try:
        assert standin.post("repos", owner="ann", name="iris", files={"a": "b"})["full_name"] == "ann/iris"
        assert standin.violations() == []
    finally:
        standin.stop()


def test_mutations_can_be_waited_for(play):
    seen = play.standin.mutations()[-1]["seq"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(play.standin.mutations, seen, 10.0)
        play.comment("now")
        assert waiting.result(10)[0]["kind"] in ("comment.created", "delivery")
