"""The loss head: softcapped cross-entropy over supervised positions only, in chunks, never [N, V] at once.

nll = logsumexp(z) - z[target] with z = 15 * tanh(x W^T / 15) (softcap: Gemma 2, arXiv:2408.00118, section 2).
Because |z| <= 15, exp(z) neither overflows nor vanishes, so no maximum is subtracted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SOFTCAP = 15.0
CHUNK_NUMBERS = 1 << 20  # logits held at a time: 4 MB in fp32, near a core's cache; larger was slower on CPU
CHUNK_NUMBERS_GPU = 1 << 28


def softcap(logits: Tensor) -> Tensor:
    """Logits squeezed into (-15, 15)."""
    return SOFTCAP * torch.tanh(logits / SOFTCAP)


def nll_sum(x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int) -> Tensor:
    """Sum of nll over targets >= 0: x [..., C], weight [V', C], targets [...] -> scalar, fp32 or fp64.

    With no supervised position the sum is exactly 0 and so is every gradient.
    """
    return _NllSum.apply(x, weight, targets, vocab_size)


def nll_none(x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int) -> Tensor:
    """nll of each target >= 0 in reading order: x [..., C], targets [...] -> [n], fp32 or fp64."""
    return _NllEach.apply(x, weight, targets, vocab_size)


def _supervised(x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    flat = targets.reshape(-1)
    index = (flat >= 0).nonzero().squeeze(1)
    return x.reshape(-1, x.size(-1)).index_select(0, index), flat.index_select(0, index).long(), index


def _chunks(count: int, vocab_size: int, device: torch.device) -> list[slice]:
    numbers = CHUNK_NUMBERS_GPU if device.type == "cuda" else CHUNK_NUMBERS
    size = max(64, numbers // vocab_size)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _capped(x: Tensor, weight: Tensor) -> Tensor:
    """tanh(x W^T / 15) in at least fp32: x [n, C], weight [V, C] -> [n, V]."""
    logits = x @ weight.t()
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits.div_(SOFTCAP).tanh_()


def _nll_of(capped: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(nll [n], exp(z) [n, V], its sum [n, 1]) of tanh values."""
    picked = capped.gather(1, targets.unsqueeze(1)).squeeze(1) * SOFTCAP
    exps = (capped * SOFTCAP).exp_()
    total = exps.sum(-1, keepdim=True)
    return total.squeeze(1).log() - picked, exps, total


def _logit_grad(capped: Tensor, exps: Tensor, scale: Tensor, targets: Tensor, upstream: Tensor | None) -> Tensor:
    """d nll / d logits = (softmax(z) - onehot) * (1 - tanh^2), times upstream; overwrites its inputs."""
    grad = exps.div_(scale)
    grad.scatter_add_(1, targets.unsqueeze(1), grad.new_full((), -1.0).expand(targets.numel(), 1))
    grad.mul_(capped.square_().neg_().add_(1.0))
    return grad if upstream is None else grad.mul_(upstream.unsqueeze(1))


class _NllSum(torch.autograd.Function):
    """Gradients are made in the forward pass: the logits are at hand, and a sum's gradient only needs scaling."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int) -> Tensor:
        need_x, need_w = ctx.needs_input_grad[0], ctx.needs_input_grad[1]
        rows, goals, index = _supervised(x, targets)
        used = weight[:vocab_size].to(x.dtype)
        wide = torch.promote_types(x.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=x.device)
        grad_rows = torch.empty_like(rows) if need_x else None
        grad_w = torch.zeros_like(weight) if need_w else None
        for part in _chunks(rows.size(0), vocab_size, x.device):
            capped = _capped(rows[part], used)
            nll, exps, scale = _nll_of(capped, goals[part])
            total += nll.sum()
            if grad_rows is None and grad_w is None:
                continue
            grad = _logit_grad(capped, exps, scale, goals[part], None).to(x.dtype)
            if grad_rows is not None:
                torch.mm(grad, used, out=grad_rows[part])
            if grad_w is not None:
                _add_product(grad_w[:vocab_size], grad, rows[part])
        grad_x = None
        if grad_rows is not None:
            grad_x = torch.zeros_like(x, memory_format=torch.contiguous_format)
            grad_x.view(-1, x.size(-1)).index_copy_(0, index, grad_rows)
        ctx.save_for_backward(grad_x, grad_w)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        grad_x, grad_w = ctx.saved_tensors
        return (
            None if grad_x is None else grad_x * upstream.to(grad_x.dtype),
            None if grad_w is None else grad_w * upstream.to(grad_w.dtype),
            None,
            None,
        )


class _NllEach(torch.autograd.Function):
    """Each position has its own upstream gradient, so the backward pass makes the logits again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, targets: Tensor, vocab_size: int) -> Tensor:
        rows, goals, _ = _supervised(x, targets)
        used = weight[:vocab_size].to(x.dtype)
        nlls = torch.empty(rows.size(0), dtype=torch.promote_types(x.dtype, torch.float32), device=x.device)
        for part in _chunks(rows.size(0), vocab_size, x.device):
            nlls[part] = _nll_of(_capped(rows[part], used), goals[part])[0]
        ctx.save_for_backward(x, weight, targets)
        ctx.vocab_size = vocab_size
        return nlls

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight, targets = ctx.saved_tensors
        rows, goals, index = _supervised(x, targets)
        used = weight[: ctx.vocab_size].to(x.dtype)
        grad_rows = torch.empty_like(rows)
        grad_w = torch.zeros_like(weight)
        for part in _chunks(rows.size(0), ctx.vocab_size, x.device):
            capped = _capped(rows[part], used)
            _, exps, scale = _nll_of(capped, goals[part])
            grad = _logit_grad(capped, exps, scale, goals[part], upstream[part]).to(x.dtype)
            torch.mm(grad, used, out=grad_rows[part])
            _add_product(grad_w[: ctx.vocab_size], grad, rows[part])
        grad_x = torch.zeros_like(x, memory_format=torch.contiguous_format)
        grad_x.view(-1, x.size(-1)).index_copy_(0, index, grad_rows)
        return grad_x, grad_w, None, None


def _add_product(total: Tensor, grad: Tensor, rows: Tensor) -> None:
    """total [V, C] += grad^T [V, n] @ rows [n, C], accumulated in total's dtype."""
    if total.dtype == grad.dtype:
        total.addmm_(grad.t(), rows)
    else:
        total += grad.t() @ rows
