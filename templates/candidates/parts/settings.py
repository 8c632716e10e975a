def table_settings(train, spec):
    """What is decided before anything is learnt: rows used, inner folds, how text is read.

    Depends on the size of the table and the budget only, not on the clock.
    """
    roles = [column["role"] for column in spec["columns"].values()]
    used = sum(role not in ("id", "constant", "excluded") for role in roles)
    budget = max(float(spec["budget_s"]), 0.5)
    rows = len(train)
    texts = [name for name, column in spec["columns"].items() if column["role"] == "text"]
    sample = train[texts].head(1000)
    letters = sum(len(str(value)[:2000]) for name in texts for value in sample[name])
    letters = letters / max(len(sample), 1) * rows
    cells = 1.0e6 * budget
    picked = int(min(rows, max(2000, cells / max(used, 1))))
    if letters > 1.5e6 * budget:
        picked = int(min(picked, max(2000, rows * 1.5e6 * budget / letters)))
    letters = letters * picked / max(rows, 1)
    text = "words and characters" if letters < 6e4 * budget else "words"
    work = picked * max(used, 10) / budget
    folds = 8 if work < 1_500 else 4 if work < 30_000 else 1  # even: two are fitted side by side
    if picked < 40:
        folds = max(2, min(folds, picked // 4))
    return {"rows": picked, "text": text, "folds": folds, "topics": 20}
