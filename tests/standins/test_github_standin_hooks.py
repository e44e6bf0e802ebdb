"""The GitHub stand-in: webhooks out, git over HTTP, GraphQL."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import time

import pytest
from github_play import R, MINIMIZE, SECRET, SHARED, needs_shared, key_pem, play  # noqa: F401 (fixtures)
from github_standin import graphql
from standin_common.process import Refused
from standin_common import clock


# webhooks


def test_webhooks_are_signed_and_have_githubs_headers(play):  # noqa: F811
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


def test_the_bot_hears_itself(play):  # noqa: F811
    play.call("POST", f"{R}/issues/1/comments", {"body": "mine"})
    _, payload, _ = play.receiver.wait("issue_comment", "created")[0]
    assert payload["sender"]["type"] == "Bot"
    assert payload["comment"]["performed_via_github_app"]["id"] == 4242


@needs_shared
def test_payloads_fit_the_published_schema(play):  # noqa: F811
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


def test_failed_deliveries_are_kept_and_never_repeated(play):  # noqa: F811
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


def test_deliveries_are_paged_by_cursor(play):  # noqa: F811
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


def test_webhooks_are_doubled_delayed_dropped_and_spoilt_on_script(play):  # noqa: F811
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


def test_repository_hooks_for_token_mode(play):  # noqa: F811
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


def test_git_over_http_with_tokens(play, tmp_path):  # noqa: F811
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


def test_pushes_move_the_pull_request(play, tmp_path):  # noqa: F811
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


def test_force_pushes_keep_the_old_commit(play):  # noqa: F811
    old = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    play.standin.post("repos/ann/iris/pulls/1/push", force=True, files={"x": "y"})
    _, payload, _ = play.receiver.wait("push", also=lambda p: p["forced"])[0]
    assert payload["before"] == old
    assert play.call("POST", f"{R}/statuses/{old}", {"state": "pending"}).status == 201


def test_forks_and_deleted_forks(play):  # noqa: F811
    made = play.standin.post("repos/ann/iris/pulls", title="From a fork", branch="patch", fork="zoe",
                             files={"z.txt": "z\n"})
    shown = play.call("GET", f"{R}/pulls/{made['number']}").json
    assert shown["head"]["repo"]["id"] != shown["base"]["repo"]["id"]
    assert shown["head"]["label"] == "zoe:patch" and shown["maintainer_can_modify"] is True
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
    closed = play.standin.post("repos/ann/iris/pulls", title="For nobody else", branch="mine", fork="zoe",
                               files={"z.txt": "z\n"}, maintainer_can_modify=False)
    assert play.call("GET", f"{R}/pulls/{closed['number']}").json["maintainer_can_modify"] is False
    with pytest.raises(Refused):
        play.standin.post(f"repos/ann/iris/pulls/{closed['number']}/push", user="ann")
    play.standin.post(f"repos/ann/iris/pulls/{closed['number']}/push", user="zoe")


def test_the_ref_may_lag_behind_the_push(play):  # noqa: F811
    play.standin.post("repos/ann/iris/pulls/1/push", quiet_refs=True)
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    url = f"{play.standin.url}/ann/iris.git"
    assert f"{sha}\trefs/pull/1/head" not in _git("ls-remote", url, token=play.token).stdout
    play.standin.post("repos/ann/iris/pulls/1/refs")
    assert f"{sha}\trefs/pull/1/head" in _git("ls-remote", url, token=play.token).stdout


def test_odd_trees_can_be_made(play):  # noqa: F811
    files = {"link": {"symlink": "../../etc/passwd"}, "sub": {"gitlink": "a" * 40},
             "run.sh": {"content": "#!/bin/sh\n", "mode": "100755"}, "with \"quotes\".txt": "x"}
    play.standin.post("repos/ann/iris/pulls/1/push", files=files)
    listed = {item["filename"] for item in play.call("GET", f"{R}/pulls/1/files").json}
    assert {"link", "sub", "run.sh"} <= listed


# GraphQL


def test_minimize_and_what_is_refused(play):  # noqa: F811
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


def pushes(play):
    node = play.call("GET", f"{R}/pulls/1").json["node_id"]
    answer = play.call("POST", "/api/graphql", {"query": graphql.PUSHES, "variables": {"id": node}})
    return answer.json["data"]["node"]


def test_what_is_written_down_of_pushes(play):  # noqa: F811
    """Times of GitHub's own; the dates in a commit do not show."""
    first = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    seen = pushes(play)
    assert seen["headRefOid"] == first and seen["timelineItems"]["nodes"] == [] and not seen["isCrossRepository"]
    play.standin.post("time", stop=True, advance=100)
    play.standin.post("repos/ann/iris/pulls/1/push", files={"b.md": "b\n"}, backdated=86400)
    now = play.standin.get("time")["now"]
    assert int(now) == now  # it stands, at the beginning of a second
    seen = pushes(play)
    commit = seen["commits"]["nodes"][0]["commit"]
    assert commit["oid"] == seen["headRefOid"] != first
    assert [(suite["createdAt"], suite["branch"]["name"]) for suite in commit["checkSuites"]["nodes"]] == \
        [(clock.iso(now), seen["headRefName"])]
    play.standin.post("time", stop=False, advance=10)
    play.standin.post("repos/ann/iris/pulls/1/reset", sha=first)
    forced = pushes(play)["timelineItems"]["nodes"]
    assert [item["afterCommit"]["oid"] for item in forced] == [first] and forced[0]["createdAt"] > clock.iso(now)
    gone = play.call("POST", "/api/graphql", {"query": graphql.PUSHES, "variables": {"id": "PR_nothing"}})
    assert gone.json["errors"][0]["type"] == "NOT_FOUND"


def test_no_more_than_250_commits_are_listed(play):  # noqa: F811
    alike = play.standin.post("repos/ann/iris/pulls/1/alike", user="ann")["shas"]
    assert alike[0][:7] == alike[1][:7] and alike[0] != alike[1]
    listed = [each["sha"] for each in play.call("GET", f"{R}/pulls/1/commits?per_page=100").json]
    assert set(alike) < set(listed)
    play.standin.post("repos/ann/iris/pulls/1/push", files={"b.md": "b\n"}, commits=255)
    pages = [play.call("GET", f"{R}/pulls/1/commits?per_page=100&page={page}").json for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [100, 100, 50, 0]
