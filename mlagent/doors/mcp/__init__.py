"""`mlagent mcp`: the team as a Model Context Protocol server over stdio (extra `mlagent[mcp]`).

Ten tools, three resource templates and two prompts over the same functions that the command line
calls. Guarantees: stdout carries the protocol and nothing else; only paths below the client's
roots are read or written; training and candidate code run where `mlagent execute` and `mlagent
try` run them, in a child process that uses the sandbox. Does not guarantee that a path which is
swapped for a symlink between the check and the reading is noticed.
"""
