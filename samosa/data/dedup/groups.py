"""Which rows belong together: equal keys, and candidates of a band whose shingles really are alike, joined into groups.

Everything here is an array over entries (or over candidates), so that memory is a number of bytes for each of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samosa.data.dedup.shingles import Hashes, jaccard

Index = NDArray[np.int64]
CROWD = 32
"""Candidates of one band that are all compared with each other; of more, each is compared with HEADS groups. In 8,000
rows made from templates, where that happened 6,306 times, all 220 near-duplicates were found all the same."""
HEADS = 32


def first_equals(keys: NDArray[np.uint64], use: NDArray[np.bool_]) -> Index:
    """For each entry the first used one with the same key of [entries, 2]; an entry that is not used is its own."""
    firsts = np.arange(len(keys))
    chosen = np.flatnonzero(use)
    high, low = keys[chosen, 0], keys[chosen, 1]
    order = np.lexsort((low, high))  # stable: equal keys stay in their order
    high, low = high[order], low[order]
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    chosen = chosen[order]
    heads = np.flatnonzero(is_new)
    firsts[chosen] = np.repeat(chosen[heads], np.diff(heads, append=len(order)))
    return firsts


def meetings(hashes: Hashes) -> Iterator[Index]:
    """The groups of two and more places with equal hashes, each ascending."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    edges = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    sizes = np.diff(edges)
    for start, size in zip(edges[:-1][sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        yield order[start : start + size]


@dataclass
class Groups:
    """Candidates joined where their shingle sets are alike: a forest whose roots are the first of their groups.

    `sets` gives a candidate's shingle set, `sizes` are those sets' sizes, and no candidate joins one of another `kind`.
    """

    sets: Callable[[int], Hashes]
    sizes: Index
    kinds: NDArray[np.bool_]
    threshold: float
    compared: int = 0
    skipped: int = 0
    """Times that a candidate met too many others to be compared with all of them."""
    parents: Index = field(init=False)

    def __post_init__(self) -> None:
        self.parents = np.arange(len(self.sizes))

    def root(self, item: int) -> int:
        """The first of the group that `item` is in."""
        parents = self.parents
        while (above := int(parents[item])) != item:
            parents[item] = parents[above]  # halves the way for the next time
            item = above
        return item

    def similarity(self, first: int, second: int) -> float:
        """The Jaccard similarity of two candidates' shingles."""
        return jaccard(self.sets(first), self.sets(second))

    def meet(self, members: Index) -> None:
        """Join those candidates of one band that are alike."""
        if len(members) <= CROWD:
            for place, second in enumerate(members.tolist()):
                for first in members[:place].tolist():
                    self._join(first, second)
            return
        heads: dict[int, int] = {}  # of each group the member that came last, likest to those that come
        for second in members.tolist():
            for root, first in list(heads.items()):
                if self._join(first, second):
                    del heads[root]
            if len(heads) < HEADS:
                heads[self.root(second)] = second
            else:
                self.skipped += 1

    def _join(self, first: int, second: int) -> bool:
        """Whether they are in one group, now or already."""
        one, other = self.root(first), self.root(second)
        if one == other:
            return True
        small, large = sorted((int(self.sizes[first]), int(self.sizes[second])))
        if self.kinds[first] != self.kinds[second] or small < self.threshold * large:
            return False  # |A and B| / |A or B| is at most the smaller by the larger
        self.compared += 1
        if self.similarity(first, second) < self.threshold:
            return False
        self.parents[max(one, other)] = min(one, other)
        return True
