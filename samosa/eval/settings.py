"""The knobs of the gate. Their values live in configs/*.toml."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from samosa.config import Recipe


class Gate(Recipe):
    """How many probes, how many must pass, and how the model is asked."""

    n: PositiveInt
    """Instances of each pattern; fewer that completed is not enough evidence."""
    c: PositiveInt
    """Of n, how many must pass in every pattern."""
    bad: NonNegativeFloat
    """The pass rate of a model that must not ship; printed with how often (n, c) would let it through."""
    good: NonNegativeFloat
    """The pass rate of a model that should ship; printed with how often (n, c) lets it through."""
    confidence: NonNegativeFloat
    """Of the Clopper-Pearson interval beside each pass rate."""
    seed: NonNegativeInt
    """Draws the probes, unless --seed is given."""
    temperature: NonNegativeFloat
    """0 is greedy."""
    top_k: NonNegativeInt
    """Sample among this many tokens; 0 is all of them. Without effect at temperature 0."""
    max_tokens: PositiveInt
    """Tokens a turn may take, tool results included; a turn that is not over by then fails."""
    call_budget: PositiveInt
    """Tokens one tool call may take."""
    max_calls: PositiveInt
    """Tool calls a turn may make; 1 in the joint suite, and a further one fails the probe."""
    rows: PositiveInt
    """Conversations in one batch; changes the speed, not the samples."""
    device: Literal["auto", "cpu", "cuda"]
    """Where the model runs; auto takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """What the model computes in; auto decides by the machine and says so."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Gate":
        if self.c > self.n:
            raise ValueError(f"c = {self.c} of n = {self.n} can never pass")
        if not 0 <= self.bad < self.good <= 1:
            raise ValueError(f"bad = {self.bad} and good = {self.good} must be rates with bad < good")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence = {self.confidence} must be between 0 and 1")
        return self


class Evaluation(Recipe):
    """What `samosa eval` reads from eval.toml."""

    gate: Gate
    """The gate's plan and how the model is asked."""
