"""The service itself: one request to the Messages API through the anthropic SDK, streamed.

Guarantees: one attempt, no retry of the SDK's own (the gateway's are metered); the exact body is
handed out before it leaves, and only then; an answer counts only when its stream came to its end;
each way that it can go wrong is one of three errors, whose sentence holds no key, and only what
left can be `Dropped`; nothing is sent on to another address. Does not meter, wait or log.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from mlagent.contracts.errors import BadInput, Interrupted, PrerequisiteMissing
from mlagent.sandbox.sanitize import clean as clean_text

from .access import ADDRESS, KEY, read_access
from .answers import UNFIT, Answer, NotWhole, answer_of, read_count
from .in_flight import InFlight

if TYPE_CHECKING:
    import anthropic

VENDOR = "https://api.anthropic.com"
CONNECT_S, SILENCE_S = 10.0, 120.0
"""A stream that says nothing for so long has stalled; the API pings more often."""
MOST_RETRY_AFTER_S = 3_600.0
STREAM = "text/event-stream"


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
    """The request left and no whole answer came. It may be billed.

    Attributes:
        again: another attempt may do better.
    """

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.message, self.again = message, again


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

    def count(
        self,
        request: dict[str, Any],
        on_body: Callable[[bytes], None],
        stop: Callable[[], bool],
    ) -> int | None:
        """Tokens of the prompt; None when the service does not say. Raises Interrupted.

        Args:
            on_body: as for `send`: the prompt leaves for this as well.
        """
        ...


def require_key(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The secrets of the environment, once a request could be sent with them.

    Raises:
        PrerequisiteMissing: there is no key, or no SDK.
        BadInput: the key, the address, a proxy or the certificates cannot be used.
    """
    service = AnthropicService(environment)
    service.close()
    return service.secrets


class AnthropicService:
    """The Messages API, at ANTHROPIC_BASE_URL or the vendor's address.

    Raises:
        PrerequisiteMissing: no key in the environment, or no SDK.
        BadInput: the key, the address, a proxy or the certificates of the environment cannot be
            used.

    Attributes:
        secrets: what no sentence may hold.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        access = read_access(environment)
        self.secrets = access.secrets
        try:
            import anthropic
            import httpx2
        except ImportError as problem:
            raise PrerequisiteMissing(
                f"The anthropic SDK cannot be imported: {problem}.",
                remedy="pip install 'anthropic>=2'",
            ) from None
        # What the SDK says of answers whose types are wrong; we look at them ourselves.
        warnings.filterwarnings("ignore", "Pydantic serializer warnings", UserWarning)
        self._here = threading.local()
        try:
            client = anthropic.DefaultHttpxClient(
                event_hooks={"request": [self._leaves]},
                follow_redirects=False,  # the body goes to the address that the user named
                # A connection for each call: one that was left open while candidates were scored
                # may be dead, and a request that left on it would be booked.
                limits=httpx2.Limits(max_keepalive_connections=0),
            )
        except (ImportError, ValueError, httpx2.InvalidURL) as problem:
            raise BadInput(
                f"The proxy of the environment cannot be used: {self._clean(str(problem))[:200]}",
                remedy="Look at HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
            ) from None
        except OSError as problem:
            raise BadInput(
                f"The certificates of the environment cannot be read: {problem}.",
                remedy="Look at SSL_CERT_FILE and SSL_CERT_DIR: a file of certificates (PEM), and "
                "a folder of such.",
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
            flight.came_as = stream.response.headers.get("content-type", "")
            characters = 0
            for event in stream:
                flight.begun = True
                if flight.stopped():
                    raise Interrupted("Stopped in the middle of an answer.")
                if event.type == "content_block_delta":
                    characters += len(_delta(event))
                    flight.text(characters)
            if not flight.begun and STREAM in flight.came_as:
                raise Dropped("the answer ended before it began.")
            return answer_of(stream.get_final_message())

    def count(
        self,
        request: dict[str, Any],
        on_body: Callable[[bytes], None],
        stop: Callable[[], bool],
    ) -> int | None:
        """See the port. Counting is free."""
        asked = ("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config")
        known = {key: request[key] for key in asked if key in request}
        flight = InFlight(on_body, lambda _: None, stop)
        try:
            return flight.wait(partial(self._count, flight, known))
        except (NotTaken, Busy, Dropped):
            return None

    def _count(self, flight: InFlight, known: dict[str, Any]) -> int | None:
        self._here.flight = flight
        with self._sentences(flight):
            return read_count(self._client.messages.count_tokens(**known).input_tokens)

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
        except NotWhole as problem:
            raise Dropped(problem.message, again=problem.again) from None
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
        except UNFIT:  # JSON, and none of the Messages API: the SDK does not look
            if not flight.left:
                raise
            came_as = flight.came_as.partition(";")[0].strip() or "no content type"
            raise Dropped(
                f"what came back is no answer of the Messages API ({self._clean(came_as)[:60]}); "
                f"look at {ADDRESS}.",
                again=False,
            ) from None

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
        if 300 <= status < 400:
            target = self._clean(problem.response.headers.get("location", "nowhere"))[:100]
            return NotTaken(
                f"The service sends requests on to another address ({status}: {target}), and "
                "nothing is sent there.",
                f"Look at {ADDRESS}; name the address that answers.",
            )
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
        for secret in self.secrets:
            text = text.replace(secret, "[key]")
        return " ".join(clean_text(text).split())


def _delta(event: Any) -> str:
    delta = event.delta
    return str(getattr(delta, "text", "") or getattr(delta, "partial_json", "") or "")


def seconds(retry_after: str | None) -> float | None:
    """The header `retry-after` in seconds; None for a date or anything else."""
    if retry_after is None:
        return None
    try:
        found = float(retry_after)
    except ValueError:
        return None
    return min(found, MOST_RETRY_AFTER_S) if found >= 0 else None
