"""What a training process is handed: paths, settings and a name, as one JSON file. Torch-free."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from samosa import home
from samosa.errors import BadInput
from samosa.train.settings import Train

JOB_FILE = "job.json"
METRICS_FILE = "metrics.jsonl"
LOG_FILE = "train.log"
BROKEN = ".broken"
"""The suffix of a manifest that was set aside, because its checkpoint could not be resumed from."""
MARKER_FILE = "stopped.json"
"""Written when a run ends before its last step: reason, code, and for errors their two lines."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of the training loop.

    A checkpoint belongs to the job whose `fingerprint` it carries; only those are resumed from. Either `init` names the
    checkpoint ("tag@step") whose weights the run starts from, or `model_config` the shape of a fresh model. With
    `init`, `reshape` holds what the model is to be otherwise, and `optimizer` says whether its state comes along.
    """

    tag: str
    kind: Literal["base", "chat"]
    stage: Literal["pretrain", "cpt", "extend", "sft"]
    run_dir: str
    out_dir: str
    """Where the checkpoints go: base_checkpoints/<tag> or chatsft_checkpoints/<tag>."""
    init: str | None
    model_config: dict[str, Any] | None
    """As `ModelConfig.to_meta` writes it."""
    rows_dir: str
    val_dir: str | None
    tokenizer_dir: str
    train: dict[str, Any]
    """The resolved `Train` settings."""
    fingerprint: str
    init_windows: list[int] | None = None
    """The attention windows `init` was trained with, where its meta says others."""
    reshape: dict[str, Any] | None = None
    """Context extension: sequence_len, windows, rope_base and yarn of the model, as a meta's "samosa" has them."""
    optimizer: Literal["fresh", "inherit"] = "fresh"
    """What the first step finds: nothing, or the momenta that `init` was saved with."""
    lengthened: list[dict[str, Any]] = field(default_factory=list)
    """The lengths the run had before: fingerprint, horizon, unit and the step at which the next one took over."""
    price_per_hour: float | None = None
    """Dollars for the whole machine, for the progress line."""

    def __post_init__(self) -> None:
        if (self.init is None) == (self.model_config is None):
            raise ValueError(f"job {self.tag}: give init or model_config, one of them")

    @property
    def settings(self) -> Train:
        return Train.model_validate(self.train)

    @property
    def metrics_path(self) -> Path:
        return Path(self.run_dir) / METRICS_FILE

    @property
    def log_path(self) -> Path:
        return Path(self.run_dir) / LOG_FILE

    @property
    def marker_path(self) -> Path:
        return Path(self.run_dir) / MARKER_FILE

    @property
    def job_path(self) -> Path:
        return Path(self.run_dir) / JOB_FILE


def write_job(job: Job) -> Path:
    """Write the job to its run directory and return the file's path."""
    job.job_path.parent.mkdir(parents=True, exist_ok=True)
    home.write_atomic(job.job_path, json.dumps(asdict(job), indent=2) + "\n")
    return job.job_path


def read_job(path: Path) -> Job:
    """Read a job. Raises BadInput when the file is not one."""
    try:
        found = json.loads(path.read_text())
        known = {field.name for field in fields(Job)}
        if unknown := sorted(found.keys() - known):
            raise ValueError(f"unknown fields {unknown}")
        return Job(**found)
    except (OSError, ValueError, TypeError, AttributeError) as problem:
        raise BadInput(
            f"{path} is not a training job: {problem}", hint="start the run through samosa, it writes this file"
        ) from problem


def val_path(out_dir: Path, step: int) -> Path:
    """The validation result of the checkpoint at `step`.

    A file of its own: weights are saved before they are evaluated, and a checkpoint with a manifest is immutable.
    """
    return out_dir / f"val_{step:06d}.json"


def read_val_bpb(out_dir: Path, step: int) -> float | None:
    """Validation bits per byte of the checkpoint at `step`; None when it was not validated."""
    path = val_path(out_dir, step)
    return float(json.loads(path.read_text())["val_bpb"]) if path.exists() else None


def complete_checkpoints(job: Job) -> list[home.CheckpointRef]:
    """This job's checkpoints whose manifest exists, ascending: what `latest` and resume may see.

    One whose meta is lost or unreadable is among them: loading says so, and resuming sets it aside. Raises BadInput
    when the folder holds checkpoints of another job or of another program: a tag is trained once.
    """
    out_dir, refs = Path(job.out_dir), []
    ours = {job.fingerprint, *(before["fingerprint"] for before in job.lengthened)}
    named = [path for pattern in ("meta_*.json", "manifest_*.json") for path in out_dir.glob(pattern)]
    for step in sorted({int(path.stem.split("_")[1]) for path in named}):
        ref = home.CheckpointRef(job.kind, job.tag, step, out_dir)
        if read_meta(ref) and own_fields(ref).get("fingerprint") not in ours:
            raise BadInput(
                f"{ref.name} exists already, trained with other settings, data or another program",
                hint=f"train under another tag, for example --tag {job.tag}b; what is there stays as it is",
            )
        if ref.manifest_path.exists():
            refs.append(ref)
    return refs


def finished(job: Job) -> home.CheckpointRef | None:
    """The run's last checkpoint, once it is saved and (where there are validation rows) validated."""
    refs = complete_checkpoints(job)
    own = own_fields(refs[-1]) if refs else {}
    if not refs or refs[-1].step != own.get("steps") or own.get("fingerprint") != job.fingerprint:
        return None
    validated = job.val_dir is None or val_path(Path(job.out_dir), refs[-1].step).exists()
    return refs[-1] if validated else None


def read_meta(ref: home.CheckpointRef) -> dict[str, Any]:
    """A checkpoint's meta; empty where it is broken, which loading then says."""
    try:
        return dict(json.loads(ref.meta_path.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def own_fields(ref: home.CheckpointRef) -> dict[str, Any]:
    """What samosa itself wrote into a checkpoint's meta; empty where that is broken or another program's."""
    own = read_meta(ref).get("samosa")
    return own if isinstance(own, dict) else {}


def out_of_memory_hint(micro_batch: int) -> str:
    """What to change when a training process ran out of memory: the knob that changes nothing else."""
    if micro_batch > 1:
        return (
            f"memory ran out: add --set train.micro_batch={micro_batch // 2} to the same command; it goes on from the"
            " last save, and the training stays the same, only slower"
        )
    return "memory ran out with one row at a time: shorten train.length, or use a machine with more memory"
