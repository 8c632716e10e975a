def main():
    """python solution.py train.csv test.csv: writes predictions.csv beside this file."""
    here = Path(__file__).resolve().parent
    spec = json.loads((here / "spec.json").read_text(encoding="utf-8"))
    train, test = (read_csv(path, spec) for path in sys.argv[1:3])
    fitted = fit(train, spec)
    model = None
    for model in fitted if hasattr(fitted, "__next__") else [fitted]:
        pass
    prediction = np.asarray(predict(model, test.drop(columns=spec["target"], errors="ignore")))
    if prediction.ndim == 1:
        table = pd.DataFrame({"prediction": prediction})
    else:
        table = pd.DataFrame(prediction, columns=spec["classes"])
    table.to_csv(here / "predictions.csv", index=False)
    print(f"{len(table)} predictions written to predictions.csv")


def read_csv(path, spec):
    """Read everything as text, then type each column as the spec says; what fails is missing."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=["", "NA", "NaN", "null"])
    for name, column in spec["columns"].items():
        if name not in frame:
            frame[name] = None
        if column["dtype"] in ("float64", "int64"):
            frame[name] = as_numbers(frame[name].astype(object))
        elif column["dtype"] == "bool":
            words = {"true": 1.0, "1": 1.0, "yes": 1.0, "false": 0.0, "0": 0.0, "no": 0.0}
            frame[name] = frame[name].str.strip().str.lower().map(words)
        elif column["dtype"] == "datetime64":
            frame[name] = pd.to_datetime(frame[name], errors="coerce", format="mixed")
    if spec["task"] == "regression" and spec["target"] in frame:
        frame[spec["target"]] = as_numbers(frame[spec["target"]].astype(object))
    return frame


if __name__ == "__main__":
    main()
