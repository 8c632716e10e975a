"""A recorded conversation, played again: calls/ of a run or plan is the cassette.

Guarantees: a request gets the answer that the same request got when it was recorded, the k-th time
the k-th; what was never asked is an error of the service that says so. Requests are the same when
they differ in numbers only, for estimates and scores are another machine's, and in what was
thought, for thoughts are signed for the conversation in which they were. No key is in a cassette,
for none is recorded. Does not record: every run with `--author claude` or `both` does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mlagent.agents.tool_loop import THOUGHT
from mlagent.gateway.call_log import ANSWER, REQUEST, canonical

from .messages_api import Fails, Says, Script, Scripted


def played(folder: Path) -> Script:
    """A script for `messages_api` from a folder of calls.

    Raises:
        ValueError: no call in it was answered.
    """
    answers: dict[bytes, list[dict[str, Any]]] = {}
    for place in sorted(folder.rglob(ANSWER)):
        request = json.loads((place.parent / REQUEST).read_bytes())
        answers.setdefault(_key(request), []).append(json.loads(place.read_bytes()))
    if not answers:
        raise ValueError(f"{str(folder)!r} holds no call that was answered")

    def script(body: dict[str, Any]) -> Scripted:
        waiting = answers.get(_key(body), [])
        if not waiting:
            return Fails(400, "invalid_request_error", "the cassette does not hold this request")
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return Says(answer["content"], answer["stop_reason"])

    return script


def _key(request: dict[str, Any]) -> bytes:
    plain = canonical({**request, "messages": [_unthought(one) for one in request["messages"]]})
    unmarked = re.sub(rb"mark=[0-9a-f]+", b"mark=#", plain)  # made from the numbers
    return re.sub(rb"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", b"#", unmarked)


def _unthought(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return message
    return {**message, "content": [part for part in content if part["type"] not in THOUGHT]}
