"""Runs one command on a candidate, inside the sandbox: `python3 -u -B -P -s runner.py COMMAND
--in DIR --out DIR`.

Guarantees: `fit` never sees a held-out row's target, `predict` sees features only; a model that
`fit` yielded is on disk, complete, before `fit` is asked for a better one; predictions leave as
float64 `.npy`, converted and not repaired. Does not guarantee anything about the candidate's
honesty: the referee scores outside, and the isolation is the sandbox's. Stands alone: the
standard library, numpy, pandas and duckdb; nothing of mlagent.

Commands: fit, predict, folds, script, bundle, probe-packages. Exit code 1 with a traceback when
the candidate fails.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib
import importlib.util
import inspect
import json
import os
import pickle
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRACE = 1.5, 10.0
"""A fold's process is killed at budget * GRACE[0] + GRACE[1] seconds: the candidate may overrun a
little.
"""
POLL_S = 0.01
STARTED = time.monotonic()


def read_table(path: Path) -> Any:
    """The Parquet file as a DataFrame: float64, int64, bool, str or datetime64; a missing integer
    makes float64.
    """
    import duckdb

    settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    with duckdb.connect(":memory:", config=settings) as connection:
        frame = connection.execute("SELECT * FROM read_parquet(?)", [str(path)]).df()
    for place, dtype in enumerate(frame.dtypes):
        if str(dtype) in ("Int64", "boolean"):
            frame.isetitem(place, frame.iloc[:, place].astype("float64"))
    return frame


def read_spec(folder: Path, budget_s: float | None) -> dict[str, Any]:
    """spec.json as a dict; `budget_s` wins over the one in the file."""
    spec: dict[str, Any] = json.loads((folder / "spec.json").read_text("utf-8"))
    if budget_s is not None:
        spec["budget_s"] = budget_s
    return spec


def load_solution(folder: Path) -> Any:
    """candidate/solution.py as the module `solution`, so that pickles refer to it by that name."""
    sys.path.insert(0, str(folder))
    return importlib.import_module("solution")


def write_json(path: Path, value: Any) -> None:
    """Write by rename, so that a reader never sees half a file."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value), "utf-8")
    part.replace(path)


