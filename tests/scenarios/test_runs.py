"""/build, /run and /build_run: versions, parameters, names, time-outs, and what is shown of them."""

import pytest

import texts

EVIL = (texts.ROOT / "tests/scenarios/repo/my_pipeline/pipeline.yaml").read_text().replace("python:3.11", "evil:1")


def test_a_build_is_run_afterwards(scene, bot, ann):
    sha = scene.pull.head
    ann.comments("/build")
    assert bot.ends() == "rocket"
    version = f"pr-1-{sha[:12]}"
    said = bot.answer(f"commit `{sha[:7]}`", f"`{version}`", "asked by @ann", "next: `/run` runs this version")
    assert "```mermaid" in said and "run.no_version" not in said
    bot.check("kfops/build", conclusion="success", head_sha=sha)
    assert scene.kubeflow.runs() == []
    ann.comments("/build")
    assert bot.ends() == "rocket"
    bot.answer("(was there already)")
    assert scene.kubeflow.get("state")["versions"] == 1
    ann.comments("/run")
    assert bot.ends() == "rocket"
    said = bot.answer(f"`{version}`", "2 of 2 tasks", "`/run --param NAME=VALUE`")
    assert "compile" not in said
    bot.check("kfops/run", conclusion="success", head_sha=sha)
    ann.comments(f"/run {version} --param rows=9 --name 'nine rows' --experiment Nine")
    assert bot.ends() == "rocket"
    made = scene.kubeflow.newest_run()
    assert made["display_name"].startswith("nine rows [") and made["parameters"]["rows"] == 9
    assert f"sha={sha}" in made["description"]
    names = [item["display_name"] for item in scene.kubeflow.api("GET", "experiments")["experiments"]]
    assert {"Iris experiments", "Nine"} <= set(names)


