"""Which rows a training step sees, as a pure function of (seed, step): resuming is starting at another step."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samosa.data.packing import NO_TARGET, shuffled
from samosa.data.rows import PackedRows
from samosa.errors import BadInput

FILLER = -1  # the index of a row that is only padding


@dataclass(frozen=True)
class Batch:
    """One micro-batch: ids, positions (0 starts a document) and targets (-1 = no loss), each int64 [B, T]."""

    ids: Tensor
    positions: Tensor
    targets: Tensor

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> "Batch":
        """The same batch on another device."""
        move = lambda tensor: tensor.to(device, non_blocking=non_blocking)  # noqa: E731
        return Batch(ids=move(self.ids), positions=move(self.positions), targets=move(self.targets))


class Plan:
    """The batches of a run. Step s takes the next rows of an endless list: each epoch a new permutation of all rows.

    tokens_per_step // length rows make a step over all ranks, whatever their number. Rank r of W gets rows r, r + W,
    and so on of it, in equal micro-batches of at most `micro_batch` rows, as many on every rank, filled up with rows
    that count nothing. A run by `epochs` sees every row that often, and its last step may be short; `steps` overrides
    `epochs` and goes round the data as often as it takes.

    Raises BadInput naming the keys that do not go together.
    """

    def __init__(
        self,
        rows: PackedRows,
        *,
        tokens_per_step: int,
        micro_batch: int,
        seed: int,
        epochs: float | None = None,
        steps: int | None = None,
        world_size: int = 1,
        rank: int = 0,
    ):
        self.rows, self.seed = rows, seed
        self.rows_per_step = rows_per_step(tokens_per_step, rows.length)
        self.micro_batch, self.world_size, self.rank = micro_batch, world_size, rank
        if micro_batch < 1:
            raise BadInput(f"micro_batch {micro_batch} holds no row", hint="set train.micro_batch to 1 or more")
        if not len(rows):
            raise BadInput("there is not a single row to train on", hint="look at the account of what was dropped")
        if rows.counts and not any(count.any() for count in rows.counts.values()):
            raise BadInput(
                f"none of the {len(rows)} rows has a token to learn from",
                hint="look at the rows' masks: in chats only what the assistant says is learnt",
            )
        self.total_rows = _total_rows(len(rows), self.rows_per_step, epochs=epochs, steps=steps)
        self.steps = math.ceil(self.total_rows / self.rows_per_step)
        self._order = lru_cache(maxsize=2)(lambda epoch: shuffled(len(rows), seed, stream=epoch))

    def indices(self, step: int) -> NDArray[np.int64]:
        """The rows of a step over all ranks, in order."""
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of a run of {self.steps}")
        first = step * self.rows_per_step
        place = np.arange(first, min(first + self.rows_per_step, self.total_rows))
        epoch, within = np.divmod(place, len(self.rows))
        return np.concatenate([self._order(int(e))[within[epoch == e]] for e in np.unique(epoch)])

    def counts(self, step: int) -> dict[str, int]:
        """Each loss term's count over all ranks' rows of a step: what its sums are divided by."""
        indices = self.indices(step)
        return {term: int(count[indices].sum()) for term, count in self.rows.counts.items()}

    def micro_batches(self, step: int) -> Iterator[tuple[Batch, bool]]:
        """This rank's (batch, is it the last) of a step; the number and shape are the same on every rank."""
        dealt = self._dealt(step)
        for i, indices in enumerate(dealt):
            yield gather(self.rows, indices), i == len(dealt) - 1

    def epoch(self, step: int) -> float:
        """How often the data has been seen before this step."""
        return min(step * self.rows_per_step, self.total_rows) / len(self.rows)

    def _dealt(self, step: int) -> list[NDArray[np.int64]]:
        """Row numbers of this rank's micro-batches, FILLER where there is none."""
        indices = self.indices(step)
        per_rank = math.ceil(len(indices) / self.world_size)
        batches = math.ceil(per_rank / self.micro_batch)
        size = math.ceil(per_rank / batches)
        mine = np.full(batches * size, FILLER, dtype=np.int64)
        share = indices[self.rank :: self.world_size]
        mine[: len(share)] = share
        return np.split(mine, batches)


def rows_per_step(tokens_per_step: int, length: int) -> int:
    """Rows an optimizer step takes. Raises BadInput where tokens_per_step is no multiple of length."""
    if tokens_per_step < length or tokens_per_step % length:
        near = max(1, round(tokens_per_step / length)) * length
        raise BadInput(
            f"tokens_per_step {tokens_per_step} is not a multiple of length {length}",
            hint=f"set train.tokens_per_step to {near}, or another train.length",
        )
    return tokens_per_step // length


def gather(rows: PackedRows, indices: NDArray[np.int64]) -> Batch:
    """The rows at `indices` as tensors; FILLER gives a row of padding without targets."""
    real = indices >= 0
    picked = np.where(real, indices, 0)
    ids, targets, positions = (a[picked].astype(np.int64) for a in (rows.ids, rows.targets, rows.positions))
    ids[~real], targets[~real], positions[~real] = rows.pad, NO_TARGET, np.arange(rows.length)
    return Batch(ids=torch.from_numpy(ids), positions=torch.from_numpy(positions), targets=torch.from_numpy(targets))


def in_order(rows: PackedRows, *, micro_batch: int, world_size: int = 1, rank: int = 0) -> Iterator[Batch]:
    """This rank's share of all rows, once and in order, without filling: for validation, which counts as it goes."""
    mine = np.arange(rank, len(rows), world_size)
    for start in range(0, len(mine), micro_batch):
        yield gather(rows, mine[start : start + micro_batch])


def _total_rows(available: int, per_step: int, *, epochs: float | None, steps: int | None) -> int:
    """Rows a whole run takes: at least one, however small the part of an epoch."""
    if steps is not None:
        return steps * per_step
    if epochs is None:
        raise BadInput("neither train.epochs nor train.steps says how long to train", hint="set train.epochs to 1")
    return max(1, math.ceil(epochs * available - 1e-9))  # 0.1 * 30 is 3 rows, not 4
