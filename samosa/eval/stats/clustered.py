"""Means of instances that are not independent: those of one template share what makes them easy or hard."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from samosa.eval.stats import exact

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Mean:
    """A mean and how far it can be trusted."""

    mean: float
    se: float
    """Clustered standard error of the mean."""
    n: int
    clusters: int

    @property
    def dof(self) -> int:
        """Degrees of freedom of the t distribution that belongs to `se` (Cameron & Miller 2015)."""
        return (self.clusters if self.clusters > 1 else self.n) - 1

    def interval(self, *, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided, by Student's t with `dof` degrees of freedom; one instance alone gives (-inf, inf)."""
        half = t_quantile(1 - (1 - confidence) / 2, self.dof) * self.se if self.dof else math.inf
        return self.mean - half, self.mean + half


def mean(values: Sequence[float] | Values, clusters: Sequence[str] | NDArray[np.int64]) -> Mean:
    """The mean of `values` [n] with the cluster-robust standard error CR1 (Miller 2024, arXiv:2411.00640, on clustered
    standard errors, times the small-sample factor G / (G - 1)).

    `clusters` [n] says what belongs together. A single cluster says nothing about others: its standard error is the
    ordinary one. Raises ValueError for lengths that differ or are 0.
    """
    data = np.asarray(values, dtype=float)
    if data.size == 0 or data.size != len(clusters):
        raise ValueError(f"a clustered mean needs one cluster for each value, not {len(clusters)} for {data.size}")
    middle = float(data.mean())
    labels = np.asarray(clusters)
    if labels.dtype.kind != "i":
        labels = np.unique(labels, return_inverse=True)[1]
    totals = np.bincount(labels, weights=data - middle)[np.bincount(labels) > 0]
    if totals.size == 1:
        squares = float(((data - middle) ** 2).sum())
        return Mean(middle, math.sqrt(squares / data.size / max(1, data.size - 1)), data.size, 1)
    variance = float(totals @ totals) / data.size**2 * totals.size / (totals.size - 1)
    return Mean(middle, math.sqrt(variance), data.size, totals.size)


def rate_bounds(rates: Values, clusters: NDArray[np.int64], *, confidence: float) -> tuple[float, float]:
    """One-sided lower and upper bounds for a pass rate, from the share of tries that each instance passed [n].

    Clopper-Pearson on the effective sample size rate (1 - rate) / variance, the variance clustered and corrected for
    its degrees of freedom (Korn & Graubard 1998, as NCHS does for surveys). It never counts as more than n: tries of
    one instance are no new instances. Without clustering, and with one try each, it is Clopper-Pearson itself.
    Raises ValueError unless 0.5 < confidence < 1.
    """
    if not 0.5 < confidence < 1:
        raise ValueError(f"a bound needs 0.5 < confidence < 1, not {confidence}")
    estimate = mean(rates, clusters)
    rate, size = min(1.0, max(0.0, estimate.mean)), float(estimate.n)
    if estimate.se > 0 and estimate.dof:
        # Without the factor (n - 1) / n, independent instances would count as n - 1.
        effective = rate * (1 - rate) / estimate.se**2 * estimate.n / max(1, estimate.n - 1)
        known, guessed = (t_quantile(confidence, dof) for dof in (estimate.n - 1, estimate.dof))
        size = min(size, effective * (known / guessed) ** 2)
    passes = rate * size
    return (
        exact.lower_bound(passes, size, confidence=confidence),
        exact.upper_bound(passes, size, confidence=confidence),
    )


def t_quantile(probability: float, dof: float) -> float:
    """Where Student's t with `dof` degrees of freedom has `probability` below it."""
    return float(special.stdtrit(dof, probability))


def t_below(value: float, dof: float) -> float:
    """P(T <= value) for Student's t with `dof` degrees of freedom."""
    return float(special.stdtr(dof, value))
