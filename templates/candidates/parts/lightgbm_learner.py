class LightGBM:
    """Gradient boosting by LightGBM. Repeatable: one histogram layout, fixed seeds."""

    view = "tree"
    ships_refit = False
    ours = ("native", "patience", "most_rounds", "monotone")

    def __init__(self, params, target, seed, threads):
        self.task, self.n_classes, self.threads = target.task, target.n_classes, threads
        self.params = {
            "num_leaves": 31,
            "min_data_in_leaf": 20,
            "feature_fraction": 0.8,
            "bagging_fraction": 0.9,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "min_data_per_group": 20,
            "max_cat_threshold": 16,
            **{key: value for key, value in params.items() if key not in self.ours},
            "seed": seed,
            "verbosity": -1,
            "deterministic": True,
            "feature_pre_filter": False,
            "num_threads": threads,
        }
        self.signs = params.get("monotone", [])
        self.native = params.get("native", True)
        self.patience = params.get("patience", 60)
        self.most_rounds = params.get("most_rounds", 10000)
        if self.task == "regression":
            absolute = target.metric in ("mae", "mape", "pinball")
            self.params["objective"] = "regression_l1" if absolute else "regression"
            if target.metric == "pinball":
                self.params.update(objective="quantile", alpha=target.quantile)
            if absolute and self.signs:  # medians of leaves, as L1 has them, may break the order
                self.params.update(objective="huber", alpha=0.5)
        elif self.n_classes == 2:
            self.params["objective"] = "binary"
        else:
            self.params.update(objective="multiclass", num_class=self.n_classes)

    @staticmethod
    def within(params, seconds, race):
        """(settings, seconds): the lowest useful learning rate for so many seconds a fold.

        Rather than learn faster than 0.1 it asks for more time; later members may then have none.
        """
        if "learning_rate" in params:
            return params, seconds
        size = max(0.4, (params.get("num_leaves", 31) / 31) ** 0.8)
        slow = race.probe_rounds * race.probe_pace * size
        seconds = max(seconds, min(slow, race.most_seconds()))
        rate = round(min(0.2, max(0.03, 0.1 * slow / seconds)), 3)
        return {**params, "learning_rate": rate}, seconds

    def fit(self, x, y, valid, y_valid, rounds, deadline, categorical=()):
        """Boost until the validation loss stops falling or the deadline; or for `rounds`
        exactly.
        """
        self.params["force_row_wise" if len(x) > 100_000 else "force_col_wise"] = True
        self.params["min_data_in_leaf"] = min(self.params["min_data_in_leaf"], max(1, len(x) // 20))
        if self.signs:  # numbers are the first columns; the method "basic" never fails to hold
            self.params["monotone_constraints"] = self.signs + [0] * (x.shape[1] - len(self.signs))
            self.params["monotone_constraints_method"] = "basic"
        categories = list(categorical) if self.native else []
        self.trees = []  # after each round; a round in which no split helps makes none
        data = lightgbm.Dataset(x, y, params=self.params, categorical_feature=categories)
        if rounds is not None:
            self.done = rounds

            def stop(env):
                self.trees.append(env.model.current_iteration())
                if time.monotonic() > deadline:
                    self.done = env.iteration + 1
                    raise lightgbm.callback.EarlyStopException(env.iteration, [])

            self.booster = lightgbm.train(self.params, data, rounds, callbacks=[stop])
            return self
        curves = {}
        moments = []
        best = [math.inf, 0]

        def watch(env):
            self.trees.append(env.model.current_iteration())
            value = env.evaluation_result_list[0][2]
            if value < best[0]:
                best[:] = value, env.iteration
            moments.append(time.monotonic())
            late = moments[-1] > deadline
            if late or env.iteration - best[1] >= self.patience:
                raise lightgbm.callback.EarlyStopException(env.iteration, [])

        watch.order = 40  # after the losses are recorded
        held_out = lightgbm.Dataset(valid, y_valid, reference=data)
        self.booster = lightgbm.train(
            self.params, data, self.most_rounds, valid_sets=[held_out], valid_names=["valid"],
            callbacks=[lightgbm.record_evaluation(curves), watch],
        )  # fmt: skip
        self.curve = next(iter(curves["valid"].values()))
        self.pace = (moments[-1] - moments[0]) / max(len(moments) - 1, 1)
        return self

    def keep(self, rounds):
        """Forget the trees after `rounds`; the rest is text, which pickles small and exactly."""
        self.text = self.booster.model_to_string(num_iteration=self.trees[rounds - 1])
        self.booster = lightgbm.Booster(model_str=self.text)

    def __getstate__(self):
        """The text without the trees made from it: writing them out takes seconds, every time."""
        return {**self.__dict__, "booster": None}

    def predict(self, x, rounds):
        """(n,) values or (n, classes) shares."""
        if self.booster is None:
            self.booster = lightgbm.Booster(model_str=self.text)
        result = self.booster.predict(x, num_iteration=rounds, num_threads=self.threads)
        if self.task != "regression" and self.n_classes == 2:
            return np.column_stack([1.0 - result, result])
        return result
