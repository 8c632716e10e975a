"""What mlagent really enforces, as the sentences that it covers as a whole.

Guarantees: `covering` names clauses only when every piece of a statement is one of the sentences
below, so that a word alone ("privacy", "version", "model") never counts; a label before a colon
says nothing by itself, unless it denies. What is not here is not held, also when it is near: `near`
says which clause that is. Reads English. Does not look at a contract: `matching` does.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Enforced(NamedTuple):
    """One clause that something enforces.

    Attributes:
        clause: its path in the contract; a gate is named by the start of its name.
        sentences: regular expressions, each for a whole piece of a statement.
        near: words of statements that come close.
        why: what enforces it.
    """

    clause: str
    sentences: tuple[str, ...]
    near: str
    why: str


_TEST = r"(?:test|hold-?out|held-out|vault)"
_ROWS = rf"(?:the |a |your )?{_TEST}(?: set| data| rows| labels)?"
_BASE = r"(?:a |the |your |an )?(?:simple |dummy |linear |naive )*baselines?(?: models?)?"
GUARDRAILS: tuple[Enforced, ...] = (
    Enforced(
        "guardrails.seeds",
        (
            r"(?:always )?(?:set|fix|use|record) (?:a |all |the |every )?"
            r"(?:fixed |random |global )*seeds?"
            r"(?: everywhere| for (?:all|every|each) (?:run|fit|experiment|model)s?)?",
            r"(?:random )?seed (?:fixing|setting)",
            r"(?:fixed|pinned) (?:random )?seeds?",
            r"(?:random )?seeds? (?:is|are|must be) (?:always )?(?:set|fixed)",
        ),
        r"\bseed|reproducib",
        "every run has fixed seeds",
    ),
    Enforced(
        "guardrails.environment",
        (
            r"pin (?:all |exact |the )?(?:package |library |dependency )?"
            r"(?:versions|dependencies|packages|libraries)",
            r"(?:pinned|locked) (?:package |library |dependency )?"
            r"(?:versions|dependencies|packages|environments?)",
            r"lock (?:all |the )?(?:dependencies|packages)",
            r"record (?:all |the )?(?:package|library|dependency) versions",
        ),
        r"\bpin(?:ned)?\b|dependenc|environment|(?:package|library) version|lock ?file",
        "the sandbox image is pinned and its versions are recorded; the ledger says where no "
        "container ran",
    ),
    Enforced(
        "guardrails.labels",
        (
            rf"(?:never|do not|don't|must not) (?:train|fit|tune) on {_ROWS}",
            rf"(?:never|do not|don't|must not) (?:use|touch|see|peek at|look at) {_ROWS}"
            r"(?: (?:for|in|during) (?:training|tuning|fitting))?",
            rf"keep {_ROWS} (?:separate|untouched|apart|sealed|unseen|away from training)",
            rf"(?:no|avoid|prevent) (?:leaks?|leakage|leaking)(?: of| from) {_ROWS}"
            r"(?: into training)?",
        ),
        r"leak|future information|hold-?out|test set|validation",
        "the referee owns the split; labels of the vault never reach a container",
    ),
    Enforced(
        "guardrails.max_usd",
        (
            r"(?:monitor|track|measure) (?:llm |language model )?(?:api )?"
            r"(?:usage|costs?|calls|spend)",
            r"(?:set|enforce|respect|keep to) (?:a |the )?(?:api )?(?:budget|cost|spending) "
            r"(?:limits?|caps?)",
            r"limit (?:the )?(?:api|llm) (?:costs?|spend|spending)",
        ),
        r"\bcosts?\b|budget|api usage|spend",
        "the budget gateway counts each call and stops at the amount of the contract",
    ),
    Enforced(
        "guardrails.max_tokens",
        (r"(?:set|enforce|respect|keep to) (?:a |the )?token (?:limits?|budgets?|caps?)",),
        r"token (?:limit|budget|usage)",
        "the budget gateway stops at the number of the contract",
    ),
    Enforced(
        "resources.memory_mb",
        (
            r"(?:set|enforce|respect) (?:a |the )?memory (?:limits?|caps?)",
            r"limit memory(?: usage)?",
        ),
        r"memory|resource (?:management|limit|constraint)",
        "the sandbox policy sets the limit",
    ),
    Enforced(
        "resources.network",
        (
            r"no (?:network|internet)(?: access)?",
            r"(?:never|do not|don't|must not) (?:use|access|connect to) the (?:network|internet)",
        ),
        r"network access|no network|internet",
        "the sandbox has no network",
    ),
    Enforced(
        "quality_gates[better-than",
        (
            rf"(?:always )?(?:start|begin) with {_BASE}"
            r"(?: before (?:more )?complex (?:models?|ones))?",
            rf"(?:always )?(?:establish|fit|score|include|have) {_BASE}(?: first)?",
            rf"(?:always )?compare (?:with|to|against) {_BASE}",
            rf"not (?:establishing|having|using|fitting) {_BASE}",
            r"baselines? with simple models before (?:more )?complex (?:models?|ones)",
        ),
        r"\bbaseline|simple model|start simple",
        "a dummy and a linear baseline stand beside each candidate, and the referee compares",
    ),
)
AGGREGATES = Enforced(
    "guardrails.privacy",
    (
        r"(?:show|give|report|hand on|return) (?:only aggregates|aggregates only)",
        r"only aggregates (?:leave|are (?:shown|reported|given))(?: the sandbox)?",
        r"aggregates only",
        r"(?:never|do not|don't) (?:show|print|report|return) (?:raw |single |individual )+"
        r"(?:rows|cells|records)",
    ),
    r"privacy|sensitive|\bpii\b|personal data|confidential",
    "its records hold aggregates; cells are shown of categories only",
)
"""Of the two agents that hand on records; a model file may hold training rows, so nothing holds it
for the ml-engineer."""
_MODELS = (
    r"(?:the |a |an )?(?:ml |machine learning |predictive |prediction |classification |regression "
    r"|tabular |churn )*(?:models?|classifiers?|regressors?)"
)
DUTIES: dict[str, tuple[Enforced, ...]] = {
    "ml-engineer": (
        Enforced(
            "routing.handles",
            (
                rf"(?:train|build|fit|develop)s? {_MODELS}",
                r"(?:ml |machine learning )?model (?:training|building|fitting|development)",
            ),
            "",
            "such a sentence is routed here, and a run without a model fails",
        ),
        Enforced(
            "quality_gates[better-than",
            (rf"(?:evaluate|validate)s? {_MODELS}", r"(?:model )?(?:evaluation|validation)"),
            "",
            "the referee judges each run on rows that no code has seen",
        ),
    ),
    "data-explorer": (
        Enforced(
            "routing.handles",
            (
                r"(?:explore|profile)s? (?:the |a )?(?:data|table|dataset)",
                r"(?:data )?(?:profiling|exploration)|exploratory data analysis|eda",
            ),
            "",
            "such a sentence is routed here, and a run without an exploration fails",
        ),
    ),
    "statistical-analyst": (
        Enforced(
            "routing.handles",
            (r"statistical (?:analysis|tests?|testing)", r"(?:choose|pick)s? the right test"),
            "",
            "such a sentence is routed here, and a run without an analysis fails",
        ),
    ),
}
INPUTS = {
    "dev_rows": (
        r"(?:the )?(?:training |tabular |labell?ed |input )*(?:data|datasets?|rows|tables?)",
        "its rows arrive before the agent starts",
    ),
    "task": (
        r"(?:a |the )?(?:clear )?(?:ml )?(?:task|problem|task description|problem statement"
        r"|target (?:column|variable))",
        "the plan asks or stops when it is unsure, and arrives before the agent starts",
    ),
}
READS = r"(?:the )?(?:training |input |tabular |labell?ed )*(?:data|datasets?|rows)(?: files?)?"
WRITES = r"(?:the |a )?(?:trained |fitted )?models?(?: files?)?"
# fmt: off
_PLAN_WORDS = frozenset(
    {
        "a", "an", "and", "as", "by", "complexity", "each", "effort", "estimate", "estimates",
        "estimation", "for", "generate", "generates", "give", "gives", "implementation", "of",
        "option", "options", "or", "output", "propose", "proposes", "provide", "provides",
        "recommend", "recommendation", "recommends", "the", "time", "to", "trade-off",
        "trade-offs", "two", "three", "with", "2-3", "2", "3",
    }
)
# fmt: on
_PLAN_SUBJECT = re.compile(r"\boptions?\b|\bestimat|\brecommend")
_NUMBERS = {"2": 2, "two": 2, "3": 3, "three": 3}
_LABEL = re.compile(r"([^:()]{1,60}):\s+(?=\S)")
_DENIES = re.compile(r"\b(?:no|not|never|avoid|prevent|without|forbidden|don't|doesn't|stop)\b")
_PIECES = re.compile(r"\s*(?:[,;/&+]|\band\b|\bor\b)\s*")


def denies(text: str) -> bool:
    """Whether the statement holds a word that turns it round."""
    return _DENIES.search(text.lower().replace("’", "'")) is not None


def said(text: str) -> str:
    """The statement in lower case, without marks around it and without its label."""
    words = re.sub(r"^[^\w(]+", "", " ".join(text.lower().replace("’", "'").split()))
    words = re.sub(r"(?<![^\w)])[^\w)]+$", "", words)  # from the first mark on: linear time
    label = _LABEL.match(words)
    if label and not _DENIES.search(label[1]):
        words = words[label.end() :]
    return words


def pieces(text: str) -> list[str]:
    """The parts of an enumeration; brackets stay in their part."""
    return [piece for piece in _PIECES.split(said(text)) if piece]


def covering(text: str, known: tuple[Enforced, ...]) -> list[Enforced]:
    """The clauses that cover each piece of the statement; empty when one is not covered."""
    whole = said(text)
    if one := _of(whole, known):
        return [one]
    found = [_of(piece, known) for piece in pieces(text)]
    return list(dict.fromkeys(item for item in found if item)) if all(found) else []


def _of(piece: str, known: tuple[Enforced, ...]) -> Enforced | None:
    for item in known:
        if any(re.fullmatch(sentence, piece) for sentence in item.sentences):
            return item
    return None


def near(text: str, known: tuple[Enforced, ...]) -> Enforced | None:
    """A clause that the statement comes close to."""
    return next((item for item in known if item.near and re.search(item.near, text.lower())), None)


def plan_is_checked(text: str, least: int, most: int) -> bool:
    """Whether a statement about planning speaks only of what the schema of agent_plan demands:
    options in the contract's number, estimates of time and complexity, a recommendation."""
    words = said(text)
    if _DENIES.search(words) or not _PLAN_SUBJECT.search(words):
        return False
    if not set(re.findall(r"[\w-]+|[^\s\w,.-]", words)) <= _PLAN_WORDS:
        return False
    numbers = [_NUMBERS[word] for word in re.findall(r"\w+", words) if word in _NUMBERS]
    return all(least <= number <= most for number in numbers)


