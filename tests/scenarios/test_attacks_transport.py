"""Attacks on the way in, through the real door: rows 1 to 18 of the list in tests/attacks.toml, and pages that are not
there."""

import concurrent.futures
import copy
import gzip
import hashlib
import hmac
import json
import select
import socket
import subprocess
import threading
import urllib.parse
import uuid

import pytest

import harness
from attack_kit import Door, ONE_MIB, body_of, memory_kib, refused


def test_1_no_signature(door, nothing_happens):
    body, before = body_of(door), refused(door)
    assert door.post(body, door.headers(body, X_Hub_Signature_256=None)) == 401
    assert door.post(b"{not json", door.headers(body, X_Hub_Signature_256=None)) == 401  # not even parsed
    assert refused(door) == before + 2


def test_2_empty_secret(door, tmp_path):
    config = json.loads(door.scene.bot.config_file.read_text())
    for text in ("", " \n\t"):
        (tmp_path / "empty").write_text(text)
        (tmp_path / "empty").chmod(0o600)
        config["server"]["webhook_secret_file"] = str(tmp_path / "empty")
        (tmp_path / "kfops.yaml").write_text(json.dumps(config))
        done = subprocess.run([str(harness.daemon_path()), "--config", str(tmp_path / "kfops.yaml")],
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 78 and "webhook_secret_file" in done.stderr


def test_3_wrong_secret(door, nothing_happens):
    body = body_of(door)
    for secret in ("another", door.scene.webhook_secret + "x", door.scene.webhook_secret[:-1], " "):
        assert door.post(body, door.headers(body, X_Hub_Signature_256=door.sign(body, secret))) == 401


def test_4_sha_1_only(door, nothing_happens):
    body = body_of(door)
    sha1 = "sha1=" + hmac.new(door.scene.webhook_secret.encode(), body, hashlib.sha1).hexdigest()
    assert door.post(body, door.headers(body, X_Hub_Signature_256=None, X_Hub_Signature=sha1)) == 401
    assert door.post(body, door.headers(body, X_Hub_Signature_256=sha1)) == 401


@pytest.mark.parametrize("change", [
    lambda s: s[:-1], lambda s: s[:-2], lambda s: s + "0", lambda s: s[:-1] + "g", lambda s: s[:7] + s[7:].upper(),
    lambda s: s + "00", lambda s: s[7:], lambda s: "SHA256=" + s[7:], lambda s: "sha256:" + s[7:], lambda s: "sha256=",
    lambda s: "sha256= " + s[7:], lambda s: s + " ", lambda s: s + "\t", lambda s: s + " x", lambda s: s + "\u00a0", lambda s: "sha256=" + "0" * 10_000,
    lambda s: s + "," + s, lambda s: "sha256=" + s,
], ids=["odd", "short", "one more", "not hex", "upper case", "long", "bare", "SHA256", "colon", "empty", "blank inside",
        "trailing space", "trailing tab", "more behind a blank", "another blank", "huge", "two in one", "named twice"])
def test_5_malformed_signature(door, nothing_happens, change):
    body = body_of(door)
    assert door.post(body, door.headers(body, X_Hub_Signature_256=change(door.sign(body)))) == 401


def test_5_two_signature_headers(door, nothing_happens):
    body = body_of(door)
    for first, second in ((door.sign(body), door.sign(body, "wrong")), (door.sign(body, "wrong"), door.sign(body)),
                          (door.sign(body), door.sign(body))):
        twice = f"Content-Length: {len(body)}\r\nX-Hub-Signature-256: {second}\r\nConnection: close\r\n\r\n"
        assert door.raw(door.head(body, twice, X_Hub_Signature_256=first) + body) == (401, True)


def test_6_one_byte_changed(door, nothing_happens):
    body = body_of(door)
    for at in (0, len(body) // 2, len(body) - 1):
        changed = bytearray(body)
        changed[at] ^= 1
        assert door.post(bytes(changed), door.headers(body)) == 401
    assert door.post(body + b"\n", door.headers(body)) == 401


def test_8_deep_json_bomb(door, nothing_happens):
    before = memory_kib(door)
    deep = b'{"action":"created","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert door.post(deep, door.headers(deep, X_Hub_Signature_256=None)) == 401
    for bomb in (deep, deep[:100_000], b'{"x":' * 100_000, b"[" * ONE_MIB, b'{"a":[' * 100_000 + b"]}" * 100_000):
        assert door.send(bomb) == 400
    assert memory_kib(door) - before < 50_000


def test_8_escapes_bomb(door, nothing_happens):
    before = memory_kib(door)
    for size, signed in ((ONE_MIB - 100, 400), (10 * ONE_MIB, 413)):  # what is read is 1 MiB at most
        escapes = b'{"comment":{"body":"' + b"\\u0041" * (size // 6) + b'"}}'
        end = f"Content-Length: {len(escapes)}\r\nConnection: close\r\n\r\n"
        assert door.raw(door.head(escapes, end, X_Hub_Signature_256=None) + escapes) == (401, True)
        assert door.raw(door.head(escapes, end) + escapes) == (signed, True)
    assert memory_kib(door) - before < 50_000


def test_9_oversize(door, nothing_happens):
    before = memory_kib(door)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    for signature in (None, "sha256=" + "0" * 64):
        head = door.head(b"", X_Hub_Signature_256=signature)
        assert door.raw(head + b"Content-Length: 1073741824\r\n\r\n" + b"x" * 1000) == (413, True)
        assert door.raw(head + b"Content-Length: 99999999999999999999999\r\n\r\n") == (413, True)
        assert door.raw(head + b"Content-Length: 26214401\r\n\r\n") == (413, True)
        without_end = door.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 420)  # 26 MiB
        assert without_end == (413 if signature else 401, True)
    bomb = gzip.compress(b"\0" * (200 * ONE_MIB), 9)
    for kind in ("gzip", "deflate", "br", "identity"):  # a body is taken as it comes, or not at all
        assert door.post(bomb, door.headers(bomb, Content_Encoding=kind)) == 415
    assert memory_kib(door) - before < 50_000


DRIP_S = 5


def test_10_slow_sender(door, nothing_happens):
    """A thousand of them, each with a byte every five seconds, in head or body. Nobody else has to wait for them, and
    each is cut off."""
    slow = []
    for i in range(1000):
        sock = socket.create_connection(("127.0.0.1", door.port), 5, source_address=(f"127.0.0.{2 + i % 2}", 0))
        sock.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\n" + (door.head(b"x" * 100).partition(b"\r\n")[2] +
                     b"Content-Length: 100\r\n\r\nx" if i % 4 < 2 else b"X-A: "))
        slow.append(sock)
    stop, watched = threading.Event(), select.poll()
    for sock in slow:
        watched.register(sock, select.POLLIN)

    def drip():
        while not stop.wait(DRIP_S):
            for sock in slow:
                try:
                    sock.send(b"x", socket.MSG_NOSIGNAL)
                except OSError:
                    pass  # cut off
    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        body = json.dumps({"zen": "quick", "hook_id": 1}).encode()
        for _ in range(10):
            assert door.post(body, door.headers(body, event="ping")) == 200
            assert watched.poll(0) == [], "the slow ones are still there"
        for sock in slow:
            sock.settimeout(30)
            try:
                while sock.recv(1000):
                    pass
            except ConnectionResetError:
                pass
    finally:
        stop.set()
        dripping.join()
        for sock in slow:
            sock.close()


