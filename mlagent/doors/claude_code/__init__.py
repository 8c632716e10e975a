"""Claude Code: subagent files and a plugin out, hooks that hold contracts, files of others in."""
