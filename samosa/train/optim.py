"""MuonAdamW: Muon for the matrices inside blocks, AdamW for everything else, with nanochat's groups and numbers."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from samosa.errors import NotReady
from samosa.train.schedule import StepHyper

EPS = 1e-10
MUON_BETA2 = 0.9  # NorMuon's second moment
SMEAR_LR = 0.2  # no flag reaches it in nanochat either
REFERENCE_WIDTH = 768  # AdamW's learning rates were tuned at this n_embd; others are scaled by (n_embd/768)^-0.5

# A Newton-Schulz call works on this many elements at most, so its temporaries stay near 1 GB at any model size.
STACK_ELEMENTS = 1 << 26

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
class AdamGroup:
    """Parameters that share AdamW's numbers. `lr` is the base value; each step multiplies it."""

    role: str
    lr: float
    betas: tuple[float, float]
    weight_decay: float
    names: list[str]
    params: list[Tensor]
    exp_avg: list[Tensor]
    exp_avg_sq: list[Tensor]
    step: int = 0


@dataclass
class MuonGroup:
    """K matrices of one shape, their state stacked: momentum [K, R, C], second moment [K, R, 1] or [K, 1, C]."""

    lr: float
    names: list[str]
    params: list[Tensor]
    momentum: Tensor
    second: Tensor


class MuonAdamW:
    """nanochat's optimizer over parameters with nanochat's names. What the schedule sets comes with each step.

    variant "upstream" equilibrates rows before the orthogonalisation and renormalises after it; "fork" does neither.
    `ns_dtype` is the dtype of the orthogonalisation for fp32 parameters (bf16 when the model computes in bf16);
    float64 parameters stay in float64. Raises ValueError for a name without a role.
    """

    def __init__(
        self,
        named_params: Iterable[tuple[str, Parameter]],
        *,
        matrix_lr: float,
        embedding_lr: float,
        unembedding_lr: float,
        scalar_lr: float,
        n_embd: int,
        variant: Variant = "upstream",
        ns_dtype: torch.dtype = torch.float32,
    ):
        width = (n_embd / REFERENCE_WIDTH) ** -0.5
        table: dict[str, tuple[float, tuple[float, float], float]] = {  # role: lr, betas, weight decay
            "lm_head": (unembedding_lr * width, (0.8, 0.96), 0.01),
            "wte": (embedding_lr * width, (0.8, 0.995), 0.001),
            "value_embeds": (embedding_lr * width * 0.5, (0.8, 0.995), 0.01),
            "resid_lambdas": (scalar_lr * 0.01, (0.8, 0.95), 0.05),
            "x0_lambdas": (scalar_lr, (0.96, 0.95), 0.0),
            "smear": (SMEAR_LR, (0.8, 0.95), 0.0),
        }
        by_role: dict[str, list[tuple[str, Parameter]]] = defaultdict(list)
        for name, param in named_params:
            if param.requires_grad:
                by_role[role_of(name, param)].append((name, param))
        matrices = by_role.pop("matrix", [])
        self.adam = [_adam_group(role, *table[role], by_role[role]) for role in table if by_role[role]]
        self.muon = [_muon_group(matrix_lr, chunk) for chunk in _stacks(matrices)]
        self.variant: Variant = variant
        self.ns_dtype = ns_dtype

    @torch.no_grad()
    def step(self, hyper: StepHyper) -> None:
        """One update from the gradients in `.grad`; a parameter the loss did not reach has gradient zero."""
        for group in self.adam:
            _adam_step(group, hyper.lr)
        for stack in self.muon:
            _muon_step(stack, hyper, variant=self.variant, ns_dtype=self.ns_dtype)

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for param in self.parameters():
            param.grad = None

    def parameters(self) -> list[Tensor]:
        """All parameters it updates: AdamW's, then Muon's."""
        return [p for group in self.adam for p in group.params] + [p for stack in self.muon for p in stack.params]

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """State by parameter name: AdamW {step, exp_avg, exp_avg_sq}, Muon {momentum_buffer, second_momentum_buffer}.

        Tensors are copies, so a later step does not reach into a save that is still being written.
        """
        return {
            name: {key: value.clone() if isinstance(value, Tensor) else value for key, value in fields.items()}
            for name, fields in self.live_state().items()
        }

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over a state as `state_dict` wrote it. Casts nothing: other names, shapes or dtypes raise NotReady."""
        mine = self.live_state()
        _check_fits(mine, state)
        for group in self.adam:
            steps = {int(state[name]["step"]) for name in group.names}
            if len(steps) > 1:
                raise _broken(f"{group.role} parameters are at different steps: {sorted(steps)}")
            group.step = steps.pop()
        for name, fields in mine.items():
            for key, value in fields.items():
                if isinstance(value, Tensor):
                    value.copy_(state[name][key])

    def live_state(self) -> dict[str, dict[str, Any]]:
        """What `state_dict` copies, as views into what the groups hold: a save copies into memory of its own."""
        state: dict[str, dict[str, Any]] = {}
        for group in self.adam:
            for name, average, square in zip(group.names, group.exp_avg, group.exp_avg_sq, strict=True):
                state[name] = {"step": group.step, "exp_avg": average, "exp_avg_sq": square}
        for stack in self.muon:
            for name, momentum, second in zip(stack.names, stack.momentum, stack.second, strict=True):
                state[name] = {"momentum_buffer": momentum, "second_momentum_buffer": second}
        return state


def role_of(name: str, param: Tensor) -> str:
    """Which group a parameter belongs to, by nanochat's names: an AdamW role, or "matrix" for Muon."""
    if name == "lm_head.weight":
        return "lm_head"
    if name == "transformer.wte.weight":
        return "wte"
    if name.startswith("value_embeds."):
        return "value_embeds"
    if name in ("resid_lambdas", "x0_lambdas"):
        return name
    if name in ("smear_gate.weight", "smear_lambda", "backout_lambda"):
        return "smear"
    if name.startswith("transformer.h.") and param.ndim == 2:
        return "matrix"
    raise ValueError(f"no optimizer group for parameter {name} of shape {tuple(param.shape)}")


