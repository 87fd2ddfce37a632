"""`samosa inspect`: what a checkpoint is, whether its bytes are whole, and which windows it was trained with."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samosa import console, home
from samosa.config import Options, load
from samosa.errors import BadInput, NotReady
from samosa.model.config import ModelConfig
from samosa.model.settings import Inspection, WindowTrial
from samosa.phases.init import config_of, on_disk
from samosa.phases.rates import positions_line

if TYPE_CHECKING:
    from torch import Tensor

    from samosa.chat.tokenizer import Tokenizer
    from samosa.model.windows import Measured

NOT_READABLE = "not readable by nanochat: it has no such windows or rotary positions"
CANDIDATES = 3_000_000  # characters of the standard library's text among which the longest texts are chosen


def run(options: Options, *, name: str, windows: bool) -> int:
    """Show the checkpoint `name`; with `windows`, measure under which windows its loss is lowest.

    Raises BadInput for an unknown name or a poisoned file, and NotReady for a broken checkpoint.
    """
    trial = load(Inspection, "inspect", recipe=options.recipe, sets=options.sets).windows
    ref = on_disk(name)
    facts = describe(ref)
    measured = None
    if windows:
        measured = _measure(ref, trial)
        facts["window_trial"] = _as_json(measured)
    if options.json:
        console.emit_json(facts)
    else:
        console.table(("", ""), _shown(facts), title=f"{ref.name} ({ref.kind})")
    if measured is not None:
        _show_trial(ref, measured, as_json=options.json)
    elif not options.json:
        console.say(_next(ref, facts))
    return 0


def describe(ref: home.CheckpointRef) -> dict[str, Any]:
    """Everything that can be told without running the model; reads every byte once to see that they are whole."""
    from samosa.model.checkpoint import load_meta, verify
    from samosa.model.tensors import load_tensors

    checked = verify(ref)
    meta = load_meta(ref)
    config = config_of(ref)
    dtypes: dict[str, int] = {}
    for value in dict(load_tensors(ref.model_path, map_location="meta", checked=checked)).values():
        dtype = str(value.dtype).removeprefix("torch.")
        dtypes[dtype] = dtypes.get(dtype, 0) + value.numel()
    own = meta.get("samosa") or {}
    length = config.train_len or config.sequence_len
    return {
        "name": ref.name,
        "kind": ref.kind,
        "stage": meta.get("stage"),
        "step": meta.get("step", ref.step),
        "val_bpb": _val_bpb(ref, meta),
        "layers": config.n_layer,
        "width": config.n_embd,
        "heads": config.n_head,
        "kv_heads": config.n_kv_head,
        "vocab_size": config.vocab_size,
        "sequence_len": config.sequence_len,
        "train_len": config.train_len,
        "windows": list(config.layer_windows),
        "windows_from": "saved" if config.windows else "nanochat's rule",
        "rope_base": config.rope_base,
        "positions": positions_line(config),
        "parameters": config.n_params(),
        "flops_per_token": {"length": length, "flops": config.flops_per_token(length)},
        "dtypes": dtypes,
        "bytes": sum(path.stat().st_size for path in _files(ref)),
        "manifest": "complete, every SHA-256 matches" if checked else "none: written by others, archive checksums hold",
        "training_state": ref.train_dir.is_dir(),
        "readable_by_nanochat": bool(own.get("readable_by_nanochat", not own)),
        "tokenizer": _tokenizer(config, own.get("tokenizer")),
    }


def _val_bpb(ref: home.CheckpointRef, meta: dict[str, Any]) -> float | None:
    """From the meta, or from the validation that was written beside the checkpoint after it was saved."""
    beside = ref.directory / f"val_{ref.step:06d}.json"
    if meta.get("val_bpb") is None and beside.is_file():
        return json.loads(beside.read_text(encoding="utf-8")).get("val_bpb")
    return meta.get("val_bpb")


def _files(ref: home.CheckpointRef) -> list[Path]:
    train = [path for path in ref.train_dir.rglob("*") if path.is_file()] if ref.train_dir.is_dir() else []
    return [path for path in (ref.model_path, ref.meta_path, ref.manifest_path, *train) if path.is_file()]


def _tokenizer(config: ModelConfig, expected: str | None) -> dict[str, Any]:
    """The tokenizer on this machine, and whether it is the model's."""
    from samosa.chat.tokenizer import load_tokenizer

    if not (home.tokenizer_dir() / "tokenizer.pkl").is_file():
        return {"hash": None, "expected": expected, "fits": None}
    tokenizer = load_tokenizer(home.tokenizer_dir())
    fits = tokenizer.vocab_size == config.vocab_size and expected in (None, tokenizer.hash)
    return {"hash": tokenizer.hash, "expected": expected, "fits": fits}


