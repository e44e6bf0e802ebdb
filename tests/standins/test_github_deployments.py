"""Deployments of GitHub's stand-in: the defaults that surprise, statuses, and what is made inactive."""

from github_play import R, key_pem, play  # noqa: F401 (fixtures)

D = f"{R}/deployments"


def make(play, sha, **body):
    return play.call("POST", D, {"ref": sha, "auto_merge": False, "required_contexts": [], **body})


def test_the_defaults_merge_the_base_and_ask_for_green(play):  # noqa: F811
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    play.call("POST", f"{R}/statuses/{sha}", {"state": "pending", "context": "build"})
    assert play.call("POST", D, {"ref": sha, "auto_merge": False}).status == 409
    assert make(play, sha).status == 201
    play.standin.post("repos/ann/iris/commits", branch="main", files={"new.md": "x\n"})
    assert play.call("POST", D, {"ref": sha, "required_contexts": []}).status == 202
    assert len(play.call("GET", D).json) == 1


def test_a_deployment_is_found_by_commit_and_environment(play):  # noqa: F811
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    made = make(play, sha, environment="staging", payload={"job": "J1"}).json
    found = play.call("GET", f"{D}?sha={sha}&environment=staging&per_page=100").json
    assert [each["id"] for each in found] == [made["id"]] and found[0]["payload"] == {"job": "J1"}
    assert play.call("GET", f"{D}?environment=production").json == []
    assert make(play, "0" * 40).status == 422
    play.standin.send("DELETE", "violations")  # that was on purpose


def test_success_makes_earlier_ones_inactive_but_not_production(play):  # noqa: F811
    sha = play.call("GET", f"{R}/pulls/1").json["head"]["sha"]
    for environment, want in (("staging", "inactive"), ("production", "success")):
        first = make(play, sha, environment=environment).json["id"]
        second = make(play, sha, environment=environment).json["id"]
        for each in (first, second):
            answer = play.call("POST", f"{D}/{each}/statuses", {"state": "success"})
            assert answer.status == 201 and answer.json["environment"] == environment
        newest = play.call("GET", f"{D}/{first}/statuses").json[0]
        assert newest["state"] == want
    assert play.call("POST", f"{D}/{first}/statuses", {"state": "done"}).status == 422
    play.standin.send("DELETE", "violations")  # that was on purpose
