"""kfc as people use it: a file before it is merged, a question about somebody, a workflow that looks at exit codes."""

import json
import pathlib
import re
import subprocess

import pytest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVELS = ("none", "read", "triage", "write", "maintain", "admin")
ANN = 1001

POLICY = """commands:
  run: { permission: write, teams: [ml-eng] }
environments:
  staging: { deploy: { permission: write } }
  production: { deploy: { teams: [ml-leads] }, after: staging, canary: [10], merge: squash, approvals: 1 }
"""


def kfc(*args, cwd=None, stdin=None):
    program = harness.daemon_path().parent / "kfc"
    if not program.exists():
        pytest.skip(f"no {program}: build first, or set KFOPS_BUILD")
    return subprocess.run([program, *map(str, args)], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=60)


def payload(body: str) -> str:
    """A webhook, as small as it may be."""
    person = {"login": "ann", "id": ANN, "type": "User"}
    return json.dumps({
        "action": "created",
        "issue": {"number": 7, "state": "open", "user": person, "pull_request": {"url": "https://api.github.com/x"}},
        "comment": {"id": 5, "body": body, "user": person, "created_at": "2026-11-27T10:00:00Z",
                    "author_association": "OWNER", "performed_via_github_app": None},
        "repository": {"id": 9, "full_name": "acme/model", "default_branch": "main"},
        "sender": person})


@pytest.fixture
def simulate(tmp_path):
    def ask(body, policy=POLICY, answers=None, ceilings=None):
        files = {"payload": payload(body), "policy": policy, "answers": answers and json.dumps(answers),
                 "ceilings": ceilings}
        args = []
        for name, text in files.items():
            if text is not None:
                (tmp_path / f"{name}.file").write_text(text)
                args += [f"--{name}", tmp_path / f"{name}.file"]
        return kfc("simulate", *args)
    return ask


MEASURED = """environments:
  production: { deploy: { permission: write }, approvals: 1, approvers: { teams: [ml-leads], users: [kim] } }
metrics: { accuracy: { min: 0.9, max_drop: 0.01 } }
"""


def test_whose_jobs_a_cancel_stops(simulate):
    reader = {"permission": "read"}
    done = simulate("/cancel all", POLICY, reader)
    assert done.returncode == 0 and "stops their own jobs, and of others none\n" in done.stdout
    leads = {**reader, "teams": {"ml-leads": True}}
    said = simulate("/cancel", POLICY, leads).stdout
    assert "deploy production" in said and "lock production" in said and "staging" not in said and "run" not in said
    stricter = simulate("/cancel", "commands: { cancel: { permission: write } }\n", reader)
    assert stricter.returncode != 0 and "denied.permission" in stricter.stdout


def test_metrics_and_approvers_are_tried_too(simulate):
    ann = {"permission": "write", "approvals": 1}
    done = simulate("/deploy", MEASURED, ann)
    assert done.returncode == 0 and "1 approvals by one of @acme/ml-leads, @kim" in done.stdout
    assert "  compares accuracy\n" in done.stdout
    good = {**ann, "metrics": {"accuracy": 0.93}, "live": {"production": {"accuracy": 0.935}}}
    done = simulate("/deploy", MEASURED, good)
    assert done.returncode == 0 and "accuracy 0.93 (min 0.9, production 0.935, -0.005)" in done.stdout
    done = simulate("/deploy", MEASURED, {**good, "metrics": {"accuracy": 0.92}})
    assert done.returncode == 1 and "deploy.metrics: accuracy 0.92 is 0.015 below the 0.935" in done.stdout
    assert simulate("/deploy", MEASURED, {**good, "live": {"production": None}}).returncode == 0
    assert "counts in production: one of @acme/ml-leads, @kim" in simulate(
        "/approve 5", MEASURED, {**ann, "teams": {"ml-leads": True}}).stdout
    assert "does not count in production" in simulate("/approve 5", MEASURED, {**ann, "teams": {"ml-leads": False}}).stdout


# --- lint ---

