"""The data-explorer in planning mode: how deep to look at this table.

Guarantees: every number in the texts is a count or share of the profile. The options differ in what
the explorer's script does: rows looked at, and which probes run.
"""

from __future__ import annotations

from mlagent.contracts.base import Role
from mlagent.contracts.plan import AgentPlan, Option, OptionName
from mlagent.contracts.words import counted

from .planning_context import (
    ASSUMED,
    SAMPLE_ROWS,
    PlanningContext,
    TableFacts,
    agent_plan,
    names,
    percent,
    some,
    table_facts,
)
from .planning_estimates import estimate_hours

ROLE: Role = "data-explorer"
DEPENDENCIES = ("python: pandas", "python: numpy", "artifact: dev_rows")
DEEP_COLUMNS = 3
"""Missing cells in so many columns may form a pattern that only the deep look would show."""


def plan(context: PlanningContext) -> AgentPlan:
    """Three depths; the recommendation says what the look would change."""
    if context.profile is None:
        return _plan_without_data(context)
    facts = table_facts(context)
    options: dict[OptionName, Option] = {
        "option_a": _quick(context, facts),
        "option_b": _standard(context, facts),
        "option_c": _deep(context, facts),
    }
    selected, rationale = _choose(context, facts)
    conditions = some(
        (
            facts.rows > SAMPLE_ROWS[selected],
            f"A sample of {counted(min(facts.rows, SAMPLE_ROWS[selected]), 'row')} stands for all "
            f"{facts.rows:,}.",
        ),
        (
            facts.failed,
            f"Cells of {names([n for n, _ in facts.failed])} that do not parse count as missing.",
        ),
        otherwise="The rows that arrive later look like these.",
    )
    given = (*context.task.id_columns, context.task.group)
    guessed = [name for name in facts.ids if name not in given]
    questions = some(
        (
            guessed,
            f"May {names(guessed)} be left out, as nothing but names of rows?",
        ),
        (
            facts.missing and facts.missing[0].value > 0.2,
            f"Why is {_worst(facts)} of {_worst_name(facts)} absent: unmeasured, or no such thing?",
        ),
        (
            facts.duplicates,
            f"May {counted(facts.duplicates, 'row')} stand twice, or did the export fail?",
        ),
        otherwise="Is every column known at the moment when a prediction is wanted?",
    )
    return agent_plan(ROLE, context, options, selected, rationale, conditions, questions)


def _hours(context: PlanningContext, option: OptionName, facts: TableFacts) -> float:
    return estimate_hours(
        ROLE, option, facts.rows, facts.features, context.machine, context.history
    )


def _quick(context: PlanningContext, facts: TableFacts) -> Option:
    seen = min(facts.rows, SAMPLE_ROWS["option_a"])
    return Option(
        approach=f"Quick scan of {_share(facts, seen)}: types, missing cells, copies of the target",
        description="Each column by itself; nothing that needs two columns at once.",
        pros=some(
            (
                True,
                f"Settles what {counted(facts.features, 'column')} are for {_kinds(facts)}.",
            ),
            (facts.ids, f"Keeps {names(facts.ids)} out of the model."),
            (seen == facts.rows, f"Reads all {facts.rows:,} rows; nothing is sampled."),
            otherwise="",
        ),
        cons=some(
            (
                seen < facts.rows,
                f"Leaves {facts.rows - seen:,} of {facts.rows:,} rows unread.",
            ),
            (
                len(facts.missing) > 1,
                f"Does not ask whether {len(facts.missing)} columns miss cells together.",
            ),
            (
                facts.groups,
                f"Does not test whether {names(_group_names(facts))} ties rows together.",
            ),
            (facts.duplicates, f"Does not follow up {counted(facts.duplicates, 'repeated row')}."),
            (
                facts.numbers > 1,
                f"Does not compare the {facts.numbers} number columns with each other.",
            ),
            otherwise=f"Does not look at pairs of the {facts.features} columns.",
        ),
        time_estimate_hours=_hours(context, "option_a", facts),
        complexity="low",
        risks=some(
            (
                facts.widest and seen < facts.rows and facts.widest.value > 50,
                f"Rare values of {_widest(facts)} may be absent from the sample.",
            ),
            (facts.dates, f"A drift along {names(facts.dates)} would stay unseen."),
            (
                facts.numbers > 2,
                f"A target that is a sum of some of the {facts.numbers} number columns would pass.",
            ),
            otherwise=f"A leak through two of the {facts.features} columns together would pass.",
        ),
        dependencies=DEPENDENCIES,
        confidence="high",
    )


