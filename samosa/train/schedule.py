"""Learning rate, momentum and weight decay as functions of the step: pure numbers, so a plan can print them first."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StepHyper:
    """What one optimizer step takes besides gradients: a multiplier on every group's learning rate, and Muon's two."""

    lr: float
    momentum: float
    weight_decay: float


@dataclass(frozen=True)
class Momentum:
    """Muon's momentum: linear from `start` to `peak`, and linear to `final` while the learning rate warms down."""

    start: float
    peak: float
    final: float
    warmup_steps: int


# nanochat's base_train and chat_sft, not tuned here
PRETRAIN_MOMENTUM = Momentum(start=0.85, peak=0.97, final=0.90, warmup_steps=400)
SFT_MOMENTUM = Momentum(start=0.85, peak=0.95, final=0.95, warmup_steps=300)


def step_lr(step: int, steps: int, *, warmup_steps: int, warmdown_ratio: float, final_lr_frac: float) -> float:
    """Learning-rate multiplier of pretraining (nanochat's base_train): linear up, flat, linear down to `final_lr_frac`.

    The warmup counts steps, the warmdown is a share of the run. `step` is 0-based; `steps` is the ramp's end.
    """
    warmdown_steps = round(warmdown_ratio * steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if step <= steps - warmdown_steps:
        return 1.0
    left = max(steps - step, 0) / warmdown_steps
    return left + (1 - left) * final_lr_frac


def progress_lr(progress: float, *, warmup_ratio: float, warmdown_ratio: float, final_lr_frac: float) -> float:
    """Learning-rate multiplier of fine-tuning (nanochat's chat_sft), from the share of the run that is done, 0 to 1.

    Beyond 1 it stays at `final_lr_frac`; nanochat's formula goes on to negative learning rates there.
    """
    progress = min(progress, 1.0)
    if progress < warmup_ratio:
        return (progress + 1e-8) / warmup_ratio  # never exactly zero at the first step
    if progress <= 1.0 - warmdown_ratio:
        return 1.0
    decay = (progress - (1.0 - warmdown_ratio)) / warmdown_ratio
    return (1 - decay) + decay * final_lr_frac


def muon_momentum(step: int, steps: int, *, shape: Momentum, warmdown_ratio: float) -> float:
    """Muon's momentum at a step; the climb goes before the descent where a short run has both at once."""
    if step < shape.warmup_steps:
        done = step / shape.warmup_steps
        return (1 - done) * shape.start + done * shape.peak
    warmdown_steps = round(warmdown_ratio * steps)
    if warmdown_steps == 0 or step < steps - warmdown_steps:
        return shape.peak
    done = min((step - (steps - warmdown_steps)) / warmdown_steps, 1.0)
    return shape.peak * (1 - done) + shape.final * done


def cosine_weight_decay(step: int, steps: int, *, weight_decay: float) -> float:
    """Half a cosine from `weight_decay` down to zero at the end of the run."""
    return weight_decay * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))


class Schedule(Protocol):
    """Anything that says what a step uses. `steps` is the whole run's, so the same object serves a plan and a run."""

    def at(self, step: int, steps: int) -> StepHyper: ...


@dataclass(frozen=True, kw_only=True)
class PretrainSchedule:
    """Warmup in steps, warmdown as a share, weight decay on half a cosine (nanochat's base_train)."""

    warmup_steps: int
    warmdown_ratio: float
    final_lr_frac: float
    weight_decay: float
    init_lr_frac: float = 1.0
    momentum: Momentum = PRETRAIN_MOMENTUM

    def at(self, step: int, steps: int) -> StepHyper:
        lr = step_lr(
            step,
            steps,
            warmup_steps=self.warmup_steps,
            warmdown_ratio=self.warmdown_ratio,
            final_lr_frac=self.final_lr_frac,
        )
        return StepHyper(
            lr=self.init_lr_frac * lr,
            momentum=muon_momentum(step, steps, shape=self.momentum, warmdown_ratio=self.warmdown_ratio),
            weight_decay=cosine_weight_decay(step, steps, weight_decay=self.weight_decay),
        )


@dataclass(frozen=True, kw_only=True)
class FinetuneSchedule:
    """Warmup and warmdown as shares of the run, weight decay constant (nanochat's chat_sft)."""

    warmup_ratio: float
    warmdown_ratio: float
    final_lr_frac: float
    weight_decay: float
    init_lr_frac: float = 1.0
    momentum: Momentum = SFT_MOMENTUM

    def at(self, step: int, steps: int) -> StepHyper:
        lr = progress_lr(
            step / steps,
            warmup_ratio=self.warmup_ratio,
            warmdown_ratio=self.warmdown_ratio,
            final_lr_frac=self.final_lr_frac,
        )
        return StepHyper(
            lr=self.init_lr_frac * lr,
            momentum=muon_momentum(step, steps, shape=self.momentum, warmdown_ratio=self.warmdown_ratio),
            weight_decay=self.weight_decay,
        )


def preview(schedule: Schedule, steps: int, *, rows: int = 9) -> list[tuple[int, StepHyper]]:
    """Evenly spaced (step, values) of a run, first and last step included: what a plan prints."""
    return [(step, schedule.at(step, steps)) for step in _evenly(steps, rows)]


def _evenly(steps: int, rows: int) -> Iterator[int]:
    """Up to `rows` distinct steps from 0 to steps - 1."""
    last = steps - 1
    yield from sorted({round(last * i / max(rows - 1, 1)) for i in range(rows)} if last > 0 else {0})