PING = b'{"zen":"x","hook_id":1}'
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PING), PING)
SIZED = b"Content-Length: %d\r\n" % len(PING)
SMUGGLED = {  # behind a head that is signed for PING, so that whoever reads it as a ping says 200
    "CL and TE": SIZED + CHUNKED,
    "TE and CL": CHUNKED.replace(b"\r\n\r\n", b"\r\n" + SIZED + b"\r\n", 1),
    "two lengths": SIZED + b"Content-Length: 5\r\n\r\n" + PING,
    "the same length twice": SIZED * 2 + b"\r\n" + PING,
    "two lengths in one": SIZED.replace(b"\r\n", b", 5\r\n") + b"\r\n" + PING,
    "a folded header": SIZED + b"X-A: b\r\n c\r\n\r\n" + PING,
    "a folded length": b"Content-Length:\r\n %d\r\n\r\n" % len(PING) + PING,
    "NUL in a value": b"X-A: b\0c\r\n" + SIZED + b"\r\n" + PING,
    "NUL in a name": b"X\0A: b\r\n" + SIZED + b"\r\n" + PING,
    "bare LF": b"X-A: b\n" + SIZED + b"\r\n" + PING,
    "bare LF at the end": SIZED[:-2] + b"\n\n" + PING,
    "an empty line of LF": SIZED + b"\n" + PING,
    "bare LF before the empty line": SIZED[:-2] + b"\n\r\n" + PING,
    "bare CR": b"X-A: b\rc\r\n" + SIZED + b"\r\n" + PING,
    "a line without a colon": b"X-A\r\n" + SIZED + b"\r\n" + PING,
    "blank before the colon": SIZED.replace(b":", b" :") + b"\r\n" + PING,
    "an unknown coding": CHUNKED.replace(b"chunked", b"chunked, identity"),
    "two codings": b"Transfer-Encoding: chunked\r\n" + CHUNKED,
    "a coding in disguise": CHUNKED.replace(b"chunked", b"xchunked"),
    "a chunk of the wrong form": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
}
LENGTHS = ["-1", "0x17", "+23", "23x", "2 3", ""]


