"""mlagent.yaml that does not fit the table or the task: refused when planning, by the name of the
file, before anything is fitted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mlagent.cli.main import main
from mlagent.orchestrator.planning import read_plan
from mlagent.orchestrator.settings_check import changed_prices
from mlagent.referee.scoring import how_scored, scoring
from mlagent.settings import read_settings
from mlagent.testing.tables import churn_frame, write_csv


@pytest.fixture
def planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> object:
    """Plans with a mlagent.yaml and flags; (exit code, stderr)."""
    monkeypatch.chdir(tmp_path)
    write_csv(churn_frame(300), tmp_path / "churn.csv")

    def plan(settings: str, *flags: str, sentence: str = "churn model") -> tuple[int, str]:
        (tmp_path / "mlagent.yaml").write_text(f"schema: mlagent/settings/v1\n{settings}\n")
        monkeypatch.setattr(sys, "argv", ["mlagent", "plan", sentence, *flags])
        with pytest.raises(SystemExit) as left:
            main()
        return int(str(left.value.code)), capsys.readouterr().err

    return plan


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("metric: rmse", "mlagent.yaml: metric rmse does not fit a binary task."),
        ("target: nope", "mlagent.yaml: target names 'nope'"),
        ("exclude: [nope]", "mlagent.yaml: exclude names 'nope'"),
        ("positive: maybe", "mlagent.yaml: positive 'maybe' is not a class"),
        ("cost: {perhaps: {yes: 1}}", "mlagent.yaml: cost names 'perhaps'"),
        ("metric: cost", "The metric 'cost' needs what each wrong decision costs."),
        (
            "gates: [{name: g, metric: cost, comparison: at_most, threshold: 1, required: no}]",
            "A gate on 'cost' needs what each wrong decision costs.",
        ),
        (
            "gates: [{name: g, metric: rmse, comparison: at_most, threshold: 1, required: true}]",
            "mlagent.yaml: the gate 'g' asks for rmse, which a binary task does not have.",
        ),
        (
            "gates: [{name: g, metric: modelmb, comparison: at_most, threshold: 1, required: no}]",
            "line 2, gates[0]: 'modelmb' is not measured (did you mean 'model_mb'?)",
        ),
    ],
)
def test_refused_by_the_name_of_the_file(planned, settings: str, said: str) -> None:
    code, err = planned(settings)
    assert code == 2
    assert said in err
    assert not Path("plan.yaml").exists()


def test_a_flag_is_named_as_the_flag(planned) -> None:
    code, err = planned("metric: accuracy", "--metric", "rmse")
    assert code == 2
    assert "--metric rmse does not fit" in err
    assert "mlagent.yaml" not in err


def test_what_fits_is_planned(planned) -> None:
    gate = "{name: g, metric: leakage_suspects, comparison: at_most, threshold: 0, required: true}"
    code, err = planned(f"metric: cost\ncost: {{'no': {{'yes': 1}}}}\ngates: [{gate}]")
    assert code == 0, err


def test_the_plan_keeps_the_prices_and_the_quantile_that_it_was_made_with(planned) -> None:
    assert planned("cost: {'no': {'yes': 3}}")[0] == 0
    task = read_plan(Path("plan.yaml")).task
    assert scoring(task) == {"cost": [[0.0, 3.0], [0.0, 0.0]], "quantile": 0.5}
    assert changed_prices(read_settings(Path()), task) == ""
    Path("mlagent.yaml").write_text("cost: {'no': {'yes': 4}}\n")
    assert "cost in mlagent.yaml differs from the plan" in changed_prices(
        read_settings(Path()), task
    )


def test_a_quantile_is_part_of_the_task(planned) -> None:
    assert planned("quantile: 0.9", "--target", "fee", "--metric", "pinball")[0] == 0
    task = read_plan(Path("plan.yaml")).task
    assert scoring(task) == {"cost": None, "quantile": 0.9}
    assert how_scored(task) == "The pinball loss is that of the quantile 0.9."
    assert [one.confidence for one in task.inferred if one.field == "quantile"] == ["given"]
    Path("mlagent.yaml").write_text("quantile: 0.2\n")
    assert changed_prices(read_settings(Path()), task)
    Path("mlagent.yaml").unlink()
    assert changed_prices(read_settings(Path()), task) == ""


@pytest.mark.parametrize(
    ("sentence", "quantile"),
    [
        ("the 90th percentile of fee", 0.9),
        ("predict the 5 percent quantile of the fee", 0.05),
        ("predict the 0.95 quantile of fee", 0.95),
        ("predict fee at percentile 75", 0.75),
    ],
)
def test_a_quantile_of_the_sentence_is_the_tasks(planned, sentence: str, quantile: float) -> None:
    code, err = planned("", sentence=sentence)
    assert code == 0, err
    task = read_plan(Path("plan.yaml")).task
    assert (task.target, task.metric, task.quantile) == ("fee", "pinball", quantile)
    assert any("the sentence says" in one.how for one in task.inferred if one.field == "quantile")
    assert changed_prices(read_settings(Path()), task) == ""


@pytest.mark.parametrize("sentence", ["predict the percentile of fee", "fee, top 10 customers"])
def test_a_percentile_without_a_number_asks_for_no_quantile(planned, sentence: str) -> None:
    assert planned("", "--target", "fee", sentence=sentence)[0] == 0
    assert read_plan(Path("plan.yaml")).task.metric == "rmse"


def test_what_mlagent_yaml_says_in_vain_is_told(planned) -> None:
    assert planned("quantile: 0.9\ncost: {'no': {'yes': 1}}", "--target", "fee")[0] == 0
    data = read_plan(Path("plan.yaml")).data
    assert data is not None
    told = " ".join(data.notes)
    assert "quantile in mlagent.yaml has no effect" in told
    assert "cost in mlagent.yaml has no effect" in told


def test_prices_that_are_all_zero_are_refused(planned) -> None:
    code, err = planned("metric: cost\ncost: {'no': {'yes': 0}}")
    assert code == 2
    assert "Every price under cost in mlagent.yaml is 0" in err


def test_a_price_in_the_plan_for_no_class_is_refused(planned, monkeypatch, capsys) -> None:
    assert planned("cost: {'no': {'yes': 3}}")[0] == 0
    text = Path("plan.yaml").read_text()
    Path("plan.yaml").write_text(text.replace("'yes': 3", "maybe: 3"))
    monkeypatch.setattr(sys, "argv", ["mlagent", "execute"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "plan.yaml: task.cost names 'maybe'" in capsys.readouterr().err


@pytest.mark.parametrize(("said", "seconds"), [("90", 90), ("'2m'", 120), ("1.5", 1.5)])
def test_a_budget_in_plain_numbers_is_seconds(planned, said: str, seconds: float) -> None:
    assert planned(f"budget: {said}")[0] == 0
    assert read_plan(Path("plan.yaml")).budget.seconds == seconds


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("mape", "MAPE has no value here: 2 values are 0 in the target 'gain'."),
        ("rmsle", "RMSLE has no value here: 1 value is below 0 in the target 'gain'."),
    ],
)
def test_a_metric_without_a_value_on_this_target_is_refused_at_once(
    planned, metric: str, said: str
) -> None:
    frame = churn_frame(300)
    frame["gain"] = [0, 0, -1.5, *range(1, 298)]
    write_csv(frame, Path("churn.csv"))
    code, err = planned("", "--target", "gain", "--metric", metric)
    assert code == 2
    assert said in err
    assert not Path("plan.yaml").exists()


def test_execute_checks_again_after_an_edit(planned, monkeypatch, capsys) -> None:
    assert planned("metric: accuracy")[0] == 0
    Path("mlagent.yaml").write_text("cost: {perhaps: {'yes': 1}}\n")
    monkeypatch.setattr(sys, "argv", ["mlagent", "execute", "--budget", "10s"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "cost names 'perhaps'" in capsys.readouterr().err
    assert not list(Path("runs").glob("*"))
