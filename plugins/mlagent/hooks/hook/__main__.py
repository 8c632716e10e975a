"""Runs the folder that it lies in, under whatever name: `python3 -I -S -B FOLDER pre-tool-use`."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [*sys.path[1:], os.path.dirname(_HERE)]  # the standard library first
try:
    _MAIN = __import__(os.path.basename(_HERE), fromlist=["entry"]).entry.main
except BaseException as error:
    sys.stderr.write(f"mlagent: the hook cannot start, so the step is refused: {error!r}\n")
    os._exit(2)
_MAIN()
