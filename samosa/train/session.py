"""What a training process sets up around the loop: its model, where it goes on from, its checkpoints, its signals."""

import contextlib
import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from samosa import home
from samosa.chat.tokenizer import load_tokenizer
from samosa.errors import BadInput, NotReady, Stopped
from samosa.home import CheckpointRef
from samosa.model.attention import choose_backend, why_no_varlen
from samosa.model.checkpoint import load_model, load_train_state, save_checkpoint
from samosa.model.config import ModelConfig, check_vocab
from samosa.model.gpt import GPT
from samosa.model.precision import choose_dtype
from samosa.train.distributed import World, share
from samosa.train.events import tell
from samosa.train.job import BROKEN, Job, complete_checkpoints, own_fields, val_path
from samosa.train.loop import TrainState
from samosa.train.settings import Train

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
DECIDED_FILE = "decided.json"
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
    tokenizer: str = ""
    """The tokenizer's hash."""


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

    A broken newest checkpoint is said and the one before it taken. Raises BadInput when model and tokenizer differ.
    """
    start = None
    if where.leads:
        start = _resume_newest(job, dtype, backend, where)
    step = share(start.step if start else 0, where)
    if start is None and step:
        (ref,) = [ref for ref in complete_checkpoints(job) if ref.step == step]
        start = _resume(ref, dtype, backend, where)
    if start is None:
        start = _fresh(job, dtype, backend, where)
    tokenizer = load_tokenizer(Path(job.tokenizer_dir))
    check_vocab(start.model.config, tokenizer.vocab_size, start.origin)
    start.model.train()
    return replace(start, tokenizer=tokenizer.hash)


def _set_aside(ref: CheckpointRef) -> None:
    """Rename the files of a broken checkpoint: it no longer counts and its step can be saved again. Manifest first."""
    for path in (ref.manifest_path, ref.meta_path, ref.model_path):
        if path.exists():
            path.rename(path.with_suffix(BROKEN))


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
        model = _loaded(ref, dtype, backend, where, windows=job.init_windows)
        model.adopt(replace(_reshaped(model.config, job), train_len=settings.length))
        return Start(model, f"from {ref.name}", 0, None)
    config = config_of(job, train_len=settings.length)
    model = GPT(config, backend=backend, compute_dtype=dtype)
    model.init_weights(torch.Generator().manual_seed(settings.seed))
    model = model.double() if dtype == torch.float64 else model
    return Start(model.to(where.device), f"fresh weights, seed {settings.seed}", 0, None)


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


@dataclass(frozen=True)
class Checkpoints:
    """Saves this run's checkpoints and keeps the newest few."""

    job: Job
    state: TrainState
    start: Start
    steps: int
    dtype: torch.dtype
    where: World

    def save(self, step: int) -> None:
        """Write everything a resume needs; the manifest comes last. Only rank 0 writes, the others go on."""
        if not self.where.leads:
            return
        began = time.monotonic()
        save_checkpoint(
            Path(self.job.out_dir),
            step,
            model=self.start.model,
            meta_fields=self.meta(step),
            optimizer_state=self.state.optimizer.state_dict(),
            cursor={**self.state.cursor(), "seed": self.job.settings.seed},
        )
        self._prune()
        tell("say", f"step {step}: saved {self.job.tag}@{step} in {time.monotonic() - began:.1f} s")

    def wait(self) -> None:
        """Return when what is being saved is on disk; raises what that failed with."""

    def meta(self, step: int) -> dict[str, Any]:
        """nanochat's fields, and samosa's own under "samosa". The validation has a file of its own beside it."""
        settings = self.job.settings
        own = {
            "tag": self.job.tag,
            "stage": self.job.stage,
            "init": self.job.init,
            "fingerprint": self.job.fingerprint,
            "steps": self.steps,
            "tokens": step * settings.tokens_per_step,
            "skipped": self.state.skipped,
            "dtype": str(self.dtype).removeprefix("torch."),
            "world_size": self.where.size,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "tokenizer": self.start.tokenizer,
        }
        return {
            "user_config": self.job.train,
            "device_batch_size": settings.micro_batch,
            "max_seq_len": settings.length,
            "total_batch_size": settings.tokens_per_step,
            "stage": "base" if self.job.stage == "pretrain" else self.job.stage,  # nanochat's word
            "samosa": own,
        }

    def write_val(self, step: int, val_bpb: float) -> None:
        """Put a validation beside the checkpoint of that step, if there is one."""
        out_dir = Path(self.job.out_dir)
        if any(ref.step == step for ref in complete_checkpoints(self.job)):
            home.write_atomic(val_path(out_dir, step), json.dumps({"step": step, "val_bpb": val_bpb}) + "\n")

    def _prune(self) -> None:
        keep = self.job.settings.keep
        for ref in complete_checkpoints(self.job)[:-keep] if keep else []:
            remove(ref)


def remove(ref: CheckpointRef) -> None:
    """Delete a checkpoint of this run."""
    ref.manifest_path.unlink()  # first: from here on it does not count
    ref.model_path.unlink(missing_ok=True)
    # After the model: a model without a meta would look like another program's.
    ref.meta_path.unlink(missing_ok=True)
    val_path(ref.directory, ref.step).unlink(missing_ok=True)
    shutil.rmtree(ref.train_dir, ignore_errors=True)