def orthogonalize(x: Tensor, *, variant: Variant, ns_dtype: torch.dtype) -> Tensor:
    """Nearest semi-orthogonal matrices to x [K, R, C], by Polar Express; the result has x's dtype."""
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
        out = out * (math.sqrt(min(rows, cols)) / _frobenius(out).clamp_min(1e-6))
    return out


def _adam_step(group: AdamGroup, lr_multiplier: float) -> None:
    """AdamW with decoupled decay (Loshchilov & Hutter 2019, Algorithm 2), over the whole group at once."""
    group.step += 1
    lr, (beta1, beta2) = group.lr * lr_multiplier, group.betas
    grads = _grads(group.params)
    if group.weight_decay:
        torch._foreach_mul_(group.params, 1 - lr * group.weight_decay)
    torch._foreach_lerp_(group.exp_avg, grads, 1 - beta1)
    torch._foreach_mul_(group.exp_avg_sq, beta2)
    torch._foreach_addcmul_(group.exp_avg_sq, grads, grads, 1 - beta2)
    scale = torch._foreach_sqrt(group.exp_avg_sq)
    torch._foreach_div_(scale, math.sqrt(1 - beta2**group.step))
    torch._foreach_add_(scale, EPS)
    torch._foreach_addcdiv_(group.params, group.exp_avg, scale, -lr / (1 - beta1**group.step))


