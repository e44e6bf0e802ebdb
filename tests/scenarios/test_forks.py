"""Pull requests from forks: nothing of theirs is built, run or deployed before a maintainer has read that very commit."""

import models
import pytest
import texts

FILES = {"forked.md": "From afar.\n"}
SLOW = texts.python(texts.ONE_TASK.format(name="slow", function="slow") + "import time\ntime.sleep(3)\n",
                    pipeline_function_name="slow")
ALL = "forks: { build: ok-to-run, run: ok-to-run, deploy: ok-to-run }\n"


def from_afar(scene, person, files: dict | None = None):
    pull = person.opens("From afar", "from-afar", files or FILES, fork=person.login)
    scene.webhooks_are_idle()
    return pull


def merged(scene, policy: str) -> None:
    scene.github.post(f"repos/{scene.repo}/commits", files={".github/kfops.yaml": policy})


def refused(scene, person, line: str, on, code: str, *words: str) -> None:
    person.comments(line, on=on)
    assert scene.bot.ends() == "-1", line
    scene.bot.answer(f"`{code}`", *words)


def done(scene, person, line: str, on, *words: str) -> None:
    person.comments(line, on=on)
    assert scene.bot.ends() == "rocket", line
    scene.bot.answer(*words)


def uploaded(scene) -> list[str]:
    """Names of all versions of all pipelines."""
    return [version["display_name"]
            for pipeline in scene.kubeflow.api("GET", "pipelines").get("pipelines", [])
            for version in scene.kubeflow.api("GET", f"pipelines/{pipeline['pipeline_id']}/versions")["pipeline_versions"]]


def test_a_maintainer_allows_one_commit_to_be_built(scene, bot, ann, ben, eve):
    fork = from_afar(scene, eve)
    for line in ("/build", "/plan"):
        refused(scene, ann, line, fork, "fork.not_approved", "comes from a fork", f"`/ok-to-run {fork.head[:12]}`")
    done(scene, ann, "/config", fork, "build `ok-to-run`, run `never`, deploy `never`")
    refused(scene, eve, "/build", fork, "denied.permission")
    refused(scene, ann, f"/ok-to-run {fork.head[:12]}", fork, "denied.permission", "maintain permission")
    done(scene, ben, f"/ok-to-run {fork.head[:12]}", fork, "@ben allows", f"/pull/{fork.number}/commits/{fork.head}",
         "of this fork to be built only", "nothing of a fork is run here", "A push makes a new word necessary")
    name = f"pr-{fork.number}-{fork.head[:12]}"
    done(scene, ann, "/build", fork, f"commit `{fork.head[:7]}`", f"version `{name}`")
    assert uploaded(scene) == [name] and "enableCache" not in str(scene.kubeflow.version(name)["pipeline_spec"])
    bot.check("kfops/build", pull=fork, conclusion="success", head_sha=fork.head)
    for line in ("/run", "/build_run"):
        refused(scene, ann, line, fork, "fork.never", "never for forks here")
    done(scene, ann, "/status", fork, "ben allowed", fork.head[:12])
    scene.github.post(f"{fork.path}/delete-fork")
    done(scene, ann, "/build", fork, f"version `{name}` (was there already)")
    assert scene.kubeflow.runs() == []
    assert [(row["sha"], row["actor"], row["after"]) for row in bot.rows(
        "SELECT * FROM audit WHERE effect = 'store.ok_to_run'")] == [(fork.head, "ben", f"sha={fork.head}")]


def test_43_ok_then_push(scene, bot, ann, ben, eve):
    """Another commit is another question, also where GitHub still names the one that was allowed."""
    fork = from_afar(scene, eve)
    read = fork.head
    done(scene, ben, f"/ok-to-test {read}", fork, "@ben allows")
    scene.github.post("time", advance=60)
    new = eve.pushes({"evil.md": "x\n"}, on=fork)
    scene.webhooks_are_idle()
    scene.github.fault("stale_read", "GET", rf"/pulls/{fork.number}$", times=1, seconds=40)
    refused(scene, ann, "/build", fork, "fork.not_approved", f"`/ok-to-run {new[:12]}`")
    refused(scene, ann, f"/build --sha {read}", fork, "fork.moved", f"`/ok-to-run {new[:12]}`")
    refused(scene, ben, f"/ok-to-run {read[:12]}", fork, "fork.not_head", f"`/ok-to-run {new[:12]}`")
    assert uploaded(scene) == []
    done(scene, ben, f"/ok-to-run {new[:9]}", fork, "@ben allows")
    done(scene, ann, "/build", fork, f"commit `{new[:7]}`")