@pytest.mark.parametrize("name", SMUGGLED)
def test_11_smuggling(door, nothing_happens, name):
    assert door.raw(door.head(PING, event="ping") + SMUGGLED[name]) == (400, True)


@pytest.mark.parametrize("length", LENGTHS)
def test_11_lengths_that_are_no_numbers(door, nothing_happens, length):
    status, closed = door.raw(door.head(PING, f"Content-Length: {length}\r\n\r\n", event="ping") + PING)
    assert status in (400, 413) and closed


def test_11_a_second_request_behind_the_first(door, nothing_happens):
    """One that is sized twice must not have its tail read as another request."""
    tail = b"POST /webhook HTTP/1.1\r\nHost: x\r\n" + door.head(PING, event="ping").partition(b"Host: x\r\n")[2] + \
        SIZED + b"\r\n" + PING
    assert door.raw(door.head(PING, event="ping") + SIZED + CHUNKED + tail) == (400, True)


def test_12_replay_of_the_same_guid(scene, bot, ann):
    door = Door(scene)
    payload, guid = scene.comment_payload(ann, "/build_run"), str(uuid.uuid4())
    assert door.send(payload, guid=guid) == 202
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        again = list(pool.map(lambda _: door.send(payload, guid=guid), range(20)))
        other = list(pool.map(lambda _: door.send(payload), range(20)))  # other GUIDs: the header is not signed
    assert set(again + other) == {202}
    assert bot.ends() == "rocket"
    assert len(bot.jobs()) == 1 and len(scene.kubeflow.runs()) == 1 and len(bot.comments()) == 1


def test_13_old_replay(scene, bot, ann):
    assert Door(scene).send(scene.comment_payload(ann, "/build_run", age_minutes=30 * 24 * 60)) == 202
    assert bot.ends() == "confused"
    bot.answer("`comment.late`")
    assert scene.kubeflow.runs() == []


def test_14_event_and_type_mixed(door, nothing_happens):
    command = door.comment("/build_run")
    for event, statuses in (("pull_request", (202, 400)), ("check_run", (202, 400)), ("installation", (202, 400)),
                            ("push", (202,)), ("no_such_event", (202,)), ("ISSUE_COMMENT", (202, 400)), ("", (400,))):
        assert door.send(command, event=event) in statuses, event
    assert door.send({"zen": "x", "hook_id": 1}, event="ping") == 200
    assert door.send({}, event="issue_comment") in (202, 400)
    body = json.dumps(command).encode()
    assert door.post(body, door.headers(body, X_GitHub_Event=None)) == 400
    for guid in ("x", "", "00000000000040008000000000000000", "z" * 36):
        assert door.send(command, guid=guid or " ") == 400


