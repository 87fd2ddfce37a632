"""What a resumed run needs beside the weights: where it was, and the optimizer's state in one part per rank.

Every rank writes the state of the parameters it owns and leaves a note; rank 0 makes the index of the notes. Whoever
loads looks a name up in the index, so a run may go on with another number of ranks.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samosa.errors import NotReady, SamosaError
from samosa.home import CheckpointRef, require_space, sha256_file, write_atomic
from samosa.model.manifest import another, read_json, read_manifest, verify
from samosa.model.tensors import Written, load_tensors, save_tensors, size_of

CURSOR, INDEX = "cursor.json", "index.json"
WHOLE = "optimizer.pt"  # the state of all parameters in one file: how it was saved before ranks shared the work
LOOK_EVERY = 0.05  # seconds


@dataclass(frozen=True)
class Part:
    """One rank's share of the optimizer's state on disk."""

    file: str
    names: Sequence[str]
    """The parameters it holds the state of."""
    written: Written


def load_train_state(ref: CheckpointRef) -> dict[str, Any] | None:
    """{"optimizer": state by parameter name or None, "cursor": dict or None}; None when there is no such state.

    Raises NotReady for files that are missing, broken or not what the manifest says.
    """
    manifest = read_manifest(ref)
    listed = manifest["files"] if manifest else {}

    def there(file: str) -> bool:
        """Also true for one that should be there: loading then says that it is missing."""
        path = ref.train_dir / file
        return path.relative_to(ref.directory).as_posix() in listed or path.is_file()

    optimizer: Mapping[str, Any] | None = None
    if there(INDEX):
        optimizer = StoredState(ref, _small(ref, INDEX))
    elif there(WHOLE):
        optimizer = load_part(ref, WHOLE)
    cursor = _small(ref, CURSOR) if there(CURSOR) else None
    return None if optimizer is cursor is None else {"optimizer": optimizer, "cursor": cursor}


def _small(ref: CheckpointRef, file: str) -> dict[str, Any]:
    verify(ref, [ref.train_dir / file])
    return read_json(ref.train_dir / file)


class StoredState(Mapping[str, Any]):
    """The optimizer's state by parameter name. A part is verified and opened when one of its names is asked for."""

    def __init__(self, ref: CheckpointRef, index: Mapping[str, Any]):
        self._ref = ref
        self._opened: dict[str, Mapping[str, Any]] = {}
        try:
            self._file_of = {str(name): str(part["file"]) for part in index["parts"] for name in part["names"]}
        except (KeyError, TypeError) as error:
            raise NotReady(f"{ref.train_dir / INDEX} is broken: it lists no parts", hint=another(ref)) from error

    def __getitem__(self, name: str) -> Any:
        file = self._file_of[name]
        if file not in self._opened:
            self._opened[file] = load_part(self._ref, file)
        try:
            return self._opened[file][name]
        except KeyError as error:
            raise NotReady(
                f"{self._ref.train_dir / file} is broken: it lacks {name}", hint=another(self._ref)
            ) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._file_of)

    def __len__(self) -> int:
        return len(self._file_of)


def load_part(ref: CheckpointRef, file: str) -> Mapping[str, Any]:
    """One file of optimizer state, verified; its tensors stay on disk until they are copied out of it."""
    path = ref.train_dir / file
    if path.parent != ref.train_dir:
        raise NotReady(f"{ref.train_dir / INDEX} is broken: {file!r} is no file of its folder", hint=another(ref))
    state = load_tensors(path, checked=verify(ref, [path]), mapped=True)
    if not isinstance(state, Mapping) or not all(isinstance(fields, Mapping) for fields in state.values()):
        raise NotReady(f"{path} is broken: not optimizer state by name", hint=another(ref))
    return state


def write_part(ref: CheckpointRef, rank: int, state: Mapping[str, Any]) -> Part:
    """Write one rank's share of the state. Raises NotReady when the disk is full or cannot be written."""
    path = ref.train_dir / f"optim_{rank}.pt"
    require_space(path, size_of(state))
    return Part(path.name, list(state), save_tensors(dict(state), path))


def leave_note(ref: CheckpointRef, rank: int, save: str, part: Part) -> None:
    """Tell rank 0 that this rank's part is on disk. `save` names the attempt, which an old note does not."""
    written = {"bytes": part.written.bytes, "sha256": part.written.sha256}
    note = {"save": save, "file": part.file, "names": list(part.names), **written}
    write_atomic(_note(ref, rank), json.dumps(note) + "\n")


def leave_failure(ref: CheckpointRef, rank: int, save: str, why: str) -> None:
    """Tell rank 0 that this rank's part will not come, so that it need not wait."""
    with contextlib.suppress(OSError, SamosaError):  # then it finds out by waiting
        write_atomic(_note(ref, rank), json.dumps({"save": save, "failed": why}) + "\n")


def await_parts(
    ref: CheckpointRef, ranks: Sequence[int], save: str, *, patience: float, given_up: Callable[[], bool]
) -> list[Part]:
    """The parts of other ranks, as soon as their notes are there: files, so that a rank that dies blocks nobody.

    Raises NotReady when a rank failed, when `patience` seconds are over, or once it is `given_up`.
    """
    parts, deadline = [], time.monotonic() + patience
    for rank in ranks:
        while (note := _read_note(ref, rank, save)) is None:
            if given_up() or time.monotonic() > deadline:
                raise NotReady(
                    f"rank {rank} did not save its part of {ref.name}", hint="look for its error in train.log"
                )
            time.sleep(LOOK_EVERY)
        if "failed" in note:
            raise NotReady(f"rank {rank}: {note['failed']}", hint="look at the disk this rank writes to")
        parts.append(Part(note["file"], note["names"], Written(note["bytes"], note["sha256"])))
    return parts


def write_index(ref: CheckpointRef, parts: Sequence[Part]) -> dict[Path, Written]:
    """Say which part holds which parameter. Returns all files of the optimizer's state, the index among them."""
    files = {ref.train_dir / part.file: part.written for part in parts}
    listed = [
        {"file": p.file, "names": list(p.names), "bytes": p.written.bytes, "sha256": p.written.sha256} for p in parts
    ]
    files |= write_text(ref.train_dir / INDEX, json.dumps({"parts": listed}, indent=1) + "\n")
    for note in ref.train_dir.glob(_note(ref, 0).name.replace("0", "*")):
        note.unlink(missing_ok=True)
    return files


def write_text(path: Path, text: str) -> dict[Path, Written]:
    """Write a small file and say what was written."""
    write_atomic(path, text)
    return {path: Written(path.stat().st_size, sha256_file(path))}


def _note(ref: CheckpointRef, rank: int) -> Path:
    return ref.train_dir / f"optim_{rank}.json"


def _read_note(ref: CheckpointRef, rank: int, save: str) -> dict[str, Any] | None:
    with contextlib.suppress(FileNotFoundError):
        note = json.loads(_note(ref, rank).read_text(encoding="utf-8"))
        return note if note["save"] == save else None
    return None
