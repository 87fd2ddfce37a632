"""Whether an answer tells what a search found as it was found: of the same one, in the same unit, no more, no less."""

import re

from samosa.eval.answers import contains, find, plain, says, told
from samosa.eval.moments import moment_of
from samosa.eval.numbers import read

ELECTION = re.compile(r"\b(?:election|elected|won|wins?|winner|vote)\b")
LOSES = re.compile(
    r"^\W*\s(?:lost|loses|conceded|was (?:defeated|beaten)|came (?:second|last)|(?:did not|didn't) win)\b"
)
BEATEN = re.compile(r"\b(?:beat|beats|beating|defeated|defeating|defeats|ahead of)\s*$")
LEADER = re.compile(r"\b(?:ceo|president|prime minister|leader|leads?|runs?|head|heads|in charge|chief|boss)\b")
LEFT = re.compile(
    r"^\W*\s(?:used to|left|resigned|stepped down|retired|was (?:replaced|succeeded|fired|formerly|previously)|"
    r"(?:is|was) (?:the|a) (?:former|previous|ex-|last))\b"
)
FORMER = re.compile(r"\b(?:former|previous|ex-?)\s?(?:\w+ ){0,4}(?:(?:is|was)\s*)?$")
SUCCEEDED = re.compile(r"\b(?:replaced|succeeded|took over from|takes over from)\s*$")
MORE_OR_LESS = re.compile(
    r"\b(?:(?:less|fewer|lower|smaller|more|greater|larger|higher|bigger) than|below|above|exceeds?)\s[$€£₹¥]?$"
)


def told_otherwise(text: str, needle: str, question: str, source: str) -> str | None:
    """Why `text` does not tell `needle` as `source`, the texts that were found, does; or None."""
    if contains(question, needle):
        return "is denied" if says(text, needle, "") == "is denied" else None
    if fault := says(text, needle, question):
        return fault
    text, question = told(text), plain(question)
    places = list(find(text, needle))
    if all(_of_another(text[:start], text[end:], question) for start, end in places):
        return "is said of another"
    if moment_of(plain(needle)) is not None:
        return None
    if read(plain(needle)) and all(MORE_OR_LESS.search(text[:start]) for start, _ in places):
        return "is only compared with"
    return "has another unit" if _another_unit(text, set(places), needle, source) else None


def _of_another(before: str, after: str, question: str) -> bool:
    """Whether the winner is said to have lost, or the leader to lead no more."""
    if ELECTION.search(question) and (LOSES.search(after) or BEATEN.search(before)):
        return True
    led = LEFT.search(after) or FORMER.search(before) or SUCCEEDED.search(before)
    return LEADER.search(question) is not None and led is not None


def _another_unit(text: str, places: set[tuple[int, int]], needle: str, source: str) -> bool:
    """Whether an amount of money is told in another currency, or in hundredths of it."""
    values = {one.value for one in read(plain(needle))}
    known = {one.unit for one in read(plain(source)) if one.value in values}
    if len(known) != 1 or not all(unit and unit.kind.startswith("money") for unit in known):
        return False
    units = {one.unit for one in read(text) if (one.start, one.end) in places}
    return bool(units) and not units & {None, *known}
