"""What the gateway adds to a call: reserving, bytes on disk, the journal, the bill. Prints a table.

Against a server on loopback, so the rest of a call is the SDK's and the server's time.

Usage: python benchmarks/gateway_speed.py [--calls 200]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from mlagent.content import Content
from mlagent.gateway.call_log import CallLog
from mlagent.gateway.gateway import Gateway
from mlagent.gateway.meter import Caps, Meter
from mlagent.gateway.prices import load_prices
from mlagent.gateway.service import AnthropicService
from mlagent.settings import Settings
from mlagent.store.journal import FileJournal
from mlagent.testing.messages_api import messages_api, says

MODEL = "claude-sonnet-5-5"


def request(number: int, characters: int) -> dict:
    """A request like a step of a search."""
    system = [{"type": "text", "text": "r" * characters, "cache_control": {"type": "ephemeral"}}]
    message = {"role": "user", "content": f"{number} " * 200}
    return {"model": MODEL, "max_tokens": 4_000, "system": system, "messages": [message]}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    calls = parser.parse_args().calls
    prices = load_prices(Content(), Settings())
    print("| prompt | calls | SDK alone, median | through the gateway | added (at most 20 ms) |")
    print("|---:|---:|---:|---:|---:|")
    with (
        messages_api(lambda _: [says("fine" * 500)]) as server,
        tempfile.TemporaryDirectory() as name,
    ):
        service = AnthropicService({"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": server.url})
        with FileJournal(Path(name, "journal.jsonl")) as journal:
            meter = Meter(prices, Caps(usd=1e6), {"a": Caps()}, time.monotonic)
            gateway = Gateway(
                service,
                meter,
                CallLog(Path(name, "calls")),
                journal,
                clock=time.monotonic,
                sleep=time.sleep,
            )
            for characters in (8_000, 60_000):
                alone, through = [], []
                for number in range(calls):
                    body = request(number, characters)
                    begun = time.perf_counter()
                    service.send(body, lambda _: None, lambda _: None, lambda: False)
                    alone.append(time.perf_counter() - begun)
                    begun = time.perf_counter()
                    gateway.ask("a", "bench", body)
                    through.append(time.perf_counter() - begun)
                one, other = statistics.median(alone) * 1e3, statistics.median(through) * 1e3
                print(
                    f"| {characters // 1000} kB | {calls} | {one:.1f} ms | {other:.1f} ms |"
                    f" {other - one:.1f} ms |"
                )
        service.close()


if __name__ == "__main__":
    main()
