"""Kubeflow as it is: down, back again, old, multi-user, forgetful, and with people who press its buttons."""

import json

import pytest

import texts


def run_of(scene) -> str:
    return scene.wait_until(scene.kubeflow.runs, "the run to be made")[-1]["run_id"]


def test_down_when_the_job_comes_and_back_later(scene, bot, ann):
    scene.kubeflow.goes_away()
    ann.comments("/build_run")
    said = bot.answer("[!WARNING]", "I keep trying", "UTC")
    assert "annot ask Kubeflow about its namespaces" in said
    scene.kubeflow.comes_back()
    assert bot.ends() == "rocket"
    assert "[!WARNING]" not in bot.answer("✅ **/build_run**")
    assert len(scene.kubeflow.runs()) == 1


def test_down_while_the_run_is_followed(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = run_of(scene)
    scene.wait_until(lambda: [job for job in bot.jobs() if job["state"] == 2], "the job to be parked")
    scene.kubeflow.fault("status", times=-1, path="/apis/", status=503)
    bot.answer("[!WARNING]", "I keep trying")
    scene.kubeflow.ends(run)
    scene.kubeflow.send("DELETE", "faults")
    assert bot.ends() == "rocket"
    assert len(scene.kubeflow.runs()) == 1


@pytest.mark.scene(config={"limits": {"patience": "2s"}})
def test_down_for_longer_than_patience(scene, bot, ann):
    scene.kubeflow.goes_away()
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    said = bot.answer("annot ask Kubeflow about its namespaces", "next: `/retry 1` tries the same again")
    assert "push a fix" not in said
    bot.check("kfops/build", conclusion="failure")
    scene.kubeflow.comes_back()
    ann.comments("/retry")
    scene.wait_until(lambda: len(bot.jobs()) == 3 and not bot.unfinished(), "the retry to end")
    assert bot.ends() == "rocket"


@pytest.mark.scene(config={"limits": {"patience": "2s"}})
def test_a_run_that_was_never_sent_is_not_waited_for_longer_than_patience(scene, bot, ann):
    scene.kubeflow.fault("status", "POST", r"/runs$", times=-1, status=429)
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`gave_up`", "annot create the run", "next: `/retry 1` tries the same again")
    assert scene.kubeflow.runs() == []


def test_what_was_compiled_is_lost_meanwhile(scene, bot, ann):
    """Somebody tidied up the operator's disk while Kubeflow was away."""
    scene.kubeflow.goes_away()
    ann.comments("/build")
    bot.answer("I keep trying")
    for path in bot.state_dir.rglob("pipeline.yaml"):
        path.unlink()
    scene.kubeflow.comes_back()
    assert bot.ends() == "-1"
    bot.answer("`compile.lost`", "`/retry`")
    ann.comments("/retry")
    scene.wait_until(lambda: len(bot.jobs()) == 3 and not bot.unfinished(), "the retry to end")
    assert bot.ends() == "rocket"


def test_a_repository_that_loses_its_cluster(scene, bot, ann):
    scene.kubeflow.goes_away()
    ann.comments("/build_run")
    bot.answer("I keep trying")
    bot.stop()
    bot.configure(lambda config: config["repositories"][0].update(match="elsewhere/*"))
    bot.start()
    assert bot.ends() == "-1"
    bot.answer("`config.no_cluster`", "lab/iris")
    scene.kubeflow.comes_back()


MULTI_USER = ("--multi-user", "--namespaces", "team-a,team-b,team-c")


def allowed(*namespaces: str) -> dict:
    """The operator's file with these namespaces for lab/*."""
    return {"repositories": [{"match": "lab/*", "cluster": "main", "namespaces": list(namespaces)}]}


def nothing_was_made(scene) -> bool:
    state = scene.kubeflow.get("state")
    return not scene.kubeflow.runs() and not any(state[kind] for kind in ("pipelines", "versions", "experiments"))


@pytest.mark.scene(kubeflow=MULTI_USER, config=allowed("team-c", "team-a"))
def test_namespaces_of_a_multi_user_server(scene, bot, ann):
    ann.pushes(texts.settings(namespace="team-b"))
    for command in ("/build", "/run", "/build_run"):
        ann.comments(command)
        assert bot.ends() == "-1"
        said = bot.answer("`denied.namespace`", "`team-b`", "`team-c`", "`team-a`", "operator")
        assert "`repositories[].namespaces`" in said
    assert nothing_was_made(scene)
    mark = bot.check("kfops/build", conclusion="failure", head_sha=scene.pull.head)["annotations"][-1]
    assert (mark["path"], mark["start_line"]) == (texts.SETTINGS, 7)
    ann.pushes(texts.settings(namespace="team-a"))
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert scene.kubeflow.runs()[0]["namespace"] == "team-a"


@pytest.mark.scene(kubeflow=MULTI_USER, config=allowed("team-a", "team-zzz"))
def test_a_namespace_that_kubeflow_itself_refuses(scene, bot, ann):
    ann.pushes(texts.settings(namespace="team-zzz"))
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`kfp.denied`", "into the namespace team-zzz", "Look at pipeline.namespace", "next: push a fix")
    assert nothing_was_made(scene)


def test_a_mesh_that_refuses_knows_nothing_of_namespaces(scene, bot, ann):
    scene.kubeflow.fault("status", "GET", "/pipelines", times=-1, status=403, body="RBAC: access denied")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    assert "pipeline.namespace" not in bot.answer("`kfp.proxy`", "RBAC: access denied", "next: `/retry 1`")
    assert nothing_was_made(scene)


@pytest.mark.scene(kubeflow=MULTI_USER)
def test_a_multi_user_server_needs_a_list_of_namespaces(scene, bot, ann):
    scene.expects_log("event=namespaces_missing")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "no namespace", "operator")
    assert nothing_was_made(scene)


