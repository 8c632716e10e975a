"""An engine that goes away in the middle is a broken sandbox, never an empty success."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from mlagent.content import Content
from mlagent.contracts.errors import SandboxBroken
from mlagent.sandbox.docker_tier import DockerSandbox
from mlagent.sandbox.engine import connect
from mlagent.sandbox.orphans import sweep
from mlagent.testing.engine import ours_in_the_engine, sandbox_or_skip
from mlagent.testing.sandbox_suite import run_script

pytestmark = pytest.mark.docker
READY = "import time\ndef main(i, o):\n    print('ready')\n    time.sleep({seconds})"


class Proxy:
    """A Unix socket before the engine's own. Once cut, every connection is closed at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        self._dead = False
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if self._dead:
                    near.close()
                    continue
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._pump, args=(source, target), daemon=True)
                    thread.start()
                    self._threads.append(thread)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def drop(self) -> None:
        """Close what is open now; new connections still work."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Close what is open, and all that comes."""
        self._dead = True
        self.drop()

    def close(self) -> None:
        """End all threads."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)
        for end in self._open:
            end.close()
        self._open.clear()


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[tuple[DockerSandbox, Proxy]]:
    with contextlib.closing(sandbox_or_skip()) as direct:
        image = direct.image
    assert image
    proxy = Proxy(tmp_path / "engine.sock")
    client = docker.DockerClient(base_url=f"unix://{proxy.path}", timeout=5)
    sandbox = DockerSandbox(Content(), client, image)
    yield sandbox, proxy
    sandbox.close()
    proxy.close()


def test_a_cut_engine_is_a_broken_sandbox_and_what_it_left_is_swept(
    proxied: tuple[DockerSandbox, Proxy], tmp_path: Path
) -> None:
    sandbox, proxy = proxied
    with pytest.raises(SandboxBroken, match="engine failed") as caught:
        run_script(
            sandbox, tmp_path, READY.format(seconds=20), on_line=lambda line: proxy.cut(), wall_s=15
        )
    assert "doctor" in caught.value.remedy
    sandbox.close()
    with contextlib.closing(connect()) as client:
        sweep(client)
    assert ours_in_the_engine(sandbox.owner) == []


def test_a_dropped_stream_is_waited_for_and_the_verdict_is_still_right(
    proxied: tuple[DockerSandbox, Proxy], tmp_path: Path
) -> None:
    sandbox, proxy = proxied
    started = time.monotonic()
    outcome = run_script(
        sandbox, tmp_path, READY.format(seconds=2), on_line=lambda line: proxy.drop(), wall_s=10
    )
    assert outcome.verdict == "ok"
    assert time.monotonic() - started > 2
    assert ours_in_the_engine(sandbox.owner) == []
