"""Joins what became of a file's chunks into its outputs, chunk by chunk in their order, while others are worked on."""

import os
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from samosa import home
from samosa.data import parallel
from samosa.data.lines import BLOCK
from samosa.data.manifest import Chunk
from samosa.data.parallel import Result
from samosa.data.sidecars import BROKEN, GAPS, KEPT, KEPT_ZST, LEFT_OUT, LINE, REJECTED, Place, record_of_rejected

COPIED = 1 << 20  # bytes at once: with an eighth of it, copying takes half as long again
LET_GO = 12_000_000  # bytes: a chunk of the usual size
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
        self._kept = self._new(KEPT, COPIED) if kept else None
        self._rejected, self._broken = self._new(REJECTED), self._new(BROKEN)
        self._block = memoryview(bytearray(COPIED))
        self._targets = {REJECTED: rejected} | ({KEPT: place.kept} if kept else {})
        self._passed = 0  # lines of the file before the next chunk's line 1
        self._let_gone = dict.fromkeys(filter(None, (self._kept, self._rejected)), 0)  # bytes

    def add(self, result: Result) -> None:
        if self._kept is not None:
            self._add_kept(result, self._kept)
        if (result.folder / LEFT_OUT).exists():
            self._rejected.writelines(_with_rows(result, self._passed))
        else:
            self._rejected.writelines(_renumbered(result.folder / REJECTED, self._passed))
        self._broken.writelines(_renumbered(result.folder / BROKEN, self._passed))
        self._let_go()
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

    def _add_kept(self, result: Result, kept: IO[bytes]) -> None:
        if result.chunk.kind == "lines":
            _copy(self._place.source, _kept(result), kept, self._block)
        else:
            with (result.folder / KEPT_ZST).open("rb") as part:
                shutil.copyfileobj(part, kept, COPIED)

    def _let_go(self) -> None:
        """Have the disk take what was written, while others work: else the end waits for all of it. Its memory serves
        for what comes next: fresh pages take ten times as long where a virtual machine gives unused memory back (300 MB
        0.7 instead of 0.07 s), and a terabyte of them pushes out all else.
        """
        for file, before in self._let_gone.items():
            written = file.tell()
            if written - before < LET_GO:
                continue
            self._let_gone[file] = written
            file.flush()
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _new(self, name: str, buffer: int = BLOCK) -> IO[bytes]:
        return self._files.enter_context((self._folder / name).open("wb", buffer))


def _renumbered(records: Path, passed: int) -> Iterator[bytes]:
    """A chunk's records, their line numbers counted from the file's beginning."""
    with records.open("rb", BLOCK) as part:
        for record in part:
            end = record.index(b",")
            yield b"%b%d%b" % (LINE, int(record[len(LINE) : end]) + passed, record[end:])


def _with_rows(result: Result, passed: int) -> Iterator[bytes]:
    """The records of a chunk's rejected rows: what they are rejected for from its part, the rows from their file."""
    left_out = array("q", (result.folder / LEFT_OUT).read_bytes())
    with (result.folder / REJECTED).open("rb", BLOCK) as part, result.chunk.path.open("rb", buffering=0) as source:
        for reasons, line, at, size in zip(part, left_out[::3], left_out[1::3], left_out[2::3], strict=True):
            yield record_of_rejected(line + passed, reasons[:-1], _bytes_of(source, at, size))


def _bytes_of(file: IO[bytes], at: int, size: int) -> bytes:
    """Some bytes of a file; fewer where it ends. One call reads 2 GiB at most."""
    read = os.pread(file.fileno(), size, at)
    while len(read) < size and (more := os.pread(file.fileno(), size - len(read), at + len(read))):
        read += more
    return read


def _copy(source: Path, spans: Iterable[tuple[int, int]], target: IO[bytes], block: memoryview) -> None:
    """Copy what lies there in a plain file, by a block of memory: kept rows are written once, and parts are small."""
    at = held = 0  # where the block lies in the file, and how much of it is read
    with source.open("rb", buffering=0) as file:
        for start, end in spans:
            while start < end:
                if not at <= start < at + held:
                    at = file.seek(start)
                    held = file.readinto(block)
                until = min(end, at + held)
                target.write(block[start - at : until - at] or b"\n")  # the last line may end without one
                start = max(until, start + 1)


def _kept(result: Result) -> Iterator[tuple[int, int]]:
    """Where the kept rows of a chunk lie, neighbours taken together."""
    (begin, until), gaps = result.counts["span"], array("q", (result.folder / GAPS).read_bytes())
    for gap, after in [*sorted(zip(gaps[::2], gaps[1::2], strict=True)), (until, until)]:
        if begin < gap:
            yield begin, gap
        begin = after