@pytest.mark.scene(config=allowed("team-b"))
def test_a_list_of_namespaces_counts_on_a_single_user_server_too(scene, bot, ann):
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "`team-b`")
    assert nothing_was_made(scene)


@pytest.mark.scene(kubeflow=MULTI_USER, config=allowed("team-a"))
def test_a_namespace_that_was_taken_away_before_the_run(scene, bot, ann):
    """The operator's file changes while the job is under way: what counts is the file at the moment of making."""
    scene.kubeflow.fault("status", times=-1, path="/apis/v2beta1/pipelines/names/", status=503)
    ann.comments("/build_run")
    bot.answer("[!WARNING]", "I keep trying")
    bot.stop()
    bot.configure(lambda config: config["repositories"][0].update(namespaces=["team-b"]))
    scene.kubeflow.send("DELETE", "faults")
    bot.start()
    assert bot.ends() == "-1"
    bot.answer("`denied.namespace`", "`team-b`")
    assert nothing_was_made(scene)


@pytest.mark.scene(kubeflow=("--multi-user", "--namespaces", "team-a"), config=allowed("team-a"))
def test_links_lead_into_the_namespace(scene, bot, ann):
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert scene.kubeflow.runs()[0]["run_id"] in bot.answer("/#/runs/details/")


@pytest.mark.scene(version="1.8.22", config=allowed("team-a"))
def test_a_1_x_server_is_refused_with_what_is_missing(scene, bot, ann):
    scene.expects_log("event=kubeflow_refused .*1.8.22.*version 2.0 or newer")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`kfp.too_old`", "1.8.22", "v1beta1", "version 2.0 or newer is needed")
    assert nothing_was_made(scene)


@pytest.mark.scene(version="2.5.0")
def test_an_older_2_x_server(scene, bot, ann):
    scene.kubeflow.fails_runs("train", "exit code 1", "KeyError\n")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("`run.failed`", "KeyError")
    scene.kubeflow.post("instant", on=True, state="SUCCEEDED")
    ann.comments("/run")
    assert bot.ends() == "rocket"


@pytest.mark.scene(version="1.8.22", config={"limits": {"patience": "1s"}})
def test_a_1_x_server_is_refused(scene, bot, ann):
    scene.expects_log("event=kubeflow_refused")
    scene.wait_until(lambda: any(line.get("event") == "kubeflow_refused" for line in bot.log_lines()), "the refusal")
    told = next(line for line in bot.log_lines() if line.get("event") == "kubeflow_refused")
    assert "1.8.22" in told["message"] and "2.0 or newer is needed" in told["message"]
    scene.expects_violation(".")  # a 1.x server knows none of the paths that a command asks for
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.answer("/build_run")