def test_a_push_while_it_compiles_ends_it(scene, bot, ann, ben, eve):
    fork = from_afar(scene, eve, SLOW)
    done(scene, ben, f"/ok-to-run {fork.head}", fork)
    ann.comments("/build", on=fork)
    bot.answer("compiling")
    new = eve.pushes({"evil.md": "x\n"}, on=fork)
    assert bot.ends() == "-1"
    bot.answer("`fork.moved`", f"`/ok-to-run {new[:12]}`")
    assert uploaded(scene) == []


def test_two_commits_that_begin_alike(scene, bot, ann, ben, eve):
    """Whoever can make one commit can make two that begin alike: the second must not be taken for the one that was read."""
    fork = from_afar(scene, eve)
    read, other = scene.github.post(f"{fork.path}/alike", user="eve")["shas"]
    for sha in (read, other):
        scene.github.post("time", advance=2)
        scene.github.post(f"{fork.path}/reset", sha=sha, user="eve")
    scene.github.post("time", advance=2)
    scene.webhooks_are_idle()
    refused(scene, ben, f"/ok-to-run {read[:7]}", fork, "pin.ambiguous", other)
    refused(scene, ann, "/build", fork, "fork.not_approved")
    done(scene, ben, f"/ok-to-run {other[:12]}", fork, "@ben allows")


def test_whose_word_counts(scene, bot, ann, ben, eve):
    refused(scene, ben, f"/ok-to-run {scene.pull.head}", scene.pull, "fork.not_a_fork", "not from a fork")
    fork = from_afar(scene, eve)
    for sha in (scene.pull.head, "1234567"):
        refused(scene, ben, f"/ok-to-run {sha}", fork, "pin.not_this_pull", fork.head[:12])
    eve.is_given("maintain")
    refused(scene, eve, f"/ok-to-run {fork.head}", fork, "fork.own_pull", "another maintainer")
    done(scene, ben, f"/ok-to-run {fork.head}", fork, "@ben allows")
    ben.is_given("write")
    refused(scene, ann, "/build", fork, "fork.ok_lapsed", "allowed anew")
    merged(scene, "forks: { build: never }\n")
    ben.is_given("maintain")
    refused(scene, ann, "/build", fork, "fork.never")
    refused(scene, ben, f"/ok-to-run {fork.head}", fork, "fork.never", "nothing to allow")
    assert uploaded(scene) == []


@pytest.mark.scene(**models.KNATIVE_WAY)
def test_a_fork_from_the_first_word_to_production(scene, bot, ann, ben, eve):
    """Where the policy lets forks run and deploy, and only so far as the maintainer's word goes."""
    rest = "environments: { production: { require: [] } }\n"
    merged(scene, ALL + rest)
    models.deployed(scene)
    scene.pull = fork = from_afar(scene, eve, {**FILES, **texts.deployment()})
    done(scene, ben, f"/ok-to-run {fork.head[:12]} --build-only", fork, "to be built only: `/build`.")
    refused(scene, ann, "/build_run", fork, "fork.build_only", "`/build_run` does more")
    done(scene, ben, f"/ok-to-run {fork.head[:12]}", fork, "to be built, run and deployed")
    models.has_run(scene, ann, 1, on=fork)
    assert f"sha={fork.head}" in scene.kubeflow.newest_run()["description"]
    refused(scene, ann, "/deploy", fork, "denied.permission")
    done(scene, ben, "/deploy --steps 10", fork, "10 %")
    merged(scene, rest)
    refused(scene, ben, "/promote production", fork, "fork.never", "`/promote` was not run")
    merged(scene, ALL + rest)
    done(scene, ben, "/promote production", fork)
    assert models.answers(scene) == [1] and fork.look()["merged"]


@pytest.mark.scene(config={"compile": {"timeout": "6s"}})
def test_a_fork_may_use_half(scene, bot, ann, ben, eve):
    fork = from_afar(scene, eve, texts.python(texts.ONE_TASK.format(name="slow", function="slow") + "while True: pass\n",
                                              pipeline_function_name="slow"))
    done(scene, ben, f"/ok-to-run {fork.head}", fork)
    refused(scene, ann, "/build", fork, "compile.timeout", "took longer than 3.0 s")
