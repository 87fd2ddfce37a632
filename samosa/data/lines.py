"""Reads rows of JSONL (plain, zst, gz) and parquet, and writes JSONL: always bytes, a row a line.

A line's bytes are handed on as they are; what is in them is for whoever parses them. Memory holds one block and the
longest line.
"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

from samosa.data.manifest import Chunk, format_of, whole
from samosa.errors import BadInput

BLOCK = 1 << 20  # bytes read at once
ROWS = 256  # of parquet decoded at once
ZSTD_LEVEL = 3  # 196 MB/s a core and a third of the size; level 1 writes 379 MB/s and a seventh more bytes
CODECS = {"zst": "zstd", "gz": "gzip"}
At = tuple[int, bytes]
"""Where a row begins, its byte or (zst, gz, parquet) its number from 0, and the row without its newline."""


class BrokenInput(BadInput):
    """A file that cannot be read on: what came before is good. `rest` is what can still be read after it."""

    def __init__(self, path: Path, where: str, why: str, rest: Chunk | None = None) -> None:
        super().__init__(f"{path} is broken {where}: {why}", hint="fetch or write this file again")
        self.path, self.where, self.why, self.rest = path, where, why, rest

    def __reduce__(self) -> tuple[object, ...]:
        return BrokenInput, (self.path, self.where, self.why, self.rest)


def open_lines(path: Path) -> Iterator[At]:
    """The rows of a whole file, its format told by its first bytes; blank lines are skipped.

    Raises BadInput for a file that is missing or unreadable, BrokenInput where it cannot be read on.
    """
    yield from read_lines(whole(path))


def read_lines(chunk: Chunk) -> Iterator[At]:
    """The rows that begin in a chunk; blank lines are skipped. Raises as `open_lines` does."""
    for at, line in all_lines(chunk):
        if line and not line.isspace():
            yield at, line


def all_lines(chunk: Chunk) -> Iterator[At]:
    """The rows that begin in a chunk, blank lines among them. Raises as `open_lines` does."""
    match chunk.kind:
        case "lines":
            return _plain_lines(chunk)
        case "stream":
            return _stream_lines(chunk)
        case "parquet":
            return _parquet_lines(chunk)


@contextlib.contextmanager
def line_writer(path: Path) -> Iterator[IO[bytes]]:
    """A file to write lines to, compressed where its name ends in .zst: the same lines make the same bytes, and such
    files joined end to end are one file of all their lines."""
    with path.open("wb", buffering=BLOCK) as file:
        if path.suffix != ".zst":
            yield file
            return
        import zstandard

        with zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).stream_writer(file, closefd=False) as out:
            yield out


def _plain_lines(chunk: Chunk) -> Iterator[At]:
    with _opened(chunk.path) as file:
        at = _first_line(file, chunk)
        if at >= chunk.end:
            return
        for line in file:
            yield at, line[:-1] if line.endswith(b"\n") else line
            at += len(line)
            if at >= chunk.end:
                return


def _first_line(file: IO[bytes], chunk: Chunk) -> int:
    """Where the first line begins in a chunk, the file standing there; the chunk's end where none does.

    One line may be longer than many chunks: none of them looks past its own end.
    """
    if chunk.start == 0:
        return 0
    file.seek(chunk.start - 1)
    before = file.readline(chunk.end - chunk.start + 1)
    return chunk.start - 1 + len(before) if before.endswith(b"\n") else chunk.end


def _stream_lines(chunk: Chunk) -> Iterator[At]:
    import pyarrow as pa  # sees frames that are cut short, which zstandard's reader does not, and is 3x gzip's speed

    codec, number = CODECS[format_of(chunk.path)], -1
    try:
        with _opened(chunk.path) as file, pa.CompressedInputStream(file, codec) as stream:
            for number, line in enumerate(io.BufferedReader(stream, BLOCK)):
                yield number, line[:-1] if line.endswith(b"\n") else line
    except (OSError, pa.ArrowException) as error:
        raise BrokenInput(chunk.path, f"after line {number + 1}", _said(error)) from error


def _parquet_lines(chunk: Chunk) -> Iterator[At]:
    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    group, where = chunk.start, "at its footer"
    try:
        with pq.ParquetFile(chunk.path) as file:
            number = sum(file.metadata.row_group(before).num_rows for before in range(chunk.start))
            for group in range(chunk.start, chunk.end):
                where = f"in row group {group}"
                for batch in file.iter_batches(ROWS, row_groups=[group]):
                    for row in batch.to_pylist():
                        where = f"at row {number}"
                        yield number, orjson.dumps(row)
                        number += 1
    except (OSError, pa.ArrowException, UnicodeDecodeError, TypeError) as error:
        rest = replace(chunk, start=group + 1) if group + 1 < chunk.end else None
        raise BrokenInput(chunk.path, where, _said(error), rest) from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb", buffering=BLOCK)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", hint="it was there when the work began") from error


def _said(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
