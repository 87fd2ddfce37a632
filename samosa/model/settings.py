"""The recipe's words for the shape of a new model."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveFloat, PositiveInt

from samosa.config import Recipe
from samosa.model.config import ModelConfig, from_depth


class Shape(Recipe):
    """The shape of a model trained from scratch."""

    depth: PositiveInt
    """Layers; width and heads follow from it unless they are given."""
    sequence_len: PositiveInt
    """Context length in tokens; the long window, from which nanochat's rule derives the short one."""
    vocab_size: PositiveInt
    """Tokens of the tokenizer it goes with, special ones included."""
    window_pattern: str
    """Windows by layer, repeated: L sees sequence_len, S a quarter of it; the last layer is always L."""
    head_dim: PositiveInt
    """Width of one attention head, where heads are not given."""
    aspect: PositiveInt
    """Width per layer of depth, rounded up to whole heads, where width is not given."""
    rope_base: PositiveFloat
    """Base of the rotation's wavelengths; nanochat knows only 100000."""
    width: PositiveInt | None = None
    """Width of the residual stream; absent, depth * aspect."""
    heads: PositiveInt | None = None
    """Query heads; absent, width / head_dim."""
    kv_heads: PositiveInt | None = None
    """Key and value heads; absent, as many as heads."""
    windows: tuple[PositiveInt, ...] | None = None
    """The window of each layer, in tokens; absent, by the rule."""

    def config(self) -> ModelConfig:
        """The model this describes. Raises BadInput when the numbers do not go together."""
        by_depth = from_depth(
            self.depth,
            sequence_len=self.sequence_len,
            vocab_size=self.vocab_size,
            aspect=self.aspect,
            head_dim=self.head_dim,
            window_pattern=self.window_pattern,
        )
        width = self.width or by_depth.n_embd
        heads = self.heads or max(1, width // self.head_dim)
        return ModelConfig(
            sequence_len=self.sequence_len,
            vocab_size=self.vocab_size,
            n_layer=self.depth,
            n_head=heads,
            n_kv_head=self.kv_heads or heads,
            n_embd=width,
            window_pattern=self.window_pattern,
            windows=self.windows,
            rope_base=self.rope_base,
            train_len=self.sequence_len,
        )


class WindowTrial(Recipe):
    """How to measure which attention windows a checkpoint was trained with."""

    factors: tuple[PositiveFloat, ...]
    """Readings beside the saved one: windows by nanochat's rule from sequence_len times each of these."""
    max_length: PositiveInt
    """Longest row in tokens; a row is as long as the longest window of any reading, up to this."""
    rows: PositiveInt
    """Rows measured; the difference between two readings is judged by its spread over them."""
    seed: int
    """Which of the standard library's texts are read."""
    device: str
    """auto (a GPU where there is one), cpu or cuda."""
    dtype: str
    """auto, float32, bfloat16 or float64."""
    text: Path | None = None
    """Validation text: a parquet shard (column text) or a UTF-8 file; absent, the standard library's texts."""


class Inspection(Recipe):
    """What `samosa inspect` is told by its recipe."""

    windows: WindowTrial
