def rows_to_read(train, reader, seconds):
    """How many rows to sample so that reading them takes about `seconds`; all, if there are few.

    A pilot of 2,000 and then of 10,000 rows shows how fast this machine reads this table.
    """
    rows = len(train)
    for pilot in (2_000, 10_000):
        if len(train) <= 5 * pilot:
            break
        started = time.monotonic()
        copy.copy(reader).fit(train.iloc[:: len(train) // pilot])
        per_row = (time.monotonic() - started) / pilot
        rows = int(min(len(train), max(pilot, seconds / per_row)))
        if rows < 5 * pilot:
            break
    return rows
