"""The ml-engineer in planning mode: which family of models, for this table, machine and budget.

Guarantees: every number in the texts is a count or share of the profile, or of the machine and
budget. The options are the three shipped candidates; which one is chosen decides which code runs.
"""

from __future__ import annotations

from mlagent.contracts.base import Role
from mlagent.contracts.plan import AgentPlan, Option, OptionName
from mlagent.contracts.words import counted

from .planning_context import (
    ASSUMED,
    PlanningContext,
    TableFacts,
    agent_plan,
    names,
    percent,
    some,
    table_facts,
)
from .planning_estimates import estimate_hours

ROLE: Role = "ml-engineer"
ARTIFACTS = ("artifact: column_roles", "artifact: validation_plan")
PACKAGES: dict[OptionName, tuple[str, ...]] = {
    "option_a": ("python: scikit-learn",),
    "option_b": ("python: lightgbm", "python: optuna", "python: scikit-learn"),
    "option_c": ("python: lightgbm", "python: catboost", "python: scikit-learn"),
}
FEW_ROWS, FEW_RARE = 300, 25
"""Below these, trees have too little to learn from."""
ENSEMBLE_FROM_S = 30.0
"""Budget from which the ensemble is proposed: it is anytime, its first member is a booster."""


def plan(context: PlanningContext) -> AgentPlan:
    """Interpretable, boosted, ensemble; the recommendation weighs rows, budget and constraints."""
    if context.profile is None:
        return _plan_without_data(context)
    facts = table_facts(context)
    options: dict[OptionName, Option] = {
        "option_a": _interpretable(context, facts),
        "option_b": _boosted(context, facts),
        "option_c": _ensemble(context, facts),
    }
    selected, rationale = _choose(context, facts, options)
    conditions = some(
        (facts.ids, f"{names(facts.ids)} stays out of the model."),
        (
            facts.target_missing,
            f"The {counted(facts.target_missing, 'row')} without a target may be left out.",
        ),
        (
            True,
            f"{counted(facts.features, 'feature')} will be there when a prediction is wanted, "
            f"in the same form.",
        ),
        otherwise="",
    )
    return agent_plan(
        ROLE, context, options, selected, rationale, conditions, _questions(context, facts)
    )


def _questions(context: PlanningContext, facts: TableFacts) -> tuple[str, ...]:
    answered = {constraint.kind for constraint in context.task.constraints}
    limits = [
        what
        for kind, what in (("max_model_mb", "model's size"), ("max_latency_ms", "answer time"))
        if kind not in answered
    ]
    return some(
        (
            not answered & {"interpretable", "monotone"},
            "Must somebody read why a case got its score? Then --constraint interpretable.",
        ),
        (
            facts.texts,
            f"May the text in {names(facts.texts)} be used, or does it hold personal matters?",
        ),
        (
            facts.widest and facts.widest.value > 100,
            f"Will new values of {_widest(facts)} turn up? They count as unknown.",
        ),
        (
            answered and limits,
            f"Is there a limit on the {' or '.join(limits)}?",
        ),
        otherwise="How much better than the linear baseline must a model be to be worth its keep?",
    )


def _interpretable(context: PlanningContext, facts: TableFacts) -> Option:
    return Option(
        approach=(
            f"Regularised linear model: splines on {counted(facts.numbers, 'number')}, "
            f"weights for {counted(facts.categories, 'category', 'categories')}"
        ),
        description="One curve or one weight for each feature; they add up to the prediction.",
        pros=some(
            (True, f"All {counted(facts.features, 'feature')} can be read one by one."),
            (
                facts.rows < 2000,
                f"Few parameters for {facts.rows:,} rows, so little to overfit.",
            ),
            (
                facts.classes and facts.rare_share < 0.1,
                f"Stays calm with {_rare_count(facts)} of the rarest class.",
            ),
            (context.task.constraints, f"Keeps to {_constraints(context)}."),
            (
                facts.tailed,
                f"Regularised splines bend along the long tails of {names(facts.tailed)}.",
            ),
            otherwise="",
        ),
        cons=some(
            (
                facts.features > 1,
                f"Sees none of the interactions among {counted(facts.features, 'feature')}.",
            ),
            (
                facts.widest and facts.widest.value > 20,
                f"{_widest(facts)} spreads its rows over as many weights.",
            ),
            (
                facts.missing,
                f"Fills missing cells in {counted(len(facts.missing), 'column')} "
                f"({_worst(facts)}) before it learns.",
            ),
            (facts.texts, f"Reads {names(facts.texts)} as words without their order."),
            otherwise="A step in the truth becomes a slope.",
        ),
        time_estimate_hours=_hours(context, "option_a", facts),
        complexity="low",
        risks=some(
            (
                facts.tailed,
                f"Extreme values of {names(facts.tailed)} pull on the edge of the curve.",
            ),
            (
                facts.missing and facts.missing[0].value > 0.3,
                f"What stands for the missing {_worst(facts)} becomes part of the model.",
            ),
            (facts.rows > 20000, f"May leave signal of {facts.rows:,} rows unused."),
            otherwise=f"Underfits when {counted(facts.features, 'feature')} act together.",
        ),
        dependencies=(*PACKAGES["option_a"], *ARTIFACTS),
        confidence="high",
    )


