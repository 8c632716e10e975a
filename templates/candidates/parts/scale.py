class Scale:
    """A regression target as models like it: optionally the logarithm, then mean 0 and spread 1."""

    def __init__(self, y, log):
        self.log = bool(log) and y.min() >= 0
        values = np.log1p(y) if self.log else y
        self.centre = float(np.mean(values))
        self.spread = float(np.std(values)) or 1.0
        reach = float(y.max() - y.min())
        self.low, self.high = float(y.min()) - 0.3 * reach, float(y.max()) + 0.3 * reach
        if y.min() >= 0:
            self.low = 0.0

    def forward(self, y):
        """Target units to model units."""
        return ((np.log1p(y) if self.log else y) - self.centre) / self.spread

    def back(self, values):
        """Model units to target units, kept near the range that was seen."""
        values = values * self.spread + self.centre
        if self.log:
            values = np.expm1(np.minimum(values, np.log1p(self.high)))
        return np.clip(values, self.low, self.high)
