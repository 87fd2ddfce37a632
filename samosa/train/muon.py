"""Muon for the matrices inside blocks: momentum, orthogonalisation, NorMuon's scaling, one shape at a time."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from samosa.train.schedule import StepHyper

MUON_BETA2 = 0.9  # NorMuon's second moment

# A Newton-Schulz call works on this many elements at most. d32's largest group on one rank (32 matrices of 2048 x 8192)
# is exactly one call; its temporaries are about 14 bytes an element, 7 GB, when the activations are gone.
STACK_ELEMENTS = 1 << 29

# Polar Express (Amsel et al. 2025, arXiv:2505.16932): optimal quintics for 5 iterations, as nanochat tabulates them.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)

Variant = Literal["upstream", "fork"]


@dataclass
class MuonGroup:
    """K matrices of one shape, their state stacked: momentum [K, R, C], second moment [K, R, 1] or [K, 1, C]."""

    lr: float
    names: list[str]
    params: list[Tensor]
    momentum: Tensor
    second: Tensor


def muon_groups(lr: float, members: Sequence[tuple[str, Parameter]]) -> Iterable[MuonGroup]:
    """Matrices of one shape as groups of at most STACK_ELEMENTS, with fresh state: nearly always one."""
    if not members:
        return
    rows, cols = members[0][1].shape
    size = max(1, STACK_ELEMENTS // (rows * cols))
    for first in range(0, len(members), size):
        names = [name for name, _ in members[first : first + size]]
        params: list[Tensor] = [param for _, param in members[first : first + size]]
        momentum = params[0].new_zeros((len(params), rows, cols), requires_grad=False)
        second = momentum.new_zeros((len(params), rows, 1) if rows >= cols else (len(params), 1, cols))
        yield MuonGroup(lr, names, params, momentum, second)


def muon_step(group: MuonGroup, grads: list[Tensor], hyper: StepHyper, *, variant: Variant, dtype: torch.dtype) -> None:
    """Nesterov momentum, orthogonalisation, NorMuon's scaling (arXiv:2510.05491), cautious decay (arXiv:2411.16085).

    grads are the group's, in its order; `dtype` is what the orthogonalisation computes in. Updates the parameters.
    """
    rows, cols = group.params[0].shape
    update = torch.stack(grads)  # [K, R, C]
    group.momentum.lerp_(update, 1 - hyper.momentum)
    update.lerp_(group.momentum, hyper.momentum)
    update = orthogonalize(update, variant=variant, ns_dtype=dtype)
    _even_out(update, group.second)
    if hyper.weight_decay:
        weights = torch.stack(group.params)
        # Cautious: a weight decays only where the update already pulls it towards zero.
        pulled = update * weights >= 0
        update += weights.mul_(hyper.weight_decay).mul_(pulled)
    lr = group.lr * hyper.lr * math.sqrt(max(1, rows / cols))
    torch._foreach_add_(group.params, list(update.unbind()), alpha=-lr)


def orthogonalize(x: Tensor, *, variant: Variant, ns_dtype: torch.dtype) -> Tensor:
    """Nearest semi-orthogonal matrices to x [K, R, C], by Polar Express: a new tensor of x's dtype, 15 matmuls.

    "upstream" equilibrates rows before and renormalises after; "fork" does neither. float64 stays float64.
    """
    rows, cols = x.shape[-2:]
    work = x
    if variant == "upstream":
        row_norm = work.norm(dim=-1, keepdim=True)
        work = work * (_frobenius(work) / math.sqrt(rows) / row_norm.clamp_min(1e-6))
    if x.dtype != torch.float64:
        work = work.to(ns_dtype)
    work = work / (_frobenius(work) * 1.01 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        # The Gram matrix is taken on the short side: R x R or C x C, whichever is smaller.
        gram = work.mT @ work if rows > cols else work @ work.mT
        poly = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        work = torch.baddbmm(work, work, poly, beta=a) if rows > cols else torch.baddbmm(work, poly, work, beta=a)
    out = work.to(x.dtype)
    if variant == "upstream":
        out *= math.sqrt(min(rows, cols)) / _frobenius(out).clamp_min(1e-6)
    return out


def _even_out(update: Tensor, second: Tensor) -> None:
    """NorMuon: scale the long side's rows (or columns) by their running second moment, keeping the matrix's norm."""
    dim = -1 if update.size(-2) >= update.size(-1) else -2
    size = update.size(dim)
    mean_square = update.square().mean(dim, keepdim=True)
    norm = (mean_square.sum((-2, -1), keepdim=True) * size).sqrt()
    second.lerp_(mean_square, 1 - MUON_BETA2)
    scale = second.clamp_min(1e-10).rsqrt()
    new_norm = (mean_square * size * scale.square()).sum((-2, -1), keepdim=True).sqrt()
    update *= scale * (norm / new_norm.clamp_min(1e-10))


def _frobenius(x: Tensor) -> Tensor:
    return x.norm(dim=(-2, -1), keepdim=True)
