"""What stays on disk: the journal, run folders, the project's seals and tries."""
