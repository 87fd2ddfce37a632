"""Whether a short answer says the same as one of several right ones: who, when, where, how many.

Both are brought to the same words (case, accents, punctuation, articles, plurals, numbers in words); then a date may be
told less precisely, a name without its middle, and either answer may say more than the other around the same words.
What differs in a number is different. benchmarks/graded.py measures this against people's judgement.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from samosa.eval.numbers import ONES, TENS

WORD = re.compile(r"[^\W_]+")
THOUSANDS = re.compile(r"(?<=[0-9]),\s?(?=[0-9]{3}(?![0-9]))")
POSSESSIVE = re.compile(r"['’]s\b")
EMPTY = frozenset(
    "a an the of in at on by to from for and or with as is are was were it its his her their this that about around "
    "approximately roughly during since until between near up".split()
)
"""Words that do not tell two answers apart."""
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
ORDINALS += "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
NUMBERS = {word: str(value) for known in (ONES, TENS) for word, value in known.items()}
NUMBERS |= {word: str(value) for value, word in enumerate(ORDINALS.split(), 1)}
ORDINAL = re.compile(r"([0-9]+)(?:st|nd|rd|th)")
MONTHS = "january february march april may june july august september october november december".split()
YEAR = re.compile(r"[12][0-9]{3}")
Words = tuple[str, ...]


@dataclass(frozen=True)
class Date:
    """What an answer says of a day; None where it does not."""

    year: str | None = None
    month: str | None = None
    day: str | None = None


def same_answer(prediction: str, golds: Iterable[str], question: str = "") -> bool:
    """Whether `prediction` says what one of `golds` says. What only repeats words of `question` says nothing."""
    asked = set(words(question))
    said = words(prediction)
    if not said or all(word in asked for word in said):
        return any(_plain(prediction) == _plain(gold) != "" for gold in golds)
    return any(_same(said, words(gold)) for gold in golds)


def words(text: str) -> Words:
    """The words that count, folded: "The Twenty-first of May's" is (21, may)."""
    folded = unicodedata.normalize("NFKD", text.replace("\u00ad", "")).casefold()
    folded = "".join(letter for letter in folded if not unicodedata.combining(letter))
    folded = THOUSANDS.sub("", POSSESSIVE.sub("", folded))
    return tuple(_joined(_root(word) for word in WORD.findall(folded) if word not in EMPTY))


def _root(word: str) -> str:
    """Without the plural's s; numbers, ordinals too, as digits."""
    if word in NUMBERS:
        return NUMBERS[word]
    if match := ORDINAL.fullmatch(word):
        return match[1]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _joined(found: Iterable[str]) -> list[str]:
    """Twenty one as 21."""
    joined: list[str] = []
    for word in found:
        tens = joined[-1] if joined and joined[-1] in ("20", "30", "40", "50", "60", "70", "80", "90") else None
        if tens and len(word) == 1 and word in "123456789":
            joined[-1] = tens[0] + word
        else:
            joined.append(word)
    return joined


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _same(said: Words, gold: Words) -> bool:
    if not gold:
        return False
    if "".join(said) == "".join(gold):
        return True
    dates = _date(said), _date(gold)
    if dates[0] and dates[1]:
        return _coarser(dates[0], dates[1])
    if _numbers_differ(said, gold):
        return False
    return _inside(said, gold) or _inside(gold, said) or _same_name(said, gold)


def _date(found: Words) -> Date | None:
    """The date that the words are, and nothing else."""
    parts: dict[str, str] = {}
    for word in found:
        kind = "month" if word in MONTHS else "year" if YEAR.fullmatch(word) else "day"
        if kind in parts or (kind == "day" and not (word.isdigit() and 1 <= int(word) <= 31)):
            return None
        parts[kind] = word
    return Date(**parts) if "year" in parts or "month" in parts else None


def _coarser(said: Date, gold: Date) -> bool:
    """Whether `said` leaves out some of `gold` at most. What it says beyond `gold` nobody has confirmed: of the graded
    answers that do, 5 were right and 8 wrong."""
    pairs = [(said.year, gold.year), (said.month, gold.month), (said.day, gold.day)]
    return all(mine is None or mine == right for mine, right in pairs) and (said.day is None or said.month is not None)


def _numbers_differ(said: Words, gold: Words) -> bool:
    """Whether each of the two has a number that the other has not."""
    mine, right = ({word for word in found if word[0].isdigit()} for found in (said, gold))
    return not (mine <= right or right <= mine)


def _inside(part: Words, whole: Words) -> bool:
    """Whether the words of `part` stand in `whole`, one after the other."""
    return any(whole[start : start + len(part)] == part for start in range(len(whole) - len(part) + 1))


def _same_name(said: Sequence[str], gold: Sequence[str]) -> bool:
    """Whether first and last name are the same, the first perhaps short for the other (Matt, Matthew; R., Roger)."""
    if min(len(said), len(gold)) < 2 or said[-1] != gold[-1]:
        return False
    return said[0].startswith(gold[0]) or gold[0].startswith(said[0])
