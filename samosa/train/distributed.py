"""Ranks: one process per GPU (nccl) or per share of the cores (gloo), the collectives they need, and who may talk."""

import contextlib
import datetime
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

COLLECTIVE_TIMEOUT = datetime.timedelta(minutes=30)
"""Longer than the slowest save of rank 0 while the others wait for the next step."""


@dataclass(frozen=True)
class World:
    """Where this process stands among the ranks."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Rank 0 talks and writes; the others only compute."""
        return self.rank == 0


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Join the ranks torchrun describes in the environment, or stand alone without it; leave them at the end."""
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if size == 1:
        yield World(rank, size, device)
        return
    backend, card = ("nccl", device) if device.type == "cuda" else ("gloo", None)
    meeting: dict[str, Any] = {"store": _store(), "rank": rank, "world_size": size}
    dist.init_process_group(
        backend, device_id=card, timeout=COLLECTIVE_TIMEOUT, **(meeting if meeting["store"] is not None else {})
    )
    yield World(rank, size, device)
    dist.destroy_process_group()  # not after an error: the other ranks may be waiting inside a collective


def _store() -> dist.Store | None:
    """Where the ranks find each other: the store of torchrun, which keeps the addresses of the ranks it started before.

    Those are dead, so each start has a part of its own. None where there is no torchrun.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    whole = dist.TCPStore(*place, is_master=False, timeout=COLLECTIVE_TIMEOUT)
    return dist.PrefixStore(f"start_{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", whole)


def wrap(model: nn.Module, where: World) -> nn.Module:
    """The model as the loop calls it: with gradients averaged over ranks, or as it is where there is one."""
    if where.size == 1:
        return model
    ids = [where.device.index] if where.device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)


def sync_only_if(last: bool, model: nn.Module) -> AbstractContextManager[None]:
    """Gradients are averaged over ranks once a step: with its last micro-batch."""
    if last or not isinstance(model, DistributedDataParallel):
        return contextlib.nullcontext()
    return model.no_sync()


def agree(values: Tensor, where: World) -> Tensor:
    """The sum over ranks, the same on all of them. The one small collective of a step."""
    if where.size > 1:
        dist.all_reduce(values)
    return values


def share(number: int, where: World) -> int:
    """Rank 0's number, on every rank."""
    return int(agree(torch.tensor(number if where.leads else 0, device=where.device), where).item())