def _boosted(context: PlanningContext, facts: TableFacts) -> Option:
    return Option(
        approach=(
            f"Gradient boosting on {counted(facts.features, 'feature')}, tuned with Optuna on "
            f"{counted(context.machine.cpus, 'core')}"
        ),
        description="Trees that correct each other; early stopping and pruning keep to the budget.",
        pros=some(
            (
                facts.missing,
                f"Takes missing cells in {counted(len(facts.missing), 'column')} as they are "
                f"({_worst(facts)}).",
            ),
            (facts.features > 1, f"Finds interactions among {facts.features} features by itself."),
            (facts.tailed, f"Long tails of {names(facts.tailed)} do not matter to a tree."),
            (
                facts.widest and facts.widest.value > 20,
                f"Splits {_widest(facts)} into groups instead of one weight each.",
            ),
            otherwise=f"Needs no scaling of {counted(facts.numbers, 'number column')}.",
        ),
        cons=some(
            (
                True,
                f"{counted(facts.features, 'feature')} in many trees cannot be read one by one.",
            ),
            (
                facts.rows < 2000,
                f"Tuning on {facts.rows:,} rows partly tunes to chance.",
            ),
            (
                facts.texts,
                f"The text in {names(facts.texts)} has to be squeezed into few columns first.",
            ),
            otherwise="",
        ),
        time_estimate_hours=_hours(context, "option_b", facts),
        complexity="medium",
        risks=some(
            (
                facts.classes and facts.rare and facts.rare.value < 100,
                f"{_rare_count(facts)} of the rarest class make early stopping noisy.",
            ),
            (
                facts.widest and facts.widest.value > facts.rows / 20,
                f"{_widest(facts)} invites memorising.",
            ),
            (
                _hours(context, "option_b", facts) * 3600 > context.fit_share * context.budget_s,
                f"The budget of {context.budget_s:.0f} s ends the search early.",
            ),
            otherwise=f"A default search space may not suit {facts.rows:,} rows.",
        ),
        dependencies=(*PACKAGES["option_b"], *ARTIFACTS),
        confidence="medium" if facts.rows < 2000 else "high",
    )


def _ensemble(context: PlanningContext, facts: TableFacts) -> Option:
    return Option(
        approach=(
            f"Ensemble of different boosters and a linear model on "
            f"{counted(facts.features, 'feature')}, weighted out of fold"
        ),
        description="Members err differently; their weighted mean errs less.",
        pros=some(
            (
                facts.rows < 20000,
                f"With {facts.rows:,} rows single models vary; a mean of several varies less.",
            ),
            (
                facts.categories,
                f"One member orders {counted(facts.categories, 'category', 'categories')} by the "
                f"target without peeking (widest: {_widest(facts)}).",
            ),
            (
                facts.numbers and facts.categories,
                f"Curves for {counted(facts.numbers, 'number')} and trees for "
                f"{counted(facts.categories, 'category', 'categories')} complement each other.",
            ),
            otherwise=f"Several views of {counted(facts.features, 'feature')}.",
        ),
        cons=some(
            (
                True,
                f"The slowest of the three on {counted(context.machine.cpus, 'core')}, "
                f"for {facts.rows:,} x {facts.features} cells.",
            ),
            (context.task.constraints, f"Hard to keep to {_constraints(context)}."),
            (True, f"Nobody reads several models of {facts.features} features at once."),
            otherwise="",
        ),
        time_estimate_hours=_hours(context, "option_c", facts),
        complexity="high",
        risks=some(
            (
                facts.classes and facts.rare and facts.rare.value < 100,
                f"Weights from {_rare_count(facts)} of the rarest class are themselves uncertain.",
            ),
            (
                _hours(context, "option_c", facts) * 3600 > context.fit_share * context.budget_s,
                f"The budget of {context.budget_s:.0f} s may end before every member is fitted.",
            ),
            otherwise=f"The gain over one booster may be too small to tell on {facts.rows:,} rows.",
        ),
        dependencies=(*PACKAGES["option_c"], *ARTIFACTS),
        confidence="medium",
    )


