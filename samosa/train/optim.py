"""MuonAdamW: Muon for the matrices inside blocks, AdamW for everything else, with nanochat's groups and numbers.

Every parameter's work and state belong to one rank, whole; the others receive what it has updated.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from samosa.errors import NotReady
from samosa.train.distributed import World
from samosa.train.muon import MuonGroup, Variant, muon_groups, muon_step
from samosa.train.schedule import StepHyper
from samosa.train.sharding import Gather, adam_cost, muon_cost, owners, rounds

EPS = 1e-10
SMEAR_LR = 0.2  # no flag reaches it in nanochat either
REFERENCE_WIDTH = 768  # AdamW's learning rates were tuned at this n_embd; others are scaled by (n_embd/768)^-0.5
ADAM_ROLES = ("lm_head", "wte", "value_embeds", "resid_lambdas", "x0_lambdas", "smear")

Kind = str | tuple[int, ...]
"""What is updated at once: the parameters of an AdamW role, or the matrices of a shape."""
Members = list[tuple[str, Parameter]]


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


class MuonAdamW:
    """nanochat's optimizer over parameters with nanochat's names. What the schedule sets comes with each step.

    variant "upstream" equilibrates rows before the orthogonalisation and renormalises after it; "fork" does neither.
    `ns_dtype` is the dtype of the orthogonalisation for fp32 parameters (bf16 when the model computes in bf16);
    float64 parameters stay in float64. `where` is this rank among those that share the work (None: it does it all);
    every rank gives the same parameters. Raises ValueError for a name without a role.
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
        where: World | None = None,
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
        where = where or World(0, 1, torch.device("cpu"))
        kinds = _kinds(named_params)
        self.params: dict[str, Tensor] = {name: param for members in kinds.values() for name, param in members}
        """All of them by name, whoever owns them: AdamW's, then Muon's."""
        owner = owners(_costs(kinds), where.size)
        self.owned_names = tuple(name for name in self.params if owner[name] == where.rank)
        """Those whose work this rank does and whose state it holds."""

        def groups(kind: Kind) -> Iterable[AdamGroup | MuonGroup]:
            mine = [(name, param) for name, param in kinds[kind] if owner[name] == where.rank]
            if isinstance(kind, tuple):
                return muon_groups(matrix_lr, mine)
            return [_adam_group(kind, *table[kind], mine)] if mine else []

        cut = rounds({kind: sum(p.nbytes for _, p in members) for kind, members in kinds.items()})
        self._rounds = [[group for kind in part for group in groups(kind)] for part in cut]
        self._gather = Gather([[(owner[name], p) for kind in part for name, p in kinds[kind]] for part in cut], where)
        self.adam = [group for part in self._rounds for group in part if isinstance(group, AdamGroup)]
        self.muon = [group for part in self._rounds for group in part if isinstance(group, MuonGroup)]
        self.variant: Variant = variant
        self.ns_dtype = ns_dtype

    @torch.no_grad()
    def step(self, hyper: StepHyper) -> None:
        """One update from the gradients in `.grad`; a parameter the loss did not reach has gradient zero.

        A collective over all ranks: afterwards their parameters are equal to the bit.
        """
        for number, part in enumerate(self._rounds):
            for group in part:
                if isinstance(group, AdamGroup):
                    _adam_step(group, hyper.lr)
                else:
                    muon_step(group, _grads(group.params), hyper, variant=self.variant, dtype=self.ns_dtype)
            self._gather.start(number)
        self._gather.finish()

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for param in self.params.values():
            param.grad = None

    def parameters(self) -> list[Tensor]:
        """All parameters, whoever owns them: AdamW's, then Muon's."""
        return list(self.params.values())

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Owned state by name: AdamW {step, exp_avg, exp_avg_sq}, Muon {momentum_buffer, second_momentum_buffer}.

        Tensors are copies, so a later step does not reach into a save that is still being written.
        """
        return {
            name: {key: value.clone() if isinstance(value, Tensor) else value for key, value in fields.items()}
            for name, fields in self.live_state().items()
        }

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Take over what this rank owns from a state as `state_dict` wrote it, at whatever number of ranks.

        Casts nothing: a name that is missing or that no parameter has, and other shapes or dtypes, raise NotReady.
        """
        mine = self.live_state()
        _check_fits(mine, state, self.params.keys())
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


def _kinds(named_params: Iterable[tuple[str, Parameter]]) -> dict[Kind, Members]:
    """Trainable parameters by what is updated at once: AdamW's roles, then the matrices' shapes, ascending."""
    found: dict[Kind, Members] = defaultdict(list)
    for name, param in named_params:
        if param.requires_grad:
            role = role_of(name, param)
            found[tuple(param.shape) if role == "matrix" else role].append((name, param))
    shapes = sorted(kind for kind in found if isinstance(kind, tuple))
    return {kind: found[kind] for kind in (*ADAM_ROLES, *shapes) if kind in found}


def _costs(kinds: Mapping[Kind, Members]) -> dict[str, int]:
    """What each parameter's work costs, by name."""
    return {
        name: muon_cost(param.shape) if isinstance(kind, tuple) else adam_cost(param.shape)
        for kind, members in kinds.items()
        for name, param in members
    }


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


def _grads(params: list[Tensor]) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in params]


def _adam_group(role: str, lr: float, betas: tuple[float, float], weight_decay: float, members: Members) -> AdamGroup:
    params: list[Tensor] = [p for _, p in members]
    zeros = [torch.zeros_like(p, requires_grad=False) for p in params]
    return AdamGroup(role, lr, betas, weight_decay, [n for n, _ in members], params, zeros, [z.clone() for z in zeros])


def _check_fits(
    mine: Mapping[str, Mapping[str, Any]], given: Mapping[str, Mapping[str, Any]], known: Iterable[str]
) -> None:
    """Raise NotReady unless everything owned is given as it should be, and nothing that no parameter has."""
    missing, unexpected = sorted(mine.keys() - given.keys()), sorted(given.keys() - set(known))
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
