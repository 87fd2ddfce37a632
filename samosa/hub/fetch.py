"""Getting a checkpoint that others made from the Hub into $SAMOSA_HOME, as nanochat lays it out.

Nothing of it is opened here: it is bytes whose hashes are the Hub's. Weights and tokenizer are read later, by loaders
that run nothing (model/checkpoint.py, chat/tokenizer.py).
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.data.parallel import alone
from samosa.data.sources import remote
from samosa.data.sources.remote import RemoteFile, Repo
from samosa.errors import BadInput, SamosaError
from samosa.home import CheckpointRef

TOKENIZER_FILES = ("tokenizer.pkl", "token_bytes.pt")
WORK = ".pulling"


@dataclass(frozen=True)
class Wanted:
    """A checkpoint of a model repository that is laid out as a home."""

    ref: CheckpointRef
    """Its place on this machine."""
    repo: str
    folder: str
    """Its folder in the repository."""
    again: str
    optimizer: bool = False
    """Its optimizer shards too; a new run needs none."""


def fetch_checkpoint(wanted: Wanted) -> dict[str, Any]:
    """Pull a checkpoint and the tokenizer beside it; returns the record that is left as hub_<step>.json.

    The model file appears last, so a checkpoint is there whole or not at all; what is there already, with the Hub's
    hashes, is left alone, and what a kill cut short is gone on with. Raises BadInput where another checkpoint or
    tokenizer stands in the way, and as `remote.patiently` and `remote.fetch` do.
    """
    ref = wanted.ref
    repo = Repo(wanted.repo, "model", wanted.again)
    commit = remote.resolve(repo, "main")
    files = _files(wanted, repo, commit)
    targets = _targets(wanted, files)
    work = ref.directory / WORK
    with alone(work / "lock"):
        missing = [(file, target) for file, target in zip(files, targets, strict=True) if not _is_here(file, target)]
        home.require_space(ref.directory, sum(file.size for file, _ in missing))
        for file, target in missing:
            began = work / target.name
            said = f"{ref.name}: {target.name}"
            remote.fetch(repo, commit, file, began, progress=_told(said, file.size))
        for _, target in missing:  # the last is the model: until now nothing has changed
            home.make_folder(target.parent)
            (work / target.name).replace(target)
    shutil.rmtree(work)
    record = {
        "checkpoint": ref.name,
        "repo": wanted.repo,
        "commit": commit,
        "files": [
            {"path": str(target.relative_to(home.root())), "bytes": file.size, "sha256": file.sha256, "git": file.git}
            for file, target in zip(files, targets, strict=True)
        ],
    }
    home.write_atomic(ref.directory / f"hub_{ref.step:06d}.json", json.dumps(record, indent=1) + "\n")
    return {**record, "fetched": [str(target) for _, target in missing]}


def _files(wanted: Wanted, repo: Repo, commit: str) -> list[RemoteFile]:
    """What belongs to the checkpoint, the model file last."""
    ref = wanted.ref
    there = {Path(file.path).name: file for file in remote.list_files(repo, commit, wanted.folder, deep=False)}
    tokenizer = {Path(file.path).name: file for file in remote.list_files(repo, commit, "tokenizer", deep=False)}
    names = [ref.meta_path.name]
    if wanted.optimizer:
        shards = sorted(name for name in there if name.startswith(f"optim_{ref.step:06d}"))
        if not shards:
            raise _absent(wanted, repo, f"optim_{ref.step:06d}*", sorted(there))
        names += shards
    for name in (*names, ref.model_path.name):
        if name not in there:
            raise _absent(wanted, repo, name, sorted(there))
    for name in TOKENIZER_FILES:
        if name not in tokenizer:
            raise _absent(wanted, repo, f"tokenizer/{name}", sorted(tokenizer))
    return [
        *(tokenizer[name] for name in TOKENIZER_FILES),
        *(there[name] for name in names),
        there[ref.model_path.name],
    ]


def _targets(wanted: Wanted, files: Sequence[RemoteFile]) -> list[Path]:
    folders = [home.tokenizer_dir() if file.path.startswith("tokenizer/") else wanted.ref.directory for file in files]
    return [folder / Path(file.path).name for folder, file in zip(folders, files, strict=True)]


def _is_here(file: RemoteFile, target: Path) -> bool:
    """Whether a file is on this machine already. Raises BadInput where another one stands in its place."""
    if not target.exists():
        return False
    if target.is_file() and target.stat().st_size == file.size and remote.is_whole(target, file):
        console.say(f"{target} is here already")
        return True
    raise BadInput(
        f"{target} is there and is not the file of the Hub", hint="move it away, or set SAMOSA_HOME to another folder"
    )


def _absent(wanted: Wanted, repo: Repo, name: str, have: Sequence[str]) -> SamosaError:
    return SamosaError(
        f"{repo.id} has no {name} for {wanted.ref.name}; its folder has {', '.join(have[:6]) or 'nothing'}",
        hint=f"look at {repo.url}/tree/main/{wanted.folder}",
    )


def _told(said: str, size: int) -> Any:
    return lambda done: console.live_line(f"{said}, {done / 1e6:,.0f} of {size / 1e6:,.0f} MB")
