"""Where the rows of a file go when it is sorted: kept rows, and beside them the others with their line numbers.

Chunks write records whose line numbers count from the chunk's beginning; `joining` makes them count from the file's, so
that they are the same however the file was cut.
"""

import base64
import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from samosa.data.lines import Block, BrokenInput, blocks
from samosa.data.manifest import Chunk, format_of
from samosa.data.parallel import Result
from samosa.errors import BadInput

KEPT, KEPT_ZST, GAPS, REJECTED, BROKEN = "kept", "kept.zst", "gaps", "rejected", "broken"
"""What a chunk calls its files. Of a plain file it writes no rows: GAPS (int64) says where those lie that are not kept,
and the line of each rejected one; what is told of that is a line of REJECTED."""
SUFFIXES = (".zst", ".zstd", ".gz", ".jsonl", ".ndjson", ".json", ".parquet")
BOM = b"\xef\xbb\xbf"
LINE = b'{"line":'
"""What every record begins with; the number after it counts from 1."""


@dataclass(frozen=True)
class Place:
    """A file to filter and where its rows go."""

    source: Path
    kept: Path
    """Plain where the source is; else zst, of one frame or more: gzip would take longer than all the rest."""
    rejected: Path
    broken: Path
    """There only when the source has lines that are no conversations, or cannot be read to its end."""


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


def states_of(places: Sequence[Place]) -> list[tuple[str, int, int]]:
    """Each source's path, bytes and time, by which a change is seen; one that is gone has neither."""
    states = []
    for place in places:
        try:
            stat = place.source.stat()
        except FileNotFoundError:
            states.append((str(place.source.resolve()), -1, -1))
        else:
            states.append((str(place.source.resolve()), stat.st_size, stat.st_mtime_ns))
    return states


class Numbered:
    """The rows of a chunk that are not blank, with their line numbers from 1; `unread` is what cannot be read, `bytes`
    how many were.

    Of a plain file it also knows where rows lie: `span` is where the chunk's lines begin and end, and `gaps` (threes,
    in any order) where one begins and ends that is blank or was left out, and its line number if rejected, else 0.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk, self.passed, self.at, self.bytes = chunk, 0, 0, 0
        self.unread: list[tuple[int, str]] = []
        self.span, self.gaps = (0, 0), array("q")

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The number of each line that is not blank, and the line without its newline."""
        for first, block in self.blocks():
            self.at = block.at
            for number, line in enumerate(block.lines, first):
                if line.isspace():
                    self.leave_out(self.at, len(line))
                else:
                    yield number, line[:-1]
                self.at += len(line)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """All lines, blank ones among them, many at once: the number of the first, and they."""
        chunk: Chunk | None = self.chunk
        while chunk is not None:
            try:
                for block in blocks(chunk):
                    first = (block.at if chunk.kind == "parquet" else self.passed) + 1
                    self.passed = first + len(block.lines) - 1
                    self.bytes += block.size
                    if chunk.kind == "lines":
                        self.span = self.span[0] if self.span[1] else block.at, block.at + block.size
                    yield first, block
                return
            except BrokenInput as error:
                self.unread.append((error.number + 1, f"cannot be read {error.where}: {error.why}"))
                chunk = error.rest

    def leave_out(self, at: int, size: int, rejected: int = 0) -> None:
        """Take the line that begins there, of so many bytes with its newline, out of the kept ones: the rejected row of
        that number, or none."""
        self.gaps.extend((at, at + size, rejected))


def rejected_record(line: int, told: bytes, row: bytes) -> bytes:
    """The record of a rejected row: its line, what is told of it (JSON, without braces), and the row, byte for byte."""
    return b'%b%d,%b,"row":%b}\n' % (LINE, line, told, row.removeprefix(BOM).strip())


def broken_record(line: int, why: str, row: bytes | None) -> bytes:
    """The record of a line that is no row: as text where it is text, else in base64, so that it can be had back."""
    said: dict[str, str] = {"why": why}
    if row is not None:
        try:
            said["text"] = row.decode()
        except UnicodeDecodeError:
            said["base64"] = base64.b64encode(row).decode()
    return b"%b%d,%b\n" % (LINE, line, orjson.dumps(said)[1:])


def lines_before(results: Sequence[Result]) -> Iterator[int]:
    """How many lines of the file come before each chunk's line 1; parquet's rows are numbered from its beginning."""
    passed = 0
    for result in results:
        yield passed
        passed += result.counts["lines"] if result.chunk.kind == "lines" else 0


def first_broken(place: Place) -> str:
    with place.broken.open("rb") as file:
        record = json.loads(file.readline())
    return f"{place.source}:{record['line']}: {record['why']}"
