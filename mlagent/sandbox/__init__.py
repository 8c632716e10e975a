"""Runs candidate code where it can do no harm. `choose.py` picks the tier; importing this imports
nothing.
"""
