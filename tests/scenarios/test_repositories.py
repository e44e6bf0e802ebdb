"""What stands in the pull request: settings, pipelines that do not compile, files that are missing. The mistake
is shown with file and line in their repository, and nothing of it reaches Kubeflow."""

import pytest

import texts

PY = "my_pipeline/pipeline.py"


def refused(scene, bot, ann, code, *words, command="/build_run", check="kfops/build"):
    """Asks, and expects this refusal; the failed check."""
    ann.comments(command)
    assert bot.ends() == "-1"
    said = bot.answer()
    for word in (f"`{code}`", *words):
        assert word in said, f"{word!r} is not in\n{said}"
    assert scene.kubeflow.runs() == [] and scene.kubeflow.get("state")["versions"] == 0
    return bot.check(check, conclusion="failure", head_sha=scene.pull.head)


BROKEN = texts.settings()[texts.SETTINGS]
SETTINGS_FAULTS = {
    "not YAML": (BROKEN + "  pipeline_args: [\n", None, []),
    "an unknown key": (BROKEN.replace("namespace:", "namespaec:"), 5, ["namespaec", "namespace"]),
    "a key twice": (BROKEN + "  name: again\n", 11, ["name"]),
    "no pipeline_path": (BROKEN.replace("  pipeline_path: my_pipeline/pipeline.yaml\n", ""), 5, ["pipeline_path is missing"]),
    "a wrong execution mode": (BROKEN + "  pipeline_execution_mode: V9\n", 11, ["V2_ENGINE or V1_LEGACY"]),
    "a path that leads out": (BROKEN.replace("my_pipeline/pipeline.yaml", "../../etc/passwd"), 9, ["pipeline_path"]),
    "an absolute path": (BROKEN.replace("my_pipeline/pipeline.yaml", "/etc/passwd"), 9, ["pipeline_path"]),
    "a list": ("- a\n", 1, ["must be a map"]),
    "empty": ("", 1, ["repository is missing"]),
    "an alias bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n" + BROKEN, None, []),
    "V2_COMPATIBLE": (BROKEN + "  pipeline_execution_mode: V2_COMPATIBLE\n", 11, ["V2_COMPATIBLE", "2021"]),
}


def test_settings_that_are_broken_are_marked_at_their_place(scene, bot, ann):
    for name, (text, line, words) in SETTINGS_FAULTS.items():
        ann.pushes({texts.SETTINGS: text})
        check = refused(scene, bot, ann, "settings.invalid")
        shown = bot.answer()
        for word in words:
            assert word in shown or word.replace("_", "\\_") in shown, f"{name}: {word} is not in\n{shown}"
        mark = check["annotations"][-1]
        assert mark["path"] == texts.SETTINGS and mark["annotation_level"] == "failure", name
        assert line is None or mark["start_line"] == line, f"{name}: {mark}"


@pytest.mark.scene(files={texts.SETTINGS: None})
def test_no_settings(scene, bot, ann):
    refused(scene, bot, ann, "settings.missing", "is not in this commit", "pipeline.name", "getting-started.md",
            "next: push a fix and `/build_run` again · `/logs")
    refused(scene, bot, ann, "settings.missing", command="/run", check="kfops/run")


def test_settings_of_another_repository(scene, bot, ann):
    for owner, name in (("other", "iris"), ("lab", "other")):
        ann.pushes(texts.settings(owner=owner, name=name))
        refused(scene, bot, ann, "settings.other_repository", "lab/iris")
    ann.pushes(texts.settings(owner="LAB", name="Iris"))  # names on GitHub have no case
    ann.comments("/build")
    assert bot.ends() == "rocket"


FINE = texts.ONE_TASK.format(name="one-task", function="one_task")
SOURCE_FAULTS = {
    # code, source, line of the mark, words of the answer
    "a syntax error": ("compile.failed", "def f(:\n", 1, ["SyntaxError"]),
    "an exception at import": ("compile.failed", FINE + "\n\nraise ValueError('no data')\n", 14, ["ValueError", "no data"]),
    "a module that is not there": ("compile.failed", "import nowhere_to_be_found\n" + FINE, 1, ["ModuleNotFoundError"]),
    "an exception in a function": ("compile.failed", "def helper():\n    return {}['petal']\n\n\nhelper()\n", 2,
                                   ["KeyError", "petal"]),
    "no pipeline": ("compile.failed", "x = 1\n", None, []),
    "two pipelines": ("compile.failed", FINE + texts.ONE_TASK.format(name="two", function="two").split("\n\n\n", 1)[1], None,
                      ["pipeline_function_name", "one_task", "two"]),
    "a wrong argument": ("compile.failed", FINE.replace("train(neighbors=neighbors)", "train(neighbours=neighbors)"), 11,
                         ["neighbours"]),
    "exit": ("compile.failed", "import sys\nsys.exit(3)\n", None, []),
}


@pytest.mark.scene(files=texts.python(FINE))
def test_pipelines_that_do_not_compile_are_marked_in_their_file(scene, bot, ann):
    for name, (code, source, line, words) in SOURCE_FAULTS.items():
        ann.pushes({PY: source})
        ann.comments("/build")
        assert bot.ends(patience=60) == "-1", name
        said = bot.answer(f"`{code}`")
        for word in words:
            assert word in said or word.replace("_", "\\_") in said, f"{name}: {word} is not in\n{said}"
        assert "kfops/compile.py" not in said and "/tmp/" not in said, f"{name}: a place that is ours is shown\n{said}"
        check = bot.check("kfops/build", conclusion="failure", head_sha=scene.pull.head)
        if line:
            mark = check["annotations"][-1]
            assert (mark["path"], mark["start_line"]) == (PY, line), f"{name}: {mark}"
    assert scene.kubeflow.get("state")["versions"] == 0


