"""/build_run, as people see it."""

import pytest

PIPELINE_PY = {"config_files/config.yaml": """\
repository:
  owner: lab
  name: iris

pipeline:
  name: Sklearn iris
  namespace: team-a
  experiment_name: Iris experiments
  pipeline_path: my_pipeline/pipeline.py
  pipeline_args:
    neighbors: 5
"""}


def test_ann_gets_a_run_of_her_commit(scene, bot, ann):
    ann.comments("/build_run")
    bot.reacts("eyes")
    assert bot.ends() == "rocket"
    said = bot.says("/build_run", f"commit `{scene.pull.head[:7]}`", "asked by @ann")
    for text in ("pr-1-", "```mermaid", "`neighbors`"):
        assert text in said
    assert len(bot.comments()) == 1
    assert len(scene.kubeflow.runs()) == 1
    for check in ("kfops/build", "kfops/run"):
        bot.check(check, conclusion="success", head_sha=scene.pull.head)


@pytest.mark.scene(mode="token")
def test_it_works_as_a_user_with_a_token(scene, bot, ann):
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    bot.says("/build_run", "asked by @ann")
    bot.status("kfops/run", state="success")
    assert scene.pull.look()["checks"] == []


@pytest.mark.scene(runs="execute", files=PIPELINE_PY)
def test_python_is_compiled_and_the_pipeline_really_runs(scene, bot, ann):
    ann.comments("/build_run --param rows=20")
    assert bot.ends(patience=180) == "rocket"
    said = bot.says("/build_run")
    assert "| `neighbors` | `5` |" in said and "| `rows` | `20` |" in said


def test_readers_are_refused(scene, bot, eve):
    eve.comments("/build_run")
    assert bot.ends() == "-1"
    assert scene.kubeflow.runs() == []
    bot.says("@eve")


def test_a_failed_run_says_why(scene, bot, ann):
    scene.kubeflow.fails_runs("train", "exit code 1", "KeyError: 'petal'\n")
    ann.comments("/build_run")
    assert bot.ends() == "-1"
    bot.says("train")
    bot.check("kfops/run", conclusion="failure")


@pytest.mark.scene(config={"github": {"write_gap": "400ms"}})
def test_paced_writes_come_to_an_end(scene, bot, ann):
    scene.github.post("limits", write_gap_s=0.4)
    ann.comments("/build_run")
    assert bot.ends() == "rocket"


def test_doubled_webhooks_make_one_run(scene, bot, ann):
    scene.github.fault("double", on="webhook", event="issue_comment", action="created")
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert len(scene.kubeflow.runs()) == 1
    assert len(bot.comments()) == 1


@pytest.mark.parametrize("ahead_s", [0, 3600], ids=["clocks agree", "ours is ahead"])
def test_a_comment_whose_answer_got_lost_is_not_written_twice(scene, bot, ann, ahead_s):
    scene.github.post("time", advance=-ahead_s)
    scene.github.fault("lost_answer", "POST", r"/issues/1/comments$")
    scene.expects_log("level=warn")
    ann.comments("/build_run")
    assert bot.ends() == "rocket"
    assert len(bot.comments()) == 1


def test_kill_9_in_the_middle_changes_nothing_in_the_end(scene, bot, ann):
    scene.kubeflow.holds_runs()
    ann.comments("/build_run")
    run = scene.wait_until(scene.kubeflow.runs, "the run to be made")[0]
    scene.restart_bot(kill=True)
    scene.kubeflow.ends(run["run_id"])
    assert bot.ends() == "rocket"
    assert len(scene.kubeflow.runs()) == 1
    assert len(bot.comments()) == 1


def test_missed_webhooks_are_fetched(scene, bot, ann):
    scene.webhooks_are_idle()
    scene.bot.stop()
    ann.comments("/build_run")
    scene.webhooks_are_idle()
    scene.bot.start()
    assert bot.ends() == "rocket"


def test_words_that_are_no_commands_stay_unanswered(scene, bot, ann):
    comment = ann.comments("I would use /build_run here.\n\n> /build_run\n\n```\n/build_run\n```\n")
    scene.webhooks_are_idle()
    assert comment.reactions() == []
    assert bot.comments() == [] and bot.jobs() == []
