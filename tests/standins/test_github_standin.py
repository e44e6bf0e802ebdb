"""The GitHub stand-in, held against the reference: it has to be at least as unkind as the real thing. Who asks, what a
request must have, and what it answers."""

import json
import re
import time
import urllib.parse

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from github_play import R, SHARED, needs_shared, key_pem, play  # noqa: F401 (fixtures)
from github_standin import rest


# who is asking


@pytest.mark.parametrize("claims, status, text", [
    ({}, 200, None),
    ({"iss": 4242}, 200, None),
    ({"iss": "Iv23li00000000004242"}, 200, None),
    ({"iss": "777"}, 404, "Integration not found"),
    ({"exp": 7200}, 401, "'Expiration time' claim ('exp') is too far in the future"),
    ({"exp": -10}, 401, "must be a numeric value representing the future time"),
    ({"iat": 300}, 401, "'Issued at' claim ('iat')"),
])
def test_jwt_claims(play, claims, status, text):  # noqa: F811
    """Times are seconds from now; now is when the test runs, not when it is collected."""
    claims = {name: int(time.time()) + value if name in ("exp", "iat") else value for name, value in claims.items()}
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


def test_jwt_of_another_key_or_algorithm_is_refused(play):  # noqa: F811
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for token in (play.jwt(key=other), play.jwt(key="x" * 32, algorithm="HS256"), "a.b.c"):
        answer = play.call("GET", "/api/v3/app", token=token)
        assert (answer.status, answer.json["message"]) == (401, "A JSON web token could not be decoded")


def test_installation_tokens_are_long_dotted_scoped_and_end(play):  # noqa: F811
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


def test_token_scope_is_kept(play):  # noqa: F811
    other = play.standin.post("repos", owner="ann", name="other", files={"a": "b"})
    narrow = play.mint(repository_ids=[other["id"]], permissions={"contents": "read"}).json["token"]
    assert play.call("GET", R, token=narrow).status == 404
    answer = play.call("POST", "/api/v3/repos/ann/other/check-runs",
                       {"name": "x", "head_sha": other["head"]}, token=narrow)
    assert answer.status == 403
    assert answer.headers["x-accepted-github-permissions"] == "checks=write"
    assert play.mint(permissions={"administration": "write"}).status == 422
    assert play.mint(repository_ids=[1]).status == 422


def test_suspended_and_deleted_installations(play):  # noqa: F811
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


def test_a_fresh_token_may_answer_401_for_a_moment(play):  # noqa: F811
    play.standin.post("tokens", fresh_lag_s=5)
    token = play.mint().json["token"]
    assert play.call("GET", R, token=token).status == 401
    play.standin.advance(6)
    assert play.call("GET", R, token=token).status == 200


def test_personal_tokens_act_as_their_owner(play):  # noqa: F811
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
def test_violations_are_noted(play, change, status, kind):  # noqa: F811
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
def test_what_github_refuses_is_refused(play, path, body, field):  # noqa: F811
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    text = json.dumps(body).replace("SHA", sha)
    answer = play.call("POST", f"{R}/{path.replace('SHA', sha)}", json.loads(text))
    assert answer.status == 422
    assert field in json.dumps(answer.json)
    assert play.violations()


def test_unknown_commits_are_422_without_a_violation(play):  # noqa: F811
    for path, body in (("check-runs", {"name": "x", "head_sha": "a" * 40}),
                       ("statuses/" + "a" * 40, {"state": "pending"})):
        answer = play.call("POST", f"{R}/{path}", body)
        assert (answer.status, answer.json["message"]) == (422, f"No commit found for SHA: {'a' * 40}")


@needs_shared
def test_permissions_are_those_of_the_published_table():
    table = json.loads((SHARED / "app-permissions.json").read_text())["operations"]
    known = {"app JWT": "jwt", "installation token": "installation", "user token": "user", "none": "none",
             "installation or user token": "token"}
    not_in_it = {"GET /user/repos"}  # of people alone, so there is no permission of an App for it
    for route in rest.ROUTES:
        if route.name in not_in_it and route.name not in table:
            assert route.auth == "user"
            continue
        entry = table[route.name]
        assert route.alternatives == entry["any_of"], route.name
        assert route.auth == known[entry["auth"]], route.name


# conversations


def test_the_second_reaction_is_200_and_deleted_comments_are_404(play):  # noqa: F811
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


def test_locked_conversations_refuse_the_app(play):  # noqa: F811
    play.standin.post("repos/ann/iris/pulls/1/lock")
    answer = play.call("POST", f"{R}/issues/1/comments", {"body": "x"})
    assert (answer.status, answer.json["message"]) == \
        (403, "Unable to create comment because issue is locked.")


