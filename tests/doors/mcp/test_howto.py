"""docs/howto-mcp.md: the set-up starts a server, and the table of tools is complete."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

PAGE = Path(__file__).parents[3] / "docs" / "howto-mcp.md"


def test_each_set_up_starts_a_server_that_lists_the_tools_of_the_page(churn: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.+?)```", text, re.DOTALL)
    listed = set(re.findall(r"^\| `(mlagent_\w+)` \|", text, re.MULTILINE))
    assert len(blocks) == 3
    for block in blocks:
        shown: dict[str, Any] = json.loads(block)
        (servers,) = shown.values()
        setup = servers["mlagent"]
        assert setup["command"] == "mlagent"
        words = [word.replace("/path/to/your/project", str(churn)) for word in setup["args"]]
        command = str(Path(sys.executable).parent / "mlagent")

        async def names(command: str = command, words: list[str] = words) -> set[str]:
            parameters = StdioServerParameters(command=command, args=words, cwd=churn)
            async with Client(parameters) as client:
                return {tool.name for tool in (await client.list_tools()).tools}

        assert anyio.run(names) == listed