@pytest.mark.scene(files=texts.python(FINE + texts.ONE_TASK.format(name="two", function="two").split("\n\n\n", 1)[1],
                                      pipeline_function_name="two"))
def test_one_of_two_pipelines_in_a_file(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends(patience=60) == "rocket"
    bot.answer("1 task")


MISSING = {
    "not there": ("compile.not_found", "my_pipeline/nowhere.yaml", None),
    "a folder": ("compile.not_found", "my_pipeline", None),
    "a symbolic link that leads out": ("repo.bad_path", "my_pipeline/link.yaml", {"symlink": "/etc/passwd"}),
}


@pytest.mark.parametrize("name", MISSING)
def test_pipeline_files_that_are_not_files(scene, bot, ann, name):
    code, path, content = MISSING[name]
    ann.pushes({**texts.settings(path), **({path: content} if content else {})})
    ann.comments("/build")
    assert bot.ends() == "-1"
    said = bot.answer()
    assert f"`{code}`" in said or "`settings.invalid`" in said, said
    assert "root:" not in said


COMPILED_FAULTS = {
    "not YAML": "a: [\n",
    "something else": "apiVersion: v1\nkind: ConfigMap\n",
    "empty": "",
    "a picture": {"base64": "iVBORw0KGgoAAAANSUhEUg=="},
    "no root": "pipelineInfo:\n  name: x\nschemaVersion: 2.1.0\n",
}


def test_compiled_files_that_are_no_pipelines(scene, bot, ann):
    for name, content in COMPILED_FAULTS.items():
        ann.pushes({"my_pipeline/pipeline.yaml": content})
        ann.comments("/build")
        assert bot.ends() == "-1", name
        said = bot.answer()
        assert "`pipeline.invalid`" in said or "`compile.invalid`" in said, f"{name}:\n{said}"
    assert scene.kubeflow.get("state")["pipelines"] == 0


@pytest.mark.scene(files={**texts.settings("my_pipeline/argo.yaml", pipeline_execution_mode="V1_LEGACY"),
                          "my_pipeline/argo.yaml": texts.ARGO})
def test_a_compiled_pipeline_of_kfp_1(scene, bot, ann):
    ann.comments("/build_run -- label=x fast=true path=gs://b/o")
    assert bot.ends() == "rocket"
    assert scene.kubeflow.parameters() == {"label": "x", "fast": "true", "path": "gs://b/o"}


@pytest.mark.scene(files=texts.python(FINE, pipeline_execution_mode="V1_LEGACY"))
def test_source_of_kfp_1_cannot_be_compiled_any_more(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "-1"
    said = bot.answer()
    assert "`compile.legacy_source`" in said or "`settings.invalid`" in said
    assert "Argo" in said


def test_a_compiled_pipeline_of_the_other_kind(scene, bot, ann):
    """The mode says which of the two kinds of compiled files is meant."""
    ann.pushes({**texts.settings("my_pipeline/argo.yaml"), "my_pipeline/argo.yaml": texts.ARGO})
    refused(scene, bot, ann, "compile.mode", "Argo Workflow", "pipeline_execution_mode: V1_LEGACY")
    ann.pushes(texts.settings("my_pipeline/pipeline.yaml", pipeline_execution_mode="V1_LEGACY"))
    refused(scene, bot, ann, "compile.mode", "V1_LEGACY", "V2_ENGINE")


@pytest.mark.scene(config={"compile": {"mode": "precompiled"}}, files=texts.python(FINE))
def test_a_server_that_takes_compiled_pipelines_only(scene, bot, ann):
    ann.comments("/build")
    assert bot.ends() == "-1"
    bot.answer("compiled")
    ann.pushes(texts.settings())
    ann.comments("/build")
    assert bot.ends() == "rocket"


@pytest.mark.scene(config={"limits": {"checkout_files": 5}})
def test_a_tree_with_too_many_files(scene, bot, ann):
    ann.pushes({f"data/{i}.txt": "x\n" for i in range(10)})
    ann.comments("/build")
    assert bot.ends() == "-1"
    bot.answer("`repo.too_many_files`")


@pytest.mark.scene(config={"limits": {"checkout_bytes": "64KiB", "checkout_file_bytes": "32KiB"}})
def test_a_tree_that_is_too_large(scene, bot, ann):
    ann.pushes({"data.bin": "x" * 100_000})
    ann.comments("/build")
    assert bot.ends() == "-1"
    bot.answer("`repo.too_large`")


@pytest.mark.scene(config={"repositories": [{"match": "lab/other", "cluster": "main"}]})
def test_a_repository_that_is_not_served_is_not_answered(scene, bot, ann):
    comment = ann.comments("/build_run")
    scene.webhooks_are_idle()
    assert comment.reactions() == [] and bot.jobs() == [] and bot.comments() == []
    assert bot.rows("SELECT * FROM deliveries WHERE event <> 'installation'") == []