def test_lists_are_paged_by_number(play):  # noqa: F811
    for index in range(5):
        play.comment(f"comment {index}")
    answer = play.call("GET", f"{R}/issues/1/comments?per_page=2&page=2")
    links = {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', answer.headers["Link"])}
    assert set(links) == {"prev", "next", "last", "first"}
    assert re.search(r"/repositories/\d+/issues/1/comments\?per_page=2&page=3$", links["next"])
    rest_of = play.call("GET", urllib.parse.urlsplit(links["next"])._replace(
        scheme="", netloc="").geturl())
    assert [item["body"] for item in rest_of.json] == ["comment 4"]


def test_since_compares_the_time_of_change(play):  # noqa: F811
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


def test_etags_die_with_the_token_and_304_is_free(play):  # noqa: F811
    first = play.call("GET", f"{R}/pulls/1/reviews")
    tag = first.headers["ETag"]
    again = play.call("GET", f"{R}/pulls/1/reviews", headers={"If-None-Match": tag})
    assert (again.status, again.raw) == (304, b"")
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    other = play.call("GET", f"{R}/pulls/1/reviews", token=play.mint().json["token"],
                      headers={"If-None-Match": tag})
    assert other.status == 200


def test_last_modified_survives_the_token(play):  # noqa: F811
    made = play.comment("hello")
    path = f"{R}/issues/comments/{made['id']}"
    stamp = play.call("GET", path).headers["Last-Modified"]
    answer = play.call("GET", path, token=play.mint().json["token"], headers={"If-Modified-Since": stamp})
    assert answer.status == 304


def test_gzip_only_when_asked(play):  # noqa: F811
    assert "Content-Encoding" not in play.call("GET", R).headers
    answer = play.call("GET", R, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and answer.json["name"] == "iris"


# pull requests


def test_mergeable_is_null_first_and_a_push_forgets_it(play):  # noqa: F811
    seen = [play.call("GET", f"{R}/pulls/1").json["mergeable"] for _ in range(4)]
    assert seen[0] is None and seen[-1] is True
    play.standin.post("repos/ann/iris/pulls/1/push", files={"README.md": "# Mine\n"})
    play.standin.post("repos/ann/iris/commits", files={"README.md": "# Theirs\n"})
    seen = [play.call("GET", f"{R}/pulls/1").json for _ in range(4)]
    assert seen[0]["mergeable"] is None
    assert (seen[-1]["mergeable"], seen[-1]["mergeable_state"]) == (False, "dirty")
    answer = play.call("PUT", f"{R}/pulls/1/merge", {"sha": seen[-1]["head"]["sha"]})
    assert answer.status == 405


def test_merging_takes_the_head_it_was_given(play):  # noqa: F811
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


def test_workflow_changes_need_the_workflows_permission(play):  # noqa: F811
    play.standin.post("repos/ann/iris/pulls/1/push", files={".github/workflows/ci.yml": "on: push\n"})
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    assert play.call("PUT", f"{R}/pulls/1/merge", {"sha": sha}).status == 403


def test_renamed_repositories_answer_301_and_307(play):  # noqa: F811
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


def test_archived_repositories_are_read_only(play):  # noqa: F811
    play.standin.post("repos/ann/iris/settings", archived=True)
    answer = play.call("POST", f"{R}/issues/1/comments", {"body": "x"})
    assert (answer.status, answer.json["message"]) == \
        (403, "Repository was archived so is read-only.")


@pytest.mark.parametrize("role, base, permission, push", [
    ("admin", None, "admin", True), ("maintain", None, "write", True), ("write", None, "write", True),
    ("triage", None, "read", False), ("read", None, "read", False), ("none", None, "none", False),
    ("ml-lead", "write", "write", True)])
def test_permission_folds_roles(play, role, base, permission, push):  # noqa: F811
    body = {"login": "zoe", "role": role, **({"base": base} if base else {})}
    play.standin.post("repos/ann/iris/permissions", **body)
    answer = play.call("GET", f"{R}/collaborators/zoe/permission").json
    assert (answer["permission"], answer["role_name"]) == (permission, role)
    assert answer["user"]["permissions"]["push"] is push


def test_a_login_can_belong_to_somebody_else_later(play):  # noqa: F811
    before = play.call("GET", f"{R}/collaborators/ben/permission").json["user"]["id"]
    play.standin.post("users", login="ben", id=99)
    after = play.call("GET", f"{R}/collaborators/ben/permission").json
    assert after["user"]["id"] == 99 != before
    assert after["permission"] == "none"


# checks and statuses


def test_check_runs_belong_to_one_app(play):  # noqa: F811
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


def test_combined_status(play):  # noqa: F811
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    assert play.call("GET", f"{R}/commits/{sha}/status").json["state"] == "pending"
    for state in ("pending", "success"):
        play.call("POST", f"{R}/statuses/{sha}", {"state": state, "context": "KFops/Run"})
    combined = play.call("GET", f"{R}/commits/{sha}/status").json
    assert (combined["state"], combined["total_count"]) == ("success", 1)
    assert len(play.call("GET", f"{R}/commits/{sha}/statuses").json) == 2
