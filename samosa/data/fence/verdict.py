"""Is what stands at a place the question? How much is asked for depends on how much the template says.

A long template may lose a fifth of its words and has its clauses in any order. A short one loses none. One that says
little has to be a sentence by itself, of somebody who asks, with numbers and names where the question has them; one
that says next to nothing has to be all there is. What falls short of that still counts when the reply holds the answer.
An answer without the question never does.
"""

import re
from typing import Literal

from samosa.data.fence import lexicon
from samosa.data.fence.fit import Place
from samosa.data.fence.index import MOVED, Index
from samosa.data.fence.templates import (
    GRAMMAR_ENOUGH,
    IS,
    NAME_JOINERS,
    NAME_WORDS,
    SAYS_ENOUGH,
    SAYS_LITTLE,
    SENTENCE,
    SHOUTED,
    ids_of_all,
)
from samosa.data.fence.words import CONTENT, NUMBER, SIGNS, STOP, Words

Verdict = Literal["fits", "with the answer", "no"]

STRAY = 2  # words before and after a short question in its sentence ("so", "please")
LONG = 5  # words with a meaning from which a template may lose some
COVERED = 0.8  # of them, at least
APART = 0.4  # of the neighbours may be apart where the reply holds the answer
INSIDE = 5  # words: a shorter question is one by itself ("price of gold" is in "price of gold mines")
SLACK = 0.15  # of the neighbours may be apart besides those of a moved clause, in a long template
LOOSE = 0.4  # of a long template's words may be others, between
LIMIT = 20  # words to the end of a sentence; farther away it does not matter where
POWER = "^"  # "3 * 10^5" is one number, and no question
LINE = re.compile(r"[.!?:]\s|\n")
BREAK = re.compile(r"[.!?:;,\n\"()\[\]{}|]")


def verdict_on(place: Place, words: Words, *, asks: bool) -> Verdict:
    """Whether a question stands at a place. `asks`: the text is not an assistant's."""
    template = place.template
    if template.weight >= LONG:
        return _long(place)
    if place.covered < 1:
        return "no"
    if template.says >= SAYS_ENOUGH:
        return _short(place, words)
    if place.missing or place.broken > (place.total >= 3) or not _close(place, 1) or not asks:
        return "no"
    if not _alone(place, words) or _sentences(place, words) > template.sentences:
        return "no"
    if template.weight == 0 and (template.says < GRAMMAR_ENOUGH or not any(template.slots)):
        return "with the answer"
    return "fits" if _filled(place, words) else "with the answer"


def _long(place: Place) -> Verdict:
    if not _close(place, LOOSE * len(place.template.fixed)):
        return "no"
    moved = MOVED if place.covered == 1 else 1
    if place.covered >= COVERED and place.broken <= moved + SLACK * place.total:
        return "fits"
    return "with the answer" if place.broken <= APART * place.total else "no"


def _short(place: Place, words: Words) -> Verdict:
    whole = place.broken == 0 or _sentences(place, words) <= place.template.sentences
    more = place.total >= 5  # of six words one of grammar may be missing, and a clause be moved
    whole &= not ids_of_all(lexicon.ASKING).intersection(place.lost)  # "the meaning of the word" asks nothing
    if whole and place.missing <= more and place.broken <= 1 + more and _close(place, 1) and _filled(place, words):
        return "fits"
    return "with the answer" if place.broken <= APART * place.total and _close(place, 4) else "no"


def _close(place: Place, loose: float) -> bool:
    """No more words between than a copy may put into the slots, and `loose` others."""
    return place.others <= sum(place.template.rooms) + loose


def _filled(place: Place, words: Words) -> bool:
    """Where the template has a number or a name, a number or a name stands: "what is x" is no "what is 5 x 7".

    Other slots have a word of any meaning. In a template that says little a name has a capital, in a text that has
    both, and nothing stands beside it: "what happened to Ann's dog" asks for no Ann. Where one clause moved, it may
    stand anywhere in its sentence.
    """
    template, first, last = place.template, place.first, place.last
    if len(template.fixed) == 1 and template.numbers == (True, True):  # "8 times to get 32" is no "8 times 32"
        both = [at for at in (first - 1, last + 1) if place.begin <= at < place.end]
        return len(both) == 2 and all(words.kinds[at] == NUMBER for at in both)
    rooms = template.rooms
    gaps = [(first - rooms[0], first), (first, last), (last + 1, last + 1 + rooms[-1])]
    sides = [(0,), tuple(range(1, len(template.fixed))), (len(template.fixed),)]
    little = template.says < SAYS_ENOUGH and not any(template.numbers)
    capitals = _capitals(place, words) if little else None
    for (low, high), slots in zip(gaps, sides, strict=True):
        if place.broken or template.says >= SAYS_ENOUGH:
            low, high = first - NAME_WORDS, last + 1 + NAME_WORDS
        inside = range(max(low, place.begin), min(high, place.end))
        if sum(template.numbers[slot] for slot in slots) > sum(words.kinds[at] == NUMBER for at in inside):
            return False
        others = {at for at in inside if words.ids[at] not in template.distinct and words.kinds[at] != STOP}
        if sum(template.slots[slot] > 0 for slot in slots) > len(others) * (1 if little else 2):
            return False  # a name may be a word of the question as well
        if not little or not any(template.names[slot] for slot in slots):
            continue
        if capitals is not None and not others & capitals:
            return False
        if not place.broken and not any(template.free[slot] for slot in slots):
            beside = _until_break(place, words, inside)
            if not all(_names(words, at, capitals) for at in beside if words.ids[at] not in template.distinct):
                return False
    return True


def _names(words: Words, at: int, capitals: set[int] | None) -> bool:
    """Whether a word may be part of a name, number or unit."""
    if (capitals is not None and at in capitals) or words.ids[at] in ids_of_all(NAME_JOINERS | IS):
        return True
    kind, begin = words.kinds[at], words.begins[at]
    if kind == CONTENT:
        return capitals is None or words.buffer[begin] in SIGNS
    return kind != STOP or words.ends[at] - begin == 1  # an initial


def _until_break(place: Place, words: Words, inside: range) -> range:
    """Of words before or after a span those that stand in its sentence or clause, without grammar at the far end."""
    low, high = inside.start, inside.stop
    if low > place.last:
        high = next((at for at in inside if _begins(words, at)), high)
        while high > low and words.kinds[high - 1] == STOP:
            high -= 1
    elif high <= place.first:
        low = next((at for at in range(place.first, low, -1) if _begins(words, at)), low)
        while low < high and words.kinds[low] == STOP:
            low += 1
    return range(low, high)


def _capitals(place: Place, words: Words) -> set[int] | None:
    """Which words around a place begin with a capital; None where nearly none does, or nearly all."""
    before, after = (max(NAME_WORDS, room) for room in (place.template.rooms[0], place.template.rooms[-1]))
    around = range(max(place.begin, place.first - before), min(place.end, place.last + 1 + after))
    large = {at for at in around if words.capitals[at]}
    if len(large) > 2 and len(large) >= SHOUTED * len(around):
        return None
    text = words.shown[words.begins[place.begin] : words.ends[place.end - 1]]
    return None if text.islower() else large


def _alone(place: Place, words: Words) -> bool:
    """A sentence by itself; one that says next to nothing is exactly one, or the whole text."""
    template = place.template
    before, after = template.rooms[0] + STRAY, template.rooms[-1] + STRAY
    lead, tail = words.apart(place.begin, place.first), words.apart(place.last, place.end - 1)
    if len(template.fixed) == 1:
        if lead + tail <= sum(template.slots) + STRAY or _is_line(place, words):
            return True
    elif lead <= before and tail <= after:
        return True
    begins, ends = _to_break(words, place.first, place.begin, -1), _to_break(words, place.last, place.end - 1, 1)
    if template.says < SAYS_LITTLE:
        asks = not ids_of_all(lexicon.ASKING).isdisjoint(template.fixed)
        few = len(template.fixed) + (template.slots[-1] > 0) < 3
        if any(template.names):  # "news Lagos" between two marks; in "news: see Lagos" there is one between
            if (begins == 0 and template.slots[0]) or (ends == 0 and template.slots[-1]):
                return False
        elif few or (template.slots[0] and not asks):
            return False
        before, after = template.rooms[0], template.rooms[-1]
    return begins <= before and ends <= after


