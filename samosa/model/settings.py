"""The recipe's words for the shape of a new model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import PositiveFloat, PositiveInt

from samosa.config import Recipe
from samosa.errors import BadInput
from samosa.model.config import ModelConfig, Yarn, from_depth


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


class YarnRope(Recipe):
    """Rotary positions stretched by YaRN (arXiv:2309.00071)."""

    factor: PositiveFloat
    """How many times slower slow rotations turn: new length over old; 1 or more."""
    beta_fast: PositiveFloat
    """Rotations that turn more often than this within the old length stay as they are; the paper's 32."""
    beta_slow: PositiveFloat
    """Those that turn less often are slowed by the whole factor; the paper's 1."""


class Extension(Recipe):
    """What a trained model becomes when it is to read further."""

    sequence_len: PositiveInt
    """The new context in tokens, and the long window."""
    window_pattern: str | None = None
    """Windows by layer as in a shape; absent, the init's."""
    windows: tuple[PositiveInt, ...] | None = None
    """The window of each layer, in tokens; absent, by the pattern."""
    rope_base: PositiveFloat | None = None
    """A new base of the rotation's wavelengths; absent, the init's. nanochat knows only 100000."""
    yarn: YarnRope | None = None
    """Stretched positions instead of another base; nanochat has none."""

    def config(self, init: ModelConfig, *, train_len: int) -> ModelConfig:
        """The model after extension, trained in rows of `train_len`. Raises BadInput when it does not go together."""
        new, old = self.sequence_len, init.sequence_len
        if new <= old:
            raise BadInput(
                f"extend.sequence_len {new:,} is not beyond the init's {old:,}",
                hint=f"extension makes it longer: --set extend.sequence_len={old * 8}",
            )
        if not old < train_len <= new:
            raise BadInput(
                f"train.length {train_len:,} is not between the init's {old:,} and extend.sequence_len {new:,}",
                hint=f"rows must be longer than what it knows and no longer than its new context: train.length = {new}",
            )
        if self.windows is not None and max(self.windows) > new:
            raise BadInput(
                f"extend.windows has {max(self.windows):,}, longer than extend.sequence_len {new:,}",
                hint="a window reaches no further than the context; leave windows out for nanochat's rule",
            )
        if self.rope_base is not None and self.yarn is not None:
            raise BadInput("extend has rope_base and yarn", hint="take one of them: both slow the rotations down")
        if self.yarn is not None and init.yarn is not None:
            raise BadInput(
                "the init is stretched by YaRN already", hint="extend it with extend.rope_base, or by neither"
            )
        yarn = init.yarn
        if self.yarn is not None:
            yarn = Yarn(self.yarn.factor, old, self.yarn.beta_fast, self.yarn.beta_slow)
        return replace(
            init,
            sequence_len=new,
            window_pattern=self.window_pattern or init.window_pattern,
            windows=self.windows,
            rope_base=self.rope_base or init.rope_base,
            yarn=yarn,
            train_len=train_len,
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
