"""A pull request cannot bend its report: gates, prices, limits and truth are those of the base."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from git import Repo
from pull_projects import SETTINGS, Heads, add_run, commit_all
from pydantic import ValidationError
from reported import gate, report_of, text_of

from mlagent.content import Content
from mlagent.contracts.errors import BadInput
from mlagent.contracts.evaluation import Evaluation
from mlagent.contracts.pr_report import MetricRow, PrGate, PrReport
from mlagent.contracts.run import Seal
from mlagent.contracts.task import TaskSpec
from mlagent.data.frames import read_frame, write_frame
from mlagent.doors.github.base_ref import Repository, policy_at
from mlagent.doors.github.gating import LEAKAGE, NOT_WORSE
from mlagent.doors.github.posting import check_gates, refuse_loosened
from mlagent.store.runs import RunFolder


def test_runs_under_different_seals_are_refused_with_a_sentence(heads: Heads) -> None:
    run = RunFolder(heads.folder / "runs" / add_run(heads, "better"))
    seal = run.read("seal.json", Seal)
    run.write("seal.json", seal.model_copy(update={"id": "f" * 16}))
    report = report_of(heads)
    assert report.standing == "not comparable"
    assert "judged under seal" in report.reason
    assert report.metrics[0].difference is None
    assert [one.name for one in report.failed] == ["not-worse-than-base"]
    assert "Not comparable with the base" in text_of(report)


def test_another_metric_does_not_evade_the_comparison(heads: Heads) -> None:
    run = RunFolder(heads.folder / "runs" / add_run(heads, "worse"))
    task = run.read("task.json", TaskSpec)
    run.write("task.json", task.model_copy(update={"metric": "pr_auc"}))
    report = report_of(heads)
    assert report.standing == "not comparable"
    assert "is scored by pr_auc" in report.reason
    assert "not-worse-than-base" in [one.name for one in report.failed]


def test_a_head_that_rewrites_the_truth_is_not_compared(heads: Heads) -> None:
    run = heads.folder / "runs" / add_run(heads, "worse")
    file = run / "predictions" / "vault.parquet"
    frame = read_frame(file)
    frame["truth"] = np.where(frame["model"] > 0.4, "yes", "no")
    write_frame(frame, file)
    report = report_of(heads)
    assert report.standing == "not comparable"
    assert "disagree on the truth" in report.reason


def test_a_pull_request_cannot_loosen_its_own_gate(heads: Heads) -> None:
    loose = SETTINGS.replace("threshold: 0.55, required: true", "threshold: 0.0, required: false")
    tight = SETTINGS.replace("threshold: 0.55", "threshold: 0.99")
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "mlagent.yaml").write_text(tight)
        base = commit_all(heads.folder, "a higher floor")
        repo.git.checkout("-q", "change")
    (heads.folder / "mlagent.yaml").write_text(loose)
    add_run(heads, "better", commit=commit_all(heads.folder, "no floor"))
    report = report_of(heads)
    assert report.policy_commit == base
    (floor,) = [one for one in report.gates if one.name == "auc-floor"]
    assert (floor.threshold, floor.required, floor.outcome) == (0.99, True, "fail")
    assert floor.source == "mlagent.yaml"


def test_a_run_of_another_commit_measures_no_gate(heads: Heads) -> None:
    add_run(heads, "better")
    (heads.folder / "mlagent.yaml").write_text(SETTINGS + "exclude: [noise_1]\n")
    commit_all(heads.folder, "another change, not run")
    report = report_of(heads)
    assert {one.outcome for one in report.gates} == {"not measured"}
    assert report.failed
    assert "not at the head" in report.notes[0]


def test_contracts_of_a_content_folder_come_from_the_base_too(
    heads: Heads, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = heads.folder / "team" / "contracts"
    home.mkdir(parents=True)
    shipped = Content().path("contracts/ml-engineer.yaml").read_text()
    strict = shipped.replace(
        "- {name: better-than-linear, metric: primary, comparison: better_than_linear, "
        "required: false}",
        "- {name: better-than-linear, metric: primary, comparison: better_than_linear, "
        "required: true}",
    )
    assert strict != shipped
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (home / "ml-engineer.yaml").write_text(strict)
        commit_all(heads.folder, "strict")
        repo.git.checkout("-q", "change")
    home.mkdir(parents=True, exist_ok=True)
    (home / "ml-engineer.yaml").write_text(shipped)
    add_run(heads, "worse")
    monkeypatch.setenv("MLAGENT_CONTENT", str(heads.folder / "team"))
    report = report_of(heads)
    assert "better-than-linear" in [one.name for one in report.failed]


def test_a_constraint_of_the_base_plan_stays_a_gate(heads: Heads) -> None:
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        file = heads.folder / "plan.yaml"
        kept = file.read_text()
        limit = "constraints:\n  - {kind: max_model_mb, value: 0.000001}"
        assert "constraints: []" in kept
        file.write_text(kept.replace("constraints: []", limit))
        commit_all(heads.folder, "small models only")
        repo.git.checkout("-q", "change")
    add_run(heads, "better")
    report = report_of(heads)
    assert "max-model-mb" in [one.name for one in report.failed]


def test_a_price_list_of_the_head_does_not_count(heads: Heads) -> None:
    priced = SETTINGS.replace(
        "gates:\n",
        "cost:\n  'no': {'yes': 1}\n  'yes': {'no': 6}\ngates:\n"
        "- {name: cheap, metric: cost, comparison: at_most, threshold: 0.001, required: true}\n",
    )
    free = priced.replace("'no': 6", "'no': 0").replace("'yes': 1", "'yes': 0")
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "mlagent.yaml").write_text(priced)
        commit_all(heads.folder, "prices")
        repo.git.checkout("-q", "change")
    (heads.folder / "mlagent.yaml").write_text(free)
    add_run(heads, "better")
    report = report_of(heads)
    (cheap,) = [one for one in report.gates if one.name == "cheap"]
    assert cheap.outcome == "fail"
    assert cheap.value is not None
    assert cheap.value > 0.1


def test_a_broken_file_at_the_base_is_named_with_its_commit(heads: Heads) -> None:
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "mlagent.yaml").write_text("schema: mlagent/settings/v1\ngatez: []\n")
        base = commit_all(heads.folder, "broken")
        repo.git.checkout("-q", "change")
    add_run(heads, "better")
    with pytest.raises(BadInput) as caught:
        report_of(heads)
    assert str(caught.value).startswith(f"At {base[:7]}: mlagent.yaml")
    assert "gatez" in str(caught.value)


def test_a_settings_file_that_is_a_link_is_not_followed(heads: Heads) -> None:
    secret = heads.folder.parent / "secret.yaml"
    secret.write_text("schema: mlagent/settings/v1\nbudget: 77s\n")
    with Repo(heads.folder) as repo:
        repo.git.checkout("-q", "main")
        (heads.folder / "mlagent.yaml").unlink()
        (heads.folder / "mlagent.yaml").symlink_to(secret)
        commit_all(heads.folder, "a link")
        repo.git.checkout("-q", "change")
    add_run(heads, "better")
    report = report_of(heads)
    assert "auc-floor" not in [one.name for one in report.gates]


Change = Callable[[dict[str, Any]], object]
BENT: dict[str, Change] = {
    "difference": lambda data: data["metrics"][0]["difference"].update(
        value=0.1, low=0.05, high=0.2, verdict="better"
    ),
    "no base score": lambda data: data["metrics"][0].update(base=None),
    "policy of the head": lambda data: data.update(policy_commit=data["head_commit"]),
    "not worse": lambda data: [
        gate.update(value=0.0, low=-0.1, high=0.1, outcome="pass")
        for gate in data["gates"]
        if gate["comparison"] == "not_worse_than_base"
    ],
    "not applicable": lambda data: [
        gate.update(value=None, low=None, high=None, outcome="not applicable")
        for gate in data["gates"]
        if gate["comparison"] == "better_than_linear"
    ],
    "another model than was judged": lambda data: data["head"].update(model_name="linear"),
    "a floor that does not apply": lambda data: data["gates"][0].update(
        comparison="at_least", threshold=1.0, value=None, outcome="not applicable"
    ),
    "outside its interval": lambda data: [
        gate.update(value=-5.0)
        for gate in data["gates"]
        if gate["comparison"] == "better_than_dummy"
    ],
}


@pytest.fixture(scope="module")
def worse(template: Heads, tmp_path_factory: pytest.TempPathFactory) -> tuple[PrReport, Path]:
    """A report of a worse head, which no test changes, and the folder that it is of."""
    folder = tmp_path_factory.mktemp("unbent") / "project"
    shutil.copytree(template.folder, folder)
    heads = Heads(folder, template.base, template.head, template.base_run)
    add_run(heads, "worse")
    return report_of(heads), folder


@pytest.mark.parametrize("name", sorted(BENT))
def test_numbers_that_do_not_fit_each_other_are_no_report(
    worse: tuple[PrReport, Path], name: str
) -> None:
    data = worse[0].model_dump(mode="json", by_alias=True)
    PrReport.model_validate(data)
    BENT[name](data)
    with pytest.raises(ValidationError):
        PrReport.model_validate(data)


def test_a_metric_cannot_be_turned_around(worse: tuple[PrReport, Path]) -> None:
    """ROC AUC that is better the smaller it is: every number of such a row fits the others."""
    row = worse[0].metrics[0]
    assert row.difference is not None
    value, low, high = (-n for n in (row.difference.value, row.difference.high, row.difference.low))
    assert low > 0
    turned = {"value": value, "low": low, "high": high, "verdict": "better"}
    data = row.model_dump(mode="json") | {"direction": "minimize", "difference": turned}
    with pytest.raises(ValidationError, match="'roc_auc' is not to minimize"):
        MetricRow.model_validate(data)


def test_a_foreign_report_brings_neither_gates_nor_a_base_of_its_own(
    worse: tuple[PrReport, Path],
) -> None:
    report, folder = worse
    with Repo(folder) as repo:
        base, head = (str(repo.commit(name).hexsha) for name in ("main", "change"))
    assert check_gates(report, folder, base)
    mine = report.gates[0].model_copy(update={"name": "approved", "source": "security team"})
    for bent in (
        report.model_copy(update={"gates": (*report.gates, mine)}),
        report.model_copy(
            update={
                "gates": (
                    report.gates[0].model_copy(update={"source": "the boss"}),
                    *report.gates[1:],
                )
            }
        ),
        report.model_copy(update={"base_commit": head, "policy_commit": head}),
        report.model_copy(update={"base_commit": "f" * 40}),
    ):
        with pytest.raises(BadInput):
            check_gates(bent, folder, base)


def test_a_later_commit_of_the_base_branch_may_be_the_base_of_a_foreign_report(
    worse: tuple[PrReport, Path], tmp_path: Path
) -> None:
    """Its gates hold then. One that is not of the branch may not, nor may another branch's."""
    folder = tmp_path / "project"
    shutil.copytree(worse[1], folder)
    with Repo(folder) as repo:
        base = str(repo.commit("main").hexsha)
        repo.git.checkout("-q", "main")
        later = commit_all(folder, "meanwhile")
        repo.git.checkout("-q", "-b", "mine")
        (folder / "mlagent.yaml").write_text(SETTINGS.replace("threshold: 0.55", "threshold: 0.0"))
        mine = commit_all(folder, "no floor")
    named = {
        commit: worse[0].model_copy(update={"base_commit": commit, "policy_commit": commit})
        for commit in (base, later, mine)
    }
    assert check_gates(named[later], folder, base, "main")
    assert check_gates(named[base], folder, later, "main"), "an earlier one: GitHub's gates hold"
    for commit, branch in ((mine, "main"), (later, None), (later, "nowhere")):
        with pytest.raises(BadInput, match="no commit of the base branch"):
            check_gates(named[commit], folder, base, branch)
    with pytest.raises(BadInput, match="'auc-floor' is not the one of the base commit"):
        check_gates(named[mine], folder, base, "mine")


