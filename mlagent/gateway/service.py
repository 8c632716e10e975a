"""The service itself: one request to the Messages API through the anthropic SDK, streamed.

Guarantees: one attempt, no retry of the SDK's own (the gateway's are metered); the exact body is
handed out before it leaves; an answer counts only when its stream came to its end; each way that it
can go wrong is one of three errors, whose sentence holds no key. Does not meter, wait or log.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mlagent.contracts.errors import Interrupted, PrerequisiteMissing
from mlagent.contracts.usage import Tokens

if TYPE_CHECKING:
    import anthropic

KEY, TOKEN = "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"
CONNECT_S, SILENCE_S = 10.0, 120.0
"""A stream that says nothing for so long has stalled; the API pings more often."""
MOST_RETRY_AFTER_S = 3_600.0
NOTICED_S = 0.2
"""Within so many seconds a stop is noticed, also while a stream says nothing."""


class NotTaken(Exception):
    """The service refused the request and would refuse it again. Nothing is billed."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


class Busy(Exception):
    """The service gave up before an answer began; another attempt may do. Nothing is billed."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message, self.retry_after_s = message, retry_after_s


class Dropped(Exception):
    """An answer began and did not come to its end. It may be billed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    content: tuple[dict[str, Any], ...]
    stop_reason: str
    tokens: Tokens
    model: str

    def as_json(self) -> dict[str, Any]:
        """For answer.json."""
        return {
            "content": list(self.content),
            "stop_reason": self.stop_reason,
            "tokens": self.tokens.model_dump(mode="json"),
            "model": self.model,
        }

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Answer:
        """From answer.json."""
        tokens = Tokens.model_validate(saved["tokens"])
        return cls(tuple(saved["content"]), saved["stop_reason"], tokens, saved["model"])


