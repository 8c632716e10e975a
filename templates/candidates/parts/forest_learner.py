class Forest:
    """Extremely randomised trees or a random forest. Its rounds are trees.

    One forest on all rows ships instead of one per fold: deep trees are large.
    """

    view = "tree"
    ships_refit = True
    most_nodes = 1_200_000  # keeps the model file near 100 MB

    def __init__(self, params, target, seed, threads):
        self.task, self.n_classes, self.threads = target.task, target.n_classes, threads
        params = dict(params)
        self.trees = params.pop("trees", 300)
        kinds = {
            ("extra_trees", True): ExtraTreesRegressor,
            ("extra_trees", False): ExtraTreesClassifier,
            ("random_forest", True): RandomForestRegressor,
            ("random_forest", False): RandomForestClassifier,
        }
        kind = kinds[params.pop("forest", "extra_trees"), self.task == "regression"]
        settings = {"max_features": 0.7 if self.task == "regression" else "sqrt", **params}
        self.model = kind(
            n_estimators=1, warm_start=True, random_state=seed, n_jobs=threads, **settings
        )

    @staticmethod
    def within(params, seconds, race):
        """(settings, seconds): a sample of the rows when there are very many."""
        return {**params, "most_rows": int(2_500 * race.clock.budget)}, seconds

    def fit(self, x, y, valid, y_valid, rounds, deadline, categorical=()):
        """Grow until enough trees, too many nodes, or the deadline; or for `rounds` exactly."""
        if rounds is not None:
            self.done = 0
            while self.done < rounds and time.monotonic() < deadline:
                self.done = min(self.done + 50, rounds)
                self.model.set_params(n_estimators=self.done).fit(x, y)
            return self
        weight = 1.0 if self.task == "regression" else (64 + 8 * self.n_classes) / 72
        nodes_allowed = self.most_nodes / weight
        started = time.monotonic()
        grown = 0
        while True:
            step = 4 if grown < 20 else 20
            self.model.set_params(n_estimators=grown + step).fit(x, y)
            grown += step
            nodes = sum(tree.tree_.node_count for tree in self.model.estimators_)
            now = time.monotonic()
            pace = self.pace = (now - started) / grown
            enough = grown >= self.trees or nodes * (grown + 20) / grown > nodes_allowed
            if enough or now + (4 if grown < 20 else 20) * pace > deadline:
                break
        self.curve = [math.inf] * (grown - 1) + [0.0]
        return self

    def keep(self, rounds):
        """Forget the trees after `rounds`."""
        self.model.estimators_ = self.model.estimators_[:rounds]
        self.model.n_estimators = len(self.model.estimators_)

    def predict(self, x, rounds):
        """(n,) values or (n, classes) shares. Rows are split among the threads, not trees: those
        would be summed in the order in which threads end, which no second call repeats.
        """
        self.model.set_params(n_jobs=1)
        ask = self.model.predict if self.task == "regression" else self.model.predict_proba
        parts = np.array_split(x, max(1, min(self.threads, len(x) // 500)))
        with ThreadPool(len(parts)) as pool:
            found = np.concatenate(pool.map(ask, parts))
        if self.task == "regression":
            return found
        shares = np.zeros((len(x), self.n_classes))
        shares[:, self.model.classes_] = found
        return shares
