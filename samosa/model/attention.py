"""Attention that stays inside documents and windows, by the fastest way the device has.

sdpa: torch's scaled_dot_product_attention over the dense calls of a layout, no dense mask over the row.
varlen: torch's FlashAttention over packed documents (CUDA SM80 and newer, bf16 or fp16).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from samosa.errors import BadInput, NotReady
from samosa.model.layout import Layout, Plan, Separate, sdpa_layout, varlen_layout

BACKENDS = ("auto", "varlen", "sdpa")


def choose_backend(
    requested: str, device: torch.device | str, *, allow_fallback: bool, dtype: torch.dtype = torch.bfloat16
) -> str:
    """The varlen kernel where there is one, SDPA elsewhere; `dtype` is what the model computes in.

    Raises BadInput for an unknown name and NotReady when varlen is asked for, missing, and no fallback is allowed.
    """
    if requested not in BACKENDS:
        raise BadInput(f"attention backend {requested!r} is not known", hint=f"one of: {', '.join(BACKENDS)}")
    if requested == "sdpa":
        return "sdpa"
    missing = why_no_varlen(torch.device(device), dtype)
    if missing is None:
        return "varlen"
    if requested == "varlen" and not allow_fallback:
        raise NotReady(
            f"attention backend varlen is not available: {missing}",
            hint='use backend = "auto", or allow the fallback to SDPA in the recipe',
        )
    return "sdpa"


def why_no_varlen(device: torch.device, dtype: torch.dtype) -> str | None:
    """What the varlen kernel lacks here, or None."""
    if device.type != "cuda":
        return f"the device is {device.type}, it needs CUDA"
    if not torch.cuda.is_available():
        return "no CUDA device is visible"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "the GPU is older than SM80"
    if dtype not in (torch.bfloat16, torch.float16):
        return f"the model computes in {str(dtype).removeprefix('torch.')}, it needs bfloat16"
    if find_spec("torch.nn.attention.varlen") is None:
        return "this torch has no torch.nn.attention.varlen"
    return None


def documents(
    positions: Tensor | None, batch: int, length: int, windows: tuple[int, ...], *, backend: str, device: torch.device
) -> Layout:
    """The layout of a batch, made once and shared by all layers.

    positions [B, T] within documents (0 starts one), or None for one document a row. Positions that still lie on
    the CPU save a wait for the GPU.
    """
    if backend == "varlen":
        return varlen_layout(positions, batch, length, device)
    return sdpa_layout(positions, batch, length, windows, device)


def attend(q: Tensor, k: Tensor, v: Tensor, window: int, layout: Layout) -> Tensor:
    """q [B, T, H, D], k and v [B, T, Hkv, D] -> [B, T, H, D]: causal, within documents, window tokens back."""
    if layout.cu_seqlens is not None:
        return _varlen(q, k, v, window, layout)
    plan = layout.plans[window]
    if plan is None:
        return _dense(q, k, v, None)
    if isinstance(plan, Separate):
        return _separate(q, k, v, plan)
    return _packed(q, k, v, plan)


def attend_cache(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q [R, S, H, D] against cached k, v [R, K, Hkv, D] under mask [R, S, K] -> [R, S, H, D]."""
    return _dense(q, k, v, mask.unsqueeze(1))


def _dense(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """SDPA with heads in the third place; causal when there is no mask."""
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=mask,
        is_causal=mask is None,
        enable_gqa=q.size(2) != k.size(2),
    )
    return out.transpose(1, 2)


def _separate(q: Tensor, k: Tensor, v: Tensor, plan: Separate) -> Tensor:
    pieces = (x.reshape(1, -1, x.size(2), x.size(3)).split(plan.lengths, dim=1) for x in (q, k, v))
    outs = [_dense(one_q, one_k, one_v, None) for one_q, one_k, one_v in zip(*pieces, strict=True)]
    return torch.cat(outs, dim=1).view(q.shape)


def _packed(q: Tensor, k: Tensor, v: Tensor, plan: Plan) -> Tensor:
    heads, kv_heads, width = q.size(2), k.size(2), q.size(3)
    sizes = [bucket.rows * bucket.length for bucket in plan.buckets]
    flat = [x.reshape(-1, x.size(2) * width) for x in (q, k, v)]
    pieces = [_Place.apply(x, plan.index, plan.inverse).split(sizes) for x in flat]
    if plan.previous is not None:
        before = [_Previous.apply(x, plan.previous) for x in flat[1:]]
    outs = []
    for i, bucket in enumerate(plan.buckets):
        shape = (bucket.rows, bucket.length, -1, width)
        qs, ks, vs = (piece[i].view(shape) for piece in pieces)
        if bucket.banded:
            ks = torch.cat([before[0].view(bucket.rows, -1, kv_heads, width), ks], dim=1)
            vs = torch.cat([before[1].view(bucket.rows, -1, kv_heads, width), vs], dim=1)
        out = _dense(qs, ks, vs, plan.mask if bucket.banded else None)
        outs.append(out.reshape(-1, heads * width))
    joined = outs[0] if len(outs) == 1 else torch.cat(outs)
    return _Unplace.apply(joined, plan.index, plan.inverse).view(q.shape)


class _Place(torch.autograd.Function):
    """tokens [N, C] -> places [M, C]. Padding gets no gradient, so backward is a gather too, not an index_add."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return grad.index_select(0, inverse), None, None


class _Unplace(torch.autograd.Function):
    """places [M, C] -> tokens [N, C]; the gradient of padding is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        ctx.places = x.size(0)
        return x.index_select(0, inverse)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return grad.new_zeros(ctx.places, grad.size(1)).index_copy_(0, inverse, grad), None, None


class _Previous(torch.autograd.Function):
    """tokens [N, C] -> keys of the block before [P, C]; a token is there at most once, so no sums in backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.tokens = x.size(0)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return grad.new_zeros(ctx.tokens, grad.size(1)).index_copy_(0, index, grad), None


def _varlen(q: Tensor, k: Tensor, v: Tensor, window: int, layout: Layout) -> Tensor:
    from torch.nn.attention import varlen

    assert layout.cu_seqlens is not None
    batch, length, heads, width = q.shape
    # A window that no document outgrows is plain causal: the kernel has a faster path for it.
    reach = window if window + 1 < layout.max_length else -1
    out = varlen.varlen_attn(
        q.reshape(batch * length, heads, width),
        k.reshape(batch * length, k.size(2), width),
        v.reshape(batch * length, v.size(2), width),
        layout.cu_seqlens,
        layout.cu_seqlens,
        layout.max_length,
        layout.max_length,
        window_size=(reach, 0),
        enable_gqa=heads != k.size(2),
    )
    assert isinstance(out, Tensor)
    return out.view(batch, length, heads, width)
