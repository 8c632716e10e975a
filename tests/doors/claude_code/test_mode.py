"""Which mode a delegation asks for: a denial does not flip it, and a doubt means planning."""

from __future__ import annotations

import time

import pytest

from mlagent.doors.claude_code.hook.mode import mode_asked_for, mode_of


@pytest.mark.parametrize(
    "text",
    [
        "Planning mode: churn",
        "Planning mode. not execution mode",
        "Planning mode, NOT execution mode.",
        "planning mode not execution mode",
        "planning, not execution mode",
        "not execution but planning mode",
        "When invoked in planning mode (NOT execution mode), propose options",
        "Use planning mode; do not enter execution mode.",
        "Please work in planning mode rather than execution mode",
        "Planning mode! Execution mode isn't allowed",
        "Execution mode is off. Planning mode.",
        "Skip execution mode; planning mode please",
        "Never go to execution mode. Planning mode.",
        "No execution mode yet",
        "Without execution mode: planning mode",
        "execution mode? No: planning mode",
        "Planning mode. Execution mode comes later.",
        "Execution mode comes later; for now planning mode.",
        "Planning mode now, then execution mode once I approve.",
        "Before execution mode, we need planning mode",
        "Stay in planning mode until I say execution mode.",
        "Do not leave planning mode.",
        "Don't skip planning mode",
        "You are in planning-mode",
        "**PLANNING MODE**",
        "planning_mode",
        "mode: planning",
        "Use plan mode",
        "Use plan mode, do not execute.",
        "You are in plan-mode: churn",
        "plan (planning phase)",
        "Planning phase: churn",
        "Execution phase comes later; planning phase now",
        "mode: plan",
        'mode = "plan"\ndata: churn.csv',
        "Give me your implementation options as an agent_plan",
        "Answer with one `agent_plan` and nothing else",
        "Please return a complete agent_plan.",
        "Do not leave plan mode.",
        "Not execution mode: give me an agent_plan",
        "Give options in planning mode, so that execution mode can follow",
    ],
)
def test_a_plan_is_demanded(text: str) -> None:
    assert mode_asked_for(text) == "planning"


@pytest.mark.parametrize(
    "text",
    [
        "Execution mode: go",
        "**Execution mode**: implement option_b as planning mode proposed",
        "After planning mode comes execution mode: go",
        "This is NOT planning mode, it is execution mode",
        "Not planning mode: go on",
        "No planning mode, just train it",
        "Leave planning mode. Execution mode: go",
        "planning mode is done; execution mode now",
        "You are in execution mode. Implement the plan which planning mode produced.",
        "Execution mode. You worked in planning mode yesterday and chose b",
        "Execution mode: implement option_b (planning mode is over)",
        "Now execution mode.\nThe plan of the planning mode: ...",
        "mode: execution",
        "Do not use plan mode",
        "No plan mode, just train it",
        "Exit plan mode. Execution mode: go",
        "This is not the planning phase: go on",
        "Do not give me an agent_plan, train it",
        "plan_mode: false",
        "Execution mode: plan.yaml is approved, implement option_b",
        "Execution mode: implement option_b as the agent_plan says",
        "Execution mode. Here is the plan that you gave:\nagent_plan:\n  agent_name: ml-engineer",
        "We are past the planning phase; execution mode",
        "The planning phase is over. Execution phase: implement option_b",
    ],
)
def test_execution_mode_proper_needs_no_plan(text: str) -> None:
    assert mode_asked_for(text) == "execution"


@pytest.mark.parametrize(
    "text",
    [
        "train a churn model",
        "Implement the plan from planning mode",
        "Implement the option of the agent_plan below.\nagent_plan:\n  task: churn",
        "Implement option_b as agent_plan in plan.yaml says",
        "We are past the planning phase; implement option_b",
        "Train with mode: plan.yaml",
        "Predict churn from the pricing plan",
        "Implement the option that planning mode recommended",
    ],
)
def test_nobody_said(text: str) -> None:
    assert mode_asked_for(text) == ""


def test_the_last_word_of_the_user_counts() -> None:
    assert mode_of(["Planning mode: churn", "", "Execution mode: option_b"]) == "execution"
    assert mode_of(["Execution mode: go", "fine, go on"]) == "execution"
    assert mode_of(["go", "Back to planning mode, please."]) == "planning"
    assert mode_of([]) == ""


@pytest.mark.parametrize(
    "text",
    ["Stay in planning mode, not execution mode. " * 2_300, "the model and its mean " * 4_300],
)
def test_two_megabytes_of_requests_fit_the_time_that_a_hook_may_take(text: str) -> None:
    began = time.process_time()
    mode_of([text] * 20)
    assert time.process_time() - began < 0.4


def test_a_text_of_malice_takes_no_time() -> None:
    began = time.monotonic()
    for text in (
        "execution mode not " * 10_000,
        "in the " * 50_000 + "execution mode",
        "give " * 20_000,
    ):
        mode_asked_for(text)
    mode_asked_for(" " * 200_000 + "execution mode")
    assert time.monotonic() - began < 5