def _muon_step(stack: MuonGroup, hyper: StepHyper, *, variant: Variant, ns_dtype: torch.dtype) -> None:
    """Nesterov momentum, orthogonalisation, NorMuon's scaling (arXiv:2510.05491), cautious decay (arXiv:2411.16085)."""
    rows, cols = stack.params[0].shape
    update = torch.stack(_grads(stack.params))  # [K, R, C]
    stack.momentum.lerp_(update, 1 - hyper.momentum)
    update.lerp_(stack.momentum, hyper.momentum)
    update = orthogonalize(update, variant=variant, ns_dtype=ns_dtype)
    update = _normuon(update, stack.second)
    lr = stack.lr * hyper.lr * math.sqrt(max(1, rows / cols))
    if hyper.weight_decay:
        weights = torch.stack(list(stack.params))
        # Cautious: a weight decays only where the update already pulls it towards zero.
        update = update + hyper.weight_decay * weights * (update * weights >= 0)
    torch._foreach_add_(stack.params, list(update.unbind()), alpha=-lr)


def _normuon(update: Tensor, second: Tensor) -> Tensor:
    """Even out the long side's rows (or columns) by their running second moment, keeping the matrix's norm."""
    dim = -1 if update.size(-2) >= update.size(-1) else -2
    size = update.size(dim)
    mean_square = update.square().mean(dim, keepdim=True)
    norm = (mean_square.sum((-2, -1), keepdim=True) * size).sqrt()
    second.lerp_(mean_square, 1 - MUON_BETA2)
    scale = second.clamp_min(1e-10).rsqrt()
    new_norm = (mean_square * size * scale.square()).sum((-2, -1), keepdim=True).sqrt()
    return update * (scale * (norm / new_norm.clamp_min(1e-10)))


def _frobenius(x: Tensor) -> Tensor:
    return x.norm(dim=(-2, -1), keepdim=True)


def _grads(params: list[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in params]


def _adam_group(
    role: str, lr: float, betas: tuple[float, float], weight_decay: float, members: list[tuple[str, Parameter]]
) -> AdamGroup:
    params: list[Tensor] = [p for _, p in members]
    zeros = [torch.zeros_like(p, requires_grad=False) for p in params]
    return AdamGroup(role, lr, betas, weight_decay, [n for n, _ in members], params, zeros, [z.clone() for z in zeros])


def _stacks(matrices: list[tuple[str, Parameter]]) -> Iterable[list[tuple[str, Parameter]]]:
    """Matrices of one shape together, cut so that no stack holds more than STACK_ELEMENTS."""
    shapes: dict[tuple[int, ...], list[tuple[str, Parameter]]] = defaultdict(list)
    for name, param in matrices:
        shapes[tuple(param.shape)].append((name, param))
    for shape in sorted(shapes):
        size = max(1, STACK_ELEMENTS // math.prod(shape))
        members = shapes[shape]
        yield from (members[i : i + size] for i in range(0, len(members), size))


def _muon_group(lr: float, members: list[tuple[str, Parameter]]) -> MuonGroup:
    params: list[Tensor] = [p for _, p in members]
    rows, cols = params[0].shape
    momentum = params[0].new_zeros((len(params), rows, cols), requires_grad=False)
    second = momentum.new_zeros((len(params), rows, 1) if rows >= cols else (len(params), 1, cols))
    return MuonGroup(lr, [n for n, _ in members], params, momentum, second)


def _check_fits(mine: Mapping[str, Mapping[str, Any]], given: Mapping[str, Mapping[str, Any]]) -> None:
    missing, unexpected = sorted(mine.keys() - given.keys()), sorted(given.keys() - mine.keys())
    if missing or unexpected:
        raise _broken(f"{len(missing)} missing {missing[:5]}, {len(unexpected)} unexpected {unexpected[:5]}")
    for name, fields in mine.items():
        if fields.keys() != given[name].keys():
            raise _broken(f"{name} has {sorted(given[name])}, not {sorted(fields)}")
        for key, value in fields.items():
            other = given[name][key]
            if isinstance(value, Tensor) and (value.shape, value.dtype) != (other.shape, other.dtype):
                raise _broken(
                    f"{name}.{key} is {tuple(other.shape)} {other.dtype}, not {tuple(value.shape)} {value.dtype}"
                )


def _broken(what: str) -> NotReady:
    return NotReady(
        f"optimizer state does not fit this model: {what}",
        hint="resume from the checkpoint of this run, or start a new run from its weights with `init`",
    )
