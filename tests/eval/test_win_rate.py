"""Win rates with lengths held equal, against an independent fit and against worlds whose truth is known."""

import numpy as np
import pytest
from scipy import optimize, special

from samosa.eval.stats import clopper_pearson
from samosa.eval.win_rate import win_rate


def rate(outcomes, own, other, templates=None, confidence=0.95):
    return win_rate(outcomes, own, other, templates or list(map(str, range(len(outcomes)))), confidence=confidence)


def world(rng, n, *, liking, per_length):
    """Pairs of a judge that likes the own answer by `liking` and length by `per_length`, in log-odds."""
    own, other = rng.integers(150, 600, n), rng.integers(50, 400, n)
    gap = np.tanh((own - other) / (own - other).std())
    won = (rng.random(n) < special.expit(liking + per_length * gap)).astype(float)
    return won, own, other


def test_at_equal_lengths_it_is_the_share_won_with_half_a_win_and_a_loss_added():
    won = [1.0] * 30 + [0.5] * 6 + [0.0] * 14
    found = rate(won, [100] * 50, [100] * 50)
    assert found.raw == pytest.approx(33 / 50) and found.rate == pytest.approx(33.5 / 51)
    assert found.interval[0] < found.rate < found.interval[1]


def test_the_fit_is_another_optimizers(soak_seed):
    rng = np.random.default_rng(soak_seed)
    won, own, other = world(rng, 120, liking=0.3, per_length=1.0)
    gap = np.tanh((own - other) / np.std(own - other))

    def minus_log_posterior(at):
        chance = special.expit(at[0] + at[1] * gap)
        both = 0.5 * (np.log(special.expit(at[0])) + np.log(special.expit(-at[0])))
        return -(won * np.log(chance) + (1 - won) * np.log1p(-chance)).sum() - both + at[1] ** 2 / 12.5

    best = optimize.minimize(
        minus_log_posterior, [0.1, 0.1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    found = rate(won, own, other)
    assert found.rate == pytest.approx(special.expit(best.x[0]), abs=1e-5)
    assert found.length_worth == pytest.approx(best.x[1], abs=1e-4)


def test_a_judge_that_only_likes_length_finds_no_winner(soak_seed):
    rng = np.random.default_rng(soak_seed)
    won, own, other = world(rng, 2000, liking=0.0, per_length=2.0)
    found = rate(won, own, other)
    assert found.raw > 0.6 and found.raw_interval[0] > 0.5
    assert abs(found.rate - 0.5) < 0.08 and found.length_worth > 1


def test_winning_everything_says_no_more_than_so_many_coins():
    found = rate([1.0] * 40, range(100, 140), range(200, 240))
    low, high = clopper_pearson(40, 40, confidence=0.95)
    assert found.raw_interval == (pytest.approx(low, abs=0.01), high)
    assert found.interval[0] < 0.98 and found.rate > 0.9


def test_pairs_of_one_template_are_not_so_many_pairs(soak_seed):
    rng = np.random.default_rng(soak_seed)
    by_template = rng.random(20) < 0.5
    won = np.repeat(by_template, 10).astype(float)
    own, other = rng.integers(50, 99, 200), rng.integers(50, 99, 200)
    alone = rate(won, own, other)
    together = rate(won, own, other, [str(i // 10) for i in range(200)])
    width = [high - low for low, high in (alone.interval, together.interval)]
    assert width[1] > 2 * width[0]


@pytest.mark.parametrize(("outcomes", "own"), [([], []), ([1.0], [1, 2])])
def test_without_pairs_there_is_no_rate(outcomes, own):
    with pytest.raises(ValueError, match="pairs"):
        win_rate(outcomes, own, own, ["t"] * len(outcomes), confidence=0.95)


@pytest.mark.soak
def test_the_interval_holds_the_truth(soak_seed):
    rng = np.random.default_rng(soak_seed)
    held = 0
    for _ in range(400):
        won, own, other = world(rng, 200, liking=0.5, per_length=1.0)
        low, high = rate(won, own, other).interval
        held += low <= special.expit(0.5) <= high
    assert held >= 400 * 0.92, held
