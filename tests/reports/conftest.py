"""A report written from small records."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_records import render

from mlagent.reports.report import ReportData, render_report


@pytest.fixture
def write(tmp_path: Path) -> Callable[[ReportData], str]:
    def report(data: ReportData) -> str:
        render_report(render, data, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return report
