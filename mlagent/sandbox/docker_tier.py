"""T3: one fresh, sealed container for each job, for code of any class.

Life cycle: volume, holder, create, attach, start, drain; at the deadline close the stream first,
then kill; wait, inspect, remove the runner, read the outputs from the holder, remove holder and
volume. Guarantees: whatever happens in between, nothing of ours stays in the engine (and what a
SIGKILL leaves is swept by the next start); only a container that the engine calls "exited" has a
verdict, all else is SandboxBroken. Does not protect against a hole in the kernel.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlagent.content import Content
from mlagent.contracts.errors import SandboxBroken
from mlagent.contracts.ports import Job, Limits, OnLine, Outcome, Tier

from .attach import Attached
from .collect import Collection, collect_tar
from .containers import DEADLINE_LABEL, OWNER_LABEL, Flags
from .drain import Drain
from .engine import API_TIMEOUT_S, engine_errors, engine_line, refuse_weak_engine
from .kept import keep, recall
from .orphans import Owner, sweep
from .staging import run_folder, stage
from .verdicts import GRACE_S, End, Killed, outcome_of

if TYPE_CHECKING:
    from docker import DockerClient

_HOST_GRACE_S = GRACE_S + 5
"""The timeout inside kills at wall_s + 5 s; the host steps in 5 s later, should that fail."""
_PROMISES = (
    "network memory pids disk wall stdout filesystem user syscalls environment".split()  # noqa: SIM905
)


class DockerSandbox:
    """Runs jobs in containers of one image.

    Args:
        content: where runner.py is.
        client: of a local engine; closed by `close`.
        image: id (sha256:...), never a tag.
        clock: seconds, monotonic.
        flags: only tests give others, to show what a missing guard lets through.
    """

    tier: Tier = "T3"

    def __init__(
        self,
        content: Content,
        client: DockerClient,
        image: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        flags: Flags | None = None,
    ) -> None:
        with engine_errors("being asked what it is"):
            refuse_weak_engine(client.info())
            self._engine = engine_line(client)
        self.image: str | None = image
        self._image = image
        self._client = client
        self._runner = content.path("sandbox/runner.py")
        self._clock = clock
        self._flags = flags or Flags()
        self._packages: dict[str, str] | None = None
        self._owner = Owner()
        try:
            sweep(client)
        except BaseException:
            self._owner.close()
            raise

    def run(
        self, job: Job, on_line: OnLine | None = None, stop: Callable[[], bool] | None = None
    ) -> Outcome:
        """See the port."""
        drain = Drain(job.limits.stdout_kb, on_line)
        labels = {
            OWNER_LABEL: self._owner.id,
            "io.mlagent.job": job.name[:100],
            DEADLINE_LABEL: str(int(time.time() + job.limits.wall_s + _HOST_GRACE_S)),
        }
        with run_folder() as folder, contextlib.ExitStack() as undo:
            inputs = folder / "in"
            stage(job.inputs, self._runner, inputs)
            volume = self._volume(job.limits, labels, undo)
            holder = self._container(self._flags.holder(self._image, volume, labels), undo)
            with engine_errors("starting the holder"):
                self._client.api.start(holder)
            with contextlib.ExitStack() as runner_undo:
                options = self._flags.runner(job, self._image, inputs, volume, labels)
                runner = self._container(options, runner_undo)
                end, wall_s = self._execute(runner, job.limits, drain, stop or (lambda: False))
            taken = Collection()
            if end.by_us is None or job.keep_on_deadline:
                taken = self._collect(holder, job)
        drain.close()
        return outcome_of(job, end, wall_s, drain.text(), taken)

    def _volume(self, limits: Limits, labels: dict[str, str], undo: contextlib.ExitStack) -> str:
        name = f"mlagent-{uuid.uuid4().hex}"
        undo.callback(self._quietly, lambda: self._client.api.remove_volume(name, force=True))
        with engine_errors("making the output volume"):
            self._client.api.create_volume(
                name, driver="local", driver_opts=self._flags.volume(limits), labels=labels
            )
        return name

    def _container(self, options: dict[str, Any], undo: contextlib.ExitStack) -> str:
        """Create (never pull). The name is ours, so that even a create whose answer was lost is
        undone.
        """
        name = f"mlagent-{uuid.uuid4().hex}"
        undo.callback(self._quietly, lambda: self._client.api.remove_container(name, force=True))
        with engine_errors("making a container"):
            self._client.containers.create(**options, name=name)
        return name

    @staticmethod
    def _quietly(remove: Callable[[], object]) -> None:
        """Remove; what cannot be removed now carries our label and is swept at the next start."""
        import docker.errors

        with (
            contextlib.suppress(SandboxBroken),
            engine_errors("cleaning up"),
            contextlib.suppress(docker.errors.NotFound),
        ):
            remove()

    def _execute(
        self, runner: str, limits: Limits, drain: Drain, stop: Callable[[], bool]
    ) -> tuple[End, float]:
        """Start the container and see it to its end."""
        why: Killed | None = None
        with engine_errors("running a container"):
            attached = Attached(self._client, runner)
            try:
                self._client.api.start(runner)
                started = self._clock()
                deadline = started + limits.wall_s + _HOST_GRACE_S
                asked_at = float("inf")
                while attached.read(drain, 0.1):
                    now = self._clock()
                    if drain.flooded:
                        why = "output"
                        break
                    if now > deadline or now > asked_at + GRACE_S:
                        why = why or "time"
                        break
                    if why is None and stop():
                        why, asked_at = "stopped", now
                        self._signal(runner, "SIGTERM")
            finally:
                attached.close()
            if self._clock() > deadline or drain.flooded or self._clock() > asked_at + GRACE_S:
                self._signal(runner, "SIGKILL")
            end = self._ended(runner, deadline, why)
        wall_s = self._clock() - started
        late = wall_s >= limits.wall_s - 0.5
        if end.code == 137 and late and not end.oom and end.by_us is None:
            end = replace(end, by_us="time")  # it ignored SIGTERM, the timeout inside killed it
        return replace(end, inner_timeout=late), wall_s

    def _signal(self, runner: str, name: str) -> None:
        import docker.errors

        with contextlib.suppress(docker.errors.APIError):  # it has ended, or is gone
            self._client.api.kill(runner, name)

    def _ended(self, runner: str, deadline: float, why: Killed | None) -> End:
        """Wait for the end, kill past the deadline, and read the facts. Only "exited" counts."""
        import docker.errors
        import requests.exceptions

        try:
            left = max(1, ceil(deadline - self._clock())) if why is None else int(GRACE_S)
            try:
                self._client.api.wait(runner, timeout=left)
            except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
                self._signal(runner, "SIGKILL")
                why = why or "time"
                self._client.api.wait(runner, timeout=API_TIMEOUT_S)
            state = self._client.api.inspect_container(runner)["State"]
        except docker.errors.NotFound:
            return End(code=None, by_us=why)
        if state.get("Status") != "exited":
            raise SandboxBroken(
                f"The container is {state.get('Status')!r} after its end: "
                f"{state.get('Error') or 'no reason given'}."
            )
        return End(code=int(state["ExitCode"]), by_us=why, oom=bool(state.get("OOMKilled")))

    def _collect(self, holder: str, job: Job) -> Collection:
        """Read /out through the holder, where no code of the job lives."""
        with engine_errors("reading the outputs"), self._archive(holder, "/out") as chunks:
            headers = 2048 * (job.limits.output_files + 100)
            return collect_tar(
                chunks,
                job.outputs,
                job.into,
                root="out",
                total_bytes=(job.limits.output_mb << 20) + headers,
                entries=job.limits.output_files + 100,
            )

    @property
    def owner(self) -> str:
        """The label value of everything this sandbox makes."""
        return self._owner.id

    @contextlib.contextmanager
    def _archive(self, container: str, path: str) -> Iterator[Iterator[bytes]]:
        """The tar stream of `path`; always closed, for an abandoned one blocks the container's
        removal.
        """
        chunks, _ = self._client.api.get_archive(container, path, chunk_size=1 << 20)
        try:
            yield chunks
        finally:
            chunks.close()

    def packages(self) -> dict[str, str]:
        """Asks the image once on this machine: an image id is the hash of all that is in it."""
        if self._packages is None:
            self._packages = recall("packages", self._image)
        if self._packages is None:
            job = Job(
                name="packages",
                command="probe-packages",
                inputs={},
                outputs={},
                into=Path(),
                limits=Limits(wall_s=60, memory_mb=512),
                code="B",
            )
            outcome = self.run(job)
            if not outcome.ok:
                raise SandboxBroken(f"The image could not list its packages: {outcome.sentence}")
            found = json.loads(outcome.log)
            self._packages = {str(name): str(version) for name, version in found.items()}
            keep("packages", self._image, self._packages)
        return dict(self._packages)

    def describe(self) -> str:
        """One line for the top of the output."""
        return (
            f"{self._engine}, image {self._image.removeprefix('sha256:')[:12]}, network none (T3)"
        )

    def enforced(self) -> frozenset[str]:
        """All of them; `mlagent doctor` proves it with canaries."""
        return frozenset(_PROMISES)

    def close(self) -> None:
        """Leave; containers and volumes are already gone after each job. Idempotent."""
        self._owner.close()
        self._client.close()
