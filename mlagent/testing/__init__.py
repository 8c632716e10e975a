"""For users' own tests: the sandbox suite, the engine, small real stand-ins. Importing it imports
nothing.
"""
