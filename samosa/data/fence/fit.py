"""Where in a text a template fits best: which of its words stand there, how close together, and in what order."""

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from samosa.data.fence.index import REGION
from samosa.data.fence.templates import Template
from samosa.data.fence.words import STOP, Words

MOST_PLACES = 6  # clusters of clues in one text that are looked at
HALF = 0.7  # of the words with a meaning, at least, to be worth a second look


@dataclass(frozen=True)
class Place:
    """Where a template was found, more or less."""

    template: Template
    covered: float
    """Share of its words with a meaning that stand here."""
    broken: int
    """Of its neighbours, those that are none here."""
    missing: int
    """Of its words, those that do not stand between `first` and `last`."""
    first: int
    """The first and the last word that were matched, counted over the batch."""
    last: int
    begin: int
    """The text's first word."""
    end: int
    """Behind its last."""
    others: int
    """Words in between that are none of the template's."""

    @property
    def total(self) -> int:
        """Neighbours in the template."""
        return len(self.template.fixed) - 1

    @property
    def order(self) -> float:
        """Share of the neighbours that are neighbours here."""
        return 1 - self.broken / self.total if self.total else 1.0


def places_of(template: Template, words: Words, clues: Sequence[int], text: int) -> list[Place]:
    """Where a template may stand in a text: around clues that stand close together, best first."""
    begin, end = int(words.bounds[text]), int(words.bounds[text + 1])
    margin = template.length + REGION
    found = []
    for cluster in _clusters(clues, margin)[:MOST_PLACES]:
        low, high = max(begin, cluster[0] - margin), min(end, cluster[-1] + margin)
        if len(template.distinct.intersection(words.listed[low:high])) >= template.least:
            place = _place(template, words, low, high, (begin, end))
            if place is not None:
                found.append(place)
    return sorted(found, key=lambda place: (place.broken + place.missing, -place.covered))


def _clusters(clues: Sequence[int], reach: int) -> list[list[int]]:
    """Clues that stand together, the largest clusters first."""
    clusters = [[clues[0]]]
    for at in clues[1:]:
        if at - clusters[-1][0] <= reach:
            clusters[-1].append(at)
        else:
            clusters.append([at])
    return sorted(clusters, key=len, reverse=True) if len(clusters) > 1 else clusters


def _place(template: Template, words: Words, low: int, high: int, text: tuple[int, int]) -> Place | None:
    stand: dict[int, list[int]] = {}
    fixed = template.distinct
    for at, word in enumerate(words.listed[low:high], low):
        if word in fixed:
            stand.setdefault(word, []).append(at)
    covered = _covered(template, stand)
    if covered < HALF:
        return None
    held, matched = _neighbours(template, words, stand)
    if not matched:
        if len(template.fixed) > 1:
            return None
        matched = stand[template.fixed[0]]
        if not matched:
            return None
        matched = matched[:1]
    first, last = _widened(template, stand, min(matched), max(matched))
    missing = sum(not any(first <= at <= last for at in stand.get(word, ())) for word in template.fixed)
    others = words.ranks[last] - words.ranks[first] + 1 - (len(template.fixed) - missing)
    return Place(template, covered, len(template.fixed) - 1 - held, missing, first, last, *text, others)


def _covered(template: Template, stand: dict[int, list[int]]) -> float:
    if not template.meant:
        return 1.0
    there = sum(min(count, len(stand.get(word, ()))) for word, count in Counter(template.meant).items())
    return there / len(template.meant)


def _neighbours(template: Template, words: Words, stand: dict[int, list[int]]) -> tuple[int, list[int]]:
    """How many neighbours of the template are neighbours here, with room for what a copy put into the slots.

    A word of grammar may stand before the second: "what's the weather" is "what is the weather". Where a pair stands
    equally close at several places, that counts which is nearest to the others.
    """
    found: list[list[tuple[int, int]]] = []
    fixed, rooms, kinds, ranks = template.fixed, template.rooms, words.kinds_listed, words.ranks
    for place in range(len(fixed) - 1):
        there = stand.get(fixed[place + 1])
        if there is None:
            continue
        nearest = 2 + rooms[place + 1]
        pairs: list[tuple[int, int]] = []
        for at in stand.get(fixed[place], ()):
            following = bisect.bisect_right(there, at)
            if following < len(there):
                other = there[following]
                apart = ranks[other] - ranks[at] - (kinds[other - 1] == STOP)
                if apart < nearest:
                    nearest, pairs = apart, [(at, other)]
                elif pairs and apart == nearest:
                    pairs.append((at, other))
        if pairs:
            found.append(pairs)
    sure = sorted(pairs[0][0] for pairs in found if len(pairs) == 1)
    middle = sure[len(sure) // 2] if sure else 0
    chosen = [min(pairs, key=lambda pair: abs(pair[0] - middle)) for pairs in found]
    return len(found), [at for pair in chosen for at in pair]


def _widened(template: Template, stand: dict[int, list[int]], first: int, last: int) -> tuple[int, int]:
    """The span with those words of the template that stand near it alone, as around a list whose parts were moved."""
    reach = 1 + 2 * max(template.slots)
    for word in template.distinct:
        there = stand.get(word, [])
        if there and not any(first <= at <= last for at in there):
            nearest = min(there, key=lambda at: min(abs(at - first), abs(at - last)))
            if first - reach <= nearest <= last + reach:
                first, last = min(first, nearest), max(last, nearest)
    return first, last
