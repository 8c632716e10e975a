class Target:
    """The target as numbers: class positions, or float values for regression.

    Classes that the training rows lack are left out while learning and get zeros when predicting.
    """

    def __init__(self, values, spec):
        self.task = spec["task"]
        self.classes = [str(label) for label in spec["classes"]]
        self.metric = spec["metric"]
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
        """What to predict without any feature: the mean, or the class shares."""
        if self.task == "regression":
            return float(np.mean(self.y)) if len(self.y) else 0.0
        return np.bincount(self.y, minlength=self.n_classes) / max(len(self.y), 1)

    def widen(self, shares):
        """(n, present classes) -> what `predict` has to return, classes in the order of the spec."""
        if self.task == "regression":
            return np.asarray(shares, dtype=np.float64)
        shares = np.clip(np.asarray(shares, dtype=np.float64), 0.0, 1.0)
        full = np.zeros((len(shares), len(self.classes)))
        full[:, self.present] = shares
        total = full.sum(axis=1, keepdims=True)
        full = np.where(total > 0, full / np.where(total > 0, total, 1.0), 1.0 / full.shape[1])
        return full[:, 1] if self.task == "binary" else full


def loss(target, prediction):
    """The metric as a loss (lower is better); label metrics are replaced by the log loss.

    `prediction` has shape (n,) for regression, else (n, present classes).
    """
    y, metric = target.y, target.metric
    if target.task == "regression":
        if metric in ("mae", "pinball"):
            return float(np.mean(np.abs(prediction - y)))
        if metric == "mape":
            return float(np.mean(np.abs(prediction - y) / np.maximum(np.abs(y), 1e-9)))
        if metric == "rmsle" and y.min() >= 0:
            return float(np.sqrt(np.mean((np.log1p(np.maximum(prediction, 0)) - np.log1p(y)) ** 2)))
        return float(np.sqrt(np.mean((prediction - y) ** 2)))
    if metric == "roc_auc" and prediction.shape[1] == 2 and 0 < y.sum() < len(y):
        ranks = rankdata(prediction[:, 1])
        positives = y.sum()
        area = ranks[y == 1].sum() - positives * (positives + 1) / 2
        return float(1.0 - area / (positives * (len(y) - positives)))
    if metric == "pr_auc" and prediction.shape[1] == 2 and 0 < y.sum() < len(y):
        return float(1.0 - average_precision_score(y, prediction[:, 1]))
    if metric == "brier":
        return float(np.mean((prediction - np.eye(prediction.shape[1])[y]) ** 2))
    return log_loss(y, prediction)


def log_loss(y, shares):
    """Mean negative log of the share given to the true class."""
    shares = np.clip(shares, 1e-6, 1.0)
    shares = shares / shares.sum(axis=1, keepdims=True)
    return float(-np.mean(np.log(shares[np.arange(len(y)), y])))
