"""Where in a text a template fits best: which of its words stand there, how close together, and in what order."""

import bisect
import itertools
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
    lost: tuple[int, ...]
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
    def missing(self) -> int:
        """How many of its words are lost."""
        return len(self.lost)

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
        if len(template.distinct.intersection(words.listed(low, high))) >= template.least:
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
    for at, word in enumerate(words.listed(low, high), low):
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
    lost = tuple(w for w in template.fixed if not any(first <= at <= last for at in stand.get(w, ())))
    others = words.apart(first, last) + 1 - (len(template.fixed) - len(lost))
    return Place(template, covered, len(template.fixed) - 1 - held, lost, first, last, *text, others)


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
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    fixed = template.fixed
    pairs = Counter(itertools.pairwise(fixed))
    for place, pair in enumerate(itertools.pairwise(fixed)):
        if pair in found or pair[1] not in stand:
            continue
        room = max(template.rooms[at + 1] for at in range(place, len(fixed) - 1) if fixed[at : at + 2] == pair)
        if near := _nearest(stand, pair, 2 + room, words):
            found[pair] = near
    sure = sorted(near[0][0] for pair, near in found.items() if len(near) == pairs[pair])
    middle = sure[len(sure) // 2] if sure else 0
    chosen = [
        place
        for pair, near in found.items()
        for both in sorted(near, key=lambda one: abs(one[0] - middle))[: pairs[pair]]
        for place in both
    ]
    return sum(pairs[pair] for pair in found), chosen


def _nearest(stand: dict[int, list[int]], pair: tuple[int, int], limit: int, words: Words) -> list[tuple[int, int]]:
    """Where two words follow each other less than `limit` words apart: the closest; of equally close ones all."""
    there, kinds, ranks = stand[pair[1]], words.kinds, words.ranks
    nearest = limit + 1
    pairs: list[tuple[int, int]] = []
    for at in stand.get(pair[0], ()):
        following = bisect.bisect_right(there, at)
        if following < len(there):
            other = there[following]
            apart = ranks[other] - ranks[at]
            if apart - (kinds[other - 1] == STOP) < limit and apart <= nearest:
                pairs = [*pairs, (at, other)] if apart == nearest else [(at, other)]
                nearest = apart
    return pairs


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
