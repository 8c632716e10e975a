"""Split: the one door to seal, folds and checks (rules 1 to 5).

`seal.py` draws the vault, `folds.py` the folds inside dev, `units.py` says which rows stay
together; this module only gathers their names for other rooms.
"""

from __future__ import annotations

from .folds import fold_count, make_folds
from .seal import check_split, dev_rows, draw_seal, seal_from_test_file, seal_id
from .units import RowFacts

__all__ = [
    "RowFacts",
    "check_split",
    "dev_rows",
    "draw_seal",
    "fold_count",
    "make_folds",
    "seal_from_test_file",
    "seal_id",
]
