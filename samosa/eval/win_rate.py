"""How often a model's answers are preferred, with lengths held equal: judges like long ones, whatever they say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from samosa.eval.stats import clustered

SLOPE_SCALE = 2.5
"""Scale of the normal prior on what length is worth: weakly informative (Gelman et al. 2008, Annals of Applied
Statistics 2, who use a Cauchy). Without one a few pairs in which every longer answer wins have no estimate."""
HALF = (
    0.5  # of a win and of a loss at equal lengths, added as Jeffreys' prior does for a rate: 0 and 1 are no estimates
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WinRate:
    """The share of pairs won, ties as halves."""

    raw: float
    raw_interval: tuple[float, float]
    rate: float
    """What it would be were both answers of a pair equally long."""
    interval: tuple[float, float]
    """Two-sided, clustered by template."""
    length_worth: float
    """Log-odds that being longer by far adds."""


def win_rate(
    outcomes: Sequence[float],
    own_lengths: Sequence[int],
    other_lengths: Sequence[int],
    templates: Sequence[str],
    *,
    confidence: float,
) -> WinRate:
    """The win rate of `outcomes` [n] (1 won, 0 lost, between them ties and judges that disagree).

    Length-controlled as in AlpacaEval 2 (Dubois et al. 2024, arXiv:2404.04475, eq. 2, without its terms for single
    prompts): a logistic regression on tanh(difference of lengths / its standard deviation), read at 0. The interval is
    Clopper-Pearson's on the effective sample size of the estimate's influence values (clustered.rate_bounds).
    Raises ValueError where there are no pairs or lengths differ.
    """
    won = np.asarray(outcomes, dtype=float)
    if not len(won) == len(own_lengths) == len(other_lengths) == len(templates) > 0:
        raise ValueError("a win rate needs pairs, each with two lengths and a template")
    longer = _longer(np.asarray(own_lengths, dtype=float) - np.asarray(other_lengths, dtype=float))
    level, worth, influence = _fit(won, longer)
    rate = float(special.expit(level))
    labels = np.unique(np.asarray(templates), return_inverse=True)[1].astype(np.int64)
    each_side = 1 - (1 - confidence) / 2
    return WinRate(
        raw=float(won.mean()),
        raw_interval=clustered.rate_bounds(won, labels, confidence=each_side),
        rate=rate,
        interval=clustered.rate_bounds(rate + influence, labels, confidence=each_side),
        length_worth=worth,
    )


def _longer(differences: Floats) -> Floats:
    """How much longer the own answer is, between -1 and 1 [n]."""
    spread = float(differences.std())
    return np.tanh(differences / spread) if spread > 0 else np.sign(differences) * np.tanh(1.0)


def _fit(won: Floats, longer: Floats) -> tuple[float, float, Floats]:
    """Level and slope of the regression, and each pair's influence on the rate at equal lengths [n], of mean 0."""
    design = np.stack([np.ones_like(longer), longer], axis=1)  # [n, 2]

    def loss(at: Floats) -> tuple[float, Floats]:
        odds = design @ at
        nll = float((np.logaddexp(0, odds) - won * odds).sum())
        prior = HALF * float(np.logaddexp(0, at[0]) + np.logaddexp(0, -at[0])) + at[1] ** 2 / (2 * SLOPE_SCALE**2)
        slope = design.T @ (special.expit(odds) - won)
        return nll + prior, slope + np.array([HALF * (2 * special.expit(at[0]) - 1), at[1] / SLOPE_SCALE**2])

    found = optimize.minimize(loss, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    chances = special.expit(design @ found)
    level_chance = special.expit(found[0])
    curvature = design.T @ (design * (chances * (1 - chances))[:, None])
    curvature += np.diag([2 * HALF * level_chance * (1 - level_chance), 1 / SLOPE_SCALE**2])
    steps = (design * (won - chances)[:, None]) @ np.linalg.inv(curvature)  # [n, 2]
    influence = len(won) * level_chance * (1 - level_chance) * steps[:, 0]
    return float(found[0]), float(found[1]), influence - influence.mean()
