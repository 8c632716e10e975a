def loss(target, prediction):
    """The metric as a loss (lower is better); label metrics are replaced by the log loss.

    `prediction` has shape (n,) for regression, else (n, present classes).
    """
    y, metric = target.y, target.metric
    if target.task == "regression":
        if metric == "pinball":
            error = y - prediction
            return float(np.mean(np.maximum(target.quantile * error, (target.quantile - 1) * error)))
        if metric == "mae":
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
