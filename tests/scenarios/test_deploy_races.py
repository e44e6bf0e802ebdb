"""What happens in the world while a deployment is under way, in each way to try a model: pushes, another base, a
merge that is refused, a second deployment, a person who stops it, and a cluster that answers badly."""

import models
from models import IN_EACH_WAY, goes_on, is_loading, loads

CONFLICT = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409,
            "message": "Operation cannot be fulfilled on inferenceservices.serving.kserve.io: the object has been "
                       "modified; please apply your changes to the latest version and try again"}
BUSY = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "TooManyRequests", "code": 429,
        "message": "too many requests"}
OBJECTS = "/inferenceservices"
# how the new model is sent; how many of these are only tried before it; how many patches come before the last one
FIRST_WRITE = {"knative": ("PATCH", 1, 2), "canary": ("PATCH", 2, 3), "second": ("POST", 1, 1)}


def while_loading(scene, name: int, happens) -> None:
    """A /deploy of ben's, and something that happens while its model is being loaded."""
    models.next_pull(scene, f"Model {name}")
    models.has_run(scene, scene.ann, name)
    loads(scene)
    scene.ben.comments("/deploy")
    is_loading(scene)
    happens()
    scene.webhooks_are_idle()
    goes_on(scene)
    assert scene.bot.ends() == "-1"


@IN_EACH_WAY
def test_the_merge_is_refused_after_all(scene, bot, ann, ben, way):
    models.has_run(scene, ann, 1)
    scene.github.fault("status", method="PUT", path="/merge$", status=405, times=1,
                       body={"message": "Base branch was modified. Review and try the merge again."})
    scene.github.fault("status", method="PUT", path="/merge$", status=405,
                       body={"message": "Required status check \"late\" is expected."})
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("serves the model", "the pull request was not merged", "late", "Merge it by hand",
               "`/rollback production`", patience=3)
    seen = scene.pull.look()
    assert not seen["merged"] and seen["labels"] == ["Deployed-to-production"]
    assert seen["deployments"][0]["states"][-1] == "success"
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    assert scene.pull.look()["merged"]

    while_loading(scene, 2, lambda: ann.pushes({"notes.md": "Six neighbours.\n"}))
    bot.answer("its head has moved", "`/build_run`", "`/rollback production`", patience=3)
    assert models.answers(scene) == [2] and not scene.pull.look()["merged"]
    ben.comments("/rollback production")
    assert bot.ends() == "rocket"
    assert models.answers(scene) == [1]

    other = "five-neighbours"  # the branch of the first pull request, without any rules
    while_loading(scene, 3, lambda: scene.github.post(f"{scene.pull.path}/edit", base=other))
    bot.answer("`merge.base_changed`", f"its base branch is `{other}` now, not `main`", patience=3)
    assert models.answers(scene) == [3] and not scene.pull.look()["merged"]


@IN_EACH_WAY
def test_two_deployments_one_after_the_other(scene, bot, ann, ben, way):
    first, second = models.two_pulls(scene)
    loads(scene)
    one = ben.comments("/deploy --no-merge", on=first)
    is_loading(scene)
    two = ben.comments("/deploy --no-merge", on=second)
    bot.answer("number 1 in line for production", f"of #{first.number} has", to=two)
    models.next_pull(scene, "Model 3")
    models.has_run(scene, ann, 3)
    three = ben.comments("/deploy", on=scene.pull)
    bot.answer("number 2 in line for production", to=three)
    ben.comments("/status", on=second)
    assert bot.ends() == "rocket"
    goes_on(scene)
    for each in (one, two, three):
        assert bot.ends(to=each) == "rocket"
    assert models.answers(scene) == [3]
    live = fences(scene)
    assert live == sorted(live, key=int) and len(set(live)) == 3
    labelled = [pull.number for pull in (first, second, scene.pull) if pull.look()["labels"]]
    assert labelled == [scene.pull.number]


def fences(scene) -> list[str]:
    """Of the holders whose mark was put on the service since it was made, in their order."""
    found = []
    for item in scene.cluster.mutations_of("isvc.patch"):
        body = item["body"]
        for part in (body["metadata"], *[each["predictor"] for each in (body.get("spec") or {}).get("canary") or []]):
            if "kfops.dev/fence" in (part.get("annotations") or {}):
                found.append(part["annotations"]["kfops.dev/fence"])
    return found


@IN_EACH_WAY
def test_stopped_and_changed_while_it_is_under_way(scene, bot, ann, ben, way):
    first, second = models.two_pulls(scene)
    loads(scene)
    one = ben.comments("/deploy", on=first)
    is_loading(scene)
    ben.comments("/cancel", on=first)
    goes_on(scene)
    ended = bot.ends(to=one)
    said = bot.answer("topped by ben", "back to the model before", to=one)
    assert models.answers(scene) == [0] and not first.look()["merged"], (ended, said)
    assert first.look()["deployments"][-1]["states"][-1] == "failure"
    if way == "second":
        return  # there are no steps in between

    two = ben.comments("/deploy --steps 10,50 --hold 10m", on=second)
    bot.answer("| traffic | 10 % |", to=two)
    ben.comments("/cancel", on=second)
    bot.ends(to=two)
    bot.answer("topped by ben", "back to the model before", to=two)
    assert models.answers(scene) == [0] and not second.look()["merged"]
    assert [item["code"] for item in bot.jobs() if item["comment_id"] in (one.id, two.id)] == \
        ["job.cancelled"] * 2

    three = ben.comments("/deploy --steps 10,50 --hold 1s", on=second)
    bot.answer("| traffic | 10 % |", to=three)
    scene.cluster.post("services/ml-prod/iris/edit", patch={"spec": {"predictor": {"timeout": 77}}})
    assert bot.ends(to=three) == "-1"
    bot.answer("`deploy.changed`", to=three)
    assert models.answers(scene) == [0] and not second.look()["merged"]


@IN_EACH_WAY
def test_a_cluster_that_answers_badly_is_changed_once(scene, bot, ann, ben, way):
    models.deployed(scene)
    undisturbed = plays(scene, 1)

    method, tries, other_tries = FIRST_WRITE[way]
    scene.cluster.fault("lost_answer", method=method, path=OBJECTS, skip=tries)
    scene.cluster.fault("status", method="PATCH", path=OBJECTS, skip=other_tries, status=409, body=CONFLICT)
    scene.cluster.fault("status", method="GET", path=OBJECTS, skip=2, status=503, body={})
    scene.cluster.fault("status", method="GET", path=OBJECTS, skip=4, status=429, body=BUSY,
                        headers={"Retry-After": "1"})
    scene.cluster.fault("half_body", method="GET", path=OBJECTS, skip=6)
    assert plays(scene, 2) == undisturbed
    assert models.answers(scene) == [2]


def plays(scene, name: int) -> list:
    """A /deploy that succeeds; what it has changed, in order."""
    models.next_pull(scene, f"Model {name}")
    models.has_run(scene, scene.ann, name)
    before = len(scene.cluster.mutations())
    scene.ben.comments("/deploy")
    assert scene.bot.ends(patience=60) == "rocket"
    return [(item["kind"], item["service"]) for item in scene.cluster.mutations()[before:]
            if item["kind"].startswith("isvc.")]
