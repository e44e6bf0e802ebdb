"""Fixtures of the scenarios.

    def test_x(scene): ...                                      App mode, runs end at once
    @pytest.mark.scene(mode="token")                            as a user with a token
    @pytest.mark.scene(runs="execute")                          pipelines really run
    @pytest.mark.scene(config={"report": {"notify_after": "0s"}}, files={...})

KFOPS_BUILD names the folder with kfopsd (default: build/asan, build); without one the scenarios are
skipped.
"""

import http.server
import pathlib
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import attack_kit  # noqa: E402
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


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """One bot for all that must not get in; it is clean at the end, and never has a job that nobody sent."""
    if not harness.daemon_path().exists():
        pytest.skip("no kfopsd")
    scene = harness.Scene(tmp_path_factory.mktemp("door"))
    try:
        scene.expects_log("event=receive.unauthorized")
        made = attack_kit.Door(scene)
        yield made
        scene.check_clean()
    finally:
        scene.stop()


@pytest.fixture
def nothing_happens(door):
    """Before and after: the same jobs, comments and process."""
    bot = door.scene.bot
    before = len(bot.jobs())
    yield
    assert bot.process.poll() is None and bot.get("/healthz")[0] == 200
    assert len(bot.jobs()) == before and bot.comments() == []


@pytest.fixture
def trap():
    """The port of a host that nobody should talk to; attack_kit.Trap.caught is what came."""
    attack_kit.Trap.caught.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), attack_kit.Trap)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
