"""Fixtures every test may ask for: an empty home, the recorded facts, and seeds that a failure names."""

import os
import random
from pathlib import Path

import hypothesis
import pytest

# A machine that is busy with something else is no reason to fail; a failure prints how to see it again.
hypothesis.settings.register_profile("samosa", deadline=None, print_blob=True)
hypothesis.settings.load_profile("samosa")

SEED_VARIABLE = "SAMOSA_SEED"
"""`make soak SEED=n` sets it; a failure prints it."""


@pytest.fixture
def samosa_home(tmp_path, monkeypatch) -> Path:
    """An empty $SAMOSA_HOME of this test's own."""
    home = tmp_path / "samosa_home"
    home.mkdir()
    monkeypatch.setenv("SAMOSA_HOME", str(home))
    return home


@pytest.fixture
def golden() -> Path:
    """The folder of recorded facts the tests compare with."""
    return Path(__file__).parent / "golden"


def _seed() -> int:
    """The seed asked for, or a fresh one: every run of the tests looks somewhere else."""
    asked = os.environ.get(SEED_VARIABLE)
    return int(asked) if asked else random.SystemRandom().randrange(2**31)


@pytest.fixture
def soak_seed(request) -> int:
    """A seed for randomised tests: $SAMOSA_SEED, or a fresh one that a failure prints."""
    seed = _seed()
    request.node.user_properties.append((SEED_VARIABLE, seed))
    return seed


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Write the seed under a failed test, so that it can be run again as it was."""
    outcome = yield
    report = outcome.get_result()
    seeds = [value for name, value in item.user_properties if name == SEED_VARIABLE]
    if report.failed and seeds:
        report.sections.append(("seed", f"run it again with {SEED_VARIABLE}={seeds[0]}"))


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch, tmp_path):
    """No test reads the keys, the home or the caches of whoever runs it."""
    for name in ("TAVILY_API_KEY", "OPENAI_API_KEY", "HF_TOKEN", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def hub(monkeypatch):
    """A Hub on this machine, empty, that every Hub client of this process talks to."""
    from huggingface_hub import constants

    from tests.hub_server import Hub

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with Hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def slept(monkeypatch) -> list[float]:
    """Nobody waits: these are the seconds that would have passed."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds
