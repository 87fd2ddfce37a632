"""Looks at one suspect word by word: is the question in it, and does the reply answer it?

A question is in a text when the words that stay (templates.py) stand there close together, nearly all of them and
mostly in its order. How much is asked for depends on how much the words say: a long template may lose a fifth of its
words, a short one none, and one of few words has to be a sentence by itself. What falls short of that still counts
when the reply holds the answer. An answer without the question never does.
"""

import bisect
import re
from dataclasses import dataclass
from typing import Literal

from samosa.data.fence.index import MOVED, Index
from samosa.data.fence.templates import GRAMMAR_ENOUGH, NAME_WORDS, SAYS_ENOUGH, SAYS_LITTLE, SENTENCE, SHOUTED, Template
from samosa.data.fence.words import NUMBER, STOP, Words, plain

Kind = Literal["same words", "template", "13-gram", "question and answer"]

STRAY = 2  # words before and after a short question in its sentence ("so", "please")
LONG = 5  # words with a meaning from which a template may lose some
COVERED = 0.8  # of them, at least
HALF = 0.7  # of them, at least, where the reply holds the answer
APART = 0.4  # of the neighbours may be apart where the reply holds the answer
INSIDE = 5  # words: a shorter question is one by itself ("price of gold" is in "price of gold mines")
SLACK = 0.15  # of the neighbours besides, in a long template
LOOSE = 0.4  # of its words may be others, between
REGION = 12  # words around the clues that are looked at besides the question's own length
MOST_PLACES = 6  # clusters of clues in one text that are looked at
BREAK = re.compile(r"[.!?:;,\n\"()\[\]{}|]")


@dataclass(frozen=True)
class Found:
    """A denied question in a text."""

    number: int
    """Of the question."""
    kinds: tuple[Kind, ...]
    first: int
    """Its first and last word in the batch, of what was matched."""
    last: int
    words: float
    """Share of the template's words with a meaning that stand there."""
    order: float
    """Share of its neighbours that are neighbours there."""
    grams: float = 0.0
    """Share of the question's 13-grams that stand in the text."""


@dataclass(frozen=True)
class Fit:
    """How well a template fits at one place."""

    words: float
    order: float
    first: int
    last: int
    verdict: "Verdict"


def best_fit(
    template: Template, words: Words, places: tuple[int, ...], number: int, text: str, *, asks: bool
) -> Fit | None:
    """The best place of a template in text `number`, or None where it is nowhere near.

    `asks`: the text is not an assistant's; in what one says, only what says enough counts.
    """
    begin, end = int(words.bounds[number]), int(words.bounds[number + 1])
    length = len(template.fixed) + sum(template.rooms)
    best: Fit | None = None
    for low, high in _regions(places, length, begin, end):
        fit = _fit(template, words, (low, high), (begin, end), text, asks)
        if fit is not None and (best is None or _rank(fit) > _rank(best)):
            best = fit
            if fit.verdict == "fits":
                return fit
    return best


def _rank(fit: Fit) -> tuple[int, float]:
    return ("no", "with the answer", "fits").index(fit.verdict), fit.words + fit.order


def _regions(places: tuple[int, ...], length: int, begin: int, end: int) -> list[tuple[int, int]]:
    """Where clues stand close together, those with most clues first."""
    clusters: list[list[int]] = []
    for place in places:
        if clusters and place - clusters[-1][0] <= length + REGION:
            clusters[-1].append(place)
        else:
            clusters.append([place])
    clusters.sort(key=len, reverse=True)
    margin = length + REGION
    return [(max(begin, c[0] - margin), min(end, c[-1] + margin)) for c in clusters[:MOST_PLACES]]


