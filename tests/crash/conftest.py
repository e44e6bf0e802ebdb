"""Fixtures of the crash tests. KFOPS_BUILD names the folder with kfopsd, built with FAULTS (the default).

KFOPS_CRASH_ALL=1 is the nightly mode: every crash point of every command, and more cycles.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import rounds  # noqa: E402

IS_NIGHTLY = os.environ.get("KFOPS_CRASH_ALL", "") not in ("", "0")


def pytest_configure(config):
    config.addinivalue_line("markers", "scene: of the scenarios, whose models are used here")


@pytest.fixture(autouse=True)
def built():
    if not rounds.harness.daemon_path().exists():
        pytest.skip(f"no {rounds.harness.daemon_path()}: build first, or set KFOPS_BUILD")


@pytest.fixture
def nightly() -> bool:
    return IS_NIGHTLY


@pytest.fixture
def tell(capsys):
    """Says something that is seen without -s too."""
    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)
    return say


@pytest.fixture
def stage(tmp_path):
    made = rounds.Stage(tmp_path / "stage")
    yield made
    made.stop()
