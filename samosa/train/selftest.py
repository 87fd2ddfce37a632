"""Small sums done twice: as training does them on this machine, and plainly. What differs is told, and written down.

A check is a function of a device that returns a `Result`; `@check("name")` puts it on the list.
"""

import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from samosa.model import fp8
from samosa.model.attention import attend, choose_backend, documents
from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT
from samosa.model.head import SOFTCAP, nll_sum
from samosa.train.distributed import World
from samosa.train.optim import MuonAdamW
from samosa.train.schedule import StepHyper
from samosa.train.switches import CHECKS as SWITCHES
from samosa.train.switches import TOGETHER, write_record

CONFIG = ModelConfig(sequence_len=64, vocab_size=96, n_layer=3, n_head=2, n_kv_head=1, n_embd=64, windows=(16, 40, 64))
DOCUMENTS = ((20, 44), (5, 50, 9))  # their lengths, in two rows of 64 tokens
EXACT, FUSED, ROUNDED, COARSE = 1e-5, 1e-4, 3e-2, 0.2
"""Relative differences: of fp32 in another order, and in other operations; of bf16; through products of 8 bits."""
Status = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Result:
    """What a check found."""

    status: Status
    figure: float | None = None
    """The largest relative difference between the two ways."""
    tolerance: float | None = None
    note: str = ""
    """Why it was skipped, or what it died of."""
    seconds: float = 0.0


Check = Callable[[torch.device], Result]
CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Put a check on the list."""

    def add(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return add


def run(names: Sequence[str] = (), *, told: Callable[[str, Result], None] | None = None) -> dict[str, Result]:
    """Run the checks (all of them, unless named) on this machine's first GPU or its CPU, and write the record.

    `told` is called after each. A check that raises has failed.
    """
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    found: dict[str, Result] = {}
    for name in names or CHECKS:
        began = time.monotonic()
        try:
            result = CHECKS[name](device)
        except Exception as error:  # noqa: BLE001  (whatever it died of, it has not passed; that is told)
            result = Result("failed", note=f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}")
        found[name] = replace(result, seconds=round(time.monotonic() - began, 2))
        if told is not None:
            told(name, found[name])
    write_record({name: asdict(result) for name, result in found.items()})
    return found


@check("attention")
def _attention(device: torch.device) -> Result:
    """Documents and windows against a dense mask, gradients included."""
    positions = _positions()
    worst = _judged(max(_attention_error(device, torch.float32, "sdpa", positions, w) for w in (7, 64)), EXACT)
    if (
        choose_backend("auto", device, allow_fallback=True, dtype=torch.bfloat16) != "varlen"
        or worst.status == "failed"
    ):
        return worst
    return _judged(max(_attention_error(device, torch.bfloat16, "varlen", positions, w) for w in (7, 64)), ROUNDED)


def _attention_error(device: torch.device, dtype: torch.dtype, backend: str, positions: Tensor, window: int) -> float:
    generator = torch.Generator().manual_seed(0)
    q, k, v, upstream = (torch.randn(2, 64, heads, 32, generator=generator) for heads in (4, 2, 2, 4))
    layout = documents(positions, 2, 64, (window,), backend=backend, device=device)
    q, k, v = ours = tuple(_leaf(x, device, dtype) for x in (q, k, v))
    plain_q, plain_k, plain_v = plain = tuple(_leaf(x, device, torch.float64) for x in ours)
    dense = _dense_attention(plain_q, plain_k, plain_v, positions.to(device), window)
    outs = [attend(q, k, v, window, layout), dense]
    for out in outs:
        out.backward(upstream.to(device, out.dtype))
    pairs = [(outs[0], outs[1]), *((a.grad, b.grad) for a, b in zip(ours, plain, strict=True))]
    return max(_apart(a, b) for a, b in pairs)


def _dense_attention(q: Tensor, k: Tensor, v: Tensor, positions: Tensor, window: int) -> Tensor:
    document, place = (positions == 0).cumsum(1), torch.arange(q.size(1), device=q.device)
    ago = place[:, None] - place[None, :]
    seen = (ago >= 0) & (ago <= window) & (document[:, :, None] == document[:, None, :])
    k, v = (x.repeat_interleave(q.size(2) // x.size(2), dim=2) for x in (k, v))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.size(-1))
    return torch.einsum("bhqk,bkhd->bqhd", scores.masked_fill(~seen[:, None], -math.inf).softmax(-1), v)


@check("head")
def _head(device: torch.device) -> Result:
    """The chunked loss against torch's cross-entropy over all logits."""
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(300, 64, generator=generator), torch.randn(960, 64, generator=generator)
    targets = torch.randint(-300, 960, (300,), generator=generator).clamp(min=-1).to(device)
    ours, plain = ([_leaf(t, device, dtype) for t in (x, weight)] for dtype in (torch.float32, torch.float64))
    logits = SOFTCAP * torch.tanh(plain[0] @ plain[1].t() / SOFTCAP)
    losses = [
        nll_sum(ours[0], ours[1], targets, 960),
        F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum"),
    ]
    for loss in losses:
        loss.backward()
    pairs = [(losses[0], losses[1]), *((a.grad, b.grad) for a, b in zip(ours, plain, strict=True))]
    return _judged(max(_apart(a, b) for a, b in pairs), EXACT)