def _fit(
    template: Template, words: Words, region: tuple[int, int], whole: tuple[int, int], text: str, asks: bool
) -> Fit | None:
    low, high = region
    stand: dict[int, list[int]] = {word: [] for word in template.fixed}
    for place, word in enumerate(words.ids[low:high].tolist(), low):
        if word in stand:
            stand[word].append(place)
    meant = [word for word, content in zip(template.fixed, template.content, strict=True) if content]
    covered = sum(bool(stand[word]) for word in meant) / len(meant) if meant else 1.0
    if covered < HALF:
        return None
    held, matched = _neighbours(template, words, stand)
    total = len(template.fixed) - 1
    order = held / total if total > 0 else 1.0
    if not matched:
        only = [place for word in meant for place in stand[word]][:1]
        if total > 0 or not only:
            return None
        matched = only
    first, last = min(matched), max(matched)
    present = sum(any(first <= at <= last for at in stand[word]) for word in template.fixed)
    place = Place(covered, total, total - held, len(template.fixed) - present, first, last, *whole)
    verdict = _verdict(template, words, place, text, asks)
    return Fit(covered, order, first, last, verdict)


def _neighbours(template: Template, words: Words, stand: dict[int, list[int]]) -> tuple[int, list[int]]:
    """How many neighbours of the template are neighbours here, with room for what a copy put into the slots.

    A word of grammar may stand before the second: "what's the weather" is "what is the weather".
    """

    def skipped(place: int) -> bool:
        return bool(words.kinds[place - 1] == STOP)

    held, matched = 0, []
    rooms = template.rooms
    fixed = template.fixed
    for place in range(len(fixed) - 1):
        room = 1 + rooms[place + 1]
        here, there = stand[fixed[place]], stand[fixed[place + 1]]
        for at in here:
            following = bisect.bisect_right(there, at)
            if following < len(there) and there[following] - at - skipped(there[following]) <= room:
                held += 1
                matched += [at, there[following]]
                break
    return held, matched


Verdict = Literal["fits", "with the answer", "no"]


@dataclass(frozen=True)
class Place:
    """Where a template was matched."""

    covered: float
    """Share of the words with a meaning."""
    total: int
    """Neighbours in the template."""
    broken: int
    """Of them, those that are none here."""
    missing: int
    """Fixed words that are not here."""
    first: int
    last: int
    begin: int
    """The text's first word."""
    end: int
    """Behind its last."""


def _verdict(template: Template, words: Words, place: Place, text: str, asks: bool) -> Verdict:
    if template.weight >= LONG:
        if not _close(template, place, LOOSE * len(template.fixed)):
            return "no"
        if place.covered >= COVERED and place.broken <= (MOVED if place.covered == 1 else 1) + SLACK * place.total:
            return "fits"
        return "with the answer" if place.broken <= APART * place.total else "no"
    if place.covered < 1:
        return "no"
    if template.says >= SAYS_ENOUGH:
        whole = place.broken == 0 or _sentences(words, place) <= template.sentences
        few = place.missing <= (place.total >= 5) and place.broken <= 1 + (place.total >= 5)
        if few and whole and _close(template, place):
            return "fits"
        return "with the answer" if place.broken <= APART * place.total and _close(template, place, 4) else "no"
    if place.missing or place.broken > (place.total >= 4) or not _close(template, place) or not asks:
        return "no"
    if template.weight == 0 and (template.says < GRAMMAR_ENOUGH or not any(template.slots)):
        return "with the answer" if _alone(template, words, place) else "no"
    if not _alone(template, words, place) or _sentences(words, place) > template.sentences:
        return "no"
    return "fits" if _filled(template, words, place, text) else "with the answer"


def _close(template: Template, place: Place, loose: float = 1) -> bool:
    """No more words between than a copy may put into the slots, and `loose` others."""
    between = place.last - place.first + 1 - (len(template.fixed) - place.missing)
    return between <= sum(template.rooms) + loose


def _filled(template: Template, words: Words, place: Place, text: str) -> bool:
    """Where the template has a number or a name, a number or a name stands: "what is x" is no "what is 5 x 7".

    A name has a capital, in a text that has both; where one clause moved, it may stand anywhere in its sentence.
    """
    rooms, moved = template.rooms, place.broken > 0
    if len(template.fixed) == 1 and template.numbers == (True, True):  # "8 times to get 32" is no "8 times 32"
        beside = [at for at in (place.first - 1, place.last + 1) if place.begin <= at < place.end]
        return len(beside) == 2 and all(words.kinds[at] == NUMBER for at in beside)
    gaps = [(place.first - rooms[0], place.first), (place.first, place.last), (place.last + 1, place.last + 1 + rooms[-1])]
    sides = [(0,), tuple(range(1, len(template.fixed))), (len(template.fixed),)]
    capitals = _capitals(words, place, text)
    for (low, high), slots in zip(gaps, sides, strict=True):
        if moved:
            low, high = place.first - NAME_WORDS, place.last + 1 + NAME_WORDS
        low, high = max(low, place.begin), min(high, place.end)
        if sum(template.numbers[slot] for slot in slots) > int((words.kinds[low:high] == NUMBER).sum()):
            return False
        if any(template.names[slot] for slot in slots):
            ids, kinds = words.ids[low:high].tolist(), words.kinds[low:high].tolist()
            others = {low + n for n, word in enumerate(ids) if word not in template.fixed and kinds[n] != STOP}
            if not (others if capitals is None else others & capitals):
                return False
    return True


