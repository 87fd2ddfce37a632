"""A checkpoint's manifest: its files, how large they are and their hashes. Once it exists, the checkpoint counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from samosa.errors import NotReady
from samosa.home import CheckpointRef, complete_steps, sha256_file, write_atomic
from samosa.model.tensors import ANOTHER, Written


def write_manifest(ref: CheckpointRef, files: Mapping[Path, Written]) -> None:
    """Complete a checkpoint whose files are on disk."""
    entries = {
        path.relative_to(ref.directory).as_posix(): {"bytes": written.bytes, "sha256": written.sha256}
        for path, written in files.items()
    }
    write_atomic(ref.manifest_path, json.dumps({"step": ref.step, "files": entries}, indent=2) + "\n")


def read_manifest(ref: CheckpointRef) -> dict[str, Any] | None:
    """The manifest, or None where there is none. Raises NotReady when it cannot be read."""
    if not ref.manifest_path.is_file():
        return None
    manifest = read_json(ref.manifest_path)
    files = manifest.get("files")
    entries = files if isinstance(files, dict) else {}
    whole = all(isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys() for entry in entries.values())
    if not whole or ref.model_path.name not in entries:
        raise NotReady(f"{ref.manifest_path} is broken: it lists no files", hint=another(ref))
    return manifest


def verify(ref: CheckpointRef, only: Iterable[Path] | None = None) -> bool:
    """Compare files with the manifest, all of them or `only` those: False for a checkpoint that others wrote.

    Raises NotReady naming the first file that is missing, has another size or another SHA-256, or is not listed.
    """
    manifest = read_manifest(ref)
    if manifest is None:
        return False
    files = manifest["files"]
    names = files if only is None else [path.relative_to(ref.directory).as_posix() for path in only]
    for name in names:
        path = ref.directory / name
        if name not in files:
            raise NotReady(f"{ref.name} is broken: its manifest does not list {name}", hint=another(ref))
        if not path.is_file():
            raise NotReady(f"{ref.name} is incomplete: {name} is missing", hint=another(ref))
        size, entry = path.stat().st_size, files[name]
        if size != entry["bytes"]:
            raise NotReady(
                f"{ref.name} is broken: {name} has {size:,} bytes, not {entry['bytes']:,}", hint=another(ref)
            )
        if sha256_file(path) != entry["sha256"]:
            raise NotReady(f"{ref.name} is broken: {name} is not what was saved (SHA-256 differs)", hint=another(ref))
    return True


def another(ref: CheckpointRef) -> str:
    """What to do about a broken checkpoint: take the complete one before it, or else the one after it."""
    steps = complete_steps(ref.directory)
    earlier, later = [s for s in steps if s < ref.step], [s for s in steps if s > ref.step]
    if not earlier and not later:
        return ANOTHER
    name = f"{ref.tag}@{earlier[-1] if earlier else later[0]}"
    return f"name {name} instead (samosa inspect {name}), or copy the file again from where it came"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises NotReady when the file is missing or holds anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotReady(f"{path} is not there", hint=ANOTHER) from error
    except (ValueError, OSError) as error:
        raise NotReady(f"{path} cannot be read: {error}", hint=ANOTHER) from error
    if not isinstance(value, dict):
        raise NotReady(f"{path} is broken: not a JSON object", hint=ANOTHER)
    return value
