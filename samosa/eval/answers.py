"""What is in an answer span: numbers read as numbers, words with their bounds, and marks that do not belong there."""

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

DIGIT_RUN = re.compile(r"[0-9](?:[0-9.,]*[0-9])?")
PLAIN_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
SCALES = {
    "hundred": 2,
    "thousand": 3,
    "lakh": 5,
    "million": 6,
    "crore": 7,
    "billion": 9,
    "trillion": 12,
}
SCALE_WORD = re.compile(rf"[ \u00a0-]?({'|'.join(SCALES)})\b", re.IGNORECASE)
EXPONENT = re.compile(r"[eE][+-]?[0-9]")
CURRENCY = "$€£¥₹"
MINUS = "-\u2212"
FLOAT_NOISE = Decimal("1e-9")  # relative; the calculator's floats carry twelve digits

ARTEFACTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a marker as text", re.compile(r"<\|[^<>|\n]{1,40}\|>")),
    ("an HTML tag", re.compile(r"</?[a-z][^<>\n]{0,80}>", re.IGNORECASE)),
    ("a lone <", re.compile(r"^\s*<\s*$", re.MULTILINE)),
    ("an `Answer:` line", re.compile(r"^\W{0,4}(?:final answer|answer|response|reply)\W{0,4}:", re.I | re.M)),
    ("an image without an address", re.compile(r"!\[[^\]\n]*\](?!\([^\s)]+\))")),
    ("raw JSON", re.compile(r"[{\[]\s*\\?[\"']|\\?\"\w+\\?\"\s*:")),
    ("a turn spoken for somebody", re.compile(r"^\W{0,4}(?:user|human|assistant|system)\W{0,4}:", re.I | re.M)),
    ("`as an AI`", re.compile(r"\bas an ai\b", re.IGNORECASE)),
    ("broken bytes", re.compile("\ufffd")),
    ("a control character", re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")),
)

_HELP = "help|assist|answer|provide|tell|find|explain|give|access|browse|search|look|calculate|compute|discuss|talk|do"
REFUSAL = re.compile(
    rf"\bi(?:['’]m| am)?(?: sorry,? but i)?(?: (?:really|simply|just))? "
    rf"(?:(?:can ?not|can['’]t|could ?n['’]t|could not|won['’]t|will not|unable to|am not able to|not able to)"
    rf"(?: \w+)? (?:{_HELP})|refuse|do(?:n['’]t| not) (?:know|have))\b",
    re.IGNORECASE,
)


def numbers(text: str) -> Iterator[tuple[Decimal, int]]:
    """Yield each number of `text` with the decimals it shows: "$1,081.50" is (1081.50, 2), "2.5 million" (2500000, -5).

    Thousands commas and currency signs are read; "-5" is minus five, "3-5" is three and five. What is only part of
    something longer ("A7", "1.2.3", "7,65", "7½", digits of other scripts) is no number.
    """
    for match in DIGIT_RUN.finditer(text):
        before, after = text[: match.start()], text[match.end() :]
        if not PLAIN_NUMBER.fullmatch(match.group()) or _continues(before, after):
            continue
        digits = Decimal(match.group().replace(",", ""))
        decimals = -int(digits.as_tuple().exponent)
        if scale := SCALE_WORD.match(after):
            power = SCALES[scale.group(1).lower()]
            digits, decimals = digits.scaleb(power), decimals - power
        yield (-digits if _is_negative(before) else digits), decimals


def _continues(before: str, after: str) -> bool:
    """Tell whether the digits are part of a word, a version, a fraction or a number in scientific notation."""
    if before and (before[-1].isalnum() or before[-1] in "._" or unicodedata.category(before[-1]) == "Cf"):
        return True
    if not after:
        return False
    joined = unicodedata.category(after[0]) == "Cf" and len(after) > 1 and after[1].isalnum()
    return joined or after[0] == "_" or after[0].isnumeric() or EXPONENT.match(after) is not None


def _is_negative(before: str) -> bool:
    before = before.rstrip(CURRENCY)
    if not before or before[-1] not in MINUS:
        return False
    return len(before) == 1 or not (before[-2].isalnum() or before[-2] in ")%")


def shows_value(text: str, value: Decimal, tolerance: Decimal) -> bool:
    """Tell whether a number of `text` is `value`: within `tolerance`, and right to the last digit it shows.

    The second condition keeps 7.655 from passing for 7.65 with half a cent of tolerance, while 8.13 passes for 8.125.
    """
    for number, decimals in numbers(text):
        half_a_digit = Decimal(5).scaleb(-decimals - 1)
        if abs(number - value) <= min(tolerance, half_a_digit + FLOAT_NOISE * abs(value)):
            return True
    return False


def contains(text: str, needle: str) -> bool:
    """Tell whether `needle` stands in `text` by itself, whatever its case; a needle that is a number, as a number."""
    read = list(numbers(needle))
    if len(read) == 1 and re.fullmatch(rf"[{MINUS}]?[{CURRENCY}]?[0-9.,]+", needle.strip()):
        return any(number == read[0][0] for number, _ in numbers(text))
    words, text = _plain(needle), _plain(text)
    left = r"(?<!\w)" + (rf"(?<![0-9][.,])(?<![{MINUS}])" if words[:1].isdigit() else "")
    right = r"(?!\w)" + (r"(?![.,][0-9])" if words[-1:].isdigit() else "")
    return re.search(left + re.escape(words) + right, text) is not None


def _plain(text: str) -> str:
    """One case and single spaces; look-alike letters of other scripts stay what they are."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def artefact(text: str) -> str | None:
    """Name the first thing in an answer that no reader should see, or None."""
    for name, pattern in ARTEFACTS:
        if pattern.search(text):
            return name
    return "a loop" if _loops(text.split()) else None


def _loops(words: list[str]) -> bool:
    """Tell whether one to eight words come four times in a row (a single word: six times)."""
    for size in range(1, 9):
        repeated, needed = 0, max(3 * size, 5)
        for here, earlier in zip(words[size:], words, strict=False):
            repeated = repeated + 1 if here == earlier else 0
            if repeated >= needed:
                return True
    return False


def refuses(text: str) -> bool:
    """Tell whether the answer says that it will not or cannot answer."""
    return REFUSAL.search(text) is not None
