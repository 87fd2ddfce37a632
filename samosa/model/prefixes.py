"""Beginnings that several sequences share, and are worth reading once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SHARED_TOKENS = 32  # a shorter beginning is not worth a reading of its own


@dataclass(frozen=True)
class Family:
    """Sequences that share their first `prefix` tokens: `members` are their places, in order."""

    prefix: int
    members: tuple[int, ...]


def families(sequences: Sequence[Sequence[int]]) -> list[Family]:
    """Every sequence in one family, so that much is shared; those that share nothing are a family of prefix 0.

    At least one token of each is behind its prefix: what follows a sequence is predicted at its last token. Where
    families lie inside families, a beginning is divided if its parts share more between them.
    """
    order = sorted(range(len(sequences)), key=lambda i: tuple(sequences[i]))
    common = [0] + [_common(sequences[a], sequences[b]) for a, b in pairwise(order)]
    found: list[Family] = []
    alone: list[int] = []
    ranges = [(0, len(order))]
    while ranges:
        low, high = ranges.pop()
        if high - low < 2:
            alone += order[low:high]
            continue
        prefix = min(common[low + 1 : high])
        cuts = [low, *(i for i in range(low + 1, high) if common[i] == prefix), high]
        parts = list(pairwise(cuts))
        shared_apart = sum((b - a - 1) * min(common[a + 1 : b], default=0) for a, b in parts)
        if prefix < SHARED_TOKENS or shared_apart > (high - low - 1) * prefix:
            ranges += parts
        else:
            found.append(Family(prefix, tuple(sorted(order[low:high]))))
    return [*found, Family(0, tuple(sorted(alone)))] if alone else found


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences share at their beginning, short of the whole of either."""
    most = min(len(a), len(b)) - 1
    if tuple(a[:most]) == tuple(b[:most]):
        return most
    return next(i for i in range(most) if a[i] != b[i])
