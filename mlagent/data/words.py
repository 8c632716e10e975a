"""Words: how names of columns and sentences are cut, stemmed and compared.

Guarantees: pure and small; knows English words for what people predict, no table. Does not:
understand grammar beyond a few markers ("from", "of", "which").
"""

from __future__ import annotations

import re
from functools import cache

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[A-Za-z]+")
_STOP = """
a an the to and or as be is are was were been being do does did it its i we you he she they me us my
our your this that these those please want would like need build make create train give get help
predict prediction predicting predictive model models modelling modeling estimate estimating
classify classifier classification regression regressor forecast detect detecting identify find tell
figure out guess learn machine learning ml ai will can could should may might have has had not no so
than then there very more most much many some any each every all how what which who whom whose
whether if when where why new data dataset table csv file column columns row rows feature features
based using use given from with about over under into up down per because
"""
STOP = frozenset(_STOP.split())
"""Words that say nothing about which column is meant."""
INPUT_MARKERS = frozenset(
    {"from", "using", "based", "given", "with", "by", "via", "knowing", "because"}
)
"""What follows them are features, not the target."""
SIDE_MARKERS = frozenset(
    {"of", "for", "in", "on", "at", "their", "his", "her", "its", "among", "within", "per", "our"}
)
"""What follows them is the subject or the place, rarely the target."""
_CONCEPTS = {
    "churn": """churn churned churner attrition exit exited leave leaves leaver leaving left cancel
        cancelled canceled cancellation quit quitting resign resigned resignation turnover retain
        retained retention unsubscribe unsubscribed defect defected lapse lapsed stay close
        closed""",
    "default": """default defaulted delinquent delinquency nonpayment insolvent insolvency bankrupt
        bankruptcy risky risk bad repay repayment repaid unpaid charged creditworthy
        creditworthiness""",
    "fraud": "fraud fraudulent scam suspicious laundering",
    "spam": "spam junk unwanted unsolicited phishing",
    "survive": """survive survived survival survivor alive dead death die died mortality deceased
        perish""",
    "price": """price prices cost costs charge charges fare fares fee fees worth value bill billed
        billing expense expenses premium premiums pay paid""",
    "income": """income salary salaries wage wages earn earns earning earnings compensation
        payroll""",
    "quality": """quality grade grades graded rating ratings rate rated score scored stars taste
        tasty""",
    "count": """count counts cnt demand rental rentals rented hire hired number quantity qty volume
        riders ridership usage total busy""",
    "sales": "sale sales sold sell sells selling revenue turnover",
    "duration": "duration runtime elapsed eta",
    "disease": """disease diagnosis diagnosed diabetes diabetic sick ill illness cancer tumor
        malignant stroke positive""",
    "response": """click clicked conversion converted convert purchase purchased buy buys buyer
        subscribe subscribed subscription respond response responded accept accepted deposit""",
    "approve": "approve approved approval grant granted accept accepted reject rejected",
    "delay": "delay delayed delays late lateness arrears",
    "fail": "fail failure failed failing fault faulty broken breakdown defect defective",
    "acceptable": "acceptable acceptability acc unacc unacceptable",
    "outcome": "win won winner lose lost loss result outcome",
    "weight": "weight mass",
}
CONCEPTS: dict[str, frozenset[str]] = {
    name: frozenset(words.split()) for name, words in _CONCEPTS.items()
}
"""Words that people use for one another. Generic English, no table in mind."""
CHANCES = frozenset(
    {"risk", "probability", "likelihood", "chance", "odds", "number", "amount", "count", "danger"}
)
"""An "of" after them does not lead away from the target: "risk of leaving"."""
OUTCOMES = frozenset(
    {
        "churn",
        "default",
        "fraud",
        "spam",
        "survive",
        "disease",
        "response",
        "approve",
        "delay",
        "fail",
    }
)
"""Concepts that are something that happens or not: they are targets, hardly ever features."""
SHORT = {
    "cnt": "count",
    "qty": "quantity",
    "amt": "amount",
    "val": "value",
    "yr": "year",
    "mnth": "month",
    "hr": "hour",
    "temp": "temperature",
    "hum": "humidity",
    "dur": "duration",
    "avg": "average",
    "pct": "percent",
    "prc": "price",
    "qual": "quality",
    "cond": "condition",
    "tot": "total",
    "cat": "category",
    "num": "number",
    "pop": "population",
}
CONVENTIONAL = frozenset(
    {"target", "label", "labels", "class", "y", "outcome", "response", "output"}
)
BINARY_WORDS = re.compile(
    r"\b(whether|if|which \w+(?: \w+)? (?:will|is|are|might|may|would|do|does)|who|churn|fraud|"
    r"spam|default|survive[sd]?|yes or no|likely to|at risk|binary|detect)\b",
    re.IGNORECASE,
)
NUMBER_WORDS = re.compile(
    r"\b(how much|how many|how long|how old|number of|amount|price|cost|costs|fare|salary of|"
    r"charges|regression|estimate|demand|count|value of)\b",
    re.IGNORECASE,
)
CLASS_WORDS = re.compile(
    r"\b(classify|classification|classifier|class|classes|category|categories|type of|kind of|"
    r"grade|grades|rating|ratings|quality|level|levels|tier|stars|multiclass|severity|acceptability)\b",
    re.IGNORECASE,
)


def name_tokens(name: str) -> list[str]:
    """'MonthlyCharges' -> ['monthly', 'charges']; digits and signs fall away."""
    spaced = _CAMEL.sub(" ", name)
    return [word.lower() for word in _WORD.findall(spaced)]


@cache
def stem(word: str) -> str:
    """A rough stem: plural, -ing, -ed, -er, -al, -ion go; 'rented', 'rental', 'rents' meet."""
    for old, new in (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(old) and len(word) > len(old) + 2:
            word = word[: -len(old)] + new
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
            word = word[:-1]
    for ending in ("ability", "ation", "ing", "ers", "ed", "er", "al", "ion", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word


@cache
def concepts_of(word: str) -> frozenset[str]:
    """The concepts that a word belongs to, by itself or by its stem."""
    return frozenset(
        name for name, words in _stemmed().items() if word in words or stem(word) in words
    )


@cache
def _stemmed() -> dict[str, frozenset[str]]:
    return {
        name: frozenset({*words, *(stem(word) for word in words if len(word) > 3)})
        for name, words in CONCEPTS.items()
    }


def similarity(word: str, token: str) -> float:
    """0..1: how surely a word of a sentence names a token of a column's name."""
    if word == token:
        return 1.0
    if len(word) > 3 and len(token) > 2 and stem(word) == stem(token):
        return 0.97
    if SHORT.get(token) and stem(SHORT[token]) == stem(word):
        return 0.8
    if concepts_of(word) & concepts_of(token):
        return 0.85
    full = SHORT.get(token)
    if full and concepts_of(word) & concepts_of(full):
        return 0.7
    return 0.0
