"""What a plan says about learning rates: what they were multiplied by, and with -v the schedule's whole curve."""

from __future__ import annotations

import math

from samosa import console
from samosa.model.config import ModelConfig
from samosa.train.scaling import RATES, Dial
from samosa.train.schedule import sparkline
from samosa.train.settings import Train, schedule_of

REFERENCE_WIDTH = 768  # nanochat's d12, whose embedding and head rates the recipes state


def rates_line(train: Train) -> str:
    """The four rates, the weight decay and the multiplier that all rates share, short."""
    rates = ", ".join(f"{name.removesuffix('_lr')} {getattr(train, name):.4g}" for name in RATES)
    frac = "" if train.init_lr_frac == 1 else f", all x {train.init_lr_frac:g}"
    return f"{rates}{frac}; weight decay {train.weight_decay:.4g}"


def scaling_line(config: ModelConfig, train: Train, dial: Dial | None) -> str:
    """Whether the rates and the weight decay were scaled for the batch size, and what width does to two of them."""
    width = math.sqrt(REFERENCE_WIDTH / config.n_embd)
    by_width = f"embeddings and head x {width:.4g} for width {config.n_embd:,}"
    if dial is None:
        return f"batch-size scaling: none, rates and decay are as written; {by_width}"
    root = math.sqrt(train.tokens_per_step / dial.reference_batch)
    by_dial = [name for name in RATES if math.isclose(getattr(train, name), getattr(dial, name) * root)]
    others = [name for name in RATES if name not in by_dial]
    batch = f"sqrt({train.tokens_per_step:,} / {dial.reference_batch:,})"
    said = f"batch-size scaling: rates x {root:.4g} = {batch}, weight decay {dial.weight_decay:g} -> "
    said += f"{train.weight_decay:.4g}; {by_width}"
    return said + (f"; as written: {', '.join(others)}" if others else "")


def positions_line(config: ModelConfig) -> str:
    """RoPE base and YaRN, short."""
    base = f"RoPE base {config.rope_base:,.0f}"
    if config.yarn is None:
        return base
    return f"{base}, YaRN x {config.yarn.factor:g} from {config.yarn.old_len:,}"


def show_schedule(name: str, train: Train, steps: int) -> None:
    """Print the schedule at its corners, and the learning rate as a line."""
    schedule = schedule_of(train)
    rows = []
    for step, what in schedule.corners(steps):
        hyper = schedule.at(step, steps)
        numbers = (f"{hyper.lr:.4f}", f"{train.matrix_lr * hyper.lr:.3g}", f"{hyper.momentum:.4f}")
        rows.append((f"{step:,}", what, *numbers, f"{hyper.weight_decay:.4g}"))
    columns = ("step", "", "lr x", "matrix lr", "momentum", "weight decay")
    console.table(columns, rows, title=f"{name}: schedule of {steps:,} steps")
    console.say(f"lr  {sparkline(schedule, steps)}")
