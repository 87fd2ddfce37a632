"""The register: files that must never change again, and the proof that they have not.

register.jsonl in the home has one line a file: its path there, bytes, sha256, time of change, and what it is for. Lines
are only ever appended. A file is entered when it is made here, or when it is first found.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from samosa import home
from samosa.errors import NotReady, SamosaError

Role = Literal["shard", "validation"]


@dataclass(frozen=True)
class Entry:
    """A file as it was at a time. `path` is relative to the home where it lies in it."""

    path: str
    bytes: int
    sha256: str
    mtime_ns: int
    role: Role
    made: str = ""
    """The run that made it here; empty for a file that was found."""

    @property
    def content(self) -> tuple[int, str]:
        return self.bytes, self.sha256


def register_file() -> Path:
    """Where the register lies."""
    return home.root() / "register.jsonl"


def registered() -> dict[str, Entry]:
    """The register by path. Raises NotReady for a line that is broken or says of a file what another line denies."""
    entries: dict[str, Entry] = {}
    try:
        lines = register_file().read_text().splitlines()
    except FileNotFoundError:
        return {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = Entry(**json.loads(line))
            earlier = entries.setdefault(entry.path, entry)
            if earlier.content != entry.content:
                raise ValueError(f"another line says other bytes of {entry.path}")
        except (ValueError, TypeError) as error:
            raise NotReady(
                f"{register_file()}:{number} is broken: {error}",
                hint="look at that line: the register says what must never change, and is only ever appended to",
            ) from error
    return entries


def enter(entry: Entry) -> None:
    """Append a file to the register, unless it says the same already."""
    if registered().get(entry.path, None) is None:
        home.append_line(register_file(), json.dumps(asdict(entry)))


def entry_of(path: Path, role: Role, *, made: str = "") -> Entry:
    """A file as it is now; its bytes are read for their hash."""
    stat = path.stat()
    return Entry(_named(path), stat.st_size, home.sha256_file(path), stat.st_mtime_ns, role, made)


def validation_names(folder: Path) -> set[str]:
    """The files of a folder that were made to be validated on."""
    made = {home.root() / entry.path for entry in registered().values() if entry.role == "validation"}
    return {path.name for path in made if path.parent == folder}


def check_files(files: dict[Path, Role], *, workers: int, tell: Callable[[str], None]) -> list[Entry]:
    """The files as they are now, every byte read, and entered where they were not. `tell` is given what is being done.

    Raises NotReady for a file that is not what the register says.
    """
    known = registered()
    tell(f"reading {len(files)} files that must not change")
    found = _entries(files, workers)
    for entry in found:
        before = known.get(entry.path)
        if before is None:
            enter(entry)
        elif before.content != entry.content:
            raise NotReady(
                f"{entry.path} has changed: it has {entry.bytes:,} bytes, sha256 {entry.sha256[:12]}, and the register "
                f"says {before.bytes:,}, {before.sha256[:12]}",
                hint="fetch or copy that file again: nothing is added beside shards that have changed",
            )
    return found


def prove_untouched(before: Sequence[Entry], *, workers: int) -> None:
    """Raise SamosaError unless these files have the bytes and times they had."""
    again = _entries({home.root() / entry.path: entry.role for entry in before}, workers)
    for old, new in zip(before, again, strict=True):
        if (old.content, old.mtime_ns) != (new.content, new.mtime_ns):
            raise SamosaError(
                f"{old.path} was changed while this ran",
                hint="something else wrote to it: fetch or copy that file again",
            )


def _entries(files: dict[Path, Role], workers: int) -> list[Entry]:
    with ThreadPoolExecutor(max(1, workers)) as threads:  # hashing lets go of the interpreter
        return list(threads.map(entry_of, files, files.values()))


def _named(path: Path) -> str:
    path = path.absolute()
    return path.relative_to(home.root()).as_posix() if path.is_relative_to(home.root()) else str(path)
