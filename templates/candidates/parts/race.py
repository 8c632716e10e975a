class Race:
    """Fits members one after the other while time lasts, and keeps the schedule of what was
    done.
    """

    def __init__(self, problem, clock, settings):
        self.problem, self.clock = problem, clock
        self.members, self.steps = [], []
        self.schedule = {"settings": settings, "members": self.steps, "iterations": 0}
        self.probe_rounds, self.probe_pace = 100, 0.01
        self.weights = np.zeros(0)
        self.kept_back = 0.0  # seconds for fitting again on all rows
        self.tails = {}  # by kind: seconds of a member, per second of its training
        self.handover_pace = 0.0  # seconds that the taker of a model needs, per round in it
        self.offers = 0
        self.blend_seconds = 0.0

    def folds(self, repeat):
        """Positions of the folds of one repeat."""
        return list(range(len(self.problem.folds(repeat))))

    def probe(self):
        """A first model on one fold, within an eighth of the budget: shows how fast rounds are."""
        member = Member("first", "lightgbm", {"learning_rate": 0.1, "most_rounds": 400})
        rounds = member.fit(self.problem, 0, [0], self.clock.at(self.clock.budget / 8))
        learner = member.parts[0].learner
        was_cut = len(learner.curve) < min(400, rounds[0] + learner.patience)
        self.tails["lightgbm"] = min(member.tail, 2.0)
        self.probe_pace = learner.pace
        self.probe_rounds = max(rounds[0], 300) if was_cut else rounds[0]
        self._note(member, 0, [0], rounds, 0 if len(self.folds(0)) == 1 else None)
        return member

    def first(self):
        """Yield a first model, on one fold. With several folds it is only for want of another."""
        self.members = [self.probe()]
        self.first_loss = self.blend()
        self.first_rows = self._judged()
        report(member="first", best=self.first_loss)
        self._save()
        yield from self._handed_over()
        if len(self.folds(0)) == 1:
            self.kept_back = 0.4 * self.clock.left()
        else:
            self.members = []

    def replayed(self, schedule):
        """The model of an earlier schedule."""
        for step in schedule["members"]:
            self.repeat(step)
        weights = schedule.get("weights", [])  # of the model that shipped, cut or not
        if len(weights) == len(self.members):
            self.weights = np.array(weights)
        else:
            self.final_blend()
        self._save()
        return self.model()

    def _save(self):
        self.schedule["weights"] = [float(weight) for weight in self.weights]
        save_schedule(self.schedule)

    def finish(self):
        """Use what is left: on one fold, fit again on all rows; else fit again on other folds."""
        if len(self.folds(0)) == 1:
            self.final_blend()
            for position in np.argsort(-self.weights):
                cost = 1.5 * self.members[position].seconds + self.handover()
                if self.weights[position] > 0 and cost < self.clock.left():
                    self.refit(int(position))
                    report(member=self.members[position].name, refit=True)
        else:
            self._repeats()
            self.final_blend()
        names = [member.name for member in self.members]
        report(weights=dict(zip(names, self.weights.round(3).tolist(), strict=True)))

    def _repeats(self):
        for repeat in (1, 2, 3):
            self.problem.forget_views(repeat - 1)
            for position in np.argsort(-self.weights):
                member = self.members[position]
                left = self.left() - self.handover_pace * rounds_in([member])
                if LEARNERS[member.kind].ships_refit or self.weights[position] < 0.05:
                    continue
                if 1.4 * member.seconds < left:
                    self.again(int(position), left / member.tail)
                    report(member=member.name, repeat=repeat)

    def run(self, entry, seconds):
        """Fit one entry of the list on all folds in about `seconds`."""
        params, seconds = self.resolved(entry, seconds)
        member = Member(entry["name"], entry["kind"], params)
        tail = self.tails.get(member.kind, 1.0)
        rounds = member.fit(self.problem, 0, self.folds(0), self.clock.at(seconds / tail))
        self.tails[member.kind] = max(tail, min(member.tail, 2.0))
        self.members.append(member)
        self._note(member, 0, self.folds(0), rounds, len(self.members) - 1)
        if LEARNERS[member.kind].ships_refit:
            self.refit(len(self.members) - 1)

    def again(self, position, seconds):
        """Fit a member once more on other folds; its predictions are averaged over both."""
        member = self.members[position]
        repeat = 1 + max(s["repeat"] for s in self.steps if s["position"] == position)
        folds = self.folds(repeat)
        rounds = member.fit(self.problem, repeat, folds, self.clock.at(seconds))
        self._note(member, repeat, folds, rounds, position)

    def refit(self, position):
        """Replace the models of a member by one that is fitted on all rows, if time allows."""
        member = self.members[position]
        if member.whole:
            return
        before = len(self.problem.folds(0)[0][0])
        rounds = min(part.rounds for part in member.parts)
        if member.kind in ("lightgbm", "catboost"):
            rounds = max(1, round(rounds * self.problem.rows / before))
        elif member.kind == "forest":
            learner = member.parts[0].learner
            share = learner.threads / self.problem.spec["threads"]
            tree = 1.3 * learner.pace * share * self.problem.rows / before
            rounds = min(rounds, int(self.left() / tree))
            if rounds < 10:
                return
        if self._refit(member, [rounds], self.clock.at(math.inf)):
            self._note(member, 0, None, [rounds], position)

    def _refit(self, member, rounds, moment):
        whole = copy.copy(member)
        whole.parts = []
        if whole.fit(self.problem, 0, [None], moment, rounds) is None:
            return False
        member.parts, member.whole = whole.parts, True
        return True

    def repeat(self, step):
        """Follow one step of an earlier schedule."""
        position = step["position"]
        if position is not None and position < len(self.members):
            member = self.members[position]
        else:
            member = Member(step["name"], step["kind"], step["params"])
            self.members.append(member)
        if step["folds"] is None:
            self._refit(member, step["rounds"], math.inf)
        else:
            member.fit(self.problem, step["repeat"], step["folds"], math.inf, step["rounds"])
        self._note(member, step["repeat"], step["folds"], step["rounds"], position)

    def _note(self, member, repeat, folds, rounds, position):
        facts = {"name": member.name, "kind": member.kind, "params": member.params}
        facts |= {"repeat": repeat, "folds": folds, "rounds": rounds, "position": position}
        if position is None or (self.steps and self.steps[0]["position"] is None):
            self.steps.clear()  # the first model is only for a budget that allows no other
        self.steps.append(facts)
        self.schedule["iterations"] += sum(rounds)

    def resolved(self, entry, seconds):
        """(settings, seconds) of an entry, with what depends on rows and time filled in."""
        params = dict(entry.get("params", {}))
        if params.get("log") == "auto":
            params["log"] = self._log_is_better()
        per_fold = max(seconds / self._folds_cost(), 1e-3)
        params, per_fold = LEARNERS[entry["kind"]].within(params, per_fold, self)
        if params.get("most_rows", 0) >= self.problem.rows:
            del params["most_rows"]
        return params, per_fold * self._folds_cost()

    def _folds_cost(self):
        """All folds in terms of one fold fitted with all threads; side by side is a bit quicker."""
        count = len(self.folds(0))
        return 0.8 * count if count > 1 else 1.0

    def most_seconds(self):
        """Most that one fold of a member may ask for: two fifths of what is left for all folds."""
        return 0.4 * (self.clock.left() - self.kept_back) / self._folds_cost()

    def _log_is_better(self):
        losses = {True: [math.inf], False: [math.inf]}
        for member in self.members:
            if member.kind == "lightgbm":
                losses[bool(member.params.get("log"))].append(self.loss_of(member))
        return min(losses[True]) < min(losses[False])

    def _judged(self):
        seen = np.all([member.times > 0 for member in self.members], axis=0)
        return np.flatnonzero(seen)

    def loss_of(self, member):
        """Held-out loss of one member."""
        rows = np.flatnonzero(member.times > 0)
        return loss(self.problem.target.take(rows), member.held_out[rows])

    def blend(self, samples=1):
        """Choose the weights anew; returns the held-out loss of the blend."""
        started = time.monotonic()
        rows = self._judged()
        target = self.problem.target.take(rows)
        predictions = [member.held_out[rows] for member in self.members]
        self.weights = choose_weights(predictions, target, samples, self.problem.spec["seed"])
        mixed = sum(w * p for w, p in zip(self.weights, predictions, strict=True))
        self.blend_seconds = (time.monotonic() - started) / samples
        return loss(target, mixed)

    def handover(self):
        """Seconds that whoever takes the ensemble will need, going by what the last one took."""
        pairs = zip(self.weights, self.members, strict=False)
        return self.handover_pace * rounds_in(member for w, member in pairs if w > 0)

    def _handed_over(self):
        started = time.monotonic()
        yield self.model()
        rounds = rounds_in(m for w, m in zip(self.weights, self.members, strict=True) if w > 0)
        self.handover_pace = (time.monotonic() - started) / max(rounds, 1)

    def final_blend(self):
        """The last choice of weights; averaged over samples of rows on small tables."""
        rows = self.problem.rows
        return self.blend(8 if rows < 2_000 else 4 if rows < 5_000 else 1)

    def offer(self):
        """Yield the ensemble as it stands, its schedule saved; nothing if it is of no use.

        It is not when it comes too late to be saved, or is far worse than the first model because
        the clock cut every member short. The first model chose its rounds on the rows that judge
        it, so it looks a little better than it is: a quarter of its gain is allowed.
        """
        late = self.handover() > self.clock.left() + 0.05 * self.clock.budget + 0.5
        if self.offers and late:
            return
        rows = self.first_rows
        target = self.problem.target.take(rows)
        pairs = zip(self.weights, self.members, strict=True)
        mixed = sum(w * member.held_out[rows] for w, member in pairs)
        prior = np.broadcast_to(self.problem.target.prior(), mixed.shape)
        allowed = 0.75 * self.first_loss + 0.25 * max(self.first_loss, loss(target, prior))
        if loss(target, mixed) <= allowed:
            self.offers += 1
            self._save()
            yield from self._handed_over()

    def left(self):
        """Seconds until the last choice of weights has to begin, and then the last handover."""
        samples = 8 if self.problem.rows < 2_000 else 4 if self.problem.rows < 5_000 else 1
        return self.clock.left() - 1.3 * samples * self.blend_seconds - 1.2 * self.handover()

    def model(self):
        """The ensemble as it stands."""
        return Ensemble(self.problem, self.members, self.weights, self.schedule)


def rounds_in(members):
    """Rounds of all the models in some members."""
    return sum(part.rounds for member in members for part in member.parts)
