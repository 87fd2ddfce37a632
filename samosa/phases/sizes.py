"""What a stage will take: tokens, steps, FLOPs, memory, time and money, each with the basis it rests on."""

from __future__ import annotations

import json
import math
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samosa import home
from samosa.errors import BadInput
from samosa.model.config import ModelConfig
from samosa.phases.rates import rates_line, scaling_line
from samosa.phases.settings import Estimates
from samosa.phases.stage import Shelf
from samosa.train import hardware
from samosa.train.scaling import Dial, scaling_params
from samosa.train.settings import Train

ESTIMATED = "estimated: the recipe's rows x tokens a row"
REFERENCE_LENGTH = 2048
FILL = 0.995  # of a packed row; best-fit packing of chat lengths reaches more
LIVE_ACTIVATIONS = 22  # tensors of model width that a layer keeps for its backward pass, per token; counted in gpt.py
HEAD_CHUNK = 2**28  # bytes of logits and their gradient that the chunked head holds, about


@dataclass(frozen=True)
class Fact:
    """One number of a plan."""

    what: str
    value: float | int | str | None
    shown: str
    basis: str


@dataclass(frozen=True)
class Size:
    """What one stage will take."""

    what: str
    seconds: float
    basis: str
    """Where `seconds` comes from."""
    gpu: bool = False
    """Runs on every process of the machine, and is paid for."""
    steps: int = 0
    """Optimizer steps, where it trains."""
    facts: tuple[Fact, ...] = ()
    train: Train | None = None
    """What it trains with, where it trains."""


@dataclass(frozen=True)
class Context:
    """What sizes are reckoned with."""

    shelf: Shelf
    nproc: int
    estimates: Estimates


Sizer = Callable[[Context], Size]


@dataclass(frozen=True)
class DataSize:
    """How much there is to train on."""

    rows: int
    """Packed rows."""
    tokens: int
    """Document tokens; rows x length is what is computed."""
    basis: str


def cpu_size(name: str, what: str, ctx: Context) -> Size:
    """A stage that takes about as long as the recipe says. Raises BadInput where the recipe does not say."""
    if name not in ctx.estimates.seconds:
        raise BadInput(f"estimates.seconds has no {name}", hint=f"--set estimates.seconds.{name}=60 (seconds)")
    return Size(what, ctx.estimates.seconds[name], "recipe")


def estimated_rows(tokens: int, length: int, basis: str = ESTIMATED) -> DataSize:
    """Tokens not packed yet, as packed rows."""
    return DataSize(math.ceil(tokens / (length * FILL)), tokens, basis)


