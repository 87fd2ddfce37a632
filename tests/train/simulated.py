"""Several ranks as threads of one process: each has an optimizer of its own, and broadcasts go through memory."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist

from samosa.train import sharding
from samosa.train.distributed import World

PATIENCE = 60  # seconds


class Wire:
    """Broadcasts by their number: every rank's n-th call is the same message, or somebody is out of step."""

    def __init__(self, size: int) -> None:
        self.here = threading.local()
        self.lock = threading.Lock()
        self.messages: dict[int, SimpleNamespace] = {}
        self.sent = [0] * size
        """Bytes each rank sent."""

    def broadcast(self, tensor: torch.Tensor, src: int, async_op: bool) -> Any:
        assert async_op
        rank, number = self.here.rank, self.here.calls
        self.here.calls += 1
        kind = (src, tensor.shape, tensor.dtype)
        with self.lock:
            message = self.messages.setdefault(number, SimpleNamespace(kind=kind, there=threading.Event(), data=None))
        assert message.kind == kind, f"rank {rank} sends {kind} where another rank sends {message.kind}"
        if rank == src:
            message.data = tensor.clone()
            self.sent[rank] += tensor.nbytes
            message.there.set()
        else:
            tensor.fill_(float("nan"))  # what has not arrived is not there

        def wait() -> None:
            assert message.there.wait(PATIENCE), f"message {number} never came"
            if rank != src:
                tensor.copy_(message.data)

        return SimpleNamespace(wait=wait)


def simulate(size: int, main: Callable[[World], Any], monkeypatch: Any) -> tuple[list[Any], Wire]:
    """What `main` returns on each of `size` ranks, and the wire between them."""
    wire, results = Wire(size), [None] * size
    monkeypatch.setattr(sharding, "dist", SimpleNamespace(broadcast=wire.broadcast, Work=dist.Work))

    def run(rank: int) -> None:
        wire.here.rank, wire.here.calls = rank, 0
        results[rank] = main(World(rank, size, torch.device("cpu")))

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, wire
