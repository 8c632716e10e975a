"""Faults of a search with a scripted server and the real sandbox: hostile code, money and service
that end, Ctrl-C, five kills; the best so far stands and nothing is paid twice."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from searches import (
    ANSWER,
    BROKEN,
    FLAGS,
    GOOD,
    KEY,
    PLAIN,
    Run,
    Script,
    asked_for,
    edit,
    finished,
    question_in,
    started,
    submit,
    tree_of,
    waving,
)

from mlagent.contracts.search import SearchTree
from mlagent.contracts.usage import Bill
from mlagent.testing.command_line import run_mlagent
from mlagent.testing.messages_api import (
    Breaks,
    Fails,
    MessagesApi,
    Raw,
    calls,
    messages_api,
    says,
)

pytestmark = pytest.mark.docker
HOSTILE = {
    "loops": "def fit(train, spec):\n    while True:\n        pass\n",
    "forks": "import os\n\n\ndef fit(train, spec):\n    while True:\n        os.fork()\n",
    "reads": "def fit(train, spec):\n    return open('/etc/shadow').read()\n",
    "looks": """\
import os


def fit(train, spec):
    strange = [name for name in os.environ if "ANTHROPIC" in name or "KEY" in name]
    for folder, below, files in os.walk("/"):
        below[:] = [name for name in below if name not in ("proc", "sys", "usr", "dist-packages")]
        below[:] = [name for name in below if name != "site-packages"]
        strange += [f for f in files if f in ("seal.json", "journal.jsonl", "churn.csv")]
    if strange:
        raise OSError(str(strange))
    return 1
