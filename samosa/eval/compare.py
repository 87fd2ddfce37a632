"""What changed between two models that were asked the same: differences with their intervals, and every flip."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samosa.eval import stats, tries
from samosa.eval.conjuncts import OVERALL
from samosa.eval.stats import clustered, paired
from samosa.eval.tries import Pairs, Try


@dataclass(frozen=True)
class Difference:
    """One category, or all of them."""

    name: str
    instances: int
    pairs: int
    """Tries that both models completed."""
    templates: int
    """Clusters: few of them carry little evidence, however many pairs they hold."""
    before: float
    after: float
    """Pass rates: means over instances."""
    difference: float
    interval: tuple[float, float]
    """Two-sided, paired and clustered by template."""
    lost: int
    gained: int
    """Pairs that went from right to wrong, and from wrong to right."""
    p_value: float
    """Two-sided and exact, by the signs of templates; of categories adjusted for their number (Holm)."""


@dataclass(frozen=True)
class Flip:
    """A pair with two verdicts."""

    id: str
    k: int
    category: str
    gained: bool
    asked: str
    before: Try
    after: Try


@dataclass(frozen=True)
class Comparison:
    """Two models on the same instances."""

    overall: Difference
    categories: tuple[Difference, ...]
    flips: tuple[Flip, ...]
    """Lost ones first, in the suite's order."""


def compare(before: Sequence[Try], after: Sequence[Try], *, confidence: float) -> Comparison:
    """Pair by probe id and k what both completed. Raises ValueError where that is nothing."""
    pairs = tries.pair(before, after)
    if not len(pairs.ids):
        raise ValueError("nothing that both models completed")
    flips = _flips(before, after)
    names = sorted(set(pairs.categories.tolist()))
    categories = [_difference(name, pairs.of(pairs.categories == name), flips, confidence) for name in names]
    adjusted = stats.holm([one.p_value for one in categories])
    return Comparison(
        _difference(OVERALL, pairs, flips, confidence),
        tuple(
            Difference(**(vars(one) | {"p_value": p_value})) for one, p_value in zip(categories, adjusted, strict=True)
        ),
        tuple(sorted(flips, key=lambda flip: flip.gained)),
    )


def _difference(name: str, pairs: Pairs, flips: Sequence[Flip], confidence: float) -> Difference:
    before, after = pairs.before / pairs.tries, pairs.after / pairs.tries
    difference = clustered.mean(after - before, pairs.templates)
    totals = np.bincount(pairs.templates, weights=pairs.after - pairs.before).astype(np.int64)
    low, high = difference.interval(confidence=confidence)
    flipped = [flip.gained for flip in flips if name in (OVERALL, flip.category)]
    return Difference(
        name=name,
        instances=len(pairs.ids),
        pairs=int(pairs.tries.sum()),
        templates=difference.clusters,
        before=float(before.mean()),
        after=float(after.mean()),
        difference=difference.mean,
        interval=(max(-1.0, low), min(1.0, high)),
        lost=flipped.count(False),
        gained=flipped.count(True),
        p_value=min(1.0, 2 * min(paired.worse(totals), paired.worse(-totals))),
    )


def _flips(before: Sequence[Try], after: Sequence[Try]) -> list[Flip]:
    first = {(one.id, one.k): one for one in before if one.passed is not None}
    flips = []
    for one in after:
        other = first.get((one.id, one.k))
        if other is not None and one.passed is not None and one.passed != other.passed:
            flips.append(Flip(one.id, one.k, one.category, one.passed, one.asked, other, one))
    return flips
