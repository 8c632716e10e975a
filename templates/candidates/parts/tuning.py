def tune(race, seconds):
    """Search settings for about `seconds`; returns the best found, None if no trial was finished.

    Trials run at a quick learning rate; the fold losses of a trial are reported one by one, so that
    Optuna can prune it.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    problem, until = race.problem, race.clock.at(seconds)
    study = optuna.create_study(
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=problem.spec["seed"], n_startup_trials=8),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    usual = {"num_leaves": 31, "min_data_in_leaf": 20, "feature_fraction": 0.8, "lambda_l2": 1.0}
    study.enqueue_trial({**usual, "bagging_fraction": 0.9, "native": True, "extra_trees": False})
    folds = race.folds(0)
    logs = may_take_logarithm(problem.target)
    pace = race.probe_pace * (race.probe_rounds + 30) * len(folds)
    rate = round(min(0.3, max(0.08, 0.1 * pace / max(seconds / 20, 1e-3))), 3)
    best = math.inf
    while time.monotonic() < until and len(study.trials) < 200:
        trial = study.ask()
        params = {**suggested(trial, logs), "learning_rate": rate, "patience": 30}
        losses = []
        for fold in folds:
            member = Member("trial", "lightgbm", params)
            member.fit(problem, 0, [fold], until)
            rows = np.flatnonzero(member.times > 0)
            losses.append(loss(problem.target.take(rows), member.held_out[rows]))
            trial.report(float(np.mean(losses)), len(losses))
            late = time.monotonic() > until
            if late or (len(losses) < len(folds) and trial.should_prune()):
                break
        if len(losses) < len(folds):
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, float(np.mean(losses)))
            best = min(best, float(np.mean(losses)))
        race.schedule["trials"] = len(study.trials)
        report(member="tuning", trial=len(study.trials), best=best)
    if not math.isfinite(best):
        return None
    return {**suggested(study.best_trial, logs)}


def suggested(trial, logs):
    """LightGBM settings of one trial."""
    params = {
        "num_leaves": trial.suggest_int("num_leaves", 4, 192, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 2, 120, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.3, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.5, 1.0),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 50.0, log=True),
        "native": trial.suggest_categorical("native", [True, False]),
        "extra_trees": trial.suggest_categorical("extra_trees", [False, True]),
    }
    if logs:
        params["log"] = trial.suggest_categorical("log", [False, True])
    return params
