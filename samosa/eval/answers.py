"""What an answer span says: numbers by value and unit, words with their bounds, times and dates however written."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation

from samosa.chat.calculator import CalculatorError, evaluate
from samosa.eval import claims, questions
from samosa.eval.claims import Mention
from samosa.eval.moments import moment_of, moments
from samosa.eval.numbers import CURRENCY, MINUS, Number, numbers, read, same_in
from samosa.eval.questions import Due

__all__ = ["contains", "find", "numbers", "plain", "says", "says_value", "shows_value"]

FLOAT_NOISE = Decimal("1e-9")  # relative; the calculator's floats carry twelve digits
TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "‐": "-", "‑": "-", "\u2212": "-", "×": "×"})
THIN = re.compile("(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
FALLING = re.compile(r"\b(?:decreas|declin|drop|fell|fall|down|lower|loss|lost|reduc|shr[aiu]nk|negative|minus)")
FALLS_BY = re.compile(
    r"\b(?:decreased?|declined?|dropped|drop|fell|fall|reduced|reduction|went down|shrank)"
    r"(?: (?:of|by|about|around|roughly|exactly))* $"
)
DECREASE = re.compile(r"^[*_]* (?:decrease|decline|drop|fall|reduction|lower|less|loss)\b")
_TERM = r"[$]?[0-9.][0-9,]*(?:\.[0-9]+)? ?%?"
_SIDE = rf"[($]*{_TERM}\)*(?: ?(?:[-+*/×÷−^x]|times|plus|minus|divided by|of) ?[($]*{_TERM}\)*){{0,12}}"
EQUATION = re.compile(rf"{_SIDE}(?: ?= ?\**{_SIDE})+(?![0-9]|[.,][0-9]| ?[a-z°])")
SCORE = re.compile(r"([0-9]{1,3})-([0-9]{1,3})")
RELEASE = re.compile(r"\bv(?=[0-9]+\.[0-9])")
LATEX = tuple(
    (re.compile(pattern), usual)
    for pattern, usual in (
        (r"\$\$?((?:\\[a-z(]|[^$\n])*\\[a-z][^$\n]*)\$\$?(?![0-9])", r"\1"),
        (r"\$([^$\n]*=[^$\n]*[0-9]|[0-9.,]+)\$(?![0-9])", r"\1"),
        (r"\\(?:times|cdot)\b", "×"),
        (r"\\d?frac\s?\{([^{}]*)\}\s?\{([^{}]*)\}", r"\1/\2"),
        (r"\\(?:boxed|text|textbf|mathbf|mathrm)\s?\{([^{}]*)\}", r"\1"),
        (r"\{,\}", ","),
        (r"\\([$%])", r"\1"),
        (r"\\[()\[\],; ]", " "),
    )
)
"""Mathematics as models set it, and as it reads."""
SPOKEN = (
    ("times", "*"),
    ("plus", "+"),
    ("minus", "-"),
    ("divided by", "/"),
    ("of", "*"),
    ("x", "*"),
    ("^", "**"),
    ("$", ""),
    (",", ""),
)


def plain(text: str) -> str:
    """One case, single spaces, the usual quotes and hyphens, no LaTeX; letters of other scripts stay what they are."""
    text = THIN.sub(",", unicodedata.normalize("NFC", text)).translate(TYPOGRAPHIC).casefold()
    for pattern, usual in LATEX if "\\" in text or "$" in text else ():
        text = pattern.sub(usual, text)
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def shows_value(text: str, value: Decimal, tolerance: Decimal) -> bool:
    """Tell whether a number of `text` is `value`: within `tolerance`, and right to the last digit it shows.

    The second condition keeps 7.655 from passing for 7.65 with half a cent of tolerance, while 8.13 passes for 8.125.
    """
    return any(_is(number, decimals, value, tolerance) for number, decimals in numbers(plain(text)))


def _is(number: Decimal, decimals: int, value: Decimal, tolerance: Decimal) -> bool:
    half_a_digit = Decimal(5).scaleb(-decimals - 1)
    return abs(number - value) <= min(tolerance, half_a_digit + FLOAT_NOISE * abs(value))


def contains(text: str, needle: str) -> bool:
    """Tell whether `needle` stands in `text` by itself, whatever its case.

    A needle that is a number is compared as a number; one that is a time or a date ("7 pm", "March 5"), as that.
    """
    return next(find(told(text), needle), None) is not None


def told(text: str) -> str:
    """Plain text in which "v8.14" is "8.14": a version is found by its number."""
    return RELEASE.sub("", plain(text))


def find(text: str, needle: str) -> Iterator[tuple[int, int]]:
    """The places of a needle in a plain text."""
    needle = plain(needle)
    if (moment := moment_of(needle)) is not None:
        yield from ((start, end) for start, end, other in moments(text) if moment.same(other))
        return
    if (number := _number(needle)) is not None:
        yield from ((one.start, one.end) for one in read(text) if one.value == number)
        return
    if (score := SCORE.fullmatch(needle)) is not None:
        between = r"\s?(?:[-–—:]|to)\s?"
        yield from (
            one.span() for one in re.finditer(rf"(?<![\w.,:-]){score[1]}{between}{score[2]}(?![\w:-]|[.,][0-9])", text)
        )
        return
    left = r"(?<!\w)" + (rf"(?<![0-9][.,])(?<![{MINUS}])" if needle[:1].isdigit() else "")
    right = r"(?!\w)" + (r"(?![.,][0-9])" if needle[-1:].isdigit() else "")
    words = r"\s+".join(map(re.escape, needle.split()))
    yield from (match.span() for match in re.finditer(left + words + right, text))


def _number(needle: str) -> Decimal | None:
    found = read(needle)
    if len(found) == 1 and re.fullmatch(rf"[{MINUS}]?[{CURRENCY}]?[{MINUS}]?[0-9.,]+", needle.strip()):
        return found[0].value
    return None


def says(text: str, needle: str, question: str, *, rivals: Sequence[str] = (), strict: bool = False) -> str | None:
    """Why `text` does not claim `needle`, or None; rivals are what a wrong answer would claim.

    strict: the needle answers the question, and is no fact that the answer repeats.
    """
    text, question = told(text), plain(question)
    number, asked = _number(plain(needle)), set(_values(question))
    places = list(find(text, needle))
    moment = moment_of(plain(needle))
    if moment is not None:
        known = [other for _, _, other in moments(question)]
        mentions = [
            Mention(start, end, moment.same(other), other in known, number=True)
            for start, end, other in moments(text)
            if (other.minutes is None) == (moment.minutes is None)
        ]
        return claims.fault(text, mentions, question, strict=strict)
    if number is None:
        mentions = [Mention(start, end, True, _stands(question, needle)) for start, end in places]
        for rival in rivals:
            mentions += [Mention(start, end, False, _stands(question, rival)) for start, end in find(text, rival)]
        if fault := claims.fault(text, sorted(mentions, key=lambda one: one.start), question, strict=strict):
            return fault
        guessed = not _stands(question, needle) and all(claims.alternatives(text, *place) for place in places)
        return "is one of several guesses" if guessed else None
    mentions = [
        Mention(one.start, one.end, one.value == number, one.value in asked, number=True, quantity=_kind(one))
        for one in read(text)
    ]
    return claims.fault(text, mentions, question, strict=strict)


def says_value(text: str, value: Decimal, tolerance: Decimal, question: str, *, unit: str | None = None) -> str | None:
    """Why `text` does not claim a number that is `value` in the unit that is due (questions.due), or None."""
    text, question = plain(text), plain(question)
    due, asked = questions.due(question, unit and plain(unit)), set(_values(question))
    mentions, strange = [], False
    for one in read(text):
        number = replace(one, value=one.value.scaleb(-due.power), decimals=one.decimals + due.power)
        right = any(_right(each, value, tolerance, text) for each in {one, number if one.decimals < 0 else one})
        if right and not _in_unit(one, due):
            right, strange = False, True
        if right and value > 0 and questions.CHANGE.search(question) and _said_to_fall(text, one):
            right = False
        if due.unit is not None and one.unit not in (None, due.unit):
            converted = same_in(one, due.unit)
            right = right or (converted is not None and _close(converted, value, tolerance))
        if "/" in text[one.start : one.end] and re.match(r"\s*=", text[one.end :]):
            right = False  # 300/60 = 5 minutes
        if right or not _rounded(one, value):
            mentions.append(Mention(one.start, one.end, right, one.value in asked, number=True, quantity=_kind(one)))
    if fault := claims.fault(text, mentions, question):
        return "has another unit, or none" if strange and fault == "is not said" else fault
    return _wrong_equation(text, value, tolerance)


def _said_to_fall(text: str, one: Number) -> bool:
    return FALLS_BY.search(text[: one.start]) is not None or DECREASE.match(text[one.end :]) is not None


def _in_unit(one: Number, due: Due) -> bool:
    """Whether a number has the unit that is due, or leaves it out where it may."""
    if one.unit is None:
        return not due.needed
    if due.bare:
        return False
    return due.unit in (None, one.unit) or (due.percent and one.unit.kind == "percent")


def _close(converted: Decimal, value: Decimal, tolerance: Decimal) -> bool:
    return abs(converted - value) <= min(tolerance, abs(value) * Decimal("0.005"))


def _right(one: Number, value: Decimal, tolerance: Decimal, text: str) -> bool:
    if _is(one.value, one.decimals, value, tolerance):
        return True
    # "a decrease of 12.5 %" is -12.5 %
    falls = value < 0 and FALLING.search(text[max(0, one.start - 40) : one.end + 25]) is not None
    return falls and _is(-one.value, one.decimals, value, tolerance)


def _rounded(one: Number, value: Decimal) -> bool:
    """Whether a number is the value with fewer decimals: "7.65, or about 8"."""
    if one.decimals < 0 or one.decimals >= max(0, -int(value.normalize().as_tuple().exponent)):
        return False
    try:
        unit = Decimal(1).scaleb(-one.decimals)
        return one.value in (value.quantize(unit, ROUND_HALF_UP), value.quantize(unit, ROUND_HALF_EVEN))
    except InvalidOperation:
        return False


def _wrong_equation(text: str, value: Decimal, tolerance: Decimal) -> str | None:
    """An equation of the value and, at its end, something else."""
    for match in EQUATION.finditer(text):
        *sides, last = (_calculated(side) for side in match[0].split("="))
        if last is None or not any(side is not None and _is(*side, value, tolerance) for side in sides):
            continue
        if abs(last[0] - value) > max(tolerance, Decimal("0.5").scaleb(-last[1])):
            return f"is contradicted: {match[0].strip()}"
    return None


def _calculated(side: str) -> tuple[Decimal, int] | None:
    """The value of one side of an equation and the decimals that it shows (of a calculation: twelve)."""
    side = re.sub(r"([0-9.,]+) ?%", r"(\1/100)", side.strip(" *"))
    for word, sign in SPOKEN:
        side = side.replace(word, sign)
    try:
        value = Decimal(str(evaluate(side)))
    except CalculatorError:
        return None
    plain_number = re.fullmatch(r"[0-9.]+", side.strip())
    return value, -int(value.as_tuple().exponent) if plain_number else 12


def _values(text: str) -> Iterator[Decimal]:
    return (one.value for one in read(text))


def _stands(text: str, needle: str) -> bool:
    return next(find(text, needle), None) is not None


def _kind(one: Number) -> str:
    return one.unit.kind if one.unit else ""
