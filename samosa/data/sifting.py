"""Filters files: kept rows as their original bytes, in order; beside them the rejected with all their reasons, and lines
that are no conversations. Any number of workers and ranks makes the same bytes.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from samosa import home
from samosa.data import parallel
from samosa.data.filter import Judged, RuleSet, sort_lines
from samosa.data.lines import BLOCK, BrokenInput, all_lines, line_writer
from samosa.data.manifest import Chunk, chunks_of, format_of
from samosa.data.parallel import Counts, Result
from samosa.data.tally import Tally
from samosa.errors import BadInput

VERSION = 1  # part of every key: raise it when files are written otherwise
KEPT, KEPT_ZST, REJECTED, BROKEN = "kept", "kept.zst", "rejected", "broken"
PARTS, RECORD = ".parts", "filter.json"
BOM = b"\xef\xbb\xbf"
SUFFIXES = (".zst", ".zstd", ".gz", ".jsonl", ".ndjson", ".json", ".parquet")
LINE = b'{"line":'
"""What every record of a sidecar begins with; the number after it counts from the beginning of the file."""


@dataclass(frozen=True)
class Place:
    """A file to filter and where its rows go."""

    source: Path
    kept: Path
    """Plain where the source is; else zst, of one frame or more: gzip would take longer than all the rest."""
    rejected: Path
    broken: Path
    """There only when the source has lines that are no conversations, or cannot be read to its end."""


@dataclass(frozen=True)
class Sifted:
    """What became of one file."""

    place: Place
    tally: Tally
    first_broken: str | None
    """Where its first broken line stands and why it is one, for a person."""

    @classmethod
    def read(cls, place: Place, fields: Mapping[str, Any]) -> "Sifted":
        """What `fields` wrote."""
        return cls(place, Tally.read(fields["tally"]), fields["first_broken"])

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"tally": self.tally.fields(), "first_broken": self.first_broken}


@dataclass(frozen=True)
class Left:
    """Chunks that other ranks have still to do."""

    done: int
    chunks: int


def place_of(source: Path, out: Path) -> Place:
    """Where the rows of a file go. Raises BadInput for a file that is missing or unreadable."""
    stem = source.name
    while (suffix := Path(stem).suffix) in SUFFIXES:
        stem = stem.removesuffix(suffix)
    kept = source.name if format_of(source) == "plain" else f"{stem}.jsonl.zst"
    return Place(source, out / kept, out / f"{stem}.rejected.jsonl", out / f"{stem}.broken.jsonl")


def places_of(files: Sequence[Path], out: Path) -> list[Place]:
    """Where the rows of all files go. Raises BadInput where one would be written over another, or over its source."""
    places = [place_of(path, out) for path in files]
    sources = {path.resolve() for path in files}
    taken: dict[Path, Path] = {}
    for place in places:
        for target in (place.kept, place.rejected, place.broken):
            if target.resolve() in sources:
                raise BadInput(f"{target} would be written over", hint="name another folder with --out")
            if target in taken:
                both = f"{taken[target]} and {place.source}"
                raise BadInput(f"{both} would both be written to {target}", hint="filter them into two folders")
            taken[target] = place.source
    return places


def sift(
    places: Sequence[Place],
    out: Path,
    *,
    rules: RuleSet,
    chunk_bytes: int,
    workers: int,
    rank: int = 0,
    of: int = 1,
    progress: Callable[[Result | None], None] = lambda result: None,
) -> list[Sifted] | Left:
    """Filter every file to its place in `out`. What is done already is not done again, whoever did it.

    Returns what became of each file, in order, or how far it is when other ranks have chunks to do. Broken rows raise
    nothing: they are counted and written down. Raises BadInput for unreadable files, NotReady for a full disk.
    """
    key = _key(places, rules, chunk_bytes)
    if (found := _finished(places, out, key)) is not None:
        return found
    chunks = chunks_of([place.source for place in places], chunk_bytes=chunk_bytes)
    parts = out / PARTS
    work = partial(sift_chunk, rules=rules)
    part_key = f"{VERSION} {rules.key}"
    results = parallel.map_chunks(
        work, chunks, parts, key=part_key, workers=workers, rank=rank, of=of, progress=progress
    )
    with parallel.alone(parts):
        if (found := _finished(places, out, key)) is not None:  # another rank was quicker, and its parts are merged
            parallel.remove(results, parts)
            return found
        if len(results) < len(chunks):
            return Left(len(results), len(chunks))
        sifted = [_merged(place, [r for r in results if r.chunk.path == place.source]) for place in places]
        _record(places, sifted, out, key)
        parallel.remove(results, parts)
    return sifted


def sift_chunk(chunk: Chunk, folder: Path, *, rules: RuleSet) -> Counts:
    """Filter one chunk into `folder`: kept rows, and sidecars whose line numbers count from the chunk's beginning."""
    tally, rows = Tally(), _Numbered(chunk)
    kept = KEPT if chunk.kind == "lines" else KEPT_ZST
    with (
        line_writer(folder / kept) as good,
        (folder / REJECTED).open("wb", BLOCK) as bad,
        (folder / BROKEN).open("wb", BLOCK) as broken,
    ):
        for judged in sort_lines(rules, rows):
            tally.add(judged)
            if judged.broken is not None:
                broken.write(_broken(judged.where, judged.broken, judged.line))
            elif judged.reasons:
                bad.write(_rejected(judged))
            else:
                good.write(judged.line + b"\n")
        for where, why in rows.unread:
            tally.unread += 1
            broken.write(_broken(where, why, None))
    return {"tally": tally.fields(), "lines": rows.passed}


