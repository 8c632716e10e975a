class LinearModel:
    """One linear model with how to prepare rows for it. Pickles; predicts from the raw table."""

    def __init__(self, problem, view, learner, rounds, scale):
        self.reader, self.view, self.learner = problem.reader, view, learner
        self.rounds, self.scale, self.shift = rounds, scale, 0.0
        self.target = problem.target.take(slice(0, 0))
        self.prior = problem.target.prior()

    def predict(self, features):
        """What `predict` returns, for raw features."""
        if self.learner is None:
            result = np.tile(self.prior, (len(features), 1))
            result = result[:, 0] if self.scale is not None else result
        else:
            x = self.view.transform(self.reader.transform(features))
            result = self.learner.predict(x, self.rounds)
            result = result if self.scale is None else self.scale.back(result) + self.shift
        return self.target.widen(np.where(np.isfinite(result), result, self.prior))

    def coefficients(self):
        """Effect of each named column (in standard deviations), largest first.

        Binary: log odds of the last class. Regression: of the scaled target. Multiclass: one column
        per class. Text columns are left out.
        """
        if self.learner is None:
            return pd.DataFrame(columns=["column"])
        vocabularies = list(self.reader.vocabularies.items())
        keys = [" ".join(k) if isinstance(k, tuple) else k for k, _ in vocabularies]
        named = []
        for name in self.view.names(self.reader.number_names, keys):
            if isinstance(name, tuple):
                column, code = name
                labels = dict(zip(keys, (v for _, v in vocabularies), strict=True))[column]
                name = f"{column} is {labels[code] if code >= 0 else 'missing or new'}"
            named.append(name)
        values = np.atleast_2d(self.learner.models[self.rounds].coef_)[:, : len(named)]
        table = pd.DataFrame(values.T, columns=[f"effect {i}" for i in range(len(values))])
        table.insert(0, "column", named)
        order = np.argsort(-np.abs(values).max(axis=0), kind="stable")
        return table.iloc[order].reset_index(drop=True)


def fit_on_all(problem, params, rounds, shift=0.0):
    """The linear model on all training rows with one strength of the penalty.

    `shift`: what held-out rows ask for when a quantile is to be met (see `Member`).
    """
    scale, y = None, problem.target.y
    if problem.target.task == "regression":
        scale = Scale(y, params.get("log"))
        y = scale.forward(y)
    if not can_learn(problem):
        return LinearModel(problem, None, None, rounds, scale)
    view, x, _ = problem.view("linear", params, 0, None)
    rows, _ = problem.rows_of(0, None, params.get("most_rows"))
    learner = Linear({}, problem.target, problem.spec["seed"], problem.spec["threads"])
    with threadpool_limits(1, user_api="blas"):  # more would wait for each other at this size
        learner.fit(x, y[rows], None, None, rounds, math.inf)
    model = LinearModel(problem, view, learner, rounds, scale)
    model.shift = shift
    return model


def predict(model, features):
    """Regression: (n,) target units. Binary: (n,) probability of the last class. Else (n, k)."""
    return model.predict(features)