def save_model(model: Any, path: Path) -> None:
    """Pickle (protocol 5) by rename. The model before stays whole until this one is."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        pickle.dump(model, file, protocol=5)
    part.replace(path)


def save_array(values: Any, path: Path) -> None:
    """float64 `.npy` by rename. No repair: a wrong shape or a NaN goes out as it is."""
    import numpy

    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        numpy.save(file, numpy.asarray(values, dtype="float64", order="C"), allow_pickle=False)
    part.replace(path)


def fit_model(solution: Any, train: Any, spec: dict[str, Any], out: Path) -> None:
    """Call `solution.fit`; leaves model.pkl and fit.json in `out`. Raises ValueError when no
    model came.
    """
    started = time.perf_counter()
    models = 0

    def keep(model: Any) -> None:
        nonlocal models
        seconds = time.perf_counter() - started
        save_model(model, out / "model.pkl")
        models += 1
        report(seconds, finished=False)

    def report(seconds: float, finished: bool) -> None:
        facts = {"fit_seconds": seconds, "models": models, "finished": finished}
        write_json(out / "fit.json", facts)

    result = solution.fit(train, spec)
    if inspect.isgenerator(result):
        while True:
            try:
                keep(next(result))
            except StopIteration as end:
                if end.value is not None:
                    keep(end.value)
                break
    elif result is not None:
        keep(result)
    if not models:
        raise ValueError("fit() returned and yielded no model")
    report(time.perf_counter() - started, finished=True)


def predict_with(solution: Any, model_path: Path, features: Any, out: Path) -> None:
    """Load the model (sandbox only: a pickle is code) and write its predictions for `features`."""
    with model_path.open("rb") as file:
        model = pickle.load(file)
    save_array(solution.predict(model, features), out)


def command_fit(args: argparse.Namespace) -> None:
    spec = read_spec(args.input / "candidate", args.budget_s)
    solution = load_solution(args.input / "candidate")
    fit_model(solution, read_table(args.input / "train.parquet"), spec, args.out)


def command_predict(args: argparse.Namespace) -> None:
    solution = load_solution(args.input / "candidate")
    features = read_table(args.input / "features.parquet")
    predict_with(
        solution, args.input / "model" / "model.pkl", features, args.out / "predictions.npy"
    )


def command_script(args: argparse.Namespace) -> None:
    sys.path.insert(0, str(args.input))
    spec = importlib.util.spec_from_file_location("script", args.input / "script.py")
    if spec is None or spec.loader is None:
        raise ValueError("script.py cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules["script"] = module
    spec.loader.exec_module(module)
    module.main(args.input, args.out)


def command_probe_packages(args: argparse.Namespace) -> None:
    from importlib.metadata import distributions

    found = {(d.metadata["Name"] or "").lower(): d.version for d in distributions()}
    found["python"] = ".".join(map(str, sys.version_info[:3]))
    print(json.dumps(found, sort_keys=True))


def die_with_parent() -> None:
    """Ask the Linux kernel to kill this process when the one that started it ends
    (PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def fork(work: Callable[[], None], folder: Path) -> int:
    """Run `work` in a child process with cwd `folder`; its last traceback line lands in
    folder/error.txt.

    The child leads its own process group (so that its own children can be killed with it) and
    dies with us.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():  # BLAS threads are fork-safe by pthread_atfork
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgid(0, 0)
        if sys.platform == "linux":
            die_with_parent()
        os.chdir(folder)
        work()
        code = 0
    except BaseException as problem:
        traceback.print_exc()
        last = traceback.format_exception_only(problem)[-1].strip().replace("\n", " ")
        (folder / "error.txt").write_text(last[:2000], "utf-8", "replace")
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def ended(pid: int, deadline: float) -> int | None:
    """Exit code of a child (negative: signal), or None while it runs. Past the deadline it is
    killed: -9.
    """
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done and time.monotonic() > deadline:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        done, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if done else None


@dataclass
class Fold:
    """One fold on its way: fit in one child, then predict in another that has only features and
    the model.
    """

    number: int
    fit: Callable[[Path], None]
    predict: Callable[[Path], None]
    folder: Path
    limit_s: float
    pid: int = 0
    stage: str = "fit"
    began: float = 0.0

    def __post_init__(self) -> None:
        self.facts: dict[str, Any] = {
            "fold": self.number,
            "ok": False,
            "fit_from": round(time.monotonic() - STARTED, 3),
            "fit_seconds": None,
            "predict_seconds": None,
            "error": "",
        }
        self._start("fit", self.fit)

    def _start(self, stage: str, work: Callable[[Path], None]) -> None:
        self.stage, self.began = stage, time.monotonic()
        self.pid = fork(lambda: work(self.folder), self.folder)

    def finished(self) -> bool:
        """Poll; moves from fit to predict. True once both are over."""
        code = ended(self.pid, self.began + self.limit_s)
        if code is None:
            return False
        seconds = time.monotonic() - self.began
        self.facts[f"{self.stage}_seconds"] = round(seconds, 3)
        if self.stage == "fit" and (code == 0 or seconds > self.limit_s) and self._has_model():
            if code == 0:
                report = json.loads((self.folder / "fit.json").read_text("utf-8"))
                self.facts["fit_seconds"] = round(report["fit_seconds"], 3)
            self._start("predict", self.predict)
            return False
        self.facts["ok"] = self.stage == "predict" and code == 0
        if not self.facts["ok"]:
            self.facts["error"] = self._why(code, seconds)
        return True

    def _has_model(self) -> bool:
        return (self.folder / "model.pkl").exists()

    def _why(self, code: int, seconds: float) -> str:
        if seconds > self.limit_s:
            return f"{self.stage} was killed after {seconds:.0f} s" + (
                " and had left no model" if self.stage == "fit" else ""
            )
        note = self.folder / "error.txt"
        if note.exists():
            return note.read_text("utf-8", "replace")
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"{self.stage} {how}"


def fold_share(number: int, folds: int, parallel: int, threads: int) -> tuple[int, float]:
    """(threads, share of the budget) of one fold.

    `parallel` folds run side by side, each with its part of the threads. The last ones, when they
    are fewer, have more threads each and so less time, but never less than half.
    """
    last = folds % parallel
    if number < folds - last:
        return max(1, threads // parallel), 1.0
    return max(1, threads // last), max(0.5, last / parallel)


def limit_threads(threads: int) -> None:
    """Of BLAS and OpenMP in this process: folds side by side would spin on each other's cores, and
    a fit of matrices takes ten times as long.
    """
    with contextlib.suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads)  # for good: this process ends with the fold


def command_folds(args: argparse.Namespace) -> None:
    """Every fold in processes of its own, `--parallel` at a time. For class B code only.

    schedules.json, when it is there: number of the fold -> the schedule that its fit follows.
    """
    import numpy

    candidate = args.input / "candidate"
    whole = read_spec(candidate, args.budget_s)
    limit_s = float(whole["budget_s"]) * GRACE[0] + GRACE[1]
    train = read_table(args.input / "train.parquet")
    roles = numpy.load(args.input / "folds.npy", allow_pickle=False)
    if roles.ndim != 2 or roles.shape[1] != len(train):
        raise ValueError(f"folds.npy has shape {roles.shape}, the table has {len(train)} rows")
    probe = args.input / "probe.parquet"
    solution = load_solution(candidate)
    followed = args.input / "schedules.json"
    schedules = json.loads(followed.read_text("utf-8")) if followed.exists() else {}

    def start(number: int) -> Fold:
        threads, share = fold_share(number, len(roles), args.parallel, int(whole.get("threads", 1)))
        spec = {**whole, "threads": threads, "budget_s": whole["budget_s"] * share}
        spec["replay"] = schedules.get(str(number))  # never that of the fit on all rows

        def fit(folder: Path) -> None:
            limit_threads(threads)
            rows = train[roles[number] == 1].reset_index(drop=True)
            fit_model(solution, rows, spec, folder)

        def predict(folder: Path) -> None:
            limit_threads(threads)
            features = train.drop(columns=[spec["target"]])
            held_out = features[roles[number] == 2].reset_index(drop=True)
            predict_with(solution, folder / "model.pkl", held_out, args.out / f"oof_{number}.npy")
            if number == 0 and probe.exists():
                table = read_table(probe)
                predict_with(solution, folder / "model.pkl", table, args.out / "probe.npy")

        return Fold(number, fit, predict, args.out / f".fold_{number}", limit_s)

    waiting, running, done = list(range(len(roles))), [], []
    while waiting or running:
        while waiting and len(running) < args.parallel:
            running.append(start(waiting.pop(0)))
        for fold in [fold for fold in running if fold.finished()]:
            running.remove(fold)
            done.append(fold.facts)
            write_json(args.out / "folds.json", sorted(done, key=lambda facts: facts["fold"]))
            schedule = fold.folder / "schedule.json"
            if schedule.is_file():
                schedule.replace(args.out / f"schedule_{fold.number}.json")
            shutil.rmtree(fold.folder, ignore_errors=True)
        time.sleep(POLL_S)


def command_bundle(args: argparse.Namespace) -> None:
    """jobs.json: a list of {command, in, out, args, wall_s}; `in` and `out` are folders below
    ours. Class B only.

    A job that fails does not stop the next. bundle.json gets one {command, out, exit_code,
    wall_s} for each.
    """
    for name in ("numpy", "pandas", "duckdb"):
        importlib.import_module(name)
    done: list[dict[str, Any]] = []
    for job in json.loads((args.input / "jobs.json").read_text("utf-8")):
        source, target = args.input / job["in"], args.out / job["out"]
        words = [job["command"], "--in", str(source), "--out", str(target), *job.get("args", [])]
        began = time.monotonic()
        pid = fork(lambda words=words: run(words), target)
        deadline = began + float(job.get("wall_s", float("inf")))
        while (code := ended(pid, deadline)) is None:
            time.sleep(POLL_S)
        wall_s = round(time.monotonic() - began, 3)
        done.append(
            {"command": job["command"], "out": job["out"], "exit_code": code, "wall_s": wall_s}
        )
        write_json(args.out / "bundle.json", done)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "fit": command_fit,
    "predict": command_predict,
    "folds": command_folds,
    "script": command_script,
    "bundle": command_bundle,
    "probe-packages": command_probe_packages,
}


def run(words: list[str]) -> None:
    """Parse and run one command. Raises whatever the candidate raises."""
    parser = argparse.ArgumentParser(prog="runner.py")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--in", dest="input", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget-s", type=float)
    parser.add_argument("--parallel", type=int, default=1)
    args = parser.parse_args(words)
    args.input, args.out = args.input.resolve(), args.out.resolve()
    os.chdir(args.out)
    COMMANDS[args.command](args)


def main() -> None:
    """Leaves by os._exit, so that a thread that the candidate left behind cannot hold the sandbox
    open.
    """
    code = 0
    try:
        if os.environ.get("MLAGENT_DIE_WITH_PARENT") and sys.platform == "linux":
            die_with_parent()
        run(sys.argv[1:])
    except SystemExit as leave:  # argparse, or a candidate that calls sys.exit: no success
        traceback.print_exc() if leave.code in (0, None) else None
        code = leave.code if isinstance(leave.code, int) and leave.code else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
