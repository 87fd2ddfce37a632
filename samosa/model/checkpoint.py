"""Checkpoints: read as nanochat wrote them, written so that nanochat reads them, complete once a manifest exists."""

from __future__ import annotations

import json
import math
import shutil
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samosa.errors import BadInput, NotReady
from samosa.home import FOLDERS, CheckpointRef, atomic_path, require_space, sha256_file, write_atomic
from samosa.model.config import ModelConfig, check_vocab
from samosa.model.gpt import GPT
from samosa.model.tensors import ANOTHER, load_tensors, on_cpu, save_tensors, size_of

__all__ = [
    "check_vocab",
    "load_meta",
    "load_model",
    "load_tensors",
    "load_token_bytes",
    "load_train_state",
    "read_manifest",
    "save_checkpoint",
    "save_token_bytes",
    "verify",
]

COMPILED = "_orig_mod."  # torch.compile's prefix; old nanochat checkpoints carry it
OPTIMIZER, CURSOR = "optimizer.pt", "cursor.json"
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
    checked = verify(ref)
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
    return _read_json(ref.meta_path)


def load_train_state(ref: CheckpointRef) -> dict[str, Any] | None:
    """{"optimizer": tensors by parameter name or None, "cursor": dict or None}; None when there is no such state."""
    if not ref.train_dir.is_dir():
        return None
    checked = verify(ref)
    optimizer, cursor = ref.train_dir / OPTIMIZER, ref.train_dir / CURSOR
    return {
        "optimizer": load_tensors(optimizer, checked=checked) if optimizer.is_file() else None,
        "cursor": _read_json(cursor) if cursor.is_file() else None,
    }


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
    _require_free(ref)
    bare = _bare_model(model)
    state = OrderedDict((name, tensor.detach().cpu()) for name, tensor in bare.state_dict().items())
    optimizer = None if optimizer_state is None else on_cpu(dict(optimizer_state))
    directory.mkdir(parents=True, exist_ok=True)
    _remove(ref)  # what a killed save left: without a manifest it is nothing
    require_space(directory, size_of(state) + size_of(optimizer) + SMALL_FILES)
    try:
        # Meta first: weights without one would look like a checkpoint that somebody else made.
        write_atomic(ref.meta_path, json.dumps(_meta(bare.config, step, meta_fields), indent=2) + "\n")
        save_tensors(state, ref.model_path)
        _save_train(ref, optimizer, cursor)
        manifest = {"step": step, "files": {_inside(path, ref): _entry(path) for path in _files(ref)}}
        write_atomic(ref.manifest_path, json.dumps(manifest, indent=2) + "\n")
    except BaseException:
        _remove(ref)
        raise
    return ref


def verify(ref: CheckpointRef) -> bool:
    """Compare every file with the manifest: True when there is one, False for a checkpoint that others wrote.

    Raises NotReady naming the first file that is missing, has another size or another SHA-256.
    """
    manifest = read_manifest(ref)
    if manifest is None:
        return False
    for name, entry in manifest["files"].items():
        path = ref.directory / name
        if not path.is_file():
            raise NotReady(f"{ref.name} is incomplete: {name} is missing", hint=ANOTHER)
        size = path.stat().st_size
        if size != entry["bytes"]:
            raise NotReady(f"{ref.name} is broken: {name} has {size:,} bytes, not {entry['bytes']:,}", hint=ANOTHER)
        if sha256_file(path) != entry["sha256"]:
            raise NotReady(f"{ref.name} is broken: {name} is not what was saved (SHA-256 differs)", hint=ANOTHER)
    return True


def read_manifest(ref: CheckpointRef) -> dict[str, Any] | None:
    """The manifest, or None where there is none. Raises NotReady when it cannot be read."""
    if not ref.manifest_path.is_file():
        return None
    manifest = _read_json(ref.manifest_path)
    files = manifest.get("files")
    entries = files if isinstance(files, dict) else {}
    whole = all(isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys() for entry in entries.values())
    if not whole or ref.model_path.name not in entries:
        raise NotReady(f"{ref.manifest_path} is broken: it lists no files", hint=ANOTHER)
    return manifest


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
        raise NotReady(f"{ref.meta_path} is broken: {error.message}", hint=ANOTHER) from error


def _masters(loaded: Any, config: ModelConfig, ref: CheckpointRef) -> OrderedDict[str, Tensor]:
    """The parameters by name, in fp32 (fp64 stays), with what old checkpoints lack filled in."""
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise NotReady(f"{ref.model_path} is broken: not tensors by name", hint=ANOTHER)
    state: OrderedDict[str, Tensor] = OrderedDict()
    for name, value in loaded.items():
        if problem := _unusable(value):
            raise NotReady(f"{ref.model_path} is broken: {name} {problem}", hint=ANOTHER)
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
    raise NotReady(f"{ref.model_path} does not fit its meta: it {what}", hint=ANOTHER)


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


def _require_free(ref: CheckpointRef) -> None:
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


def _remove(ref: CheckpointRef) -> None:
    """Delete a checkpoint that is not complete; its meta last, which says whose the rest is."""
    for path in (ref.manifest_path, ref.model_path):
        path.unlink(missing_ok=True)
    shutil.rmtree(ref.train_dir, ignore_errors=True)
    ref.meta_path.unlink(missing_ok=True)


def _save_train(ref: CheckpointRef, optimizer: Any, cursor: Mapping[str, Any] | None) -> None:
    if optimizer is None and cursor is None:
        return
    with atomic_path(ref.train_dir) as temp:
        temp.mkdir()
        if optimizer is not None:
            torch.save(optimizer, temp / OPTIMIZER)
        if cursor is not None:
            (temp / CURSOR).write_text(json.dumps(cursor) + "\n", encoding="utf-8")


def _files(ref: CheckpointRef) -> list[Path]:
    """Everything of a checkpoint on disk, the manifest aside."""
    train = sorted(ref.train_dir.iterdir()) if ref.train_dir.is_dir() else []
    return [path for path in (ref.model_path, ref.meta_path, *train) if path.is_file()]


def _inside(path: Path, ref: CheckpointRef) -> str:
    return path.relative_to(ref.directory).as_posix()


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotReady(f"{path} is not there", hint=ANOTHER) from error
    except (ValueError, OSError) as error:
        raise NotReady(f"{path} cannot be read: {error}", hint=ANOTHER) from error
    if not isinstance(value, dict):
        raise NotReady(f"{path} is broken: not a JSON object", hint=ANOTHER)
    return value


def _kind(directory: Path, fields: Mapping[str, Any]) -> Any:
    by_folder = {folder: kind for kind, folder in FOLDERS.items()}
    return by_folder.get(directory.parent.name) or ("base" if fields.get("stage") == "base" else "chat")


def _bare_model(model: nn.Module) -> GPT:
    """The GPT inside DDP and torch.compile."""
    while not isinstance(model, GPT):
        inner = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
        assert isinstance(inner, nn.Module), f"no GPT in {type(model).__name__}"
        model = inner
    return model
