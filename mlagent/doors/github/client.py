"""GitHub's REST API, as much of it as a comment needs. One connection, one token.

Guarantees: the token goes to the API's own address only (https, or loopback for tests; no redirect
and no foreign page link is followed) and stands in no message; lists are read to their last page;
equal pages are asked for by etag; `retry-after`, a used-up rate limit and secondary limits are
waited for, up to `patience_s` in all; writes are at least one second apart. A write whose answer
was lost raises `Lost`: the caller looks whether it happened. Does not: decide what to write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from mlagent import __version__
from mlagent.contracts.errors import BadInput, MlagentError, PrerequisiteMissing

API = "https://api.github.com"
VERSION = "2022-11-28"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
TIMEOUT_S = 30.0
PATIENCE_S = 300.0
TRIES = 4
SECONDARY_S = 60.0
"""GitHub's advice when a secondary limit names no time; doubled with each try."""
BETWEEN_WRITES_S = 1.0
PER_PAGE = 100
MOST_PAGES = 1000
SECONDARY = ("you have exceeded a secondary rate limit", "you have triggered an abuse detection")


class Refused(MlagentError):
    """The API said no to `what`, or the patience ended. `status` is HTTP's; 0: no answer."""

    def __init__(self, status: int, what: str, said: str, *, limited: bool = False) -> None:
        why = {
            0: "Check the connection and GITHUB_API_URL.",
            401: "The token is not valid.",
            404: "Not there, or not for this token.",
        }.get(status)
        sentence = f"GitHub refused {what}: {status} {said}".rstrip()
        if status == 0:
            sentence = f"GitHub did not answer {what}: {said}"
        super().__init__(f"{sentence}.", remedy=why or "")
        self.status, self.what, self.said, self.limited = status, what, said, limited


class Lost(MlagentError):
    """A write was sent and no usable answer came: it may have happened."""


@dataclass(frozen=True)
class _Page:
    etag: str
    items: Any
    following: str | None


