"""Rounds of /deploy, /promote and /rollback: each on a pull request with a model of its own, beside the model that
serves already.

What is compared is what the world has in the end: who answers, who has the label, what GitHub has of the
deployment and the merge. And whatever happened, no model got traffic that had not answered its sample.
"""

import pathlib
import sys

import rounds

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenarios"))

import harness  # noqa: E402
import models  # noqa: E402

FORCE = '--force "other rounds have moved the base"'
COMMAND = f"/deploy --steps 50,100 {FORCE}"
HELD = f"/deploy --steps 50,100 --hold 1s {FORCE}"
FIRST_MODEL = 1  # what the model says that serves before all rounds; its deployment has this number, too
SERVICE = "ml-prod/iris"
FAST = {"poll": {**rounds.FAST["poll"], "service_first": "20ms"}}


class DeployStage(rounds.Stage):
    """A scene with a cluster; the first model serves, the next ones come with the rounds."""

    PULLS_AT_ONCE = 6
    ASKS_SAMPLES = True

    def __init__(self, folder: pathlib.Path, way: dict):
        super().__init__(folder, config=FAST, **way)
        self._files = way["files"]
        self._model = 0
        self.scene.ann.is_given("maintain")
        models.deployed(self.scene, "first")

    def _new_pull(self):
        """Several at once, all of them behind the base, as they are once another round has merged its own."""
        if not self._fresh:
            scene = self.scene
            scene.github.post("limits", reset=True)  # the rounds of hours, as GitHub counts, are played in minutes
            pulls = [scene.ann.opens("Next", f"round-{self.rounds}-{i}", {f"{self.rounds}-{i}.md": "x\n"})
                     for i in range(self.PULLS_AT_ONCE)]
            scene.github.post(f"repos/{scene.repo}/commits", files={"base.md": f"{self.rounds}\n"}, user="ben")
            self._fresh = [*zip(pulls, self._with_models(pulls))]
        pull, self.answer = self._fresh.pop()
        self.prepare(pull)
        return pull

    def prepare(self, pull) -> None:
        """What is given on the pull request before the round."""

    def gives(self, pull, command: str) -> None:
        comment = self.scene.ben.comments(command, on=pull)
        self.until_rest(comment, f"{command} before the round")
        assert comment.reactions() == ["rocket"], self.bot.log_tail()

    def _with_models(self, pulls: list) -> list[int]:
        """A successful run on each, all at the same time; what its model answers."""
        scene, constants = self.scene, []
        runs = [models.starts_run(scene, scene.ann, pull) for pull in pulls]
        asked = [self.bot.rows("SELECT comment_id FROM jobs WHERE pr = ?", pull.number)[-1] for pull in pulls]
        for run in runs:
            self._model += 1
            constants.append(self._model % 3)
            models.make(scene, self._model, constants[-1])
            models.leaves(scene, run, self._model)
            scene.kubeflow.ends(run["run_id"])
        for pull, row in zip(pulls, asked):
            self.until_rest(harness.Comment(pull, scene.ann, {"id": row["comment_id"]}, "/build_run"), "/build_run")
        return constants

    def count(self, pull) -> dict:
        cluster = self.scene.cluster
        return {**super().count(pull), "mutations": len(cluster.mutations()), "requests": len(cluster.requests())}

    def end(self, pull, comment, before: dict) -> dict:
        scene = self.scene
        seen = pull.look()
        merges = [item for item in scene.github.mutations()
                  if item["kind"] == "pull.merged" and item["number"] == pull.number]
        return {
            **super().end(pull, comment, before),
            "serves its model": models.answers(scene) == [self.answer],
            "labels": seen["labels"],
            "deployments": [(each["environment"], each["states"]) for each in seen["deployments"]],
            "merged": (seen["merged"], len(merges)),
            "second service": scene.cluster.service("ml-prod", "iris-canary") is not None,
            "traffic without a sample": self.untested(before),
        }

    def untested(self, before: dict) -> list[str]:
        """Models that got traffic before they had answered."""
        scene = self.scene
        tried = [(item["revision"], item["at"]) for item in scene.cluster.requests()[before["requests"]:]
                 if item.get("port") == "ingress" and item["status"] == 200]
        made, found = [], []
        for item in scene.cluster.mutations()[before["mutations"]:]:
            if item["kind"] == "workload.created":
                made.append(item["name"])
            for name in self.got_traffic(item, made):
                if not any(revision.startswith(name) and at <= item["at"] for revision, at in tried):
                    found.append(f"{name}: {item}")
        return found

    def got_traffic(self, item: dict, made: list[str]) -> list[str]:
        """Those of the models made in this round to which a mutation gives traffic, as the names of what runs
        them begin."""
        if item.get("service") != SERVICE:
            return []
        if item["kind"] == "traffic":
            return [name for name, percent in item["traffic"].items()
                    if percent and any(each.startswith(name) for each in made)]
        is_second = self.ASKS_SAMPLES and not self.scene.cluster.is_knative and not self.scene.inside
        return ["iris-canary-predictor"] if is_second and item["kind"] == "workload.created" else []

    def violations(self) -> list[str]:
        return super().violations() + \
            [f"the cluster would have refused: {item}" for item in self.scene.cluster.take_violations()]


class PromoteStage(DeployStage):
    """The model of the round was left open."""

    def prepare(self, pull) -> None:
        self.gives(pull, f"/deploy --steps 10 {FORCE}")


class GoneStage(PromoteStage):
    """And then somebody deleted the service, while a second one of it may still be there."""

    def prepare(self, pull) -> None:
        super().prepare(pull)
        self.scene.cluster.send("DELETE", f"services/{SERVICE}")


class RollbackStage(DeployStage):
    """The model of the round serves, and goes; the one before comes back without having to show that it works."""

    ASKS_SAMPLES = False

    def prepare(self, pull) -> None:
        self.gives(pull, f"/deploy --no-merge {FORCE}")
        self.answer = FIRST_MODEL


class NumberStage(RollbackStage):
    """The same, but the one before is rolled out anew."""

    ASKS_SAMPLES = True


class QueueStage(DeployStage):
    """The base branch has a merge queue, which merges what waits there."""

    def __init__(self, folder: pathlib.Path, way: dict):
        super().__init__(folder, way)
        self.scene.github.post(f"repos/{self.scene.repo}/settings", rules=[
            {"type": "merge_queue", "parameters": {"merge_method": "SQUASH"}}])

    def is_at_rest(self, comment) -> bool:
        if self.bot.rows("SELECT 1 FROM jobs WHERE comment_id = ? AND step = 'queue'", comment.id) and \
           comment.pull.look()["in_queue"]:
            self.scene.github.post(f"repos/{self.scene.repo}/queue", number=comment.pull.number, merge=True)
        return super().is_at_rest(comment)