def _choose(
    context: PlanningContext, facts: TableFacts, options: dict[OptionName, Option]
) -> tuple[OptionName, str]:
    kinds = {constraint.kind for constraint in context.task.constraints}
    if "interpretable" in kinds:
        return (
            "option_a",
            f"The constraint asks for {counted(facts.features, 'feature')} to be read.",
        )
    if facts.rows < FEW_ROWS or facts.rest < FEW_RARE:
        few = counted(facts.rows, "row")
        if facts.rest < FEW_RARE:
            few = f"{counted(facts.rest, 'row')} outside the most common class"
        return "option_a", f"{few} are too few for trees to learn more than curves."
    if absent := _absent("option_c", context):
        return (
            "option_b",
            f"{_table(facts)}; the sandbox lacks {', '.join(absent)} for the ensemble.",
        )
    if kinds:
        return "option_b", f"{_constraints(context)} is met by one model rather than by several."
    seconds = options["option_c"].time_estimate_hours * 3600
    if seconds <= context.fit_share * context.budget_s:
        return "option_c", (
            f"{_table(facts)}: the ensemble fits into the budget of {context.budget_s:.0f} s, and "
            f"its mean varies least."
        )
    if context.budget_s >= ENSEMBLE_FROM_S:
        return "option_c", (
            f"{_table(facts)}: the ensemble is anytime; what {context.budget_s:.0f} s do not hold "
            f"is left out, and the members that fit still vary less than one."
        )
    return "option_b", (
        f"{_table(facts)}: {context.budget_s:.0f} s hold one booster, not several, on "
        f"{counted(context.machine.cpus, 'core')}."
    )


def _absent(option: OptionName, context: PlanningContext) -> list[str]:
    """Packages of the option that the sandbox is known to lack."""
    wanted = [text.partition(": ")[2] for text in PACKAGES[option]]
    return [name for name in wanted if context.packages and name not in context.packages]


def _hours(context: PlanningContext, option: OptionName, facts: TableFacts) -> float:
    return estimate_hours(
        ROLE, option, facts.rows, facts.features, context.machine, context.history
    )


def _table(facts: TableFacts) -> str:
    return f"{facts.rows:,} rows x {counted(facts.features, 'feature')}"


def _constraints(context: PlanningContext) -> str:
    shown = []
    for constraint in context.task.constraints:
        text: str = constraint.kind
        if constraint.value is not None:
            text += f"={constraint.value:g}"
        if constraint.column:
            text += f"={constraint.column!r}:{constraint.sign}"
        shown.append(text)
    return ", ".join(shown)


def _rare_count(facts: TableFacts) -> str:
    return counted(facts.rare.value, "row") if facts.rare else "0 rows"


def _widest(facts: TableFacts) -> str:
    return f"{facts.widest.name!r} ({facts.widest.value:,.0f} values)" if facts.widest else "none"


def _worst(facts: TableFacts) -> str:
    return (
        f"{percent(facts.missing[0].value)} of {facts.missing[0].name!r}" if facts.missing else ""
    )


def _plan_without_data(context: PlanningContext) -> AgentPlan:
    kinds: tuple[tuple[OptionName, str, str, str, str], ...] = (
        (
            "option_a",
            "Regularised linear model on splines and encoded categories",
            "low",
            "Each feature can be read by itself.",
            "Sees no interactions.",
        ),
        (
            "option_b",
            "Gradient boosting, tuned with Optuna under the budget",
            "medium",
            "Strong on most tables.",
            "Cannot be read feature by feature.",
        ),
        (
            "option_c",
            "Ensemble of different boosters and a linear model",
            "high",
            "Varies least from sample to sample.",
            "The slowest of the three.",
        ),
    )
    options: dict[OptionName, Option] = {
        name: Option.model_validate(
            {
                "approach": approach,
                "pros": [pro],
                "cons": [con],
                "time_estimate_hours": estimate_hours(
                    ROLE, name, 0, 0, context.machine, context.history
                ),
                "complexity": complexity,
                "risks": ["How much the rows can carry is not known yet."],
                "dependencies": [*PACKAGES[name], *ARTIFACTS, "data: a table"],
                "confidence": "low",
            }
        )
        for name, approach, complexity, pro, con in kinds
    }
    readable = any(c.kind == "interpretable" for c in context.task.constraints)
    return agent_plan(
        ROLE,
        context,
        options,
        "option_a" if readable else "option_b",
        "The constraint asks for a model to be read."
        if readable
        else "Without a table, tuned boosting is the safest choice for tables of unknown size.",
        ASSUMED,
        some(
            (True, "How many rows are there?"),
            (not context.task.target, "Which column is the outcome?"),
            (not readable, "Must the model be readable?"),
            otherwise="",
        ),
    )
