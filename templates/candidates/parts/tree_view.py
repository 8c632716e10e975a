class TreeView:
    """Numbers, topics, category codes and target encodings in one float32 matrix, for trees.

    Codes with many values are given as target encodings; the others stay codes, -1 becomes missing.
    `categorical` lists the positions of codes for models that treat them as categories.
    """

    many = 30

    def __init__(self, params):
        self.few = []

    def fit_transform(self, table, target, sizes):
        """Learn from training rows and return their matrix. `sizes`: values per code column."""
        self.few = [i for i, size in enumerate(sizes) if size <= self.many]
        wide = [i for i, size in enumerate(sizes) if size > self.many]
        self.encoder = TargetEncoder(target, wide)
        start = table.numbers.shape[1] + table.topics.shape[1]
        self.categorical = list(range(start, start + len(self.few)))
        return self._matrix(table, self.encoder.fit_transform(table.codes, target))

    def transform(self, table):
        """The matrix of new rows."""
        return self._matrix(table, self.encoder.transform(table.codes))

    def _matrix(self, table, encoded):
        codes = table.codes[:, self.few].astype(np.float32)
        codes[codes < 0] = np.nan
        parts = [table.numbers, table.topics, codes, encoded.astype(np.float32)]
        return np.ascontiguousarray(np.hstack(parts))
