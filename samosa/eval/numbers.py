"""Numbers as answers write them: digits with their commas, words, fractions, scales, and the unit that each carries."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from samosa.eval.units import Unit, unit_after, unit_before

DIGIT_RUN = re.compile(r"[0-9](?:[0-9.,]*[0-9])?")
PLAIN_NUMBER = re.compile(
    r"[0-9]+(?:\.[0-9]+)?|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?"
)  # the last as India writes 12,34,567
SCALES = {"hundred": 2, "thousand": 3, "lakh": 5, "million": 6, "crore": 7, "billion": 9, "trillion": 12}
SCALE_WORD = re.compile(rf"[ \u00a0-]?({'|'.join(SCALES)})s?\b|(k)\b", re.IGNORECASE)
EXPONENT = re.compile(r"[eE][+-]?[0-9]")
GLUED = re.compile(rf"(?:{'|'.join(SCALES)}|x|k)(?![a-z])", re.IGNORECASE)
"""What may follow a number without a space, besides units."""
CLOCK = re.compile(r":[0-5][0-9](?![0-9])| ?[ap]\.?m\b", re.IGNORECASE)
CURRENCY = "$€£¥₹"
MINUS = "-\u2212"
MINUS_WORD = re.compile(r"\b(?:minus|negative) $", re.IGNORECASE)
SLASHED = re.compile(r"\s?[/\u2044]\s?([0-9]{1,4})(?![0-9.,]*[0-9/])")
VULGAR = {"½": "0.5", "¼": "0.25", "¾": "0.75", "⅓": "1/3", "⅔": "2/3", "⅛": "0.125"}

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
ONES = {word: number for number, word in enumerate(_SMALL.split())}
TENS = {
    word: 10 * number for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
POWERS = {word: 10**power for word, power in SCALES.items() if word != "hundred"}
_WORDS = "|".join(sorted([*ONES, *TENS, *SCALES, "dozen"], key=len, reverse=True))
WORD_RUN = re.compile(
    rf"\b(?:(?:an? )(?=hundred|thousand|million|dozen|lakh|crore))?(?:{_WORDS})"
    rf"(?:(?:[ -]| and )(?:{_WORDS}))*(?: point(?: (?:{_WORDS}))+)?\b",
    re.IGNORECASE,
)
NOT_ONE = re.compile(
    r"\b(?:no|every|any|some|each|which|the|this|that|only|another|first|last|right|a \w+) $", re.IGNORECASE
)
OF_THEM = re.compile(
    r" (?:of|by one|more|another|who|can|could|should|might|must|way|thing|day|reason)\b", re.IGNORECASE
)
JOINED = re.compile(r"\s?(?:,|and|&|, and|)\s?")


@dataclass(frozen=True)
class Number:
    """One number of a text."""

    value: Decimal
    decimals: int
    """How many it shows; below 0 where a scale word stands for zeros that nobody wrote: "2.5 million" has -5."""
    start: int
    end: int
    """Where it stands, its unit and currency sign included."""
    unit: Unit | None = None


def numbers(text: str) -> Iterator[tuple[Decimal, int]]:
    """Yield each number of `text` with the decimals it shows: "$1,081.50" is (1081.50, 2), "2.5 million" (2500000, -5).

    Thousands commas and currency signs are read; "-5" is minus five, "3-5" is three and five, "3/4" is 0.75, "twelve"
    is 12. What is only part of something longer ("A7", "1.2.3", "7,65", "7.65½", digits of other scripts) is no number.
    """
    yield from ((number.value, number.decimals) for number in read(text))


def read(text: str) -> list[Number]:
    """The numbers of `text` in order, each with its unit; "7 dollars and 65 cents" and "2 h 30 min" are one."""
    found = sorted([*_digits(text), *_words(text)], key=lambda number: number.start)
    merged: list[Number] = []
    for number in found:
        while merged and merged[-1].start >= number.start:  # the 1 of "1 3/4"
            merged.pop()
        if merged and (whole := _joined(merged[-1], number, text)) is not None:
            merged[-1] = whole
        else:
            merged.append(number)
    return merged


def _digits(text: str) -> Iterator[Number]:
    done = 0
    for match in DIGIT_RUN.finditer(text):
        start, end = match.span()
        if start < done:
            continue
        before, after = text[:start], text[end:]
        if point := re.search(r"(?<![\w.])\.$", before):  # ".5"
            before, start = before[: point.start()], point.start()
        mixed = after[:1] in VULGAR and "." not in match.group()
        if not PLAIN_NUMBER.fullmatch(match.group()) or _continues(before, after[mixed:]):
            continue
        digits = Decimal(("0." if point else "") + match.group().replace(",", ""))
        decimals = -int(digits.as_tuple().exponent)
        if part := _fraction(before, after, digits):
            digits, decimals, end = part[0], part[1], end + part[2]
            if (whole := re.search(r"(?<![\w.,/-])([0-9]{1,4}) $", before)) and digits < 1:  # "1 3/4"
                digits, start = digits + int(whole[1]), whole.start()
        elif mixed:
            digits, decimals, end = digits + _vulgar(after[0]), 9, end + 1
        elif scale := SCALE_WORD.match(after):
            power = SCALES[(scale[1] or "thousand").lower()]
            digits, decimals, end = digits.scaleb(power), decimals - power, end + scale.end()
        done = end
        yield _placed(digits, decimals, start, end, text)


def _placed(value: Decimal, decimals: int, start: int, end: int, text: str) -> Number:
    """A number with its sign, and with the unit on one of its sides."""
    unit, begin = unit_before(text, start)
    before = text[:begin]
    if _is_negative(before):
        value, begin = -value, begin - 1
    elif (word := MINUS_WORD.search(before)) and not re.search(r"[0-9)%]\s?$", before[: word.start()]):
        value, begin = -value, word.start()
    if unit is None:
        unit, end = unit_after(text, end)
    return Number(value, decimals, begin, end, unit)


def _fraction(before: str, after: str, upper: Decimal) -> tuple[Decimal, int, int] | None:
    """Value, decimals and length of what makes a fraction of a whole number; None for dates and chains."""
    lower = SLASHED.match(after)
    if lower is None or upper != upper.to_integral_value() or int(lower[1]) == 0 or re.search(r"[0-9]\s?/\s?$", before):
        return None
    return upper / int(lower[1]), 9, lower.end()


def _vulgar(sign: str) -> Decimal:
    upper, _, lower = VULGAR[sign].partition("/")
    return Decimal(upper) / Decimal(lower or "1")


def _continues(before: str, after: str) -> bool:
    """Tell whether the digits are part of a word, a version, a fraction or a number in scientific notation."""
    if before and (before[-1].isalnum() or before[-1] in "._" or unicodedata.category(before[-1]) == "Cf"):
        return True
    if not after:
        return False
    if CLOCK.match(after) or re.search(r"[0-9]:$", before):
        return True
    joined = unicodedata.category(after[0]) == "Cf" and len(after) > 1 and after[1].isalnum()
    if after[0].isascii() and after[0].isalpha() and not (GLUED.match(after) or unit_after(after, 0)[0]):
        return True
    return joined or after[0] == "_" or after[0].isnumeric() or EXPONENT.match(after) is not None


def _is_negative(before: str) -> bool:
    if not before or before[-1] not in MINUS:
        return False
    return len(before) == 1 or not (before[-2].isalnum() or before[-2] in ")%")


def _words(text: str) -> Iterator[Number]:
    for match in WORD_RUN.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if re.search(r"[\w.,][ -]?$", before) and re.search(r"[0-9][ -]?$", before):
            continue  # "2 million" is read by its digits
        if before[-1:] in ("-", "'") or after[:1] in ("'", "’") or re.match(r"-[a-z]", after):
            continue
        if match[0].lower() == "one" and (NOT_ONE.search(before) or OF_THEM.match(after)):
            continue
        value = _spoken(match[0].lower())
        if value is not None:
            yield _placed(value, max(0, -int(value.as_tuple().exponent)), match.start(), match.end(), text)


def _spoken(words: str) -> Decimal | None:
    """The value of number words, None where they are not one number ("seven sixty-five")."""
    whole, _, tail = words.partition(" point ")
    parts = [word for word in re.split(r"[ -]", whole) if word and word != "and"]
    total, group, last = 0, 0, 10**18
    for word in parts:
        if word in ("a", "an"):
            group, last = 1, 1
        elif word in ONES or word in TENS:
            number = ONES.get(word, TENS.get(word, 0))
            room = 10 if last in range(20, 100) else 100 if last >= 100 else 0
            if not number < room or (room == 10 and number == 0):
                return None
            group, last = group + number, number
        elif word in ("hundred", "dozen"):
            if not 0 < group < 100 and not (group == 0 and len(parts) == 1):
                return None
            group, last = max(group, 1) * (100 if word == "hundred" else 12), 100
        else:
            total, group, last = total + max(group, 1) * POWERS[word], 0, POWERS[word]
    if not tail:
        return Decimal(total + group)
    digits = [ONES.get(word, 10) for word in tail.split()]
    return None if max(digits) > 9 else Decimal(f"{total + group}.{''.join(map(str, digits))}")


def _joined(first: Number, second: Number, text: str) -> Number | None:
    """Two as one, where the second says in a smaller unit what is left over."""
    one, two = first.unit, second.unit
    if one is None or two is None or one.kind != two.kind or one.scale <= two.scale or one.scale is None:
        return None
    ratio = two.scale / one.scale
    if second.value < 0 or second.value * ratio >= 1 or not JOINED.fullmatch(text[first.end : second.start]):
        return None
    rest = second.value * ratio
    decimals = max(0, -int(rest.normalize().as_tuple().exponent))
    return replace(first, value=first.value + rest, decimals=max(first.decimals, min(decimals, 9)), end=second.end)


def same_in(number: Number, unit: Unit) -> Decimal | None:
    """The number's value in another unit of its kind; as it is where it has none; None for another kind."""
    if number.unit is None or number.unit == unit:
        return number.value
    if number.unit.kind != unit.kind or number.unit.scale == 0 or unit.scale == 0:
        return None
    return number.value * number.unit.scale / unit.scale
