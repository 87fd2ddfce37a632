"""The recipe's words for the shape of a new model."""

from __future__ import annotations

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
