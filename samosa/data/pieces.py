"""Small pieces of big files, spread over all of them: what a plan looks at instead of everything."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from samosa.data.lines import BLOCK, CODECS, BrokenInput, read_lines
from samosa.data.manifest import Chunk, format_of, whole


@dataclass(frozen=True)
class Piece:
    """Some neighbouring rows of one file."""

    path: Path
    rows: list[bytes]


@dataclass(frozen=True)
class Extent:
    """How much a file holds."""

    stored: int
    """Bytes on disk."""
    text: float
    """Bytes of its rows; of a compressed file about, by how much its beginning expands."""


def pieces_of(paths: Sequence[Path], *, pieces: int, piece_bytes: int, seed: int) -> Iterator[Piece]:
    """About `pieces` pieces of about `piece_bytes` of text: one drawn uniformly in each of so many equal shares of all
    the files' bytes, so that every file has its part. A compressed file, which cannot be entered in its middle, gives
    its part from its beginning. What is broken ends its piece.
    """
    sizes = [path.stat().st_size for path in paths]
    rng = random.Random(f"pieces:{seed}")
    share = max(sum(sizes) / pieces, 1.0)
    drawn = [share * (index + rng.random()) for index in range(pieces)]
    start = 0
    for path, size in zip(paths, sizes, strict=True):
        places = [int(place - start) for place in drawn if start <= place < start + size]
        start += size
        yield from _of_file(whole(path), places, piece_bytes, rng)


def extent_of(path: Path) -> Extent:
    """How much a file holds, by its size and, where it is compressed, its beginning."""
    stored, found = path.stat().st_size, format_of(path)
    if found == "parquet":
        import pyarrow.parquet as pq

        chunk = whole(path)
        footer = pq.read_metadata(path) if chunk.end else None
        groups = [footer.row_group(group).total_byte_size for group in range(chunk.end)] if footer else []
        return Extent(stored, float(sum(groups)))
    return Extent(stored, stored * (1.0 if found == "plain" else _expansion(path, CODECS[found])))


def _of_file(chunk: Chunk, places: Sequence[int], piece_bytes: int, rng: random.Random) -> Iterator[Piece]:
    match chunk.kind:
        case "lines" if chunk.end <= piece_bytes * len(places):  # all of it, and no row twice
            yield from _cut(_piece(chunk, chunk.end), piece_bytes)
        case "lines":
            for place in places:  # each has the rows that begin in it, or none where one row is longer
                yield _piece(replace(chunk, start=place, end=min(place + piece_bytes, chunk.end)), piece_bytes)
        case "stream":
            if places:
                yield from _cut(_piece(chunk, piece_bytes * len(places)), piece_bytes)
        case "parquet":
            for group in sorted(rng.choices(range(chunk.end), k=len(places))) if chunk.end else ():
                yield _piece(replace(chunk, start=group, end=group + 1), piece_bytes)


def _piece(chunk: Chunk, most: int) -> Piece:
    rows: list[bytes] = []
    size = 0
    try:
        for _, line in read_lines(chunk):
            rows.append(line)
            size += len(line) + 1
            if size >= most:
                break
    except BrokenInput:
        pass  # the filter itself says where; a plan goes by what can be read
    return Piece(chunk.path, rows)


def _cut(piece: Piece, piece_bytes: int) -> Iterator[Piece]:
    rows: list[bytes] = []
    size = 0
    for row in piece.rows:
        rows.append(row)
        size += len(row) + 1
        if size >= piece_bytes:
            yield Piece(piece.path, rows)
            rows, size = [], 0
    if rows:
        yield Piece(piece.path, rows)


def _expansion(path: Path, codec: str) -> float:
    """Bytes of text for each byte on disk, in a file's first megabytes."""
    import pyarrow as pa

    text = 0
    with path.open("rb", buffering=0) as file:
        try:
            with pa.CompressedInputStream(file, codec) as stream:
                while file.tell() < 4 * BLOCK and (block := stream.read(BLOCK)):
                    text += len(block)
                return text / max(file.tell(), 1)
        except (OSError, pa.ArrowException):
            return text / max(file.tell(), 1) if not file.closed else 1.0
