"""Clustered, paired and sequential statistics against scipy, errorbars and hand counts, on fresh random inputs."""

import math
import random

import numpy as np
import pytest
from errorbars import compare as errorbars_compare
from errorbars import leaderboard as errorbars_leaderboard
from errorbars import power as errorbars_power
from errorbars import stats as errorbars
from scipy import stats as oracle

from samosa.eval import stats
from samosa.eval.stats import clustered, paired, sequential

DRAWS = 12
EXACT = {"rel": 1e-9, "abs": 1e-9}


@pytest.fixture
def drawn(soak_seed):
    """Paired scores with clusters, right/wrong ones and shares, of random lengths."""
    rng = np.random.default_rng(soak_seed)

    def draw():
        n = int(rng.integers(4, 200))
        clusters = rng.integers(0, rng.integers(2, n + 1), n)
        clusters[:2] = 0, 1
        easy = rng.beta(8, 2, clusters.max() + 1)[clusters]
        tries = int(rng.choice([1, 5]))
        return rng.binomial(tries, easy) / tries, rng.binomial(tries, easy) / tries, clusters

    return [draw() for _ in range(DRAWS)]


def test_wilson_and_clopper_pearson_equal_scipys_and_errorbars(soak_seed):
    rng = random.Random(soak_seed)
    for _ in range(DRAWS):
        n = rng.randint(1, 15_000)
        passes, confidence = rng.choice([0, n, rng.randint(0, n)]), rng.uniform(0.5, 0.999)
        test = oracle.binomtest(passes, n)
        for ours, method in ((stats.wilson, "wilson"), (stats.clopper_pearson, "exact")):
            expected = test.proportion_ci(confidence, method=method)
            assert ours(passes, n, confidence=confidence) == pytest.approx((expected.low, expected.high), **EXACT)
        theirs = errorbars.wilson_ci(passes, n, confidence)
        assert stats.wilson(passes, n, confidence=confidence) == pytest.approx((theirs.ci_low, theirs.ci_high), **EXACT)


def test_clustered_errors_equal_errorbars(drawn):
    for values, _, clusters in drawn:
        ours = clustered.mean(values, clusters)
        assert ours.se == pytest.approx(errorbars.cluster_robust_se(values, clusters), **EXACT)
        assert (ours.n, ours.clusters) == (len(values), len(set(clusters.tolist())))


def test_instances_that_are_all_alone_have_the_ordinary_standard_error(drawn):
    for values, _, _ in drawn:
        expected = oracle.sem(values)
        assert clustered.mean(values, np.arange(len(values))).se == pytest.approx(expected, **EXACT)
        assert clustered.mean(values, np.zeros(len(values))).se == pytest.approx(expected, **EXACT)


def test_paired_differences_equal_errorbars(drawn):
    for a, b, clusters in drawn:
        ours, theirs = paired.paired(b, a, clusters), errorbars_compare.paired_compare(a, b, clusters, 0.9)
        assert ours.difference.mean == pytest.approx(theirs.mean_diff, **EXACT)
        assert ours.difference.se == pytest.approx(theirs.se_clustered, **EXACT)
        interval = (theirs.ci_low_clustered, theirs.ci_high_clustered)
        assert ours.difference.interval(confidence=0.9) == pytest.approx(interval, **EXACT)
        if ours.difference.se > 0:
            assert ours.p_value() == pytest.approx(theirs.p_value_clustered, **EXACT)
        assert ours.correlation == pytest.approx(theirs.correlation, **EXACT)


def test_mcnemar_equals_errorbars_and_the_binomial_test(soak_seed):
    rng = random.Random(soak_seed)
    for lost, gained in [(6, 0), (5, 0), (0, 0), *((rng.randint(0, 40), rng.randint(0, 40)) for _ in range(DRAWS))]:
        before, after = [1] * lost + [0] * gained + [1], [0] * lost + [1] * gained + [1]
        assert stats.mcnemar(lost, gained) == pytest.approx(
            errorbars_compare.mcnemar_exact(before, after).p_value, **EXACT
        )
        if lost + gained:
            expected = oracle.binomtest(lost, lost + gained).pvalue
            assert stats.mcnemar(lost, gained) == pytest.approx(expected, **EXACT)
    assert stats.mcnemar(6, 0) < 0.05 < stats.mcnemar(5, 0)  # on 33 probes six must be lost and none gained


def test_holm_equals_errorbars(soak_seed):
    rng = random.Random(soak_seed)
    for _ in range(DRAWS):
        p_values = [rng.random() ** 4 for _ in range(rng.randint(1, 20))]
        assert stats.holm(p_values) == pytest.approx(errorbars_leaderboard.holm_correction(p_values), **EXACT)
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # by hand
    assert stats.holm([]) == []


def test_the_sign_flip_test_equals_scipys_permutations(soak_seed):
    rng = np.random.default_rng(soak_seed)
    for _ in range(8):
        totals = rng.integers(-4, 3, rng.integers(2, 10))
        expected = oracle.permutation_test(
            (totals,), np.sum, permutation_type="samples", alternative="less", n_resamples=math.inf
        )
        assert paired.worse(totals) == pytest.approx(expected.pvalue, **EXACT)
    lost, gained = 9, 3
    one_each = np.array([-1] * lost + [1] * gained + [0] * 50)
    assert paired.worse(one_each) == pytest.approx(oracle.binomtest(gained, 12, alternative="less").pvalue, **EXACT)
    assert paired.worse(np.array([0, 0])) == paired.worse(np.array([], dtype=int)) == 1.0


