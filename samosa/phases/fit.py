"""The training stages: rows are rendered and packed on CPU first, then the training processes do the rest."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from samosa import console, home
from samosa.chat.render import render_many
from samosa.chat.tokenizer import Tokenizer, load_tokenizer
from samosa.config import Recipe
from samosa.data.packing import Doc, packed_once, row_dtype
from samosa.data.rows import ACCOUNT_COLUMNS, PackedRows, account_table
from samosa.errors import BadInput, Stopped
from samosa.eval.settings import Gate
from samosa.home import CheckpointRef
from samosa.model.config import ModelConfig, check_vocab
from samosa.phases.data_stages import TRAINING, VALIDATION, read_mix, refuse_overlap
from samosa.phases.doctor import Check, missing
from samosa.phases.horizon import Horizon
from samosa.phases.init import Init, still_there
from samosa.phases.recipe_text import as_toml
from samosa.phases.sizes import Context, DataSize, Size, estimated_rows, speed_key, train_size
from samosa.phases.stage import Done, Facts, Shelf, Stage, Work
from samosa.secrets import redact
from samosa.train.job import BROKEN, Job, own_fields, read_meta, read_val_bpb
from samosa.train.launch import Gang
from samosa.train.settings import Train

RENDERING = "1"  # raise it when the same conversation gives other ids or masks
WITHOUT_EFFECT = {
    "micro_batch",
    "eval_every",
    "save_every",
    "keep",
    "keep_every",
    "keep_best",
    "wandb",
    "attention",
    "allow_fallback",
    "lengthened_from",
}
WITHOUT_EFFECT |= {"spike_factor", "max_strikes"}  # a run that they stopped goes on with others
WITHOUT_EFFECT |= {"compile", "activation_checkpointing"}
"""Training settings that change how a run goes and not what comes out."""


@dataclass(frozen=True)
class Machine:
    """What training runs on."""

    nproc: int
    price_per_hour: float
    """Dollars for all processes together, on all nodes."""
    gang: Gang = field(default_factory=Gang)
    profiling: bool = False
    """Training stages only look where the time of a step goes."""


def sft_stage(
    *,
    recipe: Recipe,
    tag: str,
    train: Train,
    init: Init,
    data: Stage,
    estimated_tokens: int,
    machine: Machine,
    gate: Gate | None = None,
    prefix: str = "",
) -> Stage:
    """sft: fine-tune `init` on the mix under `tag`. Probes of `gate` found among the training rows are an error."""

    def run(work: Work) -> Facts:
        horizon = Horizon(train, work.reprint)
        refuse_other_run(tag, "chat", work.fingerprint, group=prefix, horizon=horizon)
        ref = init.found(work)
        refuse_overlap(read_mix(work.made["data"], TRAINING), gate)
        tokenizer = load_tokenizer(home.tokenizer_dir())
        check_vocab(init.config, tokenizer.vocab_size, ref.name)
        rows = pack_mix(work.made["data"], tokenizer, train)
        job = Job(
            tag=tag,
            kind="chat",
            stage="sft",
            run_dir=str(home.run_dir(tag)),
            out_dir=str(home.checkpoint_dir("chat", tag)),
            init=f"{ref.kind}/{ref.name}",
            init_windows=None if init.windows is None else list(init.windows),
            model_config=None,
            rows_dir=str(rows / "training"),
            val_dir=str(rows / "validation"),
            tokenizer_dir=str(home.tokenizer_dir()),
            train=train.model_dump(mode="json"),
            fingerprint=work.fingerprint,
            lengthened=horizon.past("chat", tag),
            price_per_hour=machine.price_per_hour or None,
        )
        return fitted(job, recipe, init.config, machine, work)

    def size(ctx: Context) -> Size:
        return train_size(ctx, f"{tag} from {init.name}", init.config, init.basis, train, data_size(ctx.shelf))

    def data_size(shelf: Shelf) -> DataSize:
        done = shelf.find(data)
        packed = None if done is None else packed_size(done, train)
        return packed or estimated_rows(estimated_tokens, train.length)

    return Stage(
        f"{prefix}sft",
        f"train {tag} from {init.name}",
        run,
        inputs={"data": data, "init": init.source},
        settings={"tag": tag, "windows": init.windows, **that_matter(train)},
        size=size,
        still_true=still_there,
    )


def that_matter(train: Train) -> dict[str, Any]:
    """The training settings that decide what comes out, and so belong into a stage's fingerprint."""
    without = WITHOUT_EFFECT if train.fp8 else WITHOUT_EFFECT | {"fp8"}  # as before there was such a switch
    return train.model_dump(mode="json", exclude=without)


