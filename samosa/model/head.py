"""The loss head: softcapped cross-entropy over supervised positions only, in chunks, never [N, V] at once.

nll = -log softmax(z)[target] with z = 15 * tanh(x W^T / 15) (softcap: Gemma 2, arXiv:2408.00118, section 2).

One buffer of [n, V] holds a chunk's logits and then, in their place, their gradients, so that the matrix products are
large. What is done to each logit is done a slab of rows at a time, near the cache. `dense_nll` is the same in plain
torch, for tests and for measuring against.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SOFTCAP = 15.0
# Logits held at a time, 32 MB in fp32. On two cores (EPYC, C = 384) the three products ran at 60 GFLOP/s a core with
# 64 rows of 32,768, at 74 with 256; more rows cost memory and gave little.
CHUNK_NUMBERS = 1 << 23
SLAB_NUMBERS = 1 << 19
CHUNK_NUMBERS_GPU = 1 << 28
SLAB_NUMBERS_GPU = 1 << 26


def softcap(logits: Tensor) -> Tensor:
    """Logits squeezed into (-15, 15)."""
    return SOFTCAP * torch.tanh(logits / SOFTCAP)


def nll_sum(x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int) -> Tensor:
    """Sum of nll over targets >= 0: x [..., C], weight [V', C], targets [...] -> scalar, fp32 or fp64.

    With no supervised position the sum is exactly 0 and so is every gradient.
    """
    total, _ = _Nll.apply(x, weight, targets, vocab_size, True)
    return total


def nll_none(x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int) -> Tensor:
    """nll of each target >= 0 in reading order: x [..., C], targets [...] -> [n], fp32 or fp64.

    Its negative are the per-token log-probs of preference training.
    """
    _, each = _Nll.apply(x, weight, targets, vocab_size, False)
    return each


def dense_nll(x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int) -> Tensor:
    """The reference for both, from all logits at once: nll of each target >= 0 in reading order, [n]."""
    logits = softcap(F.linear(x, weight[:vocab_size].to(x.dtype)).to(_wide(x.dtype)))
    nll = F.cross_entropy(logits.flatten(0, -2), targets.flatten().long(), ignore_index=-1, reduction="none")
    return nll[targets.flatten() >= 0]


class _Nll(torch.autograd.Function):
    """(sum [], each [n]) of nll; one of the two is differentiable.

    `summed`: gradients are made in the forward pass, where the logits are at hand, because a sum's gradient only needs
    scaling. Otherwise each position has an upstream gradient of its own, and the backward pass makes the logits again.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int, summed: bool
    ) -> tuple[Tensor, Tensor]:
        want_x, want_w = ctx.needs_input_grad[0] and summed, ctx.needs_input_grad[1] and summed
        each, grad_x, grad_w = _nll(x, weight, targets, vocab_size, None, want_x=want_x, want_w=want_w)
        total = each.sum()
        ctx.summed, ctx.vocab_size = summed, vocab_size
        ctx.mark_non_differentiable(each if summed else total)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*((grad_x, grad_w) if summed else (x, weight, targets)))
        return total, each

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_total: Tensor | None, of_each: Tensor | None) -> tuple[Tensor | None, ...]:
        want_x, want_w = ctx.needs_input_grad[:2]
        if ctx.summed and of_total is not None:
            grad_x, grad_w = (None if g is None else g * of_total.to(g.dtype) for g in ctx.saved_tensors)
        elif not ctx.summed and of_each is not None:
            x, weight, targets = ctx.saved_tensors
            _, grad_x, grad_w = _nll(x, weight, targets, ctx.vocab_size, of_each, want_x=want_x, want_w=want_w)
        else:
            grad_x = grad_w = None
        return grad_x, grad_w, None, None, None


def _nll(
    x: Tensor,
    weight: Tensor,
    targets: Tensor,
    vocab_size: int,
    upstream: Tensor | None,
    *,
    want_x: bool,
    want_w: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """nll [n] of what is supervised and, where wanted, the gradients of sum(nll * upstream) (None: of their sum)."""
    flat = targets.reshape(-1)
    index = (flat >= 0).nonzero().squeeze(1)
    rows, goals = x.reshape(-1, x.size(-1)).index_select(0, index), flat.index_select(0, index).long()
    used = weight[:vocab_size].to(x.dtype)
    nll = torch.empty(rows.size(0), dtype=_wide(x.dtype), device=x.device)
    grad_rows = torch.empty_like(rows) if want_x else None
    grad_w = torch.zeros_like(weight) if want_w else None
    chunk, slab = _sizes(rows.size(0), vocab_size, x.device)
    buffer = x.new_empty(min(chunk, rows.size(0)), vocab_size)
    for part in _slices(rows.size(0), chunk):
        logits = torch.mm(rows[part], used.t(), out=buffer[: part.stop - part.start])
        of_part = None if upstream is None else upstream[part]
        for piece in _slices(logits.size(0), slab):
            of_piece = None if of_part is None else of_part[piece]
            nll[part][piece] = _to_gradients(logits[piece], goals[part][piece], of_piece, wanted=want_x or want_w)
        if grad_rows is not None:
            torch.mm(logits, used, out=grad_rows[part])
        if grad_w is not None:
            _add_product(grad_w[:vocab_size], logits, rows[part])
    grad_x = None
    if grad_rows is not None:
        grad_x = torch.zeros_like(x, memory_format=torch.contiguous_format)
        grad_x.view(-1, x.size(-1)).index_copy_(0, index, grad_rows)
    return nll, grad_x, grad_w


def _to_gradients(logits: Tensor, goals: Tensor, upstream: Tensor | None, *, wanted: bool) -> Tensor:
    """nll [n] of raw logits [n, V], which become d nll / d logits = (softmax(z) - onehot) * (1 - tanh^2) if wanted.

    The loss is read off the softmax: |z| <= 15, so no probability is below exp(-30) / V and none underflows.
    """
    capped = logits.to(_wide(logits.dtype), copy=True).div_(SOFTCAP).tanh_()
    probs = torch.softmax(capped * SOFTCAP, dim=-1)
    place = goals.unsqueeze(1)
    picked = probs.gather(1, place)
    if wanted:
        probs.scatter_(1, place, picked - 1.0)
        if upstream is not None:
            probs.mul_(upstream.unsqueeze(1))
        logits.copy_(torch.ops.aten.tanh_backward(probs, capped))
    return picked.squeeze(1).log_().neg_()


def _add_product(total: Tensor, grad: Tensor, rows: Tensor) -> None:
    """total [V, C] += grad^T [V, n] @ rows [n, C], accumulated in total's dtype."""
    if total.dtype == grad.dtype:
        total.addmm_(grad.t(), rows)
    else:
        total += grad.t() @ rows


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _sizes(count: int, vocab_size: int, device: torch.device) -> tuple[int, int]:
    """Rows of a chunk and of a slab; chunks of nearly one size, because a short one is slow."""
    on_gpu = device.type == "cuda"
    most = max(64, (CHUNK_NUMBERS_GPU if on_gpu else CHUNK_NUMBERS) // vocab_size)
    slab = max(8, (SLAB_NUMBERS_GPU if on_gpu else SLAB_NUMBERS) // vocab_size)
    return math.ceil(count / max(1, math.ceil(count / most))), slab


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, max(1, size))]
