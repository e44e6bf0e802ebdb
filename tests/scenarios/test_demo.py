"""The demonstration of the README, as a stranger runs it: one conversation with the release build.

KFOPS_BUILD_ROOT names the folder in which demo.sh keeps its build; without a kfopsd there this is skipped, because
demo.sh would build one.
"""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run_demo(*args: str) -> str:
    folder = os.environ.get("KFOPS_BUILD_ROOT")
    if not folder or not pathlib.Path(folder, "demo/kfopsd").exists():
        pytest.skip("no release build in $KFOPS_BUILD_ROOT/demo: test.sh makes one")
    done = subprocess.run([ROOT / "demo.sh", *args], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_demo_shows_a_conversation_that_ends_well():
    said = run_demo("--once")
    for words in ("/build_run", "🚀", "`neighbors`", "```mermaid", "train-model: SUCCEEDED", "#/runs/details/", "next: "):
        assert words in said, said


def test_tour_deploys_a_good_model_and_keeps_a_broken_one_away():
    good, broken = run_demo("--tour").split("# Keep the names of the flowers #2")
    for words in ("merged · ", "✅ **/staging_deploy**", "What `/deploy production` would do", "✅ **/deploy**",
                  '{"predictions":[0,2]}'):
        assert words in good, good
    for words in ("✅ **/build_run**", "❌ **/deploy**", "`deploy.sample`", "has no attribute 'predict'", "All traffic is back"):
        assert words in broken, broken
