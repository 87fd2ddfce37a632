"""Pass rates counted exactly: binomial tails, bounds, acceptance plans, and the count that a claim needs."""

import math
from dataclasses import dataclass

from scipy import special

LARGEST_PLAN = 5_000  # instances; beyond this the two rates are too close for any gate one would run


@dataclass(frozen=True)
class Plan:
    """Pass if at least `c` of `n` instances pass."""

    n: int
    c: int


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) for X ~ Binomial(n, p). Raises ValueError for n < 0 or p outside [0, 1]."""
    _check(n, p)
    if k <= 0:
        return 1.0
    return float(special.betainc(k, n - k + 1, p)) if k <= n else 0.0


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p). Raises ValueError for n < 0 or p outside [0, 1]."""
    _check(n, p)
    if k < 0:
        return 0.0
    return float(special.betaincc(k + 1, n - k, p)) if k < n else 1.0


def lower_bound(passes: float, n: float, *, confidence: float) -> float:
    """One-sided Clopper-Pearson lower bound: the pass rate at which `passes` or more had probability 1 - confidence.

    Counts may be fractions, as they are where `n` is an effective sample size (see clustered.rate_bounds).
    """
    _check_counts(passes, n, confidence)
    return float(special.betaincinv(passes, n - passes + 1, 1 - confidence)) if passes > 0 else 0.0


def upper_bound(passes: float, n: float, *, confidence: float) -> float:
    """One-sided Clopper-Pearson upper bound: the mirror image of `lower_bound`, counted on the failures."""
    _check_counts(passes, n, confidence)
    return float(special.betainccinv(passes + 1, n - passes, 1 - confidence)) if passes < n else 1.0


def clopper_pearson(passes: float, n: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval for a pass rate (Clopper & Pearson 1934); n = 0 gives (0, 1)."""
    each_side = 1 - (1 - confidence) / 2
    return lower_bound(passes, n, confidence=each_side), upper_bound(passes, n, confidence=each_side)


def wilson(passes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The two-sided score interval for a pass rate (Wilson 1927); n = 0 gives (0, 1).

    Narrower than Clopper-Pearson, and right on average rather than always; for pictures, not for gates.
    """
    _check_counts(passes, n, confidence)
    if n == 0:
        return 0.0, 1.0
    z = float(special.ndtri(1 - (1 - confidence) / 2))
    rate = passes / n
    middle = rate + z * z / (2 * n)
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low, high = ((middle + side * half) / (1 + z * z / n) for side in (-1, 1))
    return (0.0 if passes == 0 else low), (1.0 if passes == n else high)  # exactly so; rounding says 1e-17


def count_needed(rate: float, n: int, *, confidence: float = 0.95) -> int | None:
    """How many of `n` must be right to claim more than `rate`: the smallest count whose one-sided lower bound is at
    least `rate`; None where not even `n` of `n` are enough. ("> 40 % needs >= 5,713 of 14,042.")
    """
    _check(n, rate)
    _check_counts(0, n, confidence)
    low, high = 0, n + 1  # at_least falls as the count rises; at n + 1 it is 0
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at_least(middle, n, rate) <= 1 - confidence else (middle + 1, high)
    return low if low <= n else None


def clean_needed(rate: float, *, confidence: float = 0.95) -> int:
    """How many samples without a single hit bound the hit rate below `rate`: 299 for 1 %."""
    if not (0 < rate < 1 and 0 < confidence < 1):
        raise ValueError(f"a bound needs 0 < rate < 1 and 0 < confidence < 1, not {rate}, {confidence}")
    return math.ceil(math.log1p(-confidence) / math.log1p(-rate))


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


def pass_hat_k(passes: int, n: int, k: int) -> float:
    """pass^k of one instance: the chance that k of its tries all pass, C(passes, k) / C(n, k), without bias.

    (Yao et al. 2024, tau-bench, section 4; not pass@k, the chance that at least one does.)
    """
    if not (0 <= passes <= n and 1 <= k <= n):
        raise ValueError(f"pass^k needs 0 <= passes <= n and 1 <= k <= n, not {passes}, {n}, {k}")
    return math.comb(passes, k) / math.comb(n, k)


def _check(n: int, p: float) -> None:
    if n < 0 or not 0 <= p <= 1:
        raise ValueError(f"a binomial needs n >= 0 and 0 <= p <= 1, not n={n}, p={p}")


def _check_counts(passes: float, n: float, confidence: float) -> None:
    if not (0 <= passes <= n and 0 < confidence < 1):
        raise ValueError(f"a bound needs 0 <= passes <= n and 0 < confidence < 1, not {passes}, {n}, {confidence}")
