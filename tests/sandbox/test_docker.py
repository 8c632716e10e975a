"""The container keeps every promise: the shared suite, the attack list, and what a missing guard
would let through.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlagent.content import Content
from mlagent.contracts.errors import PrerequisiteMissing, SandboxBroken
from mlagent.contracts.ports import Job, Limits
from mlagent.sandbox.choose import choose_sandbox
from mlagent.sandbox.containers import Flags
from mlagent.sandbox.docker_tier import DockerSandbox
from mlagent.sandbox.doctor import prerequisites, refuse_unproven, run_canaries
from mlagent.sandbox.engine import connect, refuse_weak_engine
from mlagent.sandbox.image import find_image
from mlagent.sandbox.orphans import Owner, owner_is_dead, sweep
from mlagent.testing.engine import ours_in_the_engine, sandbox_or_skip
from mlagent.testing.sandbox_suite import (
    LIMITS,
    SandboxSuite,
    fit_job,
    run_script,
    write_candidate,
)

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def opened() -> Iterator[DockerSandbox]:
    sandbox = sandbox_or_skip()
    yield sandbox
    sandbox.close()


@pytest.fixture
def sandbox(opened: DockerSandbox) -> Iterator[DockerSandbox]:
    """The module's sandbox; whatever a test did, nothing of it may be left in the engine."""
    yield opened
    assert ours_in_the_engine(opened.owner) == []


class TestDocker(SandboxSuite):
    """Every line of the suite."""


def test_every_canary_dies(sandbox: DockerSandbox) -> None:
    canaries = run_canaries(sandbox, fresh=True)
    assert [canary for canary in canaries if not canary.ok] == []
    assert len(canaries) == 20
    refuse_unproven(canaries)


class NoGuards(Flags):
    """What the engine would give if we asked for little: the host's network, root, no limits."""

    def runner(self, *arguments: Any) -> dict[str, Any]:
        options = super().runner(*arguments)
        for name in ("cap_drop", "ipc_mode", "hostname", "tmpfs", "mem_limit", "pids_limit"):
            del options[name]
        return options | {
            "network_mode": "host",
            "user": "0:0",
            "security_opt": ["seccomp=unconfined"],
            "read_only": False,
            "ulimits": [],
            "memswap_limit": None,
            "environment": {**options["environment"], "AWS_SECRET_ACCESS_KEY": "canary"},
        }

    def volume(self, limits: Limits) -> dict[str, str]:
        return {"type": "tmpfs", "device": "tmpfs", "o": "size=128m"}


def test_every_canary_turns_red_without_its_guard(sandbox: DockerSandbox) -> None:
    """`network` and `name lookup` depend on the machine's own network, time and stdout on our
    side of the pipe.
    """
    assert sandbox.image
    open_wide = DockerSandbox(Content(), connect(), sandbox.image, flags=NoGuards())
    try:
        canaries = run_canaries(open_wide, fresh=True)
    finally:
        open_wide.close()
    green = {canary.name for canary in canaries if canary.ok}
    assert green <= {"network", "name lookup", "time limit", "stdout limit", "engine socket"}
    with pytest.raises(PrerequisiteMissing, match="seccomp"):
        refuse_unproven(canaries)