def fitted(job: Job, recipe: Recipe, config: ModelConfig, machine: Machine, work: Work) -> Facts:
    """Train the job to its last step and return the stage's facts. Raises what the run ended with."""
    from samosa.phases.profile import profiled
    from samosa.train import launch

    if machine.profiling:
        return profiled(job, machine.nproc)
    train = job.settings
    Horizon(train, work.reprint).tell(job.kind, job.tag, len(PackedRows.load(Path(job.rows_dir))))
    record_run(job, recipe, speed_key(config, train, machine.nproc), work)
    outcome = launch.run(job, machine.nproc, machine.gang)
    if outcome.code:
        raise Stopped(
            outcome.reason or f"{job.tag} was stopped", hint="run the same command again: it goes on from there"
        )
    ref = outcome.ref
    assert ref is not None
    bpb = read_val_bpb(ref.directory, ref.step)
    val = "" if bpb is None else f", validation {bpb:.4f} bits per byte"
    return {
        "said": f"{ref.name}: {ref.step:,} steps x {train.tokens_per_step:,} tokens{val}",
        "checkpoint": f"{ref.kind}/{ref.name}",
        "manifest": home.sha256_file(ref.manifest_path),
        "val_bpb": bpb,
        "init": job.init,
    }


def refuse_other_run(
    tag: str, kind: Literal["base", "chat"], fingerprint: str, *, group: str = "", horizon: Horizon | None = None
) -> None:
    """Raise BadInput when `tag` has checkpoints of another run: other settings, other data, or made by others.

    A run that was begun shorter counts as this one where the recipe says so; else the way on names how to say it.

    Whose a broken one is cannot be read: training says so, sets it aside and goes on from the one before it.
    `group` is the stages' prefix where the tag is that of the init and not of the command.
    """
    ours = {fingerprint, *(horizon.earlier() if horizon else ())}
    for ref in home.list_checkpoints(kind, tag):
        if _unreadable(ref):
            continue
        theirs = own_fields(ref).get("fingerprint")
        if theirs not in ours:
            whose = "made elsewhere" if theirs is None else "trained with other settings or data"
            way_on = f"train beside them: --tag {tag}b   (a checkpoint is never trained over)"
            if horizon is not None and (longer := horizon.way_on(ref)) is not None:
                raise BadInput(f"{tag} was begun with another length ({ref.name})", hint=f"{longer}; or {way_on}")
            if group:
                way_on = f"set init={ref.name} to start from it as it is, or move {ref.directory} away to make it anew"
            raise BadInput(f"{tag} already has checkpoints, {whose} ({ref.name})", hint=way_on)


def check_tag(tag: str, kind: Literal["base", "chat"], fingerprint: str | None, horizon: Horizon) -> list[Check]:
    """Whether the tag is free, or holds this very run; nothing while what the run would be is not known."""
    if fingerprint is None:
        return []
    try:
        refuse_other_run(tag, kind, fingerprint, horizon=horizon)
    except BadInput as error:
        return [missing("tag", error)]
    there = home.list_checkpoints(kind, tag)
    return [Check("tag", f"{tag}: {f'this run, up to step {there[-1].step:,}' if there else 'free'}")]


