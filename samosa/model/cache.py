"""Keys and values of what was already read, for rows of different lengths."""

from __future__ import annotations

import torch
from torch import Tensor

from samosa.model.config import ModelConfig


class KVCache:
    """A static cache: `rows` sequences of at most `length` tokens each.

    k, v [L, R, length + 1, Hkv, D] (the last place is scratch: padding is written there and never read),
    lengths [R] int64, prev_embedding [R, C] (the last normed embedding before smear, which the next token needs).
    """

    def __init__(
        self,
        config: ModelConfig,
        rows: int,
        length: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        # A head's keys lie together in memory, as attention reads them: a step over 64 rows takes a third less time.
        shape = (config.n_layer, rows, config.n_kv_head, length + 1, config.head_dim)
        self.rows = rows
        self.length = length
        self.k = torch.zeros(shape, dtype=dtype, device=device).transpose(2, 3)
        self.v = torch.zeros(shape, dtype=dtype, device=device).transpose(2, 3)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.prev_embedding = torch.zeros(rows, config.n_embd, dtype=dtype, device=device)

    def reset_row(self, row: int) -> None:
        """Free one row; its old keys are out of reach at once."""
        self.lengths[row] = 0

    def reset(self) -> None:
        """Free every row."""
        self.lengths.zero_()

    def compact(self, rows: Tensor) -> None:
        """Keep only `rows` [n], in that order, as rows 0 .. n-1 of a smaller cache."""
        self.k = self.k.transpose(2, 3).index_select(1, rows).transpose(2, 3)
        self.v = self.v.transpose(2, 3).index_select(1, rows).transpose(2, 3)
        self.lengths = self.lengths.index_select(0, rows)
        self.prev_embedding = self.prev_embedding.index_select(0, rows)
        self.rows = rows.numel()

    def begin_with(self, other: KVCache, source: int, targets: Tensor) -> None:
        """Give rows `targets` [n] all that row `source` of another cache holds: one beginning, many continuations."""
        length = int(other.lengths[source])
        self.k[:, targets, :length] = other.k[:, source : source + 1, :length]
        self.v[:, targets, :length] = other.v[:, source : source + 1, :length]
        self.lengths[targets] = length
        self.prev_embedding[targets] = other.prev_embedding[source]
