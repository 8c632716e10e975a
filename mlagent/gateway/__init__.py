"""The one way to a language model: metered, with retries, and every byte on disk."""
