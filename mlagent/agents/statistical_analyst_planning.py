"""The statistical-analyst in planning mode: how rows are split and how rigorous the checks are.

Guarantees: every option stands for one split that a machine can read (`planned_split.split_of`); a
group or time column that the user gave is in every option. Every number in the texts is in the
profile or follows from it; sizes of a vault are said to be about so many rows.
"""

from __future__ import annotations

from mlagent.contracts.base import Role
from mlagent.contracts.plan import AgentPlan, Option, OptionName
from mlagent.contracts.profile import Profile
from mlagent.contracts.words import counted

from .planned_split import Sizes, SplitChoice, sizes, split_of
from .planning_context import (
    ASSUMED,
    Named,
    PlanningContext,
    TableFacts,
    agent_plan,
    names,
    percent,
    some,
    table_facts,
)
from .planning_estimates import estimate_hours

ROLE: Role = "statistical-analyst"
DEPENDENCIES = (
    "python: scipy",
    "python: pandas",
    "artifact: exploration",
    "artifact: column_roles",
)
CHECKS: dict[OptionName, str] = {
    "option_a": "essential checks",
    "option_b": "standard checks",
    "option_c": "thorough checks",
}


def plan(context: PlanningContext) -> AgentPlan:
    """Three options: essential and standard checks; a dependence-aware split or thorough checks."""
    if context.profile is None:
        return _plan_without_data(context)
    facts = table_facts(context)
    size = sizes(facts)
    options: dict[OptionName, Option] = {
        name: _option(name, context, facts, size) for name in CHECKS
    }
    strong = _strong_group(context.profile, facts)
    given = context.task.group or context.task.time
    selected: OptionName = "option_c" if strong and not given else "option_b"
    questions = some(
        (
            facts.groups and not given,
            f"Do rows that share {names([_group(facts).name])} belong together? "
            f"Then select option_c, or plan again with --group.",
        ),
        (
            facts.dates and not given,
            f"Will the model predict cases later than those in {names(facts.dates)}? "
            f"Then plan again with --time.",
        ),
        (
            facts.target_missing,
            f"Why does the target miss in {counted(facts.target_missing, 'row')}? "
            "They are left out.",
        ),
        (
            facts.classes == 2 and facts.rare_share < 0.1 and context.task.metric != "cost",
            f"Is a missed {_rare(facts, mid=True)} dearer than a false alarm? Try --metric cost.",
        ),
        otherwise="Which difference of the score would change a decision?",
    )
    return agent_plan(
        ROLE,
        context,
        options,
        selected,
        _rationale(selected, facts, size, context),
        _conditions(selected, context, facts, size),
        questions,
    )


def _option(name: OptionName, context: PlanningContext, facts: TableFacts, size: Sizes) -> Option:
    split = split_of(name, context)
    differs = split.kind != split_of("option_a", context).kind
    return Option(
        approach=f"{_split_words(split, facts, size)}; {CHECKS[name]}",
        description=_checks_words(name, facts),
        pros=_pros(name, split, facts, size),
        cons=_cons(name, split, facts, size),
        time_estimate_hours=estimate_hours(
            ROLE, name, facts.rows, facts.features, context.machine, context.history
        ),
        complexity="high"
        if differs
        else {"option_a": "low", "option_b": "medium"}.get(name, "high"),
        risks=_risks(name, split, facts, size),
        dependencies=(*DEPENDENCIES, *([f"data: column {split.group}"] if split.group else [])),
        confidence="medium" if differs else "high",
    )


def _split_words(split: SplitChoice, facts: TableFacts, size: Sizes) -> str:
    how = {
        "stratified": f"Stratified on {counted(facts.classes, 'class', 'classes')}",
        "random": "Random rows",
        "group": f"Whole groups of {split.group!r}",
        "time": f"The latest by {split.time!r} held back",
    }[split.kind]
    if size.vault:
        return f"{how}: about {size.vault:,} vault rows, {size.dev:,} dev rows"
    return f"{how}: no vault, {size.folds} folds repeated over {size.dev:,} rows"