class GitHub:
    """The API under one token.

    Args:
        token: secret; never shown.
        base_url: of the API, such as `https://host/api/v3`.
        sleep, clock: for waiting; seconds since 1970.

    Raises:
        BadInput: an address that would carry the token in the clear.
    """

    def __init__(
        self,
        token: str,
        base_url: str = API,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        patience_s: float = PATIENCE_S,
    ) -> None:
        try:
            host = httpx.URL(base_url).host
            scheme = urlsplit(base_url).scheme
        except (httpx.InvalidURL, ValueError):
            host, scheme = "", "https"
        if scheme != "https" and not (scheme == "http" and host in LOOPBACK):
            raise BadInput(
                f"The API's address {base_url!r} is not https.", remedy="Correct GITHUB_API_URL."
            )
        if not host:
            raise BadInput(
                f"The API's address {base_url!r} is no address.", remedy="Correct GITHUB_API_URL."
            )
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise BadInput("The GitHub token is empty or holds what no token holds.")
        self.base_url = base_url.rstrip("/")
        self._sleep, self._clock, self._patience = sleep, clock, patience_s
        self._waited, self._last_write = 0.0, 0.0
        self._pages: dict[str, _Page] = {}
        self._http = httpx.Client(
            timeout=TIMEOUT_S,
            follow_redirects=False,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": VERSION,
                "User-Agent": f"mlagent/{__version__}",
            },
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def get(self, path: str) -> Any:
        """One JSON value. Raises Refused."""
        return self._page(f"{self.base_url}{path}").items

    def every(self, path: str) -> Iterator[Any]:
        """Each item of a list, over all pages. Raises Refused."""
        mark = "&" if "?" in path else "?"
        following: str | None = f"{self.base_url}{path}{mark}per_page={PER_PAGE}"
        for _ in range(MOST_PAGES):
            if following is None:
                return
            page = self._page(following)
            if not isinstance(page.items, list):
                raise Refused(200, f"GET {path}", "the answer is no list")
            yield from page.items
            following = page.following
        raise Refused(200, f"GET {path}", f"the list has more than {MOST_PAGES} pages")

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Make something. Raises Refused, or Lost when it may have been made."""
        return self._write("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change something. Raises Refused or Lost."""
        return self._write("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Remove something. Raises Refused or Lost."""
        self._write("DELETE", path, None)

    def _page(self, url: str) -> _Page:
        known = self._pages.get(url)
        headers = {} if known is None or not known.etag else {"If-None-Match": known.etag}
        answer = self._send("GET", url, headers=headers)
        if answer.status_code == 304 and known is not None:
            return known
        following = answer.links.get("next", {}).get("url")
        if following is not None and not following.startswith(f"{self.base_url}/"):
            raise Refused(200, f"GET {self._short(url)}", "the next page is at another address")
        page = _Page(answer.headers.get("etag", ""), self._json(answer, url), following)
        self._pages[url] = page
        return page

    def _write(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        pause = self._last_write + BETWEEN_WRITES_S - self._clock()
        if pause > 0:
            self._sleep(min(pause, BETWEEN_WRITES_S))
        url = f"{self.base_url}{path}"
        answer = self._send(method, url, json=body)
        self._last_write = self._clock()
        return None if answer.status_code == 204 else self._json(answer, url)

    def _send(
        self,
        method: str,
        url: str,
        *,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request with its tries. Returns 2xx and 304 only."""
        what = f"{method} {self._short(url)}"
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                answer = self._http.request(method, url, json=json, headers=dict(headers or {}))
            except httpx.RequestError as problem:
                if method != "GET":
                    raise Lost(f"{what}: no answer ({type(problem).__name__}).") from None
                if last:
                    raise Refused(0, what, type(problem).__name__) from None
                self._wait(2.0**attempt, what)
                continue
            if answer.is_success or answer.status_code == 304:
                return answer
            if answer.status_code >= 500 and method != "GET":
                raise Lost(f"{what}: GitHub answered {answer.status_code}.")
            pause = self._pause(answer, attempt)
            if pause is None or last:
                raise Refused(
                    answer.status_code, what, _said(answer), limited=pause is not None
                ) from None
            self._wait(pause, what)
        raise AssertionError("the last try returns or raises")

    def _pause(self, answer: httpx.Response, attempt: int) -> float | None:
        """Seconds until the request may be sent again; None: it will not do."""
        status, headers = answer.status_code, answer.headers
        if status >= 500:
            return 2.0**attempt
        if status not in (403, 429):
            return None
        if (after := _seconds(headers.get("retry-after"))) is not None:
            return after
        reset = _seconds(headers.get("x-ratelimit-reset"))
        if headers.get("x-ratelimit-remaining") == "0" and reset is not None:
            return max(1.0, reset - self._clock())
        if status == 429 or _said(answer).lower().startswith(SECONDARY):
            return SECONDARY_S * 2.0**attempt
        return None

    def _wait(self, seconds: float, what: str) -> None:
        if self._waited + seconds > self._patience:
            raise Refused(
                429,
                what,
                f"a rate limit asks for {seconds:.0f} s more than is waited",
                limited=True,
            )
        self._waited += seconds
        self._sleep(seconds)

    def _short(self, url: str) -> str:
        return url.removeprefix(self.base_url).partition("?")[0]

    def _json(self, answer: httpx.Response, url: str) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise Refused(answer.status_code, self._short(url), "the answer is not JSON") from None


FOR_A_JOB = "Give the job `env: GITHUB_TOKEN: ${{ github.token }}`, or use --dry-run."


def token_from(environment: Mapping[str, str] | None = None, remedy: str = FOR_A_JOB) -> str:
    """GITHUB_TOKEN, else GH_TOKEN. Raises PrerequisiteMissing, with this remedy."""
    found = os.environ if environment is None else environment
    token = found.get("GITHUB_TOKEN") or found.get("GH_TOKEN") or ""
    if not token.strip():
        raise PrerequisiteMissing(
            "There is no GitHub token: GITHUB_TOKEN and GH_TOKEN are empty.",
            remedy=remedy,
        )
    return token.strip()


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _said(answer: httpx.Response) -> str:
    """GitHub's own words, cut; '' for what is no JSON."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    words = [str(body.get("message", ""))]
    errors = body.get("errors")
    for error in errors if isinstance(errors, list) else []:
        words.append(str(error.get("message", "")) if isinstance(error, dict) else str(error))
    return " ".join(" ".join(words).split())[:300].rstrip(".")
