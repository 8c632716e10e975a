"""Shared fixtures: the practice tables and the container engine, each with a reason when absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):  # the same examples each time: a new find is for a developer, not for CI
    settings.load_profile("ci")

REQUIRED = {word for word in os.environ.get("MLAGENT_REQUIRE", "").split(",") if word}


def _absent(what: str, reason: str) -> None:
    if what in REQUIRED:
        pytest.fail(f"MLAGENT_REQUIRE names {what!r}, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def datasets_root() -> Path:
    """`../shared/datasets` beside the checkout, or MLAGENT_DATASETS; skips when absent."""
    root = Path(
        os.environ.get("MLAGENT_DATASETS", Path(__file__).parents[2] / "shared" / "datasets")
    )
    if not (root / "telco_churn").is_dir():
        _absent("datasets", "the practice tables (../shared/datasets) are not here")
    return root


@pytest.fixture(autouse=True)
def _docker_marker(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("docker"):
        from mlagent.testing.engine import engine_problem

        if problem := engine_problem():
            _absent("docker", problem)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (os.environ.get("MLAGENT_LIVE") == "1" and os.environ.get("ANTHROPIC_API_KEY")):
        asleep = pytest.mark.skip(reason="asks a real service; MLAGENT_LIVE=1 and a key run it")
        for item in items:
            if item.get_closest_marker("live"):
                item.add_marker(asleep)
    if "soak" in (config.option.markexpr or ""):
        return
    skip = pytest.mark.skip(reason="long; `make soak` runs it")
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker(skip)
