class CatBoostView:
    """Numbers and topics, float32, beside all category codes: CatBoost encodes categories
    itself.
    """

    categorical = ()

    def __init__(self, params):
        pass

    def fit_transform(self, table, target, sizes):
        """Nothing to learn; see `transform`."""
        return self.transform(table)

    def transform(self, table):
        """(numbers, codes)."""
        return np.ascontiguousarray(np.hstack([table.numbers, table.topics])), table.codes
