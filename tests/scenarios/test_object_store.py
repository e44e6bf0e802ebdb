"""With which credentials models are found: keys for a while, a role, and what the environment gives if the operator
says so."""

import json
import subprocess

import harness
import models
import pytest

pytestmark = pytest.mark.scene(**models.KNATIVE_WAY)

ROLE, SUBJECT = "arn:aws:iam::123456789012:role/kfops", "system:serviceaccount:kfops:kfopsd"
KEYS = ("s3_access_key_file", "s3_secret_key_file")


def gives(scene, **options) -> None:
    """The operator gives these instead of the keys, and starts the bot again."""
    def change(config):
        cluster = config["clusters"][0]
        for key in KEYS:
            cluster.pop(key, None)
        cluster.update(options)
    scene.bot.configure(change)
    scene.restart_bot()


def identity(scene, lives_s: float = 3600) -> str:
    """The file with the service account's token, written anew."""
    path = str(scene.folder / "identity")
    scene.cluster.post("identity", file=path, subject=SUBJECT, lives_s=lives_s)
    return path


def s3_url(scene) -> str:
    return f"http://127.0.0.1:{scene.cluster.ports['s3']}"


def lent(scene) -> int:
    return len([item for item in scene.cluster.mutations() if item["kind"] == "sts.session"])


def plans(scene) -> str:
    """The /plan of somebody who may deploy, which looks at the model; what the bot says."""
    scene.ben.comments("/plan")
    assert scene.bot.ends() == "rocket"
    return scene.bot.answer("What `/deploy production` would do", patience=3)


def check_config(scene, **env: str) -> tuple[int, str]:
    done = subprocess.run([harness.daemon_path(), "--config", scene.bot.config_file, "--check-config"],
                          env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_a_role_lends_sessions(scene, bot, ann, ben):
    scene.cluster.post("roles", arn=ROLE, trusts=SUBJECT)
    gives(scene, s3_role_arn=ROLE, s3_identity_token_file=identity(scene), s3_sts_url=s3_url(scene))
    assert "ok   keys for the object store of cluster main" in check_config(scene)[1]
    before = lent(scene)
    models.deployed(scene)
    assert models.answers(scene) == [0] and lent(scene) == before + 1

    models.next_pull(scene, "Next")
    scene.cluster.post("sessions", end=True)
    identity(scene)
    models.has_run(scene, ann, 1)
    assert lent(scene) == before + 2
    scene.cluster.post("sessions", lives_s=240, end=True)
    assert "No gate refuses it" in plans(scene)
    near_its_end = lent(scene)
    assert "No gate refuses it" in plans(scene)
    assert lent(scene) > near_its_end

    scene.cluster.post("sessions", end=True)
    scene.expects_log("event=credentials_refused by=.object store of main")
    scene.cluster.post("roles", arn=ROLE, trusts=None)
    asked = ben.comments("/deploy")
    bot.answer("[!WARNING]", "the role does not trust this service account", to=asked)
    code, said = check_config(scene)
    assert code == 78 and f"the role {ROLE} cannot be taken on" in said
    scene.cluster.post("roles", arn=ROLE, trusts=SUBJECT)
    assert bot.ends(to=asked) == "rocket"
    assert models.answers(scene) == [1]


def test_keys_for_a_while(scene, bot, ann):
    keys = scene.cluster.state / "s3.json"

    def lends(number: int) -> dict:
        keys.write_text(json.dumps({f"ASIA{number}": {"secret": f"secret-{number}", "token": f"token-{number}"}}))
        return {f"s3_{name}_file": str(scene.write(f"s3-{name}", text)) for name, text in
                (("access_key", f"ASIA{number}"), ("secret_key", f"secret-{number}"),
                 ("session_token", f"token-{number}"))}

    gives(scene, **lends(1))
    models.has_run(scene, ann, 1)
    assert "No gate refuses it" in plans(scene)
    lends(2)
    assert "No gate refuses it" in plans(scene)


def test_what_the_environment_gives(scene, bot, ann):
    """Only where the file says so, and keys before a role, as AWS's own programs do it."""
    key, entry = next(iter(json.loads((scene.cluster.state / "s3.json").read_text()).items()))
    bot.env.update(AWS_ACCESS_KEY_ID="AKIANOBODY", AWS_SECRET_ACCESS_KEY="nothing")
    scene.restart_bot()
    models.has_run(scene, ann, 1)
    assert "No gate refuses it" in plans(scene)

    bot.env.update(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=entry["secret"])
    gives(scene, s3_environment=True)
    assert "No gate refuses it" in plans(scene)
    assert lent(scene) == 0

    code, said = check_config(scene)
    assert code == 78 and "s3_environment is on, but the environment has neither AWS_ACCESS_KEY_ID" in said

    scene.cluster.post("roles", arn=ROLE, trusts=SUBJECT)
    bot.env.clear()
    bot.env.update(AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=identity(scene))
    gives(scene, s3_sts_url=s3_url(scene))
    assert "No gate refuses it" in plans(scene)
    assert lent(scene) == 1


def test_faults_of_the_operators_file_have_their_line(scene, bot):
    bot.stop()
    bot.configure(lambda config: config["clusters"][0].pop("s3_secret_key_file"))
    lines = bot.config_file.read_text().splitlines()
    at = next(number for number, line in enumerate(lines, 1) if "s3_access_key_file" in line)
    code, said = check_config(scene)
    assert code == 78
    assert f"{bot.config_file}:{at}:1: clusters[0].s3_access_key_file needs s3_secret_key_file beside it" in said
