class TopicReader(TableReader):
    """Also summarises text in a few dense topics, which trees can read."""

    def __init__(self, columns, settings, seed):
        super().__init__(columns, settings, seed)
        self.topics = settings["topics"]

    def _learn_topics(self, words, rows):
        self.topic_models = {}
        for name, matrices in words.items():
            size = min(self.topics, matrices[0].shape[1] - 1, rows - 1)
            if size >= 1:
                model = TruncatedSVD(size, n_iter=3, random_state=self.seed)
                self.topic_models[name] = model.fit(matrices[0])

    def _topics(self, words, rows):
        columns = [model.transform(words[name][0]) for name, model in self.topic_models.items()]
        if not columns:
            return np.zeros((rows, 0), dtype=np.float32)
        return np.column_stack(columns).astype(np.float32)
