"""The statistics of judging. scipy does the numerics; here is what is asked of it, and when it may be asked."""

from samosa.eval.stats.exact import (
    Plan,
    acceptance_plan,
    at_least,
    at_most,
    clean_needed,
    clopper_pearson,
    count_needed,
    lower_bound,
    pass_hat_k,
    upper_bound,
    wilson,
)
from samosa.eval.stats.paired import holm, mcnemar, pairs_needed

__all__ = [
    "Plan",
    "acceptance_plan",
    "at_least",
    "at_most",
    "clean_needed",
    "clopper_pearson",
    "count_needed",
    "holm",
    "lower_bound",
    "mcnemar",
    "pairs_needed",
    "pass_hat_k",
    "upper_bound",
    "wilson",
]
