class Problem:
    """The training rows in numbers, their folds, and the views of them that learners share."""

    def __init__(self, train, spec, settings):
        self.spec, self.settings = spec, settings
        target = Target(train[spec["target"]], spec)
        rows = np.flatnonzero(target.known)
        picked = settings["rows"]
        if picked < len(rows):
            keep = np.random.default_rng(spec["seed"]).choice(len(rows), picked, replace=False)
            keep = np.sort(keep)
            rows, target = rows[keep], Target(train[spec["target"]].iloc[rows[keep]], spec)
        frame = train.iloc[rows]
        self.target = target
        self.reader = READER(plain_columns(spec), settings, spec["seed"])
        self.table = self.reader.fit(frame)
        self.sizes = [len(values) for values in self.reader.vocabularies.values()]
        keys = [spec["split"].get(key) for key in ("group", "time")]
        self.keys = frame[[key for key in keys if key in frame]]
        self.signs = self._signs(spec.get("monotone") or {})
        self.rows = len(rows)
        self.width = sum(
            (self.table.numbers.shape[1], self.table.codes.shape[1], self.table.topics.shape[1])
        )
        self._folds, self._views = {}, {}

    def _signs(self, monotone):
        """1, -1 or 0 per number column: which way a prediction may move with it; [] if all are
        0.
        """
        plain = self.reader.named("number")
        names = [plain[i] if i < len(plain) else None for i in self.reader.kept]
        signs = [monotone.get(name, 0) for name in names]
        return signs if any(signs) else []

    def folds(self, repeat):
        """The inner folds; each repeat shuffles anew."""
        if repeat not in self._folds:
            seed = self.spec["seed"] + 1000 * repeat
            self._folds[repeat] = inner_folds(
                self.spec["split"], self.keys, self.target, self.settings["folds"], seed
            )
        return self._folds[repeat]

    def rows_of(self, repeat, fold, most_rows):
        """(training rows, validation rows); fold None means all rows and no validation."""
        if fold is None:
            inside, outside = np.arange(self.rows), np.arange(0)
        else:
            inside, outside = self.folds(repeat)[fold]
        if most_rows and most_rows < len(inside):
            rng = np.random.default_rng(self.spec["seed"])
            inside = np.sort(rng.choice(inside, most_rows, replace=False))
        return inside, outside

    def view(self, kind, params, repeat, fold):
        """(fitted view, training matrix, validation matrix) of one fold, made once and shared."""
        most_rows, bins = params.get("most_rows"), params.get("bins")
        key = kind, most_rows, bins, repeat, fold
        if key not in self._views:
            inside, outside = self.rows_of(repeat, fold, most_rows)
            view = VIEWS[kind](params)
            x = view.fit_transform(self.table.take(inside), self.target.take(inside), self.sizes)
            self._views[key] = view, x, view.transform(self.table.take(outside))
        return self._views[key]

    def forget_views(self, repeat):
        """Free the matrices of one repeat."""
        self._views = {key: made for key, made in self._views.items() if key[3] != repeat}


def plain_columns(spec):
    """The columns of the spec; a category that has to be monotone is read as a plain number."""
    columns = dict(spec["columns"])
    for name in spec.get("monotone") or {}:
        if name in columns and columns[name]["role"] == "category":
            columns[name] = {**columns[name], "role": "number"}
    return columns


def can_learn(problem):
    """False when no column says anything, or there is a single class: then the prior is
    predicted.
    """
    target = problem.target
    varied = target.n_classes > 1 if target.task != "regression" else np.ptp(target.y) > 0
    described = problem.width > 0 or problem.table.words is not None
    return problem.rows >= 10 and varied and described