def _capitals(words: Words, place: Place, text: str) -> set[int] | None:
    """Which words around a place begin with a capital; None where the text has no capitals, or nothing else."""
    written = plain(text)
    if written.islower() or written.isupper():
        return None
    shown = written.encode("utf-8", "replace")
    start = int(words.starts[int(words.starts.searchsorted(words.begins[place.first], side="right")) - 1])
    around = range(max(place.begin, place.first - NAME_WORDS), min(place.end, place.last + 1 + NAME_WORDS))
    if len(shown) <= int(words.begins[around[-1]]) - start:
        return None  # lower case is shorter here, as of few letters of few languages
    letters = {number: shown[int(words.begins[number]) - start] for number in around}
    large = {number for number, letter in letters.items() if ord("A") <= letter <= ord("Z") or letter >= 0x80}
    return None if len(large) > 2 and len(large) >= SHOUTED * len(letters) else large


def _alone(template: Template, words: Words, place: Place) -> bool:
    """A sentence by itself; one that says next to nothing is exactly one, or the whole text."""
    rooms = template.rooms
    before, after = rooms[0] + STRAY, rooms[-1] + STRAY
    if template.says < SAYS_LITTLE:
        if place.first - place.begin <= before and place.end - 1 - place.last <= after:
            return True
        if template.slots[0] or len(template.fixed) + (template.slots[-1] > 0) < 3:
            return False
        before, after = 0, rooms[-1]
    return (
        _to_break(words, place.first, place.begin, -1) <= before
        and _to_break(words, place.last, place.end - 1, 1) <= after
    )


def _sentences(words: Words, place: Place) -> int:
    """Sentences that end inside a span."""
    return len(SENTENCE.findall(words.between(place.first, place.last)))


def _to_break(words: Words, place: int, limit: int, step: int) -> int:
    """Words from a place to the next mark that ends a sentence or clause, or to the limit."""
    count = 0
    while place != limit:
        left, right = (place, place + 1) if step > 0 else (place - 1, place)
        gap = words.buffer[words.ends[left] : words.begins[right]].decode("utf-8", "replace")
        if BREAK.search(gap):
            return count
        place, count = place + step, count + 1
        if count > 4 * NAME_WORDS:
            return count
    return count


def asked_as_it_is(index: Index, words: Words, text: int, number: int) -> int | None:
    """Where a question stands in a text, word for word; a short one only as a sentence or as the whole text."""
    asked = list(index.asked[number])
    begin, end = int(words.bounds[text]), int(words.bounds[text + 1])
    ids = words.ids[begin:end].tolist()
    for place in (at for at in range(len(ids) - len(asked) + 1) if ids[at : at + 1] == asked[:1]):
        if ids[place : place + len(asked)] == asked:
            first, last = begin + place, begin + place + len(asked) - 1
            if len(asked) >= INSIDE or len(asked) == len(ids):
                return first
            if len(asked) > 2 and _to_break(words, first, begin, -1) == _to_break(words, last, end - 1, 1) == 0:
                return first
    return None


def answered(index: Index, words: Words, number: int, first: int, end: int) -> bool:
    """Whether one of a question's answers stands among the words from `first` on."""
    answers = index.answers[number]
    if not answers or first >= end:
        return False
    ids = words.ids[first:end].tolist()
    return any(
        ids[place : place + len(answer)] == list(answer)
        for answer in answers
        for place in (at for at, word in enumerate(ids) if word == answer[0])
    )

