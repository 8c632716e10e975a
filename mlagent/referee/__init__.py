"""Floor 3: the referee. It owns the split, the metrics and the words of the verdict.

It works on numpy arrays that are handed in: no tables are read, no sandbox is started, no text of a
candidate is believed. Importing this package imports nothing else.
"""