def test_a_file_without_faults_says_nothing(tmp_path):
    (tmp_path / "kfops.yaml").write_text(POLICY)
    done = kfc("lint", "--policy", tmp_path / "kfops.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_fault_has_its_place(tmp_path):
    (tmp_path / "kfops.yaml").write_text("commands:\n  biuld: { permission: writer }\nforks: { run: always }\n")
    done = kfc("lint", "kfops.yaml", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.splitlines() == [
        'kfops.yaml:2:3: unknown command "biuld"; did you mean "build"?',
        "kfops.yaml:3:15: forks.run must be never or ok-to-run"]


def test_in_a_repository_it_finds_both_files(tmp_path):
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github/kfops.yaml").write_text("comands: {}\n")
    (tmp_path / "config_files").mkdir()
    (tmp_path / "config_files/config.yaml").write_text("pipeline: {pipeline_nam: x}\n")
    done = kfc("lint", cwd=tmp_path)
    assert done.returncode == 1
    assert '.github/kfops.yaml:1:1: unknown key "comands"; did you mean "commands"?' in done.stdout
    assert 'config_files/config.yaml:1:12: unknown key "pipeline_nam"' in done.stdout


def test_a_configuration_elsewhere_and_of_whom(tmp_path):
    good = (ROOT / "config/examples/config.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(good)
    assert kfc("lint", "mine.yaml", cwd=tmp_path).returncode == 0
    owner = re.search(r"owner: (\S+)", good)[1]
    done = kfc("lint", "--repository", "somebody/else", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("mine.yaml:") and f"belongs to {owner}/" in done.stdout


def test_a_policy_from_standard_input():
    done = kfc("lint", "--policy", "-", stdin="commands: [\n")
    assert done.returncode == 1 and done.stdout.startswith("-:2:1: ")


@pytest.mark.parametrize("args, code, says", [
    ([], 64, "lint or simulate"), (["mend"], 64, "lint or simulate"), (["lint", "--payload", "x"], 64, "lint takes"),
    (["simulate"], 64, "needs --payload"), (["simulate", "--payload", "x", "y"], 64, "simulate takes"),
    (["lint", "/nowhere/kfops.yaml"], 66, "cannot read /nowhere/kfops.yaml"), (["lint", "--polcy"], 64, "--polcy"),
    (["simulate", "--payload", "/nowhere"], 66, "cannot read /nowhere")])
def test_wrong_lines(args, code, says, tmp_path):
    done = kfc(*args, cwd=tmp_path)
    assert done.returncode == code and says in done.stderr and not done.stdout


def test_a_policy_that_nobody_reads(tmp_path):
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github/kfops.yml").write_text("commands: { run: { permission: write } }\n")
    for args in ((), (".github/kfops.yml",)):
        done = kfc("lint", *args, cwd=tmp_path)
        assert done.returncode == 1 and "kfops.yml:1:1: it is not read by this name" in done.stdout


def test_nothing_here(tmp_path):
    done = kfc("lint", cwd=tmp_path)
    assert done.returncode == 66 and ".github/kfops.yaml" in done.stderr


def test_help_and_version():
    helped, version = kfc("--help"), kfc("--version")
    assert helped.returncode == version.returncode == 0
    assert "kfc lint" in helped.stdout and "kfc simulate" in helped.stdout
    assert re.fullmatch(r"kfc \d+\.\d+\.\d+\n", version.stdout)


# --- simulate ---

def test_each_command_with_the_rule_that_made_the_answer(simulate):
    done = simulate("Please:\n\n/build\n/run\n/staging_deploy\n\n> /unlock production\n",
                    answers={"permission": "write", "teams": {"ml-eng": True}})
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [
        "/build", "  allow by default of /build",
        "/run", "  allow by commands.run, line 2",
        "/staging_deploy", "  allow by environments.staging.deploy, line 4",
        "  asks for checks, up to date"]


def test_what_a_deployment_asks_for_beside(simulate):
    answers = {"permission": "read", "teams": {"ml-leads": True}, "approvals": 1}
    done = simulate("/deploy", answers=answers)
    assert done.returncode == 0 and done.stdout.splitlines()[1:] == [
        "  allow by environments.production.deploy, line 5",
        "  asks for 1 approvals, checks, up to date, after staging; 10, 100 %; merges by squash"]
    done = simulate("/deploy", answers={**answers, "approvals": 0})
    assert done.returncode == 1 and "needs approval by environments.production.approvals" in done.stdout


def test_without_answers_nothing_is_known(simulate):
    done = simulate("/build")
    assert done.returncode == 1 and "unknown by the person" in done.stdout and "denied.unverified" in done.stdout


def test_the_payloads_word_on_the_person_is_not_taken(simulate):
    """It says OWNER."""
    done = simulate("/build", answers={"permission": "read"})
    assert done.returncode == 1 and "denied.permission" in done.stdout


def test_githubs_own_answer(simulate):
    said = {"permission": "write", "role_name": "ml-engineer", "user": {
        "login": "ann", "id": ANN, "permissions": {"pull": True, "triage": True, "push": True, "maintain": False, "admin": False}}}
    assert simulate("/build", answers={"permission": said}).returncode == 0
    said["user"]["id"] = ANN + 1
    done = simulate("/build", answers={"permission": said})
    assert done.returncode == 1 and "denied.identity" in done.stdout
    said["user"] = None
    assert "denied.unverified" in simulate("/build", answers={"permission": said}).stdout


def test_ceilings_hold_above_the_policy(simulate, tmp_path):
    secret = tmp_path / "secret"
    config = (f"server: {{webhook_secret_file: {secret}}}\ngithub: {{token_file: {secret}}}\n"
              "clusters: [{name: main, kfp_url: \"http://ml-pipeline.kubeflow.svc:8888\"}]\n"
              "repositories: [{match: acme/*}]\n")
    answers = {"permission": "write"}
    ceilings = config + "ceilings:\n- {match: acme/*, environments: [staging], permission: maintain}\n"
    assert simulate("/staging_deploy", answers=answers, ceilings=config).returncode == 0
    done = simulate("/staging_deploy", answers=answers, ceilings=ceilings)
    assert done.returncode == 1 and "deny by ceilings[0] of the operator\n  denied.ceiling: " in done.stdout
    asked = config.replace("acme/*", "acme/*, approvals: 2")
    deploys = {"permission": "read", "teams": {"ml-leads": True}, "approvals": 1}
    assert "asks for 2 approvals" in simulate("/deploy", answers=deploys, ceilings=asked).stdout
    assert "asks for checks" in simulate("/staging_deploy", answers=answers, ceilings=asked).stdout
    done = simulate("/staging_deploy", answers=answers, ceilings=config + "ceilings: [{commands: [deplyo], permission: admin}]\n")
    assert done.returncode == 1 and 'there is no command "deplyo"; did you mean "deploy"?' in done.stdout


def test_a_faulty_policy_denies_and_says_why_to_maintainers(simulate):
    faulty = "commands: { run: { teams: ml } }\n"
    done = simulate("/run\n/status", policy=faulty, answers={"permission": "maintain"})
    assert done.returncode == 1 and "policy.invalid" in done.stdout and "must be a list" in done.stdout
    assert "/status\n  allow by" in done.stdout
    assert "must be a list" not in simulate("/run", policy=faulty, answers={"permission": "write"}).stdout


def test_comments_without_a_command_and_with_a_wrong_one(simulate):
    done = simulate("Nice!")
    assert done.returncode == 0 and "no command" in done.stdout
    done = simulate("/biuld")
    assert done.returncode == 1 and "command.unknown" in done.stdout


@pytest.mark.parametrize("text", ["", "[]", "{", '{"action": "edited"}'])
def test_payloads_that_are_none(tmp_path, text):
    (tmp_path / "payload").write_text(text)
    done = kfc("simulate", "--payload", tmp_path / "payload")
    assert done.returncode == 65 and done.stderr


@pytest.mark.parametrize("answers", ["[]", "{", '{"permission": "owner"}'])
def test_answers_that_are_none(tmp_path, answers):
    (tmp_path / "payload").write_text(payload("/build"))
    (tmp_path / "answers").write_text(answers)
    done = kfc("simulate", "--payload", tmp_path / "payload", "--answers", tmp_path / "answers")
    assert done.returncode == 65 and done.stderr and not done.stdout


# --- the recipes of the documentation ---

def recipes():
    page = (ROOT / "docs/permissions.md").read_text().partition("## Recipes")[2]
    for section in page.split("\n### ")[1:]:
        name, policy = section.partition("\n")[0], re.search(r"```yaml\n(.*?)```", section, re.S)[1]
        rows = re.findall(r"^\| (?!who|---)(.+?) \| `(/.+?)` \| (.+?) \|$", section, re.M)
        yield name, policy, rows


def answers_of(who: str, policy: str) -> dict:
    words = who.split(", ")
    answers = {"permission": words[0], "users": {}, "uses": {},
               "teams": {slug: False for names in re.findall(r"teams: \[(.*?)\]", policy) for slug in names.split(", ")}}
    assert words[0] in LEVELS
    for word in words[1:]:
        kind, value = re.fullmatch(r"(team|user|role|\d+ times|\d+ approvals|fork|ok-to-run|build-only)(?: `(.+)`)?", word).groups()
        if kind == "team":
            assert value in answers["teams"], f"{value} is not in the policy"
            answers["teams"][value] = True
        elif kind == "user":
            answers["users"][value] = ANN
        elif kind == "role":
            answers["role"] = value
        elif kind.endswith("times"):
            answers["uses"][value] = int(kind.split()[0])
        elif kind.endswith("approvals"):
            answers["approvals"] = int(kind.split()[0])
        elif kind == "build-only":
            answers["ok_to_run"] = kind
        else:
            answers[kind.replace("-", "_")] = True
    return answers


def test_there_are_eleven_recipes():
    found = list(recipes())
    assert len(found) == 11 and all(len(rows) >= 2 for _, _, rows in found)


@pytest.mark.parametrize("name, policy, rows", list(recipes()), ids=lambda value: value if isinstance(value, str) and "\n" not in value else "")
def test_recipes(simulate, name, policy, rows):
    for who, says, answer in rows:
        done = simulate(says, policy=policy, answers=answers_of(who, policy))
        wanted = "  allow by " if answer == "allow" else f"  {answer.strip('`')}: "
        assert wanted in done.stdout, f"{name}: {who} says {says}:\n{done.stdout}{done.stderr}"
        assert (done.returncode == 0) == (answer == "allow")