def test_a_run_that_somebody_deletes(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    scene.kubeflow.api("DELETE", f"runs/{run_of(scene)}")
    assert bot.ends() == "-1"
    bot.answer("`run.gone`", "somebody deleted it", "`/retry`")


def test_a_run_that_somebody_terminates(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    scene.kubeflow.api("POST", f"runs/{run_of(scene)}:terminate")
    assert bot.ends() == "confused"
    bot.answer("`run.terminated`", "not through this bot")


def test_a_run_that_somebody_archives_goes_on(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = run_of(scene)
    scene.kubeflow.archives(run)
    scene.kubeflow.ends(run)
    assert bot.ends() == "rocket"


def test_a_pipeline_that_somebody_deletes_between_build_and_run(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "rocket"
    pipeline = scene.kubeflow.api("GET", "pipelines")["pipelines"][0]["pipeline_id"]
    version = scene.kubeflow.api("GET", f"pipelines/{pipeline}/versions")["pipeline_versions"][0]["pipeline_version_id"]
    scene.kubeflow.api("DELETE", f"pipelines/{pipeline}/versions/{version}")
    scene.kubeflow.api("DELETE", f"pipelines/{pipeline}")
    ann.comments("/run")
    assert bot.ends() == "-1"
    bot.answer("`run.no_version`")


LIES = {
    "HTML instead of JSON": dict(kind="html_502"),
    "an empty object": dict(kind="status", status=200, body={}),
    "half a body": dict(kind="half_body"),
    "a reset before": dict(kind="reset_before"),
    "a reset after": dict(kind="reset_after"),
    "504 after acting": dict(kind="lost_answer"),
}
PLACES = [r"/pipelines$", r"/pipelines/upload_version", r"/experiments$", r"/runs$"]


@pytest.mark.parametrize("lie", LIES)
def test_every_write_to_kubeflow_happens_once(scene, bot, ann, lie):
    for place in PLACES:
        fault = dict(LIES[lie])
        scene.kubeflow.fault(fault.pop("kind"), "POST", place, **fault)
    ann.comments("/build_run")
    assert bot.ends(patience=40) == "rocket"
    state = scene.kubeflow.get("state")
    assert (state["pipelines"], state["versions"], state["runs"]) == (1, 1, 1)
    assert len(scene.kubeflow.runs()) == 1
    assert len([item for item in scene.kubeflow.api("GET", "experiments")["experiments"]
                if item["display_name"] == "Iris experiments"]) == 1


def test_a_workflow_whose_row_was_never_written(scene, bot, ann):
    """The run does not turn up within the time of doubt; another id is used, and the orphan is not ours."""
    scene.kubeflow.fault("drop_row", "POST", r"/runs$")
    ann.comments("/build_run")
    assert bot.ends(patience=40) == "rocket"
    assert scene.kubeflow.get("state")["runs"] == 1


def test_stale_and_slow_answers(scene, bot, ann):
    scene.kubeflow.fault("stale_read", "GET", "/runs", times=3)
    scene.kubeflow.fault("delay", "GET", "/pipelines", delay_ms=300)
    ann.comments("/build_run")
    assert bot.ends(patience=40) == "rocket"
    assert len(scene.kubeflow.runs()) == 1


@pytest.mark.scene(start=False)
def test_a_bearer_token_that_is_replaced(scene, ann):
    """The token file is read again when it changes; a wrong one is a trouble that passes."""
    bot = scene.bot
    scene.write("tokens.json", json.dumps({"good": {"user": "kfops", "audiences": ["pipelines.kubeflow.org"]}}))
    scene.write("kfp-token", "bad\n")
    port, folder = scene.kubeflow.port, scene.folder
    scene.kubeflow.stop()
    scene.kubeflow = type(scene.kubeflow)(folder / "kubeflow", "instant", "2.17.0", "--port", str(port),
                                          "--tokens", str(folder / "tokens.json"))
    bot.configure(lambda config: config["clusters"][0].update(kfp_token_file=str(folder / "kfp-token")))
    bot.start()
    scene.expects_log("kubeflow_refused|event=credentials_refused")
    ann.comments("/build_run")
    bot.job_of()
    bot.answer("Kubeflow", "I keep trying")
    scene.write("kfp-token", "good\n")
    assert bot.ends() == "rocket"
