"""From words and data to a task, or to a question; never to a wrong target."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mlagent.contracts.errors import BadInput
from mlagent.contracts.task import Constraint, TaskSpec
from mlagent.data.door import open_table
from mlagent.data.infer import Question, infer_task
from mlagent.data.profile import TableProfile, profile_table

Put = Callable[..., Path]

SENTENCES = {
    "adult": "predict which people earn more than 50K a year",
    "ames_housing": "estimate what a home will be sold for, its price",
    "bank_churn": "predict which customers will leave the bank",
    "bike_sharing": "how many bikes will be rented each hour",
    "california_housing": "predict house prices in California districts",
    "car_evaluation": "classify cars by how acceptable they are to a buyer",
    "credit_default": "predict which clients will default on their credit card next month",
    "german_credit": "is this applicant a bad credit risk",
    "hpc_jobs": "how long will a compute job run",
    "hr_attrition": "which employees are going to quit",
    "insurance": "predict the medical costs of a person",
    "sms_spam": "filter junk from text messages",
    "synth_churn": "who will cancel their contract",
    "taxis_seaborn": "predict the price of a taxi trip",
    "telco_churn": "customer retention: who is likely to leave",
    "titanic": "predict which passengers survive",
    "wine_white": "grade wines from lab measurements",
}
TRAPS = {
    "telco_churn": ["customers who cancel their phone service", "lost customers"],
    "synth_churn": ["predict cancellations of the plan", "support"],
    "hr_attrition": ["leaving because of low job satisfaction", "staff"],
    "taxis_seaborn": ["what a passenger pays", "how much does a ride cost", "trips"],
    "ames_housing": ["what will a house in Ames sell for", "house values", "houses"],
    "credit_default": ["which card holders will not pay their bill", "payments", "customers"],
    "german_credit": ["credit", "loans of single men"],
    "titanic": ["passengers", "did a passenger make it out alive"],
    "california_housing": ["homes near the ocean", "rich districts"],
    "bike_sharing": ["bikes", "rush hours"],
    "bank_churn": ["which customers with high balance will leave", "bank customers"],
    "adult": ["rich people", "people by education"],
}


@pytest.fixture(scope="session")
def profiles(datasets_root: Path) -> dict[str, TableProfile]:
    found = {}
    for name in SENTENCES:
        with open_table(datasets_root / name / f"{name}.csv") as table:
            found[name] = profile_table(table)
    return found


def test_seventeen_tables_and_one_sentence_each(
    datasets_root: Path, profiles: dict[str, TableProfile]
) -> None:
    right, wrong, asked = [], [], []
    for name, sentence in SENTENCES.items():
        truth = json.loads((datasets_root / name / "meta.json").read_text())
        task = infer_task(sentence, profiles[name], None)
        if isinstance(task, Question):
            assert truth["target"] in task.candidates, name
            asked.append(name)
        elif task.target == truth["target"]:
            assert (task.kind, task.positive) == (truth["task"], truth["positive"]), name
            right.append(name)
        else:
            wrong.append((name, task.target))
    assert wrong == []
    assert len(right) >= 14, asked


@pytest.mark.parametrize("name", TRAPS)
def test_a_vague_or_tricky_sentence_is_asked_about_rather_than_guessed(
    datasets_root: Path, profiles: dict[str, TableProfile], name: str
) -> None:
    truth = json.loads((datasets_root / name / "meta.json").read_text())["target"]
    for sentence in TRAPS[name]:
        task = infer_task(sentence, profiles[name], None)
        assert isinstance(task, Question) or task.target == truth, sentence


@pytest.mark.parametrize("name", SENTENCES)
def test_every_given_target_becomes_a_task(
    datasets_root: Path, profiles: dict[str, TableProfile], name: str
) -> None:
    truth = json.loads((datasets_root / name / "meta.json").read_text())
    task = infer_task("model", profiles[name], None, target=truth["target"])
    assert isinstance(task, TaskSpec)
    assert (task.kind, task.metric, task.positive) == (
        truth["task"],
        truth["metric"],
        truth["positive"],
    )


def profile(put: Put, header: str, rows: list[str]) -> TableProfile:
    with open_table(put("table.csv", header + "\n" + "\n".join(rows) + "\n")) as table:
        return profile_table(table)


@pytest.fixture
def shop(put: Put) -> TableProfile:
    """30 rows: customer_id, age, stars 1-5, size, bought yes/no, spend."""
    rows = [
        f"{n + 1},{20 + n * 7 % 50},{n % 5 + 1},{'sml'[n % 3]},"
        f"{'yes' if n % 3 else 'no'},{n * 1.37:.2f}"
        for n in range(30)
    ]
    return profile(put, "customer_id,age,stars,size,bought,spend", rows)


def infer(sentence: str, of: TableProfile, **flags: object) -> TaskSpec:
    task = infer_task(sentence, of, None, **flags)  # type: ignore[arg-type]
    assert isinstance(task, TaskSpec), task
    return task


def test_every_inference_says_how_and_how_sure(shop: TableProfile) -> None:
    task = infer("who has bought", shop)
    fields = {one.field: one for one in task.inferred}
    assert set(fields) == {"target", "kind", "positive", "metric"}
    assert all(one.how for one in task.inferred)
    assert fields["positive"].value == "yes"
    given = infer("who has bought", shop, target="size", metric="accuracy")
    assert {o.field: o.confidence for o in given.inferred}["target"] == "given"


def test_a_question_names_candidates_and_the_flag(shop: TableProfile) -> None:
    question = infer_task("something useful", shop, None)
    assert isinstance(question, Question)
    assert question.flag == "--target"
    assert "spend" in question.candidates
    assert "customer_id" not in question.candidates


def test_columns_after_from_and_using_are_features(shop: TableProfile) -> None:
    assert infer("predict stars from age, size and spend", shop).target == "stars"
    assert infer("predict spend using stars", shop).target == "spend"


@pytest.mark.parametrize("name", ["z", "y1", "q"])
def test_a_name_too_short_to_be_a_word_is_found_by_its_letters(put: Put, name: str) -> None:
    rows = [f"{n % 7},{n * 1.3:.1f},{n * n % 31 + 0.5},{n % 11}" for n in range(60)]
    found = profile(put, f"x,{name},k,m", rows)
    assert infer(f"predict {name}", found).target == name
    assert infer(f"predict {name} from x and k", found).target == name
    assert isinstance(infer_task("predict something", found, None), Question)


def test_words_decide_between_classes_and_amounts(shop: TableProfile) -> None:
    assert infer("classify the stars", shop, target="stars").kind == "multiclass"
    assert infer("how many stars", shop, target="stars").kind == "multiclass"
    assert infer("regression", shop, target="age").kind == "regression"
    assert infer("x", shop, target="stars", metric="rmse").kind == "regression"


def test_the_metric_comes_from_the_words_when_it_fits(shop: TableProfile) -> None:
    assert infer("who has bought, best average precision", shop).metric == "pr_auc"
    assert infer("predict spend, judged by MAE", shop).metric == "mae"
    assert infer("predict the cost", shop, target="bought").metric == "roc_auc"
    assert infer("classify size with macro F1", shop, target="size").metric == "macro_f1"


def test_the_sentence_chooses_the_positive_class(put: Put) -> None:
    found = profile(put, "x,kind", [f"{n * 1.3},{'ham' if n % 2 else 'spam'}" for n in range(40)])
    assert infer("detect spam", found).positive == "spam"
    assert infer("junk filter", found).classes == ("ham", "spam")
    assert infer("detect spam", found, positive="HAM").positive == "ham"


def test_one_and_two_are_codes_so_the_rarer_class_is_positive(put: Put) -> None:
    found = profile(put, "x,default", [f"{n * 1.3},{1 if n % 3 else 2}" for n in range(60)])
    assert infer("loan default", found).positive == "2"


BAD: dict[str, tuple[dict[str, object], str]] = {
    "absent": ({"target": "bougth"}, r"--target names 'bougth'.*Did you mean.*'bought'"),
    "positive": ({"target": "bought", "positive": "maybe"}, r"not a class.*'yes', 'no'"),
    "positive of a regression": ({"target": "spend", "positive": "1"}, "is a regression"),
    "metric unknown": ({"target": "bought", "metric": "rocauc"}, r"Did you mean 'roc_auc'"),
    "metric unfit": ({"target": "bought", "metric": "rmse"}, r"does not fit.*roc_auc"),
    "classes of an amount": ({"target": "spend", "metric": "accuracy"}, "needs classes"),
    "group": ({"target": "bought", "group": "shop"}, "--group names 'shop'"),
    "time": ({"target": "bought", "time": "when"}, "--time names 'when'"),
    "id": ({"target": "bought", "ids": ("key",)}, "--id names 'key'"),
    "group is the target": ({"target": "bought", "group": "bought"}, "is the target"),
    "monotone": (
        {"target": "bought", "constraints": (Constraint(kind="monotone", column="aeg", sign="+"),)},
        r"names 'aeg'.*'age'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_flag_that_does_not_fit_is_a_sentence(shop: TableProfile, case: str) -> None:
    flags, said = BAD[case]
    with pytest.raises(BadInput, match=said) as caught:
        infer("x", shop, **flags)
    assert caught.value.remedy


@pytest.fixture
def visits(put: Put) -> TableProfile:
    """60 rows: ward text, day a date, year, site constant, note empty, stay days, back yes/no."""
    rows = [
        f"w{n % 9},2020-01-{n % 28 + 1:02d},{2018 + n % 3},north,,{n % 17},"
        f"{'yes' if n % 3 else 'no'}"
        for n in range(60)
    ]
    return profile(put, "ward,day,year,site,note,stay,back", rows)


@pytest.mark.parametrize(
    ("flags", "said", "remedy"),
    [
        ({"time": "ward"}, "'ward', which has no order in time", "'day', 'year'"),
        ({"time": "site"}, "'site', which does not tell rows apart", "leave --time out"),
        ({"group": "site"}, "'site', which does not tell rows apart", "leave --group out"),
        ({"group": "note"}, "every cell is missing", "leave --group out"),
        ({"group": "ward", "time": "day"}, "at once is not built", "Keep --group"),
        ({"group": "ward"}, None, None),
        ({"time": "day"}, None, None),
        ({"time": "year"}, None, None),
        ({"time": "stay"}, None, None),
    ],
)
def test_a_time_column_has_an_order_and_a_group_column_groups(
    visits: TableProfile, flags: dict[str, object], said: str | None, remedy: str | None
) -> None:
    if said is None or remedy is None:
        assert infer("who was back", visits, **flags).target == "back"
        return
    with pytest.raises(BadInput, match=said) as caught:
        infer("who was back", visits, **flags)
    assert remedy in str(caught.value.remedy)


def test_without_dates_and_numbers_a_text_as_time_is_told_how_to_be_written(put: Put) -> None:
    found = profile(put, "when,back", [f"week {n % 5},{'yn'[n % 2]}" for n in range(40)])
    with pytest.raises(BadInput) as caught:
        infer("back", found, time="when")
    assert "2026-01-31" in str(caught.value.remedy)


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("predict site", "'site' has one value only"),
        ("predict the note of each visit", "'note' is missing in every row"),
        ("predict the day", "'day' holds dates"),
    ],
)
def test_a_named_column_that_cannot_be_a_target_is_said_rather_than_asked_about(
    visits: TableProfile, sentence: str, said: str
) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        infer(sentence, visits)
    assert "--target" in caught.value.remedy


@pytest.mark.parametrize("sentence", ["who was back on site", "back, from site and note", "back"])
def test_a_constant_that_is_only_mentioned_does_not_stand_in_the_way(
    visits: TableProfile, sentence: str
) -> None:
    assert infer(sentence, visits).target == "back"


def test_a_rating_is_read_as_classes_and_the_way_to_a_number_is_said(put: Put) -> None:
    rows = [f"{n * 1.1},{n % 7 + 3}" for n in range(80)]
    found = profile(put, "alcohol,quality", rows)
    how = {one.field: one.how for one in infer("predict the quality score of wine", found).inferred}
    assert "plan again with --metric rmse" in how["kind"]
    assert infer("predict the quality score of wine", found, metric="rmse").kind == "regression"
    task = infer("how many", profile(put, "x,stock", rows), target="stock")
    how = {one.field: one.how for one in task.inferred}
    assert task.kind == "regression"
    assert "plan again with --metric log_loss" in how["kind"]


UNFIT = {
    "constant": (["7"] * 20, "one value only"),
    "all missing": (["", " ", "NA", "?"] * 5, "missing in every row"),
    "a class of one row": (["a", "b"] * 10 + ["c"], "a class of one row: 'c'"),
    "dates": ([f"2020-01-{n:02d}" for n in range(1, 21)], "holds dates"),
    "texts": ([f"text {n}" for n in range(120)], "too many to be classes"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_target_that_cannot_be_learned_is_a_sentence(put: Put, case: str) -> None:
    cells, said = UNFIT[case]
    found = profile(put, "x,y", [f"{n * 1.1},{cell}" for n, cell in enumerate(cells)])
    with pytest.raises(BadInput, match=said) as caught:
        infer("x", found, target="y")
    assert caught.value.remedy


def test_a_number_too_large_to_be_squared_is_to_be_rescaled(put: Put) -> None:
    found = profile(put, "x,y", [f"{n},{-n * 1.1e200!r}" for n in range(40)])
    with pytest.raises(BadInput, match="'y' has values as large as 4.29e.201") as caught:
        infer("predict y", found)
    assert "Rescale" in caught.value.remedy
    fine = profile(put, "x,y", [f"{n},{n * 1.1e90!r}" for n in range(40)])
    assert infer("predict y", fine).kind == "regression"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([f"name {'abcdefgh'[n % 8]}{n % 200 // 8}" for n in range(400)], "200 different texts"),
        ([f"A{n * 7919 % 1000}" for n in range(80)], "is read as id (80 distinct codes"),
    ],
)
def test_a_named_column_that_is_left_out_of_the_question_is_said_with_the_reason(
    put: Put, cells: list[str], why: str
) -> None:
    found = profile(put, "x,y,z", [f"{n * 1.5},{cell},{n % 7}" for n, cell in enumerate(cells)])
    asked = infer_task("predict y", found, None)
    assert isinstance(asked, Question)
    assert "names 'y', which cannot be the target as it stands" in asked.sentence
    assert why in asked.sentence


def test_an_amount_that_rarely_repeats_is_no_class(put: Put) -> None:
    found = profile(put, "x,price", [f"{n % 7},{n * 3.7}" for n in range(40)])
    assert infer("price", found).kind == "regression"


def test_hostile_names_can_be_the_target(put: Put) -> None:
    rows = [f"{n * 1.1},{'ab'[n % 2]}" for n in range(20)]
    found = profile(put, '"""); import os #",{{7*7}}', rows)
    assert infer("x", found, target="{{7*7}}").target == "{{7*7}}"


def test_without_data_only_the_words_and_flags_are_used() -> None:
    task = infer_task("churn model", None, None, metric="rmse")
    assert isinstance(task, TaskSpec)
    assert (task.kind, task.metric, task.target) == ("regression", "rmse", None)
    assert infer_task("churn model", None, None).kind is None  # type: ignore[union-attr]


def test_a_large_table_finds_rare_classes_beyond_the_sample(tmp_path: Path) -> None:
    from mlagent.data import profile as room

    path = tmp_path / "large.csv"
    rows = room.EXACT_ROWS + 1_000
    lines = [f"{n % 97},{'ab'[n % 2]}" for n in range(rows)]
    lines[rows // 2] = "1,lonely"
    path.write_text("x,y\n" + "\n".join(lines) + "\n")
    with open_table(path) as table:
        found = profile_table(table)
    with pytest.raises(BadInput, match="class of one row: 'lonely'"):
        infer("x", found, target="y")
