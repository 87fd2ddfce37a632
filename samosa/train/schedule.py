"""Learning rate, momentum and weight decay as functions of the step: pure numbers, so a plan can print them first."""

import math
from collections.abc import Iterable
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

    def corners(self, steps: int) -> list[tuple[int, str]]:
        """The steps where something begins or ends, and what: with the first and the last they tell the whole curve."""
        ...


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

    def corners(self, steps: int) -> list[tuple[int, str]]:
        return _corners(steps, self.warmup_steps, self.warmdown_ratio, self.momentum)


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

    def corners(self, steps: int) -> list[tuple[int, str]]:
        return _corners(steps, math.ceil(self.warmup_ratio * steps), self.warmdown_ratio, self.momentum)


def _corners(steps: int, warmup_steps: int, warmdown_ratio: float, momentum: Momentum) -> list[tuple[int, str]]:
    warmdown_steps = round(warmdown_ratio * steps)
    named = [(0, "first"), (steps // 2, "half"), (steps - 1, "last"), (momentum.warmup_steps, "momentum at its peak")]
    if warmup_steps:
        named.append((warmup_steps - 1, "warmed up"))
    if warmdown_steps:
        named.append((steps - warmdown_steps, "warmdown begins"))
    return _within(steps, named)


def sparkline(schedule: Schedule, steps: int, *, width: int = 60) -> str:
    """The learning-rate multiplier over the run as one line of blocks, its highest value a full one."""
    rates = [schedule.at(step, steps).lr for step in _evenly(steps, width)]
    return "".join("▁▂▃▄▅▆▇█"[round(7 * rate / max(rates))] for rate in rates)


def _evenly(steps: int, count: int) -> list[int]:
    """Up to `count` distinct steps, the first and the last among them."""
    last = steps - 1
    return sorted({round(last * i / max(count - 1, 1)) for i in range(count)})


def _within(steps: int, named: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """The named steps that the run has, in order; one that is several things is named by all."""
    names: dict[int, list[str]] = {}
    for step, name in sorted((step, name) for step, name in named if 0 <= step < steps):
        names.setdefault(step, []).append(name)
    return [(step, ", ".join(said)) for step, said in names.items()]
