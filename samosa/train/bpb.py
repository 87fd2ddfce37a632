"""Bits per byte: a loss that does not depend on the tokenizer, so runs can be compared. By position it shows reach."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from samosa.train.distributed import World, agree

EDGES = tuple(256 * 2**k for k in range(12))  # positions at which a bucket begins; the first begins at 0


@dataclass(frozen=True)
class Measured:
    """Bits per byte over a validation set."""

    bits_per_byte: float
    by_position: dict[int, float]
    """The same by where in its document the predicting token stands: first position of a bucket -> bits per byte."""


def evaluate(model: nn.Module, batches: Iterable[Any], token_bytes: Tensor, where: World) -> Measured | None:
    """Bits per byte of the supervised targets in `batches` (this rank's share; ranks may have different numbers).

    token_bytes [V] is each token's length in bytes. Targets below 0 and tokens of 0 bytes (specials) count neither in
    the loss nor in the bytes. Returns None when no byte is supervised anywhere; not finite is the model's own doing.
    """
    sums = torch.zeros(2 + len(EDGES), 2, dtype=torch.float64)  # the whole, then by bucket: nats and bytes
    with torch.no_grad():
        for batch in batches:
            sums += _nats_and_bytes(model, batch, token_bytes)
    (nats, length), *buckets = agree(sums.to(where.device), where).tolist()
    if not length:
        return None
    starts = (0, *EDGES)
    by_position = {start: n / (math.log(2) * b) for start, (n, b) in zip(starts, buckets, strict=True) if b}
    return Measured(nats / (math.log(2) * length), by_position)


def _nats_and_bytes(model: nn.Module, batch: Any, token_bytes: Tensor) -> Tensor:
    """Summed nats and bytes of one batch, whole and by bucket of positions: [1 + buckets, 2]."""
    sums = torch.zeros(2 + len(EDGES), 2, dtype=torch.float64)
    supervised = batch.targets >= 0  # [B, T]
    targets = batch.targets[supervised].long()  # [n]
    if not len(targets):
        return sums
    nats = model(batch.ids, positions=batch.positions, targets=batch.targets, nll="none")  # [n]
    lengths = token_bytes[targets]
    both = torch.stack([nats.double() * (lengths > 0), lengths.double()], dim=1)  # [n, 2]
    sums[0] = torch.stack([both[:, 0].sum(), both[:, 1].sum()]).cpu()
    whole_rows = torch.arange(batch.ids.size(1), device=supervised.device).expand(supervised.shape)
    places = whole_rows if batch.positions is None else batch.positions.to(supervised.device)
    bucket = torch.bucketize(places[supervised], torch.tensor(EDGES, device=places.device), right=True)
    sums[1:] = torch.zeros_like(sums[1:], device=both.device).index_add_(0, bucket, both).cpu()
    return sums
