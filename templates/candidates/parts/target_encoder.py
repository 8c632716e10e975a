class TargetEncoder:
    """A category as the smoothed mean of the target among its rows (one column per class, at most
    5).

    Training rows are encoded from the other rows only (four parts), so that they never see their
    own target.
    """

    def __init__(self, target, columns, smoothing=10.0, seed=0):
        self.columns, self.smoothing, self.seed = columns, smoothing, seed
        if target.task == "regression":
            self.means = np.array([np.mean(target.y)])
        else:
            shares = target.prior()
            self.shown = np.arange(1, 2) if len(shares) == 2 else np.argsort(-shares)[:5]
            self.means = shares[self.shown]

    def _outcomes(self, target):
        if target.task == "regression":
            return target.y[:, None]
        return (target.y[:, None] == self.shown).astype(np.float64)

    def _table(self, codes, outcomes):
        size = int(codes.max(initial=-1)) + 1
        counts = np.bincount(codes + 1, minlength=size + 1)[:, None]
        sums = np.column_stack([np.bincount(codes + 1, w, size + 1) for w in outcomes.T])
        table = (sums + self.smoothing * self.means) / (counts + self.smoothing)
        return np.vstack([table, self.means])

    @staticmethod
    def _look_up(table, codes):
        return table[np.minimum(codes + 1, len(table) - 1)]

    def fit_transform(self, codes, target):
        """Cross-fitted encodings of the training rows, (n, columns * shown classes)."""
        outcomes = self._outcomes(target)
        part = np.random.default_rng(self.seed).permutation(len(codes)) % 4
        encoded = []
        self.tables = []
        for column in self.columns:
            values = np.empty((len(codes), len(self.means)))
            for p in range(4):
                table = self._table(codes[part != p, column], outcomes[part != p])
                values[part == p] = self._look_up(table, codes[part == p, column])
            self.tables.append(self._table(codes[:, column], outcomes))
            encoded.append(values)
        return self._joined(encoded, len(codes))

    def transform(self, codes):
        """Encodings of new rows; categories never seen get the overall mean."""
        pairs = zip(self.tables, self.columns, strict=True)
        return self._joined([self._look_up(t, codes[:, c]) for t, c in pairs], len(codes))

    @staticmethod
    def _joined(parts, rows):
        return np.column_stack(parts) if parts else np.zeros((rows, 0))