def test_caching_can_be_switched_off(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ann.comments("/build --no-cache")
    assert bot.ends() == "rocket"
    # other content, so another version, which is the one that is run then
    bot.answer(f"`pr-1-{scene.pull.head[:12]}-2`", "next: `/run` runs this version")
    ann.comments("/run")
    assert bot.ends() == "rocket"
    bot.answer(f"version [`pr-1-{scene.pull.head[:12]}-2`]")
    pipelines = scene.kubeflow.api("GET", "pipelines")["pipelines"]
    versions = scene.kubeflow.api("GET", f"pipelines/{pipelines[0]['pipeline_id']}/versions")
    cached = ["enableCache" in str(item["pipeline_spec"]) for item in versions["pipeline_versions"]]
    assert sorted(cached) == [False, True]


def cached_tasks(spec: dict) -> list[bool]:
    return ["enableCache" in task.get("cachingOptions", {}) for task in spec["root"]["dag"]["tasks"].values()]


def test_a_run_without_caching(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    name = f"pr-1-{scene.pull.head[:12]}"
    ann.comments("/run --no-cache --param rows=9")
    assert bot.ends() == "rocket"
    bot.answer(f"version `{name}-nocache`", "2 of 2 tasks", f"commit `{scene.pull.head[:7]}`")
    bot.check("kfops/run", conclusion="success", head_sha=scene.pull.head)
    run = scene.kubeflow.api("GET", f"runs/{scene.kubeflow.runs()[0]['run_id']}")
    variant, base = scene.kubeflow.version(f"{name}-nocache"), scene.kubeflow.version(name)
    assert run["pipeline_version_reference"]["pipeline_version_id"] == variant["pipeline_version_id"]
    assert scene.kubeflow.parameters()["rows"] == 9
    assert not any(cached_tasks(variant["pipeline_spec"])) and all(cached_tasks(base["pipeline_spec"]))
    assert f"sha={scene.pull.head}" in variant["description"] and "caching=off" in variant["description"]
    # again, and by its own name: no version more
    for line in ("/run --no-cache", f"/run {name}-nocache", f"/run {name}-nocache --no-cache"):
        ann.comments(line)
        assert bot.ends() == "rocket"
    assert scene.kubeflow.get("state")["versions"] == 2 and len(scene.kubeflow.runs()) == 4


def test_a_variant_whose_name_is_taken(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ours = scene.kubeflow.version(f"pr-1-{scene.pull.head[:12]}")
    taken = f"{ours['display_name']}-nocache"
    scene.kubeflow.uploads(ours["pipeline_id"], taken, EVIL.encode(), ours["description"])
    ann.comments("/run --no-cache")
    assert bot.ends() == "rocket"
    bot.answer(f"`{taken}-2`")
    ann.comments(f"/run {taken}")
    assert bot.ends() == "-1"
    bot.answer("`run.foreign_version`")


@pytest.mark.scene(files={**texts.settings("my_pipeline/argo.yaml", pipeline_execution_mode="V1_LEGACY"),
                          "my_pipeline/argo.yaml": texts.ARGO})
def test_a_pipeline_of_kfp_1_without_caching(scene, bot, ann):
    ann.comments("/build_run --no-cache -- label=x fast=true path=gs://b/o")
    assert bot.ends() == "rocket"
    spec = scene.kubeflow.version(f"pr-1-{scene.pull.head[:12]}")["pipeline_spec"]
    pods = [t for t in spec["spec"]["templates"] if "container" in t]
    assert pods and all(t["metadata"]["annotations"]["pipelines.kubeflow.org/max_cache_staleness"] == "P0D"
                        for t in pods)


VERSIONED = (texts.ROOT / "tests/scenarios/repo/my_pipeline/pipeline.yaml").read_text().replace(
    "schemaVersion:", "      version_id:\n        parameterType: STRING\nschemaVersion:")


@pytest.mark.scene(files={"my_pipeline/pipeline.yaml": VERSIONED})
def test_a_pipeline_that_asks_for_the_name_of_its_version(scene, bot, ann):
    name = f"pr-1-{scene.pull.head[:12]}"
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert scene.kubeflow.parameters()["version_id"] == name
    for line, version in (("/run", name), ("/run --no-cache", f"{name}-nocache"),
                          ("/build_run --no-cache", f"{name}-2"), (f"/run {name}-2", f"{name}-2"),
                          ("/run --param version_id=mine", "mine")):
        ann.comments(line)
        assert bot.ends() == "rocket"
        assert scene.kubeflow.parameters()["version_id"] == version, line
        bot.answer(f'| `version_id` | `"{version}"` |')


def test_a_long_name_of_a_run_is_cut(scene, bot, ann):
    ann.comments(f"/build_run --name {'ü' * 200}")
    assert bot.ends() == "rocket"
    made = scene.kubeflow.newest_run()["display_name"]
    assert len(made.encode()) <= 128 and made.startswith("üü") and made.endswith(f"[{bot.jobs()[0]['uid']}]")


@pytest.mark.scene(files=texts.CHURN_FILES)
def test_parameters_of_every_type(scene, bot, ann):
    line = ("/build_run --param label=x --param rate=0.5 --param epochs=7 --param fast=TRUE "
            "--param folds='[1, 2]' -- 'options={\"a\": {\"b\": null}}' kind=forest")
    ann.comments(line)
    assert bot.ends() == "rocket"
    assert scene.kubeflow.parameters() == {
        "label": "x", "rate": 0.5, "epochs": 7, "fast": True, "folds": [1, 2], "options": {"a": {"b": None}},
        "kind": "forest"}
    said = bot.answer("<summary>Parameters</summary>")
    assert '| `folds` | `[1,2]` |' in said and "| `rate` | `0.5` |" in said


WRONG = [
    ("run.missing_parameter", "", ["`label` is required", "`rate` is required"]),
    ("run.unknown_parameter", "label=x rate=1 epoch=3", ["no parameter `epoch`", "did you mean `epochs`?"]),
    ("run.unknown_parameter", "label=x rate=1 zzzzzzzz=3", ["the pipeline has `epochs`, `fast`"]),
    ("run.parameter_type", "label=x rate=1 epochs=many", ["`epochs` must be a whole number", '"many"']),
    ("run.parameter_type", "label=x rate=1 epochs=1.5", ["`epochs` must be a whole number"]),
    ("run.parameter_type", "label=x rate=inf", ["`rate` must be a number"]),
    ("run.parameter_type", "label=x rate=1 fast=y", ["`fast` must be true or false"]),
    ("run.parameter_type", "label=x rate=1 folds=1", ["`folds` must be a JSON list"]),
    ("run.parameter_type", "label=x rate=1 options=[]", ["`options` must be a JSON object"]),
    ("run.parameter_literal", "label=x rate=1 kind=bush", ["`kind` may not be", '"tree"']),
]


@pytest.mark.scene(files=texts.CHURN_FILES)
def test_wrong_parameters_are_refused_before_anything_runs(scene, bot, ann):
    for code, given, words in WRONG:
        ann.comments(f"/build_run -- {given}")
        assert bot.ends() == "-1"
        bot.answer(f"`{code}`", *words, "next: `/build_run --param NAME=VALUE`")
    assert scene.kubeflow.runs() == [] and scene.kubeflow.get("state")["versions"] == 0


@pytest.mark.scene(files=texts.settings(args="\n    neighbours: 5"))
def test_wrong_arguments_in_the_settings_are_refused_too(scene, bot, ann):
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`run.unknown_parameter`", "did you mean `neighbors`?")


def test_versions_that_are_not_there_or_not_ours(scene, bot, ann):
    ann.comments("/run")
    assert bot.ends() == "-1"
    assert "/retry" not in bot.answer("`run.no_version`", "Build and run it: `/build_run`")
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ann.comments("/run v9")
    assert bot.ends() == "-1"
    bot.answer("no version `v9`", "`run.no_version`")
    pipeline = scene.kubeflow.api("GET", "pipelines")["pipelines"][0]["pipeline_id"]
    scene.kubeflow.uploads(pipeline, "by-hand", (texts.ROOT / "tests/scenarios/repo/my_pipeline/pipeline.yaml").read_bytes())
    ann.comments("/run by-hand")
    assert bot.ends() == "-1"
    bot.answer("`run.foreign_version`", "`/build_run`")
    assert scene.kubeflow.runs() == []


def test_a_version_with_our_description_but_not_of_us(scene, bot, ann):
    """Anybody who may write to the pipeline can give a version any name and description."""
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ours = scene.kubeflow.version(f"pr-1-{scene.pull.head[:12]}")
    scene.kubeflow.uploads(ours["pipeline_id"], "pr-1-forged", EVIL.encode(), ours["description"])
    ann.comments("/run pr-1-forged")
    assert bot.ends() == "-1"
    bot.answer("`run.foreign_version`", "not uploaded by this bot", "`/build_run`")
    # the name of ours, after ours was deleted
    scene.kubeflow.api("DELETE", f"pipelines/{ours['pipeline_id']}/versions/{ours['pipeline_version_id']}")
    scene.kubeflow.uploads(ours["pipeline_id"], ours["display_name"], EVIL.encode(), ours["description"])
    ann.comments("/run")
    assert bot.ends() == "-1"
    bot.answer("`run.foreign_version`")
    assert scene.kubeflow.runs() == []


def test_a_version_that_was_changed_in_kubeflow(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    name = f"pr-1-{scene.pull.head[:12]}"
    spec = scene.kubeflow.version(name)["pipeline_spec"]
    scene.kubeflow.post(f"versions/{name}", spec={**spec, "sdkVersion": "kfp-9"})
    scene.expects_log("event=version_changed")
    ann.comments("/run")
    assert bot.ends() == "-1"
    said = bot.answer("`run.changed_version`", "not what this bot uploaded", "`/build_run`")
    assert "/retry" not in said
    assert scene.kubeflow.runs() == []


def test_a_name_that_somebody_took_before_is_not_adopted(scene, bot, ann):
    """The name of a commit's version can be foreseen, and so can what its description will say."""
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ours = scene.kubeflow.version(f"pr-1-{scene.pull.head[:12]}")
    sha = ann.pushes({"more.md": "x\n"})
    name = f"pr-1-{sha[:12]}"
    scene.kubeflow.uploads(ours["pipeline_id"], name, EVIL.encode(),
                           ours["description"].replace(ours["display_name"][5:], sha[:12]))
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    bot.answer(f"`{name}-2`")
    assert "evil" not in str(scene.kubeflow.version(f"{name}-2")["pipeline_spec"])
    run = scene.kubeflow.api("GET", f"runs/{scene.kubeflow.runs()[0]['run_id']}")
    assert run["pipeline_version_reference"]["pipeline_version_id"] == \
        scene.kubeflow.version(f"{name}-2")["pipeline_version_id"]


@pytest.mark.scene(files=texts.settings(name="iris", args="{}"))
def test_a_version_of_another_pull_request_is_not_run_here(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    other = ann.opens("Another", "another", {"more.md": "x\n"})
    ann.comments(f"/run pr-1-{scene.pull.head[:12]}", on=other)
    assert bot.ends() == "-1"
    bot.answer("`run.foreign_version`")


PLATFORM = """---
platforms:
  kubernetes:
    deploymentSpec:
      executors:
        exec-train:
          secretAsEnv:
          - secretName: keys
            keyToEnv:
            - secretKey: k
              envVar: K
    {more}
"""


def test_a_platform_part_that_kubeflow_does_not_know(scene, bot, ann):
    plain = (texts.ROOT / "tests/scenarios/repo/my_pipeline/pipeline.yaml").read_text()
    ann.pushes({"my_pipeline/pipeline.yaml": plain + PLATFORM.format(more="")})
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    ann.comments("/run")
    assert bot.ends() == "rocket"
    ann.pushes({"my_pipeline/pipeline.yaml": plain + PLATFORM.format(more="fromTheFuture: 1")})
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`kfp.platform_dropped`", "secrets", "kfp-kubernetes")
    assert len(scene.kubeflow.runs()) == 2


def test_a_version_of_an_older_commit_is_run_as_that_commit(scene, bot, ann):
    old = scene.pull.head
    ann.comments("/build")
    assert bot.ends() == "rocket"
    ann.pushes({"more.md": "x\n"})
    ann.comments(f"/run pr-1-{old[:12]}")
    assert bot.ends() == "rocket"
    bot.answer(f"commit `{old[:7]}`")
    bot.check("kfops/run", conclusion="success", head_sha=old)


def test_a_run_that_takes_longer_than_its_timeout_is_stopped(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run --timeout 1s")
    assert bot.ends() == "-1"
    bot.answer("`--timeout`", "`run.timeout`", "next: `/build_run --timeout T` with a longer time")
    bot.check("kfops/run", conclusion="timed_out")
    assert scene.kubeflow.runs()[0]["phase"] == "Failed"


@pytest.mark.scene(config={"limits": {"job_deadline": "4s"}})
def test_a_run_that_nobody_can_see_at_the_deadline_is_told_to_stop(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]["run_id"]
    scene.kubeflow.fault("status", "GET", r"/apis/v2beta1/runs/", times=-1, status=503)
    assert bot.ends() == "-1"
    bot.answer("`run.not_stopped`", f"The run `{run}` was told to stop", f"/runs/details/{run}")
    scene.wait_until(lambda: scene.kubeflow.runs()[0]["phase"] == "Failed", "the run to stop")


@pytest.mark.scene(config={"limits": {"job_deadline": "3s"}})
def test_a_run_beyond_the_operators_deadline_is_stopped(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    assert bot.ends() == "confused"
    bot.answer("`run.deadline`")


def test_progress_is_shown_while_it_runs(scene, bot, ann):
    scene.kubeflow.holds_runs()
    comment = ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    scene.kubeflow.task(run["run_id"], "prepare", "Succeeded")
    scene.kubeflow.task(run["run_id"], "train", "Running")
    said = bot.answer("1 of 2 tasks · `train` running", "next: `/cancel ")
    assert "▶️" in said and comment.reactions() == ["eyes"]
    scene.wait_until(lambda: bot.check("kfops/run", status="in_progress")["output"]["title"].startswith("run: 1 of 2"),
                     "the check to follow")
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    assert len(bot.comments()) == 1


def test_a_failed_run_names_task_message_and_log(scene, bot, ann):
    scene.kubeflow.fails_runs("train", "main: Error (exit code 137)", "loading\nKeyError: 'petal'\n")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    said = bot.answer("`run.failed`", "train", "exit code 137", "KeyError: 'petal'")
    for text in ("next: push a fix and `/build_run` again", "`/retry ", "`/logs "):
        assert text in said
    check = bot.check("kfops/run", conclusion="failure")
    assert "KeyError: 'petal'" in check["output"]["text"]
    bot.check("kfops/build", conclusion="success")


def test_a_failed_run_of_a_very_large_workflow_names_them_too(scene, bot, ann):
    """Argo packs the nodes of what it could not store otherwise."""
    scene.kubeflow.post("settings", workflow_bytes_max=500)
    scene.kubeflow.fails_runs("train", "main: Error (exit code 137)", "loading\nKeyError: 'petal'\n")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`run.failed`", "train", "exit code 137", "KeyError: 'petal'")


@pytest.mark.scene(config={"limits": {"patience": "1s"}})
def test_a_failed_run_whose_cause_cannot_be_asked_for(scene, bot, ann):
    """The run is over: after a while its end is told without the cause."""
    scene.kubeflow.fault("status", times=-1, path=r"/apis/v1beta1/runs/", status=503)
    scene.kubeflow.fails_runs("train", "exit code 1")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`run.failed`", "Kubeflow does not say why")


@pytest.mark.scene(config={"report": {"notify_after": "0s"}})
def test_what_took_long_ends_with_a_new_comment(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    bot.answer("▶️")
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    scene.wait_until(lambda: any(c["minimized"] for c in scene.pull.look()["comments"]), "the fold")
    mine = [item for item in scene.pull.look()["comments"] if item["user"] == bot.login]
    assert [bool(item["minimized"]) for item in mine] == [True, False]
    assert mine[0]["minimized"] == "outdated" and "✅ **/build_run**" in mine[1]["body"]


@pytest.mark.scene(config={"report": {"notify_after": "0s"}})
def test_a_short_answer_needs_no_second_comment(scene, bot, ann):
    ann.comments("/status")
    assert bot.ends() == "rocket"
    assert len(bot.comments()) == 1