def test_non_inferiority_is_the_t_test_of_the_shifted_difference(drawn):
    for a, b, _ in drawn:
        difference = paired.paired(a, b, np.arange(len(a))).difference
        if difference.se == 0 or difference.mean < -0.05:
            continue
        expected = oracle.ttest_1samp(b - a, -0.05, alternative="greater").pvalue
        assert paired.non_inferior(difference, margin=0.05, tries=10**9) == pytest.approx(expected, **EXACT)


def test_pairs_that_never_differ_are_evidence_only_where_there_are_many():
    few, many = (clustered.mean([0.0] * n, list(range(n))) for n in (20, 60))
    assert paired.non_inferior(few, margin=0.05, tries=20) > 0.05 > paired.non_inferior(many, margin=0.05, tries=60)
    # The score test's count: z^2 (1 - margin) / margin, 52 pairs at 95 %.
    assert math.ceil(oracle.norm.ppf(0.95) ** 2 * 0.95 / 0.05) == 52
    for n, shown in ((51, False), (52, True)):
        same = clustered.mean([0.0] * n, list(range(n)))
        assert (paired.non_inferior(same, margin=0.05, tries=n) <= 0.05) is shown


def test_bounds_of_rates_are_clopper_pearsons_where_nothing_is_clustered(soak_seed):
    rng = random.Random(soak_seed)
    for _ in range(DRAWS):
        n = rng.randint(2, 400)
        passes, confidence = rng.choice([n, rng.randint(0, n)]), rng.uniform(0.8, 0.999)
        rates = np.array([1.0] * passes + [0.0] * (n - passes))
        low, high = clustered.rate_bounds(rates, np.arange(n), confidence=confidence)
        interval = oracle.binomtest(passes, n).proportion_ci(2 * confidence - 1, method="exact")
        assert (low, high) == pytest.approx((interval.low, interval.high), **EXACT)


def test_copies_of_an_instance_are_no_evidence():
    alone = np.array([1.0] * 36 + [0.0] * 4)
    low, high = clustered.rate_bounds(alone, np.arange(40), confidence=0.95)
    copied = clustered.rate_bounds(np.repeat(alone, 10), np.repeat(np.arange(40), 10), confidence=0.95)
    assert low - 0.01 < copied[0] <= low < high <= copied[1] < high + 0.01
    same = clustered.rate_bounds(np.full(40, 0.9), np.arange(40), confidence=0.95)  # ten tries each, nine passed
    assert same[0] >= low - 1e-12 and same[0] < 0.9


@pytest.mark.parametrize(("rate", "n", "count"), [(0.40, 14_042, 5_713), (0.50, 1_319, 690), (0.90, 103, 98)])
def test_the_count_that_a_claim_needs(rate, n, count):
    assert stats.count_needed(rate, n) == count
    assert oracle.binomtest(count, n, rate, alternative="greater").pvalue <= 0.05
    assert oracle.binomtest(count - 1, n, rate, alternative="greater").pvalue > 0.05


def test_some_claims_cannot_be_made_at_all():
    assert stats.count_needed(0.99, 100) is None
    assert stats.count_needed(0.5, 0) is None


def test_clean_samples_needed_for_a_bound():
    assert [stats.clean_needed(rate) for rate in (0.01, 0.005, 0.001)] == [299, 598, 2995]
    assert stats.upper_bound(0, 299, confidence=0.95) < 0.01 < stats.upper_bound(0, 298, confidence=0.95)


def test_pass_hat_k_is_the_share_of_draws_that_all_pass(soak_seed):
    rng = random.Random(soak_seed)
    for _ in range(DRAWS):
        n = rng.randint(1, 12)
        passes, k = rng.randint(0, n), rng.randint(1, n)
        assert stats.pass_hat_k(passes, n, k) == pytest.approx(oracle.hypergeom.pmf(k, n, passes, k), **EXACT)
    assert stats.pass_hat_k(3, 4, 4) == 0 and stats.pass_hat_k(3, 4, 1) == 0.75


def test_pairs_needed_equal_errorbars(soak_seed):
    rng = random.Random(soak_seed)
    for _ in range(DRAWS):
        effect, rate, correlation = rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.9), rng.uniform(0, 0.9)
        theirs = errorbars_power.questions_needed(effect, rate, rho=correlation)
        assert stats.pairs_needed(effect, rate, correlation=correlation) == theirs.n_questions


def test_all_looks_together_spend_the_level_and_no_more():
    for looks in (1, 2, 4, 10):
        levels = sequential.levels(looks, level=0.05)
        assert len(levels) == looks and min(levels) > 0
        assert math.fsum(levels) == pytest.approx(0.05, rel=1e-12)
    assert sequential.levels(2, level=0.04) == pytest.approx([0.01, 0.03])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: stats.wilson(5, 4),
        lambda: stats.count_needed(1.5, 10),
        lambda: stats.clean_needed(0),
        lambda: stats.pass_hat_k(2, 4, 5),
        lambda: stats.pass_hat_k(5, 4, 1),
        lambda: stats.mcnemar(-1, 0),
        lambda: stats.pairs_needed(0, 0.5),
        lambda: clustered.mean([], []),
        lambda: clustered.mean([1.0], ["a", "b"]),
        lambda: clustered.rate_bounds(np.ones(4), np.arange(4), confidence=0.3),
        lambda: paired.paired([1.0], [1.0, 0.0], ["a", "b"]),
        lambda: sequential.levels(0, level=0.05),
        lambda: sequential.spent(1.2, level=0.05),
    ],
)
def test_senseless_arguments_are_refused(wrong):
    with pytest.raises(ValueError):
        wrong()
