"""One door for tables: found, read as text, typed by us, and handed on as typed Parquet.

`find` finds the file, `door` opens it (CSV, Parquet, JSON Lines), `profile` types its columns from
a sample and counts in one streaming pass, `infer` turns words and profile into a TaskSpec, `wire`
casts the table to typed Parquet, `predict_input` reads new data with the training schema.

Guarantees: every cell is read as the text that stands in the file; no cell and no column name ever
becomes code or part of a SQL text; what was guessed is said in `DataRef.notes`; bad input is a
BadInput. Does not: refuse tasks or choose agents (the orchestrator), split rows (the referee),
clean values (the candidate).
"""
