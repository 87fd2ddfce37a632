"""The mean over tasks of centred accuracies, and how far it can be trusted."""

import math
from collections.abc import Sequence

from scipy import special


def centred(right: int, n: int, guessing: float) -> float:
    """An accuracy moved and stretched so that guessing is 0 and all right is 1; `guessing` is a rate below 1."""
    return (right / n - guessing) / (1 - guessing)


def centred_mean(
    counts: Sequence[tuple[int, int]], guessing: Sequence[float], *, confidence: float = 0.95
) -> tuple[float, tuple[float, float]]:
    """The unweighted mean over tasks of `centred`, and its two-sided interval.

    counts: (right, n) of each task; guessing: the rate that each is centred on. The tasks are fixed and their questions
    a sample, so the variance of the mean is the sum of p (1 - p) / n / (1 - guessing)^2 over tasks, by their number
    squared; p is taken with two questions more, one of them right, so that a task with all or none right is not taken
    for certain (Laplace). Normal by the sum of many. Raises ValueError without tasks or for one without questions.
    """
    if not counts or len(counts) != len(guessing) or any(not 0 <= right <= n or n < 1 for right, n in counts):
        raise ValueError("a mean over tasks needs tasks with questions, and for each what guessing gives")
    mean = sum(centred(right, n, base) for (right, n), base in zip(counts, guessing, strict=True)) / len(counts)
    variance = 0.0
    for (right, n), base in zip(counts, guessing, strict=True):
        rate = (right + 1) / (n + 2)
        variance += rate * (1 - rate) / n / (1 - base) ** 2
    half = float(special.ndtri(1 - (1 - confidence) / 2)) * math.sqrt(variance) / len(counts)
    return mean, (mean - half, mean + half)