def steps_of(train: Train, rows: int) -> int:
    """Optimizer steps of a run over that many packed rows; a step that is begun is finished."""
    if train.steps is not None:
        return train.steps
    assert train.epochs is not None
    seen = math.ceil(train.epochs * rows - 1e-9)  # 0.1 * 30 is 3 rows, not 4
    return math.ceil(seen / (train.tokens_per_step // train.length))


def train_size(
    ctx: Context,
    what: str,
    config: ModelConfig,
    shape_basis: str,
    train: Train,
    data: DataSize,
    *,
    dial: Dial | None = None,
    notes: tuple[Fact, ...] = (),
) -> Size:
    """A training stage: its steps, and how long they take on this machine. `notes` are further facts of the run."""
    steps = steps_of(train, data.rows)
    tokens = steps * train.tokens_per_step
    speed, speed_basis = tokens_per_second(ctx, config, train)
    flops = config.flops_per_token(train.length)
    memory = memory_bytes(config, train, ctx.nproc)
    said = f"{what}: {steps:,} steps x {train.tokens_per_step:,} tokens"
    facts = (
        Fact("parameters", config.n_params()["total"], f"{config.n_params()['total']:,}", shape_basis),
        Fact("GFLOP per token", flops / 1e9, f"{flops / 1e9:.3f}", _length_and_windows(config, train.length)),
        *_other_windows(config, train.length),
        _reference(config),
        Fact("data", data.tokens, f"{data.tokens:,} tokens in {data.rows:,} rows of {train.length:,}", data.basis),
        Fact("steps", steps, f"{steps:,} x {train.tokens_per_step:,} tokens = {tokens:,}", _why(train, dial, data)),
        _tokens_per_parameter(config, tokens),
        Fact("learning rates", train.matrix_lr, rates_line(train), scaling_line(config, train, dial)),
        *notes,
        Fact("tokens per second", speed, f"{speed:,.0f}", speed_basis),
        Fact("memory per process", memory, f"{memory / 1e9:.1f} GB", _memory_basis(train)),
    )
    seconds = ctx.estimates.start_seconds + tokens / speed
    return Size(said, seconds, speed_basis, gpu=True, steps=steps, facts=facts, train=train)


def tokens_per_second(ctx: Context, config: ModelConfig, train: Train) -> tuple[float, str]:
    """Training speed of the whole machine, and its basis: an earlier run here, the recipe, or a share of the peak."""
    measured = measured_speed(speed_key(config, train, ctx.nproc))
    if measured is not None:
        return measured[0], f"measured here ({measured[1]})"
    guess = ctx.estimates
    if guess.tokens_per_second is not None:
        return guess.tokens_per_second, "recipe (estimates.tokens_per_second)"
    flops = guess.mfu * guess.peak_tflops * 1e12 * ctx.nproc
    basis = f"{guess.mfu:.0%} MFU of {ctx.nproc} x {guess.peak_of} at {guess.peak_tflops:g} TFLOP/s"
    return flops / config.flops_per_token(train.length), f"estimated: {basis}"


def speed_key(config: ModelConfig, train: Train, nproc: int) -> dict[str, Any]:
    """What two runs must share for the speed of one to predict the other."""
    return {
        "machine": platform.node(),
        "gpus": hardware.gpus()[:nproc],
        "nproc": nproc,
        "parameters": config.n_params()["total"],
        "windows": list(config.layer_windows),
        "length": train.length,
        "micro_batch": train.micro_batch,
        "dtype": train.dtype,
    }


def measured_speed(key: dict[str, Any]) -> tuple[float, str] | None:
    """(tokens per second, tag) of the latest run on this machine with the same key; its median step counts."""
    runs = home.root() / "runs"
    for path in sorted(runs.glob("*/run.json"), key=lambda path: -path.stat().st_mtime):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        speeds = _speeds(path.parent / "metrics.jsonl") if record.get("speed_key") == key else []
        if speeds:
            return statistics.median(speeds), path.parent.name
    return None


def memory_bytes(config: ModelConfig, train: Train, nproc: int) -> int:
    """About how much memory one process needs to train: masters, gradients, its share of the optimizer, activations."""
    params = config.n_params()
    matrices = params["transformer_matrices"]
    optimizer = 4 * matrices + 8 * (params["total"] - matrices)  # Muon keeps one fp32 buffer, AdamW two
    width = {"float32": 4, "float64": 8}.get(train.dtype, 2)
    tokens = train.micro_batch * train.length
    activations = tokens * config.n_layer * config.n_embd * LIVE_ACTIVATIONS * width
    return 8 * params["total"] + optimizer // nproc + activations + HEAD_CHUNK


def _speeds(metrics: Path) -> list[float]:
    if not metrics.is_file():
        return []
    found = []
    for text in metrics.read_text(encoding="utf-8").splitlines():
        try:
            speed = json.loads(text).get("tok_per_s")
        except ValueError:  # the last line of a run that was killed
            continue
        if isinstance(speed, int | float) and speed > 0:
            found.append(float(speed))
    return found[1:]  # the first step warms up


def _length_and_windows(config: ModelConfig, length: int) -> str:
    windows = "/".join(str(window) for window in sorted(set(config.layer_windows)))
    return f"{length:,} tokens, windows {windows}, forward and backward, windows counted as full"


def _other_windows(config: ModelConfig, length: int) -> tuple[Fact, ...]:
    """The cost without windows that cut into rows of this length: the weights may have been trained with such."""
    full = ModelConfig(**{**_nanochat_fields(config), "windows": (max(length, config.sequence_len),) * config.n_layer})
    flops = full.flops_per_token(length)
    if flops == config.flops_per_token(length):
        return ()
    basis = f"{length:,} tokens, no window below {length:,}; `samosa inspect --windows` tells which holds"
    return (Fact("GFLOP per token, full windows", flops / 1e9, f"{flops / 1e9:.3f}", basis),)


def _reference(config: ModelConfig) -> Fact:
    at_2k = ModelConfig(**{**_nanochat_fields(config), "sequence_len": REFERENCE_LENGTH})
    flops = at_2k.flops_per_token(REFERENCE_LENGTH)
    basis = f"reference: {_length_and_windows(at_2k, REFERENCE_LENGTH)}"
    return Fact("GFLOP per token at 2K", flops / 1e9, f"{flops / 1e9:.3f}", basis)


def _nanochat_fields(config: ModelConfig) -> dict[str, Any]:
    names = ("sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "window_pattern")
    return {name: getattr(config, name) for name in names}


def _tokens_per_parameter(config: ModelConfig, tokens: int) -> Fact:
    """Both countings: embeddings cost next to nothing to train, and are nearly half of a d24."""
    params = scaling_params(config)
    shown = f"{tokens / params:.2f} of matrices and head, {tokens / config.n_params()['total']:.2f} of all"
    return Fact("tokens per parameter", tokens / params, shown, f"{params:,} in matrices and head; this run alone")


def _why(train: Train, dial: Dial | None, data: DataSize) -> str:
    if train.steps is not None:
        return "recipe (train.steps)" if dial is None else f"{dial.tokens_per_parameter:g} tokens a parameter (dial)"
    return f"{train.epochs:g} epoch{'' if train.epochs == 1 else 's'} of {data.basis}"


def _memory_basis(train: Train) -> str:
    return (
        f"estimated: fp32 masters and gradients, optimizer shared out, {LIVE_ACTIVATIONS} activations of model width "
        f"a token and layer, micro-batch {train.micro_batch}"
    )