def _shown(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts as a person reads them."""
    counts = dict(facts["parameters"])
    total = counts.pop("total")
    flops = facts["flops_per_token"]
    tokenizer = facts["tokenizer"]
    fit = {None: "not on this machine", True: "fits", False: "NOT this model's"}[tokenizer["fits"]]
    return [
        ("stage", str(facts["stage"] or "not said")),
        ("step", f"{facts['step']:,}"),
        ("val bpb", "not measured" if facts["val_bpb"] is None else f"{facts['val_bpb']:.4f}"),
        ("shape", f"{facts['layers']} layers, width {facts['width']}, {_heads(facts)}"),
        ("vocabulary", f"{facts['vocab_size']:,}"),
        ("parameters", f"{total:,} ({', '.join(f'{name} {count:,}' for name, count in counts.items())})"),
        ("GFLOP a token", f"{flops['flops'] / 1e9:.3f} at {flops['length']:,}"),
        ("length", f"{facts['sequence_len']:,}, trained at {_or(facts['train_len'], 'a length not saved')}"),
        ("windows", f"{spelled(facts['windows'])} ({facts['windows_from']})"),
        ("positions", facts["positions"]),
        ("stored as", ", ".join(f"{dtype} ({count:,})" for dtype, count in facts["dtypes"].items())),
        ("on disk", f"{facts['bytes'] / 1e6:,.1f} MB, {'with' if facts['training_state'] else 'no'} training state"),
        ("manifest", facts["manifest"]),
        ("nanochat", "can read it" if facts["readable_by_nanochat"] else NOT_READABLE),
        ("tokenizer", f"{(tokenizer['hash'] or '')[:12]} {fit}".strip()),
    ]


def spelled(windows: list[int] | tuple[int, ...]) -> str:
    """Windows by layer, short: "512 ×3, 2048" for (512, 512, 512, 2048); a longer repetition in brackets."""
    for period in range(1, len(windows) // 2 + 1):
        if all(window == windows[i % period] for i, window in enumerate(windows[:-1])):
            same_end = windows[-1] == windows[(len(windows) - 1) % period]
            once = _runs(windows[:period])
            end = "" if same_end else f", last {windows[-1]}"
            return f"{once} all along{end}" if period == 1 else f"({once}) repeated{end}"
    return _runs(windows)


def _runs(windows: list[int] | tuple[int, ...]) -> str:
    runs = [(window, len(list(group))) for window, group in itertools.groupby(windows)]
    return ", ".join(f"{window} ×{count}" if count > 1 else str(window) for window, count in runs)


def _heads(facts: dict[str, Any]) -> str:
    same = facts["heads"] == facts["kv_heads"]
    return f"{facts['heads']} heads" + ("" if same else f" over {facts['kv_heads']} key heads")


def _or(value: int | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:,}"


def _next(ref: home.CheckpointRef, facts: dict[str, Any]) -> str:
    if facts["windows_from"] == "saved":
        return f"next: samosa eval --tag {ref.name}"
    return f"its windows follow from sequence_len alone; samosa inspect {ref.name} --windows measures them"


def _measure(ref: home.CheckpointRef, trial: WindowTrial) -> "Measured":
    """Load the model and the text, and measure every reading."""
    import torch

    from samosa.chat.tokenizer import load_tokenizer
    from samosa.model.checkpoint import check_vocab, load_model
    from samosa.model.precision import choose_dtype
    from samosa.model.windows import measure, readings_of, row_length

    device = trial.device if trial.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise NotReady("windows.device is cuda and torch finds no GPU here", hint="--set windows.device=auto")
    dtype, reason = choose_dtype(trial.dtype, device)
    model, _ = load_model(ref, device=device, compute_dtype=dtype)
    tokenizer = load_tokenizer(home.tokenizer_dir())
    check_vocab(model.config, tokenizer.vocab_size, ref.name)
    readings = readings_of(model.config, trial.factors)
    rows = _rows(tokenizer, trial, row_length(readings, trial.max_length))
    console.say(
        f"measuring {len(readings)} readings on {rows.size(0)} rows of {rows.size(1) - 1:,} tokens "
        f"({device}, {str(dtype).removeprefix('torch.')}: {reason})"
    )
    return measure(model, rows, readings)


def _rows(tokenizer: "Tokenizer", trial: WindowTrial, length: int) -> "Tensor":
    """Rows [N, length + 1] of text, bos before each text; a text goes on in the next row where it is longer."""
    import torch

    needed = trial.rows * (length + 1)
    stream: list[int] = []
    for text in _texts(trial):
        stream += [tokenizer.bos, *tokenizer.encode(text)]
        if len(stream) >= needed:
            break
    count = min(trial.rows, len(stream) // (length + 1))
    if count < 2:
        raise BadInput(
            f"the text has {len(stream):,} tokens; two rows of {length:,} are the least",
            hint="name a longer file: --set windows.text=PATH   or shorter rows: --set windows.max_length=N",
        )
    return torch.tensor(stream[: count * (length + 1)]).view(count, length + 1)


def _texts(trial: WindowTrial) -> Iterator[str]:
    """Texts to measure on, longest first where there is a choice: only long ones use a long window."""
    from samosa.data.shards import documents, stdlib_documents

    if trial.text is None:
        yield from sorted(stdlib_documents(limit_chars=CANDIDATES, seed=trial.seed), key=len, reverse=True)
    elif trial.text.suffix == ".parquet":
        yield from documents([trial.text])
    else:
        try:
            yield trial.text.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{trial.text} cannot be read as text: {error}", hint="give a UTF-8 file") from error


def _show_trial(ref: home.CheckpointRef, measured: "Measured", *, as_json: bool) -> None:
    columns = ["positions", *(reading.name for reading in measured.readings)]
    buckets = itertools.pairwise(measured.edges)
    rows = [
        [f"{low:,} to {high - 1:,}", *(f"{nll[k]:.4f}" for nll in measured.nll)]
        for k, (low, high) in enumerate(buckets)
    ]
    gaps = [f"+{gap:.4f} ± {err:.4f}" for gap, err in zip(measured.gap, measured.error, strict=True)]
    gaps[measured.best] = "lowest"
    rows.append([f"from {measured.beyond:,}", *gaps])
    rows.append(["windows", *(spelled(reading.windows) for reading in measured.readings)])
    console.table(columns, rows, title="loss in nats a token")
    best = measured.readings[measured.best]
    if not measured.decided:
        console.say("not decided by this text: give a longer one with --set windows.text=PATH, or more windows.rows")
        return
    console.say(f"{ref.name} was trained with windows {spelled(best.windows)}: {best.name}. For the recipe:")
    line = f"init_windows = {list(best.windows)}"
    if as_json:
        console.say(line)
    else:
        console.data(line)


def _as_json(measured: "Measured") -> dict[str, Any]:
    best = measured.readings[measured.best]
    return {
        "edges": list(measured.edges),
        "beyond": measured.beyond,
        "readings": [
            {"name": reading.name, "windows": list(reading.windows), "nll": list(nll), "gap": gap, "error": error}
            for reading, nll, gap, error in zip(
                measured.readings, measured.nll, measured.gap, measured.error, strict=True
            )
        ],
        "best": best.name,
        "decided": measured.decided,
        "windows": list(best.windows) if measured.decided else None,
    }
