class Linear:
    """Ridge or logistic regression; its curve runs over strengths of the penalty, strong to
    weak.
    """

    view = "linear"
    ships_refit = False
    path = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)

    def __init__(self, params, target, seed, threads):
        self.params, self.target_task = params, target.task
        self.n_classes, self.metric = target.n_classes, target.metric
        self.quantile = target.quantile

    @staticmethod
    def within(params, seconds, race):
        """(settings, seconds): a sample of the rows when there are very many or time is short.

        One fit cannot be stopped half-way, so a trial on a few rows shows what it would cost.
        """
        cells, few = 2e5 * race.clock.budget, 1_000
        most_rows = linear_rows(race.problem, params.get("bins", 0), cells)
        if min(most_rows, race.problem.rows) > 4 * few:
            trial = Member("pace", "linear", {**params, "most_rows": few})
            trial.fit(race.problem, 0, [0], race.clock.at(0.0))
            affordable = race.most_seconds() / (1.5 * trial.seconds / few)
            most_rows = min(most_rows, max(few, int(affordable)))
        return {**params, "most_rows": most_rows}, seconds

    def fit(self, x, y, valid, y_valid, rounds, deadline, categorical=()):
        """Fit at strengths from 1 on, weaker or stronger, until the loss grows; `rounds` picks
        one.
        """
        self.models = {}
        if rounds is not None:
            self.models[rounds] = self._fitted(x, y, self.path[rounds - 1])
            self.done = rounds
            return self
        self.curve = [math.inf] * len(self.path)
        start = self.path.index(1.0)
        for walk in (range(start, -1, -1), range(start + 1, len(self.path))):
            if walk.start > start and min(self.curve) < self.curve[start]:
                break
            for place in walk:
                self.models[place + 1] = self._fitted(x, y, self.path[place])
                prediction = self.predict(valid, place + 1)
                self.curve[place] = self._valid_loss(prediction, y_valid)
                worse = self.curve[place] > min(self.curve)
                if worse or time.monotonic() > deadline:
                    break
            if time.monotonic() > deadline:
                break
        return self

    def _fitted(self, x, y, strength):
        if self.target_task == "regression":
            self.centre = float(np.mean(y))
            alpha = 1.0 / strength
            model = Ridge(alpha=alpha, solver="auto").fit(x, y - self.centre)
            if self.metric == "pinball":  # the line moves until the share below it is right
                errors = y - self.centre - model.predict(x)
                model.intercept_ += float(np.quantile(errors, self.quantile))
            return model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged at 100 steps is near enough
            model = LogisticRegression(C=strength, max_iter=100, tol=1e-3)
            return model.fit(x, y)

    def _valid_loss(self, prediction, y):
        if self.target_task == "regression":
            if self.metric == "pinball":
                error = y - prediction
                return float(np.mean(np.maximum(self.quantile * error, (self.quantile - 1) * error)))
            return float(np.sqrt(np.mean((prediction - y) ** 2)))
        return log_loss(y, prediction)

    def keep(self, rounds):
        """Forget every strength but one."""
        self.models = {rounds: self.models[rounds]}

    def predict(self, x, rounds):
        """(n,) values or (n, classes) shares."""
        model = self.models[rounds]
        if self.target_task == "regression":
            return model.predict(x) + self.centre
        shares = np.zeros((x.shape[0], self.n_classes))
        shares[:, model.classes_] = model.predict_proba(x)
        return shares


def linear_width(problem, bins):
    """About how many cells a row of the matrix has."""
    width = problem.table.numbers.shape[1] * max(1, bins)
    width += sum(min(size, 60) for size in problem.sizes)
    if problem.table.words is not None:
        width += 6 * problem.table.words.nnz / max(problem.rows, 1)
    return max(width, 1)


def linear_rows(problem, bins, cells):
    """How many rows a matrix of about `cells` cells may have."""
    return int(cells / linear_width(problem, bins)) + 1000