def _standard(context: PlanningContext, facts: TableFacts) -> Option:
    seen = min(facts.rows, SAMPLE_ROWS["option_b"])
    return Option(
        approach=(
            f"Standard look at {_share(facts, seen)}: also repeats, row order, groups, time, pairs"
        ),
        description="Adds every probe that can change the split or take a leak out.",
        pros=some(
            (
                facts.groups,
                f"Tests whether {names(_group_names(facts))} ties rows, which changes the split.",
            ),
            (facts.dates, f"Tests whether the target drifts along {names(facts.dates)}."),
            (
                facts.duplicates,
                f"Follows up {counted(facts.duplicates, 'repeated row')} among {facts.sampled:,}.",
            ),
            (
                facts.numbers > 1,
                f"Finds redundant ones among {facts.numbers} number columns, and telling sums.",
            ),
            (facts.ids, f"Tests whether the order of {names(facts.ids)} tells the target."),
            otherwise=f"Compares the {facts.features} columns with each other.",
        ),
        cons=some(
            (seen < facts.rows, f"Leaves {facts.rows - seen:,} of {facts.rows:,} rows unread."),
            (
                len(facts.missing) >= DEEP_COLUMNS,
                f"Says how much {len(facts.missing)} columns miss, not whether together.",
            ),
            (
                facts.categories > 1,
                f"Compares numbers, not the {facts.categories} category columns with each other.",
            ),
            otherwise=f"Takes longer than the scan for {counted(facts.features, 'column')}.",
        ),
        time_estimate_hours=_hours(context, "option_b", facts),
        complexity="medium",
        risks=some(
            (
                facts.missing and facts.missing[0].value > 0.5,
                f"{_worst_name(facts)} misses {_worst(facts)}: the rest may not speak for it.",
            ),
            (
                facts.widest and facts.widest.value > facts.rows / 20,
                f"{_widest(facts)} has too few rows for each value to say much.",
            ),
            (facts.tailed, f"Long tails in {names(facts.tailed)} weigh on linear measures."),
            (
                facts.texts,
                f"Of the text in {names(facts.texts)} only the shape is looked at.",
            ),
            otherwise=f"A leak through several of {counted(facts.features, 'column')} would pass.",
        ),
        dependencies=DEPENDENCIES,
        confidence="high",
    )


def _deep(context: PlanningContext, facts: TableFacts) -> Option:
    seen = min(facts.rows, SAMPLE_ROWS["option_c"])
    return Option(
        approach=(
            f"Deep look at {_share(facts, seen)}: also pairs of categories, patterns of missing "
            f"cells, drift over the rows"
        ),
        description="Everything the explorer can do.",
        pros=some(
            (
                len(facts.missing) > 1,
                f"Shows whether the {len(facts.missing)} columns with missing cells miss together "
                f"(most: {_worst_name(facts)}, {_worst(facts)}).",
            ),
            (
                facts.categories > 1,
                f"Compares {facts.categories} category columns; the widest is {_widest(facts)}.",
            ),
            (
                seen > SAMPLE_ROWS["option_b"],
                f"Reads {seen:,} of {facts.rows:,} rows, so that rare values turn up.",
            ),
            otherwise=f"Looks for drift over the {facts.rows:,} rows in the order of the file.",
        ),
        cons=some(
            (
                seen == min(facts.rows, SAMPLE_ROWS["option_b"]),
                f"Reads the same {seen:,} rows as the standard look.",
            ),
            (
                not facts.missing,
                f"None of {facts.features} features misses a cell, so no pattern can be found.",
            ),
            (
                facts.categories < 2,
                f"With {counted(facts.categories, 'category column')} there is no such pair.",
            ),
            otherwise=f"Compares each pair of {counted(facts.features, 'column')}: "
            "the slowest look.",
        ),
        time_estimate_hours=_hours(context, "option_c", facts),
        complexity="high",
        risks=(f"Many looks at {counted(facts.features, 'column')} turn up patterns by chance.",),
        dependencies=DEPENDENCIES,
        confidence="medium",
    )


