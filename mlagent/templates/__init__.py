"""Renders shipped templates: candidates, reports, cards. Jinja is imported only here."""
