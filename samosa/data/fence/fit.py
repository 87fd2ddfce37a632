"""Where in a text a template fits best: which of its words stand there, how close together, and in what order."""

import bisect
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from samosa.data.fence.index import REGION
from samosa.data.fence.templates import Template
from samosa.data.fence.words import STOP, Words

LINED = 5  # words of a template that may be looked for a second time
MOST_STRAYS = 2  # pairs of a text that happen to be neighbours in a template
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


def places_of(template: Template, words: Words, clues: Sequence[int], text: int) -> Iterator[Place]:
    """Where a template may stand in a text: around clues that stand close together, best first; then the same places
    without a neighbour that only happens to stand nearby, and single lines."""
    begin, end = int(words.bounds[text]), int(words.bounds[text + 1])
    margin = template.length + REGION
    found = []
    for cluster in _clusters(clues, margin)[:MOST_PLACES]:
        low, high = max(begin, cluster[0] - margin), min(end, cluster[-1] + margin)
        if len(template.distinct.intersection(words.listed(low, high))) >= template.least:
            place = _place(template, words, low, high, (begin, end))
            if place is not None:
                found.append((place, low, high))
    found.sort(key=lambda one: (one[0].broken + one[0].missing, -one[0].covered))
    yield from (place for place, _, _ in found)
    for found_place, low, high in found:
        if len(template.fixed) < LINED or found_place.covered < 1:
            continue
        lines = [
            line
            for line in _lines(words, low, high)
            if len(template.distinct.intersection(words.listed(*line))) >= template.least
        ]
        tries = [(line, 0) for line in lines]
        tries += [(span, strays) for span in [(low, high), *lines] for strays in range(1, MOST_STRAYS + 1)]
        for (first, last), strays in tries:
            place = _place(template, words, first, last, (begin, end), strays=strays)
            if place is not None:
                yield place


def _lines(words: Words, low: int, high: int) -> list[tuple[int, int]]:
    """The lines of a span; none where there is but one."""
    breaks = [at for at in range(low + 1, high) if "\n" in words.before(at)]
    return list(itertools.pairwise([low, *breaks, high])) if breaks else []


def _clusters(clues: Sequence[int], reach: int) -> list[list[int]]:
    """Clues that stand together, the largest clusters first."""
    clusters = [[clues[0]]]
    for at in clues[1:]:
        if at - clusters[-1][0] <= reach:
            clusters[-1].append(at)
        else:
            clusters.append([at])
    return sorted(clusters, key=len, reverse=True) if len(clusters) > 1 else clusters


def _place(
    template: Template, words: Words, low: int, high: int, text: tuple[int, int], *, strays: int = 0
) -> Place | None:
    """`strays`: without so many neighbours at the ends whose words stand further inside; None if fewer do."""
    stand: dict[int, list[int]] = {}
    fixed = template.distinct
    for at, word in enumerate(words.listed(low, high), low):
        if word in fixed:
            stand.setdefault(word, []).append(at)
    covered = _covered(template, stand)
    if covered < HALF:
        return None
    held, pairs = _neighbours(template, words, stand)
    for _ in range(strays):
        if (kept := _without_stray(pairs, words)) is None:
            return None
        held, pairs = held - 1, kept
    matched = [at for pair in pairs for at in pair]
    if not matched:
        if len(template.fixed) > 1:
            return None
        matched = stand.get(template.fixed[0], [])[:1]
        if not matched:
            return None
    first, last = _widened(template, stand, min(matched), max(matched))
    lost = tuple(w for w in template.fixed if not any(first <= at <= last for at in stand.get(w, ())))
    others = words.apart(first, last) + 1 - (len(template.fixed) - len(lost)) - _letters(template, words, first, last)
    return Place(template, covered, len(template.fixed) - 1 - held, lost, first, last, *text, others)


def _letters(template: Template, words: Words, first: int, last: int) -> int:
    """Single letters in a span, as before choices."""
    single = np.flatnonzero(words.ends[first : last + 1] - words.begins[first : last + 1] == 1) + first
    return sum(words.kinds[at] == STOP and int(words.ids[at]) not in template.distinct for at in single)


def _without_stray(pairs: Sequence[tuple[int, int]], words: Words) -> list[tuple[int, int]] | None:
    """Without the pair at an end whose words stand in the rest of the span as well; that which shortens it most."""
    if len(pairs) < 2:
        return None
    ordered = sorted(pairs)
    found = []
    for end, rest in ((ordered[0], ordered[1:]), (ordered[-1], ordered[:-1])):
        first, last = rest[0][0], max(at for _, at in rest)
        if set(words.listed(first, last + 1)).issuperset(words.ids[list(end)].tolist()):
            found.append((last - first, rest))
    return min(found)[1] if found else None


def _covered(template: Template, stand: dict[int, list[int]]) -> float:
    if not template.meant:
        return 1.0
    there = sum(min(count, len(stand.get(word, ()))) for word, count in Counter(template.meant).items())
    return there / len(template.meant)


def _neighbours(template: Template, words: Words, stand: dict[int, list[int]]) -> tuple[int, list[tuple[int, int]]]:
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
        both
        for pair, near in found.items()
        for both in sorted(near, key=lambda one: abs(one[0] - middle))[: pairs[pair]]
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
