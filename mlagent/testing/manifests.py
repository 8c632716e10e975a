"""A manifest of a small finished run, for tests of what reads one. No run stands behind it."""

from __future__ import annotations

from typing import Any

from mlagent.contracts.run import Manifest

FINISHED: dict[str, Any] = {
    "run": "20260301-120000-01",
    "kind": "execute",
    "created": "2026-03-01T12:00:00+00:00",
    "finished": "2026-03-01T12:01:00+00:00",
    "wall_s": 60.0,
    "budget_s": 60.0,
    "mlagent": "0",
    "task": "churn model",
    "data_sha256": "0" * 64,
    "seal": "0" * 16,
    "opening": 1,
    "tier": "T0",
    "model_name": "linear",
    "model_sha256": None,
    "verdict": "",
    "journal_head": "0" * 64,
    "journal_events": 1,
}


def small_manifest(**changes: Any) -> Manifest:
    """The manifest, with these fields changed. Raises pydantic's error for a field that is none."""
    return Manifest(**(FINISHED | changes))
