"""Big inputs cut into chunks: a pure function of the files, so that any number of workers makes the same bytes.

A plain file is cut at byte offsets and a line belongs to the chunk in which it begins, so nothing need be read to cut
it. A compressed file is one chunk, for it can only be read from its beginning. Parquet is cut between row groups.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from samosa.errors import BadInput

Format = Literal["plain", "zst", "gz", "parquet"]
Kind = Literal["lines", "stream", "parquet"]
MAGIC_BYTES = 4
MAGIC: dict[bytes, Format] = {b"\x28\xb5\x2f\xfd": "zst", b"PAR1": "parquet"}  # RFC 8878 3.1.1; the parquet format
GZIP = b"\x1f\x8b"  # RFC 1952 2.3.1
SKIPPABLE = b"\x2a\x4d\x18"  # RFC 8878 3.1.2: any of sixteen first bytes before these three


@dataclass(frozen=True)
class Chunk:
    """A piece of one file, small enough to hold. `start` and `end` are bytes, or row groups of parquet."""

    index: int
    path: Path
    kind: Kind
    start: int
    end: int


def chunks_of(paths: Sequence[Path], *, chunk_bytes: int) -> list[Chunk]:
    """Cut files into chunks of about `chunk_bytes` (of text, for parquet), in order; each file has at least one.

    A pure function of the files' names, sizes and formats. Raises BadInput for a file that is missing or unreadable;
    a broken one is cut all the same, and reading it says what is wrong.
    """
    assert chunk_bytes > 0, "chunks have a size"
    cuts = [(path, kind, start, end) for path in paths for kind, start, end in _cuts(path, chunk_bytes)]
    return [Chunk(index, *cut) for index, cut in enumerate(cuts)]


def whole(path: Path) -> Chunk:
    """A file as one chunk. Raises BadInput for a file that is missing or unreadable."""
    found = format_of(path)
    if found == "parquet":
        return Chunk(0, path, "parquet", 0, len(_group_bytes(path)))
    return Chunk(0, path, "lines" if found == "plain" else "stream", 0, path.stat().st_size)


def format_of(path: Path) -> Format:
    """A file's format by its first bytes: names lie. Raises BadInput for a file that is missing or unreadable."""
    try:
        with path.open("rb") as file:
            magic = file.read(MAGIC_BYTES)
    except FileNotFoundError:
        raise BadInput(
            f"{path} does not exist", hint="name files of rows: JSONL (plain, zst or gz) or parquet"
        ) from None
    except OSError as error:
        hint = "name files of rows, and look at their permissions"
        raise BadInput(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    if magic.startswith(GZIP):
        return "gz"
    if magic[1:] == SKIPPABLE and magic[0] >> 4 == 5:
        return "zst"
    return MAGIC.get(magic, "plain")


def _cuts(path: Path, chunk_bytes: int) -> Iterable[tuple[Kind, int, int]]:
    found, size = format_of(path), path.stat().st_size
    if found == "parquet":
        return [("parquet", start, end) for start, end in _runs(_group_bytes(path), chunk_bytes)]
    if found != "plain":
        return [("stream", 0, size)]
    return [("lines", start, min(start + chunk_bytes, size)) for start in range(0, max(size, 1), chunk_bytes)]


def _group_bytes(path: Path) -> list[int]:
    """Bytes of text in each row group; none for a file whose footer is broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        footer: Any = pq.read_metadata(path)
        return [footer.row_group(group).total_byte_size for group in range(footer.num_row_groups)]
    except (OSError, pa.ArrowException):
        return []


def _runs(sizes: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Neighbours taken together up to `limit`, as [start, end)."""
    runs, start, held = [], 0, 0
    for index, size in enumerate(sizes):
        if index > start and held + size > limit:
            runs.append((start, index))
            start, held = index, 0
        held += size
    return [*runs, (start, len(sizes))]
