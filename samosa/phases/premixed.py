"""A folder that `samosa mix` wrote, taken by a training as it is (`mix.made`)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from samosa import home
from samosa.errors import BadInput
from samosa.phases.doctor import Check, missing
from samosa.phases.mixing import RECORD, TRAINING, VALIDATION
from samosa.phases.stage import Facts, file_identity


def folder_of(made: str) -> Path:
    """Where the mix lies: relative to $SAMOSA_HOME."""
    return home.root() / Path(made).expanduser()


def record_of(folder: Path) -> dict[str, Any]:
    """What `samosa mix` says it wrote there. Raises BadInput where there is no whole mix."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == record["files"][name]["bytes"] for name in (TRAINING, VALIDATION))
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "its account cannot be read"
        raise BadInput(f"mix.made: {folder} is no mix ({why})", hint=f"samosa mix --out {folder}") from error
    if not whole:
        raise BadInput(f"mix.made: {folder} is not as it was written", hint=f"samosa mix --out {folder}")
    return record


def check(made: str) -> Check:
    """Whether the mix is on this machine, whole."""
    try:
        record = record_of(folder_of(made))
    except BadInput as error:
        return missing("data mix", error)
    return Check("data mix", f"{folder_of(made)} ({record['files'][TRAINING]['rows']:,} training rows)")


def tokens_of(made: str) -> int:
    """How many tokens an epoch of it has, as its account says. Raises BadInput where there is none."""
    return sum(source["tokens"] for source in record_of(folder_of(made))["sources"])


def take(made: str, out: Path) -> Facts:
    """Copy both files into `out`, verified. Raises BadInput where they are not those that were written."""
    folder = folder_of(made)
    record = record_of(folder)
    for name in (TRAINING, VALIDATION):
        if file_identity(folder / name) != record["files"][name]["sha256"]:
            raise BadInput(f"{folder / name} was changed since it was mixed", hint=f"samosa mix --out {folder}")
        with home.atomic_path(out / name) as temp:
            shutil.copyfile(folder / name, temp)
    training, validation = (record["files"][name]["rows"] for name in (TRAINING, VALIDATION))
    said = f"{training:,} rows from {len(record['sources'])} sources, {validation:,} held out, as {folder} has them"
    return {"said": said, "shares": record["sources"]}
