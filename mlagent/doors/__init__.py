"""Other ways in: Claude Code, MCP, pull requests. Each calls the orchestrator as `cli/` does."""
