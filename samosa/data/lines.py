"""Reads rows of JSONL (plain, zst, gz) and parquet, and writes JSONL: always bytes, a row a line.

A line's bytes are handed on as they are; what is in them is for whoever parses them. Memory holds one block and the
longest line.
"""

import base64
import contextlib
import io
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from samosa.data.manifest import Chunk, format_of, whole
from samosa.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 1 << 17  # bytes read or written at once: a megabyte takes as long and costs each file a megabyte of memory
TOGETHER = (
    1 << 17
)  # bytes of lines looked at together: four times as many fall out of a core's cache and take 4 % longer
ROWS = 256  # of parquet decoded at once
ZSTD_LEVEL = 3  # 196 MB/s a core and a third of the size; level 1 writes 379 MB/s and a seventh more bytes
CODECS = {"zst": "zstd", "gz": "gzip"}
At = tuple[int, bytes]
"""Where a row begins, its byte or (zst, gz, parquet) its number from 0, and the row without its newline."""


class Block(NamedTuple):
    """Rows of a chunk that follow each other, blank lines among them: reading them together is twice as fast."""

    at: int
    """Where the first begins, as in `At`."""
    lines: list[bytes]
    """Each with its newline; the last line of a file is given one."""
    size: int
    """Bytes of the lines."""

    def starts(self) -> list[int]:
        """Where each begins, of a plain file."""
        return list(accumulate(map(len, self.lines[:-1]), initial=self.at))


class BrokenInput(BadInput):
    """A file that cannot be read on: what came before row `number` (from 0) is good. `rest` is what can still be read
    after it."""

    def __init__(self, path: Path, where: str, why: str, number: int, rest: Chunk | None = None) -> None:
        super().__init__(f"{path} is broken {where}: {why}", hint="fetch or write this file again")
        self.path, self.where, self.why, self.number, self.rest = path, where, why, number, rest

    def __reduce__(self) -> tuple[object, ...]:
        return BrokenInput, (self.path, self.where, self.why, self.number, self.rest)


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
    for block in blocks(chunk):
        starts = block.starts() if chunk.kind == "lines" else range(block.at, block.at + len(block.lines))
        for at, line in zip(starts, block.lines, strict=True):
            yield at, line[:-1]


def blocks(chunk: Chunk) -> Iterator[Block]:
    """The same, many at once: about BLOCK bytes, or one longer line. Raises as `open_lines` does."""
    match chunk.kind:
        case "lines":
            return _plain_blocks(chunk)
        case "stream":
            return _stream_blocks(chunk)
        case "parquet":
            return _parquet_blocks(chunk)


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


def _plain_blocks(chunk: Chunk) -> Iterator[Block]:
    with _opened(chunk.path) as file:
        at = _first_line(file, chunk)
        while at < chunk.end and (lines := _read(file)):
            block = Block(at, lines, sum(map(len, lines)))
            at += block.size
            yield block if at <= chunk.end else _beginning_before(chunk.end, block)


def _beginning_before(end: int, block: Block) -> Block:
    lines = block.lines[: bisect_left(block.starts(), end)]
    return Block(block.at, lines, sum(map(len, lines)))


def _first_line(file: IO[bytes], chunk: Chunk) -> int:
    """Where the first line begins in a chunk, the file standing there; the chunk's end where none does.

    One line may be longer than many chunks: none of them looks past its own end.
    """
    if chunk.start == 0:
        return 0
    file.seek(chunk.start - 1)
    before = file.readline(chunk.end - chunk.start + 1)
    return chunk.start - 1 + len(before) if before.endswith(b"\n") else chunk.end


def _stream_blocks(chunk: Chunk) -> Iterator[Block]:
    import pyarrow as pa  # sees frames that are cut short, which zstandard's reader does not, and is 3x gzip's speed

    codec, number, passed = CODECS[format_of(chunk.path)], 0, 0
    try:
        with _opened(chunk.path) as file, pa.CompressedInputStream(file, codec) as stream:
            reader = io.BufferedReader(stream, BLOCK)
            while lines := _read(reader):
                block = Block(number, lines, sum(map(len, lines)))
                number, passed = number + len(lines), passed + block.size
                yield block
    except (OSError, pa.ArrowException) as error:
        if lines := _up_to_the_break(chunk.path, codec, passed):
            yield Block(number, lines, sum(map(len, lines)))
        number += len(lines)
        raise BrokenInput(chunk.path, f"after line {number}", _said(error), number) from error


def _read(file: IO[bytes]) -> list[bytes]:
    """The next lines, each with its newline: in half the time that reading a block and splitting it takes."""
    lines = file.readlines(TOGETHER)
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    return lines


def _up_to_the_break(path: Path, codec: str, passed: int) -> list[bytes]:
    """The lines after `passed` bytes of text. A read that fails keeps what it had, so the last ones are of a byte."""
    import pyarrow as pa

    text = bytearray()
    for at_once in (BLOCK, 1 << 10, 1):
        with (
            contextlib.suppress(OSError, pa.ArrowException),
            _opened(path) as file,
            pa.CompressedInputStream(file, codec) as stream,
        ):
            skipped = passed + len(text)
            while skipped and (block := stream.read(min(skipped, BLOCK))):
                skipped -= len(block)
            while block := stream.read(at_once):
                text += block
    return [line for line in io.BytesIO(text) if line.endswith(b"\n")]


def _parquet_blocks(chunk: Chunk) -> Iterator[Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    group, number, where = chunk.start, 0, "at its footer"
    try:
        with pq.ParquetFile(chunk.path) as file:
            number = sum(file.metadata.row_group(before).num_rows for before in range(chunk.start))
            for group in range(chunk.start, chunk.end):
                where = f"in row group {group}"
                for batch in file.iter_batches(ROWS, row_groups=[group]):
                    lines = _json_lines(batch)
                    yield Block(number, lines, sum(map(len, lines)))
                    number += len(lines)
    except (OSError, pa.ArrowException) as error:
        rest = replace(chunk, start=group + 1) if group + 1 < chunk.end else None
        raise BrokenInput(chunk.path, where, _said(error), number, rest) from error


def _json_lines(batch: "pa.RecordBatch") -> list[bytes]:
    """Rows of parquet as JSON. One whose words are not UTF-8 keeps its bytes, so that it is no JSON, and no other row
    suffers for it."""
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError):
        rows = [_plain(row) for row in batch.to_struct_array()]
    return [_json_line(row) for row in rows]


def _json_line(row: Any) -> bytes:
    import orjson

    try:
        return orjson.dumps(row, default=_word, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        return json.dumps(row, ensure_ascii=False, default=_word).encode(errors="surrogateescape") + b"\n"


def _plain(value: Any) -> Any:
    """A value of Arrow as Python's, whatever is in it."""
    import pyarrow as pa

    if not value.is_valid:
        return None
    if isinstance(value, pa.StructScalar):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, pa.ListScalar):
        return [_plain(part) for part in value]
    if pa.types.is_string(value.type) or pa.types.is_large_string(value.type):
        return value.as_buffer().to_pybytes().decode(errors="surrogateescape")
    try:
        return value.as_py()
    except (ValueError, OverflowError):  # a time of nanoseconds, or of a year that Python does not know
        return value.cast(pa.string()).as_py()


def _word(value: Any) -> str:
    """What JSON has no word for: bytes (images) in base64, decimals, times."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb", buffering=BLOCK)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", hint="it was there when the work began") from error


def _said(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
