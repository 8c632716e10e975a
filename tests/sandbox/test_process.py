"""The plain process keeps what it promises, promises no more, and refuses code that it cannot
hold.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlagent.content import Content
from mlagent.contracts.errors import BadInput, PrerequisiteMissing
from mlagent.contracts.ports import CodeClass, Job
from mlagent.sandbox.choose import choose_sandbox
from mlagent.sandbox.doctor import run_canaries
from mlagent.sandbox.process_tier import ProcessSandbox
from mlagent.sandbox.staging import run_folder, stage
from mlagent.testing.sandbox_suite import LIMITS, SandboxSuite, run_script


@pytest.fixture
def sandbox() -> ProcessSandbox:
    return ProcessSandbox(Content())


class TestProcess(SandboxSuite):
    """Every line of the suite."""


@pytest.mark.parametrize("code", ["C", "D"])
def test_code_that_did_not_ship_is_refused(
    sandbox: ProcessSandbox, tmp_path: Path, code: CodeClass
) -> None:
    job = Job("theirs", "fit", {}, {}, tmp_path, LIMITS, code=code)
    with pytest.raises(PrerequisiteMissing, match="Docker") as caught:
        sandbox.run(job)
    assert caught.value.exit_code == 4


def test_it_claims_no_isolation(sandbox: ProcessSandbox) -> None:
    assert not sandbox.enforced() & {"network", "filesystem", "user", "syscalls", "pids", "disk"}
    assert "not closed off" in sandbox.describe()


def test_what_it_claims_its_canaries_prove(sandbox: ProcessSandbox) -> None:
    canaries = run_canaries(sandbox, fresh=True)
    assert [canary.name for canary in canaries if not canary.ok] == []
    assert len(canaries) == len(sandbox.enforced())


def test_the_memory_canary_holds_what_it_took_until_somebody_looks(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"mode": "memory", "memory_mb": 8}')
    code = (
        "import sys, runpy, pathlib; folder = pathlib.Path(sys.argv[2]); "
        "runpy.run_path(sys.argv[1])['main'](folder, folder)"
    )
    script = str(Content().path("sandbox/canaries.py"))
    canary = subprocess.Popen([sys.executable, "-c", code, script, str(tmp_path)])
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            canary.wait(3)
    finally:
        canary.kill()
        canary.wait()


def test_memory_of_children_counts(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    code = """
        import subprocess, sys
        def main(i, o):
            hog = "import time; x = b'1' * (150 << 20); time.sleep(5)"
            children = [subprocess.Popen([sys.executable, "-c", hog]) for _ in range(3)]
            for child in children: child.wait()
        """
    assert run_script(sandbox, tmp_path, code, memory_mb=300).verdict == "memory"


def test_no_child_outlives_the_job(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    code = """
        import os, subprocess, sys
        def main(i, o):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"],
                                     process_group=0)
            (o / "result.json").write_text(str(child.pid))
        """
    outcome = run_script(sandbox, tmp_path, code)
    pid = int(outcome.files["result.json"].path.read_text())
    time.sleep(0.2)
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_job_dies_with_its_mlagent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from mlagent.content import Content\n"
        "from mlagent.sandbox.process_tier import ProcessSandbox\n"
        "from mlagent.testing.sandbox_suite import run_script\n"
        "code = 'import os, time\\ndef main(i, o):\\n print(os.getpid())\\n time.sleep(300)'\n"
        "run_script(ProcessSandbox(Content()), Path(sys.argv[1]), code,"
        " on_line=lambda line: print(line, flush=True), wall_s=300)\n"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_more_output_than_allowed_is_a_verdict(sandbox: ProcessSandbox, tmp_path: Path) -> None:
    code = """
        import time
        def main(i, o):
            for n in range(8): (o / f"{n}.bin").write_bytes(b"1" * (1 << 20))
            time.sleep(5)
        """
    outcome = run_script(sandbox, tmp_path, code, output_mb=4)
    assert outcome.verdict == "output"


def test_an_input_that_is_a_link_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "candidate"
    folder.mkdir()
    (folder / "solution.py").symlink_to("/etc/passwd")
    runner = Content().path("sandbox/runner.py")
    with pytest.raises(BadInput, match="link"):
        stage({"candidate": folder}, runner, tmp_path / "in")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a b", "runner.py", "", "x\n", "a/../b"])
def test_an_odd_input_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    runner = Content().path("sandbox/runner.py")
    with pytest.raises(BadInput, match="name"):
        stage({name: tmp_path / "file"}, runner, tmp_path / "in")


def test_a_private_file_is_copied_and_stays_private(tmp_path: Path) -> None:
    private = tmp_path / "private.json"
    private.write_text("1")
    private.chmod(0o600)
    stage({"given.json": private}, Content().path("sandbox/runner.py"), tmp_path / "in")
    assert private.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "in" / "given.json").stat().st_mode & 0o777 == 0o644


def test_what_a_killed_process_left_is_removed_and_a_living_run_is_spared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with run_folder() as living:
        dead = living.with_name("dead")
        dead.mkdir()
        (dead / "train.parquet").write_text("rows")
        for folder in (living, dead):
            os.utime(folder, (0, 0))
        with run_folder():
            assert living.exists()
            assert not dead.exists()
    assert not living.exists()


def test_without_an_engine_shipped_code_falls_back_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    choice = choose_sandbox(content=Content(), need="B")
    assert choice.sandbox.tier == "T0"
    assert "No container engine answers" in choice.reason
    assert "plain process" in choice.reason
    with pytest.raises(PrerequisiteMissing, match="Install Docker"):
        choose_sandbox(content=Content(), need="D")
    with pytest.raises(PrerequisiteMissing, match="engine"):
        choose_sandbox(content=Content(), need="B", prefer="docker")


def test_an_engine_on_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(PrerequisiteMissing, match="not supported yet"):
        choose_sandbox(content=Content(), need="D")


def test_a_process_is_never_chosen_for_a_stranger_s_code() -> None:
    with pytest.raises(PrerequisiteMissing, match="container"):
        choose_sandbox(content=Content(), need="D", prefer="process")


def test_the_clock_of_a_job_is_an_argument(tmp_path: Path) -> None:
    hurried = ProcessSandbox(Content(), clock=lambda: time.monotonic() * 20)
    code = "import time\ndef main(i, o): time.sleep(30)"
    outcome = run_script(hurried, tmp_path, code, wall_s=20)
    assert outcome.verdict == "time"
    assert replace(LIMITS, wall_s=20).wall_s <= outcome.wall_s
