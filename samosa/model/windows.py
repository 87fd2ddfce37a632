"""Which attention windows were these weights trained with? Loss by position under each reading answers it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from samosa.model.config import ModelConfig, windows_by_rule
from samosa.model.gpt import GPT

CERTAIN = 3.0  # standard errors between the best reading and the others
FIRST_BUCKET = 64  # positions; each later bucket ends at twice the one before


@dataclass(frozen=True)
class Reading:
    """One way to read a checkpoint's windows."""

    name: str
    windows: tuple[int, ...]


@dataclass(frozen=True)
class Measured:
    """Mean nll in nats a token by reading and bucket of positions, and how the readings compare where they differ.

    edges [K + 1]; nll [R][K]; beyond: the first position where some reading sees another set of keys; gap, error
    [R]: mean nll from there on, less that of the best reading, and the standard error of that over rows; decided:
    whether every other reading is worse by CERTAIN standard errors.
    """

    readings: tuple[Reading, ...]
    edges: tuple[int, ...]
    nll: tuple[tuple[float, ...], ...]
    beyond: int
    gap: tuple[float, ...]
    error: tuple[float, ...]
    best: int
    decided: bool


def readings_of(config: ModelConfig, factors: Sequence[float]) -> tuple[Reading, ...]:
    """The saved windows first, then those of other training lengths, each set of windows once."""
    readings = [Reading("as saved", config.layer_windows)]
    lengths = [round(config.sequence_len * factor) for factor in factors]
    if config.train_len is not None:
        lengths.append(config.train_len)
    for length in lengths:
        windows = windows_by_rule(max(1, length), config.window_pattern, config.n_layer)
        if all(windows != reading.windows for reading in readings):
            readings.append(Reading(f"trained at {length:,}", windows))
    return tuple(readings)


def row_length(readings: Sequence[Reading], longest: int) -> int:
    """Tokens a row needs for the widest reading to matter, capped at `longest`."""
    return min(longest, max(max(reading.windows) for reading in readings))


@torch.no_grad()
def measure(model: GPT, rows: Tensor, readings: Sequence[Reading]) -> Measured:
    """Loss by position of rows [N, T + 1] under each reading; N at least 2. The model keeps its own windows."""
    own = model.config.layer_windows
    losses = []
    try:
        for reading in readings:
            model.set_windows(reading.windows)
            losses.append(torch.stack([_row_nll(model, row) for row in rows]))
    finally:
        model.set_windows(own)
    nll = torch.stack(losses).double()  # [R, N, T]
    length = nll.size(2)
    edges = _edges(length)
    by_bucket = [nll[:, :, low:high].mean((1, 2)) for low, high in itertools.pairwise(edges)]
    beyond = min(_first_difference(readings), length - 1)
    by_row = nll[:, :, beyond:].mean(2)  # [R, N]
    best = int(by_row.mean(1).argmin())
    gaps = by_row - by_row[best]
    errors = gaps.std(1) / math.sqrt(gaps.size(1))
    others = [i for i in range(len(readings)) if i != best]
    return Measured(
        readings=tuple(readings),
        edges=edges,
        nll=tuple(tuple(row) for row in torch.stack(by_bucket, 1).tolist()),
        beyond=beyond,
        gap=tuple(gaps.mean(1).tolist()),
        error=tuple(errors.tolist()),
        best=best,
        decided=all(bool(gaps[i].mean() > CERTAIN * errors[i]) for i in others),
    )


def _row_nll(model: GPT, row: Tensor) -> Tensor:
    """nll [T] of one row [T + 1] as one document."""
    row = row.to(model.device)
    return model(row[None, :-1], targets=row[None, 1:], nll="none").cpu()


def _edges(length: int) -> tuple[int, ...]:
    edges = [0, FIRST_BUCKET]
    while edges[-1] < length:
        edges.append(edges[-1] * 2)
    return (*(edge for edge in edges if edge < length), length)


def _first_difference(readings: Sequence[Reading]) -> int:
    """The first position at which two readings let some layer see other keys."""
    by_layer = zip(*(reading.windows for reading in readings), strict=True)
    return min((min(windows) + 1 for windows in by_layer if len(set(windows)) > 1), default=0)
