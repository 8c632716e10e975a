"""Who works on a sentence, and what is refused and delegated.

The sentence is cut into parts at separators ('and', 'with', ...). A part that names refused work is
refused; a part that names a topic goes to the agents whose contracts handle it; other parts belong
to their neighbours. A sentence without any known word is the default topic.

Guarantees: the same sentence, policy and contracts give the same answer; every refusal says why.
Does not understand language: a word in an unusual sense is misread, and the answer shows the word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from mlagent.contracts.base import ROLES, Role
from mlagent.contracts.contract import Contract
from mlagent.contracts.errors import BadInput
from mlagent.contracts.plan import Refused, Routed, Routing
from mlagent.contracts.policy import RoutingPolicy

Contracts = Mapping[Role, Contract]


@dataclass(frozen=True)
class Part:
    """A stretch of the sentence. `topics` and `refusals` hold the matched word by key."""

    text: str
    topics: Mapping[str, str]
    refusals: Mapping[str, str]


def route(sentence: str, policy: RoutingPolicy, contracts: Contracts) -> Routing:
    """The agents for this sentence and the refused parts. No agents: nothing is left to do.

    Raises:
        BadInput: the sentence is empty.
    """
    parts = _parts(sentence, policy, contracts)
    topics = {
        topic: word for part in parts if not part.refusals for topic, word in part.topics.items()
    }
    refused = tuple(
        Refused(
            what=part.text,
            why=f"{policy.refusals[key].sentence} (read from {word!r})",
            delegate_to=_delegate(key, contracts),
        )
        for part in parts
        for key, word in part.refusals.items()
    )
    if not topics and not refused:
        topics = {policy.default: ""}
    routed: dict[Role, str] = {}
    for topic in _strongest_first(topics, contracts):
        word = topics[topic]
        why = policy.topics[topic].why
        why += f" (read from {word!r})" if word else " (no other work was named)"
        for role in ROLES:
            if role in contracts and _handles(contracts[role], topic):
                routed.setdefault(role, why)
    agents = tuple(Routed(agent=role, why=routed[role]) for role in ROLES if role in routed)
    return Routing(agents=agents, refused=refused)


def served_part(sentence: str, policy: RoutingPolicy, contracts: Contracts) -> str:
    """The sentence without its refused parts: what task inference should read."""
    parts = _parts(sentence, policy, contracts)
    return ", ".join(part.text for part in parts if not part.refusals)


def refusal_sentence(routing: Routing) -> str:
    """All refusals as sentences for the user."""
    said = []
    for refused in routing.refused:
        to = f" Delegate it to your {refused.delegate_to}." if refused.delegate_to else ""
        said.append(f"{refused.what!r} is not done here: {refused.why}.{to}")
    return " ".join(said)


def check_routing(policy: RoutingPolicy, contracts: Contracts) -> None:
    """Policy and contracts belong together.

    Raises:
        BadInput: a topic or boundary that one side lacks, contracts that delegate the same work to
            different agents, or an example sentence that is not routed to its agent.
    """
    handled = {handles.topic for c in contracts.values() for handles in c.routing.handles}
    bounded = {boundary.topic for c in contracts.values() for boundary in c.boundaries}
    for topic in policy.topics:
        if topic not in handled:
            raise BadInput(f"orchestrator/routing.yaml: no contract handles the topic {topic!r}.")
    for key in policy.refusals:
        if key not in bounded:
            raise BadInput(f"orchestrator/routing.yaml: no contract has the boundary {key!r}.")
    for role, contract in contracts.items():
        file = f"contracts/{role}.yaml"
        for boundary in contract.boundaries:
            if boundary.topic not in policy.refusals:
                raise BadInput(
                    f"{file}: orchestrator/routing.yaml has no words for {boundary.topic!r}.",
                    remedy=f"Known: {', '.join(policy.refusals)}.",
                )
            if boundary.delegate_to != _delegate(boundary.topic, contracts):
                raise BadInput(
                    f"{file}: {boundary.topic!r} is delegated to {boundary.delegate_to!r}, in "
                    f"another contract to {_delegate(boundary.topic, contracts)!r}."
                )
        for handles in contract.routing.handles:
            if handles.topic not in policy.topics:
                raise BadInput(
                    f"{file}: orchestrator/routing.yaml has no words for {handles.topic!r}.",
                    remedy=f"Known: {', '.join(policy.topics)}.",
                )
            for example in handles.examples:
                if role not in {
                    routed.agent for routed in route(example, policy, contracts).agents
                }:
                    raise BadInput(
                        f"{file}: the example {example!r} is not routed to {role}.",
                        remedy="Change the example, or the words in orchestrator/routing.yaml.",
                    )


def _parts(sentence: str, policy: RoutingPolicy, contracts: Contracts) -> tuple[Part, ...]:
    if not sentence.strip():
        raise BadInput(
            "The task is empty.", remedy='Say what you want, such as mlagent plan "churn model".'
        )
    pattern = "|".join(_separator(mark) for mark in policy.separators)
    texts = [text.strip() for text in re.split(pattern, sentence, flags=re.IGNORECASE)]
    parts: list[Part] = []
    for text in filter(None, texts):
        part = _read(text, policy, contracts)
        if parts and not part.topics and not part.refusals:
            last = parts[-1]
            parts[-1] = Part(f"{last.text}, {text}", last.topics, last.refusals)
        elif parts and not parts[-1].topics and not parts[-1].refusals and not part.refusals:
            parts[-1] = Part(f"{parts[-1].text}, {text}", part.topics, part.refusals)
        else:
            parts.append(part)
    return tuple(parts) or (Part(sentence.strip(), {}, {}),)


def _separator(mark: str) -> str:
    """A word splits between other text only; a dot or comma not inside a number."""
    escaped = re.escape(mark.strip())
    if mark.strip().isalpha():
        return rf"\s+{escaped}\s+"
    if " " in mark.strip():
        return rf"\s+{escaped.replace(chr(92) + ' ', r'[ ]+')}\s+"
    return rf"{escaped}(?!\w)"


def _read(text: str, policy: RoutingPolicy, contracts: Contracts) -> Part:
    """What one stretch names. Words in `alone` refuse only where none of our topics is named."""
    ours = text
    for phrase in policy.negations:
        ours = _word(phrase).sub(" ", ours)
    topics = {
        topic: word for topic, rule in policy.topics.items() if (word := _first(ours, rule.words))
    }
    refusals: dict[str, str] = {}
    for key, rule in policy.refusals.items():
        if not any(boundary.topic == key for c in contracts.values() for boundary in c.boundaries):
            continue
        word = _first(text, rule.always) or ("" if topics else _first(text, rule.alone))
        if word:
            refusals[key] = word
    return Part(text, topics, refusals)


def _first(text: str, words: tuple[str, ...]) -> str:
    for word in words:
        if found := _word(word).search(text):
            return found.group()
    return ""


@lru_cache(maxsize=2048)
def _word(word: str) -> re.Pattern[str]:
    body = re.escape(word.lower()).replace(r"\*", r"\w*").replace(r"\ ", r"[\s-]+")
    return re.compile(rf"(?<!\w){body}(?!\w)", re.IGNORECASE)


def _handles(contract: Contract, topic: str) -> bool:
    return any(handles.topic == topic for handles in contract.routing.handles)


def _strongest_first(topics: Mapping[str, str], contracts: Contracts) -> list[str]:
    """Topics that most agents handle first, so that each agent's reason is the strongest one."""
    return sorted(topics, key=lambda t: -sum(_handles(c, t) for c in contracts.values()))


def _delegate(key: str, contracts: Contracts) -> str | None:
    for role in ROLES:
        for boundary in contracts[role].boundaries if role in contracts else ():
            if boundary.topic == key:
                return boundary.delegate_to
    return None
