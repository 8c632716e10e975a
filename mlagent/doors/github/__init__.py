"""The door for pull requests: a report as a record, one comment that shows it."""
