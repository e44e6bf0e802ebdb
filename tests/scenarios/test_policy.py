"""The policy of a repository: .github/kfops.yaml of the default branch, as maintainers write it and people meet it."""

import pytest

import texts

RUN_BY_TEAM = "commands: { run: { permission: write, teams: [ml-eng] } }\n"
OPERATOR = {"match": "lab/*", "commands": ["build"], "permission": "maintain"}


def merged(scene, policy: str | None, repo: str = "lab/iris") -> None:
    """What stands on the default branch from now on."""
    scene.github.post(f"repos/{repo}/commits", files={".github/kfops.yaml": policy})


def team(scene, slug: str, *people: str, **more) -> None:
    scene.github.post("teams", org="lab", slug=slug, members={login: "member" for login in people}, **more)


def refused(scene, person, line: str, code: str, *words: str) -> str:
    asked = person.comments(line)
    assert scene.bot.ends(to=asked) == "-1"
    return scene.bot.answer(f"`{code}`", *words, to=asked)


def done(scene, person, line: str) -> None:
    assert scene.bot.ends(to=person.comments(line)) == "rocket", line


# --- kept for a moment ---

def test_a_push_to_the_default_branch_refreshes_what_is_kept(scene, bot, ann):
    """Without one it is asked for again after ten seconds, that of the owner after a minute."""
    def reads() -> int:
        return sum("contents/.github" in item["path"] for item in scene.github.get("requests"))

    def allows(permission: str, repo: str = "lab/iris") -> None:
        merged(scene, f"commands: {{ logs: {{ permission: {permission} }} }}\n", repo)
        scene.webhooks_are_idle()

    allows("maintain")
    refused(scene, ann, "/logs 1", "denied.permission")
    allows("write")
    done(scene, ann, "/logs 1")
    before = reads()
    ann.pushes({"more.md": "more\n"})
    scene.github.post(f"repos/{scene.repo}/commits", branch="elsewhere", files={"x": "x\n"})
    scene.webhooks_are_idle()
    done(scene, ann, "/logs 1")
    assert reads() == before
    deliveries = bot.rows("SELECT event FROM deliveries")
    assert deliveries and not [row for row in deliveries if row["event"] == "push"]
    scene.github.post("repos", owner="lab", name=".github", organization=True, author="ben",
                      files={".github/kfops.yaml": "commands: { logs: { permission: admin } }\n"})
    merged(scene, None)
    scene.webhooks_are_idle()
    refused(scene, ann, "/logs 1", "denied.permission", "admin permission")
    allows("write", "lab/.github")
    done(scene, ann, "/logs 1")


# --- teams ---

def test_only_a_team_runs(scene, bot, ann, ben):
    merged(scene, RUN_BY_TEAM)
    team(scene, "ml-eng", "ann")
    done(scene, ann, "/build_run")
    said = refused(scene, ben, "/build_run", "denied.team", "team `ml-eng`", "commands.run, line 1")
    assert "`/build_run` was not run" in said
    done(scene, ben, "/build")


def test_members_of_a_child_team_count_and_invited_ones_do_not(scene, bot, ann, ben):
    merged(scene, RUN_BY_TEAM)
    team(scene, "ml-eng")
    team(scene, "ml-vision", "ann", parent="ml-eng")
    done(scene, ann, "/build_run")
    scene.github.post("teams", org="lab", slug="ml-eng", members={"ben": "pending"})
    refused(scene, ben, "/run", "denied.team")


def test_a_team_that_does_not_exist_lets_nobody_in(scene, bot, ann, ben):
    """Attack 24; maintainers see it in /config."""
    merged(scene, RUN_BY_TEAM)
    refused(scene, ben, "/run", "denied.team_unknown", "`ml-eng`")
    done(scene, ben, "/config")
    bot.answer("there is no team `ml-eng`", to=scene.last_comment)


# --- whose word it is ---

def test_what_the_pull_request_says_of_itself_does_not_count(scene, bot, ann, ben):
    """Attack 30."""
    merged(scene, "commands: { build: { permission: maintain } }\n")
    note = "This pull request has another `.github/kfops.yaml`. What holds until it is merged is `lab/iris/.github"
    done(scene, ben, "/build")
    assert note not in bot.answer("✅ **/build**", to=scene.last_comment)
    ann.pushes({".github/kfops.yaml": "commands: { build: { permission: read } }\n"})
    refused(scene, ann, "/build", "denied.permission", "maintain permission", note)
    for line in ("/build", "/config"):
        done(scene, ben, line)
        bot.answer(note, to=scene.last_comment)
    ann.pushes({".github/kfops.yaml": None})
    refused(scene, ann, "/build", "denied.permission", "This pull request has no `.github/kfops.yaml`")


def test_the_owners_policy_where_the_repository_has_none(scene, bot, ann, ben):
    scene.github.post("repos", owner="lab", name=".github", organization=True, author="ben",
                      files={".github/kfops.yaml": "commands: { build: { permission: maintain } }\n"})
    refused(scene, ann, "/build", "denied.permission", "maintain permission")
    done(scene, ben, "/config")
    bot.answer("`lab/.github/.github/kfops.yaml`", to=scene.last_comment)


def test_a_policy_with_a_fault_allows_nothing_and_maintainers_hear_why(scene, bot, ann, ben):
    merged(scene, "commands:\n  build: { permision: read }\n")
    said = refused(scene, ann, "/build", "policy.invalid", "has a fault")
    assert "permision" not in said
    refused(scene, ben, "/build", "policy.invalid", "line 2, column 12", "permision", "permission")
    done(scene, ann, "/status")
    done(scene, ann, "/help")
    assert "/build_run" not in bot.answer("has a fault", to=scene.last_comment)


