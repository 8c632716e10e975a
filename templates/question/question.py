"""Runs the analysis that a language model wrote, inside the sandbox: question_code.py beside this file.

    python question.py IN OUT      IN: dev.parquet, question_code.py

Guarantees: the code gets a DataFrame of dev rows, and what it printed or returned goes to stdout.
Does not judge or hide any of it: the host caps and masks what was printed.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path, out: Path) -> None:
    """Read the rows, call `analyse(table)`, print what it returns."""
    import duckdb
    import question_code

    table = duckdb.read_parquet(str(folder / "dev.parquet")).df()
    answer = question_code.analyse(table)
    if answer is not None:
        print(answer)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    main(Path(sys.argv[1]), Path(sys.argv[2]))
