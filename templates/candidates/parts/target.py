class Target:
    """The target as numbers: class positions, or float values for regression.

    Classes that the training rows lack are left out while learning and get zeros when predicting.
    """

    def __init__(self, values, spec):
        self.task = spec["task"]
        self.classes = [str(label) for label in spec["classes"]]
        self.metric = spec["metric"]
        self.quantile = spec.get("quantile") or 0.5  # of the metric pinball
        if self.task == "regression":
            numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
            self.known = np.isfinite(numbers)
            self.y = numbers[self.known]
            self.present = np.arange(1)
        else:
            texts = values.astype(object).map(lambda label: str(label), na_action="ignore")
            position = pd.Index(self.classes).get_indexer(pd.Index(texts, dtype=object))
            self.known = position >= 0
            self.present, self.y = np.unique(position[self.known], return_inverse=True)

    @property
    def n_classes(self):
        """Number of classes that occur in the training rows (1 for regression)."""
        return len(self.present)

    def take(self, rows):
        """The same target for some of the rows only."""
        part = copy.copy(self)
        part.y = self.y[rows]
        return part

    def prior(self):
        """What to predict without any feature: the mean (or quantile), or the class shares."""
        if self.task == "regression" and self.metric == "pinball":
            return float(np.quantile(self.y, self.quantile)) if len(self.y) else 0.0
        if self.task == "regression":
            return float(np.mean(self.y)) if len(self.y) else 0.0
        return np.bincount(self.y, minlength=self.n_classes) / max(len(self.y), 1)

    def widen(self, shares):
        """(n, present classes) -> what `predict` has to return, classes in the order of the
        spec.
        """
        if self.task == "regression":
            return np.asarray(shares, dtype=np.float64)
        shares = np.clip(np.asarray(shares, dtype=np.float64), 0.0, 1.0)
        full = np.zeros((len(shares), len(self.classes)))
        full[:, self.present] = shares
        total = full.sum(axis=1, keepdims=True)
        full = np.where(total > 0, full / np.where(total > 0, total, 1.0), 1.0 / full.shape[1])
        return full[:, 1] if self.task == "binary" else full