WEAKER: dict[str, Callable[[PrGate], tuple[PrGate, ...]]] = {
    "absent": lambda gate: (),
    "not required": lambda gate: (gate.model_copy(update={"required": not gate.required}),),
    "with another threshold": lambda gate: (
        gate.model_copy(
            update={"threshold": 9.0 if gate.threshold is None else gate.threshold + 1}
        ),
    ),
    "another comparison": lambda gate: (
        gate.model_copy(update={"comparison": "at_most", "metric": "model_mb", "threshold": 9.0}),
    ),
    "said twice": lambda gate: (gate, gate),
    "of another source": lambda gate: (gate.model_copy(update={"source": "security team"}),),
}


@pytest.mark.parametrize("how", WEAKER)
def test_every_guard_rail_of_the_base_is_demanded_of_a_foreign_report(
    worse: tuple[PrReport, Path], how: str
) -> None:
    """The two of every pull request as well: not-worse-than-base and no-new-leakage-suspect."""
    report, folder = worse
    with closing(Repository(folder)) as repository:
        policy = policy_at(repository, str(report.base_commit), None)
    refuse_loosened(report, policy)
    assert {"no-bad-group", "small-enough", NOT_WORSE, LEAKAGE} <= {g.name for g in report.gates}
    for at, one in enumerate(report.gates):
        gates = (*report.gates[:at], *WEAKER[how](one), *report.gates[at + 1 :])
        with pytest.raises(BadInput, match=f"gate '{one.name}' is not the one of the base commit"):
            refuse_loosened(report.model_copy(update={"gates": gates}), policy)