CHANGED = {
    "no repository": lambda p: p.pop("repository"),
    "repository is null": lambda p: p.update(repository=None),
    "no comment": lambda p: p.pop("comment"),
    "comment is a list": lambda p: p.update(comment=[]),
    "issue is null": lambda p: p.update(issue=None),
    "a ghost wrote it": lambda p: p["comment"].update(user=None),
    "no sender": lambda p: p.update(sender=None),
    "an id as text": lambda p: p["comment"].update(id="12"),
    "a huge id": lambda p: p["comment"].update(id=2 ** 64),
    "a negative id": lambda p: p["comment"].update(id=-5),
    "a fraction": lambda p: p["comment"].update(id=1.5),
    "a body of numbers": lambda p: p["comment"].update(body=5),
    "no body": lambda p: p["comment"].pop("body"),
    "a date that is none": lambda p: p["comment"].update(created_at="yesterday"),
    "a name with three parts": lambda p: p["repository"].update(full_name="a/b/c"),
    "a name that leads out": lambda p: p["repository"].update(full_name="../.."),
    "action is a number": lambda p: p.update(action=1),
    "a huge repository": lambda p: p["repository"].update(id=2 ** 63),
    "a huge installation": lambda p: p["installation"].update(id=10 ** 30),
    "ids as text everywhere": lambda p: [p[part].update(id=str(p[part]["id"])) for part in ("comment", "repository")],
    "a number as text": lambda p: p["issue"].update(number="1"),
    "not a pull request": lambda p: p["issue"].pop("pull_request"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_15_missing_or_null_fields(door, nothing_happens, name):
    payload = door.comment("/build_run")
    CHANGED[name](payload)
    assert door.send(payload) in (202, 400)


def test_15_the_author_of_the_pull_request_is_gone(scene, bot, ann):
    """Null where a person was, and nobody minds: the comment's author counts."""
    door, payload = Door(scene), scene.comment_payload(ann, "/build_run")
    payload["issue"]["user"] = None
    assert door.send(payload) == 202
    assert bot.ends() == "rocket"


def test_15_the_fork_is_gone(door, nothing_happens):
    """head.repo is null from then on; such a pull request is a fork's still."""
    door.scene.webhooks_are_idle()
    event = next(item["request"]["payload"] for item in door.scene.github.get("deliveries", whole=1)["deliveries"]
                 if item["event"] == "pull_request")
    for head in ({"repo": None}, {"repo": None, "user": None}, {"repo": None, "sha": None}, {"sha": "x" * 40}, {"ref": None}):
        changed = copy.deepcopy(event)
        changed["pull_request"]["head"].update(head)
        assert door.send(changed, event="pull_request") in (202, 400)


def test_16_bad_text(door, nothing_happens):
    for text in (b'"\\u0000/build_run"', b'"/build_run\\u0000"', b'"/bui\\u0000ld_run"', b'"/build_run\\u0000 --no-cache"',
                 b'"x\\u0000\\n/build\\u0000_run"', b'"\\ud800/build_run"', b'"/build_run\\ud800"', b'"\\udc00\\ud800 x"'):
        body = json.dumps(door.comment("BODY")).encode().replace(b'"BODY"', text)
        assert door.send(body) in (202, 400), text
    for text in (b'"/build_run \xff"', b'"/build_run\xc0\x80"', b'"\xed\xa0\x80/build_run"', b'"/build_run\n\x00"'):
        body = json.dumps(door.comment("BODY")).encode().replace(b'"BODY"', text)
        assert door.send(body) == 400, text
    door.scene.wait_until(lambda: not door.scene.bot.unsaid(), "answers, if any")
    for item in door.scene.bot.comments():  # a NUL is no end of the line: the command is refused, not run
        assert "`command." in item["body"]
        door.scene.github.send("DELETE", f"comments/{item['id']}")


def test_17_form_encoding(door, nothing_happens):
    once = urllib.parse.quote_plus(json.dumps(door.comment("/build_run")))
    for payload in (once, urllib.parse.quote_plus(once)):
        body = f"payload={payload}".encode()
        for kind in ("application/x-www-form-urlencoded", "APPLICATION/X-WWW-FORM-URLENCODED; charset=utf-8",
                     "multipart/form-data; boundary=x", "text/plain", None):
            assert door.post(body, door.headers(body, Content_Type=kind)) == 415
        assert door.post(body, door.headers(body)) == 400


def test_18_foreign_repository(door, nothing_happens):
    for name in ("other/iris", "lab2/iris", "lab/iris/x", "xlab/iris", "*/iris", "lab/*"):
        payload = door.comment("/build_run")
        payload["repository"].update(full_name=name, id=99)
        assert door.send(payload) in (202, 400), name


def test_18_foreign_installation(scene, bot, ann):
    """One that is not there, and one of somebody else who has the App too: no token comes of either, so nothing is
    asked, run or said, here or there; the log has it."""
    scene.expects_log("report_refused|github.not_installed|grants less")
    scene.github.post("repos", owner="other", name="iris", collaborators={"eve": "admin"})
    theirs = next(item["id"] for item in scene.github.get("installations") if item["account"]["login"] == "other")
    door = Door(scene)
    for number, code in ((987654, "github.not_installed"), (theirs, "github.invalid")):
        payload = scene.comment_payload(ann, "/build_run")
        payload["installation"]["id"] = number
        assert door.send(payload) == 202
        job = bot.job_of()
        scene.wait_until(lambda: not bot.unfinished(), "the job to end")
        assert next(each["code"] for each in bot.jobs() if each["id"] == job["id"]) == code
        scene.wait_until(lambda: any(line.get("level") == "warn" for line in bot.log_lines()), "a warning")
    assert scene.kubeflow.runs() == [] and bot.comments() == []
    scene.may_leave_unsaid = True


@pytest.mark.parametrize("path", ["/setup", "/setup/callback?code=x&state=y", "/login", "/dashboard", "/jobs/1", "/api/jobs"])
def test_65_66_there_are_no_such_pages(door, nothing_happens, path):
    assert door.scene.bot.get(path)[0] == 404
