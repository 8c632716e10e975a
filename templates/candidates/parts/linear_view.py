class LinearView:
    """Everything on one scale, for linear models and nets.

    Numbers: standardised, median for missing plus an indicator. Categories: one column per value
    with at least `rare` rows; with many values a target encoding too. Text: TF-IDF, scaled by
    `text_weight`. Dense unless there is text or too many columns.
    """

    categorical = ()
    rare = 10
    most = 60
    text_weight = 3.0

    def fit_transform(self, table, target, sizes):
        """Learn from training rows and return their matrix. `sizes`: values per code column."""
        numbers = table.numbers.astype(np.float64)
        self.gaps = np.flatnonzero(np.isnan(numbers).any(axis=0))
        known = ~np.isnan(numbers).all(axis=0)
        self.medians = np.zeros(numbers.shape[1])
        if known.any():
            self.medians[known] = np.nanmedian(numbers[:, known], axis=0)
        self._learn_numbers(np.where(np.isnan(numbers), self.medians, numbers))
        rare = min(self.rare, max(2, len(numbers) // 50))
        self.values = []
        for column in table.codes.T:
            counts = np.bincount(column + 1)
            common = np.flatnonzero(counts >= rare) - 1
            self.values.append(common[np.argsort(-counts[common + 1], kind="stable")][: self.most])
        wide = [i for i, size in enumerate(sizes) if size > 30]
        self.encoder = TargetEncoder(target, wide)
        dense = self._dense(table, self.encoder.fit_transform(table.codes, target))
        self.centre = dense.mean(axis=0)
        spread = dense.std(axis=0)
        self.scale = np.where(spread > 1e-9, spread, 1.0)
        return self._matrix(table, dense)

    def _learn_numbers(self, filled):
        """Nothing more to learn of numbers that stay as they are."""

    def _shaped(self, filled):
        """Numbers without gaps, in columns for the model."""
        return filled

    def transform(self, table):
        """The matrix of new rows."""
        return self._matrix(table, self._dense(table, self.encoder.transform(table.codes)))

    def _dense(self, table, encoded):
        gaps = np.isnan(table.numbers)
        filled = np.where(gaps, self.medians, table.numbers).astype(np.float64)
        return np.hstack([self._shaped(filled), gaps[:, self.gaps].astype(np.float64), encoded])

    def _matrix(self, table, dense):
        scaled = np.clip((dense - self.centre) / self.scale, -8.0, 8.0)
        width = sum(len(values) for values in self.values)
        if table.words is None and width < 2000 and len(dense) * width < 3e7:
            columns = [
                (codes[:, None] == values).astype(np.float64)
                for codes, values in zip(table.codes.T, self.values, strict=True)
            ]
            return np.hstack([scaled, *columns])
        blocks = [sparse.csr_matrix(scaled)]
        for codes, values in zip(table.codes.T, self.values, strict=True):
            rows, columns = np.nonzero(codes[:, None] == values)
            ones = np.ones(len(rows))
            blocks.append(sparse.csr_matrix((ones, (rows, columns)), (len(codes), len(values))))
        if table.words is not None:
            blocks.append(table.words * self.text_weight)
        return sparse.hstack(blocks, format="csr", dtype=np.float64)
