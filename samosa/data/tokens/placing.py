"""Numbered text shards in a folder: which number is next, and putting finished ones there in order, registered."""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from samosa import home
from samosa.data.tokens.register import Role, enter, entry_of
from samosa.errors import BadInput, NotReady, SamosaError

SHARD = re.compile(r"shard_(\d{5})\.parquet")


def shard_name(number: int) -> str:
    """nanochat's name of a shard."""
    return f"shard_{number:05d}.parquet"


def next_number(folder: Path, *, first: int, aside: Collection[str], asked: int | None = None) -> int:
    """The number the next shard has: `first`, or one more than the last. Files named in `aside` are not counted.

    Raises BadInput, which says what is next, where the shards from `first` on have a gap or `asked` is another number.
    """
    names = {path.name for path in folder.glob("shard_*.parquet")} - set(aside) if folder.is_dir() else set()
    numbers = sorted(int(match[1]) for name in names if (match := SHARD.fullmatch(name)) and int(match[1]) >= first)
    due = first + len(numbers)
    if numbers and numbers[-1] >= due:
        gap = next(number for number, there in enumerate(numbers, start=first) if number != there)
        raise BadInput(
            f"{folder} has {shard_name(numbers[-1])} and no {shard_name(gap)}: next is {gap}",
            hint=f"fetch the missing shards; if {shard_name(numbers[-1])} is none of the sequence: "
            f"--set 'aside=[\"{shard_name(numbers[-1])}\"]'",
        )
    if asked is not None and asked != due:
        why = f"shards 0 to {first - 1} are never written" if asked < first else "shards are added in order"
        raise BadInput(
            f"--first-shard {asked}: {why}, and in {folder} the next is {due}",
            hint=f"--first-shard {due}, or leave it out",
        )
    return due


@dataclass(frozen=True)
class Shard:
    """A text shard that a run made."""

    name: str
    bytes: int
    sha256: str
    documents: int
    characters: int
    role: Role


@dataclass
class Run:
    """What `samosa tokenize` did with some files, remembered so that it goes on after a stop and is done once."""

    key: str
    """sha256 of the files' content and of the settings that decide the shards."""
    folder: str
    inputs: list[dict[str, Any]]
    shards: list[Shard] = field(default_factory=list)
    """Known before the first is put in its place."""
    counts: dict[str, int] = field(default_factory=dict)
    done: bool = False
    """Every shard is in its place and in the register."""

    @property
    def work(self) -> Path:
        """Where its runs and unplaced shards lie until it is done."""
        return runs_folder() / self.key

    def save(self) -> None:
        home.write_atomic(self.work.with_suffix(".json"), json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, key: str) -> Self | None:
        """The run of this key, None where there is none. Raises NotReady for a broken record."""
        path = (runs_folder() / key).with_suffix(".json")
        try:
            values = json.loads(path.read_text())
            return cls(**{**values, "shards": [Shard(**shard) for shard in values["shards"]]})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotReady(f"{path} is broken: {error}", hint="delete it; shards in the register stay") from error

    def place(self, made: list[Path]) -> None:
        """Put the shards where they belong, in order, each entered in the register; those that are there stay.

        Raises BadInput where another file has a shard's name, NotReady where the disk is full.
        """
        folder = home.root() / self.folder
        for shard, path in zip(self.shards, made, strict=True):
            target = folder / shard.name
            if target.exists():
                if home.sha256_file(target) != shard.sha256:
                    raise BadInput(
                        f"{target} is there and is another file than this run made",
                        hint=f"move it away, or delete {self.work.with_suffix('.json')} to number the shards anew",
                    )
            else:
                with home.atomic_path(target) as temp:
                    _same_file(path, temp)
            entry = entry_of(target, shard.role, made=self.key)
            if entry.sha256 != shard.sha256:
                raise SamosaError(f"{target} was written wrongly", hint="look at the disk, and run it again")
            enter(entry)


def all_runs() -> list[Run]:
    """Every run that is remembered: what was put in place, and what was about to be."""
    found = (Run.load(path.stem) for path in sorted(runs_folder().glob("*.json")))
    return [run for run in found if run is not None]


def unfinished(folder: str, key: str) -> Run | None:
    """Another run that has put some of its shards into the folder and not all."""
    for run in all_runs():
        other = not run.done and run.key != key and run.folder == folder
        if other and any((home.root() / folder / shard.name).exists() for shard in run.shards):
            return run
    return None


def runs_folder() -> Path:
    """Where runs are remembered."""
    return home.root() / "data" / "tokenize"


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Raise NotReady while another process tokenizes in this home: numbers are given out one run at a time."""
    home.make_folder(runs_folder())
    with (runs_folder() / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady(
                f"another samosa tokenize is at work in {home.root()}",
                hint="wait until it is done, and run it again",
            ) from None
        yield


def _same_file(path: Path, target: Path) -> None:
    """The part stays as well, so that a run that is stopped here finds it: a second name costs no disk."""
    try:
        os.link(path, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(path, target)
