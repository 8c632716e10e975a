"""One suite for the sandbox port: `class TestMine(SandboxSuite)` with a `sandbox` fixture runs
every line of it.

States what every tier promises: how jobs end, what comes out, what the runner does for a
candidate. What only a container promises (network, file system, users) is in
tests/sandbox/test_docker.py.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlagent.contracts.errors import PrerequisiteMissing
from mlagent.contracts.ports import Job, Sandbox

from .sandbox_jobs import LIMITS, LINEAR, fit_job, run_script, write_candidate, write_tables

__all__ = [
    "LIMITS",
    "LINEAR",
    "SandboxSuite",
    "fit_job",
    "run_script",
    "write_candidate",
    "write_tables",
]


class SandboxSuite:
    """Subclass it and give a `sandbox` fixture."""

    def test_a_script_ends_ok_and_its_result_comes_out(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        outcome = run_script(
            sandbox,
            tmp_path,
            """
            def main(source, out):
                print("hello")
                (out / "result.json").write_text((source / "given.json").read_text())
            """,
            inputs={"given.json": self._given(tmp_path)},
        )
        assert (outcome.verdict, outcome.exit_code, outcome.log) == ("ok", 0, "hello\n")
        assert outcome.ok
        assert json.loads(outcome.files["result.json"].path.read_text()) == {"x": 1}
        assert outcome.files["result.json"].path == tmp_path / "out" / "result.json"

    @staticmethod
    def _given(folder: Path) -> Path:
        path = folder / "given.json"
        path.write_text('{"x": 1}')
        return path

    def test_a_failing_script_is_a_verdict_with_its_last_line(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        outcome = run_script(sandbox, tmp_path, "def main(i, o): raise ValueError('seven')")
        assert (outcome.verdict, outcome.exit_code) == ("exit", 1)
        assert "ValueError: seven" in outcome.sentence

    def test_what_shipped_code_misses_here_is_a_prerequisite(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        for line, words in (
            ("import lightfm", "'lightfm' is absent"),
            ("raise OSError('libgomp.so.1: cannot open shared object file')", "libgomp"),
        ):
            with pytest.raises(PrerequisiteMissing, match=words) as caught:
                run_script(sandbox, tmp_path, f"def main(i, o): {line}")
            assert caught.value.exit_code == 4
            assert "install" in caught.value.remedy

    def test_leaving_early_without_an_error_is_no_success(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        outcome = run_script(sandbox, tmp_path, "import sys\ndef main(i, o): sys.exit(0)")
        assert outcome.verdict == "exit"

    def test_a_loop_ends_at_its_time_limit(self, sandbox: Sandbox, tmp_path: Path) -> None:
        started = time.monotonic()
        code = "def main(i, o):\n    while True: pass"
        outcome = run_script(sandbox, tmp_path, code, wall_s=1.0)
        assert outcome.verdict == "time"
        assert "1 s" in outcome.sentence
        assert time.monotonic() - started < 6

    def test_a_memory_hog_is_killed(self, sandbox: Sandbox, tmp_path: Path) -> None:
        code = """
            import time
            def main(i, o):
                hoard = []
                for n in range(600):
                    hoard.append(b"1" * (1 << 20))
                    time.sleep(0.002)
                time.sleep(1)
            """
        outcome = run_script(sandbox, tmp_path, code, memory_mb=256)
        assert outcome.verdict == "memory"
        assert "256 MB" in outcome.sentence

    def test_a_flood_of_output_is_cut_and_ended(self, sandbox: Sandbox, tmp_path: Path) -> None:
        code = """
            import sys
            def main(i, o):
                while True: sys.stdout.write("x" * 65536)
            """
        started = time.monotonic()
        outcome = run_script(sandbox, tmp_path, code, stdout_kb=16)
        assert outcome.verdict == "output"
        assert len(outcome.log) < 40_000
        assert time.monotonic() - started < 10

    def test_lines_arrive_while_the_job_runs_and_are_clean(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        lines: list[tuple[float, str]] = []
        code = r"""
            import time
            def main(i, o):
                print("\x1b]0;owned\x07first\x1b[31m \u202eevil\x9b2J")
                time.sleep(1)
                print("last", end="")
            """
        run_script(
            sandbox, tmp_path, code, on_line=lambda text: lines.append((time.monotonic(), text))
        )
        assert [text for _, text in lines] == ["first evil", "last"]
        assert lines[1][0] - lines[0][0] > 0.5

    def test_stop_ends_a_job_early_and_keeps_its_files(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        code = """
            import time
            def main(i, o):
                (o / "result.json").write_text("1")
                print("saved")
                time.sleep(60)
            """
        seen: list[str] = []
        outcome = run_script(
            sandbox, tmp_path, code, on_line=seen.append, stop=lambda: "saved" in seen
        )
        assert outcome.verdict == "stopped"
        assert "result.json" in outcome.files
        assert outcome.wall_s < 20

    def test_only_allowed_regular_files_within_their_cap_come_out(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        code = """
            import os
            def main(i, o):
                (o / "result.json").write_text("1")
                (o / "extra.txt").write_text("not asked for")
                os.symlink("/etc/passwd", o / "link.npy")
                (o / "large.npy").write_bytes(b"x" * 5000)
                (o / "sub").mkdir()
                (o / "sub" / "deep.npy").write_bytes(b"x")
                (o / "sub" / "wanted.json").write_text("2")
            """
        outcome = run_script(
            sandbox,
            tmp_path,
            code,
            outputs={"result.json": 10, "*.npy": 1000, "sub/wanted.json": 10},
        )
        assert set(outcome.files) == {"result.json", "sub/wanted.json"}
        assert any("link.npy" in reason for reason in outcome.refused)
        assert any("large.npy" in reason and "5000" in reason for reason in outcome.refused)
        found = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*")}
        assert found == {Path("result.json"), Path("sub/wanted.json")}

    def test_a_secret_in_the_hosts_environment_stays_there(
        self, sandbox: Sandbox, tmp_path: Path, monkeypatch: Any
    ) -> None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-5f1e")
        monkeypatch.setenv("HTTPS_PROXY", "http://user:canary-5f1e@proxy")
        code = """
            import json, os
            def main(i, o): (o / "result.json").write_text(json.dumps(dict(os.environ)))
            """
        outcome = run_script(sandbox, tmp_path, code)
        found = json.loads(outcome.files["result.json"].path.read_text())
        assert "canary-5f1e" not in json.dumps(found)
        assert found["OMP_NUM_THREADS"] == "1"
        assert found["PYTHONHASHSEED"] == "0"
        assert found["OMP_WAIT_POLICY"] == "PASSIVE"

    def test_fit_then_predict_gives_the_model_s_predictions(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        from mlagent.sandbox.collect import read_npy

        train, features, target = write_tables(tmp_path)
        candidate = write_candidate(tmp_path, LINEAR)
        fitted = sandbox.run(fit_job(tmp_path, candidate, train))
        assert fitted.ok, fitted.log
        facts = json.loads(fitted.files["fit.json"].path.read_text())
        assert (facts["models"], facts["finished"]) == (1, True)
        predicted = sandbox.run(
            Job(
                name="predict",
                command="predict",
                inputs={
                    "candidate": candidate,
                    "model/model.pkl": fitted.files["model.pkl"].path,
                    "features.parquet": features,
                },
                outputs={"predictions.npy": 10_000},
                into=tmp_path / "out",
                limits=LIMITS,
                code="B",
            )
        )
        values = read_npy(predicted.files["predictions.npy"].path, rows=len(target))
        np.testing.assert_allclose(values, target, atol=1e-9)

    def test_the_deadline_keeps_the_model_that_was_yielded(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        train, _, _ = write_tables(tmp_path)
        solution = """
            def fit(train, spec):
                yield {"model": 1}
                yield {"model": 2}
                while True: pass
            """
        candidate = write_candidate(tmp_path, solution)
        outcome = sandbox.run(fit_job(tmp_path, candidate, train, wall_s=3.0))
        assert outcome.verdict == "time"
        assert "model.pkl" in outcome.files
        facts = json.loads(outcome.files["fit.json"].path.read_text())
        assert (facts["models"], facts["finished"]) == (2, False)

    def test_a_fit_without_a_model_fails(self, sandbox: Sandbox, tmp_path: Path) -> None:
        train, _, _ = write_tables(tmp_path)
        candidate = write_candidate(tmp_path, "def fit(train, spec): pass")
        outcome = sandbox.run(fit_job(tmp_path, candidate, train))
        assert outcome.verdict == "exit"
        assert "no model" in outcome.sentence
        assert "model.pkl" not in outcome.files

    def test_folds_predict_held_out_rows_that_fit_never_saw(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        from mlagent.sandbox.collect import read_npy

        train, features, target = write_tables(tmp_path)
        memory = """
            import time
            def fit(train, spec):
                seen = {round(a, 9): y for a, y in zip(train["a"], train[spec["target"]])}
                yield seen
                if len(train) == 100: time.sleep(100)   # fold 2 overruns; its saved model counts
                if len(train) == 99: raise ValueError("fold 1 is odd")
            def predict(model, features):
                assert "y" not in features
                return [model.get(round(a, 9), -99.0) for a in features["a"]]
            """
        roles = np.zeros((3, len(target)), dtype=np.int8)
        for fold, number in enumerate((200, 99, 100)):
            roles[fold, :number] = 1
            roles[fold, 200 : 250 + fold] = 2
        np.save(tmp_path / "folds.npy", roles)
        candidate = write_candidate(tmp_path, memory)
        into = tmp_path / "out"
        into.mkdir()
        outcome = sandbox.run(
            Job(
                name="folds",
                command="folds",
                inputs={
                    "candidate": candidate,
                    "train.parquet": train,
                    "folds.npy": tmp_path / "folds.npy",
                    "probe.parquet": features,
                },
                outputs={"folds.json": 10_000, "oof_*.npy": 10_000, "probe.npy": 10_000},
                into=into,
                limits=replace(LIMITS, wall_s=60),
                args=("--budget-s", "-4", "--parallel", "2"),  # killed at -4 * 1.5 + 10 = 4 s
                code="B",
            )
        )
        assert outcome.ok, outcome.log
        facts = json.loads((into / "folds.json").read_text())
        assert [fold["ok"] for fold in facts] == [True, False, True]
        assert facts[1]["error"] == "ValueError: fold 1 is odd"
        assert (read_npy(into / "oof_0.npy", rows=50) == -99).all()
        assert (read_npy(into / "oof_2.npy", rows=52) == -99).all()
        assert "oof_1.npy" not in outcome.files
        probe = read_npy(into / "probe.npy", rows=300)
        np.testing.assert_allclose(probe[:200], target[:200])

    def test_a_bundle_runs_several_jobs_in_one_start(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        train, _, _ = write_tables(tmp_path)
        candidate = write_candidate(tmp_path, LINEAR)
        jobs = [
            {"command": "fit", "in": "linear", "out": "linear", "args": ["--budget-s", "1"]},
            {"command": "predict", "in": "linear", "out": "broken"},
        ]
        (tmp_path / "jobs.json").write_text(json.dumps(jobs))
        into = tmp_path / "out"
        into.mkdir()
        outcome = sandbox.run(
            Job(
                name="bundle",
                command="bundle",
                inputs={
                    "jobs.json": tmp_path / "jobs.json",
                    "linear/candidate": candidate,
                    "linear/train.parquet": train,
                },
                outputs={"bundle.json": 10_000, "linear/model.pkl": 10_000},
                into=into,
                limits=LIMITS,
                code="B",
            )
        )
        assert outcome.ok, outcome.log
        assert set(outcome.files) == {"bundle.json", "linear/model.pkl"}
        assert [job["exit_code"] for job in json.loads((into / "bundle.json").read_text())] == [
            0,
            1,
        ]

    def test_the_tier_names_its_packages_and_itself(self, sandbox: Sandbox) -> None:
        assert {"numpy", "pandas", "scikit-learn", "lightgbm", "python"} <= set(sandbox.packages())
        assert sandbox.tier in sandbox.describe()
        assert {"wall", "stdout", "environment"} <= sandbox.enforced()
