class Ensemble:
    """Weighted mean of members. Pickles; predicts from the raw table."""

    def __init__(self, problem, members, weights, trained_on):
        self.reader = problem.reader
        self.target = problem.target.take(slice(0, 0))
        self.prior = problem.target.prior()
        self.members = [strip(member) for member, w in zip(members, weights, strict=True) if w > 0]
        self.weights = [float(w) for w in weights if w > 0]
        self.trained_on = trained_on

    def predict(self, features):
        """What `predict` returns, for raw features."""
        table = self.reader.transform(features)
        total, matrices = 0.0, {}
        for member, weight in zip(self.members, self.weights, strict=True):
            total = total + weight * member.predict(table, matrices)
        if not self.members:
            total = np.tile(self.prior, (len(features), 1))
            total = total[:, 0] if self.target.task == "regression" else total
        return self.target.widen(np.where(np.isfinite(total), total, self.prior))


def strip(member):
    """The member without its held-out predictions, for shipping."""
    light = copy.copy(member)
    light.parts = list(member.parts)
    light.sums = light.times = None
    return light


def predict(model, features):
    """Regression: (n,) target units. Binary: (n,) probability of the last class. Else (n, k)."""
    return model.predict(features)
