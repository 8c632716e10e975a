def may_take_logarithm(target):
    """True for a regression target without negatives and with a long right tail."""
    y = target.y
    if target.task != "regression" or y.min() < 0:
        return False
    centred = y - y.mean()
    return bool(np.mean(centred**3) > 0.7 * np.mean(centred**2) ** 1.5)
