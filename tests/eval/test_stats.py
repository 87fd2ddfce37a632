"""The exact statistics against scipy, rational arithmetic and the published plans."""

import math
from fractions import Fraction

import pytest
from scipy import stats as oracle

from samosa.eval import stats


@pytest.mark.parametrize("n", [1, 2, 33, 103, 311])
@pytest.mark.parametrize("p", [0.0, 1e-6, 0.03, 0.5, 0.9, 0.97, 0.999999, 1.0])
def test_tails_equal_scipys(n, p):
    for k in {-1, 0, 1, n // 2, n - 1, n, n + 1}:
        assert stats.at_least(k, n, p) == pytest.approx(oracle.binom.sf(k - 1, n, p), abs=1e-12, rel=1e-9)
        assert stats.at_most(k, n, p) == pytest.approx(oracle.binom.cdf(k, n, p), abs=1e-12, rel=1e-9)


@pytest.mark.parametrize(
    ("k", "n", "p"), [(98, 103, Fraction(9, 10)), (98, 103, Fraction(97, 100)), (5, 400, Fraction(1, 8))]
)
def test_tails_equal_rational_arithmetic_to_twelve_digits(k, n, p):
    exact = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    assert stats.at_least(k, n, float(p)) == pytest.approx(float(exact), rel=1e-12)


def test_a_tail_of_a_large_benchmark_keeps_its_digits():
    assert stats.at_least(5713, 14042, 0.4) == pytest.approx(oracle.binom.sf(5712, 14042, 0.4), rel=1e-9)


@pytest.mark.parametrize(
    ("passes", "n"), [(0, 0), (0, 33), (1, 33), (32, 33), (33, 33), (98, 103), (103, 103), (690, 1319)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_clopper_pearson_equals_scipys(passes, n, confidence):
    low, high = stats.clopper_pearson(passes, n, confidence=confidence)
    if n == 0:
        assert (low, high) == (0.0, 1.0)
        return
    expected = oracle.binomtest(passes, n).proportion_ci(confidence, method="exact")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_one_sided_bounds_are_beta_quantiles():
    assert stats.lower_bound(98, 103, confidence=0.95) == pytest.approx(oracle.beta.ppf(0.05, 98, 6), abs=1e-9)
    assert stats.upper_bound(98, 103, confidence=0.95) == pytest.approx(oracle.beta.ppf(0.95, 99, 5), abs=1e-9)
    assert stats.upper_bound(0, 300, confidence=0.95) < 0.01  # 300 clean samples bound a leak below 1 %


@pytest.mark.parametrize(
    ("bad", "good", "n", "c"),
    [
        (0.80, 0.95, 44, 40),
        (0.85, 0.95, 76, 70),
        (0.90, 0.97, 103, 98),
        (0.90, 0.95, 239, 223),
        (0.93, 0.97, 257, 246),
        (0.95, 0.98, 311, 302),
        (0.95, 0.99, 153, 150),
    ],
)
def test_acceptance_plans_are_the_smallest(bad, good, n, c):
    assert stats.acceptance_plan(bad, good) == stats.Plan(n, c)
    for smaller in range(max(1, n - 3), n):  # scipy finds no plan just below
        bars = [k for k in range(smaller + 1) if oracle.binom.sf(k - 1, smaller, bad) <= 0.05]
        assert not any(oracle.binom.sf(k - 1, smaller, good) >= 0.90 for k in bars)


def test_the_gates_plan_lets_a_good_model_through_and_keeps_a_bad_one_out():
    assert stats.at_least(98, 103, 0.97) >= 0.90
    assert stats.at_least(98, 103, 0.90) <= 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: stats.acceptance_plan(0.97, 0.90),
        lambda: stats.acceptance_plan(0.9, 0.97, bad_passes=0),
        lambda: stats.clopper_pearson(5, 4),
        lambda: stats.at_least(1, 3, 1.5),
        lambda: stats.lower_bound(1, 3, confidence=1.0),
    ],
)
def test_senseless_arguments_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
