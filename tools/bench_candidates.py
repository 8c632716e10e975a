"""A fast local look at the candidates on practice tables: 80/20 by seed, scored here, prints only.

Not the referee: no sandbox, types guessed by pandas. Use it to compare templates side by side.

    python tools/bench_candidates.py --datasets FOLDER --names option_c,hgb,lgbm --budget 40
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd


def typed(frame: pd.DataFrame, meta: dict) -> tuple[pd.DataFrame, dict]:
    """Guess roles and dtypes; ids as meta.json says."""
    columns, made = {}, {}
    for name in frame.columns:
        if name == meta["target"]:
            values = frame[name]
            made[name] = values.astype(float) if meta["task"] == "regression" else values
            continue
        texts = frame[name].str.strip()
        texts = texts.mask(texts.isin(["", "NA", "?", "NaN", "nan", "null"]))
        known = texts.dropna()
        numbers = pd.to_numeric(known, errors="coerce")
        distinct = known.nunique()
        if name in meta["id_columns"]:
            columns[name], made[name] = {"role": "id", "dtype": "str"}, texts
        elif distinct <= 1 and len(known) == len(texts):
            columns[name], made[name] = {"role": "constant", "dtype": "str"}, texts
        elif numbers.notna().mean() > 0.98:
            columns[name] = {"role": "number", "dtype": "float64"}
            made[name] = pd.to_numeric(texts, errors="coerce")
        elif known.head(50).str.match(r"\d{4}-\d\d-\d\d").all():
            columns[name] = {"role": "datetime", "dtype": "datetime64"}
            made[name] = pd.to_datetime(texts, errors="coerce")
        else:
            long = known.str.split().str.len().mean() > 2.5 and distinct > 0.5 * len(known)
            columns[name] = {"role": "text" if long else "category", "dtype": "str"}
            made[name] = texts.astype(object).where(texts.notna(), None)
    return pd.DataFrame(made, columns=list(frame.columns)), columns


def prepared(root: Path, name: str, seed: int):
    """(meta, train, test features, test target, spec columns, classes)."""
    from sklearn.model_selection import train_test_split

    meta = json.loads((root / name / "meta.json").read_text())
    frame = pd.read_csv(
        root / name / f"{name}.csv", dtype=str, keep_default_na=False, na_filter=False
    )
    y = frame[meta["target"]]
    strata = None
    if meta["task"] != "regression":
        counts = y.value_counts()
        strata = y.where(y.map(counts) >= 2, counts.index[0])
    first, second = train_test_split(
        np.arange(len(frame)), test_size=0.2, random_state=seed, stratify=strata
    )
    frame, columns = typed(frame.drop(columns=meta["leakage_columns"]), meta)
    classes = sorted(set(y)) if meta["task"] != "regression" else []
    if meta.get("positive"):
        classes.sort(key=lambda label: label == meta["positive"])
    test = frame.iloc[second].reset_index(drop=True)
    truth = test.pop(meta["target"])
    return meta, frame.iloc[first].reset_index(drop=True), test, truth, columns, classes


def scores(meta: dict, truth: pd.Series, prediction: np.ndarray, classes: list[str]):
    """Per-row losses or the vectors needed for the metric, and the metric."""
    from sklearn.metrics import roc_auc_score

    if meta["task"] == "regression":
        return float(np.sqrt(np.mean((truth.to_numpy() - prediction) ** 2)))
    if meta["task"] == "binary":
        return float(roc_auc_score(truth == classes[1], prediction))
    shares = np.clip(prediction, 1e-6, 1 - 1e-6)
    shares = shares / shares.sum(axis=1, keepdims=True)
    position = pd.Index(classes).get_indexer(truth)
    return float(-np.mean(np.log(shares[np.arange(len(truth)), position])))


def plug_in(name, train, test, meta, classes):
    """hgb and lgbm as in the shared bench: defaults, ordinal codes, ids kept as given."""
    import lightgbm
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    y = train[meta["target"]]
    x = train.drop(columns=meta["target"]).copy()
    test = test.copy()
    categories = []
    for column in x.columns:
        as_numbers = pd.to_numeric(x[column], errors="coerce")
        if str(x[column].dtype).startswith("datetime"):
            x[column], test[column] = x[column].astype(str), test[column].astype(str)
            as_numbers = as_numbers * np.nan
        if as_numbers.notna().sum() == x[column].notna().sum():
            x[column] = as_numbers
            test[column] = pd.to_numeric(test[column], errors="coerce")
            continue
        codes = {v: i for i, v in enumerate(sorted(x[column].dropna().astype(str).unique()))}
        x[column] = x[column].astype(object).map(codes).astype(float)
        test[column] = test[column].astype(object).map(codes).astype(float)
        categories.append(column)
    regression = meta["task"] == "regression"
    if name == "hgb":
        kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        model = kind(random_state=0).fit(x.to_numpy(float), y.to_numpy())
        test = test.to_numpy(float)
    else:
        kind = lightgbm.LGBMRegressor if regression else lightgbm.LGBMClassifier
        for column in categories:
            dtype = pd.CategoricalDtype(sorted(x[column].dropna().unique()))
            x[column], test[column] = x[column].astype(dtype), test[column].astype(dtype)
        x.columns = test.columns = [f"f{i}" for i in range(x.shape[1])]
        model = kind(random_state=0, n_jobs=2, verbose=-1).fit(x, y.to_numpy())
    if regression:
        return model.predict(test)
    shares = model.predict_proba(test)
    order = [list(model.classes_).index(c) for c in classes if c in model.classes_]
    full = np.zeros((len(test), len(classes)))
    full[:, [i for i, c in enumerate(classes) if c in model.classes_]] = shares[:, order]
    return full[:, 1] if meta["task"] == "binary" else full


def child(root: Path, name: str, system: str, budget: float, seed: int, verbose: bool) -> None:
    """One table, one system, in this process; the last line printed is the result as JSON."""
    meta, train, test, truth, columns, classes = prepared(root, name, seed)
    started = time.monotonic()
    if system in ("hgb", "lgbm"):
        prediction = plug_in(system, train, test, meta, classes)
        fit_s, size, predict_s, yields = time.monotonic() - started, 0, 0.0, 1
    else:
        from mlagent.content import Content
        from mlagent.contracts.candidate import CandidateSpec
        from mlagent.templates.candidates import default_members, render_candidate

        members = ()
        if system == "option_c":
            members = default_members(meta["task"], len(train), len(columns), budget)
        kind = "random" if meta["task"] == "regression" else "stratified"
        spec = CandidateSpec(
            task=meta["task"], target=meta["target"], classes=classes, metric=meta["metric"],
            direction="maximize" if meta["metric"] == "roc_auc" else "minimize", columns=columns,
            split={"kind": kind}, budget_s=budget, threads=2, seed=0, members=members,
        )  # fmt: skip
        folder = Path(tempfile.mkdtemp())
        render_candidate(Content(), system, spec, folder)
        loader = importlib.util.spec_from_file_location("solution", folder / "solution.py")
        solution = importlib.util.module_from_spec(loader)
        sys.modules["solution"] = solution
        loader.loader.exec_module(solution)
        os.chdir(folder)
        started = time.monotonic()
        spec = json.loads((folder / "spec.json").read_text())
        made = solution.fit(train, spec)
        yields, size, saved = 0, 0, None
        for model in made if hasattr(made, "__next__") else [made]:
            saved = pickle.dumps(model, protocol=5)
            yields, size = yields + 1, len(saved)
        fit_s = time.monotonic() - started
        started = time.monotonic()
        prediction = solution.predict(pickle.loads(saved), test)
        predict_s = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if os.environ.get("SAVE"):
        np.save(f"{os.environ['SAVE']}/{name}__{system}.npy", prediction)
    value = scores(meta, truth, prediction, classes)
    facts = {"score": value, "fit_s": round(fit_s, 1), "predict_s": round(predict_s, 2)}
    print(json.dumps({**facts, "model_mb": size >> 20, "yields": yields, "peak_mb": peak}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--names", default="hgb,lgbm,option_c")
    parser.add_argument("--budget", type=float, default=40.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--child", nargs=2)
    given = parser.parse_args()
    root = given.datasets.resolve()
    if given.child:
        child(root, *given.child, given.budget, given.seed, given.verbose)
        return
    names = (
        given.only.split(",")
        if given.only
        else sorted(p.parent.name for p in root.glob("*/meta.json"))
    )
    for name in names:
        row = []
        for system in given.names.split(","):
            command = [sys.executable, "-W", "ignore", __file__, "--datasets", str(root)]
            command += ["--budget", str(given.budget), "--seed", str(given.seed)]
            command += ["--child", name, system]
            done = subprocess.run(command, capture_output=True, text=True)
            lines = done.stdout.strip().splitlines()
            if given.verbose:
                print("\n".join(lines[:-1]))
            if done.returncode:
                row.append(f"{system}: FAILED {done.stderr[-2000:]}")
                continue
            facts = json.loads(lines[-1])
            row.append(
                f"{system}: {facts['score']:.5g} ({facts['fit_s']}s +{facts['predict_s']}s "
                f"{facts['model_mb']}MB peak {facts['peak_mb']})"
            )
        print(f"{name:20} " + " | ".join(row), flush=True)


if __name__ == "__main__":
    main()
