"""Fixtures of the scenarios.

    def test_x(scene): ...                                      App mode, runs end at once
    @pytest.mark.scene(mode="token")                            as a user with a token
    @pytest.mark.scene(runs="execute")                          pipelines really run
    @pytest.mark.scene(config={"report": {"notify_after": "0s"}}, files={...})

KFOPS_BUILD names the folder with kfopsd (default: build/asan, build); without one the scenarios are
skipped.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "scene(mode, runs, version, config, files, kubeflow, cluster, inside, start): how the scene is set")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture
def scene(request, tmp_path):
    if not harness.daemon_path().exists():
        pytest.skip(f"no {harness.daemon_path()}: build first, or set KFOPS_BUILD")
    marker = request.node.get_closest_marker("scene")
    made = harness.Scene(tmp_path, **(marker.kwargs if marker else {}))
    try:
        yield made
        if not getattr(request.node, "failed", False):
            made.check_clean()
    finally:
        made.stop()


@pytest.fixture
def bot(scene):
    return scene.bot


@pytest.fixture
def ann(scene):
    return scene.ann


@pytest.fixture
def ben(scene):
    return scene.ben


@pytest.fixture
def eve(scene):
    return scene.eve
