"""Checkpoints: read as nanochat wrote them, written so that nanochat reads them, complete once a manifest exists."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samosa.errors import BadInput, NotReady
from samosa.home import FOLDERS, CheckpointRef, require_space
from samosa.model.config import ModelConfig, check_vocab
from samosa.model.gpt import GPT
from samosa.model.manifest import another, read_json, read_manifest, verify, write_manifest
from samosa.model.tensors import ANOTHER, load_tensors, on_cpu, save_tensors, size_of
from samosa.model.train_state import CURSOR, Part, load_train_state, write_index, write_part, write_text

__all__ = [
    "check_vocab",
    "load_meta",
    "load_model",
    "load_tensors",
    "load_token_bytes",
    "load_train_state",
    "read_manifest",
    "remove_files",
    "require_free",
    "save_checkpoint",
    "save_token_bytes",
    "verify",
    "write_checkpoint",
]

COMPILED = "_orig_mod."  # torch.compile's prefix; old nanochat checkpoints carry it
SMALL_FILES = 1 << 20  # bytes reserved for meta, cursor and manifest


def load_model(
    ref: CheckpointRef,
    *,
    device: torch.device | str = "cpu",
    compute_dtype: torch.dtype = torch.float32,
    backend: str = "auto",
    allow_fallback: bool = False,
    windows: Sequence[int] | None = None,
) -> tuple[GPT, dict[str, Any]]:
    """(model, meta) of a checkpoint, samosa's or nanochat's; masters in fp32, whatever the file holds.

    `windows` overrides the attention windows where the meta is known to be wrong. Raises NotReady for a file that
    is missing or broken, or does not fit its manifest or its own config, and BadInput for one that could run code.
    """
    checked = verify(ref, [ref.model_path, ref.meta_path])
    meta = load_meta(ref)
    config = _config(meta, ref)
    if windows is not None:
        config = replace(config, windows=tuple(windows))
    state = _masters(load_tensors(ref.model_path, checked=checked), config, ref)
    with torch.device("meta"):
        model = GPT(config, backend=backend, compute_dtype=compute_dtype, allow_fallback=allow_fallback)
    _check_fit(state, model.state_dict(), ref)
    model.load_state_dict(state, strict=True, assign=True)
    return model.to(device), meta


def load_meta(ref: CheckpointRef) -> dict[str, Any]:
    """The meta of a checkpoint. Raises NotReady when it is missing or not a JSON object."""
    return read_json(ref.meta_path)


def save_checkpoint(
    directory: Path,
    step: int,
    *,
    model: nn.Module,
    meta_fields: Mapping[str, Any],
    optimizer_state: Mapping[str, Any] | None = None,
    cursor: Mapping[str, Any] | None = None,
) -> CheckpointRef:
    """Write model, meta and training state, then the manifest that makes them a checkpoint.

    directory is <home>/base_checkpoints/<tag> or <home>/chatsft_checkpoints/<tag>. meta_fields become fields of the
    meta beside model_config; what is under its "samosa" stays beside the windows written there. Raises BadInput when
    this step is complete already (checkpoints never change) or somebody else's, and NotReady when the disk is full,
    which leaves every earlier checkpoint as it was and nothing of this one.
    """
    ref = CheckpointRef(_kind(directory, meta_fields), directory.name, step, directory)
    require_free(ref)
    remove_files(ref)  # what a killed save left: without a manifest it is nothing
    bare = bare_model(model)
    optimizer = None if optimizer_state is None else on_cpu(dict(optimizer_state))
    write_checkpoint(
        ref,
        bare.config,
        on_cpu(bare.state_dict()),
        meta_fields,
        cursor=cursor,
        parts=None if optimizer is None else lambda: [write_part(ref, 0, optimizer)],
    )
    return ref


def write_checkpoint(
    ref: CheckpointRef,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    meta_fields: Mapping[str, Any],
    *,
    cursor: Mapping[str, Any] | None = None,
    parts: Callable[[], Sequence[Part]] | None = None,
) -> None:
    """Write the files of a checkpoint from tensors on the CPU, and the manifest last.

    `parts` is called when the weights are on disk, and gives the optimizer's parts of all ranks once they are as well.
    What it or a full disk raises leaves nothing of this checkpoint.
    """
    require_space(ref.directory, size_of(weights) + SMALL_FILES)
    try:
        # Meta first: weights without one would look like a checkpoint that somebody else made.
        files = write_text(ref.meta_path, json.dumps(_meta(config, ref.step, meta_fields), indent=2) + "\n")
        files[ref.model_path] = save_tensors(OrderedDict(weights), ref.model_path)
        if cursor is not None:
            files |= write_text(ref.train_dir / CURSOR, json.dumps(cursor) + "\n")
        if parts is not None:
            files |= write_index(ref, parts())
        write_manifest(ref, files)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong is being said already
            remove_files(ref)
        raise


def save_token_bytes(tokenizer: Any, directory: Path) -> None:
    """Write token_bytes.pt: int32 [vocab_size], UTF-8 bytes of each token, 0 for special ones."""
    counts = [len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)]
    save_tensors(torch.tensor(counts, dtype=torch.int32), directory / "token_bytes.pt")


def load_token_bytes(directory: Path) -> Tensor:
    """Bytes of each token, int32 [vocab_size]: what turns nats a token into bits a byte."""
    value = load_tensors(directory / "token_bytes.pt")
    if not isinstance(value, Tensor) or value.dim() != 1:
        raise NotReady(f"{directory / 'token_bytes.pt'} is broken: not one row of numbers", hint=ANOTHER)
    return value.to(torch.int32)


def _config(meta: Mapping[str, Any], ref: CheckpointRef) -> ModelConfig:
    try:
        return ModelConfig.from_meta(meta)
    except BadInput as error:
        raise NotReady(f"{ref.meta_path} is broken: {error.message}", hint=another(ref)) from error


def _masters(loaded: Any, config: ModelConfig, ref: CheckpointRef) -> OrderedDict[str, Tensor]:
    """The parameters by name, in fp32 (fp64 stays), with what old checkpoints lack filled in."""
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise NotReady(f"{ref.model_path} is broken: not tensors by name", hint=another(ref))
    state: OrderedDict[str, Tensor] = OrderedDict()
    for name, value in loaded.items():
        if problem := _unusable(value):
            raise NotReady(f"{ref.model_path} is broken: {name} {problem}", hint=another(ref))
        half = value.element_size() < 4
        state[str(name).removeprefix(COMPILED)] = value.float() if half else value
    # Before these existed a block added to the residual stream with weight 1 and nothing of the embedding.
    state.setdefault("resid_lambdas", torch.ones(config.n_layer))
    state.setdefault("x0_lambdas", torch.zeros(config.n_layer))
    return state


def _unusable(value: Tensor) -> str | None:
    """Why a tensor cannot be a parameter, or None."""
    if value.layout != torch.strided or value.is_meta:
        return "is not a dense tensor"
    if not value.is_floating_point():
        return f"is {str(value.dtype).removeprefix('torch.')}, not floating point"
    # An 8-bit float has no isfinite of its own.
    finite = torch.isfinite(value if value.element_size() > 1 else value.float())
    return None if bool(finite.all()) else "has values that are not finite"


def _check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], ref: CheckpointRef) -> None:
    missing = [name for name in expected if name not in state]
    unknown = [name for name in state if name not in expected]
    wrong = [name for name in expected if name in state and state[name].shape != expected[name].shape]
    if missing:
        what = f"lacks {missing[0]}" + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
    elif unknown:
        what = f"has an unknown {unknown[0]}" + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else "")
    elif wrong:
        has, needs = tuple(state[wrong[0]].shape), tuple(expected[wrong[0]].shape)
        what = f"has {wrong[0]} of shape {has}, its meta says {needs}"
    else:
        return
    raise NotReady(f"{ref.model_path} does not fit its meta: it {what}", hint=another(ref))


def _meta(config: ModelConfig, step: int, fields: Mapping[str, Any]) -> dict[str, Any]:
    model_config, explicit = config.to_meta()
    own = {**(fields.get("samosa") or {}), **explicit}
    rest = {name: value for name, value in fields.items() if name not in ("model_config", "samosa", "step")}
    return {"step": step, **_finite(rest), "model_config": model_config, "samosa": _finite(own)}


def _finite(value: Any) -> Any:
    """NaN and infinities as null: JSON has no word for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value


