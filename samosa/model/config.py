"""The shape of a model: what it is made of, what that costs, and how a checkpoint's meta says it.

Torch-free, so that plans and `inspect` can answer without loading it. The function of a model is its weights and
three things that weights do not carry: attention windows, RoPE base and vocabulary. All three are explicit here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from samosa.errors import BadInput

ROPE_BASE = 100_000.0
VOCAB_MULTIPLE = 64  # embedding rows are padded to this, for tensor cores and for sharding
GATE_CHANNELS = 12  # channels of the normed residual that a value-embedding gate reads
SMEAR_CHANNELS = 24  # channels that the smear gate reads
NANOCHAT_FIELDS = ("sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "window_pattern")


@dataclass(frozen=True)
class Yarn:
    """Rotary positions stretched beyond the length they were learnt at (YaRN, arXiv:2309.00071)."""

    factor: float
    """How many times longer: slow rotations turn that much slower."""
    old_len: int
    """The length the weights had learnt, which tells slow rotations from fast ones."""
    beta_fast: float
    """Rotations that turn more often than this within old_len stay as they are."""
    beta_slow: float
    """Those that turn less often are slowed by the whole factor."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of one model. The first seven fields are nanochat's; the rest is what it leaves implicit.

    `windows` has one entry a layer: a query at p sees keys p - window .. p. None means nanochat's rule, which
    derives them from `sequence_len`. `train_len` is the length the weights last saw in training, for information.
    """

    sequence_len: int
    vocab_size: int
    n_layer: int
    n_head: int
    n_kv_head: int
    n_embd: int
    window_pattern: str = "SSSL"
    windows: tuple[int, ...] | None = None
    rope_base: float = ROPE_BASE
    yarn: Yarn | None = None
    train_len: int | None = None

    def __post_init__(self) -> None:
        _check(self)

    @property
    def layer_windows(self) -> tuple[int, ...]:
        """The window of every layer, in tokens before the query."""
        if self.windows is not None:
            return self.windows
        return windows_by_rule(self.sequence_len, self.window_pattern, self.n_layer)

    @property
    def padded_vocab(self) -> int:
        """Rows of the embedding tables and of the head."""
        return -(-self.vocab_size // VOCAB_MULTIPLE) * VOCAB_MULTIPLE

    @property
    def head_dim(self) -> int:
        return self.n_embd // self.n_head

    @property
    def kv_dim(self) -> int:
        return self.n_kv_head * self.head_dim

    @property
    def value_layers(self) -> tuple[int, ...]:
        """Layers with a value embedding: every second one, the last always among them."""
        return tuple(i for i in range(self.n_layer) if i % 2 == (self.n_layer - 1) % 2)

    @property
    def attention_scale(self) -> float:
        """What q and k are multiplied by besides QK norm's scale: YaRN has 0.1 ln(factor) + 1 (section 3.4)."""
        return 1.0 if self.yarn is None else 0.1 * math.log(self.yarn.factor) + 1.0

    @property
    def backout_layer(self) -> int:
        """The layer whose output is subtracted before the head."""
        return self.n_layer // 2

    def n_params(self) -> dict[str, int]:
        """Parameters by group and in total, counted without building a tensor."""
        width, kv = self.n_embd, self.kv_dim
        layer = 2 * width * width + 2 * width * kv + 8 * width * width
        groups = {
            "wte": self.padded_vocab * width,
            "value_embeds": len(self.value_layers) * self.padded_vocab * kv,
            "lm_head": self.padded_vocab * width,
            "transformer_matrices": self.n_layer * layer + len(self.value_layers) * self.n_kv_head * GATE_CHANNELS,
            "scalars": 2 * self.n_layer + SMEAR_CHANNELS + 2,
        }
        return {**groups, "total": sum(groups.values())}

    @property
    def scaling_params(self) -> int:
        """Parameters that are multiplied with every token: matrices and head, not the tables that are looked up."""
        counts = self.n_params()
        return counts["transformer_matrices"] + counts["lm_head"]

    def flops_per_token(self, length: int) -> int:
        """Forward and backward FLOPs of one token in a sequence of `length`.

        6 per matrix parameter (Kaplan et al. 2020, eq. 2.2 with the backward pass) plus 12 * head width * keys a
        layer for attention (Chowdhery et al. 2022, appendix B), the keys capped by the window and counted as if
        every query saw all of them.
        """
        return self._flops(sum(min(window, length) for window in self.layer_windows))

    def causal_flops_per_token(self, length: int) -> float:
        """The same, but half the keys where a window spans the sequence: a query sees only what came before it."""
        return self._flops(sum(window if window < length else length / 2 for window in self.layer_windows))

    def _flops(self, keys: float) -> Any:
        return 6 * (self.scaling_params + SMEAR_CHANNELS) + 12 * self.n_head * self.head_dim * keys

    def to_meta(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """(model_config, samosa): what goes under these two keys of a checkpoint's meta.

        model_config has nanochat's seven fields, with a sequence_len (and, where needed, a pattern) from which
        nanochat derives these very windows; samosa holds the explicit values, and says whether such a sequence_len
        exists.
        """
        match = nanochat_equivalent(self)
        as_nanochat = replace(self, sequence_len=match[0], window_pattern=match[1]) if match else self
        explicit = {
            "sequence_len": self.sequence_len,
            "window_pattern": self.window_pattern,
            "windows": list(self.layer_windows),
            "rope_base": self.rope_base,
            **({} if self.yarn is None else {"yarn": asdict(self.yarn)}),
            "train_len": self.train_len,
            "readable_by_nanochat": match is not None,
        }
        return {name: getattr(as_nanochat, name) for name in NANOCHAT_FIELDS}, explicit

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> ModelConfig:
        """Read the config out of a checkpoint's meta, or out of a bare config.

        Old checkpoints have no window_pattern: they attend to everything ("L"). What stands under "samosa" wins.
        Raises BadInput when a field is missing or is not what it must be.
        """
        fields = _object(meta, "model_config") or _bare(meta)
        fields.setdefault("window_pattern", "L")
        fields.setdefault("n_kv_head", fields.get("n_head"))
        missing = [name for name in NANOCHAT_FIELDS if fields.get(name) is None]
        if missing:
            raise BadInput(f"the model config lacks {', '.join(missing)}", hint="its meta_*.json must hold them")
        explicit = _object(meta, "samosa")
        values: dict[str, Any] = {name: fields[name] for name in NANOCHAT_FIELDS}
        for name in ("sequence_len", "window_pattern", "rope_base", "train_len"):
            if explicit.get(name) is not None:
                values[name] = explicit[name]
        if explicit.get("windows") is not None:
            values["windows"] = _window_list(explicit["windows"])
        try:
            if explicit.get("yarn") is not None:
                values["yarn"] = Yarn(**_object(explicit, "yarn"))
            return cls(**values)
        except TypeError as error:
            raise BadInput(f"the model config cannot be read: {error}", hint="look at its meta_*.json") from error


def windows_by_rule(sequence_len: int, pattern: str, n_layer: int) -> tuple[int, ...]:
    """nanochat's windows: L sees sequence_len, S a quarter of it rounded up to 128; the last layer is always L."""
    sizes = {"L": sequence_len, "S": -(-sequence_len // (4 * 128)) * 128}
    windows = [sizes[pattern[i % len(pattern)].upper()] for i in range(n_layer)]
    windows[-1] = sequence_len
    return tuple(windows)


def nanochat_equivalent(config: ModelConfig) -> tuple[int, str] | None:
    """(sequence_len, pattern) from which nanochat computes the same function, or None where none exists."""
    if config.rope_base != ROPE_BASE or config.yarn is not None:
        return None
    windows = config.layer_windows
    length = windows[-1]
    spelled = "".join("L" if window == length else "S" for window in windows)
    for pattern in (config.window_pattern, spelled):
        if windows_by_rule(length, pattern, config.n_layer) == windows:
            return length, pattern
    return None


def from_depth(
    depth: int,
    *,
    sequence_len: int,
    vocab_size: int,
    aspect: int = 64,
    head_dim: int = 128,
    window_pattern: str = "SSSL",
) -> ModelConfig:
    """nanochat's one dial: width = depth * aspect rounded up to whole heads of head_dim."""
    heads = -(-depth * aspect // head_dim)
    return ModelConfig(
        sequence_len=sequence_len,
        vocab_size=vocab_size,
        n_layer=depth,
        n_head=heads,
        n_kv_head=heads,
        n_embd=heads * head_dim,
        window_pattern=window_pattern,
    )


def check_vocab(config: ModelConfig, tokenizer_vocab_size: int, ref: object) -> None:
    """Raise BadInput unless model and tokenizer have the same vocabulary; `ref` names the model."""
    if config.vocab_size != tokenizer_vocab_size:
        raise BadInput(
            f"{ref} has a vocabulary of {config.vocab_size:,}, the tokenizer one of {tokenizer_vocab_size:,}",
            hint="put the tokenizer this model was trained with into $SAMOSA_HOME/tokenizer",
        )


def _object(meta: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy of the fields under `name`, none where it is absent."""
    value = meta.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BadInput(f"{name} is {_short(value)}", hint="it must be an object of fields; look at its meta_*.json")
    return dict(value)


def _window_list(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        raise BadInput(f"model windows is {_short(value)}", hint="it must list one whole number above 0 for each layer")
    return tuple(value)


def _short(value: Any) -> str:
    return repr(value)[:60]


def _bare(meta: Mapping[str, Any]) -> dict[str, Any]:
    """A config file without a meta around it, other names of the length allowed."""
    fields = {name: meta[name] for name in NANOCHAT_FIELDS if name in meta}
    for other in ("n_positions", "n_ctx"):
        if "sequence_len" not in fields and other in meta:
            fields["sequence_len"] = meta[other]
    return fields


def _check(config: ModelConfig) -> None:
    numbers = ("sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd")
    for name in numbers:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise BadInput(f"model {name} is {value!r}", hint="it must be a whole number above 0")
    pattern = config.window_pattern
    if not isinstance(pattern, str) or not pattern or set(pattern.upper()) - {"S", "L"}:
        raise BadInput(f"model window_pattern is {pattern!r}", hint="it is made of S and L, for example SSSL")
    if config.n_embd % config.n_head or config.n_head % config.n_kv_head or config.head_dim % 2:
        raise BadInput(
            f"width {config.n_embd} does not split into {config.n_head} heads over {config.n_kv_head} key heads",
            hint="width must divide by heads, heads by key heads, and a head must have an even width",
        )
    if config.n_embd < SMEAR_CHANNELS:
        raise BadInput(f"model width is {config.n_embd}", hint=f"the smear gate reads {SMEAR_CHANNELS} channels")
    base = config.rope_base
    if isinstance(base, bool) or not isinstance(base, int | float) or not 0 < base <= sys.float_info.max:
        raise BadInput(f"model rope_base is {_short(base)}", hint="it must be a number above 0, for example 100000")
    _check_yarn(config.yarn)
    _check_windows(config.windows, config.n_layer)


def _check_yarn(yarn: Yarn | None) -> None:
    if yarn is None:
        return
    numbers = (yarn.factor, yarn.old_len, yarn.beta_fast, yarn.beta_slow)
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not 0 < n <= sys.float_info.max for n in numbers):
        raise BadInput(f"model yarn is {_short(asdict(yarn))}", hint="it must have four numbers above 0")
    if yarn.factor < 1:
        raise BadInput(f"the yarn factor is {yarn.factor:g}", hint="it stretches positions: 1 or more, 8 for 2K to 16K")
    if yarn.beta_fast <= yarn.beta_slow:
        raise BadInput(
            f"yarn beta_fast {yarn.beta_fast:g} is not above beta_slow {yarn.beta_slow:g}",
            hint="the paper has 32 and 1",
        )


def _check_windows(windows: Sequence[int] | None, n_layer: int) -> None:
    if windows is None:
        return
    if len(windows) != n_layer or any(not isinstance(w, int) or isinstance(w, bool) or w <= 0 for w in windows):
        raise BadInput(
            f"{len(windows)} windows for {n_layer} layers: {list(windows)}",
            hint="windows needs one whole number above 0 for each layer",
        )
