"""A decode step of fixed shapes: compiled and, on a GPU, replayed as a CUDA graph.

One token of each row is little work in many kernels, and starting them takes longer than running them (gpt-fast
reports 104.9 tokens a second with both, Llama-2-7B in bf16, one row, on an A100). Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache as once

import torch
from torch import Tensor

from samosa.model.cache import KVCache
from samosa.model.decode import CacheStep
from samosa.model.gpt import GPT

KEYS = 256  # the cache is read in multiples of this, so that there are few graphs
WARM_UP = 3  # steps before a capture: libraries set themselves up in the first ones


class StaticStep(CacheStep):
    """One new token of each row whose `active` [R] is 1 rather than 0; keys 0 .. high are read, whatever is held."""

    def __init__(self, cache: KVCache, active: Tensor, high: int) -> None:
        self.cache = cache
        self.rows = None
        self.row_index = torch.arange(len(active), device=active.device).unsqueeze(1)
        self.counts = active
        self.positions = cache.lengths.unsqueeze(1)
        self.last = torch.zeros_like(active)
        self.low, self.high = 0, high
        valid = active.unsqueeze(1) > 0
        self.place = torch.where(valid, self.positions, cache.length)
        self.seen = torch.where(valid, self.positions, high - 1)
        self.masks = {}
        self.layout = None


def static_step(model: GPT, cache: KVCache, ids: Tensor, active: Tensor, high: int) -> Tensor:
    """Read ids [R, 1] of the active rows; logits [R, V], those of the others mean nothing."""
    return model.logits(model.read(ids, StaticStep(cache, active, high)).squeeze(1))


@once
def _compiled() -> Callable[[GPT, KVCache, Tensor, Tensor, int], Tensor]:
    return torch.compile(static_step, dynamic=True)


class CompiledDecode:
    """Decode steps of one cache, which must not be replaced or made smaller meanwhile."""

    def __init__(self, model: GPT, cache: KVCache) -> None:
        self._model = model
        self._cache = cache
        self._ids = torch.zeros(cache.rows, 1, dtype=torch.long, device=model.device)
        self._active = torch.zeros(cache.rows, dtype=torch.long, device=model.device)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._pool = torch.cuda.graph_pool_handle() if model.device.type == "cuda" else None

    def __call__(self, ids: Sequence[Sequence[int]], active: Sequence[int], longest: int) -> Tensor:
        """Read ids [R, 1] of the active rows, of which the longest then holds `longest` tokens.

        Logits [R, V], valid until the next call; those of the other rows mean nothing.
        """
        self._ids.copy_(torch.tensor(ids))
        self._active.copy_(torch.tensor(active))
        high = min(self._cache.length, -(-longest // KEYS) * KEYS)
        if self._pool is None:
            return self._step(high)
        if high not in self._graphs:
            self._graphs[high] = self._capture(high)
        graph, logits = self._graphs[high]
        graph.replay()
        return logits

    def _step(self, high: int) -> Tensor:
        return _compiled()(self._model, self._cache, self._ids, self._active, high)

    def _capture(self, high: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """A graph of one step. Without an active row the steps made meanwhile leave the cache as it is."""
        active = self._active.clone()
        self._active.zero_()
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                self._step(high)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            logits = self._step(high)
        self._active.copy_(active)
        return graph, logits
