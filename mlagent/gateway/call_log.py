"""calls/ of a run folder: the exact bytes of every request, and the answer to it.

One folder for each call: `request.json` (as it was sent, written before it is), `answer.json` and
`call.json` (what it cost, written last); `results.json` holds what the tools gave that the answer
called; `counts/` holds prompts that left to be counted. Guarantees: a request that has an answer
here is not paid twice: the same request for the same turn gets that answer; a request without one
was cut in flight and is booked as possibly billed. No header is kept, so no key is. Does not decide
what is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from mlagent.contracts.errors import MlagentError
from mlagent.contracts.usage import Bill, Call, Spent, Tokens
from mlagent.documents import load_json
from mlagent.store.files import write_json

CALLS, PLAN_CALLS = "calls", "plans/calls"
"""Of a run folder; of a project, a folder for each plan."""
REQUEST, ANSWER, CALL = "request.json", "answer.json", "call.json"
RESULTS = "results.json"
COUNTS = "counts"
"""Beside the calls: prompts of which only the tokens were asked for, which is free."""


@dataclass(frozen=True)
class Begun:
    """A call that was begun, by this process or an earlier one."""

    n: int
    agent: str
    purpose: str
    model: str
    request_sha256: str
    bound_tokens: int
    bound_usd: float


class CallLog:
    """The calls of one run, in the order in which they began.

    Args:
        folder: `calls/` of the run; made at the first call.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()
        self._served: dict[str, int] = {}
        self._calls: dict[int, Call] = {}
        self._answers: dict[str, list[int]] = {}
        self.cut: list[Begun] = []
        self._next = 0
        for place in sorted(folder.glob("[0-9]*")) if folder.is_dir() else ():
            self._recall(place)

    def _recall(self, place: Path) -> None:
        n = int(place.name)
        self._next = max(self._next, n + 1)
        if (place / CALL).is_file():
            call = Call.model_validate(_read(place / CALL))
            self._calls[n] = call
            if call.outcome == "answered":
                self._answers.setdefault(call.request_sha256, []).append(n)
        elif (place / "begun.json").is_file():
            self.cut.append(Begun(**_read(place / "begun.json")))

    def known(self, request_sha256: str) -> tuple[dict[str, Any], Call] | None:
        """The answer to this request, when an earlier process got one that this one has not used.

        The k-th time that a request is made gets the k-th answer to it.
        """
        with self._lock:
            turn = self._served.get(request_sha256, 0)
            answers = self._answers.get(request_sha256, [])
            if turn >= len(answers):
                return None
            self._served[request_sha256] = turn + 1
            n = answers[turn]
        return _read(self.folder / f"{n:04d}" / ANSWER), self._calls[n]

    def begin(
        self,
        agent: str,
        purpose: str,
        model: str,
        request_sha256: str,
        bound_tokens: int,
        bound_usd: float,
    ) -> Begun:
        """Note on disk that a call is about to be sent."""
        with self._lock:
            n, self._next = self._next, self._next + 1
        begun = Begun(n, agent, purpose, model, request_sha256, bound_tokens, bound_usd)
        place = self._place(n)
        place.mkdir(parents=True)
        write_json(place / "begun.json", vars(begun))
        return begun

    def sent(self, begun: Begun, body: bytes) -> None:
        """The exact bytes of the body, before they leave."""
        (self._place(begun.n) / REQUEST).write_bytes(body)

    def counted(self, body: bytes) -> None:
        """The exact bytes of a question for the tokens of a prompt, before they leave."""
        folder = self.folder / COUNTS
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            n = sum(1 for _ in folder.glob("[0-9]*.json"))
            (folder / f"{n:04d}.json").write_bytes(body)

    def has_left(self, begun: Begun) -> bool:
        """Its body left this machine, or was about to."""
        return (self._place(begun.n) / REQUEST).exists()

    def answer_to(self, begun: Begun) -> dict[str, Any] | None:
        """The answer of a call that was cut right after it came; None where none is whole."""
        file = self._place(begun.n) / ANSWER
        try:
            return _read(file) if file.is_file() else None
        except (MlagentError, ValueError):
            return None

    def end(self, call: Call, answer: dict[str, Any] | None, *, used: bool = True) -> None:
        """What came of it. The answer is on disk before the call counts as answered.

        Args:
            used: this process made the request.
        """
        place = self._place(call.n)
        if answer is not None and used:
            write_json(place / ANSWER, answer)
        write_json(place / CALL, call.model_dump(mode="json"))
        with self._lock:
            self._calls[call.n] = call
            if call.outcome == "answered":
                self._answers.setdefault(call.request_sha256, []).append(call.n)
                served = self._served.get(call.request_sha256, 0)
                self._served[call.request_sha256] = served + used

    def results(self, n: int) -> list[dict[str, Any]] | None:
        """What the tools gave that the answer to call `n` called; None when none was kept."""
        file = self._place(n) / RESULTS
        return list(_read(file)["results"]) if file.is_file() else None

    def keep_results(self, n: int, results: list[dict[str, Any]]) -> None:
        """Keep them, so that a resumed run goes on with the same ones."""
        write_json(self._place(n) / RESULTS, {"results": results})

    def calls(self) -> tuple[Call, ...]:
        """Every call that has ended, in order."""
        with self._lock:
            return tuple(self._calls[n] for n in sorted(self._calls))

    def bill(self, prices: str) -> Bill:
        """The sum of it all."""
        calls = self.calls()
        by_agent: dict[str, Spent] = {}
        by_model: dict[str, Spent] = {}
        total = possibly = Spent()
        for call in filter(lambda call: call.sent, calls):
            total = _plus(total, call)
            by_agent[call.agent] = _plus(by_agent.get(call.agent, Spent()), call)
            by_model[call.model] = _plus(by_model.get(call.model, Spent()), call)
            if call.outcome == "possibly billed":
                possibly = _plus(possibly, call)
        return Bill(
            prices=prices,
            total=total,
            possibly=possibly,
            by_agent=by_agent,
            by_model=by_model,
            calls=calls,
        )

    def _place(self, n: int) -> Path:
        return self.folder / f"{n:04d}"


def _plus(sum_: Spent, call: Call) -> Spent:
    return Spent(calls=sum_.calls + 1, tokens=sum_.tokens + call.tokens, usd=sum_.usd + call.usd)


def _read(path: Path) -> dict[str, Any]:
    return dict(load_json(path.read_text(encoding="utf-8"), str(path)))


def canonical(request: dict[str, Any]) -> bytes:
    """A request as bytes that do not depend on the order of its keys."""
    return json.dumps(request, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def bound_of(tokens: int) -> Tokens:
    """Tokens of a call that may have been billed at its bound."""
    return Tokens(input=tokens)
