"""The mean over tasks: by hand, and its interval against drawing the questions again."""

import numpy as np
import pytest

from samosa.eval.stats import macro


def test_the_mean_is_of_centred_accuracies():
    value, _ = macro.centred_mean([(75, 100), (10, 40)], [0.5, 0.0])
    assert value == pytest.approx((0.5 + 0.25) / 2)
    assert macro.centred(25, 100, 0.25) == 0.0 and macro.centred(1, 4, 0.5) == -0.5


def test_the_interval_holds_the_truth_as_often_as_it_says(soak_seed):
    rng = np.random.default_rng(soak_seed)
    sizes, guessing = rng.integers(40, 400, 22), rng.choice([0.0, 0.25, 0.5], 22)
    truth = guessing + (1 - guessing) * rng.uniform(0.0, 0.6, 22)
    right = ((truth - guessing) / (1 - guessing)).mean()
    held = 0
    for _ in range(400):
        counts = list(zip(rng.binomial(sizes, truth).tolist(), sizes.tolist(), strict=True))
        low, high = macro.centred_mean(counts, guessing.tolist(), confidence=0.9)[1]
        held += low <= right <= high
    assert 0.84 <= held / 400 <= 0.96  # 0.9, and four standard errors


def test_all_right_is_not_taken_for_certain():
    _, (low, high) = macro.centred_mean([(10, 10)], [0.0])
    assert low < 0.95 and high > 1.0


@pytest.mark.parametrize("counts", [[], [(1, 0)], [(3, 2)], [(1, 2), (1, 2)]])
def test_tasks_without_questions_or_guessing_are_refused(counts):
    with pytest.raises(ValueError, match="needs tasks with questions"):
        macro.centred_mean(counts, [0.5])