@check("sharded optimizer")
def _sharded(device: torch.device) -> Result:
    """Two ranks that share the optimizer's work against one that does it all, three steps in fp32."""
    on_gpus = torch.cuda.device_count() > 1
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_shard, args=(folder, on_gpus), nprocs=2)
        ranks = [torch.load(f"{folder}/{rank}.pt", weights_only=True) for rank in (0, 1)]
    alone = _stepped(World(0, 1, torch.device("cpu")))
    return _judged(max(_apart(rank[name], alone[name]) for rank in ranks for name in alone), EXACT)


def _shard(rank: int, folder: str, on_gpus: bool) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if Path("/sys/class/net/lo").exists() else "lo0")
    torch.set_num_threads(1)
    device = torch.device("cuda", rank) if on_gpus else torch.device("cpu")
    meeting = f"file://{folder}/meeting"
    torch.distributed.init_process_group("nccl" if on_gpus else "gloo", init_method=meeting, rank=rank, world_size=2)
    torch.save(_stepped(World(rank, 2, device)), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def _stepped(where: World) -> dict[str, Tensor]:
    model, generator = _model(where.device, torch.float32), torch.Generator().manual_seed(1)
    optimizer = MuonAdamW(
        model.named_parameters(),
        matrix_lr=0.02,
        embedding_lr=0.3,
        unembedding_lr=0.004,
        scalar_lr=0.5,
        n_embd=CONFIG.n_embd,
        where=where,
    )
    for _ in range(3):
        for param in model.parameters():
            param.grad = torch.randn(param.shape, generator=generator).to(where.device)
        optimizer.step(StepHyper(lr=1.0, momentum=0.9, weight_decay=0.1))
    return {name: param.detach().cpu() for name, param in model.named_parameters()}


@check(SWITCHES["activation_checkpointing"])
def _recompute(device: torch.device) -> Result:
    """Gradients of layers that are computed again in the backward pass."""
    return _judged(_switched(device, recompute=True), EXACT if device.type == "cpu" else ROUNDED)


@check(SWITCHES["compile"])
def _compile(device: torch.device) -> Result:
    """Loss and gradients of compiled layers."""
    why = _why_no_compiler(device)
    if why is not None:
        return Result("skipped", note=why)
    return _judged(_switched(device, compiled=True), FUSED if device.type == "cpu" else ROUNDED)


@check(SWITCHES["fp8"])
def _fp8(device: torch.device) -> Result:
    """The three products of a linear map, against themselves with the same 8-bit numbers in fp64, and a whole model."""
    why = fp8.why_not(device, torch.bfloat16)
    if why is not None:
        return Result("skipped", note=f"not on this machine: {why}")
    product = _judged(fp8_error(device), ROUNDED)
    return product if product.status == "failed" else _judged(_switched(device, use_fp8=True), COARSE)


def fp8_error(device: torch.device) -> float:
    """The largest relative difference of output and gradients from the same 8-bit numbers multiplied in fp64."""
    generator = torch.Generator().manual_seed(0)
    made = (torch.randn(*shape, generator=generator) for shape in ((48, 64), (32, 64), (48, 32)))
    x, weight, upstream = (tensor.to(device) for tensor in made)
    x, upstream = x.bfloat16().requires_grad_(), upstream.bfloat16()
    weight.requires_grad_()
    out = fp8.linear(x, weight)
    out.backward(upstream)
    x8, w8 = (_dequantised(tensor, fp8.E4M3) for tensor in (x, weight))
    g8 = _dequantised(upstream, fp8.E5M2)
    return max(_apart(out, x8 @ w8.t()), _apart(x.grad, g8 @ w8), _apart(weight.grad, g8.t() @ x8))


def _dequantised(x: Tensor, dtype: torch.dtype) -> Tensor:
    scale = torch.finfo(dtype).max / x.detach().double().abs().max()
    return (x.detach().double() * scale).to(dtype).double() / scale


@check(TOGETHER)
def _together(device: torch.device) -> Result:
    """Everything that passes here by itself, at once."""
    use_fp8 = fp8.why_not(device, torch.bfloat16) is None
    compiled = _why_no_compiler(device) is None
    tolerance = COARSE if use_fp8 else FUSED if device.type == "cpu" else ROUNDED
    return _judged(_switched(device, compiled=compiled, recompute=True, use_fp8=use_fp8), tolerance)


def _why_no_compiler(device: torch.device) -> str | None:
    if device.type == "cuda":
        return None if find_spec("triton") else "triton is not installed"
    compilers = [os.environ.get("CXX", ""), "g++", "clang++", "c++"]
    return None if any(name and shutil.which(name) for name in compilers) else "there is no C++ compiler"


def _switched(device: torch.device, *, compiled: bool = False, recompute: bool = False, use_fp8: bool = False) -> float:
    """The largest relative difference of loss and gradients between a model with the switches and one without."""
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    found = []
    for on in (True, False):
        model = _model(device, dtype)
        model.train_with(compiled=on and compiled, recompute=on and recompute, use_fp8=on and use_fp8)
        ids = torch.randint(0, 96, (2, 64), generator=torch.Generator().manual_seed(2)).to(device)
        loss = model(ids, positions=_positions(), targets=ids.roll(-1, 1))
        loss.backward()
        found.append([loss, *(param.grad for param in model.parameters())])
    return max(_apart(a, b) for a, b in zip(*found, strict=True))


def _model(device: torch.device, dtype: torch.dtype) -> GPT:
    """Random weights everywhere: after the usual initialisation half of the network adds nothing."""
    generator = torch.Generator().manual_seed(0)
    model = GPT(CONFIG, compute_dtype=dtype)
    model.init_weights(generator)
    with torch.no_grad():
        for param in model.parameters():
            param.add_(torch.randn(param.shape, generator=generator) * 0.05)
    return model.to(device)


def _leaf(x: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A copy that gradients are kept of."""
    return x.detach().to(device, dtype, copy=True).requires_grad_()


def _positions() -> Tensor:
    return torch.stack([torch.cat([torch.arange(length) for length in row]) for row in DOCUMENTS])


def _apart(ours: Tensor | None, plain: Tensor | None) -> float:
    """The distance of two tensors, relative to the second's norm; infinite where something is not finite."""
    assert ours is not None and plain is not None
    norm = plain.detach().double().norm()
    distance = (ours.detach().double() - plain.detach().double()).norm() / norm.clamp(min=1e-30)
    return distance.item() if math.isfinite(distance.item()) else math.inf


def _judged(figure: float, tolerance: float) -> Result:
    if math.isinf(figure):
        return Result("failed", None, tolerance, "something is not finite")
    return Result("passed" if figure <= tolerance else "failed", figure, tolerance)
