"""`mlagent bot`: the parts put together, as a server or for one event of GitHub Actions.

Guarantees: no start without a secret and a token; one bot per state folder; the folder is for its
owner only. Does not: terminate TLS; put a reverse proxy before it.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from mlagent.content import Content
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.documents import load_json
from mlagent.orchestrator.signals import on_ctrl_c

from .answers import Answers
from .checkout import Mirror
from .client import API, GitHub, token_from
from .events import FULL_NAME, Ignored, read_event
from .hub import own_id
from .jobs import Jobs, Site
from .queue import OPEN, Queue
from .runner import Runner, end_leftovers
from .work import SCRATCH, Work
from .workers import Workers, run_one

SERVER = "https://github.com"
LARGEST_EVENT = 25_000_000
FOR_THE_BOT = (
    "Set GITHUB_TOKEN to a token that may comment and read contents; in a job of GitHub Actions, "
    "`env: GITHUB_TOKEN: ${{ github.token }}`."
)
BY_ACTIONS = "comment-"
"""A delivery of GitHub Actions begins so; the webhook's are named by GitHub."""
CUT_SHORT = "The command was cut short. Give it again."
NOT_POSTED = "GitHub did not take the answer. Run this job again to post it."
GONE_S = 20
"""Seconds that open requests get when the server goes down."""


@dataclass(frozen=True)
class BotFlags:
    """`mlagent bot` with its flags.

    Attributes:
        state: folder for queue, repositories, runs; made.
        repositories: `owner/name` of those that are served.
        max_budget_s: of one `execute`.
    """

    state: Path
    repositories: tuple[str, ...]
    max_budget_s: float


@dataclass(frozen=True)
class Parts:
    """The bot without its door."""

    queue: Queue
    jobs: Jobs
    workers: Workers
    own_id: int | None


Connect = Callable[[str, str], GitHub]


MARK = "mlagent-bot"
"""A file by which the bot knows its own folder."""


@contextmanager
def assembled(
    flags: BotFlags,
    environment: Mapping[str, str],
    stop: threading.Event,
    connect: Connect = GitHub,
) -> Iterator[Parts]:
    """The bot's parts over its state folder.

    Args:
        connect: token, address -> client.

    Raises:
        BadInput: another bot works there, or a repository's name or an address is none.
        PrerequisiteMissing: no token.
        Refused: the token is not valid.
    """
    for name in flags.repositories:
        if not FULL_NAME.fullmatch(name):
            raise BadInput(f"--repo {name!r} is not OWNER/NAME.")
    token = token_from(environment, FOR_THE_BOT)
    address = environment.get("GITHUB_API_URL") or API
    server = (environment.get("GITHUB_SERVER_URL") or SERVER).rstrip("/")
    if urlsplit(server).scheme not in ("https", "file"):
        raise BadInput(f"GITHUB_SERVER_URL {server!r} is not https.")
    make_state(flags.state)
    with _alone(flags.state):
        end_leftovers(flags.state)
        shutil.rmtree(flags.state / SCRATCH, ignore_errors=True)
        with connect(token, address) as api:
            me = own_id(api)
        queue = Queue(flags.state / "queue.sqlite3")
        site = Site(lambda: connect(token, address), flags.max_budget_s)
        work = Work(
            flags.state,
            lambda folder, name: Mirror(folder, f"{server}/{name}", token),
            Runner(flags.state, stop),
            flags.max_budget_s,
        )
        jobs = Jobs(site, queue, work, Answers(Content(), flags.max_budget_s))
        yield Parts(queue, jobs, Workers(queue, jobs, stop), me)


