"""What counts as a command: fixed verbs, typed values, and nothing that a reader does not see."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlagent.contracts.errors import BadInput
from mlagent.doors.github.command_lines import command_lines
from mlagent.doors.github.commands import (
    Command,
    CompareCommand,
    ExecuteCommand,
    HelpCommand,
    PlanCommand,
    parse_command,
)

SHA = "0123456789abcdef0123456789abcdef01234567"


def parse(body: str) -> Command | None:
    return parse_command(body, max_budget_s=600)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ('/mlagent plan "churn model"', PlanCommand("churn model")),
        ('/mlagent plan "who\'ll churn? #1 @x"', PlanCommand("who'll churn? #1 @x")),
        ('/mlagent\tplan  "a model"  ', PlanCommand("a model")),
        ("/mlagent plan \u201cchurn model\u201d", PlanCommand("churn model")),
        (
            '/mlagent plan "x" --target "my column" --metric log_loss --budget 5m --at 0123456',
            PlanCommand("x", "my column", "log_loss", 300.0, "0123456"),
        ),
        ('/mlagent plan "--force"', PlanCommand("--force")),
        ("/mlagent execute", ExecuteCommand()),
        (
            f"/mlagent execute --option option_b --budget 60s --at {SHA}",
            ExecuteCommand("option_b", 60.0, SHA),
        ),
        ("/mlagent compare", CompareCommand()),
        ("/mlagent help", HelpCommand()),
        ("/mlagent", HelpCommand()),
        ("Thanks!\r\n\r\n/mlagent compare\r\nLooks good.", CompareCommand()),
        ("```\n/mlagent execute\n```\n/mlagent help", HelpCommand()),
        ("> /mlagent execute\n\n/mlagent help", HelpCommand()),
        ("> ```\n/mlagent help", HelpCommand()),
        ("<!-- note -->\n/mlagent help", HelpCommand()),
        ("- done\n- and\n/mlagent help", HelpCommand()),
        ("/mlagent help\n---", HelpCommand()),
        ('/mlagent plan "`a` *b* <c> \\\\ [d](e)"', PlanCommand("`a` *b* <c> \\\\ [d](e)")),
    ],
)
def test_a_command_is_read_with_its_types(body: str, command: Command) -> None:
    assert parse(body) == command


@pytest.mark.parametrize(
    "body",
    [
        "looks good",
        "please /mlagent execute",
        " /mlagent execute",
        "> /mlagent execute",
        "/mlagents execute",
        "/mlagent-execute",
        "/MLAGENT execute",
        "```sh\n/mlagent execute\n```",
        "~~~\n/mlagent execute",
        "````\n```\n/mlagent execute\n````",
        "    /mlagent execute",
        "<!-- pasted\n/mlagent execute\n-->",
        "<!-- never closed\n/mlagent execute",
        "> She said:\n/mlagent execute",
        "> - She said:\n/mlagent execute",
        "- > She said:\n/mlagent execute",
        "> ```\n> /mlagent execute\n> ```",
        "- ```\n  /mlagent execute\n  ```",
        "`<!--`\n```\n-->\n/mlagent execute\n```",
        "a `span\n/mlagent execute\nof code`",
        "a <!-- comment\n/mlagent execute\n-->",
        "<pre>\n/mlagent execute\n</pre>",
        "<details>\n/mlagent execute\n</details>",
        '[a](b "title\n/mlagent execute\n")',
        "a\x0b/mlagent execute",
        "a\u2028/mlagent execute",
        "a <!-- b\n/mlagent execute\n-->\n\\/mlagent execute",
        "a <!-- b\n/mlagent execute\n-->\n&#47;mlagent execute",
        "a <!-- b\n/mlagent execute\n-->\n[/mlagent execute](c)",
    ],
)
def test_what_a_reader_does_not_see_as_a_command_is_none(body: str) -> None:
    assert parse(body) is None


@pytest.mark.parametrize(
    "body",
    [
        "/mlagent fly",
        '/mlagent "plan"',
        "/mlagent plan",
        "/mlagent plan churn model",
        '/mlagent plan ""',
        f'/mlagent plan "{"x" * 501}"',
        '/mlagent plan "x" "y"',
        '/mlagent plan "x" --data /etc/passwd',
        '/mlagent plan "x" --metric vibes',
        '/mlagent plan "x" --target',
        '/mlagent plan "x" --target --metric',
        '/mlagent plan "x" --budget soon',
        '/mlagent plan "x" --budget 11m',
        '/mlagent plan "x" --budget=5m',
        '/mlagent plan "x',
        '/mlagent plan "x"y',
        '/mlagent plan "a\x07b"',
        '/mlagent plan "a\u202eb"',
        "/mlagent execute --force",
        "/mlagent execute --content .",
        "/mlagent execute --option option_z",
        "/mlagent execute --budget 60s --budget 61s",
        '/mlagent execute "--budget" 60s',
        "/mlagent execute --at HEAD",
        "/mlagent execute; rm -rf /",
        "/mlagent execute && true",
        "/mlagent compare run1 run2",
        "/mlagent help --all",
        "/mlagent help\n/mlagent execute",
        "/mlagent execute " + "x" * 1000,
    ],
)
def test_anything_else_is_refused_with_a_sentence(body: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(body)
    assert caught.value.message.endswith(".")


@given(st.text(max_size=200))
def test_any_comment_is_a_command_none_or_a_sentence(tail: str) -> None:
    try:
        found = parse(f"/mlagent {tail}")
    except BadInput:
        return
    assert found is None or isinstance(
        found, PlanCommand | ExecuteCommand | CompareCommand | HelpCommand
    )


MARKS = st.characters(exclude_categories=["C", "Z"], exclude_characters='"\u201c\u201d\u201e<')


@given(st.text(alphabet=MARKS, min_size=1, max_size=100))
def test_a_quoted_task_comes_through_as_it_is(task: str) -> None:
    assert parse(f'/mlagent plan "{task}"') == PlanCommand(task)


def test_the_lines_are_found_in_order() -> None:
    assert command_lines("/mlagent help\ntext\n/mlagent execute") == [
        "/mlagent help",
        "/mlagent execute",
    ]


@given(
    st.lists(st.sampled_from(["/mlagent help", "> q", "```", "<!--", "-->", "`", "- a", "", "b"]))
)
def test_a_quoted_comment_holds_no_command(lines: list[str]) -> None:
    """What GitHub's "Quote reply" makes of any comment."""
    assert command_lines("\n".join(f"> {line}" for line in lines)) == []


@pytest.mark.parametrize("mark", ["[", "![", "`", "> ", "- ", "<!--", "[a](", "&", "<a ", "*"])
def test_a_long_comment_is_read_in_time(mark: str) -> None:
    body = mark * (65_000 // len(mark)) + "\n\n/mlagent help"
    start = time.perf_counter()
    command_lines(body)
    assert time.perf_counter() - start < 10
