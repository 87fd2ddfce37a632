"""Where a run's first weights come from: a checkpoint here, one that is known elsewhere, or stages that make it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from samosa import home
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.home import CheckpointRef
from samosa.model.config import ModelConfig
from samosa.phases.doctor import Check, check_tokenizer, missing
from samosa.phases.settings import known_checkpoints
from samosa.phases.stage import Facts, Named, Stage, Work

SAMPLES = 16  # stretches of a large file that stand for it
SAMPLE_BYTES = 2**20


@dataclass(frozen=True)
class Init:
    """The weights a run starts from."""

    name: str
    """As the recipe says it."""
    config: ModelConfig
    basis: str
    """Where the shape is from."""
    ref: CheckpointRef | None = None
    """The checkpoint, when it is on this machine and no stage makes it."""
    stage: Stage | None = None
    """The stage that makes it."""
    problem: SamosaError | None = None
    """Why there are no weights here."""
    windows: tuple[int, ...] | None = None
    """The attention windows it was trained with, where the recipe knows better than its meta."""

    @property
    def source(self) -> Stage | Named:
        """What a stage that starts from it has among its inputs."""
        return self.stage or Named(self.name, None if self.ref is None else identity(self.ref))

    def found(self, work: Work) -> CheckpointRef:
        """The checkpoint, once the stages before have run."""
        if "init" in work.made:
            return checkpoint_of(work.made["init"].facts)
        if self.ref is None:
            raise self.problem or NotReady(f"{self.name} is not on this machine", hint="`--plan` shows what is missing")
        return self.ref

    def checks(self) -> list[Check]:
        """Whether weights and tokenizer are here, or will be made."""
        if self.problem is not None:
            return [missing("init", self.problem)]
        if self.stage is not None:
            there = (home.tokenizer_dir() / "tokenizer.pkl").is_file()
            made = Check("init", f"{self.name}, which {self.stage.name} makes")
            return [made, *([check_tokenizer(self.config, self.name)] if there else [])]
        assert self.ref is not None
        return [Check("init", f"{self.ref.name} in {self.ref.directory}"), check_tokenizer(self.config, self.ref.name)]


def find_init(name: str, shape: ModelConfig) -> Init:
    """Look a checkpoint up on disk, then among the known ones, whose shape is the recipe's until they are here.

    Raises BadInput for a name that nobody knows; that a known checkpoint is missing or broken becomes `problem`.
    """
    try:
        ref = on_disk(name)
        _check_whole(ref)
        return Init(name, config_of(ref), f"{ref.name}'s meta", ref=ref)
    except NotReady as problem:
        return Init(name, shape, "recipe (shape)", problem=problem)


def with_windows(init: Init, windows: tuple[int, ...] | None) -> Init:
    """The init with the windows of the recipe's `init_windows`. Raises BadInput when they do not fit its layers."""
    if windows is None:
        return init
    if len(windows) != init.config.n_layer:
        raise BadInput(
            f"init_windows has {len(windows)} windows and {init.name} has {init.config.n_layer} layers",
            hint=f"samosa inspect {init.name} --windows prints the line",
        )
    config = replace(init.config, windows=windows)
    return replace(init, windows=windows, config=config, basis=f"{init.basis}, init_windows")


def made_by(stage: Stage, name: str, config: ModelConfig) -> Init:
    """The init that a stage makes, or made: then it must be whole."""
    problem = None
    try:
        _check_whole(home.find_checkpoint(name))
    except BadInput:
        pass  # not made yet
    except NotReady as broken:
        folder = home.find_checkpoint(name).directory
        problem = NotReady(broken.message, hint=f"delete {folder} and it is made again, or copy the file again")
    return Init(name, config, "recipe (shape)", stage=stage, problem=problem)


def checkpoint_of(facts: Facts) -> CheckpointRef:
    """The checkpoint that a training stage's facts point at."""
    return home.find_checkpoint(str(facts["checkpoint"]))


def still_there(facts: Facts) -> bool:
    """Whether the checkpoint a training stage made is on this machine, and is the one it made."""
    try:
        ref = checkpoint_of(facts)
    except BadInput:
        return False
    return ref.manifest_path.is_file() and home.sha256_file(ref.manifest_path) == facts["manifest"]


def identity(ref: CheckpointRef) -> str:
    """What a checkpoint's content hashes to: by its manifest, or by its meta and stretches of its weights.

    Reading all of a foreign checkpoint's 4 GB at every start would take longer than planning does.
    """
    if ref.manifest_path.is_file():
        return home.sha256_file(ref.manifest_path)
    return hashlib.sha256((sampled(ref.model_path) + sampled(ref.meta_path)).encode()).hexdigest()


def sampled(path: Path) -> str:
    """The size of a large file and stretches of it, hashed: enough to tell which of a few known files it is."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for number in range(SAMPLES):
            file.seek(max(0, (size - SAMPLE_BYTES) * number // (SAMPLES - 1)))
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def on_disk(name: str) -> CheckpointRef:
    """Find a checkpoint here. Raises NotReady for a known one that is elsewhere, BadInput for a name nobody knows."""
    try:
        return home.find_checkpoint(name)
    except BadInput as unknown:
        match = home.NAME.fullmatch(name)
        known = known_checkpoints()
        entry = known.get(match["tag"]) if match else None
        if match is None or entry is None or int(match["step"] or entry.step) != entry.step:
            raise BadInput(unknown.message, hint=f"{unknown.hint}; known elsewhere: {', '.join(known)}") from None
        if match["step"] is None and home.list_checkpoints(entry.kind, match["tag"]):
            raise  # it is here, and which step is meant must be said
        files = f"model_{entry.step:06d}.pt and meta_{entry.step:06d}.json"
        raise NotReady(
            f"checkpoint {match['tag']}@{entry.step} is not on this machine",
            hint=f"copy {files} from {entry.path}/ of {entry.repo} to {home.root() / entry.path}/, and its tokenizer/",
        ) from None


def _check_whole(ref: CheckpointRef) -> None:
    """Raise NotReady when files are not what the manifest says, or, where others wrote none, the weights end too early.

    By sizes and the end of the file alone, which costs nothing; loading verifies the rest.
    """
    files: dict[str, dict[str, Any]] = {ref.model_path.name: {}, ref.meta_path.name: {}}
    if ref.manifest_path.is_file():
        files |= _read_json(ref.manifest_path).get("files", {})
    for name, entry in files.items():
        path = ref.directory / name
        size = path.stat().st_size if path.is_file() else None
        said = None
        if size is None:
            said = "is missing"
        elif size != entry.get("bytes", size):
            said = f"has {size:,} bytes and should have {entry['bytes']:,}"
        elif path == ref.model_path and not zipfile.is_zipfile(path):
            said = "was cut off, or is no torch file"  # a zip's directory is at its end
        if said:
            others = [other.name for other in home.list_checkpoints(ref.kind, ref.tag) if other.step != ref.step]
            raise NotReady(
                f"checkpoint {ref.name} is broken: {name} {said}",
                hint=f"copy it again{' or name another: ' + ', '.join(others) if others else ''}",
            )


def config_of(ref: CheckpointRef) -> ModelConfig:
    """The shape a checkpoint's meta gives. Raises NotReady when the meta is missing, broken or makes no model."""
    try:
        return ModelConfig.from_meta(_read_json(ref.meta_path))
    except BadInput as broken:
        raise NotReady(f"checkpoint {ref.name} is broken: {broken.message}", hint="copy it again") from broken


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotReady(f"{path} cannot be read: {error}", hint="copy the checkpoint again") from error
    return dict(found)
