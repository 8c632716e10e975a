"""One broken marketplace.json each: what is changed, and which rule it breaks."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, NamedTuple

MARKETPLACE = ".claude-plugin/marketplace.json"


class Case(NamedTuple):
    """`top`, `entry`: keys to set in the file and in its one plugin; None takes a key out."""

    rule: str
    top: dict[str, Any] = {}
    entry: dict[str, Any] = {}
    passes_there: bool = False
    """Claude Code's own command lets it pass."""

    def apply(self, folder: Path) -> None:
        file = folder / MARKETPLACE
        value = json.loads(file.read_text())
        for target, changes in ((value, self.top), (value["plugins"][0], self.entry)):
            for key, given in changes.items():
                target[key] = copy.deepcopy(given)
                if given is None:
                    del target[key]
        file.write_text(json.dumps(value))


CASES = {
    "no name": Case("name", {"name": None}),
    "a name with a space": Case("name", {"name": "My market"}),
    "no owner": Case("owner", {"owner": None}),
    "an owner without a name": Case("owner", {"owner": {"email": "a@b.c"}}),
    "no description": Case("advised", {"description": None}),
    "an unknown key": Case("keys", {"zzz": 1}),
    "no plugins": Case("plugins", {"plugins": []}),
    "an entry without a name": Case("name", {}, {"name": None}),
    "an unknown key of an entry": Case("keys", {}, {"zzz": 1}),
    "keywords as text": Case("values", {}, {"keywords": "ml"}),
    "no source": Case("source", {}, {"source": None}),
    "a source without ./": Case("source", {}, {"source": "plugins/mlagent"}),
    "a source that leaves": Case("source", {}, {"source": "./../mlagent"}),
    "a source of no kind": Case("source", {}, {"source": {"source": "zzz"}}),
    "another version": Case("source", {}, {"version": "9.9.9"}),
    "a source that is not there": Case("source", {}, {"source": "./nope"}, passes_there=True),
    "another name": Case("source", {}, {"name": "other"}, passes_there=True),
}
