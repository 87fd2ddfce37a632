"""nanochat's optimizer state, cut into one file a rank, read as whole tensors by parameter name.

nanochat keeps AdamW's averages of a large tensor as one block of rows a rank, those of a small one on every rank, and
Muon's buffers stacked by shape, K matrices as ceil(K / ranks) a rank (its optim.py, commit 92d63d4). Its files hold
indices instead of names; they count through its groups, whose order is written down here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from samosa.errors import NotReady
from samosa.model.tensors import load_tensors
from samosa.train.optim import ADAM_ROLES, role_of

REPLICATED_BELOW = 1024
"""AdamW state of tensors with fewer elements is whole on every rank."""

SMEAR_ORDER = ("smear_gate.weight", "smear_lambda", "backout_lambda")
MATRIX_ORDER = ("attn.c_q", "attn.c_k", "attn.c_v", "attn.c_proj", "attn.ve_gate", "mlp.c_fc", "mlp.c_proj")

ADAM_FIELDS = ("exp_avg", "exp_avg_sq")
MUON_FIELDS = ("momentum_buffer", "second_momentum_buffer")
HINT = "copy all optim_*_rank*.pt of this step again, or start with a fresh optimizer"


def read_nanochat_optimizer(
    directory: Path,
    step: int,
    named_params: Iterable[tuple[str, Tensor]],
    *,
    only: Collection[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """State by parameter name, as `MuonAdamW.load_state_dict` takes it, from `directory`/optim_<step>_rank<r>.pt.

    named_params are the model's, all of them; `only` names those whose state is wanted (None: all). Any number of
    ranks; tensors come in the parameter's dtype. nanochat's learning rates and decay, in the same files, are left
    there. Raises NotReady for files that are missing, broken or another model's, BadInput for one that could run code.
    """
    params = dict(named_params)
    groups = group_order(params)
    paths = _rank_files(directory, step)
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for rank, path in enumerate(paths):  # one file in memory at a time
        reader = _Shard(path, groups, params)
        for names in groups:
            fields = reader.muon(names, rank, len(paths)) if _is_muon(names, params) else reader.adam(names)
            for name, field, value in fields:
                if only is None or name in only:
                    found[name][field].append(value)
    return {name: _whole(name, params[name], fields, directory) for name, fields in found.items()}


def group_order(params: Mapping[str, Tensor]) -> list[list[str]]:
    """Names in nanochat's groups and order: AdamW's roles, then the matrices by ascending shape, as its blocks go."""
    roles: dict[Any, list[str]] = defaultdict(list)
    for name, param in params.items():
        role = role_of(name, param)
        roles[tuple(param.shape) if role == "matrix" else role].append(name)
    shapes = sorted(kind for kind in roles if isinstance(kind, tuple))
    return [sorted(roles[kind], key=_place) for kind in (*ADAM_ROLES, *shapes) if kind in roles]


def _place(name: str) -> tuple[int, int]:
    """Where a parameter stands among those of its group."""
    if name in SMEAR_ORDER:
        return SMEAR_ORDER.index(name), 0
    if name.startswith("value_embeds."):
        return int(name.split(".")[1]), 0
    if name.startswith("transformer.h."):
        _, _, layer, part = name.removesuffix(".weight").split(".", 3)
        return int(layer), MATRIX_ORDER.index(part)
    return 0, 0


def _is_muon(names: Sequence[str], params: Mapping[str, Tensor]) -> bool:
    return role_of(names[0], params[names[0]]) == "matrix"


def _rank_files(directory: Path, step: int) -> list[Path]:
    """The files of ranks 0, 1, 2 …, without a gap."""
    pattern = f"optim_{step:06d}_rank*.pt"
    by_rank = {path.stem.rpartition("rank")[2]: path for path in directory.glob(pattern)}
    ranks = sorted(int(rank) for rank in by_rank if rank.isdecimal())
    if not ranks:
        raise NotReady(f"{directory / pattern} is not there", hint=HINT)
    gaps = sorted(set(range(ranks[-1])) - set(ranks))
    if gaps:
        raise NotReady(f"{directory / f'optim_{step:06d}_rank{gaps[0]}.pt'} is not there", hint=HINT)
    return [by_rank[str(rank)] for rank in ranks]


class _Shard:
    """One rank's file, whose groups are those of the model."""

    def __init__(self, path: Path, groups: Sequence[Sequence[str]], params: Mapping[str, Tensor]) -> None:
        self.path, self.params = path, params
        loaded = load_tensors(path)
        try:
            members = [group["params"] for group in loaded["param_groups"]]
            kinds = ["muon" if _is_muon(names, params) else "adamw" for names in groups]
            if [len(m) for m in members] != [len(names) for names in groups] or kinds != [
                group["kind"] for group in loaded["param_groups"]
            ]:
                raise _unfit(path, "its parameter groups are not this model's")
            flat = [index for indices in members for index in indices]
            self.index = dict(zip((name for names in groups for name in names), flat, strict=True))
            self.state: Mapping[int, Mapping[str, Any]] = loaded["state"]
        except (KeyError, TypeError, IndexError) as error:
            raise _unfit(path, "it is not the state of nanochat's MuonAdamW") from error

    def adam(self, names: Iterable[str]) -> Iterator[tuple[str, str, Any]]:
        """(name, field, this rank's part) of AdamW parameters."""
        for name in names:
            yield name, "step", int(self._field(name, "step"))
            for field in ADAM_FIELDS:
                yield name, field, self._tensor(name, field)

    def muon(self, names: Sequence[str], rank: int, ranks: int) -> Iterator[tuple[str, str, Tensor]]:
        """(name, field, whole matrix) of the matrices this rank owns; their stack lies under the group's first."""
        chunk = -(-len(names) // ranks)
        mine = names[rank * chunk : (rank + 1) * chunk]
        for field in MUON_FIELDS:
            stack = self._tensor(names[0], field)
            if stack.size(0) != chunk:
                raise _unfit(
                    self.path, f"{field} of {names[0]} is {stack.size(0)} matrices, not {chunk} of {ranks} ranks"
                )
            yield from ((name, field, matrix) for name, matrix in zip(mine, stack, strict=False))

    def _tensor(self, name: str, field: str) -> Tensor:
        value = self._field(name, field)
        if not isinstance(value, Tensor) or not value.dim():
            raise _unfit(self.path, f"{field} of {name} is not a tensor")
        return value

    def _field(self, name: str, field: str) -> Any:
        try:
            return self.state[self.index[name]][field]
        except (KeyError, TypeError) as error:
            raise _unfit(self.path, f"it lacks {field} of {name}") from error


def _whole(name: str, param: Tensor, fields: Mapping[str, Sequence[Any]], directory: Path) -> dict[str, Any]:
    """One parameter's state put together from what the ranks had of it."""
    whole: dict[str, Any] = {}
    if "step" in fields:
        if len(set(fields["step"])) > 1:
            raise _unfit(directory, f"its ranks are at different steps: {sorted(set(fields['step']))}")
        whole["step"] = fields["step"][0]
    rows, cols = (*param.shape, 1)[:2]
    second = (rows, 1) if rows >= cols else (1, cols)
    for field, parts in fields.items():
        if field == "step":
            continue
        value = parts[0] if param.numel() < REPLICATED_BELOW or len(parts) == 1 else torch.cat(list(parts))
        expected = second if field == "second_momentum_buffer" else tuple(param.shape)
        if tuple(value.shape) != expected:
            raise _unfit(
                directory, f"{field} of {name} is {tuple(value.shape)} over {len(parts)} files, not {expected}"
            )
        whole[field] = value.to(param.dtype, copy=True)  # a copy lets go of the stack it was cut from
    return whole


def _unfit(path: Path, what: str) -> NotReady:
    return NotReady(f"the optimizer state in {path} cannot be taken over: {what}", hint=HINT)
