"""What a run leaves behind besides its scores: journal, environment, seal, ledger, manifest."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .base import Record, Sha256


class JournalEvent(Record):
    """One line of journal.jsonl. `hash` is of the line without it, `previous` the hash before."""

    n: int
    at: str = Field(description="ISO 8601, UTC")
    elapsed_s: float
    kind: str = Field(pattern=r"^[a-z]+(\.[a-z_]+)*$")
    facts: dict[str, Any] = {}
    previous: str
    hash: str


class Environment(Record):
    schema_: Literal["mlagent/environment/v1"] = Field("mlagent/environment/v1", alias="schema")
    mlagent: str
    python: str
    platform: str
    tier: str
    image: str | None = Field(None, description="sha256 id of the image; None below T3")
    engine: str | None = None
    packages: dict[str, str] = Field(description="versions inside the sandbox")
    host_packages: dict[str, str] = {}
    seed: int = 0
    threads: int = 1
    git_commit: str | None = None
    git_dirty: bool | None = None


class Seal(Record):
    """Which rows are dev and which are vault. Belongs to (data, split option, seed), not to a run.

    `vault_rows` are positions among the rows that have a target; `vault_hashes` (16 hex digits per
    row) let a grown table keep its vault rows.
    """

    schema_: Literal["mlagent/seal/v1"] = Field("mlagent/seal/v1", alias="schema")
    id: str
    data_sha256: Sha256
    kind: Literal["stratified", "random", "group", "time"]
    group: str | None = None
    time: str | None = None
    share: float
    seed: int
    dev_rows: int
    vault_rows: tuple[int, ...]
    vault_hashes: tuple[str, ...]
    grouped_duplicates: bool
    notes: tuple[str, ...] = ()
    openings: int = 0


class LedgerEntry(Record):
    """One clause of one contract."""

    agent: str
    clause: str
    enforced_by: str
    outcome: Literal["pass", "fail", "not enforced", "advisory", "not applicable"]
    evidence: str


class Ledger(Record):
    schema_: Literal["mlagent/ledger/v1"] = Field("mlagent/ledger/v1", alias="schema")
    tier: str
    entries: tuple[LedgerEntry, ...]


class Manifest(Record):
    """Written last, by rename: a run folder without it is unfinished."""

    schema_: Literal["mlagent/manifest/v1"] = Field("mlagent/manifest/v1", alias="schema")
    run: str
    kind: Literal["execute", "try"]
    created: str
    finished: str
    wall_s: float
    budget_s: float
    mlagent: str
    task: str
    data_sha256: Sha256
    seal: str
    opening: int
    tier: str
    model_name: str | None
    model_sha256: Sha256 | None
    verdict: str
    journal_head: str
    journal_events: int
    content: dict[str, str] = Field({}, description="sha256 of each content file that was used")
    files: dict[str, str] = Field({}, description="sha256 of each file in the run folder")