def test_another_suspect_of_leakage_in_the_place_of_the_bases_is_a_new_one(heads: Heads) -> None:
    """As many as before are no reason to pass: no-new-leakage-suspect holds names."""
    home = heads.folder / "runs"
    base = RunFolder(home / heads.base_run)
    before = base.read("evaluation.json", Evaluation)
    base.write("evaluation.json", before.model_copy(update={"suspects": ("fee", "usage_gb")}))
    run = RunFolder(home / add_run(heads, "better", suspects=("tenure", "usage_gb")))
    report = report_of(heads)
    (found,) = [one for one in report.gates if one.name == LEAKAGE]
    assert (found.outcome, found.value, found.threshold, found.required) == ("fail", 1, 0, True)
    assert found.evidence.endswith("not by the base: 1 ('tenure')")
    assert LEAKAGE in [one.name for one in report.failed]
    said = [line for line in text_of(report).splitlines() if "almost alone" in line]
    assert ["the base does not keep it" in line for line in said] == [True, False]
    data = report.model_dump(mode="json", by_alias=True)
    data["gates"] = [
        one | ({"value": 0.0, "outcome": "pass"} if one["name"] == LEAKAGE else {})
        for one in data["gates"]
    ]
    with pytest.raises(ValidationError, match="fewer suspects than are named"):
        PrReport.model_validate(data)

    mine = run.read("evaluation.json", Evaluation)
    run.write("evaluation.json", mine.model_copy(update={"suspects": ("usage_gb",)}))
    assert gate(report_of(heads), LEAKAGE) == "pass"