@pytest.mark.parametrize("files, words", [
    ({".github/kfops.yaml/inner": "x"}, "it is a folder"),
    ({".github/kfops.yaml": "#" * 66000}, "it is too large"),
])
def test_a_policy_that_is_no_file(scene, bot, ben, files, words):
    scene.github.post("repos/lab/iris/commits", files=files)
    refused(scene, ben, "/build", "policy.invalid", words)


@pytest.mark.scene(files=texts.python(texts.ONE_TASK.format(name="slow", function="slow") + "import time\ntime.sleep(3)\n",
                                      pipeline_function_name="slow"))
def test_a_policy_that_is_merged_while_it_compiles(scene, bot, ann):
    merged(scene, "commands: { build: { permission: write } }\n")
    ann.comments("/build")
    bot.answer("compiling")
    merged(scene, "commands: { build: { permission: maintain } }\n")
    assert bot.ends() == "-1"
    bot.answer("`denied.permission`", "maintain permission")
    assert scene.kubeflow.get("state")["pipelines"] == 0


@pytest.mark.scene(config={"limits": {"patience": "1500ms"}})
def test_a_policy_that_cannot_be_read_allows_nothing(scene, bot, ben):
    scene.github.fault("status", "GET", r"/contents/", times=-1, status=503)
    ben.comments("/build")
    assert bot.ends() == "-1"
    bot.answer("annot read the policy")
    assert scene.kubeflow.get("state")["pipelines"] == 0


# --- people ---

def test_a_login_that_goes_to_somebody_else_brings_nothing_with_it(scene, bot, ann):
    """Attack 25: the file names ann; it means who that was when it was first used."""
    merged(scene, "commands: { build: { users: [Ann] } }\n")
    done(scene, ann, "/build")
    scene.github.post("users", login="ann", id=987654321)
    scene.github.post("repos/lab/iris/permissions", login="ann", role="write")
    refused(scene, scene.person("ann"), "/build", "denied.team", "user `Ann`")


def test_a_custom_role(scene, bot, ann, ben):
    merged(scene, "commands: { build: { roles: [Release manager] } }\n")
    refused(scene, ben, "/build", "denied.team", "role `Release manager`")
    ann.is_given("Release manager", "write")
    done(scene, ann, "/build")


def test_a_quota(scene, bot, ann, ben):
    merged(scene, "commands: { build: { quota: 2/day, quota_repository: 3/day } }\n")
    done(scene, ann, "/build")
    done(scene, ann, "/build_run")
    refused(scene, ann, "/build", "denied.quota", "2 times in the last day", "2 are allowed",
            "The next one is possible on ")
    refused(scene, ann, "/build_run", "denied.quota")
    done(scene, ben, "/build")
    refused(scene, ben, "/build", "denied.quota_repository", "All people together did this 3 times", "The next one")


@pytest.mark.scene(config={"ceilings": [OPERATOR]})
def test_the_operators_ceiling_is_above_the_policy(scene, bot, ann, ben):
    merged(scene, "commands: { build: { permission: read } }\n")
    refused(scene, ann, "/build", "denied.ceiling", "maintain permission here")
    refused(scene, ann, "/build_run", "denied.ceiling")
    done(scene, ben, "/build")
    done(scene, ben, "/config")
    bot.answer("commands.build, line 1 asks for read permission; the operator asks for maintain", to=scene.last_comment)


# --- /config, /help, /hold ---

def test_config_shows_what_is_in_force_and_what_is_wrong_here(scene, bot, ann):
    merged(scene, RUN_BY_TEAM)
    ann.pushes({"config_files/config.yaml": "pipelin: {}\n"})
    done(scene, ann, "/config")
    bot.answer("`lab/iris/.github/kfops.yaml` of the default branch", "teams: [ml-eng]", "unknown key \"pipelin\"",
               to=scene.last_comment)


@pytest.mark.scene(config={"repositories": [{"match": "lab/*", "cluster": "main", "approvals": 2}]})
def test_config_without_a_policy(scene, bot, ann):
    done(scene, ann, "/config")
    bot.answer("No policy file", "asks for 0 approvals; the operator asks for 2", "no faults", to=scene.last_comment)


def test_help_shows_each_what_they_may(scene, bot, ann, ben, eve):
    merged(scene, "environments: { staging: { deploy: { permission: write } } }\n")
    for person, there, absent in ((eve, ["`/status`"], ["`/build`", "`/deploy`"]),
                                  (ann, ["`/build`", "`/staging_deploy`"], []),
                                  (ben, ["`/deploy`"], ["more command"])):
        done(scene, person, "/help")
        said = bot.answer(*there, to=scene.last_comment)
        assert not [word for word in absent if word in said], said
    done(scene, ann, "/help")
    assert "| `/deploy` | Put the model of this commit into an environment, then merge the commit. | staging |" in \
        bot.answer("`/deploy`", to=scene.last_comment)


def test_hold_and_unhold(scene, bot, ann, eve):
    refused(scene, eve, "/hold", "denied.permission")
    refused(scene, ann, "/unhold", "hold.none")
    done(scene, ann, "/hold --reason 'numbers look odd'")
    bot.answer("on hold: `numbers look odd`", to=scene.last_comment)
    done(scene, ann, "/unhold")
    bot.answer("It was by ann", "numbers look odd", to=scene.last_comment)