def require_free(ref: CheckpointRef) -> None:
    """Raise BadInput when a checkpoint stands here, unless it is one that samosa began and did not finish."""
    if ref.manifest_path.exists():
        raise BadInput(f"{ref.name} exists already, and a checkpoint never changes", hint="use another --tag")
    if not (ref.model_path.exists() or ref.meta_path.exists()):
        return
    try:
        ours = "samosa" in load_meta(ref)
    except NotReady:
        ours = False
    if not ours:
        raise BadInput(
            f"{ref.name} exists already, and it was not samosa that made it: {ref.directory}",
            hint="use another --tag",
        )


def remove_files(ref: CheckpointRef) -> None:
    """Delete a checkpoint: the manifest first, which made it count, the meta last, which says whose the rest is."""
    for path in (ref.manifest_path, ref.model_path):
        path.unlink(missing_ok=True)
    shutil.rmtree(ref.train_dir, ignore_errors=True)
    ref.meta_path.unlink(missing_ok=True)


def _kind(directory: Path, fields: Mapping[str, Any]) -> Any:
    by_folder = {folder: kind for kind, folder in FOLDERS.items()}
    return by_folder.get(directory.parent.name) or ("base" if fields.get("stage") == "base" else "chat")


def bare_model(model: nn.Module) -> GPT:
    """The GPT inside DDP and torch.compile."""
    while not isinstance(model, GPT):
        inner = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
        assert isinstance(inner, nn.Module), f"no GPT in {type(model).__name__}"
        model = inner
    return model
