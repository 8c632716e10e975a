"""Ctrl-C and SIGTERM for a while in other hands.

Guarantees: what handled them before handles them again afterwards. In a thread that is not the main
one nothing is changed, for signals go to the main thread.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_ctrl_c(handle: Callable[[], None]) -> Iterator[None]:
    """Call `handle` for each Ctrl-C and SIGTERM inside."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {
        number: signal.signal(number, lambda *_: handle())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
