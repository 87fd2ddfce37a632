"""One extension of a KV cache: new tokens, right-padded, appended to rows of different lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from samosa.model.attention import attend, attend_cache
from samosa.model.cache import KVCache
from samosa.model.layout import Layout, sdpa_layout


class CacheStep:
    """Where new tokens go and what they see. Made once a forward pass, shared by all layers.

    positions [R, S] of the new tokens, last [R] index of each row's last valid one. Raises ValueError when a row
    would outgrow the cache.
    """

    def __init__(
        self, cache: KVCache, ids: Tensor, lengths: Tensor | None, rows: Tensor | None, windows: tuple[int, ...]
    ) -> None:
        count, size = ids.shape
        device = cache.lengths.device
        self.cache = cache
        self.rows = rows
        self.row_index = (torch.arange(count, device=device) if rows is None else rows).unsqueeze(1)
        before = cache.lengths if rows is None else cache.lengths[rows]
        self.counts = torch.full_like(before, size) if lengths is None else lengths.to(device)
        steps = torch.arange(size, device=device)
        valid = steps < self.counts.unsqueeze(1)
        self.positions = before.unsqueeze(1) + steps
        self.last = (self.counts - 1).clamp(min=0)
        active = self.counts > 0
        bounds = torch.stack([before.masked_fill(~active, cache.length).min(), (before + self.counts).max()])
        self.low, self.high = bounds.tolist()  # the one wait for the device: only this much of the cache is read
        if self.high > cache.length:
            raise ValueError(f"a row would hold {self.high} tokens, the cache holds {cache.length}")
        self.place = torch.where(valid, self.positions, cache.length)
        # Padding and idle rows look at the newest keys: their output means nothing but must not be NaN.
        self.seen = torch.where(valid, self.positions, max(self.high - 1, 0))
        self.masks: dict[int, tuple[int, Tensor]] = {}
        self.layout: Layout | None = None
        if size > 1 and self.high > 0 and not bool((before > 0).any()):
            self.layout = sdpa_layout(None, count, size, windows, device)

    def previous_embedding(self) -> Tensor:
        """[R, C]: the embedding before each row's first new token."""
        stored = self.cache.prev_embedding
        return stored if self.rows is None else stored[self.rows]

    def before(self, x: Tensor) -> Tensor:
        """The embedding before each new token of x [R, S, C], same shape."""
        return torch.cat([self.previous_embedding().unsqueeze(1), x[:, :-1]], dim=1)

    def remember(self, x: Tensor) -> None:
        """Keep the last valid embedding of x [R, S, C] for the next extension."""
        newest = x[torch.arange(x.size(0), device=x.device), self.last]
        kept = torch.where((self.counts > 0).unsqueeze(1), newest, self.previous_embedding())
        self.cache.prev_embedding[self.row_index.squeeze(1)] = kept.to(self.cache.prev_embedding.dtype)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, layer: int, window: int) -> Tensor:
        """Store k, v [R, S, Hkv, D], then attend q [R, S, H, D] to everything of its row within the window."""
        keys, values = self.cache.k[layer], self.cache.v[layer]
        keys[self.row_index, self.place] = k.to(keys.dtype)
        values[self.row_index, self.place] = v.to(values.dtype)
        if self.layout is not None:
            return attend(q, k, v, window, self.layout)
        start, mask = self._mask(window)
        if self.rows is None:
            keys, values = keys[:, start : self.high], values[:, start : self.high]
        else:
            keys, values = keys[self.rows, start : self.high], values[self.rows, start : self.high]
        return attend_cache(q, keys.to(q.dtype), values.to(q.dtype), mask)

    def finish(self) -> None:
        """Count the new tokens, once all layers have stored them."""
        if self.rows is None:
            self.cache.lengths += self.counts
        else:
            self.cache.lengths[self.rows] += self.counts

    def _mask(self, window: int) -> tuple[int, Tensor]:
        """(first key read, mask [R, S, K]): keys from there to `high`, no later than the query, in its window."""
        if window not in self.masks:
            start = max(0, min(self.low, self.high - 1) - window)
            key = torch.arange(start, max(self.high, start + 1), device=self.seen.device)
            seen = self.seen.unsqueeze(-1)
            mask = key <= seen
            if start < self.high - window:
                mask &= key >= seen - window
            self.masks[window] = start, mask
        return self.masks[window]


class BranchStep(CacheStep):
    """Continuations of each row side by side: all see what the cache holds of the row, none sees another.

    offsets [R, S]: each new token's place in its continuation, which begins at 0; -1 is padding, on the right. They
    take up places of the cache behind the row, but the row is afterwards as it was. Every row holds something.
    """

    def __init__(self, cache: KVCache, offsets: Tensor, windows: tuple[int, ...]) -> None:
        lengths = (offsets >= 0).sum(dim=1)
        super().__init__(cache, offsets, lengths, None, windows)
        self.offsets = offsets
        self.positions = cache.lengths.unsqueeze(1) + offsets.clamp(min=0)
        self.branch = (offsets == 0).cumsum(dim=1).masked_fill(offsets < 0, -1)  # from 1

    def before(self, x: Tensor) -> Tensor:
        """The embedding before each new token of x [R, S, C]: of the same continuation, or the row's last."""
        first = (self.offsets == 0).unsqueeze(-1)
        return torch.where(first, self.previous_embedding().unsqueeze(1), super().before(x))

    def remember(self, x: Tensor) -> None:
        """The row goes on from where it was."""

    def finish(self) -> None:
        """The row is as long as it was."""

    def _mask(self, window: int) -> tuple[int, Tensor]:
        if window not in self.masks:
            start = max(0, min(self.low, self.high - 1) - window)
            key = torch.arange(start, max(self.high, start + 1), device=self.offsets.device).expand(
                len(self.offsets), -1
            )
            held = self.cache.lengths.unsqueeze(1)
            place = (key - held).clamp(min=0, max=self.offsets.size(1) - 1)
            old = key < held
            position = torch.where(old, key, held + self.offsets.gather(1, place))
            new = torch.where(key < held + self.counts.unsqueeze(1), self.branch.gather(1, place), -2)
            query, branch = self.positions.unsqueeze(-1), self.branch.unsqueeze(-1)
            mask = old.unsqueeze(1) | (new.unsqueeze(1) == branch)
            mask &= (position.unsqueeze(1) <= query) & (position.unsqueeze(1) >= query - window)
            # Padding looks at whatever comes first: its output means nothing but must not be NaN.
            mask[..., 0] |= self.offsets < 0
            self.masks[window] = start, mask
        return self.masks[window]
