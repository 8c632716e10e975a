class LinearView:
    """Everything on one scale, for linear models and nets.

    Numbers: median for missing plus an indicator; then, with `bins` > 0, a ramp per quantile bin
    (the coefficient of a ramp is the effect of crossing that bin), else the standardised number.
    Categories: one column per value with at least `rare` rows; with many values a target encoding
    too. Text: TF-IDF, scaled by `text_weight`. Dense unless there is text or too many columns.
    """

    categorical = ()
    rare = 10
    most = 60
    text_weight = 3.0

    def __init__(self, params):
        self.bins = params.get("bins", 0)

    def fit_transform(self, table, target, sizes):
        """Learn from training rows and return their matrix. `sizes`: values per code column."""
        numbers = table.numbers.astype(np.float64)
        self.gaps = np.flatnonzero(np.isnan(numbers).any(axis=0))
        known = ~np.isnan(numbers).all(axis=0)
        self.medians = np.zeros(numbers.shape[1])
        if known.any():
            self.medians[known] = np.nanmedian(numbers[:, known], axis=0)
        filled = np.where(np.isnan(numbers), self.medians, numbers)
        self.edges = []
        for column in filled.T:
            cuts = np.unique(np.quantile(column, np.linspace(0, 1, self.bins + 1)))
            self.edges.append(cuts if self.bins and len(cuts) > 2 else None)
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

    def transform(self, table):
        """The matrix of new rows."""
        return self._matrix(table, self._dense(table, self.encoder.transform(table.codes)))

    def names(self, number_names, code_names):
        """What each column of the matrix means; text columns are not named."""
        names = []
        for name, edges in zip(number_names, self.edges, strict=True):
            if edges is None:
                names.append(name)
            else:
                pairs = itertools.pairwise(edges)
                names += [f"{name} from {low:.4g} to {high:.4g}" for low, high in pairs]
        names += [f"{number_names[i]} is missing" for i in self.gaps]
        names += [f"{code_names[i]} (target mean)" for i in self.encoder.columns]
        for name, values in zip(code_names, self.values, strict=True):
            names += [(name, int(value)) for value in values]
        return names

    def _dense(self, table, encoded):
        parts = []
        for column, median, edges in zip(table.numbers.T, self.medians, self.edges, strict=True):
            values = np.where(np.isnan(column), median, column).astype(np.float64)
            if edges is None:
                parts.append(values[:, None])
            else:
                ramps = (values[:, None] - edges[:-1]) / np.diff(edges)
                parts.append(np.clip(ramps, 0.0, 1.0))  # flat outside of what was seen
        parts.append(np.isnan(table.numbers[:, self.gaps]).astype(np.float64))
        parts.append(encoded)
        return np.hstack(parts)

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
