class CatBoost:
    """Gradient boosting by CatBoost with its own treatment of categories."""

    view = "catboost"
    ships_refit = False
    ours = ("patience", "most_rounds", "monotone")

    def __init__(self, params, target, seed, threads):
        self.task, self.n_classes, self.threads = target.task, target.n_classes, threads
        self.patience = params.get("patience", 50)
        self.most_rounds = params.get("most_rounds", 5000)
        self.params = {
            "depth": 6,
            "max_ctr_complexity": 2,
            "one_hot_max_size": 8,
            **{key: value for key, value in params.items() if key not in self.ours},
            "random_seed": seed,
            "thread_count": threads,
            "boosting_type": "Plain",
            "allow_writing_files": False,
            "logging_level": "Silent",
        }
        signs = params.get("monotone", [])
        if signs:  # numbers are the first columns
            self.params["monotone_constraints"] = {i: s for i, s in enumerate(signs) if s}
        if self.task == "regression":
            absolute = target.metric in ("mae", "mape", "pinball")
            middle = "MAE"
            if target.metric == "pinball":
                middle = f"Quantile:alpha={target.quantile}"
            if signs:
                middle = "Huber:delta=0.5"
            self.params["loss_function"] = middle if absolute else "RMSE"
        elif self.n_classes == 2:
            self.params["loss_function"] = "Logloss"
        else:
            self.params["loss_function"] = "MultiClass"
            self.params["classes_count"] = self.n_classes

    @staticmethod
    def pool(x, y=None):
        """Numbers and codes as CatBoost reads them."""
        numbers, codes = x
        if not codes.shape[1]:
            return catboost.Pool(numbers, y)
        data = catboost.FeaturesData(
            num_feature_data=numbers if numbers.shape[1] else None,
            cat_feature_data=codes.astype("S11").astype(object),
        )
        return catboost.Pool(data, y)

    @staticmethod
    def within(params, seconds, race):
        """(settings, seconds): the lowest useful learning rate for so many seconds a fold."""
        params = {**params, "most_rows": int(5_000 * race.clock.budget)}
        if "learning_rate" in params:
            return params, seconds
        trial = Member("pace", "catboost", {**params, "learning_rate": 0.1, "most_rounds": 25})
        trial.fit(race.problem, 0, [0], race.clock.at(race.clock.budget / 20))
        slow = 60 * trial.parts[0].learner.pace
        seconds = max(seconds, min(slow / 0.15, race.most_seconds()))
        return {**params, "learning_rate": round(min(0.3, max(0.03, slow / seconds)), 3)}, seconds

    def fit(self, x, y, valid, y_valid, rounds, deadline, categorical=()):
        """Boost until the validation loss stops falling or the deadline; or for `rounds`
        exactly.
        """
        data = self.pool(x, y)
        if rounds is not None:
            self.model = catboost.CatBoost({**self.params, "iterations": rounds})

            class Stop:
                def after_iteration(self, info):
                    return time.monotonic() < deadline

            self.model.fit(data, callbacks=[Stop()])
            self.done = self.model.tree_count_
            return self
        best = [math.inf, 0]
        self.curve = []
        patience = self.patience

        class Watch:
            def after_iteration(self, info):
                value = next(iter(info.metrics["validation"].values()))[-1]
                curve.append(value)
                moments.append(time.monotonic())
                if value < best[0]:
                    best[:] = value, info.iteration
                return time.monotonic() < deadline and info.iteration - best[1] < patience

        curve, moments = self.curve, []
        self.model = catboost.CatBoost({**self.params, "iterations": self.most_rounds})
        self.model.fit(
            data, eval_set=self.pool(valid, y_valid), use_best_model=False, callbacks=[Watch()]
        )
        self.pace = (moments[-1] - moments[0]) / max(len(moments) - 1, 1)
        return self

    def keep(self, rounds):
        """Forget the trees after `rounds`."""
        if self.model.tree_count_ > rounds:
            self.model.shrink(rounds)

    def predict(self, x, rounds):
        """(n,) values or (n, classes) shares."""
        kind = "RawFormulaVal" if self.task == "regression" else "Probability"
        return self.model.predict(
            self.pool(x),
            kind,
            ntree_end=min(rounds, self.model.tree_count_),
            thread_count=self.threads,
        )