def is_delivered(text: str, artifact: str) -> bool:
    """Whether each piece is only a name of the artifact."""
    name = re.escape(artifact.replace("_", " "))
    wanted = rf"(?:the |a )?(?:trained |fitted )?{name}s?(?: artifacts?| files?| folder)?"
    found = pieces(text)
    return bool(found) and all(re.fullmatch(wanted, piece) for piece in found)


def is_handed(text: str, artifact: str, agent: str) -> bool:
    """Whether the statement only says that this artifact comes from, or goes to, this agent."""
    words = re.sub(r"[^\w]+", " ", text.lower().replace("_", " ")).strip()
    what, who = artifact.replace("_", " "), agent.replace("-", " ")
    verb = r"(?:receives?|takes?|gets?|gives?|delivers?|hands?)"
    forms = (
        rf"{who} (?:{verb} )?(?:the )?{what}s?",
        rf"(?:{verb} )?(?:the )?{what}s? (?:from|to|by) (?:the )?{who}",
        rf"(?:from|to) (?:the )?{who} (?:the )?{what}s?",
    )
    return any(re.fullmatch(form, words) for form in forms)


# fmt: off
_FILLER = frozenset(
    {
        "a", "achieve", "achieves", "an", "at", "be", "best", "has", "have", "in", "is",
        "minimum", "model", "must", "of", "on", "or", "reach", "reaches", "rows", "score",
        "should", "the", "unseen", "vault", "test", "hold-out", "holdout", "set", "data",
        "least", "most", "above", "below", "over", "under",
    }
)
# fmt: on


