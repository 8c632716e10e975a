"""The service itself: one request to the Messages API through the anthropic SDK, streamed.

Guarantees: one attempt, no retry of the SDK's own (the gateway's are metered); the exact body is
handed out before it leaves, and only then; an answer counts only when its stream came to its end;
each way that it can go wrong is one of three errors, whose sentence holds no key, and only what
left can be `Dropped`. Does not meter, wait or log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from mlagent.contracts.errors import BadInput, Interrupted, PrerequisiteMissing
from mlagent.contracts.usage import Tokens

from .access import ADDRESS, KEY, read_access
from .in_flight import InFlight

if TYPE_CHECKING:
    import anthropic

VENDOR = "https://api.anthropic.com"
CONNECT_S, SILENCE_S = 10.0, 120.0
"""A stream that says nothing for so long has stalled; the API pings more often."""
MOST_RETRY_AFTER_S = 3_600.0


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
    """The request left and no whole answer came. It may be billed."""

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
        """One attempt. Raises NotTaken, Busy, Dropped, Interrupted.

        Args:
            on_body: told the body just before it leaves. Not called: nothing left.
        """
        ...

    def count(self, request: dict[str, Any], stop: Callable[[], bool]) -> int | None:
        """Tokens of the prompt; None when the service does not say. Raises Interrupted."""
        ...


def require_key(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The secrets of the environment, once a request could be sent with them.

    Raises:
        PrerequisiteMissing: there is no key.
        BadInput: the key or the address of the service cannot be used.
    """
    return read_access(environment).secrets


class NobodyAsked:
    """In the place of the service, for a run that is finished with the answers that it has."""

    def send(self, *_: Any) -> Answer:
        """Raises NotTaken."""
        raise NotTaken("Nobody is asked any more: --author template.")

    def count(self, *_: Any) -> int | None:
        """Nobody knows."""
        return None

    def close(self) -> None:
        """Nothing is open."""


class AnthropicService:
    """The Messages API, at ANTHROPIC_BASE_URL or the vendor's address.

    Raises:
        PrerequisiteMissing: no key in the environment, or no SDK.
        BadInput: the key, the address or a proxy of the environment cannot be used.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        access = read_access(environment)
        self._secrets = access.secrets
        try:
            import anthropic
            import httpx2
        except ImportError as problem:
            raise PrerequisiteMissing(
                f"The anthropic SDK cannot be imported: {problem}.",
                remedy="pip install 'anthropic>=2'",
            ) from None
        self._here = threading.local()
        try:
            client = anthropic.DefaultHttpxClient(
                event_hooks={"request": [self._leaves]},
                # A connection for each call: one that was left open while candidates were scored
                # may be dead, and a request that left on it would be booked.
                limits=httpx2.Limits(max_keepalive_connections=0),
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as problem:
            raise BadInput(
                f"The proxy of the environment cannot be used: {self._clean(str(problem))[:200]}",
                remedy="Look at HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
            ) from None
        self._client = anthropic.Anthropic(
            api_key=access.key,
            auth_token=None if access.key else access.token,
            base_url=access.address or VENDOR,
            max_retries=0,
            timeout=httpx2.Timeout(SILENCE_S, connect=CONNECT_S),
            http_client=client,
        )

    def _leaves(self, request: Any) -> None:
        """A hook of the HTTP client: follow the request of this thread."""
        flight: InFlight | None = getattr(self._here, "flight", None)
        if flight is not None:
            flight.board(request)

    def send(
        self,
        request: dict[str, Any],
        on_body: Callable[[bytes], None],
        on_text: Callable[[int], None],
        stop: Callable[[], bool],
    ) -> Answer:
        """See the port. A Ctrl-C does not wait for a stream that says nothing."""
        flight = InFlight(on_body, on_text, stop)
        return flight.wait(partial(self._read, flight, request))

    def _read(self, flight: InFlight, request: dict[str, Any]) -> Answer:
        self._here.flight = flight
        with self._sentences(flight), self._client.messages.stream(**request) as stream:
            characters = 0
            for event in stream:
                flight.begun = True
                if flight.stopped():
                    raise Interrupted("Stopped in the middle of an answer.")
                if event.type == "content_block_delta":
                    characters += len(_delta(event))
                    flight.text(characters)
            message = stream.get_final_message()
        if message.stop_reason is None:
            raise Dropped("the answer broke off before its end.")
        return Answer(
            tuple(_block(block) for block in message.content),
            str(message.stop_reason),
            tokens_of(message.usage),
            str(message.model),
        )

    def count(self, request: dict[str, Any], stop: Callable[[], bool]) -> int | None:
        """See the port. Counting is free."""
        asked = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
        known = {key: request[key] for key in asked if key in request}
        flight = InFlight(None, lambda _: None, stop)
        try:
            return flight.wait(partial(self._count, flight, known))
        except (NotTaken, Busy, Dropped):
            return None

    def _count(self, flight: InFlight, known: dict[str, Any]) -> int:
        self._here.flight = flight
        with self._sentences(flight):
            return int(self._client.messages.count_tokens(**known).input_tokens)

    def close(self) -> None:
        """Leave."""
        self._client.close()

    @contextmanager
    def _sentences(self, flight: InFlight) -> Iterator[None]:
        """What the SDK raises, as one of the three errors."""
        import anthropic
        import httpx2

        try:
            yield
        except anthropic.APIStatusError as problem:
            raise self._of_status(problem, flight.begun) from None
        except (anthropic.APIConnectionError, httpx2.HTTPError) as problem:
            raise self._of_connection(problem, flight) from None
        except anthropic.AnthropicError as problem:
            raise NotTaken(self._clean(f"The SDK refused the request: {problem}.")) from None
        except ValueError as problem:  # a line of the stream that is no JSON
            words = self._clean(str(problem))[:200]
            if not flight.left:
                raise NotTaken(f"The request could not be made: {words}.") from None
            raise Dropped(f"the answer cannot be read ({words}).") from None

    def _of_connection(self, problem: Exception, flight: InFlight) -> Exception:
        """A connection that failed: what left may be billed, and nothing else."""
        import httpx2

        if flight.problem is not None:  # our own, such as a full disk
            return flight.problem
        cause = problem.__cause__ or problem
        words = self._clean(str(cause) or type(cause).__name__)[:200].rstrip(".")
        if flight.left:
            when = "in the middle of an answer" if flight.begun else "before the answer began"
            return Dropped(f"the connection broke {when} ({words}).")
        if isinstance(cause, httpx2.LocalProtocolError | UnicodeError):
            return NotTaken(  # without the header's words, which may be a secret
                "The request cannot be sent: a header of it holds what no header may.",
                f"Look at {KEY} and ANTHROPIC_CUSTOM_HEADERS.",
            )
        if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.InvalidURL | ValueError):
            return NotTaken(f"The request cannot be sent: {words}.", f"Look at {ADDRESS}.")
        return Busy(f"the service cannot be reached ({words}).")

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
