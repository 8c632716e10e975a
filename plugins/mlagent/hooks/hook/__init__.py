"""What Claude Code runs as a hook: the standard library and this folder only, copied by `export`.

It imports nothing of mlagent and works under `python3 -I -S`, so that it starts in milliseconds and
needs no environment. `policy.json`, which `export` writes beside it, holds the contracts.
"""
