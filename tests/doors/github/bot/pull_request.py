"""A repository on disk with a base and a pull request that tries to be more than data."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mlagent.contracts.plan import Plan
from mlagent.documents import dump_yaml
from mlagent.orchestrator.plan_flow import PlanFlags, make_plan_here
from mlagent.testing.tables import churn_frame, write_csv

from .bot_case import REPO

SETTINGS = "schema: mlagent/settings/v1\ndata: churn.csv\ntarget: churned\nexclude: [fee]\n"
LOOSE = "schema: mlagent/settings/v1\ndata: loose.csv\ntarget: region\n"
CANDIDATE = """import numpy as np
from pathlib import Path

try:
    Path({canary!r}).write_text("ran")
except OSError:
    pass


def fit(train, spec):
    return float((train[spec["target"]].astype(str) == spec["classes"][-1]).mean())


def predict(model, features):
    return np.full(len(features), model)
"""


@dataclass(frozen=True)
class PullRequest:
    """Commits of a repository that a bot can fetch.

    Attributes:
        server: `file://` address below which `owner/name` lies.
        canary: a file that code of the pull request would write if it ran on this machine.
    """

    server: str
    folder: Path
    base: str
    head: str
    canary: Path


def git(folder: Path, *words: str) -> str:
    """git with a fixed author and without this machine's configuration."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(folder: Path, message: str) -> str:
    """Commit everything; the commit's id."""
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def make_plan(folder: Path, *, without: tuple[str, ...] = ()) -> Plan:
    """A plan for the table here, as `mlagent plan` writes it; option_a, 10 seconds; edited to leave
    out some columns more."""
    made = make_plan_here(folder, PlanFlags("churn model", budget="10s"), None)
    selection = {**made.plan.selection, "ml-engineer": "option_a"}
    exclude = (*made.plan.columns.exclude, *without)
    columns = made.plan.columns.model_copy(update={"exclude": exclude})
    plan = made.plan.model_copy(update={"selection": selection, "columns": columns})
    made.path.write_text(dump_yaml(plan), encoding="utf-8")
    return plan


def make(
    root: Path, *, hostile: bool, plan: bool = False, better: bool = False, rows: int = 400
) -> PullRequest:
    """A base with a table and settings; a head that, when `hostile`, brings code everywhere.

    Args:
        plan: the base has a plan.yaml.
        better: it leaves out the columns that say something, and the head's does not.
    """
    folder, canary = root / "server" / REPO, root / "canary"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    write_csv(churn_frame(rows), folder / "churn.csv")
    (folder / "mlagent.yaml").write_text(SETTINGS)
    if plan:
        make_plan(folder, without=("tenure", "contract") if better else ())
    base = commit(folder, "base")
    (folder / "README.md").write_text("A change.\n")
    if better:
        make_plan(folder)
    if hostile:
        _hostile(folder, canary)
    head = commit(folder, "head")
    return PullRequest(f"file://{root / 'server'}", folder, base, head, canary)


def _hostile(folder: Path, canary: Path) -> None:
    """Whatever a checkout or a Python in this folder might run, and looser rules."""
    touch = f"from pathlib import Path\nPath({str(canary)!r}).write_text('ran')\n"
    for name in ("sitecustomize.py", "usercustomize.py", "pandas.py", "json.py", "conftest.py"):
        (folder / name).write_text(touch)
    (folder / "mlagent").mkdir()
    (folder / "mlagent" / "__init__.py").write_text(touch)
    (folder / "mlagent" / "__main__.py").write_text(touch)
    (folder / "candidates" / "mine").mkdir(parents=True)
    (folder / "candidates" / "mine" / "solution.py").write_text(
        CANDIDATE.format(canary=str(canary))
    )
    (folder / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (folder / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::touch x\n')
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / "runs").symlink_to("/tmp")
    (folder / "mlagent.yaml").write_text(LOOSE)
    write_csv(churn_frame(50), folder / "loose.csv")
    (folder / "churn.csv").write_text("churned,region\nyes,a\n")
