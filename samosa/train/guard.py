"""Steps that are better not taken: what is not finite, and spikes far above the steps before.

Every rank judges by itself and all come to the same verdict: loss and gradient norm are agreed before. What the guard
remembers is part of a checkpoint, so that a run that was interrupted skips what it would have skipped.
"""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from samosa.errors import SamosaError

HISTORY = 64
"""Steps that were taken whose loss and gradient norm make up the median."""
LEAST = 16
"""Before so many are known nothing is called a spike: a run begins with falling losses."""
SPAN = 10
"""Strikes count together within SPAN x max_strikes steps: bad and good steps may take turns."""
LEAST_SPREAD = 0.05
"""Of the median: what hardly varies must not make a spike of every ripple."""
Window = tuple[int, int]
"""Steps' worth of data [first, end) of the plan, as it was before anything was left out."""


@dataclass
class Guard:
    """Decides step by step, and knows when too many were refused.

    A spike is a loss or gradient norm more than `spike_factor` robust deviations (1.4826 x the median absolute
    deviation, the deviation of a normal distribution) above the median; OLMo-core skips likewise, at 6 standard
    deviations above the mean of 128 steps, where one spike that is let through hides the next.
    """

    spike_factor: float = 0.0
    """0 refuses only what is not finite."""
    max_strikes: int = 0
    """So many refused steps exhaust the guard; 0 never does."""
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    strikes: list[int] = field(default_factory=list)
    """The refused steps that still count."""
    why: str = ""
    """What was wrong with the latest of them, as far as this process has seen it."""

    def judge(self, step: int, *, finite: bool, loss: float, grad_norm: float) -> str:
        """Why `step` (1 is the first) is not to be taken; empty where it may be."""
        why = self._reason(loss, grad_norm) if finite else "loss or gradients are not finite"
        self.strikes = [strike for strike in self.strikes if strike > step - SPAN * self.max_strikes]
        if why:
            self.strikes, self.why = [*self.strikes, step][-max(1, self.max_strikes) :], why
        else:
            self.losses = [*self.losses, loss][-HISTORY:]
            self.norms = [*self.norms, grad_norm][-HISTORY:]
        return why

    @property
    def exhausted(self) -> bool:
        """Whether so many steps were refused that the weights themselves must be doubted."""
        return 0 < self.max_strikes <= len(self.strikes)

    def refuge(self, steps: Iterable[int]) -> int | None:
        """Which of the saved steps the run goes back to should the guard be exhausted; None without a refused step."""
        return max((step for step in steps if step < self.strikes[0]), default=0) if self.strikes else None

    def memory(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"losses": self.losses, "norms": self.norms, "strikes": self.strikes}

    def recall(self, memory: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.losses, self.norms, self.strikes = (list(memory[key]) for key in ("losses", "norms", "strikes"))

    def _reason(self, loss: float, grad_norm: float) -> str:
        if not self.spike_factor or len(self.losses) < LEAST:
            return ""
        for name, value, past in (("loss", loss, self.losses), ("gradient norm", grad_norm, self.norms)):
            middle, limit = ceiling(past, self.spike_factor)
            if value > limit:
                return f"{name} {value:.4g} is a spike (median {middle:.4g}, spike_factor allows {limit:.4g})"
        return ""


def ceiling(past: Sequence[float], factor: float) -> tuple[float, float]:
    """The median of `past`, and how high a value may be that does not stand out from it."""
    middle = statistics.median(past)
    spread = 1.4826 * statistics.median(abs(value - middle) for value in past)
    return middle, middle + factor * max(spread, LEAST_SPREAD * abs(middle))


class Data(Protocol):
    """What a plan of batches must offer to be gone through in another order."""

    steps: int

    def counts(self, step: int) -> dict[str, int]: ...

    def micro_batches(self, step: int) -> Iterator[tuple[Any, bool]]: ...


class Skipping:
    """A plan without some windows of its data: the run has as many steps as before, and at its end goes round again.

    Which data a step sees is a function of the plan and of what was left out, and of nothing else.
    Raises SamosaError when nothing is left.
    """

    def __init__(self, plan: Data, skips: Sequence[Window]) -> None:
        self.plan, self.steps = plan, plan.steps
        self.places = [w for w in range(plan.steps) if not any(first <= w < end for first, end in skips)]
        if not self.places:
            raise SamosaError(
                "every step's data was left out after spikes or numbers that are not finite",
                hint="lower the learning rates (train.matrix_lr, train.embedding_lr), or raise train.spike_factor",
            )

    def place(self, step: int) -> int:
        """Which step's worth of the plan's data `step` takes."""
        return self.places[step % len(self.places)]

    def counts(self, step: int) -> dict[str, int]:
        return self.plan.counts(self.place(step))

    def micro_batches(self, step: int) -> Iterator[tuple[Any, bool]]:
        return self.plan.micro_batches(self.place(step))

    def windows(self, first: int, end: int) -> list[Window]:
        """The data of the steps [first, end), as windows of the plan."""
        places = sorted({self.place(step) for step in range(first, end)})
        found: list[Window] = []
        for place in places:
            if found and found[-1][1] == place:
                found[-1] = (found[-1][0], place + 1)
            else:
                found.append((place, place + 1))
        return found
