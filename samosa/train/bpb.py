"""Bits per byte: a loss that does not depend on the tokenizer, so runs can be compared."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from samosa.train.distributed import World, agree


def evaluate(model: nn.Module, batches: Iterable[Any], token_bytes: Tensor, where: World) -> float | None:
    """Bits per byte of the supervised targets in `batches` (this rank's share; ranks may have different numbers).

    token_bytes [V] is each token's length in bytes. Targets below 0 and tokens of 0 bytes (specials) count neither in
    the loss nor in the bytes. Returns None when no byte is supervised anywhere; not finite is the model's own doing.
    """
    sums = torch.zeros(2, dtype=torch.float64)
    with torch.no_grad():
        for batch in batches:
            sums += _nats_and_bytes(model, batch, token_bytes)
    nats, length = agree(sums.to(where.device), where).tolist()
    return nats / (math.log(2) * length) if length else None


def _nats_and_bytes(model: nn.Module, batch: Any, token_bytes: Tensor) -> Tensor:
    """Summed nats and bytes [2] of one batch."""
    supervised = batch.targets[batch.targets >= 0].long()  # [n]
    if not len(supervised):
        return torch.zeros(2, dtype=torch.float64)
    nats = model(batch.ids, positions=batch.positions, targets=batch.targets, nll="none")  # [n]
    lengths = token_bytes[supervised]
    return torch.stack([(nats.double() * (lengths > 0)).sum(), lengths.double().sum()]).cpu()
