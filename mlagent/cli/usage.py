"""The usage line of a command whose arguments have names of their own."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand


class PlainUsage(TyperCommand):
    """'[RUN] FILE' instead of '{[RUN] FILE} [second]': no braces, no hidden argument."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces = [self.options_metavar] if self.options_metavar else []
        for param in self.get_params(ctx):
            if not getattr(param, "hidden", False):
                pieces += param.get_usage_pieces(ctx)
        return [re.sub(r"^\{(.*)\}", r"\1", piece) for piece in pieces]
