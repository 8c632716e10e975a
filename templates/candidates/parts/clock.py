class Clock:
    """Seconds left of the budget. While a schedule is replayed, time does not matter."""

    def __init__(self, budget_s, replayed):
        self.started = time.monotonic()
        self.budget = math.inf if replayed else float(budget_s)
        self.reserve = 0.0 if replayed else 0.1 + 0.03 * self.budget

    def left(self):
        """Seconds until training has to stop."""
        return self.budget - self.reserve - (time.monotonic() - self.started)

    def used(self):
        """Share of the budget that is gone, 0 to 1."""
        return (time.monotonic() - self.started) / self.budget

    def at(self, seconds):
        """The moment `seconds` from now, but never later than the end."""
        return time.monotonic() + min(seconds, self.left())


def report(**facts):
    """One line of progress for whoever watches. A claim, not a score."""
    print(json.dumps({"progress": facts}), flush=True)


def save_schedule(schedule):
    """Write what was decided under the clock, so that the same fit can be repeated without it."""
    Path("schedule.json.part").write_text(json.dumps(schedule, indent=1))
    Path("schedule.json.part").replace("schedule.json")
