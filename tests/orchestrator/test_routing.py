"""Who works on a sentence, what is refused, and to whom it goes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mlagent.agents.registry import load_contracts
from mlagent.content import Content
from mlagent.contracts.base import ROLES
from mlagent.contracts.contract import Boundary, ContractRouting, Handles
from mlagent.contracts.errors import BadInput
from mlagent.contracts.policy import RoutingPolicy
from mlagent.documents import load_yaml, validate_record
from mlagent.orchestrator.planning import load_policies
from mlagent.orchestrator.routing import check_routing, refusal_sentence, route, served_part

CONTRACTS = load_contracts(Content())
POLICY = load_policies(Content()).routing
RAW = load_yaml(Content().text("orchestrator/routing.yaml"), "routing.yaml")


def agents(sentence: str) -> tuple[str, ...]:
    return tuple(routed.agent for routed in route(sentence, POLICY, CONTRACTS).agents)


def refused(sentence: str) -> list[tuple[str, str | None]]:
    found = route(sentence, POLICY, CONTRACTS).refused
    return [(item.what, item.delegate_to) for item in found]


@pytest.mark.parametrize(
    "sentence",
    [
        "churn model",
        "churn",
        "spam or not",
        "predict the sale price",
        "which customers will default",
        "predict bike demand per hour",
        "how long will a job wait on the cluster, a model for that",
        "predict which jobs fail on the cluster",
        "classify wine quality",
        "predict server failure",
        "price of a 3.5 carat diamond",
    ],
)
def test_a_prediction_on_a_table_is_work_for_all_three(sentence: str) -> None:
    assert agents(sentence) == ROLES
    assert refused(sentence) == []


def test_partial_sentences_get_part_of_the_team() -> None:
    assert agents("just explore this table") == ("data-explorer",)
    assert agents("give me an overview, no model please") == ("data-explorer",)
    assert agents("which test should I use?") == ("data-explorer", "statistical-analyst")
    assert agents("is the difference significant") == ("data-explorer", "statistical-analyst")


@pytest.mark.parametrize(
    ("sentence", "delegate"),
    [
        ("build me a React page", "frontend-architect"),
        ("a dashboard", "frontend-architect"),
        ("build a SQL warehouse pipeline", "data-engineer"),
        ("deploy this to kubernetes", "devops-engineer"),
        ("forecast sales", None),
        ("cluster my customers", None),
        ("detect cats in images", None),
        ("learning to rank for search", None),
        ("fine-tune an LLM on our tickets", None),
        ("train a PyTorch network", None),
        ("join the tables of customers", "data-engineer"),
        ("write me a poem", None),
    ],
)
def test_other_work_is_refused_with_a_reason_and_a_way_on(
    sentence: str, delegate: str | None
) -> None:
    routing = route(sentence, POLICY, CONTRACTS)
    assert routing.agents == ()
    assert [item.delegate_to for item in routing.refused][:1] == [delegate]
    said = refusal_sentence(routing)
    assert sentence in said
    assert delegate is None or delegate in said


@pytest.mark.parametrize(
    "sentence",
    [
        "churn model and a React dashboard",
        "churn model with a React dashboard",
        "Churn model, React page",
    ],
)
def test_a_mixed_sentence_is_served_in_part_and_refused_in_part(sentence: str) -> None:
    assert agents(sentence) == ROLES
    assert [to for _, to in refused(sentence)] == ["frontend-architect"]
    assert served_part(sentence, POLICY, CONTRACTS).lower() == "churn model"


def test_ways_and_means_do_not_change_who_works() -> None:
    assert agents("predict sales with LightGBM and Optuna") == ROLES
    assert agents("forecast sales with LightGBM") == ()


def test_each_reason_names_the_word_it_was_read_from() -> None:
    routing = route("classify messages", POLICY, CONTRACTS)
    assert "'classify'" in routing.agents[0].why
    assert "'forecast'" in route("forecast sales", POLICY, CONTRACTS).refused[0].why


def test_an_empty_sentence_is_an_error() -> None:
    with pytest.raises(BadInput, match="empty"):
        route("  ", POLICY, CONTRACTS)


def test_the_shipped_policy_and_contracts_belong_together() -> None:
    check_routing(POLICY, CONTRACTS)


def changed(**update: Any) -> Any:
    return {**CONTRACTS, "ml-engineer": CONTRACTS["ml-engineer"].model_copy(update=update)}


@pytest.mark.parametrize(
    ("update", "said"),
    [
        (
            {"boundaries": (Boundary(topic="cooking", delegate_to=None),)},
            "has no words for 'cooking'",
        ),
        (
            {"boundaries": (Boundary(topic="images", delegate_to="painter"),)},
            "'images' is delegated to 'painter'",
        ),
        (
            {"routing": ContractRouting(handles=(Handles(topic="cook", examples=("a",)),))},
            "has no words for 'cook'",
        ),
        (
            {
                "routing": ContractRouting(
                    handles=(Handles(topic="predict", examples=("build a React page",)),)
                )
            },
            "'build a React page' is not routed to ml-engineer",
        ),
    ],
)
def test_a_contract_that_the_router_cannot_keep_is_an_error(
    update: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput) as caught:
        check_routing(POLICY, changed(**update))
    assert said in str(caught.value)


@pytest.mark.parametrize("section", ["topics", "refusals"])
def test_leaving_out_any_topic_or_refusal_is_noticed(section: str) -> None:
    for key in RAW[section]:
        smaller = copy.deepcopy(RAW)
        del smaller[section][key]
        with pytest.raises(BadInput):
            check_routing(validate_record(RoutingPolicy, smaller, "routing.yaml"), CONTRACTS)


def test_each_single_word_of_the_policy_changes_some_answer() -> None:
    def answers(raw: Any, sentence: str) -> Any:
        return route(sentence, validate_record(RoutingPolicy, raw, "r"), CONTRACTS)

    for section, lists in (("topics", ("words",)), ("refusals", ("always", "alone"))):
        for key, rule in RAW[section].items():
            for name in lists:
                for index, word in enumerate(rule[name]):
                    smaller = copy.deepcopy(RAW)
                    del smaller[section][key][name][index]
                    if not any(smaller[section][key].get(n) for n in lists):
                        continue
                    sentence = word.replace("*", "")
                    if name == "always":
                        sentence = f"predict {sentence}"
                    assert answers(RAW, sentence) != answers(smaller, sentence), (key, word)


@pytest.mark.parametrize("index", range(len(RAW["separators"])))
def test_each_separator_cuts(index: int) -> None:
    sentence = f"churn model{RAW['separators'][index]} a React page"
    smaller = copy.deepcopy(RAW)
    del smaller["separators"][index]
    policy = validate_record(RoutingPolicy, smaller, "r")
    assert len(route(sentence, POLICY, CONTRACTS).agents) == 3
    assert route(sentence, policy, CONTRACTS).agents == ()


def test_each_negation_takes_the_model_out() -> None:
    for index, phrase in enumerate(RAW["negations"]):
        smaller = copy.deepcopy(RAW)
        del smaller["negations"][index]
        assert POLICY.negations[index] == phrase
        full = route(phrase.replace("*", ""), POLICY, CONTRACTS)
        less = route(
            phrase.replace("*", ""), validate_record(RoutingPolicy, smaller, "r"), CONTRACTS
        )
        assert full != less, phrase
