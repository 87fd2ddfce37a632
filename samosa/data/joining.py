"""Joins what became of a file's chunks into its outputs, chunk by chunk in their order, while others are worked on."""

import shutil
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path

from samosa import home
from samosa.data import parallel
from samosa.data.direct import COPIED, DirectWriter
from samosa.data.lines import BLOCK
from samosa.data.manifest import Chunk
from samosa.data.parallel import Result
from samosa.data.sidecars import BROKEN, GAPS, KEPT, KEPT_ZST, LINE, REJECTED, Place, rejected_record

Add = Callable[[Result], None]
"""Takes the next result. Raises FileNotFoundError where the chunk's part is gone."""


class _Unfinished(Exception):
    """Chunks of a file are missing at the end."""


@contextmanager
def joined(place: Place, parts: Path, rejected: Path, *, kept: bool = True) -> Iterator[Add]:
    """What adds the chunks of a file, in their order, to its outputs; they appear whole when the block ends, and not at
    all when it fails. `parts` is the folder of the chunks' parts, `rejected` where the records of rejected rows go;
    without `kept` no rows are copied. Raises NotReady where the disk is full.
    """
    with parallel.scratch(parts) as folder, home.failure_said(place.kept):
        with ExitStack() as files:
            outputs = _Outputs(place, rejected, kept, folder, files)
            yield outputs.add
        outputs.appear()


@contextmanager
def joined_as_they_come(places: Sequence[Place], chunks: Sequence[Chunk], parts: Path) -> Iterator["Order"]:
    """What takes the chunks of all files in whatever order. A file appears when its last chunk has come; one that still
    waits for some when the block ends leaves no trace.
    """
    with suppress(_Unfinished), ExitStack() as files:
        order = Order(places, chunks, parts, files)
        yield order
        if not order.complete:
            raise _Unfinished


class Order:
    """Joins each chunk as soon as those before it are."""

    def __init__(self, places: Sequence[Place], chunks: Sequence[Chunk], parts: Path, files: ExitStack) -> None:
        self._places = {place.source: place for place in places}
        self._parts = parts
        self._left = list(reversed(chunks))
        self._files = files
        self._waiting: dict[Chunk, Result] = {}
        self._add: Add | None = None
        self._gone = False

    @property
    def complete(self) -> bool:
        """Whether every file is joined."""
        return not (self._left or self._gone)

    def take(self, result: Result) -> None:
        """Take the next result, unless somebody has removed its part: whoever does the same work has joined all then.
        Raises NotReady where the disk is full.
        """
        self._waiting[result.chunk] = result
        while self._left and self._left[-1] in self._waiting and not self._gone:
            chunk = self._left.pop()
            try:
                self._join(self._waiting.pop(chunk), last=not self._left or self._left[-1].path != chunk.path)
            except FileNotFoundError:
                self._gone = True

    def _join(self, result: Result, *, last: bool) -> None:
        if self._add is None:
            place = self._places[result.chunk.path]
            self._add = self._files.enter_context(joined(place, self._parts, place.rejected))
        self._add(result)
        if last:
            self._files.close()
            self._add = None


class _Outputs:
    def __init__(self, place: Place, rejected: Path, kept: bool, folder: Path, files: ExitStack) -> None:
        self._place, self._folder, self._files = place, folder, files
        self._kept = self._new(KEPT) if kept else None
        self._rejected, self._broken = self._new(REJECTED), self._new(BROKEN)
        self._block = memoryview(bytearray(COPIED))
        self._targets = {REJECTED: rejected} | ({KEPT: place.kept} if kept else {})
        self._passed = 0  # lines of the file before the next chunk's line 1

    def add(self, result: Result) -> None:
        if result.chunk.kind == "lines":
            self._add_lines(result)
        else:
            self._add_parts(result)
        self._broken.writelines(_renumbered(result.folder / BROKEN, self._passed))
        if result.chunk.kind == "lines":  # parquet's rows are numbered from the file's beginning
            self._passed += result.counts["lines"]

    def appear(self) -> None:
        """Put the outputs in their places."""
        if (self._folder / BROKEN).stat().st_size:
            self._targets[BROKEN] = self._place.broken
        else:
            self._place.broken.unlink(missing_ok=True)  # of an earlier state of the file
        for name, target in self._targets.items():
            with home.atomic_path(target) as temp:
                (self._folder / name).rename(temp)

    def _add_lines(self, result: Result) -> None:
        """Take the rows of a plain file from the file itself, by a block of memory: they are written once, and parts
        are small."""
        with result.chunk.path.open("rb", buffering=0) as file, (result.folder / REJECTED).open("rb", BLOCK) as told:
            window = _Window(file, self._block)
            for start, end, line in _pieces(result):
                if line:
                    row = window.row(start, end)
                    self._rejected.write(rejected_record(line + self._passed, next(told)[:-1], row))
                elif self._kept is not None:
                    self._kept.writelines(window.bytes_of(start, end))

    def _add_parts(self, result: Result) -> None:
        if self._kept is not None:
            with (result.folder / KEPT_ZST).open("rb") as part:
                shutil.copyfileobj(part, self._kept, COPIED)
        self._rejected.writelines(_renumbered(result.folder / REJECTED, self._passed))

    def _new(self, name: str) -> DirectWriter:
        return self._files.enter_context(DirectWriter(self._folder / name))


def _renumbered(records: Path, passed: int) -> Iterator[bytes]:
    """A chunk's records, their line numbers counted from the file's beginning."""
    with records.open("rb", BLOCK) as part:
        for record in part:
            end = record.index(b",")
            yield b"%b%d%b" % (LINE, int(record[len(LINE) : end]) + passed, record[end:])


class _Window:
    """A plain file, read through a block of memory from one end to the other."""

    def __init__(self, file: FileIO, block: memoryview) -> None:
        self._file, self._block = file, block
        self._at = self._held = 0  # where the block lies in the file, and how much of it is read

    def bytes_of(self, start: int, end: int) -> Iterator[memoryview | bytes]:
        """What lies there; the file's last line may end without a newline, and is given one."""
        while start < end:
            if not self._at <= start < self._at + self._held:
                self._move(start)
            until = min(end, self._at + self._held)
            yield self._block[start - self._at : until - self._at] or b"\n"
            start = max(until, start + 1)

    def row(self, start: int, end: int) -> bytes:
        """What lies there, in one; with the newline or without."""
        if not self._at <= start < end <= self._at + self._held:
            self._move(start)
        if end <= self._at + self._held:
            return bytes(self._block[start - self._at : end - self._at])
        return b"".join(map(bytes, self.bytes_of(start, end)))

    def _move(self, start: int) -> None:
        self._at = self._file.seek(start)
        self._held = self._file.readinto(self._block)


def _pieces(result: Result) -> Iterator[tuple[int, int, int]]:
    """What a chunk's lines come to, in their order: where kept rows lie, neighbours taken together (0), and where each
    rejected one (its line number)."""
    (begin, until), gaps = result.counts["span"], array("q", (result.folder / GAPS).read_bytes())
    for start, end, line in sorted(zip(gaps[::3], gaps[1::3], gaps[2::3], strict=True)):
        if begin < start:
            yield begin, start, 0
        if line:
            yield start, end, line
        begin = end
    if begin < until:
        yield begin, until, 0
