"""What this machine lacks (an engine, a package, a system library) is named with how to get it,
exit code 4, and the user's files stay as they were."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Done, Run, user_files

from mlagent.testing.command_line import NO_ENGINE, run_mlagent
from mlagent.testing.tables import build_tree, churn_frame, write_csv

LIBGOMP = """\
raise OSError("libgomp.so.1: cannot open shared object file: No such file or directory")
"""
LACKING = {
    "libgomp": ({"lightgbm/__init__.py": LIBGOMP}, ("'libgomp.so.1'", "LightGBM", "libgomp1")),
    "package": ({}, ("'lightgbm'", "sandbox build")),
}


def test_try_without_docker_names_the_remedy(
    tmp_path: Path, mlagent: Run, refused: Callable[..., str]
) -> None:
    write_csv(churn_frame(120), tmp_path / "churn.csv")
    assert mlagent("plan", "churn model").code == 0
    build_tree(tmp_path, {"mine/solution.py": "def fit(t, s): ...\ndef predict(m, f): ...\n"})
    err = refused("try", "mine", code=4)
    assert "container engine" in err
    assert "Install Docker" in err


def python_without(folder: Path, *packages: str) -> tuple[Path, Path]:
    """A real interpreter with everything of this one but `packages`: itself and its
    site-packages."""
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.lower().startswith((*packages, "__pycache__", "_virtualenv")):
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python", site


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Done]]:
    """`plan` and `execute` where LightGBM cannot be imported, in each way; side by side."""
    words = "execute --select data-explorer=option_a --select statistical-analyst=option_a "
    words += "--select ml-engineer=option_b --budget 60s"
    started = {}
    for name, (stub, _) in LACKING.items():
        folder = tmp_path_factory.mktemp(name)
        python, site = python_without(folder / "python", "lightgbm")
        build_tree(site, stub)
        project = build_tree(folder / "project", {"notes.txt": "mine"})
        write_csv(churn_frame(1200), project / "churn.csv")
        assert (
            run_mlagent(
                project, "plan", "churn model", environment=NO_ENGINE, python=python
            ).returncode
            == 0
        )
        started[project] = (
            name,
            user_files(project),
            subprocess.Popen(
                [str(python), "-m", "mlagent", *words.split()],
                cwd=project,
                env=os.environ | NO_ENGINE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ),
        )
    found = {}
    for project, (name, before, process) in started.items():
        out, err = process.communicate(timeout=300)
        assert user_files(project) == before
        found[name] = (project, Done(process.returncode, out, err))
    return found


@pytest.mark.parametrize("name", LACKING)
def test_what_the_sandbox_lacks_is_named_with_how_to_get_it(
    lacking: dict[str, tuple[Path, Done]], name: str
) -> None:
    project, done = lacking[name]
    assert done.code == 4, done.err
    assert "Traceback" not in done.out + done.err
    assert len(done.err.splitlines()) == 2
    for part in LACKING[name][1]:
        assert part in done.err
    assert not list(project.glob("runs/*/manifest.json"))
    assert not (project / ".mlagent" / "scratch").exists()
