"""The one training loop. A loss is a sum with a count beside it; one division covers micro-batches and ranks.

The same data in other micro-batches, accumulations or world sizes gives the same training: in float64 the weights, in
float32 the gradients and losses (AdamW's small eps and the orthogonalisation make round-off visible in fp32 weights).
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from samosa.train.distributed import World, agree, sync_only_if
from samosa.train.guard import Guard, Window
from samosa.train.objectives import Objective, total
from samosa.train.optim import MuonAdamW
from samosa.train.schedule import Schedule, StepHyper


@dataclass
class TrainState:
    """What training changes. `model` is as the loop calls it, wrapped where there are several ranks."""

    model: nn.Module
    optimizer: MuonAdamW
    step: int = 0
    """Optimizer steps done."""
    skipped: int = 0
    """Steps among them that the guard refused, so that nothing was updated."""
    guard: Guard = field(default_factory=Guard)
    skips: list[Window] = field(default_factory=list)
    """Data that was left out for good, when the run went back."""

    def cursor(self) -> dict[str, Any]:
        """What a checkpoint keeps beside weights and optimizer."""
        return {"step": self.step, "skipped": self.skipped, "skips": self.skips, "guard": self.guard.memory()}

    def go_on_from(self, cursor: dict[str, Any]) -> None:
        """Take up what a checkpoint kept; older ones knew neither the guard nor left out data."""
        self.skipped = cursor["skipped"]
        self.skips = [(first, end) for first, end in cursor.get("skips", [])]
        if "guard" in cursor:
            self.guard.recall(cursor["guard"])


class Plan(Protocol):
    """The batches of a run, a pure function of the seed and the step."""

    steps: int

    def counts(self, step: int) -> dict[str, int]:
        """Each term's count over all ranks' rows of the step."""
        ...

    def micro_batches(self, step: int) -> Iterator[tuple[Any, bool]]:
        """This rank's (batch, whether it is the last); as many on every rank."""
        ...


@dataclass(frozen=True)
class StepReport:
    """What one step was, the same on all ranks."""

    step: int
    """Steps done, this one included."""
    losses: dict[str, float]
    """Each term's sum over its count, of the weights before the update; nan for a term without any."""
    grad_norm: float
    hyper: StepHyper
    skipped: bool
    stop: bool
    """Some rank was asked to stop: this step is finished and saved, and no other begins."""
    data_seconds: float = 0.0
    """How long this rank waited for its rows."""
    why: str = ""
    """Why the step was skipped."""

    @property
    def loss(self) -> float:
        return sum(self.losses.values())


def train(
    state: TrainState,
    objective: Objective,
    plan: Plan,
    schedule: Schedule,
    where: World,
    *,
    after_step: Callable[[StepReport], bool | None],
    stop_asked: Callable[[], bool] = lambda: False,
) -> None:
    """Run optimizer steps up to plan.steps, from wherever state is.

    Return early when a rank is asked to stop, when `after_step` returns True, and before a step when the guard is
    exhausted.
    """
    for step in range(state.step, plan.steps):
        if state.guard.exhausted:
            return
        counts = plan.counts(step)  # stored with the rows: no collective
        seen = {term: torch.zeros((), dtype=torch.float64, device=where.device) for term in objective.terms}
        rows = Fed(plan.micro_batches(step))
        for batch, last in rows:
            with sync_only_if(last, state.model):
                with record_function("forward"):
                    sums, stats = objective.loss(state.model, batch.to(where.device))
                with record_function("backward"):
                    total(sums, counts, where.size).backward()
            for term in objective.terms:
                seen[term] += stats[term]
        with record_function("agree"):
            verdict = finite(state, seen, where, stop=stop_asked())
        hyper = schedule.at(step, plan.steps)  # arguments of the step, never state
        losses = {term: value / counts[term] if counts[term] else math.nan for term, value in verdict.sums.items()}
        heard = sum(loss for term, loss in losses.items() if counts[term])
        why = state.guard.judge(step + 1, finite=verdict.ok, loss=heard, grad_norm=verdict.grad_norm)
        if not why:
            with record_function("optimizer"):
                state.optimizer.step(hyper)
        else:
            state.skipped += 1
        state.optimizer.zero_grad()
        state.step = step + 1
        skipped = bool(why)
        report = StepReport(state.step, losses, verdict.grad_norm, hyper, skipped, verdict.stop, rows.seconds, why)
        if after_step(report) or verdict.stop:
            return


class Fed:
    """A step's micro-batches, and the seconds waited for them."""

    def __init__(self, batches: Iterator[tuple[Any, bool]]) -> None:
        self.batches = batches
        self.seconds = 0.0

    def __iter__(self) -> Iterator[tuple[Any, bool]]:
        while True:
            began = time.perf_counter()
            with record_function("data"):
                found = next(self.batches, None)
            self.seconds += time.perf_counter() - began
            if found is None:
                return
            yield found


@dataclass(frozen=True)
class Verdict:
    """What the ranks agreed on after their backward passes."""

    ok: bool
    stop: bool
    grad_norm: float
    sums: dict[str, float]


def finite(state: TrainState, seen: dict[str, Tensor], where: World, *, stop: bool) -> Verdict:
    """Whether loss and gradients are finite on every rank, so that all update or all skip.

    One collective and one wait for the device serve this, the losses for the log and the wish to stop.
    """
    grads = [param.grad for param in state.optimizer.parameters() if param.grad is not None]
    norm = torch.nn.utils.get_total_norm(grads).double()
    sums = torch.stack(list(seen.values()))
    bad = ~(torch.isfinite(norm) & torch.isfinite(sums).all())
    flags = torch.stack([bad.double(), torch.full_like(norm, float(stop)), norm / where.size])
    is_bad, asked, grad_norm, *totals = agree(torch.cat([flags, sums]), where).tolist()
    return Verdict(not is_bad, bool(asked), grad_norm, dict(zip(seen, totals, strict=True)))