def make_state(folder: Path) -> None:
    """The bot's own folder, made private; a folder that holds anything else is left alone.

    Raises:
        BadInput: it cannot be made, or somebody else's files are in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        foreign = not (folder / MARK).is_file() and any(folder.iterdir())
    except OSError as problem:
        raise BadInput(
            f"--state {str(folder)!r} cannot be used: {problem.strerror}.",
            remedy="Name a folder that you may write to.",
        ) from None
    if foreign:
        raise BadInput(
            f"--state {str(folder)!r} holds files that are not the bot's.",
            remedy="Name a new or empty folder.",
        )
    if not (folder / MARK).is_file():
        folder.chmod(0o700)
        (folder / ".gitignore").write_text("*\n")
        (folder / MARK).write_text("The state of `mlagent bot`.\n")


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    lock = FileLock(state / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BadInput(
            f"Another bot works in {str(state)!r}.", remedy="Stop it, or name another --state."
        ) from None
    try:
        yield
    finally:
        lock.release()


def serve(
    flags: BotFlags, secret: bytes, host: str, port: int, environment: Mapping[str, str]
) -> None:
    """Serve until SIGINT or SIGTERM. Raises MlagentError when it cannot start.

    Args:
        secret: from `signature.read_secret`.
    """
    import uvicorn

    from .webhook import Door, make_app

    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").addFilter(_worth_a_line)
    stop = threading.Event()
    with assembled(flags, environment, stop) as parts:
        door = Door(secret, flags.repositories, parts.own_id, parts.queue, parts.workers.wake)
        config = uvicorn.Config(
            make_app(door),
            host=host,
            port=port,
            workers=1,
            server_header=False,
            limit_concurrency=100,
            timeout_graceful_shutdown=GONE_S,
        )
        parts.workers.start()
        try:
            with on_ctrl_c(stop.set):  # uvicorn raises the signal again that ended it
                uvicorn.Server(config).run()
        except SystemExit:  # uvicorn's way to say that it could not start
            raise MlagentError(
                f"{host}:{port} cannot be listened on.", remedy="Name another --host or --port."
            ) from None
        finally:
            parts.workers.end()


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Whether a request belongs in the access log; a good answer to a poll of /health does not."""
    from .webhook import HEALTH

    said = record.args  # client, method, path, HTTP version, status
    if not isinstance(said, tuple) or len(said) != 5:
        return True
    return str(said[2]).partition("?")[0] != HEALTH or said[4] != 200


def handle_event(
    flags: BotFlags, file: Path, environment: Mapping[str, str], connect: Connect = GitHub
) -> str:
    """One `issue_comment` event of GitHub Actions, from check to answer. What came of it.

    The event of a command that came before, and was not done, takes it up again: somebody runs the
    job of Actions again. Commands of other jobs that were cancelled get their reaction.

    Raises:
        BadInput: the file is no such event.
        MlagentError: the command failed, or was refused.
    """
    payload = _event_file(file)
    kind = environment.get("GITHUB_EVENT_NAME", "")
    if not kind:
        raise BadInput(
            "GITHUB_EVENT_NAME is empty, so nobody says what kind of event the file holds.",
            remedy="GitHub Actions sets it; elsewhere: GITHUB_EVENT_NAME=issue_comment",
        )
    with assembled(flags, environment, threading.Event(), connect) as parts:
        found = read_event(
            kind,
            payload,
            repositories=flags.repositories,
            own_id=parts.own_id,
        )
        if isinstance(found, Ignored):
            return f"Nothing to do. {found.reason}"
        fresh = parts.queue.accept(f"{BY_ACTIONS}{found.comment}", found)
        _end_cancelled(parts, found.comment)
        if not fresh:
            (job,) = [job for job in parts.queue.jobs() if job.comment == found.comment]
            if job.state == "done":
                return "Nothing to do. This comment came before."
            parts.queue.begin_again(job)
        while run_one(parts.queue, "received", parts.jobs.check):
            pass
        while run_one(parts.queue, "ready", parts.jobs.work):
            pass
        (job,) = [job for job in parts.queue.jobs() if job.comment == found.comment]
        if job.state in OPEN:  # nobody comes back to try it again
            parts.jobs.give_up(job, job.reason)
            job = parts.queue.job(job.id)
    if job.state != "done":
        came = job.state if job.state in ("failed", "refused") else "not done"
        raise MlagentError(f"The command was {came}: {job.reason or NOT_POSTED}")
    return "Done; the answer is on the pull request."


def _end_cancelled(parts: Parts, comment: int) -> None:
    """Commands that an earlier job of Actions left at work end with the reaction for that; this
    comment's own goes back into the queue."""
    parts.queue.recover()
    for job in parts.queue.jobs():
        if job.state in OPEN and job.comment != comment and job.delivery.startswith(BY_ACTIONS):
            parts.jobs.give_up(job, CUT_SHORT)


def _event_file(file: Path) -> Any:
    """The payload that Actions wrote. Raises BadInput."""
    if not file.is_file() or file.stat().st_size > LARGEST_EVENT:
        raise BadInput(
            f"--event {str(file)!r} is no event file.", remedy="Give $GITHUB_EVENT_PATH."
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"--event {str(file)!r} is not UTF-8.") from None
    return load_json(text, "The event file")