def _choose(context: PlanningContext, facts: TableFacts) -> tuple[OptionName, str]:
    affordable = _hours(context, "option_c", facts) * 3600 <= (
        context.explore_share * context.budget_s
    )
    if affordable and len(facts.missing) >= DEEP_COLUMNS and facts.missing[0].value >= 0.2:
        return "option_c", (
            f"{len(facts.missing)} columns miss cells, {_worst_name(facts)} {_worst(facts)}: "
            f"whether they miss together decides what a missing cell means."
        )
    reason = (
        f"{names(_group_names(facts))} may tie rows together, and only this look tests it"
        if facts.groups
        else f"{names(facts.dates)} may carry a drift, and only this look tests it"
        if facts.dates
        else f"{facts.features} columns can hide a leak that no single one shows"
        if facts.features > 2
        else f"there are {facts.rows:,} rows, and repeats among them would flatter the score"
    )
    return "option_b", f"It changes what comes next: {reason}."


def _share(facts: TableFacts, seen: int) -> str:
    return f"all {facts.rows:,} rows" if seen == facts.rows else f"{seen:,} of {facts.rows:,} rows"


def _kinds(facts: TableFacts) -> str:
    kinds = [
        (facts.numbers, "number"),
        (facts.categories, "category"),
        (len(facts.texts), "text"),
        (len(facts.dates), "datetime"),
    ]
    return f"({', '.join(f'{n} {kind}' for n, kind in kinds if n)})"


def _group_names(facts: TableFacts) -> list[str]:
    return [name for name, _ in facts.groups]


def _widest(facts: TableFacts) -> str:
    return f"{facts.widest.name!r} ({facts.widest.value:,.0f} values)" if facts.widest else "none"


def _worst_name(facts: TableFacts) -> str:
    return repr(facts.missing[0].name) if facts.missing else "none"


def _worst(facts: TableFacts) -> str:
    return percent(facts.missing[0].value) if facts.missing else "none"


def _plan_without_data(context: PlanningContext) -> AgentPlan:
    kinds: tuple[tuple[OptionName, str, str, str], ...] = (
        (
            "option_a",
            "Quick scan of a sample: types, missing cells, copies of the target",
            "low",
            "Soon done on any table.",
        ),
        (
            "option_b",
            "Standard look: also repeats, row order, groups, time and pairs",
            "medium",
            "Finds what would change the split or leak the target.",
        ),
        (
            "option_c",
            "Deep look: also pairs of categories, patterns of missing cells, drift",
            "high",
            "Shows why cells are missing.",
        ),
    )
    options: dict[OptionName, Option] = {
        name: Option.model_validate(
            {
                "approach": approach,
                "pros": [pro],
                "cons": ["How long it takes depends on a table that is not here yet."],
                "time_estimate_hours": estimate_hours(
                    ROLE, name, 0, 0, context.machine, context.history
                ),
                "complexity": complexity,
                "risks": ["The estimate is the start-up time only."],
                "dependencies": [*DEPENDENCIES, "data: a table"],
                "confidence": "low",
            }
        )
        for name, approach, complexity, pro in kinds
    }
    return agent_plan(
        ROLE,
        context,
        options,
        "option_b",
        "Without a table the standard look is the one that misses least for its time.",
        ASSUMED,
        ("Where is the table?", "Does one row stand for one case, or do cases repeat?"),
    )
