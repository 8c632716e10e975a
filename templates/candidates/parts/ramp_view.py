class RampView(LinearView):
    """The linear view with numbers cut at their quantiles, if `bins` > 0.

    A ramp per bin: its coefficient is the effect of crossing that bin.
    """

    def __init__(self, params):
        self.bins = params.get("bins", 0)

    def _learn_numbers(self, filled):
        self.edges = []
        for column in filled.T:
            cuts = np.unique(np.quantile(column, np.linspace(0, 1, self.bins + 1)))
            self.edges.append(cuts if self.bins and len(cuts) > 2 else None)

    def _shaped(self, filled):
        parts = [filled[:, :0]]
        for values, edges in zip(filled.T, self.edges, strict=True):
            if edges is None:
                parts.append(values[:, None])
            else:
                ramps = (values[:, None] - edges[:-1]) / np.diff(edges)
                parts.append(np.clip(ramps, 0.0, 1.0))  # flat outside of what was seen
        return np.hstack(parts)

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
