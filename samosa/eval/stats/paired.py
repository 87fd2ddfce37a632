"""Two models asked the same: differences of pairs, which hold still whatever makes an item hard for both."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from samosa.eval.stats import clustered
from samosa.eval.stats.clustered import Mean, Values


@dataclass(frozen=True)
class Paired:
    """The mean of b - a over pairs."""

    difference: Mean
    correlation: float
    """Of the pairs; 0 where one of the two never varies."""

    def p_value(self) -> float:
        """Two-sided, that there is no difference; 1 where nothing varies and nothing differs."""
        if self.difference.se == 0 or not self.difference.dof:
            return 1.0 if self.difference.mean == 0 or not self.difference.dof else 0.0
        return 2 * clustered.t_below(-abs(self.difference.mean) / self.difference.se, self.difference.dof)


def paired(a: Sequence[float] | Values, b: Sequence[float] | Values, clusters: Sequence[str]) -> Paired:
    """The difference b - a of paired scores [n], clustered. Raises ValueError unless all three have one length > 0."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} scores cannot be paired with {second.size}")
    difference = clustered.mean(second - first, clusters)
    varies = np.ptp(first) > 0 and np.ptp(second) > 0
    return Paired(difference, float(np.corrcoef(first, second)[0, 1]) if varies else 0.0)


def non_inferior(difference: Mean, *, margin: float, tries: int) -> float:
    """One-sided p-value of the claim that the difference is above -margin (Blackwelder 1982).

    The variance is the clustered one, but never below that of `tries` coin flips with a drop of exactly `margin`
    (the score test's, Tango 1998): pairs that never differ are evidence only where there are enough of them.
    """
    distance = difference.mean + margin
    least = math.sqrt(margin * (1 - margin) / tries)
    by_null = float(special.ndtr(-distance / least))
    if difference.se == 0 or not difference.dof:
        return by_null
    return max(by_null, clustered.t_below(-distance / difference.se, difference.dof))


def worse(totals: NDArray[np.int64]) -> float:
    """One-sided exact p-value that nothing got worse: the chance that random signs give these sums of differences, one
    a cluster [G], a total as low.

    The sign-flip test on clusters (Fisher 1935), by convolution, without drawing. With every total 0, 1 or -1 it is
    McNemar's test.
    """
    sizes = np.abs(totals[totals != 0])
    gained = int(totals[totals > 0].sum())
    chances = np.zeros(int(sizes.sum()) + 1)  # [gained]: that the clusters with a plus have so much together
    chances[0] = 1.0
    for size in sizes.tolist():
        chances[size:] = (chances[size:] + chances[:-size]) / 2
        chances[:size] /= 2
    return min(1.0, float(chances[: gained + 1].sum()))


def mcnemar(lost: int, gained: int) -> float:
    """Exact two-sided p-value for `lost` pairs that went wrong and `gained` that went right (McNemar 1947)."""
    if lost < 0 or gained < 0:
        raise ValueError(f"counts are not negative: {lost}, {gained}")
    flips = lost + gained
    return min(1.0, 2 * float(special.bdtr(min(lost, gained), flips, 0.5))) if flips else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that all of them together err as often as one (Holm 1979), in the order they came."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def pairs_needed(
    effect: float, rate: float, *, correlation: float = 0.0, level: float = 0.05, power: float = 0.8
) -> int:
    """How many pairs tell a difference of `effect` at a pass rate of `rate` (two-sided, normal approximation; Miller
    2024, arXiv:2411.00640, on power).

    Raises ValueError for an effect that is not positive or rates and chances outside (0, 1).
    """
    if not (effect > 0 and 0 < rate < 1 and 0 < level < 1 and 0 < power < 1 and -1 <= correlation <= 1):
        raise ValueError(f"no number of pairs for effect={effect}, rate={rate}, level={level}, power={power}")
    z = float(special.ndtri(1 - level / 2) + special.ndtri(power))
    return max(2, math.ceil(z * z * 2 * rate * (1 - rate) * (1 - correlation) / effect**2))