def _checks_words(name: OptionName, facts: TableFacts) -> str:
    words = f"Associations of {counted(facts.features, 'feature')} with the target, events, folds"
    if name != "option_a":
        words += ", the assumptions of the chosen model"
    if name == "option_c":
        words += ", bootstrap stability, a power curve"
    return f"{words}."


def _pros(name: OptionName, split: SplitChoice, facts: TableFacts, size: Sizes) -> tuple[str, ...]:
    return some(
        (
            split.kind == "group" and split.group,
            f"No value of {split.group!r} stands on both sides, so the score holds for new ones.",
        ),
        (
            split.kind == "time",
            f"Judged on the latest rows by {split.time!r}, as it would be in use.",
        ),
        (
            split.kind == "stratified" and size.vault and facts.rare,
            f"{_rare(facts)} has about {size.vault_rare:,} of the {size.vault:,} vault rows, "
            f"its share in the table.",
        ),
        (
            split.kind == "random" and size.vault,
            f"About {size.vault:,} vault rows put the standard error of an RMSE near "
            f"{percent(size.error)} of it.",
        ),
        (
            not size.vault,
            f"All {size.dev:,} rows train, and each is judged by a model that has not seen it.",
        ),
        (
            name == "option_a",
            f"Only {counted(facts.features, 'test')}, one for each feature, so few false alarms.",
        ),
        (
            name == "option_b" and facts.numbers > 1,
            f"Checks {facts.numbers} number columns for collinearity and bends.",
        ),
        (
            name != "option_a" and facts.classes,
            f"Checks whether one of {counted(facts.features, 'feature')} separates the classes.",
        ),
        (
            name == "option_c",
            f"Says how stable the {counted(facts.features, 'association')} are, and what more "
            f"than {size.judged} rows would show.",
        ),
        otherwise=f"Covers {counted(facts.features, 'feature')}.",
    )


def _cons(name: OptionName, split: SplitChoice, facts: TableFacts, size: Sizes) -> tuple[str, ...]:
    loose = split.kind in ("stratified", "random")
    return some(
        (
            loose and facts.groups,
            f"Rows that share one of {_groups(facts)} land on both sides: the score may flatter.",
        ),
        (
            loose and facts.dates,
            f"Mixes early and late rows by {names(facts.dates)}: the future predicts the past.",
        ),
        (
            split.kind == "group" and facts.groups and split.group == _group(facts).name,
            f"{counted(_group(facts).value, 'group')} stand for {facts.rows:,} rows: "
            f"the interval gets wider.",
        ),
        (
            split.kind == "group" and facts.lone,
            f"{_lone(facts)}: the same as a split at random.",
        ),
        (
            split.kind == "time",
            f"Trains on the earlier rows only, about {size.dev:,}; what they lack is not learned.",
        ),
        (
            not size.vault,
            f"The score is of the recipe: {facts.rows:,} rows are too few to hold some back.",
        ),
        (
            name == "option_a" and facts.numbers,
            f"Says nothing about the shape of {counted(facts.numbers, 'number column')}.",
        ),
        (
            name != "option_a" and facts.features > 1,
            f"More looks at {facts.features} features; q-values keep false discoveries in check.",
        ),
        otherwise=f"Differences under a standard error of {size.error:.3f} stay unseen.",
    )


def _risks(name: OptionName, split: SplitChoice, facts: TableFacts, size: Sizes) -> tuple[str, ...]:
    return some(
        (
            facts.classes > 1 and facts.rare and facts.rare_share < 0.1,
            f"{_rare(facts)} is {percent(facts.rare_share)} of rows ({facts.rare.value:,.0f}): "
            f"accuracy would mislead."
            if facts.rare
            else "",
        ),
        (
            facts.classes == 2,
            f"A ROC AUC on {size.judged} rows has a standard error near {size.error:.3f}.",
        ),
        (
            facts.classes > 2 and facts.rare,
            f"The rarest of {facts.classes} classes has {facts.rare.value:,.0f} rows."
            if facts.rare
            else "",
        ),
        (
            not facts.classes,
            f"Large errors on a few of {facts.rows:,} rows can decide an RMSE.",
        ),
        (
            facts.duplicates,
            f"{counted(facts.duplicates, 'repeated row')} of {facts.sampled:,}: equal rows stay "
            f"on one side.",
        ),
        (
            name == "option_c"
            and split.kind == "group"
            and split.why != "the group column was given",
            f"{split.group!r} may be no group at all; then option_b has the narrower interval.",
        ),
        otherwise=f"{counted(facts.rows, 'row')} may not be a sample of the cases to come.",
    )


