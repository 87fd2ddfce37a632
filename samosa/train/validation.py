"""Validation inside a run: bits per byte over the run's validation rows, left in the middle when a stop is asked."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from samosa.data.loader import Batch, in_order
from samosa.data.rows import PackedRows
from samosa.errors import BadInput, SamosaError
from samosa.model.checkpoint import load_token_bytes
from samosa.train import bpb
from samosa.train.distributed import World, agree
from samosa.train.job import Job


class LeftError(Exception):
    """A rank was asked to stop: all leave the validation they are in, together."""


@dataclass
class Validation:
    """The validation of one run. Every rank calls it at the same steps."""

    job: Job
    model: nn.Module
    where: World
    stop_asked: Callable[[], bool]

    def measured(self, step: int) -> bpb.Measured | None:
        """Bits per byte of the weights as they are; None where it was left because a rank was asked to stop.

        Raises SamosaError when the loss is not finite, which is the weights' doing.
        """
        assert self.job.val_dir is not None
        rows = PackedRows.load(Path(self.job.val_dir))
        token_bytes = load_token_bytes(Path(self.job.tokenizer_dir)).to(self.where.device)
        try:
            found = bpb.evaluate(self.model, self._batches(rows), token_bytes, self.where)
        except LeftError:
            return None
        if found is None:
            raise _no_byte(self.job)
        if not math.isfinite(found.bits_per_byte):
            less = f"--set train.init_lr_frac={self.job.settings.init_lr_frac / 2:g}"
            raise SamosaError(
                f"the validation loss is not finite at step {step}",
                hint=f"lower the learning rates, under another tag: {less} --tag {self.job.tag}b",
            )
        return found

    def _batches(self, rows: PackedRows) -> Iterator[Batch]:
        """This rank's batches. The ranks ask each other before each of them, so all make as many rounds."""
        size, micro_batch = self.where.size, self.job.settings.micro_batch
        mine = in_order(rows, micro_batch=micro_batch, world_size=size, rank=self.where.rank)
        for _ in range(math.ceil(math.ceil(len(rows) / size) / micro_batch)):
            if asked(self.stop_asked, self.where):
                raise LeftError
            batch = next(mine, None)
            if batch is not None:
                yield batch.to(self.where.device)


def check_rows(job: Job) -> None:
    """Raise BadInput for validation rows without an answer in them, before a step is paid for."""
    if job.val_dir is not None and not PackedRows.load(Path(job.val_dir)).counts["nll"].sum():
        raise _no_byte(job)


def _no_byte(job: Job) -> BadInput:
    return BadInput(
        f"the validation rows in {job.val_dir} supervise no byte", hint="name a validation file with answers in it"
    )


def asked(stop_asked: Callable[[], bool], where: World) -> bool:
    """Whether any rank was asked to stop, the same answer on all. One small collective."""
    return bool(agree(torch.tensor(float(stop_asked()), device=where.device), where).item())
