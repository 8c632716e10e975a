def inner_folds(split, frame, target, folds, seed):
    """Lists of (training rows, validation rows) that respect how rows depend on each other.

    group: all rows of one group are on the same side. time: the last fifth is validated on what
    came before (one pair). stratified: each class is spread evenly. `folds=1` gives one pair with a
    fifth held out.
    """
    rows = len(target.y)
    rng = np.random.default_rng(seed)
    kind = split.get("kind", "random")
    if kind == "time" and split.get("time") in frame:
        moments = pd.to_datetime(frame[split["time"]], errors="coerce")
        if moments.isna().all():
            moments = pd.to_numeric(frame[split["time"]], errors="coerce")
        order = np.argsort(moments.rank(method="min").fillna(0).to_numpy(), kind="stable")
        cut = max(1, int(rows * 0.8))
        return [(np.sort(order[:cut]), np.sort(order[cut:]))]
    pieces = max(folds, 5) if folds == 1 else folds
    if kind == "group" and split.get("group") in frame:
        names = frame[split["group"]].astype(object)
        codes = pd.factorize(names.where(names.notna(), "missing").map(str))[0]
        sizes = np.bincount(codes)
        shuffled = rng.permutation(len(sizes))
        piece_of_group = np.zeros(len(sizes), dtype=np.int64)
        load = np.zeros(pieces)
        for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
            piece_of_group[group] = np.argmin(load)
            load[piece_of_group[group]] += sizes[group]
        piece = piece_of_group[codes]
    else:
        order = rng.permutation(rows)
        if target.task == "regression":
            keys = target.y[order] if rows < 5000 else np.zeros(rows)
        else:
            keys = target.y[order]
        order = order[np.argsort(keys, kind="stable")]
        piece = np.empty(rows, dtype=np.int64)
        piece[order] = np.arange(rows) % pieces
    pairs = [(np.flatnonzero(piece != p), np.flatnonzero(piece == p)) for p in range(pieces)]
    pairs = [(inside, outside) for inside, outside in pairs if len(inside) and len(outside)]
    return pairs[:1] if folds == 1 else pairs
