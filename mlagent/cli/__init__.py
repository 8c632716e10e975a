"""Floor 6: parse, call, print. The only place where an error becomes an exit code."""
