"""Secrets, and where requests go: rows 61 to 67 of the list in tests/attacks.toml."""

import datetime
import http.server
import re
import ssl
import subprocess
import threading
import uuid

import harness
import texts
from attack_kit import Trap


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
