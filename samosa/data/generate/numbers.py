"""The numbers of arithmetic questions. Which tuples train and which probe is settled by their hash, as for names."""

import random
from collections.abc import Callable
from fractions import Fraction

from samosa.data.generate.sides import Side, side_of

Numbers = dict[str, str]
LONGEST_ANSWER = 9  # characters: longer results test typing, not the decision to calculate


def draw(kind: str, rng: random.Random, side: Side) -> Numbers:
    """Draw the numbers of one question of `kind` (a `draw` of calculator_topics.toml), as they are written there."""
    while True:
        numbers = DRAWS[kind](rng)
        if side_of(":".join(numbers.values())) == side:
            return numbers


def reads_well(value: object) -> bool:
    """Tell whether a result is a whole number or has exactly two decimals, so that it can be quoted as it stands."""
    if isinstance(value, float):
        value = Fraction(repr(value))
    if not isinstance(value, (int, Fraction)):
        return False
    cents = Fraction(value) * 100
    if cents.denominator != 1 or cents <= 0:
        return False
    whole = cents % 100 == 0
    return (whole or cents % 10 != 0) and len(str(cents // 100)) + (0 if whole else 3) <= LONGEST_ANSWER


def _amount(rng: random.Random) -> str:
    """A price: mostly whole, of two or three digits; sometimes with cents."""
    if rng.random() < 0.25:
        return f"{rng.randint(3, 250)}.{rng.choice(['25', '50', '75', '99'])}"
    return str(rng.choice([rng.randint(10, 99), rng.randint(100, 999)]))


def _percent_of_bill(rng: random.Random) -> Numbers:
    return {"rate": str(rng.randint(3, 60)), "bill": _amount(rng)}


def _percent_of_number(rng: random.Random) -> Numbers:
    return {"rate": str(rng.randint(2, 95)), "n": str(rng.randint(11, 9999))}


def _growth(rng: random.Random) -> Numbers:
    start = rng.randint(20, 900)
    return {"start": str(start), "end": str(start + rng.randint(5, 900))}


def _growth_over_years(rng: random.Random) -> Numbers:
    return {**_growth(rng), "years": str(rng.randint(2, 12))}


def _loan(rng: random.Random) -> Numbers:
    return {"p": str(rng.randint(2, 99) * 100), "r": str(rng.randint(2, 15)), "years": str(rng.randint(2, 12))}


def _emi(rng: random.Random) -> Numbers:
    return {
        "p": str(rng.randint(5, 99) * 1000),
        "r": str(rng.randint(4, 18)),
        "months": str(rng.choice([6, 12, 18, 24, 36, 48, 60, 72])),
    }


def _linear(rng: random.Random) -> Numbers:
    a, b, x = rng.randint(2, 30), rng.randint(1, 99), rng.randint(1, 60)
    return {"a": str(a), "b": str(b), "c": str(a * x + b)}


def _factors(rng: random.Random) -> Numbers:
    return {"a": str(rng.randint(11, 999)), "b": str(rng.randint(3, 99))}


def _terms(rng: random.Random) -> Numbers:
    return {"a": str(rng.randint(100, 9999)), "b": str(rng.randint(100, 9999))}


def _difference(rng: random.Random) -> Numbers:
    b = rng.randint(11, 5000)
    return {"a": str(b + rng.randint(11, 4999)), "b": str(b)}


def _split(rng: random.Random) -> Numbers:
    return {"bill": _amount(rng), "people": str(rng.randint(3, 12))}


DRAWS: dict[str, Callable[[random.Random], Numbers]] = {
    "percent_of_bill": _percent_of_bill,
    "percent_of_number": _percent_of_number,
    "growth": _growth,
    "growth_over_years": _growth_over_years,
    "loan": _loan,
    "emi": _emi,
    "linear": _linear,
    "factors": _factors,
    "terms": _terms,
    "difference": _difference,
    "split": _split,
}
