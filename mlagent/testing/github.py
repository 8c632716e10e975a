"""A small GitHub on loopback: comments, pulls, reactions, permissions, and its ways to say no.

For tests of anything that talks to GitHub's REST API: a real HTTP server, started per test. Behaves
as the documentation says: pages of 30 (at most 100) with `Link`, etags with 304, 401 without a
known token, 403 for a reader, a locked issue or a secondary limit with `retry-after`, 404, 410
where issues are off, 422 for a body above 65,536 characters. `faults` adds any other answer.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from .github_state import (
    ABUSE,
    LOCKED,
    MOST_CHARACTERS,
    READER,
    SECONDARY,
    WRITERS,
    Account,
    Answer,
    Comment,
    Fault,
    Pull,
)

__all__ = ["ABUSE", "SECONDARY", "Account", "Answer", "Comment", "FakeGitHub", "Fault", "Pull"]


class FakeGitHub:
    """The server; a context manager.

    Attributes:
        faults: answers that come first; a fault's `path` is a regular expression.
        log: (method, path, status) of every request, in order.
        gate: when set, each POST of a comment waits at this barrier before it takes effect.
        writes_per_minute: more writes meet the secondary limit.
        remaining: requests until the primary limit; None: no limit.
    """

    def __init__(self, repo: str = "octo/churn") -> None:
        self.repo = repo
        self.accounts: dict[str, Account] = {}
        self.comments: dict[int, Comment] = {}
        self.pulls: dict[int, Pull] = {}
        self.statuses: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.log: list[tuple[str, str, int]] = []
        self.gate: threading.Barrier | None = None
        self.issues_off = False
        self.writes_per_minute = 80
        self.retry_after = 60
        self.remaining: int | None = None
        self.reset_at = 0
        self._ids = iter(range(1001, 10**9))
        self._writes: list[float] = []
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def url(self) -> str:
        """Base address of the API."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def account(self, token: str, login: str, **facts: Any) -> Account:
        """Somebody who may use this token."""
        known = next((one for one in self.accounts.values() if one.login == login), None)
        made = known or Account(login, 100 + len(self.accounts), **facts)
        self.accounts[token] = made
        return made

    def actions(self, token: str = "job-token", role: str = "write") -> Account:
        """The account of a job's GITHUB_TOKEN."""
        return self.account(token, "github-actions[bot]", role=role, bot=True, installation=True)

    def pull(self, number: int, commits: list[str], base_sha: str, **facts: Any) -> Pull:
        """Open a pull request."""
        self.pulls[number] = Pull(number, commits, base_sha, **facts)
        return self.pulls[number]

    def comment(self, number: int, author: Account, body: str) -> Comment:
        """Somebody comments."""
        with self._lock:
            made = Comment(next(self._ids), number, author, body)
            self.comments[made.id] = made
        return made

    def of(self, number: int) -> list[Comment]:
        """Comments of one pull request, oldest first."""
        return [one for _, one in sorted(self.comments.items()) if one.number == number]

    def writes(self) -> list[tuple[str, str, int]]:
        """What was asked to change."""
        return [one for one in self.log if one[0] != "GET"]

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: dict[str, Any]
    ) -> Answer:
        """What the API says to one request."""
        parts = urlsplit(target)
        fault = self._fault(method, parts.path)
        if fault is not None and not fault.then_do:
            return fault.answer()
        if method == "POST" and parts.path.endswith("/comments") and self.gate is not None:
            self.gate.wait(10)
        with self._lock:
            said = self._checked(method, parts.path, parse_qs(parts.query), headers, body)
        if fault is not None:
            return fault.answer()
        return said

    def _fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def _checked(
        self,
        method: str,
        path: str,
        query: dict[str, list[str]],
        headers: dict[str, str],
        body: dict[str, Any],
    ) -> Answer:
        who = self.accounts.get(headers.get("authorization", "").removeprefix("Bearer "))
        if who is None:
            return Answer(401, {"message": "Bad credentials"})
        if self.remaining is not None:
            if self.remaining <= 0 and time.time() < self.reset_at:
                limit = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(self.reset_at)}
                return Answer(403, {"message": "API rate limit exceeded"}, limit)
            self.remaining -= 1
        if method != "GET" and not self._may_write_now():
            return Answer(403, {"message": SECONDARY}, {"retry-after": str(self.retry_after)})
        for verb, pattern, act in self._routes():
            if verb == method and (match := re.fullmatch(pattern, path)):
                said = act(who, query, body, *match.groups())
                return self._listed(said, path, query, headers)
        return Answer(404, {"message": "Not Found"})

    def _may_write_now(self) -> bool:
        now = time.monotonic()
        self._writes = [at for at in self._writes if now - at < 60]
        if len(self._writes) >= self.writes_per_minute:
            return False
        self._writes.append(now)
        return True

    def _listed(
        self, said: Answer, path: str, query: dict[str, list[str]], headers: dict[str, str]
    ) -> Answer:
        """Lists in pages with `Link`; reads with an etag, 304 for the one that is known."""
        if said.status != 200:
            return said
        if isinstance(said.body, list):
            size = min(100, int(query.get("per_page", ["30"])[0]))
            page = int(query.get("page", ["1"])[0])
            rest = said.body[page * size :]
            said.body = said.body[(page - 1) * size : page * size]
            if rest:
                following = urlencode(
                    {**{k: v[0] for k, v in query.items()}, "page": page + 1, "per_page": size}
                )
                said.headers["link"] = f'<{self.url}{path}?{following}>; rel="next"'
        etag = hashlib.sha256(json.dumps(said.body, sort_keys=True).encode()).hexdigest()[:32]
        said.headers["etag"] = f'W/"{etag}"'
        if headers.get("if-none-match") == said.headers["etag"]:
            return Answer(304, None, said.headers)
        return said

    def _routes(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        home = f"/repos/{re.escape(self.repo)}"
        one = rf"{home}/issues/comments/(\d+)"
        return [
            ("GET", "/user", self._user),
            ("GET", rf"{home}/issues/(\d+)/comments", self._list),
            ("POST", rf"{home}/issues/(\d+)/comments", self._create),
            ("GET", one, self._read),
            ("PATCH", one, self._change),
            ("DELETE", one, self._remove),
            ("POST", rf"{one}/reactions", self._react),
            ("GET", rf"{one}/reactions", self._reactions),
            ("GET", rf"{home}/pulls", self._find_pulls),
            ("GET", rf"{home}/pulls/(\d+)", self._pull),
            ("GET", rf"{home}/pulls/(\d+)/commits", self._commits),
            ("GET", rf"{home}/commits/([0-9a-f]+)/pulls", self._pulls_of),
            ("GET", rf"{home}/collaborators/([^/]+)/permission", self._permission),
        ]

    def _user(self, who: Account, *_: Any) -> Answer:
        if who.installation:
            return Answer(403, {"message": READER})
        return Answer(200, who.as_json())

    def _list(self, who: Account, query: Any, body: Any, number: str) -> Answer:
        if self.issues_off:
            return Answer(410, {"message": "Issues are disabled for this repo"})
        if int(number) not in self.pulls:
            return Answer(404, {"message": "Not Found"})
        return Answer(200, [one.as_json() for one in self.of(int(number))])

    def _create(self, who: Account, query: Any, body: dict[str, Any], number: str) -> Answer:
        pull = self.pulls.get(int(number))
        if pull is None:
            return Answer(404, {"message": "Not Found"})
        if self.issues_off:
            return Answer(410, {"message": "Issues are disabled for this repo"})
        if who.role not in (*WRITERS, "triage") and who.bot:
            return Answer(403, {"message": READER})
        if pull.locked:
            return Answer(403, {"message": LOCKED})
        refused = _refused_body(body)
        return refused or Answer(201, self.comment(int(number), who, body["body"]).as_json())

    def _read(self, who: Account, query: Any, body: Any, number: str) -> Answer:
        found = self.comments.get(int(number))
        return Answer(200, found.as_json()) if found else Answer(404, {"message": "Not Found"})

    def _change(self, who: Account, query: Any, body: dict[str, Any], number: str) -> Answer:
        found = self.comments.get(int(number))
        if found is None:
            return Answer(404, {"message": "Not Found"})
        if who.role not in WRITERS:
            return Answer(403, {"message": READER})
        if self.pulls[found.number].locked:
            return Answer(403, {"message": LOCKED})
        refused = _refused_body(body)
        if refused is None:
            found.body = body["body"]
        return refused or Answer(200, found.as_json())

    def _remove(self, who: Account, query: Any, body: Any, number: str) -> Answer:
        if int(number) not in self.comments:
            return Answer(404, {"message": "Not Found"})
        if who.role not in WRITERS:
            return Answer(403, {"message": READER})
        del self.comments[int(number)]
        return Answer(204)

    def _react(self, who: Account, query: Any, body: dict[str, Any], number: str) -> Answer:
        found = self.comments.get(int(number))
        if found is None:
            return Answer(404, {"message": "Not Found"})
        made = {"content": body.get("content"), "user": who.as_json()}
        found.reactions.append(made)
        return Answer(201, made)

    def _reactions(self, who: Account, query: Any, body: Any, number: str) -> Answer:
        found = self.comments.get(int(number))
        return Answer(200, list(found.reactions)) if found else Answer(404, {"message": "None"})

    def _find_pulls(self, who: Account, query: dict[str, list[str]], *_: Any) -> Answer:
        head, state = query.get("head", [""])[0], query.get("state", ["open"])[0]
        found = [one for one in self.pulls.values() if one.state == state]
        if head:
            found = [one for one in found if f"{one.head_owner}:{one.head_branch}" == head]
        return Answer(200, [self._pull_json(one) for one in found])

    def _pull(self, who: Account, query: Any, body: Any, number: str) -> Answer:
        pull = self.pulls.get(int(number))
        return Answer(200, self._pull_json(pull)) if pull else Answer(404, {"message": "Not Found"})

    def _commits(self, who: Account, query: Any, body: Any, number: str) -> Answer:
        pull = self.pulls.get(int(number))
        if pull is None:
            return Answer(404, {"message": "Not Found"})
        return Answer(200, [{"sha": sha} for sha in pull.commits])

    def _pulls_of(self, who: Account, query: Any, body: Any, sha: str) -> Answer:
        """Pull requests with this commit, of this repository's own branches only."""
        owner = self.repo.partition("/")[0]
        found = [
            one for one in self.pulls.values() if sha in one.commits and one.head_owner == owner
        ]
        return Answer(200, [self._pull_json(one) for one in found])

    def _permission(self, who: Account, query: Any, body: Any, login: str) -> Answer:
        found = next((one for one in self.accounts.values() if one.login == login), None)
        role = found.role if found else "none"
        simple = {"maintain": "write", "triage": "read"}.get(role, role)
        return Answer(200, {"permission": simple, "role_name": role})

    def _pull_json(self, one: Pull) -> dict[str, Any]:
        return {
            "number": one.number,
            "state": one.state,
            "locked": one.locked,
            "head": {
                "sha": one.commits[-1],
                "ref": one.head_branch,
                "label": f"{one.head_owner}:{one.head_branch}",
                "user": {"login": one.head_owner},
            },
            "base": {"sha": one.base_sha, "ref": "main", "repo": {"full_name": self.repo}},
        }


def _refused_body(body: dict[str, Any]) -> Answer | None:
    text = body.get("body")
    if not isinstance(text, str) or not text.strip():
        problem = "body can't be blank"
    elif len(text) > MOST_CHARACTERS:
        problem = f"body is too long (maximum is {MOST_CHARACTERS} characters)"
    else:
        return None
    return Answer(422, {"message": "Validation Failed", "errors": [{"message": problem}]})


def _handler(github: FakeGitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            raw = self.rfile.read(size)
            body = json.loads(raw) if raw else {}
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = github.answer(self.command, self.path, headers, body)
            github.log.append((self.command, self.path, said.status))
            if said.status == 0:
                self.close_connection = True
                return
            data = b"" if said.body is None else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.status not in (204, 304):
                self.send_header("content-type", "application/json; charset=utf-8")
                self.send_header("content-length", str(len(data)))
            self.end_headers()
            if said.status not in (204, 304):
                self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler
