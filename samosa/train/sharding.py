"""Who owns which parameter's optimizer work, and how the others come by what an owner has updated."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.profiler import record_function

from samosa.train.distributed import World

T = TypeVar("T")

ADAM_COST = 2000
"""What AdamW costs an element, in flops of the orthogonalisation: some 60 bytes moved, between the ~300 measured on a
CPU core (fp32) and the ~8,000 that an H100's ratio of bf16 flops to bandwidth gives."""

ROUND_BYTES = 64 << 20
"""A round of the gather begins once about this much is updated: far above the latency of a collective."""

WHOLE_BYTES = 8 << 20
"""A tensor from here on travels as it is; smaller ones share a buffer, one an owner and round."""


def muon_cost(shape: Sequence[int]) -> int:
    """Flops of 5 Newton-Schulz iterations on one matrix: two products of the long side, one of the short."""
    short, long = min(shape), max(shape)
    return 5 * (4 * short * short * long + 2 * short**3)


def adam_cost(shape: Sequence[int]) -> int:
    """What AdamW on a tensor of this shape costs, in the same unit."""
    return ADAM_COST * math.prod(shape)


def owners(costs: Mapping[str, int], size: int) -> dict[str, int]:
    """The rank that owns each name, a pure function of names, costs and world size.

    The costliest first, each to the rank with the least to do (Graham 1969: at most 4/3 of the best division).
    """
    load = [0] * size
    owner: dict[str, int] = {}
    for name in sorted(costs, key=lambda name: (-costs[name], name)):
        owner[name] = load.index(min(load))
        load[owner[name]] += costs[name]
    return owner


def rounds(sizes: Mapping[T, int]) -> list[list[T]]:
    """Kinds of work in their order, cut into rounds of about ROUND_BYTES: kind -> bytes of all its parameters."""
    cut: list[list[T]] = []
    room = 0
    for kind, size in sizes.items():
        if room <= 0:
            cut.append([])
            room = ROUND_BYTES
        cut[-1].append(kind)
        room -= size
    return cut


@dataclass(frozen=True)
class Parcel:
    """Parameters of one owner and dtype that travel together."""

    owner: int
    params: list[Tensor]

    @property
    def whole(self) -> bool:
        """It is one tensor that can be sent from, and received into, where it lies."""
        return len(self.params) == 1 and self.params[0].is_contiguous()

    def pack(self, rank: int) -> Tensor:
        """What this rank hands to the broadcast: the values where it owns them, room for them where it does not."""
        if self.whole:
            return self.params[0].detach()
        if rank == self.owner:
            return torch.cat([param.detach().reshape(-1) for param in self.params])
        return self.params[0].new_empty(sum(param.numel() for param in self.params), requires_grad=False)

    def unpack(self, buffer: Tensor) -> None:
        parts = buffer.split([param.numel() for param in self.params])
        torch._foreach_copy_(self.params, [part.view_as(param) for part, param in zip(parts, self.params, strict=True)])


def parcels(owned: Iterable[tuple[int, Tensor]]) -> list[Parcel]:
    """One round's (owner, parameter) pairs as few messages: large tensors alone, small ones one an owner."""
    alone: list[Parcel] = []
    shared: dict[tuple[int, torch.dtype], Parcel] = {}
    for owner, param in owned:
        if param.numel() * param.element_size() >= WHOLE_BYTES:
            alone.append(Parcel(owner, [param]))
        else:
            shared.setdefault((owner, param.dtype), Parcel(owner, [])).params.append(param)
    return [*alone, *shared.values()]


class Gather:
    """Sends what each owner updated to all ranks, round by round, behind the computation of the next round.

    Every rank gives the same (owner, parameter) pairs in the same order, so that all call the same collectives.
    """

    def __init__(self, rounds: Iterable[Iterable[tuple[int, Tensor]]], where: World) -> None:
        self._rounds = [parcels(owned) if where.size > 1 else [] for owned in rounds]
        self._rank = where.rank
        self._sent: list[tuple[dist.Work, Parcel, Tensor]] = []

    def start(self, number: int) -> None:
        """Begin to send a round; this rank's own part of it is computed, the others' may not be."""
        for parcel in self._rounds[number]:
            buffer = parcel.pack(self._rank)
            work = dist.broadcast(buffer, src=parcel.owner, async_op=True)
            self._sent.append((work, parcel, buffer))

    @torch.no_grad()
    def finish(self) -> None:
        """Wait until everything sent has arrived, and put it into the parameters."""
        with record_function("gather"):
            for work, parcel, buffer in self._sent:
                work.wait()
                if parcel.owner != self._rank and not parcel.whole:
                    parcel.unpack(buffer)
        self._sent.clear()
