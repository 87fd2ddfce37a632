"""One dial: batch size, steps, learning rates and weight decay of a base model from its depth, as nanochat has them.

The numbers are nanochat's (92d63d4, base_train): measured at depth 12 and carried to others by these rules, not by a
sweep of ours.
"""

import math
from dataclasses import dataclass
from typing import Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from samosa.config import Recipe
from samosa.model.config import ModelConfig

RATES = ("matrix_lr", "embedding_lr", "unembedding_lr", "scalar_lr")


class Dial(Recipe):
    """What is known at the reference depth, and how it is carried to another."""

    tokens_per_parameter: PositiveFloat
    """Training tokens for each parameter of the matrices and the head."""
    reference_depth: PositiveInt
    """The depth the numbers below were found at."""
    reference_batch: PositiveInt
    """Tokens a step there."""
    batch_exponent: PositiveFloat
    """The batch grows as the training tokens to this power, rounded to a power of two."""
    matrix_lr: PositiveFloat
    """The four rates at the reference batch; they grow as the root of the batch."""
    embedding_lr: PositiveFloat
    unembedding_lr: PositiveFloat
    scalar_lr: PositiveFloat
    weight_decay: NonNegativeFloat
    """At the reference; it grows as the root of the batch and falls as the training tokens grow."""


@dataclass(frozen=True)
class Dialled:
    """What the dial says for one depth."""

    tokens: int
    """Training tokens, before they are rounded down to whole steps."""
    tokens_per_step: int
    steps: int
    rate: float
    """What the four learning rates are multiplied by."""
    decay: float
    """What the weight decay is multiplied by."""


def scaling_params(config: ModelConfig) -> int:
    """The parameters that scaling rules count: the blocks' matrices and the head."""
    counts = config.n_params()
    return counts["transformer_matrices"] + counts["lm_head"]


def dialled(dial: Dial, config: ModelConfig, reference: ModelConfig, *, tokens_per_step: int | None = None) -> Dialled:
    """The dial at `config`. With `tokens_per_step` given, the rest follows from that batch.

    Batch: the training tokens to the power of 0.383 (Li et al. 2025, arXiv:2505.13738, as nanochat takes it); rates:
    the root of the batch (arXiv:2205.10287); weight decay: sqrt(batch) over tokens (arXiv:2405.13698).
    """
    tokens = int(dial.tokens_per_parameter * scaling_params(config))
    reference_tokens = dial.tokens_per_parameter * scaling_params(reference)
    if tokens_per_step is None:
        wanted = dial.reference_batch * (tokens / reference_tokens) ** dial.batch_exponent
        tokens_per_step = 2 ** round(math.log2(wanted))
    rate = (tokens_per_step / dial.reference_batch) ** 0.5
    return Dialled(tokens, tokens_per_step, tokens // tokens_per_step, rate, rate * (reference_tokens / tokens))


def fill_in(train: dict[str, Any], dial: Dial, found: Dialled) -> dict[str, Any]:
    """`train` with what the dial says of the keys it leaves out; how long only where neither steps nor epochs do."""
    rates = {name: getattr(dial, name) * found.rate for name in RATES}
    derived = {"tokens_per_step": found.tokens_per_step, **rates, "weight_decay": dial.weight_decay * found.decay}
    if not {"steps", "epochs"} & train.keys():
        derived["steps"] = max(1, found.steps)
    return {**derived, **train}