def only_a_threshold(text: str, metric_words: set[str]) -> bool:
    """Whether beside the metric, a comparison and a number the statement says nothing more."""
    words = re.findall(r"[a-z][a-z-]*\d*", said(text))
    known = {part for word in metric_words for part in re.split(r"[^a-z0-9]+", word)}
    return all(word in _FILLER or set(word.split("-")) <= known for word in words)


SUCCESS: tuple[tuple[str, str], ...] = (
    (
        "gate: ",
        r"(?:the model )?(?:beats?|outperforms?|exceeds?|(?:is )?better than"
        rf"|improves? (?:on|over|upon)) {_BASE}",
    ),
    (
        "package verified",
        r"(?:the )?(?:packaged )?models? (?:is|are) reproducible"
        r"|reproducible (?:predictions|models?)"
        r"|(?:the )?(?:packaged model (?:gives|predicts) )?(?:the )?same (?:bytes|predictions)"
        r"(?: in a (?:new|fresh) sandbox)?",
    ),
    (
        "within budget",
        r"(?:the run |training |it )?(?:ends?|finishes|completes?|stays?|runs?|is)?\s?"
        r"(?:with)?in(?:side)? (?:the |its )?(?:time |run |run-time )*(?:budget|limit)",
    ),
)
"""Check of a success criterion -> sentences that it measures as a whole."""


def success_check(text: str) -> str:
    """The check that measures the whole criterion; empty when none does."""
    words = said(text)
    return next((check for check, form in SUCCESS if re.fullmatch(form, words)), "")