class Service(Protocol):
    """What the gateway needs of a language model's API."""

    def send(
        self,
        request: dict[str, Any],
        on_body: Callable[[bytes], None],
        on_text: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> Answer:
        """One attempt. Raises NotTaken, Busy, Dropped, Interrupted."""
        ...

    def count(self, request: dict[str, Any]) -> int | None:
        """Tokens of the prompt; None when the service does not say."""
        ...


def require_key(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The secrets of the environment. Raises PrerequisiteMissing when there is none."""
    found = os.environ if environment is None else environment
    secrets = tuple(found[name] for name in (KEY, TOKEN) if found.get(name, "").strip())
    if not secrets:
        raise PrerequisiteMissing(
            f"There is no key for Claude: {KEY} is empty.",
            remedy=f"Set {KEY} in the environment, or use --author template.",
        )
    return secrets


class AnthropicService:
    """The Messages API, at ANTHROPIC_BASE_URL or the vendor's address.

    Raises:
        PrerequisiteMissing: no key in the environment, or no SDK.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        self._secrets = require_key(found)
        try:
            import anthropic
            import httpx2
        except ImportError as problem:
            raise PrerequisiteMissing(
                f"The anthropic SDK cannot be imported: {problem}.",
                remedy="pip install 'anthropic>=2'",
            ) from None
        self._here = threading.local()
        self._client = anthropic.Anthropic(
            api_key=found.get(KEY) or None,
            auth_token=None if found.get(KEY) else found.get(TOKEN) or None,
            base_url=found.get("ANTHROPIC_BASE_URL") or None,
            max_retries=0,
            timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
            http_client=anthropic.DefaultHttpxClient(event_hooks={"request": [self._leaves]}),
        )

    def _leaves(self, request: Any) -> None:
        """Hand out the body of a message's request, as it goes to the wire."""
        told = getattr(self._here, "on_body", None)
        if told is not None and request.url.path.endswith("/messages"):
            told(request.read())

    def send(
        self,
        request: dict[str, Any],
        on_body: Callable[[bytes], None],
        on_text: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> Answer:
        """See the port. The stream is read by a thread of its own: a model that thinks may say
        nothing for a minute, and a Ctrl-C is not to wait for that."""
        came: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()

        def read() -> None:
            try:
                came.put(self._read(request, on_body, on_text, stop))
            except BaseException as problem:  # handed to the one who waits
                came.put(problem)

        threading.Thread(target=read, daemon=True).start()
        while True:
            try:
                found = came.get(timeout=NOTICED_S)
            except queue.Empty:
                if stop():
                    raise Interrupted("Stopped in the middle of an answer.") from None
                continue
            if isinstance(found, Answer):
                return found
            raise found

    def _read(
        self,
        request: dict[str, Any],
        on_body: Callable[[bytes], None],
        on_text: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> Answer:
        begun = False
        self._here.on_body = on_body
        with self._sentences(lambda: begun), self._client.messages.stream(**request) as stream:
            characters = 0
            for event in stream:
                begun = True
                if stop():
                    raise Interrupted("Stopped in the middle of an answer.")
                if event.type == "content_block_delta":
                    characters += len(_delta(event))
                    on_text(characters)
            message = stream.get_final_message()
        if message.stop_reason is None:
            raise Dropped("the answer broke off before its end.")
        return Answer(
            tuple(_block(block) for block in message.content),
            str(message.stop_reason),
            tokens_of(message.usage),
            str(message.model),
        )

    def count(self, request: dict[str, Any]) -> int | None:
        """See the port. Counting is free."""
        asked = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
        known = {key: request[key] for key in asked if key in request}
        try:
            with self._sentences(lambda: False):
                return int(self._client.messages.count_tokens(**known).input_tokens)
        except (NotTaken, Busy, Dropped):
            return None

    def close(self) -> None:
        """Leave."""
        self._client.close()

    @contextmanager
    def _sentences(self, begun: Callable[[], bool]) -> Iterator[None]:
        """What the SDK raises, as one of the three errors."""
        import anthropic
        import httpx2

        try:
            yield
        except anthropic.APIStatusError as problem:
            raise self._of_status(problem, begun()) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as problem:
            words = self._clean(str(problem) or type(problem).__name__)
            cause = problem.__cause__ or problem
            if not begun() and isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise Busy(f"the service cannot be reached ({words}).") from None
            when = "in the middle of an answer" if begun() else "before the answer began"
            raise Dropped(f"the connection broke {when} ({words}).") from None
        except anthropic.AnthropicError as problem:
            raise NotTaken(self._clean(f"The SDK refused the request: {problem}.")) from None
        except ValueError as problem:  # a line of the stream that is no JSON
            words = self._clean(str(problem))[:200]
            raise Dropped(f"the answer cannot be read ({words}).") from None

    def _of_status(self, problem: anthropic.APIStatusError, begun: bool) -> Exception:
        kind, status = str(problem.type or ""), problem.status_code
        words = self._clean(str(problem.api_message or problem.message))[:300].rstrip(".")
        if begun:
            return Dropped(f"the service ended its answer with {kind or 'an error'}: {words}.")
        if status in (408, 409, 429) or status >= 500 or kind in ("overloaded_error", "api_error"):
            wait = problem.response.headers.get("retry-after")
            return Busy(
                f"the service answers {status} ({kind or 'no kind'}): {words}.", seconds(wait)
            )
        remedies = {
            401: f"Look at {KEY}.",
            403: "The key may not use this model or this service.",
            404: "Look at `models` in mlagent.yaml.",
            413: "The request is too large; ask for fewer columns or options.",
        }
        if "credit" in words.lower() or kind == "billing_error":
            remedies[status] = "The account of the key has no credit left."
        return NotTaken(
            f"The language model's service refused the request ({status} {kind}): {words}.",
            remedies.get(status, ""),
        )

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[key]")
        return " ".join(text.split())


def _block(block: Any) -> dict[str, Any]:
    """A block as JSON that can be written: a model may answer with half of a surrogate pair."""
    plain: dict[str, Any] = _encodable(block.to_dict(mode="python", warnings=False))
    return plain


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_encodable(part) for part in value]
    if isinstance(value, dict):
        kept = {str(name): part for name, part in value.items() if part is not None}
        return {_encodable(name): _encodable(part) for name, part in kept.items()}
    return value


def _delta(event: Any) -> str:
    delta = event.delta
    return str(getattr(delta, "text", "") or getattr(delta, "partial_json", "") or "")


def tokens_of(usage: Any) -> Tokens:
    """The SDK's Usage as ours."""
    return Tokens(
        input=usage.input_tokens,
        cache_write=usage.cache_creation_input_tokens or 0,
        cache_read=usage.cache_read_input_tokens or 0,
        output=usage.output_tokens,
    )


def seconds(retry_after: str | None) -> float | None:
    """The header `retry-after` in seconds; None for a date or anything else."""
    if retry_after is None:
        return None
    try:
        found = float(retry_after)
    except ValueError:
        return None
    return min(found, MOST_RETRY_AFTER_S) if found >= 0 else None