def _rationale(
    selected: OptionName, facts: TableFacts, size: Sizes, context: PlanningContext
) -> str:
    split = split_of(selected, context)
    judged = (
        f"About {size.vault:,} rows held back"
        if size.vault
        else f"{size.dev:,} rows judged out of fold, because a vault would be too small"
    )
    if split.kind == "group" and facts.lone:
        return f"{split.why}, but its groups are hardly more than single rows. {judged}."
    if split.kind == "group":
        return f"{split.why}; splitting them apart would let the model recognise rows. {judged}."
    if split.kind == "time":
        return f"{split.why}: judged on the latest rows. {judged}."
    rest = (
        f"{_rare(facts, mid=True)} has {facts.rare.value:,.0f} of {facts.rows:,} rows, so strata "
        f"keep its share"
        if facts.rare
        else f"nothing in {counted(facts.features, 'feature')} says that rows depend on each other"
        if not (facts.groups or facts.dates)
        else f"{names([*[n for n, _ in facts.groups], *facts.dates])} is tested for that first"
    )
    return f"{judged}; {rest}."


def _conditions(
    selected: OptionName, context: PlanningContext, facts: TableFacts, size: Sizes
) -> tuple[str, ...]:
    split = split_of(selected, context)
    return some(
        (
            split.kind in ("stratified", "random") and facts.groups,
            f"Rows that share {names([n for n, _ in facts.groups])} do not depend on each other.",
        ),
        (
            split.kind in ("stratified", "random"),
            f"The {facts.rows:,} rows are independent of each other.",
        ),
        (
            split.kind == "group" and facts.lone,
            f"A split at random will do: {_lone(facts)}, so that keeping its groups whole is the "
            f"same.",
        ),
        otherwise=f"New cases come like the rows that are judged ({size.judged}).",
    )


def _strong_group(profile: Profile, facts: TableFacts) -> bool:
    """An id column whose values repeat: rows of one case, not names of rows."""
    return any(profile.column(name).role == "id" for name, _ in facts.groups)


def _rare(facts: TableFacts, *, mid: bool = False) -> str:
    text = f"Class {facts.rare.name!r}" if facts.rare else "The rarest class"
    return text[:1].lower() + text[1:] if mid else text


def _group(facts: TableFacts) -> Named:
    return facts.groups[0] if facts.groups else Named("", 0)


def _groups(facts: TableFacts) -> str:
    name, values = _group(facts)
    return f"{values:,.0f} values of {name!r}"


def _lone(facts: TableFacts) -> str:
    name, values = facts.lone or Named("", 0)
    about = "about " if facts.sampled < facts.rows else ""
    return f"{name!r} has {about}{values:,.0f} values in {facts.rows:,} rows"


def _plan_without_data(context: PlanningContext) -> AgentPlan:
    given = context.task.group or context.task.time
    approach = f"Split by {given!r}" if given else "Stratified or random hold-out"
    third = approach if given else "Split by group or time, where rows depend on each other"
    options: dict[OptionName, Option] = {
        name: Option(
            approach=f"{third if name == 'option_c' else approach}; {checks}",
            pros=("Kept apart before anybody sees a score.",),
            cons=("How many rows can be held back is not known yet.",),
            time_estimate_hours=estimate_hours(ROLE, name, 0, 0, context.machine, context.history),
            complexity={"option_a": "low", "option_b": "medium"}.get(name, "high"),
            risks=("Rows may depend on each other in a way that only the table shows.",),
            dependencies=(*DEPENDENCIES, "data: a table"),
            confidence="low",
        )
        for name, checks in CHECKS.items()
    }
    return agent_plan(
        ROLE,
        context,
        options,
        "option_b",
        "The standard checks fit any table; the split is fixed once the rows are known.",
        ASSUMED,
        some(
            (not given, "Do several rows belong to one case?"),
            (not given, "Are the cases to be predicted later in time?"),
            otherwise="Which difference of the score would change a decision?",
        ),
    )