def test_nothing_of_the_project_or_the_home_is_reachable(
    sandbox: DockerSandbox, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("TOKEN=canary-77aa")
    (tmp_path / "labels.csv").write_text("canary-77aa")
    code = """
        import json, os
        from pathlib import Path
        def main(i, o):
            found, looked = [], 0
            for root, folders, names in os.walk("/"):
                if root.startswith(("/proc", "/sys", "/dev/", "/usr", "/opt/venv")):
                    folders.clear()
                    continue
                for name in names:
                    if not os.path.isfile(os.path.join(root, name)):
                        continue
                    try:
                        looked += 1
                        if b"canary-" + b"77aa" in Path(root, name).read_bytes()[:1 << 20]:
                            found.append(os.path.join(root, name))
                    except OSError:
                        pass
            text = Path("/proc/self/mountinfo").read_text() + repr(dict(os.environ))
            inputs = sorted(os.listdir("/in"))
            (o / "result.json").write_text(json.dumps([found, looked, inputs, "canary-77" in text]))
        """
    outcome = run_script(sandbox, tmp_path, code)
    found, looked, inputs, mentioned = json.loads(outcome.files["result.json"].path.read_text())
    assert found == []
    assert not mentioned
    assert looked > 100
    assert inputs == ["runner.py", "script.py"]


def test_a_package_that_a_stranger_s_code_misses_is_only_its_failure(
    sandbox: DockerSandbox, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text("import lightfm")
    inputs = {"script.py": tmp_path / "script.py"}
    outcome = sandbox.run(Job("theirs", "script", inputs, {}, tmp_path, LIMITS, code="D"))
    assert outcome.verdict == "exit"
    assert "lightfm" in outcome.sentence


def test_a_child_killed_for_memory_is_told_even_after_success(
    sandbox: DockerSandbox, tmp_path: Path
) -> None:
    code = """
        import subprocess, sys
        def main(i, o):
            subprocess.run([sys.executable, "-c", "x = b'1' * (900 << 20)"])
        """
    outcome = run_script(sandbox, tmp_path, code, memory_mb=200)
    assert (outcome.verdict, outcome.child_oom) == ("ok", True)
    assert "child process" in outcome.sentence


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is of x86")
def test_a_32_bit_system_call_is_a_forbidden_call(sandbox: DockerSandbox, tmp_path: Path) -> None:
    code = r"""
        import ctypes, mmap
        def main(i, o):
            page = mmap.mmap(-1, 4096, prot=7)
            page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
            ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
        """
    outcome = run_script(sandbox, tmp_path, code)
    assert outcome.verdict == "forbidden"
    assert "forbids" in outcome.sentence


def test_sparse_files_count_in_full(sandbox: DockerSandbox, tmp_path: Path) -> None:
    code = """
        def main(i, o):
            for n in range(10):
                with open(o / f"{n}.npy", "wb") as file: file.truncate(7 << 20)
        """
    outcome = run_script(sandbox, tmp_path, code, outputs={"*.npy": 8 << 20}, output_mb=8)
    assert outcome.verdict == "output"
    assert sum(item.size for item in outcome.files.values()) <= 8 << 20


def test_odd_names_stay_inside_and_are_told_without_their_escapes(
    sandbox: DockerSandbox, tmp_path: Path
) -> None:
    code = r"""
        import os
        def main(i, o):
            for name in (b"-rf", b"a\nb.npy", b"\x1b[2J.npy", b"\xff\xfe.npy", b"x" * 250 + b".npy",
                         "\u202e.npy".encode(), b"...npy", b"CON.npy"):
                open(bytes(o) + b"/" + name, "wb").close()
            os.symlink("/etc/passwd", bytes(o) + b"/\x1b]0;owned\x07.npy")
        """
    outcome = run_script(sandbox, tmp_path, code, outputs={"*.npy": 100, "*": 100})
    assert outcome.verdict == "ok", outcome.log
    assert set(outcome.files) == {"CON.npy"}
    assert "\x1b" not in "".join(outcome.refused)
    assert any("not a regular file" in reason for reason in outcome.refused)


def test_a_fifo_cannot_even_be_made(sandbox: DockerSandbox, tmp_path: Path) -> None:
    code = "import os\ndef main(i, o): os.mkfifo(o / 'predictions.npy')"
    outcome = run_script(sandbox, tmp_path, code, outputs={"predictions.npy": 100})
    assert "PermissionError" in outcome.sentence
    assert outcome.files == {}


def test_a_hostile_column_name_stays_data(sandbox: DockerSandbox, tmp_path: Path) -> None:
    import duckdb
    import pandas as pd

    names = ['"); import os #', "{{7*7}}", "'; DROP TABLE x; --", "\u202eevil", "\x1b[31m"]
    frame = pd.DataFrame(np.eye(5), columns=names).assign(y=1.0)
    with duckdb.connect() as connection:
        connection.from_df(frame).write_parquet(str(tmp_path / "train.parquet"))
    solution = """
        import json
        def fit(train, spec):
            with open("schedule.json", "w") as file: json.dump(list(train.columns), file)
            return 1
        """
    candidate = write_candidate(tmp_path, solution)
    outcome = sandbox.run(fit_job(tmp_path, candidate, tmp_path / "train.parquet"))
    assert outcome.ok, outcome.log
    assert json.loads(outcome.files["schedule.json"].path.read_text()) == [*names, "y"]


def test_a_kill_from_outside_is_a_verdict(sandbox: DockerSandbox, tmp_path: Path) -> None:
    outcome = _meddle(sandbox, tmp_path, lambda client, name: client.api.kill(name))
    assert outcome.verdict == "killed"


def test_a_removal_from_outside_is_a_verdict(sandbox: DockerSandbox, tmp_path: Path) -> None:
    outcome = _meddle(
        sandbox, tmp_path, lambda client, name: client.api.remove_container(name, force=True)
    )
    assert outcome.verdict == "vanished"
    assert outcome.exit_code is None


def _meddle(sandbox: DockerSandbox, folder: Path, action: Any) -> Any:
    code = "import time\ndef main(i, o):\n    print('ready')\n    time.sleep(60)"

    def on_line(line: str) -> None:
        client = connect()
        try:
            wanted = {"label": "io.mlagent.job=script", "status": "running"}
            for found in client.api.containers(filters=wanted):
                if found["Command"].startswith(("/sbin/docker-init", "timeout", "/dev/init")):
                    action(client, found["Id"])
        finally:
            client.close()

    return run_script(sandbox, folder, code, on_line=on_line)


def test_an_error_of_ours_while_the_job_runs_leaves_nothing(
    sandbox: DockerSandbox, tmp_path: Path
) -> None:
    def on_line(line: str) -> None:
        raise KeyboardInterrupt

    code = "import time\ndef main(i, o):\n    print('ready')\n    time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        run_script(sandbox, tmp_path, code, on_line=on_line)
    assert ours_in_the_engine(sandbox.owner) == []


def test_an_image_that_is_gone_is_a_broken_sandbox_not_a_score(tmp_path: Path) -> None:
    sandbox = DockerSandbox(Content(), connect(), "sha256:" + "0" * 64)
    try:
        with pytest.raises(SandboxBroken, match="making a container"):
            run_script(sandbox, tmp_path, "def main(i, o): pass")
        assert ours_in_the_engine(sandbox.owner) == []
    finally:
        sandbox.close()


def test_what_a_killed_mlagent_leaves_is_swept_and_a_living_one_is_spared(
    sandbox: DockerSandbox, tmp_path: Path
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from mlagent.testing.engine import sandbox_or_skip\n"
        "from mlagent.testing.sandbox_suite import run_script\n"
        "code = 'import time\\ndef main(i, o):\\n print(1)\\n time.sleep(300)'\n"
        "sandbox = sandbox_or_skip()\n"
        "run_script(sandbox, Path(sys.argv[1]), code,"
        " on_line=lambda line: print(sandbox.owner, flush=True), wall_s=300)\n"
    )
    root = Path(__file__).parents[2]
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert parent.stdout is not None
    owner = parent.stdout.readline().decode().strip()
    client = connect()
    try:
        assert not owner_is_dead(owner)
        sweep(client)
        sweep(client, tmp_path / "cache of another user")
        assert len(ours_in_the_engine(owner)) == 3  # volume, holder, runner: alive, so spared
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
        sweep(client, tmp_path / "cache of another user")
        assert len(ours_in_the_engine(owner)) == 3
        assert len(sweep(client)) >= 3
        assert ours_in_the_engine(owner) == []
    finally:
        client.close()


def test_an_owner_is_alive_until_it_closes() -> None:
    owner = Owner()
    assert not owner_is_dead(owner.id)
    owner.close()
    assert owner_is_dead(owner.id)


def test_an_owner_of_another_folder_cannot_be_asked(tmp_path: Path) -> None:
    owner = Owner(tmp_path / "theirs")
    owner.close()
    assert not owner_is_dead(owner.id, tmp_path / "ours")
    assert owner_is_dead(owner.id, tmp_path / "theirs")


def test_odd_ids_are_never_dead() -> None:
    assert not owner_is_dead("../../etc")


def test_rootless_engines_on_cgroup_v1_are_refused() -> None:
    rootless: dict[str, object] = {"SecurityOptions": ["name=rootless"], "CgroupVersion": "1"}
    with pytest.raises(PrerequisiteMissing, match="ignores memory"):
        refuse_weak_engine(rootless)
    refuse_weak_engine(rootless | {"CgroupVersion": "2"})
    refuse_weak_engine({"SecurityOptions": ["name=seccomp"], "CgroupVersion": "1"})


def test_docker_is_chosen_for_any_code_and_needs_no_excuse(sandbox: DockerSandbox) -> None:
    for need in ("B", "D"):
        choice = choose_sandbox(content=Content(), need=need)  # type: ignore[arg-type]
        try:
            assert (choice.sandbox.tier, choice.reason) == ("T3", "")
        finally:
            choice.sandbox.close()


def test_the_image_is_found_by_its_recipe_and_has_no_labels_to_look_up(
    sandbox: DockerSandbox, tmp_path: Path
) -> None:
    client = connect()
    try:
        assert find_image(client) == sandbox.image
        config = client.api.inspect_image(sandbox.image)["Config"]
    finally:
        client.close()
    assert config["User"] == "10001:10001"
    code = """
        import importlib.util, json, os, stat
        def main(i, o):
            from sklearn.datasets import load_breast_cancer
            setuid = [os.path.join(r, n) for r, d, names in os.walk("/usr") for n in names
                      if os.lstat(os.path.join(r, n)).st_mode & (stat.S_ISUID | stat.S_ISGID)]
            pip = importlib.util.find_spec("pip") is not None
            try:
                bundled = len(load_breast_cancer().target)
            except ImportError:
                bundled = 0
            (o / "result.json").write_text(json.dumps([setuid, pip, bundled]))
        """
    outcome = run_script(sandbox, tmp_path, code)
    assert json.loads(outcome.files["result.json"].path.read_text()) == [[], False, 0]


def test_the_doctor_names_engine_and_image(sandbox: DockerSandbox) -> None:
    found = {item.name: item for item in prerequisites()}
    assert found["container engine"].ok
    assert found["sandbox image"].detail == sandbox.image
    assert all(item.ok for item in found.values() if item.required)


def test_swap_proxy_settings_and_other_folders_are_never_given() -> None:
    job = Job("flags", "fit", {}, {}, Path("/"), LIMITS)
    options = Flags().runner(job, "image", Path("/x"), "volume", {})
    assert options["mem_limit"] == options["memswap_limit"] == LIMITS.memory_mb << 20
    assert options["use_config_proxy"] is False
    mounts = [*options["volumes"]]
    assert mounts == ["/x", "volume"]