""",
    "sockets": "import socket\n\n\ndef fit(train, spec):\n    socket.create_connection(('1.1.1.1', "
    "80), 2)\n",
    "prints": "def fit(train, spec):\n    while True:\n        print('x' * 10_000_000)\n",
    "forges": "import json\n\n\ndef fit(train, spec):\n    open('metrics.json', "
    "'w').write(json.dumps({'roc_auc': 1.0}))\n    return 1\n",
    "memorises": "def fit(train, spec):\n    y = train[spec['target']] == spec['classes'][1]\n"
    "    return dict(zip(train['x1'], y.astype(float)))\n",
}
RECALL = (
    "\n\ndef predict(model, features):\n"
    "    return features['x1'].map(model).fillna(0.5).to_numpy()\n"
)


def test_hostile_code_ends_as_a_sentence_or_an_honest_score(
    play: Callable[[Script], MessagesApi], execute: Run, tmp_path: Path
) -> None:
    """One after the other in one search: what the one did is no matter for the next. The table has
    rows enough for a sample of them, so a failure costs no folds."""
    waving(1_300).to_csv(tmp_path / "churn.csv", index=False)
    assert execute("plan", "churn model").returncode == 0
    codes = [code + (RECALL if name == "memorises" else ANSWER) for name, code in HOSTILE.items()]
    play(lambda body, number: submit(codes[number - 1]))
    caps = ("--max-calls", str(len(codes)))
    done = execute("execute", "--author", "both", "--budget", "300s", *caps, *FLAGS)
    folder, told = finished(done)
    (_, *nodes) = tree_of(folder).nodes
    for name, node in zip(HOSTILE, nodes, strict=True):
        if name in ("looks", "forges", "memorises"):
            assert node.score is not None, (name, node.outcome)
            assert 0.4 < node.score.value < 0.6, name
        else:
            assert node.score is None, name
            assert node.outcome.startswith("no score: on 300 rows: "), (name, node.outcome)
    assert told["manifest"]["model_name"] in ("option_a", "linear")


@pytest.mark.parametrize(
    ("words", "script", "said"),
    [
        (("--max-usd", "0"), None, "$0.0000 of $0 left"),
        ((), Fails(401, "authentication_error", "invalid x-api-key"), "authentication_error"),
        ((), Fails(404, "not_found_error", "model: x"), "not_found_error"),
        ((), Raw(b"<html>log in</html>", "text/html"), "no answer of the Messages API (text/html"),
        ((), [says("I will not")], "no candidate has a score"),
    ],
)
def test_money_and_service_end_a_search_in_a_sentence(
    play: Callable[[Script], MessagesApi],
    execute: Run,
    words: tuple[str, ...],
    script: Any,
    said: str,
) -> None:
    play(lambda body, number: script)
    done = execute("execute", "--author", "claude", "--budget", "40s", *words, *FLAGS)
    folder, told = finished(done)
    assert told["manifest"]["model_name"] in ("option_a", "linear")
    assert said in (folder / "report.html").read_text()


def test_when_the_money_is_gone_the_best_so_far_stands(
    play: Callable[[Script], MessagesApi], execute: Run
) -> None:
    dear = GOOD + "# one of very many lines\n" * 1_600  # 10,000 tokens, ten cents
    api = play(lambda body, number: submit(dear))
    words = ("execute", "--author", "both", "--budget", "300s", "--max-usd", "0.4")
    folder, told = finished(execute(*words, *FLAGS))
    bill = Bill.model_validate_json((folder / "bill.json").read_bytes())
    assert len(api.seen) == 1
    assert 0.1 < bill.total.usd <= 0.4
    assert told["manifest"]["model_name"] == "claude-01"
    assert "of $0.4 left, and the next call can cost" in (folder / "report.html").read_text()


def test_ctrl_c_in_the_middle_of_a_call_keeps_the_best_so_far(
    play: Callable[[Script], MessagesApi], execute: Run, api: MessagesApi, tmp_path: Path
) -> None:
    children: list[subprocess.Popen[str]] = []

    def script(body: dict[str, Any], number: int) -> Any:
        if number == 1:
            return submit(GOOD)
        children[0].send_signal(signal.SIGINT)
        return Breaks([says("and then")], "stall", after=3, seconds=2.0)

    play(script)
    words = ("execute", "--author", "both", "--budget", "300s", *FLAGS)
    children.append(started(words, api, tmp_path))
    out, err = children[0].communicate(timeout=400)
    assert children[0].returncode == 0, err
    assert "Traceback" not in err
    told = json.loads(out)
    folder = Path(told["folder"])
    assert told["manifest"]["model_name"] == "claude-01"
    assert tree_of(folder).stopped == "the user stopped it"
    bill = Bill.model_validate_json((folder / "bill.json").read_bytes())
    assert [call.outcome for call in bill.calls] == ["answered", "possibly billed"]
    assert len(api.seen) == 2, "it is not asked again"


def test_a_search_that_had_ended_is_not_opened_again(
    play: Callable[[Script], MessagesApi], execute: Run, api: MessagesApi, tmp_path: Path
) -> None:
    """Killed in the fit; finished without a key, with the answers that there are."""
    play(lambda body, number: submit(GOOD if number == 2 else PLAIN + f"# {number}\n"))
    words = ("execute", "--author", "both", "--budget", "120s", "--max-calls", "2", *FLAGS)
    child = started(words, api, tmp_path)
    while child.poll() is None and not reached(tmp_path, "search.done"):
        time.sleep(0.02)
    child.kill()
    child.communicate()
    (folder,) = (file.parent for file in tmp_path.glob("runs/*/journal.jsonl"))
    asked, tree = len(api.seen), tree_of(folder)
    for flag in (("--author", "claude"), ("--max-usd", "9"), ("--max-calls", "9")):
        done = execute("execute", "--resume", *flag)
        assert done.returncode == 2
        assert "and --resume cannot both hold" in done.stderr
    nobody = {"ANTHROPIC_API_KEY": ""}
    words = ("execute", "--resume", "--author", "template", "--json")
    resumed, told = finished(run_mlagent(tmp_path, *words, environment=nobody, longest_s=300.0))
    assert resumed == folder
    assert len(api.seen) == asked, "nobody was asked again"
    assert without_clocks(tree_of(folder)) == without_clocks(tree)
    assert tree_of(folder).stopped == tree.stopped
    assert told["manifest"]["model_name"] == "claude-02"


def without_clocks(tree: SearchTree) -> list[dict[str, Any]]:
    return [node.model_dump(mode="json", exclude={"seconds"}) for node in tree.nodes]


def reached(place: Path, kind: str) -> bool:
    """Whether the journal of the run here has such an event."""
    journals = list(place.glob("runs/*/journal.jsonl"))
    return bool(journals) and f'"kind":"{kind}"' in journals[0].read_text()


NEAR = PLAIN.replace("SPEED = 3", "SPEED = 36")
"""Better than the floor, which is then left alone."""
LAST, WRONG = 6, (1, 2, 3)
"""Nodes of the search that is killed; those after so many that have no score, which is quick."""


def counted(body: dict[str, Any]) -> int:
    """How many candidates were tried when this was asked."""
    return len(re.findall(r"^- claude-\d+ \(", question_in(body), re.MULTILINE))


def deterministic(body: dict[str, Any]) -> Any:
    """The same answer to the same question: it looks once, fails now and then, ends by itself."""
    tried, kind = counted(body), asked_for(body)
    if tried >= LAST:
        return Fails(401, "authentication_error", "enough")
    if tried == 1 and len(body["messages"]) == 1:
        return [calls("run_analysis", "t1", code="def analyse(table):\n    return id(table)\n")]
    if kind == "improve":
        return edit("    return left", "    return wrong or left")
    return submit((BROKEN if tried in WRONG else NEAR) + f"# {tried}\n")


def compared(folder: Path) -> tuple[Any, list[tuple[Any, ...]]]:
    """The tree without clocks, and the answered calls without those that were cut."""
    nodes = without_clocks(tree_of(folder))
    bill = Bill.model_validate_json((folder / "bill.json").read_bytes())
    paid = [
        (call.agent, call.request_sha256, call.tokens.model_dump(), call.usd)
        for call in bill.calls
        if call.outcome == "answered"
    ]
    return nodes, paid


def test_killed_at_five_points_it_has_the_same_tree_and_the_same_bill(
    execute: Run, tmp_path: Path
) -> None:
    """One of the kills is in the middle of a call; the others wherever the dice say. Beside it runs
    the search that nobody kills."""
    words = ("execute", "--author", "both", "--budget", "600s", *FLAGS)
    whole, again = tmp_path / "whole", tmp_path / "again"
    for place in (whole, again):
        place.mkdir()
        for name in ("churn.csv", "plan.yaml"):
            (place / name).write_bytes((tmp_path / name).read_bytes())
    dice = random.Random(20)
    points = [dice.randint(5, 40) for _ in range(4)]
    children: list[subprocess.Popen[str]] = []
    in_flight = [True]

    def script(body: dict[str, Any]) -> Any:
        if counted(body) == 2 and in_flight and children:
            in_flight.clear()
            children[-1].kill()
            return Fails(500)  # nobody is there to read it
        return deterministic(body)

    with (
        messages_api(deterministic, keys=(KEY,)) as undisturbed,
        messages_api(script, keys=(KEY,)) as api,
        started(words, undisturbed, whole) as beside,
    ):
        kills = 0
        for turn in range(12):
            before = lines_in(again)
            now = words if turn == 0 else ("execute", "--resume", "--json")
            children.append(started(now, api, again))
            if points:
                kill_after(children[-1], again, before + points.pop())
            out, err = children[-1].communicate(timeout=400)
            if children[-1].returncode == 0:
                break
            assert children[-1].returncode == -signal.SIGKILL, err
            kills += 1
        told, err = beside.communicate(timeout=400)
        assert beside.returncode == 0, err
    reference = Path(json.loads(told)["folder"])
    assert kills == 5
    assert not in_flight
    killed = Path(json.loads(out)["folder"])
    assert len(list((again / "runs").glob("*/task.json"))) == 1, "one run, resumed"
    assert compared(killed) == compared(reference)
    nodes = tree_of(killed).nodes
    assert [node.operator for node in nodes[-2:]] == ["draft", "improve"]
    assert any(node.ablation for node in nodes)
    bill = Bill.model_validate_json((killed / "bill.json").read_bytes())
    assert bill.possibly.calls >= 1, "the one that was in flight"
    paid = Bill.model_validate_json((reference / "bill.json").read_bytes()).total.usd
    assert bill.total.usd - bill.possibly.usd == pytest.approx(paid)
    shown = execute("runs", "show", killed.name, "--messages", cwd=again)
    assert "Write a fresh candidate" in shown.stdout
    assert KEY not in shown.stdout


def lines_in(place: Path) -> int:
    """Events of the latest run here."""
    journals = sorted(place.glob("runs/*/journal.jsonl"))
    return journals[-1].read_bytes().count(b"\n") if journals else 0


def kill_after(child: subprocess.Popen[str], place: Path, events: int) -> None:
    """Kill it when its run has so many events."""
    while child.poll() is None and lines_in(place) < events:
        time.sleep(0.02)
    child.kill()
