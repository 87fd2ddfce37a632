"""Exact binomial statistics: tails, Clopper-Pearson bounds and acceptance plans. Standard library only."""

import math
from collections.abc import Callable
from dataclasses import dataclass

LARGEST_PLAN = 5_000  # instances; beyond this the two rates are too close for any gate one would run


@dataclass(frozen=True)
class Plan:
    """Pass if at least `c` of `n` instances pass."""

    n: int
    c: int


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p), to about 1e-12 relative. Raises ValueError for n < 0 or p outside [0, 1]."""
    _check(n, p)
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    weights = _weights(n, p)
    return min(1.0, math.fsum(weights[k:]) / math.fsum(weights))


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p), to about 1e-12 relative. Raises ValueError for n < 0 or p outside [0, 1]."""
    _check(n, p)
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    weights = _weights(n, p)
    return min(1.0, math.fsum(weights[: k + 1]) / math.fsum(weights))


def lower_bound(passes: int, n: int, *, confidence: float) -> float:
    """One-sided Clopper-Pearson lower bound: the pass rate at which `passes` or more had probability 1 - confidence."""
    _check_counts(passes, n, confidence)
    if passes == 0:
        return 0.0
    return _root(lambda p: at_least(passes, n, p), 1 - confidence)


def upper_bound(passes: int, n: int, *, confidence: float) -> float:
    """One-sided Clopper-Pearson upper bound: the mirror image of `lower_bound`, counted on the failures."""
    return 1 - lower_bound(n - passes, n, confidence=confidence)


def clopper_pearson(passes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval for a pass rate (Clopper & Pearson 1934); n = 0 gives (0, 1)."""
    each_side = 1 - (1 - confidence) / 2
    return lower_bound(passes, n, confidence=each_side), upper_bound(passes, n, confidence=each_side)


def acceptance_plan(bad: float, good: float, *, bad_passes: float = 0.05, good_fails: float = 0.10) -> Plan:
    """The smallest n with a c such that a model of rate `bad` passes at most `bad_passes` of the time and a model of
    rate `good` fails at most `good_fails` of the time; of several c the smallest.

    Raises ValueError unless 0 <= bad < good <= 1 and both errors are in (0, 1), or if no plan of a usable size exists.
    """
    if not 0 <= bad < good <= 1:
        raise ValueError(f"a plan needs 0 <= bad < good <= 1, not bad={bad}, good={good}")
    if not (0 < bad_passes < 1 and 0 < good_fails < 1):
        raise ValueError(f"error rates are between 0 and 1, not {bad_passes} and {good_fails}")
    c = 0
    for n in range(1, LARGEST_PLAN + 1):
        # One more instance never lowers the c that keeps a bad model out, so c only moves up.
        while at_least(c, n, bad) > bad_passes:
            c += 1
        if c <= n and at_least(c, n, good) >= 1 - good_fails:
            return Plan(n, c)
    raise ValueError(f"no plan of up to {LARGEST_PLAN} instances separates {bad} from {good}")


def _weights(n: int, p: float) -> list[float]:
    """P(X = i) / P(X = mode) for i = 0..n, by the ratio of neighbours from the mode outwards.

    No logarithms of factorials, whose absolute error grows with n: the rounding error of a term is that of its distance
    from the mode, and far terms are small.
    """
    if p in (0.0, 1.0):
        return [float(i == n * p) for i in range(n + 1)]
    mode = min(n, int((n + 1) * p))
    odds = p / (1 - p)
    weights = [0.0] * (n + 1)
    weights[mode] = 1.0
    for i in range(mode, n):
        weights[i + 1] = weights[i] * odds * (n - i) / (i + 1)
    for i in range(mode, 0, -1):
        weights[i - 1] = weights[i] * i / ((n - i + 1) * odds)
    return weights


def _root(rising: Callable[[float], float], target: float) -> float:
    """The p in [0, 1] where a rising function reaches `target`, to the last bit bisection can tell."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        if rising(middle) < target:
            low = middle
        else:
            high = middle
    return middle


def _check(n: int, p: float) -> None:
    if n < 0 or not 0 <= p <= 1:
        raise ValueError(f"a binomial needs n >= 0 and 0 <= p <= 1, not n={n}, p={p}")


def _check_counts(passes: int, n: int, confidence: float) -> None:
    if not (0 <= passes <= n and 0 < confidence < 1):
        raise ValueError(f"a bound needs 0 <= passes <= n and 0 < confidence < 1, not {passes}, {n}, {confidence}")
