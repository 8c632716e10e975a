class Linear:
    """Ridge or logistic regression; its curve runs over strengths of the penalty, strong to weak."""

    view = "linear"
    ships_refit = False
    path = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)

    def __init__(self, params, target, seed, threads):
        self.params, self.target_task = params, target.task
        self.n_classes, self.metric = target.n_classes, target.metric

    @staticmethod
    def within(params, seconds, race):
        """The settings with a sample of the rows when there are very many."""
        cells = 2e5 * race.clock.budget
        return {**params, "most_rows": linear_rows(race.problem, params.get("bins", 0), cells)}

    def fit(self, x, y, valid, y_valid, rounds, deadline, categorical=()):
        """Fit at each strength until the validation loss has grown twice; `rounds` picks one."""
        self.models, self.curve = {}, []
        best = math.inf
        for step, strength in enumerate(self.path, start=1):
            if rounds is not None and step != rounds:
                continue
            self.models[step] = self._fitted(x, y, strength)
            if rounds is not None:
                self.done = rounds
                break
            self.curve.append(self._valid_loss(self.predict(valid, step), y_valid))
            if self.curve[-1] < best:
                best, best_step = self.curve[-1], step
            late = time.monotonic() > deadline
            if late or step - best_step >= 2:
                break
        return self

    def _fitted(self, x, y, strength):
        if self.target_task == "regression":
            self.centre = float(np.mean(y))
            alpha = 1.0 / strength
            return Ridge(alpha=alpha, solver="auto").fit(x, y - self.centre)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged at 100 steps is near enough
            model = LogisticRegression(C=strength, max_iter=100, tol=1e-3)
            return model.fit(x, y)

    def _valid_loss(self, prediction, y):
        if self.target_task == "regression":
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


def linear_rows(problem, bins, cells):
    """How many rows a matrix of about `cells` cells may have."""
    width = problem.table.numbers.shape[1] * max(1, bins)
    width += sum(min(size, 60) for size in problem.sizes)
    if problem.table.words is not None:
        width += 6 * problem.table.words.nnz / max(problem.rows, 1)
    return int(cells / max(width, 1)) + 1000
