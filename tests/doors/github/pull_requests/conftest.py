"""One real base run for all of these tests, and an empty GitHub."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pull_projects import Heads, make_project

from mlagent.testing.github import FakeGitHub


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Heads:
    """Made once."""
    return make_project(tmp_path_factory.mktemp("pull") / "project")


@pytest.fixture
def heads(template: Heads, tmp_path: Path) -> Heads:
    """A copy of the repository, so that a test may change it."""
    folder = tmp_path / "project"
    shutil.copytree(template.folder, folder)
    return Heads(folder, template.base, template.head, template.base_run)


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """An empty GitHub with the account of a job."""
    with FakeGitHub() as server:
        server.actions("job-token")
        yield server
