"""mlagent.yaml: the user's defaults for a folder. Read once, on the way in; flags win over it.

Hardening (network, capabilities, seccomp, user) is not a setting and has no key here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from mlagent.contracts.base import Finite, Record
from mlagent.contracts.contract import AGENT_MEASURES, RUN_MEASURES, QualityGate
from mlagent.contracts.errors import BadInput
from mlagent.contracts.metrics import METRICS
from mlagent.contracts.prices import ModelPrice
from mlagent.documents import read_record

FILE = "mlagent.yaml"


def _measured(gate: QualityGate) -> QualityGate:
    """Refuses a gate on a number that no run has: it could never pass."""
    known = (*RUN_MEASURES, *AGENT_MEASURES, *METRICS)
    if gate.metric not in known:
        raise ValueError(
            f"{gate.metric!r} is not measured{_meant(gate.metric, known)}; allowed values: "
            f"{', '.join(known)}"
        )
    return gate


def _meant(word: str, known: Iterable[str]) -> str:
    meant = difflib.get_close_matches(word.lower(), known, n=1)
    return f" (did you mean {meant[0]!r}?)" if meant else ""


class SandboxSettings(Record):
    """What the sandbox may use on this machine."""

    memory_mb: int | None = Field(None, ge=256, description="default: 60 % of what is free")
    cpus: int | None = Field(None, ge=1, description="default: all")
    base_image: str | None = Field(None, description="for `mlagent sandbox build`")


class Settings(Record):
    """mlagent.yaml.

    `cost[truth][predicted]` is the price of that decision, for the metric `cost`; absent pairs cost
    0. `quantile` is for the metric `pinball`. `gates` are absolute quality gates, checked beside
    the relative ones of the contracts.
    """

    schema_: str = Field("mlagent/settings/v1", alias="schema", pattern=r"^mlagent/settings/v1$")
    data: str | None = None
    target: str | None = None
    metric: str | None = None
    positive: str | None = None
    id: tuple[str, ...] = ()
    group: str | None = None
    time: str | None = None
    exclude: tuple[str, ...] = ()
    budget: str | None = Field(None, description="such as 5m; a number: seconds")
    cost: dict[str, dict[str, Finite]] = {}
    quantile: float = Field(0.5, gt=0, lt=1)
    gates: tuple[Annotated[QualityGate, AfterValidator(_measured)], ...] = ()
    models: dict[Literal["fast", "balanced", "deep"], str] = Field(
        {}, description="model_tier of a contract -> id of a model"
    )
    prices: dict[str, ModelPrice] = Field(
        {}, description="model -> US dollars for a million tokens"
    )
    sandbox: SandboxSettings = SandboxSettings()

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, metric: str | None) -> str | None:
        if metric is not None and metric not in METRICS:
            raise ValueError(
                f"{metric!r} is not known{_meant(metric, METRICS)}; allowed values: "
                f"{', '.join(METRICS)}"
            )
        return metric

    @field_validator("budget", mode="before")
    @classmethod
    def _a_number_is_seconds(cls, budget: object) -> object:
        plain = isinstance(budget, int | float) and not isinstance(budget, bool)
        return f"{budget}s" if plain else budget

    @field_validator("budget")
    @classmethod
    def _budget_is_a_time(cls, budget: str | None) -> str | None:
        if budget is not None:
            try:
                parse_duration(budget)
            except BadInput as problem:
                raise ValueError(str(problem)) from None
        return budget


def read_settings(folder: Path) -> Settings:
    """`mlagent.yaml` of this folder, or the defaults. Raises BadInput with file, line and field."""
    file = folder / FILE
    if not file.is_file():
        return Settings()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{FILE} cannot be read: {problem}.", remedy="Save it as UTF-8.") from None
    return read_record(Settings, text, str(file), format="yaml")


_DURATION = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(s|sec|seconds?|m|min|minutes?|h|hours?)?\s*", re.ASCII
)


def parse_duration(text: str) -> float:
    """'60s', '5m', '1.5h' or plain seconds, as seconds. Raises BadInput."""
    match = _DURATION.fullmatch(text)
    seconds = 0.0
    if match:
        factor = {"s": 1.0, "m": 60.0, "h": 3600.0}[(match[2] or "s")[0]]
        seconds = float(match[1]) * factor
    if not 1 <= seconds <= 7 * 86400:
        raise BadInput(
            f"The budget {text!r} is not a time between 1s and 7 days.",
            remedy="Write it like 60s, 5m or 1h.",
        )
    return seconds


def parse_vault(text: str) -> float | None:
    """'auto' (None), 0 or a share such as 0.2. Raises BadInput."""
    if text == "auto":
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not (share == 0 or 0.02 <= share <= 0.5):
        raise BadInput(
            f"The vault {text!r} is neither 'auto', 0 nor a share from 0.02 to 0.5.",
            remedy="Write --vault auto, --vault 0.2, or --vault 0 for an out-of-fold score only.",
        )
    return share
