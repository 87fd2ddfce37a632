"""What training minimises. An objective gives sums; the loop divides once, by the counts stored with the rows."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

Sums = dict[str, Tensor]
"""Term name -> scalar sum over a micro-batch, part of the graph."""


class Objective(Protocol):
    """One way to train. `terms` name the sums; `rows.counts` holds each term's count for every packed row."""

    terms: tuple[str, ...]

    def loss(self, model: nn.Module, batch: Any) -> tuple[Sums, dict[str, Tensor]]:
        """Sums of each term over the batch, and detached sums for the log."""
        ...


class NextToken:
    """Cross-entropy in nats over supervised targets: pretraining and fine-tuning."""

    terms: tuple[str, ...] = ("nll",)

    def loss(self, model: nn.Module, batch: Any) -> tuple[Sums, dict[str, Tensor]]:
        """One forward pass. Every parameter stays in the graph even when no target of the batch is supervised."""
        nll = model(batch.ids, positions=batch.positions, targets=batch.targets)
        return {"nll": nll}, {"nll": nll.detach()}


def total(sums: Sums, counts: dict[str, int], world_size: int) -> Tensor:
    """Each term's sum over its own count in the whole step. A term nobody supervises contributes exactly nothing.

    Data parallelism averages gradients over ranks where the step needs their sum, hence `world_size`.
    """
    parts = [value * (world_size / counts[term]) if counts[term] else value * 0.0 for term, value in sums.items()]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()
