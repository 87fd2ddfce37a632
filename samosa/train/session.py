"""What a training process sets up around the loop: its model, its dtype, and the checkpoint it goes on from."""

import contextlib
import fcntl
import json
import random
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from samosa import home
from samosa.chat.tokenizer import load_tokenizer
from samosa.errors import BadInput, NotReady, Stopped
from samosa.home import CheckpointRef
from samosa.model.attention import choose_backend, why_no_varlen
from samosa.model.checkpoint import load_model, load_train_state, remove_files
from samosa.model.config import ModelConfig, check_vocab
from samosa.model.gpt import GPT
from samosa.model.precision import choose_dtype
from samosa.train.distributed import World, share
from samosa.train.events import tell
from samosa.train.job import BROKEN, Job, complete_checkpoints, own_fields, val_path
from samosa.train.nanochat_optim import read_nanochat_optimizer
from samosa.train.settings import Train

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
DECIDED_FILE = "decided.json"
UNFINISHED = re.compile(r"(?:meta|train|val)_(\d+)(?:\.json)?")
TEMPORARY = re.compile(r"\.tmp-(\d+)-")
LOCK_PATIENCE = 600  # seconds; an earlier process that lost its launcher finishes its step and saves


@contextlib.contextmanager
def only_one(job: Job, stop_asked: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the run for this process alone. Raises NotReady when another one keeps it, Stopped when asked meanwhile."""
    path = Path(job.run_dir) / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        deadline, told = time.monotonic() + LOCK_PATIENCE, False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"another process is training {job.tag}", hint="let it finish, or stop it; then run this again"
                    ) from None
            if stop_asked():
                raise Stopped(f"stopped while another process trains {job.tag}", hint="run the same command again")
            if not told:
                tell("say", f"waiting for an earlier process that trains {job.tag} to save and leave")
                told = True
            time.sleep(0.2)
        yield


@dataclass(frozen=True)
class Start:
    """Where a run begins or goes on."""

    model: GPT
    origin: str
    """What is said about it: a checkpoint's name, or how the weights were drawn."""
    step: int
    train_state: dict[str, Any] | None
    momenta: Callable[[Collection[str]], Mapping[str, Any]] | None = None
    """Reads the optimizer's state of these parameters, where a new run takes it over from its init."""
    tokenizer: str = ""
    """The tokenizer's hash."""
    attempt: int = 0
    """A number of this start's own, the same on all ranks: tells its files from those of an earlier one."""


def decide_dtype(job: Job, where: World) -> torch.dtype:
    """The compute dtype, decided once a run: "auto" may depend on a measurement, so it is written down and kept."""
    names = list(DTYPES)
    choice = 0
    if where.leads:
        name, reason = _decided(job) or _decide(job, where)
        choice = names.index(name)
        tell("say", f"computing in {name} on {where.size} x {where.device.type}: {reason}")
    return DTYPES[names[share(choice, where)]]


def _decided(job: Job) -> tuple[str, str] | None:
    """What this run computed in before: by its own note, or by its checkpoints where only they were carried here."""
    path = Path(job.run_dir) / DECIDED_FILE
    before = json.loads(path.read_text()) if path.exists() else {}
    if before.get("fingerprint") == job.fingerprint:
        return before["dtype"], "as before"
    for ref in reversed(complete_checkpoints(job)):
        if "dtype" in (own := own_fields(ref)):
            return own["dtype"], f"as {ref.name} was"
    return None


def _decide(job: Job, where: World) -> tuple[str, str]:
    dtype, reason = choose_dtype(job.settings.dtype, where.device)
    name = str(dtype).removeprefix("torch.")
    note = {"fingerprint": job.fingerprint, "dtype": name, "why": reason}
    home.write_atomic(Path(job.run_dir) / DECIDED_FILE, json.dumps(note) + "\n")
    return name, reason


def decide_backend(settings: Train, dtype: torch.dtype, where: World) -> str:
    """The attention backend, said. Raises NotReady when the one asked for cannot be had and no other is allowed."""
    backend = choose_backend(settings.attention, where.device, allow_fallback=settings.allow_fallback, dtype=dtype)
    if where.leads:
        missing = why_no_varlen(where.device, dtype) if settings.attention != "sdpa" else None
        tell("say", f"attention {backend}" + (f": {missing}" if missing else ""))
    return backend


def begin(job: Job, dtype: torch.dtype, backend: str, where: World) -> Start:
    """The newest good checkpoint of this very job; without one, the weights of `init`, or fresh ones.

    A broken newest checkpoint is said and the one before it taken; what a killed save left is deleted. Raises BadInput
    when model and tokenizer differ.
    """
    start = None
    if where.leads:
        start = _resume_newest(job, dtype, backend, where)
        clear_unfinished(job)
    attempt = share(random.SystemRandom().getrandbits(31), where)
    step = share(start.step if start else 0, where)
    if start is None and step:
        (ref,) = [ref for ref in complete_checkpoints(job) if ref.step == step]
        start = _resume(ref, dtype, backend, where)
    if start is None:
        start = _fresh(job, dtype, backend, where)
    tokenizer = load_tokenizer(Path(job.tokenizer_dir))
    check_vocab(start.model.config, tokenizer.vocab_size, start.origin)
    start.model.train()
    return replace(start, tokenizer=tokenizer.hash, attempt=attempt)


def _set_aside(ref: CheckpointRef) -> None:
    """Rename the files of a broken checkpoint: it no longer counts and its step can be saved again. Manifest first."""
    shutil.rmtree(ref.train_dir.with_suffix(BROKEN), ignore_errors=True)
    for path in (ref.manifest_path, ref.meta_path, ref.model_path, ref.train_dir):
        if path.exists():
            path.rename(path.with_suffix(BROKEN))


def remove(ref: CheckpointRef) -> None:
    """Delete a checkpoint and what lies beside it."""
    remove_files(ref)
    val_path(ref.directory, ref.step).unlink(missing_ok=True)
    ref.keep_path.unlink(missing_ok=True)


def clear_unfinished(job: Job) -> None:
    """Delete what killed saves left: gigabytes that count for nothing. The caller holds the run's lock."""
    out_dir = Path(job.out_dir)
    complete = home.complete_steps(out_dir)
    for path in list(out_dir.iterdir()) if out_dir.is_dir() else []:
        if match := UNFINISHED.fullmatch(path.name):
            ref = CheckpointRef(job.kind, job.tag, int(match[1]), out_dir)
            if ref.step not in complete and (own_fields(ref) or not ref.model_path.exists()):
                remove(ref)
        elif (match := TEMPORARY.match(path.name)) and not home.alive(int(match[1])):
            path.unlink(missing_ok=True)


def _resume_newest(job: Job, dtype: torch.dtype, backend: str, where: World) -> Start | None:
    for ref in reversed(complete_checkpoints(job)):
        try:
            start = _resume(ref, dtype, backend, where)
        except (NotReady, BadInput) as problem:
            tell("warn", f"{ref.name} cannot be resumed from ({problem.message}); trying the one before it")
            _set_aside(ref)
            continue
        before = own_fields(ref)
        if (before["world_size"], before["threads"]) != (where.size, torch.get_num_threads()):
            tell(
                "warn",
                f"{ref.name} was trained by {before['world_size']} processes of {before['threads']} threads, now"
                f" {where.size} of {torch.get_num_threads()}: the same training, but not to the last bit",
            )
        return start
    return None


def _resume(ref: CheckpointRef, dtype: torch.dtype, backend: str, where: World) -> Start:
    model = _loaded(ref, dtype, backend, where)
    train_state = load_train_state(ref)
    if train_state is None or None in train_state.values():
        raise NotReady(f"{ref.name} has no training state", hint="start a new run from it with `init`")
    if where.leads:
        for _ in train_state["optimizer"].values():
            """Every part is verified and opened, while there is still another checkpoint to take."""
    return Start(model, f"resuming {ref.name}", ref.step, train_state)


def _loaded(
    ref: CheckpointRef, dtype: torch.dtype, backend: str, where: World, *, windows: Sequence[int] | None = None
) -> GPT:
    model, _ = load_model(ref, device=where.device, compute_dtype=dtype, backend=backend, windows=windows)
    return model.double() if dtype == torch.float64 else model


def _fresh(job: Job, dtype: torch.dtype, backend: str, where: World) -> Start:
    settings = job.settings
    if job.init is not None:
        ref = home.find_checkpoint(job.init)
        if where.leads:
            _protect(ref, job)
        model = _loaded(ref, dtype, backend, where, windows=job.init_windows)
        model.adopt(replace(_reshaped(model.config, job), train_len=settings.length))
        momenta = _momenta(ref, model) if job.optimizer == "inherit" else None
        if where.leads:
            tell("say", f"optimizer: {'fresh' if momenta is None else f'inherited from {ref.name}'}")
        return Start(model, f"from {ref.name}", 0, None, momenta)
    config = config_of(job, train_len=settings.length)
    model = GPT(config, backend=backend, compute_dtype=dtype)
    model.init_weights(torch.Generator().manual_seed(settings.seed))
    model = model.double() if dtype == torch.float64 else model
    return Start(model.to(where.device), f"fresh weights, seed {settings.seed}", 0, None)


def _momenta(ref: CheckpointRef, model: GPT) -> Callable[[Collection[str]], Mapping[str, Any]]:
    """What reads the optimizer's state: samosa's own, or nanochat's shards. Raises NotReady without either."""
    state = load_train_state(ref)
    stored = None if state is None else state["optimizer"]
    if stored is not None:
        return lambda names: stored
    if not any(ref.directory.glob(f"optim_{ref.step:06d}_rank*.pt")):
        raise NotReady(f"{ref.name} has no optimizer state to inherit", hint="--set optimizer=fresh starts with none")
    return lambda names: read_nanochat_optimizer(ref.directory, ref.step, model.named_parameters(), only=names)


def _protect(ref: CheckpointRef, job: Job) -> None:
    """Keep the checkpoint a run starts from, though the run that made it may still be going and thinning out."""
    try:
        home.protect(ref, f"{job.tag} starts from it")
    except NotReady as problem:
        tell("warn", f"{ref.name} could not be marked to be kept: {problem.message}")


def _reshaped(config: ModelConfig, job: Job) -> ModelConfig:
    """The init's shape with what a context extension changes in it."""
    if job.reshape is None:
        return config
    model_config, explicit = config.to_meta()
    return ModelConfig.from_meta({"model_config": model_config, "samosa": {**explicit, **job.reshape}})


def config_of(job: Job, *, train_len: int) -> ModelConfig:
    """The shape of a model that starts from nothing: a meta's two sections, or the plain fields of ModelConfig."""
    assert job.model_config is not None
    if "model_config" in job.model_config:
        return replace(ModelConfig.from_meta(job.model_config), train_len=train_len)
    fields = dict(job.model_config)
    if fields.get("windows") is not None:
        fields["windows"] = tuple(fields["windows"])
    return ModelConfig(**{**fields, "train_len": train_len})
