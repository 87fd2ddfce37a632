"""The questions of a benchmark: from a local folder of the schema that the Hub has, or from a pinned commit there."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from samosa import console, home
from samosa.data.lines import open_lines
from samosa.data.sources import remote
from samosa.data.sources.reading import CARD, files_of
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.eval.benchmarks.settings import Source

T = TypeVar("T")
Row = dict[str, Any]
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
FILES = "files-{config}-{split}.json"


@dataclass(frozen=True)
class Place:
    """One split of one benchmark, and how a person names it."""

    suite: str
    """The section of the recipe."""
    source: Source
    config: str
    split: str
    several: bool
    """Whether the benchmark has other configs: then local files lie in folders of their names."""

    @property
    def repo(self) -> str:
        return self.source.repo

    @property
    def substitute(self) -> None:
        return None

    @property
    def name(self) -> str:
        """What an error calls it."""
        return f"{self.suite} {self.config} {self.split}" if self.several else f"{self.suite} {self.split}"

    @property
    def put_it(self) -> str:
        """Where to put local files."""
        inside = f"{self.config}/" if self.several else ""
        there = f"FOLDER with {inside}{self.split}.jsonl (or .parquet)"
        return f"--set {self.suite}.path={there} in the schema of {self.repo}"


def read(place: Place, parse: Callable[[Row], T], *, again: str) -> list[T]:
    """The rows of a split as `parse` makes them. `again` is the command to type once what is missing is there.

    Raises BadInput with file and row for a row that `parse` finds a KeyError, TypeError or ValueError in, and for a
    split without rows; NotReady where there is neither the local file nor a way to the Hub.
    """
    parsed = []
    for path in files(place, again=again):
        for number, (_, line) in enumerate(open_lines(path), 1):
            try:
                parsed.append(parse(json.loads(line)))
            except (KeyError, TypeError, ValueError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
                raise BadInput(
                    f"{path}: row {number} is no question of {place.repo}: {what}",
                    hint=f"the schema is that of {remote.endpoint()}/datasets/{place.repo}",
                ) from error
    if not parsed:
        raise BadInput(f"{place.name} has no rows", hint=place.put_it)
    return parsed


def files(place: Place, *, again: str) -> list[Path]:
    """The files of a split, local or fetched. Raises NotReady as `read` does."""
    return _fetched(place, again) if place.source.path is None else [_local(place, place.source.path)]


def _local(place: Place, path: str) -> Path:
    folder = home.root() / Path(path).expanduser()
    if place.several:
        folder /= place.config
    for suffix in SUFFIXES:
        found = folder / f"{place.split}{suffix}"
        if found.is_file():
            return found
    raise NotReady(f"{place.name} is not in {folder}: there is no {place.split}.jsonl or .parquet", hint=place.put_it)


def _fetched(place: Place, again: str) -> list[Path]:
    """The files in $SAMOSA_HOME/data/benchmarks, once there of the pinned commit without any network."""
    folder = home.root() / "data" / "benchmarks" / place.repo.replace("/", "--") / place.source.revision
    index = folder / FILES.format(config=place.config, split=place.split)
    if index.is_file() and all((folder / name).is_file() for name in json.loads(index.read_text())):
        return [folder / name for name in json.loads(index.read_text())]
    repo = remote.Repo(place.repo, "dataset", again)
    try:
        commit = remote.resolve(repo, place.source.revision)
        there = {file.path: file for file in remote.list_files(repo, commit)}
        card = ""
        if CARD in there:
            remote.fetch(repo, commit, there[CARD], folder / CARD)
            card = (folder / CARD).read_text(encoding="utf-8")
        names = files_of(place, card, list(there), name=place.name)
        for name in names:
            console.live_line(f"{place.name}: fetching {name}, {there[name].size / 1e6:,.1f} MB")
            remote.fetch(repo, commit, there[name], folder / name)
    except SamosaError as error:
        raise type(error)(error.message, hint=f"{error.hint}; or {place.put_it}") from error
    home.write_atomic(index, json.dumps(names))
    return [folder / name for name in names]


def drawn(questions: Sequence[T], limit: int | None, seed: int) -> list[T]:
    """`limit` of them drawn by seed, in their own order; None is all."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return [questions[index] for index in sorted(random.Random(seed).sample(range(len(questions)), limit))]
