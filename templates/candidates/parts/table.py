class Table(NamedTuple):
    """A table in numbers; what every view below starts from.

    numbers (n, p) float32, NaN is missing; codes (n, q) int32, -1 is missing or never seen;
    topics (n, s) float32, a dense summary of the text; words (n, v) TF-IDF or None.
    """

    numbers: np.ndarray
    codes: np.ndarray
    topics: np.ndarray
    words: object

    def take(self, rows):
        """The same table with some of its rows."""
        words = None if self.words is None else self.words[rows]
        return Table(self.numbers[rows], self.codes[rows], self.topics[rows], words)


def as_numbers(column):
    """Any column as float64; text is stripped of blanks and thousands commas, infinite is
    missing.
    """
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        values = column.to_numpy(dtype=np.float64)
    else:
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        failed = np.isnan(values) & column.notna().to_numpy()
        if failed.any():
            texts = column[failed].astype(str).str.strip().str.replace(",", "", regex=False)
            values = values.copy()
            values[failed] = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def as_days(column):
    """A datetime column as days since 1970, float64, NaN is missing."""
    moments = pd.to_datetime(column, errors="coerce")
    if getattr(moments.dtype, "tz", None) is not None:
        moments = moments.dt.tz_convert(None)
    return ((moments - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(dtype=np.float64)


def date_parts(days):
    """Days since 1970 -> year, month, day, weekday (Monday is 0) and day of the year; NaN stays
    NaN.
    """
    gaps = ~np.isfinite(days)
    dates = np.floor(np.where(gaps, 0.0, days)).astype("int64").astype("datetime64[D]")
    years, months = dates.astype("datetime64[Y]"), dates.astype("datetime64[M]")
    parts = {
        "year": years.astype("int64") + 1970,
        "month": months.astype("int64") % 12 + 1,
        "day": (dates - months).astype("int64") + 1,
        "weekday": (dates.astype("int64") + 3) % 7,
        "day of year": (dates - years).astype("int64") + 1,
    }
    return {name: np.where(gaps, np.nan, values) for name, values in parts.items()}


def label_codes(column):
    """A category column as (codes into labels, labels): stripped texts; None (and -1) is
    missing.
    """
    codes, values = pd.factorize(column)
    labels = np.empty(len(values) + 1, dtype=object)
    for position, value in enumerate(values):
        number = isinstance(value, (bool, int, float, np.number, np.bool_))
        labels[position] = (f"{float(value):.12g}" if number else str(value).strip()) or None
    return codes, labels


def as_labels(column):
    """A category column as an object array of stripped texts; None is missing."""
    codes, labels = label_codes(column)
    return labels[codes]


def as_texts(column):
    """A text column as a list of strings, cut at 2,000 characters; missing is empty."""
    return [v[:2000] if isinstance(v, str) else "" for v in column.astype(object)]


def label_order(label):
    """Sort key that puts '2' before '10' and '< 5' before '5 - 9'."""
    found = re.search(r"\d+(?:\.\d+)?", label)
    return (0, float(found.group()), label) if found else (1, 0.0, label)


class TableReader:
    """Reads the raw table by the roles in the spec. Learns from training rows, not from the target.

    Numbers stay numbers, datetimes become parts and differences, categories become codes (with
    their frequency, and prefix and number where they look like 'C85'), text becomes TF-IDF. Columns
    with role id, constant or excluded are ignored.
    """

    def __init__(self, columns, settings, seed):
        self.roles = {name: facts["role"] for name, facts in columns.items()}
        self.text_grams, self.seed = settings["text"], seed

    def named(self, *roles):
        """Names of the columns with one of the roles."""
        return [name for name, role in self.roles.items() if role in roles]

    def fit(self, frame):
        """Learn vocabularies and which derived columns are worth keeping. Returns the training
        Table.
        """
        self.vocabularies, self.counts, self.mixed, self.wordy = {}, {}, set(), []
        for name in self.named("category"):
            self._learn_category(name, as_labels(frame[name]))
        self.first_day = {}
        for name in self.named("datetime"):
            days = as_days(frame[name])
            self.first_day[name] = float(np.nanmin(days)) if np.isfinite(days).any() else 0.0
        self.vectorizers = {}
        numbers, names = self._numbers(frame)
        lowest = np.fmin.reduce(numbers, axis=0) if len(numbers) else np.zeros(0)
        highest = np.fmax.reduce(numbers, axis=0) if len(numbers) else np.zeros(0)
        gaps = np.isnan(numbers).any(axis=0)
        self.kept = np.flatnonzero((highest > lowest) | (gaps & np.isfinite(highest)))
        self.number_names = [names[i] for i in self.kept]
        numbers = np.ascontiguousarray(numbers[:, self.kept])
        words = self._learn_words(frame)
        topics = self._topics(words, len(frame))
        return Table(numbers, self._codes(frame), topics, self._joined(words))

    def transform(self, frame):
        """The Table of new rows."""
        numbers = np.ascontiguousarray(self._numbers(frame)[0][:, self.kept])
        words = {
            name: [part.transform(as_texts(frame[name])) for part in parts]
            for name, parts in self.vectorizers.items()
        }
        topics = self._topics(words, len(frame))
        return Table(numbers, self._codes(frame), topics, self._joined(words))

    def _learn_category(self, name, labels):
        counts = pd.Series(labels, dtype=object).value_counts()
        rows = max(int(counts.sum()), 1)
        distinct = len(counts)
        repeated = counts[counts > 1]
        if distinct > 30:
            shown = pd.Series(counts.index[:500], dtype=object)
            mixed = shown.str.contains(r"\d") & shown.str.contains(r"[^\W\d]")
            if mixed.mean() > 0.3:
                self.mixed.add(name)
            if distinct > 100 and shown.str.contains(r"\w\W+\w").mean() > 0.5:
                self.wordy.append(name)
        if distinct > 100 and repeated.sum() < 0.05 * rows:
            return
        counts = counts if distinct <= 100 else repeated[:20000]
        self.vocabularies[name] = pd.Index(sorted(counts.index, key=label_order), dtype=object)
        if distinct > 20:
            self.counts[name] = np.log1p(counts.reindex(self.vocabularies[name]).to_numpy(float))
        if name in self.mixed:
            prefixes = sorted({self._prefix(label) for label in counts.index})
            if 1 < len(prefixes) < 0.8 * len(counts):
                self.vocabularies[name, "prefix"] = pd.Index(prefixes, dtype=object)

    @staticmethod
    def _prefix(label):
        return re.match(r"[^\d]*", label).group().strip()

    def _codes(self, frame):
        columns = []
        for key, vocabulary in self.vocabularies.items():
            codes, labels = label_codes(frame[key[0] if isinstance(key, tuple) else key])
            if isinstance(key, tuple):
                labels = np.array([v and self._prefix(v) for v in labels], dtype=object)
            columns.append(vocabulary.get_indexer(pd.Index(labels, dtype=object))[codes])
        if not columns:
            return np.zeros((len(frame), 0), dtype=np.int32)
        return np.column_stack(columns).astype(np.int32)

    def _numbers(self, frame):
        columns, names = [], []

        def add(name, values):
            names.append(name)
            columns.append(np.clip(values, -3e38, 3e38).astype(np.float32))

        for name in self.named("number"):
            add(name, as_numbers(frame[name]))
        days = {name: as_days(frame[name]) for name in self.named("datetime")}
        for name, values in days.items():
            for part, number in date_parts(values).items():
                add(f"{name} {part}", number)
            add(f"{name} hour", np.round(24 * (values - np.floor(values)), 3))
            add(f"{name} days", values - self.first_day[name])
        for first, second in list(itertools.combinations(days, 2))[:10]:
            add(f"{second} - {first} (hours)", 24 * (days[second] - days[first]))
        for name in self.counts:
            codes, labels = label_codes(frame[name])
            places = self.vocabularies[name].get_indexer(pd.Index(labels, dtype=object))
            add(f"{name} frequency", np.append(self.counts[name], 0.0)[places][codes])
        for name in sorted(self.mixed):
            codes, labels = label_codes(frame[name])
            found = [re.search(r"\d{1,15}", v or "") for v in labels]
            numbers = np.array([float(hit.group()) if hit else np.nan for hit in found])
            add(f"{name} number", numbers[codes])
        for name in self.named("text"):
            texts = as_texts(frame[name])
            length = np.array([len(t) for t in texts], dtype=np.float64)
            add(f"{name} length", length)
            add(f"{name} words", np.array([len(t.split()) for t in texts], dtype=np.float64))
            for what, pattern in (("digits", r"\d"), ("capitals", r"[A-Z]"), ("marks", r"[!?$£€]")):
                search = re.compile(pattern).findall
                found = np.array([len(search(t)) for t in texts], dtype=np.float64)
                add(f"{name} share of {what}", found / np.maximum(length, 1.0))
        if not columns:
            return np.zeros((len(frame), 0), dtype=np.float32), names
        return np.column_stack(columns), names

    def _learn_words(self, frame):
        words = {}
        if self.text_grams == "none":
            return words
        for name in self.named("text") + self.wordy:
            texts = as_texts(frame[name])
            parts = [
                TfidfVectorizer(
                    ngram_range=(1, 2), min_df=2, max_features=20000, sublinear_tf=True,
                    strip_accents="unicode", token_pattern=r"(?u)\b\w+\b", dtype=np.float32,
                )
            ]  # fmt: skip
            if self.text_grams == "words and characters":
                parts.append(
                    TfidfVectorizer(
                        analyzer="char_wb", ngram_range=(2, 4), min_df=3, max_features=30000,
                        sublinear_tf=True, dtype=np.float32,
                    )
                )  # fmt: skip
            kept = []
            for part in parts:
                try:
                    matrix = part.fit_transform(texts)
                except ValueError:  # no word occurs twice
                    continue
                kept.append(part)
                words.setdefault(name, []).append(matrix)
            if kept:
                self.vectorizers[name] = kept
        self._learn_topics(words, len(frame))
        return words

    def _learn_topics(self, words, rows):
        """Nothing, for a reader without topics."""

    def _topics(self, words, rows):
        return np.zeros((rows, 0), dtype=np.float32)

    @staticmethod
    def _joined(words):
        matrices = [matrix for parts in words.values() for matrix in parts]
        return sparse.hstack(matrices, format="csr") if matrices else None
