"""What a comment says of the models: which was tried, which serves, which served before."""

import pytest

from models import KNATIVE_WAY, deployed, has_run, next_pull

pytestmark = pytest.mark.scene(**KNATIVE_WAY)


def test_a_model_that_was_taken_back_is_never_said_to_serve(scene, bot, ann, ben):
    deployed(scene, 0)
    good = scene.pull.head[:7]
    next_pull(scene, "Second")
    has_run(scene, ann, 2, text="not a model")
    bad = scene.pull.head[:7]
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer(f"| tried | the model of `{bad}`",
               f"| serves&nbsp;now | the model of `{good}` (pull request 1), as before |", "`/build_run`, then `/deploy`")
    ann.pushes({"fix.md": "mended\n"})
    has_run(scene, ann, 3)
    ben.comments("/deploy")
    assert bot.ends() == "rocket"
    bot.answer(f"| serves&nbsp;now | the model of `{scene.pull.head[:7]}`",
               f"| before | the model of `{good}` (pull request 1) |", "`/rollback production`")
    ben.comments("/rollback production")
    assert bot.ends() == "rocket"
    bot.answer(f"| serves&nbsp;now | the model of `{good}` (pull request 1) |")


def test_a_refusal_says_that_nothing_was_changed(scene, bot, ann, ben):
    ben.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("**It would be refused:** There is no run of commit", "`/build_run`")
    ben.comments("/deploy")
    assert bot.ends() == "-1"
    bot.answer("`deploy.no_run`", "Nothing was changed.", "Gates: one refuses", "`/plan production` shows every gate")
    has_run(scene, ann, 1)
    ben.comments("/plan")
    assert bot.ends() == "rocket"
    bot.answer("**No gate refuses it.**", "| deploys | the model of", "Not asked for here: metrics")
    ben.comments("/rollback production")
    assert bot.ends() == "-1"
    bot.answer("`rollback.nothing`", "nothing to go back to")
