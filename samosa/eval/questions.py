"""What a question wants its number in: a unit, none at all, or lakhs of it."""

import re
from dataclasses import dataclass

from samosa.eval.numbers import SCALES
from samosa.eval.units import NAMES, UNITS, Unit, units_in

PURE = re.compile(
    r"(?:[-+*/×÷−^=()?.,:]|(?<=[0-9])%|(?<=[0-9] )%|[0-9]|\s|\b(?:tell|me|can|could|you|do|i|get|if|"
    r"take|need|want|(?<=[0-9] )percent|what|what's|is|are|calculate|compute|evaluate|work|out|solve|find|please|"
    r"the|product|"
    r"sum|difference|quotient|result|of|and|times|multiplied|multiply|by|plus|minus|add|subtract|from|divided|divide|how|"
    r"much|does|equals?|equal|to|x)\b)+"
)
"""A question of numbers alone."""
HOW_MANY = re.compile(
    rf"\bhow many (?:more |full |whole )?(?:(?P<unit>{NAMES})\b|(?P<scale>{'|'.join(SCALES)})s?\b|(?P<thing>\w))"
)
AGE = re.compile(r"\bold(?:er)?\b|\bage\b")
CHANGE = re.compile(
    r"\bpercent(?:age)? (?:change|increase|decrease|growth)\b|\bby (?:how many|what) percent\b|\bcagr\b"
)
"""A question whose answer is a percentage, though its numbers are none."""
PERCENT = re.compile(r"\bpercentage\b|(?<![0-9] )(?<![0-9])\bpercent\b|\brates?\b|\bcagr\b|(?<![0-9 ]) ?%")


@dataclass(frozen=True)
class Due:
    """How the answer's number is to be read."""

    unit: Unit | None
    """None: not known, or none."""
    bare: bool
    """No unit may stand with it."""
    needed: bool
    """The unit may not be left out."""
    percent: bool
    """It may also be a percentage."""
    power: int
    """How many zeros it is counted in: 5 for "how many lakh"."""


def due(question: str, unit: str | None) -> Due:
    """What a question wants, in plain text. `unit` is what its probe says, if it does.

    Without that it is what "how many" asks for, or the currency of the question where it has just one. A unit may be
    left out where the question names it.
    """
    asked = HOW_MANY.search(question)
    power = SCALES[asked["scale"]] if asked and asked["scale"] else 0
    if unit is not None and (known := UNITS.get(unit.casefold())) is not None:
        ages = {UNITS["years"]} if AGE.search(question) else set()
        return Due(known, False, known not in units_in(question) | ages, False, power)
    if asked and asked["unit"]:
        return Due(UNITS[asked["unit"]], False, False, False, 0)
    if PURE.fullmatch(question) or (asked and asked["thing"]):
        return Due(None, True, False, False, 0)
    if CHANGE.search(question):
        return Due(UNITS["percent"], False, False, True, power)
    money = {one for one in units_in(question) if one.kind.startswith("money") and one.scale == 1}
    return Due(money.pop() if len(money) == 1 else None, False, False, PERCENT.search(question) is not None, power)
