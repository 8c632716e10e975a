def choose_weights(predictions, target, samples=1, seed=0, steps=30):
    """Greedy ensemble selection (Caruana 2004): add, with replacement, what lowers the loss most.

    `predictions`: held-out arrays, one per member. With `samples` > 1 the choice is averaged
    over bootstrap samples of rows, so that a few lucky rows do not decide. Returns weights that sum
    to 1.
    """
    count, rows = len(predictions), len(target.y)
    if count == 1:
        return np.ones(1)
    rng = np.random.default_rng(seed)
    everything = np.arange(rows) if rows <= 20_000 else rng.choice(rows, 20_000, replace=False)
    chances = [everything] + [rng.integers(0, rows, rows) for _ in range(samples - 1)]
    weights = np.zeros(count)
    for sample in chances:
        part = target.take(sample)
        arrays = [array[sample] for array in predictions]
        total, best_loss, best, fruitless = 0.0, math.inf, None, 0
        chosen = np.zeros(count)
        for step in range(1, steps + 1):
            losses = [selection_loss(part, (total + array) / step) for array in arrays]
            pick = int(np.argmin(losses))
            total = total + arrays[pick]
            chosen[pick] += 1
            if losses[pick] < best_loss - 1e-9:
                best_loss, best, fruitless = losses[pick], chosen / step, 0
            else:
                fruitless += 1
            if fruitless >= 6:
                break
        if best is None:
            raise ValueError("no held-out row gives a loss by which members could be weighed")
        weights += best
    weights /= weights.sum()
    weights[weights < 0.02] = 0.0
    return weights / weights.sum()


def selection_loss(target, prediction):
    """The metric, with a little log loss so that ties are broken by better probabilities."""
    value = loss(target, prediction)
    if target.task != "regression" and target.metric != "log_loss":
        value += 0.05 * log_loss(target.y, prediction)
    return value