def _is_line(place: Place, words: Words) -> bool:
    """Two numbers and a word between, and a sentence or line that is no more than that: "432 times 28"."""
    first, last = place.first - 1, place.last + 1
    if place.template.numbers != (True, True) or first < place.begin or last >= place.end:
        return False
    within = all(words.before(at).isspace() for at in (place.first, last))
    while first > place.begin and words.apart(first - 1, place.first) == 1:  # "four hundred and six" is one number
        first -= 1
    while last < place.end - 1 and words.apart(place.last, last + 1) == 1 and POWER not in words.before(last + 1):
        last += 1
    before = first == place.begin or LINE.search(words.before(first)) is not None
    after = last == place.end - 1 or LINE.search(words.before(last + 1)) is not None or _opens(words, last + 1)
    return before and after and within


def _sentences(place: Place, words: Words) -> int:
    """Sentences that end inside a span."""
    return len(SENTENCE.findall(words.between(place.first, place.last)))


def _to_break(words: Words, at: int, limit: int, step: int) -> int:
    """Words from a place to the next mark that ends a sentence or clause, or to the limit."""
    start = at
    while at != limit and abs(at - start) < LIMIT:
        if _begins(words, at + 1 if step > 0 else at):
            break
        at += step
    return words.apart(min(start, at), max(start, at))


def _begins(words: Words, at: int) -> bool:
    """Whether a word begins a clause: after a mark, or with a capital that only a beginning gives it ("And")."""
    return BREAK.search(words.before(at)) is not None or _opens(words, at)


def _opens(words: Words, at: int) -> bool:
    """Whether a word of grammar has a capital, and no title stands around it; "I" is large anywhere."""
    long = words.ends[at] - words.begins[at] > 1
    titled = words.capitals[at - 1] and (at + 1 == len(words.ids) or words.capitals[at + 1])
    return bool(words.kinds[at] == STOP and long and words.capitals[at] and not titled)


def asked_as_it_is(index: Index, words: Words, text: int, number: int) -> tuple[int, int] | None:
    """The first and last word of a question that stands in a text word for word; a short one only as a sentence or as
    the whole text."""
    asked, begin, end = index.asked[number], int(words.bounds[text]), int(words.bounds[text + 1])
    length = len(asked) // 8
    at = _find(words.ids[begin:end].tobytes(), asked, 0)
    while at >= 0:
        first, last = begin + at, begin + at + length - 1
        if length >= INSIDE or length == end - begin:
            return first, last
        if length > 2 and _to_break(words, first, begin, -1) == _to_break(words, last, end - 1, 1) == 0:
            return first, last
        at = _find(words.ids[begin:end].tobytes(), asked, at + 1)
    return None


def answered(index: Index, words: Words, number: int, first: int, end: int) -> bool:
    """Whether one of a question's answers stands among the words from `first` on."""
    if first >= end or not index.answers[number]:
        return False
    ids = words.ids[first:end].tobytes()
    return any(_find(ids, answer, 0) >= 0 for answer in index.answers[number])


def _find(ids: bytes, part: bytes, start: int) -> int:
    """Where ids of eight bytes follow each other, counted in words; -1 for nowhere."""
    at = ids.find(part, 8 * start) if part else -1
    while at > 0 and at % 8:
        at = ids.find(part, at + 1)
    return at // 8 if at >= 0 else -1
