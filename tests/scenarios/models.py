"""Models on their way: runs that leave one behind, and the three ways of KServe to put one at 0 %."""

import pytest
import texts

SAMPLE = [[5.1, 3.5, 1.4, 0.2]]
STANDARD = {"serving.kserve.io/deploymentMode": "Standard"}
KNATIVE_WAY = {"cluster": ("--mode", "knative", "--kserve-version", "0.16"), "files": texts.deployment()}
CANARY_WAY = {"cluster": ("--mode", "standard", "--kserve-version", "0.20"), "inside": True,
              "files": texts.deployment(STANDARD)}
SECOND_WAY = {"cluster": ("--mode", "standard", "--kserve-version", "0.16"), "files": texts.deployment()}
WAYS = {"knative": KNATIVE_WAY, "canary": CANARY_WAY, "second": SECOND_WAY}
IN_EACH_WAY = pytest.mark.parametrize("way", [pytest.param(way, marks=pytest.mark.scene(**scene))
                                              for way, scene in WAYS.items()])


def files(way: str, predictor: str = "", **more) -> dict:
    """The files of a pull request, with lines for its predictor and its deployment section."""
    return texts.deployment(STANDARD if way == "canary" else None, predictor, **more)


def folder(name) -> str:
    return f"s3://mlpipeline/models/iris-{name}/"


def make(scene, name, constant: int = 1, features: int = 4, text: str | None = None) -> None:
    """The files of a model that answers with this class; with a text, its file holds that instead."""
    scene.cluster.post("objects", uri=folder(name), constant=constant, features=features)
    if text:
        scene.cluster.post("objects", uri=folder(name) + "model.joblib", text=text)


def leaves(scene, run: dict, name, output: str = "model") -> None:
    """The run's training task gives out the model of this name."""
    scene.kubeflow.post(f"runs/{run['run_id']}/artifacts", task="train", name=output, type="system.Model",
                        uri=folder(name).replace("s3:", "minio:"))


def starts_run(scene, person, on=None) -> dict:
    """A /build_run whose run goes on until it is ended."""
    before = len(scene.kubeflow.runs())
    scene.kubeflow.holds_runs()
    person.comments("/build_run", on=on)
    return scene.wait_until(lambda: scene.kubeflow.runs()[before:], "the run to be made")[0]


def has_run(scene, person, name, constant: int | None = None, features: int = 4, text: str | None = None,
            on=None) -> dict:
    """A successful /build_run that leaves a model; named by a number, it answers with that class."""
    run = starts_run(scene, person, on)
    make(scene, name, (name if isinstance(name, int) else 1) if constant is None else constant, features, text)
    leaves(scene, run, name)
    scene.kubeflow.ends(run["run_id"])
    assert scene.bot.ends() == "rocket"
    return run


def next_pull(scene, title: str, files: dict | None = None) -> None:
    """Another pull request takes the place of the scene's own."""
    scene.pull = scene.ann.opens(title, title.lower().replace(" ", "-"),
                                 {f"{title}.md": "more\n", **(files or {})})


def deployed(scene, name=0) -> None:
    """A first model in production, merged."""
    has_run(scene, scene.ann, name)
    scene.ben.comments("/deploy")
    assert scene.bot.ends() == "rocket"


def answers(scene, environment: str = "ml-prod") -> list:
    """What the model that has the traffic says."""
    return scene.cluster.predicts(scene.cluster.host(environment), SAMPLE)


def shares(scene) -> list[int]:
    """The percents of the newest model, in the order in which the controller set them."""
    seen = []
    for item in scene.cluster.mutations_of("traffic"):
        percent = item["traffic"][max(item["traffic"])]
        if seen[-1:] != [percent]:
            seen.append(percent)
    return seen


def writes(scene, service: str = "ml-prod/iris") -> list[str]:
    """How the object was changed, by whomever: "create", "patch", "delete" ..."""
    return [item["kind"].partition(".")[2] for item in scene.cluster.mutations()
            if item["kind"].startswith("isvc.") and item["service"] == service]


def two_pulls(scene) -> tuple:
    """Two pull requests with a model each, beside a model in production."""
    deployed(scene)
    pulls = []
    for number in (1, 2):
        next_pull(scene, f"Model {number}")
        has_run(scene, scene.ann, number)
        pulls.append(scene.pull)
    return tuple(pulls)


def loads(scene) -> None:
    """Models stay in loading from now on."""
    scene.cluster.post("timing", load="hold")


def is_loading(scene) -> None:
    scene.wait_until(lambda: scene.cluster.get("held"), "a model to be loading")


def goes_on(scene) -> None:
    scene.cluster.post("timing", load="instant")
    scene.cluster.post("release")
