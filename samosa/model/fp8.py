"""Matrix products of a layer in 8-bit floats: unverified on a GPU until its own self-test has passed there.

Tensorwise dynamic scaling (Micikevicius et al. 2022, arXiv:2209.05433): what goes in is stretched to the format's range
by its largest absolute value at that moment. Activations and weights are e4m3 (3 bits of mantissa), gradients e5m2
(2 bits, more range). All three products of a linear map are made so; sums are kept in fp32 by the hardware, the result
is in the activations' dtype. Masters stay fp32, and everything that is not a matrix product is as without it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
MULTIPLE = 16  # the kernels' condition on every dimension of a product
LEAST = 1e-12  # of a largest absolute value, so that a tensor of zeros has a scale


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """What FP8 training lacks on this device, or None."""
    if device.type != "cuda":
        return f"the device is {device.type}, it needs CUDA"
    if torch.cuda.get_device_capability(device) < (8, 9):
        return "the GPU has no FP8 units (it is older than SM89)"
    if dtype != torch.bfloat16:
        return f"the model computes in {str(dtype).removeprefix('torch.')}, it needs bfloat16"
    return None


def convert(module: nn.Module) -> None:
    """Let the linear maps inside `module` train in FP8, those whose weights have fitting shapes."""
    for part in module.modules():
        if isinstance(part, nn.Linear) and not any(size % MULTIPLE for size in part.weight.shape):
            part.fp8 = True  # type: ignore[assignment]


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x [..., K] and weight [M, K] -> [..., M] in x's dtype; x must hold a multiple of 16 rows of K."""
    return _Linear.apply(x, weight)


def quantised(x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """(x stretched to dtype's range, what to multiply it by to have x again: fp32 scalar)."""
    largest = torch.finfo(dtype).max
    scale = largest / x.abs().amax().float().clamp(min=LEAST)
    # Clamped because a product that rounds beyond the range would become nan.
    return (x.float() * scale).clamp(-largest, largest).to(dtype), scale.reciprocal()


def _product(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor], dtype: torch.dtype, *, fast: bool) -> Tensor:
    """a [n, k] times b [m, k] transposed -> [n, m]: both row by row, as the kernels want it."""
    out = torch._scaled_mm(a[0], b[0].t(), scale_a=a[1], scale_b=b[1], out_dtype=dtype, use_fast_accum=fast)
    assert isinstance(out, Tensor)
    return out


def _turned(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return pair[0].t().contiguous(), pair[1]


class _Linear(torch.autograd.Function):
    """Keeps the 8-bit copies for the backward pass: half the memory of bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        rows, matrix = quantised(x.reshape(-1, x.size(-1)), E4M3), quantised(weight, E4M3)
        ctx.save_for_backward(*rows, *matrix)
        ctx.shape, ctx.dtypes = x.shape, (x.dtype, weight.dtype)
        return _product(rows, matrix, x.dtype, fast=True).view(*x.shape[:-1], weight.size(0))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        rows8, rows_scale, matrix8, matrix_scale = ctx.saved_tensors
        dtype, weight_dtype = ctx.dtypes
        upstream = quantised(grads[0].reshape(-1, grads[0].size(-1)), E5M2)
        # Without fast accumulation: 14 bits of a partial sum are too few for gradients.
        grad_x = _product(upstream, _turned((matrix8, matrix_scale)), dtype, fast=False)
        grad_weight = _product(_turned(upstream), _turned((rows8, rows_scale)), dtype, fast=False)
        return grad_x.view(ctx.shape), grad_weight.to(weight_dtype)
