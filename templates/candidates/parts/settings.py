def table_settings(train, spec):
    """What is decided before anything is learnt: rows used, inner folds, how text is read.

    Large tables are sampled so that reading them takes about an eighth of the budget.
    """
    roles = [column["role"] for column in spec["columns"].values()]
    used = sum(role not in ("id", "constant", "excluded") for role in roles)
    budget = max(float(spec["budget_s"]), 0.5)
    letters = letters_per_row(train, spec)
    settings = {"rows": len(train), "folds": 4, "topics": 20}
    settings["text"] = "words and characters" if letters * len(train) < 6e4 * budget else "words"
    reader = READER(plain_columns(spec), settings, spec["seed"])
    rows = settings["rows"] = rows_to_read(train, reader, budget / 8)
    work = rows * max(used, 10) / budget
    trees = len(spec["classes"]) if spec["task"] == "multiclass" else 1  # in each round
    folds = 8 if work < 1_500 else 4 if work * trees < 30_000 else 1  # even: two side by side
    settings["folds"] = max(2, min(folds, rows // 4)) if rows < 40 else folds
    return settings


def letters_per_row(train, spec):
    """Mean number of characters in the text columns (at most 2,000 a cell), from 1,000 rows."""
    texts = [name for name, column in spec["columns"].items() if column["role"] == "text"]
    sample = train[texts].head(1000)
    letters = sum(len(str(value)[:2000]) for name in texts for value in sample[name])
    return letters / max(len(sample), 1)