class _Numbered:
    """The rows of a chunk that are not blank, with their line numbers from 1. What cannot be read is told at the end."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk, self.passed = chunk, 0
        self.unread: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        chunk: Chunk | None = self.chunk
        while chunk is not None:
            try:
                yield from self._lines(chunk)
                return
            except BrokenInput as error:
                self.unread.append((self.passed + 1, f"cannot be read {error.where}: {error.why}"))
                chunk = error.rest

    def _lines(self, chunk: Chunk) -> Iterator[tuple[int, bytes]]:
        counts_from_file = chunk.kind == "parquet"
        for at, line in all_lines(chunk):
            self.passed = at + 1 if counts_from_file else self.passed + 1
            if line and not line.isspace():
                yield self.passed, line


def _rejected(judged: Judged) -> bytes:
    """The record of a rejected row: its line, every reason, and the row itself, byte for byte."""
    reasons = [reason._asdict() for reason in judged.reasons]
    row = judged.line.removeprefix(BOM).strip()
    return b'%b%d,"reasons":%b,"row":%b}\n' % (LINE, judged.where, orjson.dumps(reasons), row)


def _broken(line: int, why: str, row: bytes | None) -> bytes:
    """The record of a line that is no row: as text where it is text, else in base64, so that it can be had back."""
    said: dict[str, str] = {"why": why}
    if row is not None:
        try:
            said["text"] = row.decode()
        except UnicodeDecodeError:
            said["base64"] = base64.b64encode(row).decode()
    return b"%b%d,%b\n" % (LINE, line, orjson.dumps(said)[1:])


def _merged(place: Place, results: Sequence[Result]) -> Sifted:
    """Join the parts of one file."""
    tally = Tally()
    for result in results:
        tally.merge(Tally.read(result.counts["tally"]))
    parallel.merge(results, KEPT if format_of(place.source) == "plain" else KEPT_ZST, place.kept)
    _join(results, REJECTED, place.rejected)
    if tally.broken or tally.unread:
        _join(results, BROKEN, place.broken)
    else:
        place.broken.unlink(missing_ok=True)  # of an earlier state of the file
    return Sifted(place, tally, _first_broken(place) if tally.broken or tally.unread else None)


def _join(results: Iterable[Result], name: str, target: Path) -> None:
    """Join the sidecars of chunks; line numbers come to count from the file's beginning."""
    passed = 0
    with home.atomic_path(target) as temp, temp.open("wb", BLOCK) as joined:
        for result in results:
            with (result.folder / name).open("rb", BLOCK) as part:
                for record in part:
                    number, rest = record.removeprefix(LINE).split(b",", 1)
                    joined.write(b"%b%d,%b" % (LINE, int(number) + passed, rest))
            if result.chunk.kind == "lines":
                passed += result.counts["lines"]


def _first_broken(place: Place) -> str:
    with place.broken.open("rb") as file:
        record = json.loads(file.readline())
    return f"{place.source}:{record['line']}: {record['why']}"


def _key(places: Sequence[Place], rules: RuleSet, chunk_bytes: int) -> str:
    """What decides every byte of the output."""
    stats = [(str(place.source.resolve()), place.source.stat()) for place in places]
    files = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    return hashlib.sha256(repr((VERSION, rules.key, chunk_bytes, files)).encode()).hexdigest()


def _record(places: Sequence[Place], sifted: Sequence[Sifted], out: Path, key: str) -> None:
    """Write down that all is done, after everything else."""
    files = [
        {"file": str(p.source), "sizes": {t.name: t.stat().st_size for t in _targets(p) if t.exists()}, **s.fields()}
        for p, s in zip(places, sifted, strict=True)
    ]
    home.write_atomic(out / RECORD, json.dumps({"key": key, "files": files}, indent=1) + "\n")


def _finished(places: Sequence[Place], out: Path, key: str) -> list[Sifted] | None:
    """What became of the files, if all of it is there."""
    try:
        record = json.loads((out / RECORD).read_text())
        if record["key"] != key:
            return None
        for place, entry in zip(places, record["files"], strict=True):
            if {t.name: t.stat().st_size for t in _targets(place) if t.exists()} != entry["sizes"]:
                return None
        return [Sifted.read(place, entry) for place, entry in zip(places, record["files"], strict=True)]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _targets(place: Place) -> tuple[Path, Path, Path]:
    return place.kept, place.rejected, place.broken
