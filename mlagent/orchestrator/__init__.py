"""Floor 5: routing, planning, review, execution; `wiring.py` builds everything."""
