"""The GitHub stand-in: its limits, and the faults that tests script."""

import concurrent.futures
import http.client
import json
import pathlib
import re
import socket
import time

import pytest
from github_play import R, SHARED, needs_shared, key_pem, play  # noqa: F401 (fixtures)
from github_standin.samples import BUILT_IN


# limits


@pytest.mark.parametrize("status, with_header", [(403, True), (429, True), (403, False)])
def test_the_content_budget_bites_and_waiting_is_watched(play, status, with_header):  # noqa: F811
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


def test_waiting_is_watched_also_when_a_fault_is_met_instead(play):  # noqa: F811
    play.standin.fault("sample", path="/pulls/1$", times=-1, name="secondary-limit")
    for _ in range(3):
        assert play.call("GET", f"{R}/pulls/1").status == 403
        time.sleep(0.15)
    assert play.violations() == ["told_to_wait"] * 2


def test_the_primary_limit_names_its_end(play):  # noqa: F811
    play.standin.post("limits", primary_per_hour=3, reset=True)
    answers = [play.call("GET", R) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 403]
    assert answers[3].headers["x-ratelimit-remaining"] == "0"
    assert int(answers[3].headers["x-ratelimit-reset"]) > time.time() + 3000
    assert "API rate limit exceeded" in answers[3].json["message"]
    play.standin.take_violations()


def test_more_than_ten_at_once_is_a_violation(play):  # noqa: F811
    play.standin.fault("delay", path="/pulls/1$", times=-1, seconds=0.5)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: play.call("GET", f"{R}/pulls/1"), range(12)))
    assert set(play.violations()) == {"concurrency"}


def test_writes_too_close_together_are_noticed(play):  # noqa: F811
    play.standin.post("limits", write_gap_s=1.0)
    for _ in range(2):
        play.call("POST", f"{R}/issues/1/comments", {"body": "x"})
    assert play.violations() == ["write_gap"]


@needs_shared
@pytest.mark.parametrize("name", ["secondary-limit", "unicorn", "bad-credentials", "gone",
                                  "primary-limit-installation", "jwt-undecodable"])
def test_named_samples(play, name):  # noqa: F811
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


def test_faults_before_the_act_do_nothing(play):  # noqa: F811
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
def test_faults_after_the_act_have_acted(play, kind, error):  # noqa: F811
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


def test_slow_bytes_and_late_answers(play):  # noqa: F811
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


def test_stale_reads_hide_what_is_new(play):  # noqa: F811
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


def test_random_faults_follow_their_seed(play):  # noqa: F811
    def run():
        play.standin.post("faults/random", seed=7, rate=0.5, kinds=["status"],
                          match={"path_regex": "/reviews$"})
        return [play.call("GET", f"{R}/pulls/1/reviews").status for _ in range(20)]
    first = run()
    assert first == run()
    assert {200, 500} == set(first)


def test_bad_faults_are_refused(play):  # noqa: F811
    for bad in ({"kind": "meteor"}, {"kind": "drop"}, {"kind": "lost_answer", "match": {"on": "webhook"}},
                {"kind": "delay", "match": {"on": "the moon"}}):
        with pytest.raises(Exception, match="unknown fault kind"):
            play.standin.post("faults", **bad)
    with pytest.raises(Exception, match="unknown fault kind"):
        play.standin.post("faults/random", rate=1, kinds=["drop"])
