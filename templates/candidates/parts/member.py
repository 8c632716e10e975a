class Part(NamedTuple):
    """One fitted model of a member: how to prepare rows for it, the model, how far to use it."""

    view: object
    learner: object
    rounds: int


class Member:
    """One kind of model, fitted on every fold; its prediction is the mean over the folds."""

    def __init__(self, name, kind, params):
        self.name, self.kind, self.params = name, kind, params
        self.parts, self.sums, self.times = [], None, None
        self.correction, self.shift = 1.0, 0.0
        self.seconds, self.tail = 0.0, 1.0
        self.whole = False  # whether its one model was fitted on all rows

    def fit(self, problem, repeat, folds, moment, rounds=None):
        """Fit one model per fold in `folds` (None: all rows) until `moment`.

        With `rounds` given (one number per fold) exactly so many are used. Otherwise every fold
        records its validation curve, and the rounds that are best for the mean of the curves are
        used for all: a fold does not choose its own stopping point, which keeps held-out
        predictions honest. Returns the rounds used; None if more were asked for than time allowed.
        """
        started = time.monotonic()
        threads = problem.spec["threads"]
        side_by_side = min(threads, len(folds)) if problem.rows <= 60_000 else 1
        each = threads // side_by_side
        self.scale = None
        if problem.target.task == "regression":
            self.scale = Scale(problem.target.y, self.params.get("log"))
        y = problem.target.y if self.scale is None else self.scale.forward(problem.target.y)
        waiting = list(range(len(folds)))
        exact = rounds is not None

        def one(order):
            fold = folds[order]
            waves = math.ceil((len(folds) - order) / side_by_side)
            now = time.monotonic()
            until = now + (moment - now) / waves
            inside, outside = problem.rows_of(repeat, fold, self.params.get("most_rows"))
            learner_class = LEARNERS[self.kind]
            view, x, valid = problem.view(learner_class.view, self.params, repeat, fold)
            seed = problem.spec["seed"] + 101 * repeat + order
            settings = self._settings()
            if problem.signs:
                settings["monotone"] = problem.signs
            learner = learner_class(settings, problem.target, seed, each)
            exactly = rounds and rounds[order]
            learner.fit(x, y[inside], valid, y[outside], exactly, until, view.categorical)
            return view, learner, valid, outside

        if side_by_side > 1:
            with ThreadPool(side_by_side) as pool, threadpool_limits(each, user_api="blas"):
                fitted = pool.map(one, waiting, chunksize=1)
        else:
            fitted = [one(order) for order in waiting]
        trained = time.monotonic() - started
        if rounds is None:
            curves = [learner.curve for _, learner, _, _ in fitted]
            rounds = [min(best_round(curves), len(curve)) for curve in curves]
        if self.sums is None:
            shape = (problem.rows,) if self.scale else (problem.rows, problem.target.n_classes)
            self.sums, self.times = np.zeros(shape), np.zeros(problem.rows)
        for (view, learner, valid, outside), used in zip(fitted, rounds, strict=True):
            if exact and learner.done < used:
                return None
            learner.keep(used)
            if len(outside):
                self.sums[outside] += self._back(learner.predict(valid, used))
                self.times[outside] += 1
            self.parts.append(Part(view, learner, used))
        if folds != [None]:
            self._correct(problem.target)
        self.seconds = time.monotonic() - started
        self.tail = self.seconds / max(trained, 1e-6)  # training ends on time, the rest comes after
        return rounds

    def _settings(self):
        ours = ("log", "most_rows", "bins")
        return {key: value for key, value in self.params.items() if key not in ours}

    def _back(self, values):
        return values if self.scale is None else self.scale.back(values)

    def _correct(self, target):
        """exp(mean of logs) is below the mean: scale predictions so that held-out means agree.

        Asked for a quantile, shift them so that its share of the held-out rows lies below.
        """
        if target.metric == "pinball" and self.scale is not None:
            seen = self.times > 0
            errors = target.y[seen] - self.sums[seen] / self.times[seen]
            self.shift = float(np.quantile(errors, target.quantile))
        if self.scale is not None and self.scale.log and target.metric in ("rmse", "r2"):
            seen = self.times > 0
            mean = np.mean(self.sums[seen] / self.times[seen])
            ratio = np.mean(target.y[seen]) / mean if mean > 0 else 1.0
            self.correction = float(np.clip(ratio, 0.9, 1.2))

    @property
    def held_out(self):
        """Predictions for rows that the predicting model had not seen; NaN where there is none."""
        times = self.times if self.sums.ndim == 1 else self.times[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.correction * self.sums / times + self.shift

    def predict(self, table, matrices):
        """(n,) values or (n, present classes) shares; `matrices`: prepared rows, by view."""
        total = 0.0
        for view, learner, rounds in self.parts:
            if id(view) not in matrices:
                matrices[id(view)] = view.transform(table)
            total = total + self._back(learner.predict(matrices[id(view)], rounds))
        return self.correction * total / len(self.parts) + self.shift


def best_round(curves):
    """The round (from 1) with the lowest mean loss; a curve that ended early keeps its last
    value.
    """
    longest = max(len(curve) for curve in curves)
    shortest = min(len(curve) for curve in curves)
    padded = [np.append(curve, np.full(longest - len(curve), curve[-1])) for curve in curves]
    mean = np.mean(padded, axis=0)
    if not np.isfinite(mean[:shortest]).any():
        return shortest
    return int(np.nanargmin(mean)) + 1
