"""Documents of JSONL and parquet files as UTF-8, checked on the way: nothing that is not text goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from samosa.data.lines import read_lines
from samosa.data.manifest import Chunk
from samosa.errors import BadInput

ROWS = 256  # of parquet decoded at once
BLOCK = 1 << 20
FIX = "mend or remove that line; nothing was written"


def documents_of(chunk: Chunk, column: str) -> Iterator[tuple[bytes, int, int]]:
    """Each document of a chunk: its UTF-8, its number of characters, and the bytes its row takes; empty ones too.

    Raises BadInput naming file and line (parquet: row) for what is no text, and what the readers of lines raise.
    """
    if chunk.kind == "parquet":
        yield from _rows(chunk, column)
        return
    for at, line in read_lines(chunk):
        try:
            text = orjson.loads(line)[column]
            yield text.encode(), len(text), len(line) + 1
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise BadInput(f"{_place(chunk, at)}: {_why(line, column, error)}", hint=FIX) from error


def footer_of(path: Path) -> Any:
    """A parquet file's metadata. Raises BadInput for one that is broken."""
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _rows(chunk: Chunk, column: str) -> Iterator[tuple[bytes, int, int]]:
    row = 0
    try:
        with pq.ParquetFile(chunk.path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise BadInput(f"{chunk.path} has no column {column!r}", hint=f"its columns: {', '.join(names)}")
            row = sum(file.metadata.row_group(group).num_rows for group in range(chunk.start))
            groups = list(range(chunk.start, chunk.end))
            for batch in file.iter_batches(ROWS, row_groups=groups, columns=[column]):
                for text, characters in _texts(batch.column(0), chunk.path, column, row):
                    yield text, characters, len(text)
                    row += 1
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(chunk.path, error) from error


def _texts(array: pa.Array, path: Path, column: str, first: int) -> Iterator[tuple[bytes, int]]:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if not (pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or array.type == pa.string_view()):
        raise BadInput(f"{path}: {column!r} holds {array.type}, not text", hint="name a column of text: --set column=")
    try:
        texts = array.to_pylist()
    except UnicodeDecodeError as error:
        where = f"rows {first + 1} to {first + len(array)}"
        raise BadInput(f"{path}: {where} are not all UTF-8 ({error.reason})", hint=FIX) from error
    for row, text in enumerate(texts, start=first + 1):
        if text is None:
            raise BadInput(f"{path}: row {row} has no text in {column!r}", hint=FIX)
        yield text.encode(), len(text)


def _unreadable(path: Path, error: Exception) -> BadInput:
    return BadInput(f"{path} cannot be read as parquet: {error}", hint="fetch this file again")


def _place(chunk: Chunk, at: int) -> str:
    """file:line, lines counted from 1. `at` is a byte of a plain file, else a line's number from 0."""
    if chunk.kind != "lines":
        return f"{chunk.path}:{at + 1}"
    lines, left = 1, at
    with chunk.path.open("rb") as file:
        while left:
            block = file.read(min(left, BLOCK))
            lines += block.count(b"\n")
            left -= len(block)
    return f"{chunk.path}:{lines}"


def _why(line: bytes, column: str, error: Exception) -> str:
    if isinstance(error, orjson.JSONDecodeError):
        try:
            line.decode()
        except UnicodeDecodeError as wrong:
            return f"not UTF-8 ({wrong.reason} at byte {wrong.start + 1} of the line)"
        return f"not JSON ({error.msg})"
    row = orjson.loads(line)
    if not isinstance(row, dict):
        return f"not an object with {column!r} but {type(row).__name__}"
    if column not in row:
        return f"no {column!r} in it; its keys: {', '.join(map(repr, row)) or 'none'}"
    return f"{column!r} is no text but {type(row[column]).__name__}"