def pack_mix(mix: Done, tokenizer: Tokenizer, train: Train) -> Path:
    """Render and pack a mix for training, beside its rows; what was packed before is found again and verified.

    Returns the directory that holds `training` and `validation` rows.
    """
    directory = mix.directory / packed_name(train, tokenizer)
    for part, name in (("training", TRAINING), ("validation", VALIDATION)):
        rows, there = packed_once(
            directory / part,
            partial(_documents, mix, name, tokenizer),
            length=train.length,
            overlong=train.overlong,
            seed=train.seed,
            pad=tokenizer.bos,
            dtype=row_dtype(tokenizer.vocab_size, train.length),
        )
        tell_account(f"  {'found' if there else 'packed'} {part}: {describe(rows)}", rows)
    return directory


def describe(rows: PackedRows) -> str:
    """What became of the documents, in one line: nothing is dropped or cut unsaid."""
    accounts = rows.accounts.values()
    split, dropped = sum(a.split for a in accounts), sum(a.dropped for a in accounts)
    lost = "".join(
        f", {count:,} {what}" for count, what in ((split, "split"), (dropped, "dropped as too long")) if count
    )
    return (
        f"{rows.tokens:,} tokens of {sum(a.documents for a in accounts):,} documents in {len(rows):,} rows of "
        f"{rows.length:,} ({rows.fill:.1%} full), {rows.supervised:,} supervised{lost}"
    )


def tell_account(title: str, rows: PackedRows) -> None:
    """Print what became of every source, before anything is trained on it."""
    console.table(ACCOUNT_COLUMNS, account_table(rows.accounts), title=title)


def packed_name(train: Train, tokenizer: Tokenizer) -> str:
    """The folder's name for rows packed so: what decides them is in it."""
    key = [RENDERING, tokenizer.hash, train.length, train.overlong, train.seed]
    return "packed-" + hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]


def packed_size(mix: Done, train: Train) -> DataSize | None:
    """How much there is to train on, by rows packed earlier with the tokenizer of this home; None without them."""
    if not (home.tokenizer_dir() / "tokenizer.pkl").is_file():
        return None
    meta_path = mix.directory / packed_name(train, load_tokenizer(home.tokenizer_dir())) / "training" / "meta.json"
    if not meta_path.is_file():
        return None
    meta = json.loads(meta_path.read_text(encoding="utf-8"))
    tokens = sum(account["tokens"] for account in meta["accounts"].values())
    return DataSize(meta["shape"][0], tokens, f"packed rows ({meta['fill']:.1%} full)")


def record_run(job: Job, recipe: Recipe, key: Mapping[str, Any], work: Work) -> None:
    """Leave behind what the run is: run.json, and the resolved recipe as TOML and as JSON."""
    record = {
        "tag": job.tag,
        "kind": job.kind,
        "init": job.init,
        "fingerprint": work.fingerprint,
        "stages": {name: done.fingerprint for name, done in work.made.items()},
        "command": [redact(argument) for argument in sys.argv[1:]],
        "host": platform.node(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "speed_key": dict(key),
    }
    values = recipe.model_dump(mode="json", exclude_none=True)
    directory = home.run_dir(job.tag)
    home.write_atomic(directory / "run.json", json.dumps(record, indent=1) + "\n")
    home.write_atomic(directory / "config.json", json.dumps(values, indent=1) + "\n")
    home.write_atomic(directory / "recipe.toml", as_toml(values))


def _documents(mix: Done, name: str, tokenizer: Tokenizer) -> Iterator[Doc]:
    """Each conversation of a mix's file as a document; what is repeated is rendered once."""
    conversations = read_mix(mix, name)
    distinct = list(dict.fromkeys(conversations))
    arrays = ((np.array(one.ids, np.int32), np.array(one.mask, np.bool_)) for one in render_many(distinct, tokenizer))
    rendered = dict(zip(distinct, arrays, strict=True))
    for number, conversation in enumerate(conversations, 1):
        ids, mask = rendered[conversation]
        yield Doc(ids=ids, mask=mask, source=conversation.source, row=number)


def _unreadable(ref: CheckpointRef) -> bool:
    """Whether a checkpoint once had a meta that cannot be read now; others' models may never have had one."""
    aside = ref.manifest_path.with_suffix(BROKEN)
    return not read_meta(ref) and any(path.exists() for path in (ref.meta_path, ref.manifest_path, aside))
