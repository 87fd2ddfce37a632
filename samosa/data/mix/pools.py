"""Reads pools of conversations, however large: every row is parsed, and those that are taken lie on disk, indexed.

A chunk's part holds its rows as the mix will write them (`lines`) and a table of them (`index.npy`).
"""

import functools
import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samosa.chat.conversation import Conversation, parse_line, to_row
from samosa.chat.render import count
from samosa.chat.tokenizer import Tokenizer, load_tokenizer
from samosa.data.lines import line_writer, read_lines
from samosa.data.manifest import Chunk, chunks_of
from samosa.data.mix.shares import MixSource
from samosa.data.parallel import Counts, Result, map_chunks
from samosa.errors import BadInput

FORMAT = "1"  # of a part: raise it when the same row is written or indexed otherwise
CHUNK_BYTES = 16 * 2**20
MOST_CHUNKS = 512  # and one a file: every chunk's part is an open file while the mix is written
LINES, INDEX, PICKS = "lines", "index.npy", "picks.npy"
Vocabulary = tuple[Path, str]
"""The folder of a tokenizer to count with, and its hash."""
ROW = np.dtype([("start", "<u8"), ("size", "<u8"), ("digest", "<u8"), ("tokens", "<u4"), ("supervised", "<u4")])
"""A row that is taken: where its line stands in its part, the first 8 bytes of its content's sha256, its length."""
Progress = Callable[[Result | None], None]


@dataclass(frozen=True)
class Pool:
    """The rows of one source that are taken, in the order of its file."""

    source: MixSource
    read: int
    """Rows of the file."""
    parts: list[Path]
    """Files of lines."""
    part: NDArray[np.uint16]
    """[n], which of them a row is in."""
    rows: NDArray[Any]
    """[n] of ROW."""

    def held_out(self, share: float) -> NDArray[np.bool_]:
        """[n], which rows are for validation: by their content, so that copies of a row, wherever, go together."""
        return (self.rows["digest"] >> np.uint64(32)) < share * 2**32


def chunk_bytes(paths: Sequence[Path]) -> int:
    """How much of these files is read at once: a function of them alone, so that a mix goes on from where it was."""
    return max(CHUNK_BYTES, -(-sum(path.stat().st_size for path in paths if path.is_file()) // MOST_CHUNKS))


def read_pool(
    source: MixSource,
    *,
    seed: int,
    tokenizer: Vocabulary | None,
    scratch: Path,
    chunk_bytes: int,
    workers: int,
    progress: Progress = lambda result: None,
) -> Pool:
    """Read one source into `scratch`, sampling where it says so; without a tokenizer its tokens are estimated.

    The sample depends on seed, name and file alone. Raises BadInput for a file that is missing, empty or broken and
    for a row that is not a conversation, with its line; NotReady where the disk is full.
    """
    chunks = chunks_of([source.path], chunk_bytes=chunk_bytes)
    run = partial(map_chunks, chunks=chunks, out=scratch, workers=workers, progress=progress)
    picks = None
    firsts: tuple[int, ...] = ()
    if source.rows is not None:
        sizes = [result.counts["rows"] for result in run(_count_rows, key="count")]
        firsts = tuple(np.cumsum([0, *sizes])[:-1].tolist())
        if source.rows < sum(sizes):
            picks = scratch / f"{hashlib.sha256(source.name.encode()).hexdigest()[:16]}-{PICKS}"
            np.save(picks, _sample(source, sum(sizes), seed))
    work = partial(_read_part, name=source.name, tokenizer=tokenizer, picks=picks, firsts=firsts)
    key = (FORMAT, source.name, tokenizer and tokenizer[1], picks and (seed, source.rows))
    done = run(work, key=repr(key))
    read = sum(result.counts["rows"] for result in done)
    if not read:
        raise BadInput(
            f"{source.path} has no rows", hint=f"give {source.name} conversations, or take it out of the mix"
        )
    tables = [np.load(result.folder / INDEX, allow_pickle=False) for result in done]
    which = np.repeat(np.arange(len(tables), dtype=np.uint16), [len(table) for table in tables])
    return Pool(source, read, [result.folder / LINES for result in done], which, np.concatenate(tables))


def as_written(row: Conversation) -> tuple[bytes, bytes]:
    """A row's line in a mix, which names its source, and the sha256 of what is said, whatever the source and layout."""
    said = to_row(row)
    line = json.dumps({"source": row.source, **said}, ensure_ascii=False).encode() + b"\n"
    return line, hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=True).encode()).digest()


def _sample(source: MixSource, there: int, seed: int) -> NDArray[np.int64]:
    """A uniform sample in the file's order; another count of another source does not change it."""
    chosen = random.Random(f"mix:{seed}:{source.name}").sample(range(there), source.rows or 0)
    return np.sort(np.array(chosen, dtype=np.int64))


def _count_rows(chunk: Chunk, folder: Path) -> Counts:
    return {"rows": sum(1 for _ in read_lines(chunk))}


def _read_part(
    chunk: Chunk, folder: Path, *, name: str, tokenizer: Vocabulary | None, picks: Path | None, firsts: Sequence[int]
) -> Counts:
    """Parse every row of a chunk and keep those picked: `picks` holds their numbers in the file."""
    counter = tokenizer and _tokenizer(*tokenizer)
    wanted = None if picks is None else set(_picked(picks, firsts, chunk.index))
    number, start, table = 0, 0, []
    with line_writer(folder / LINES) as out:
        for number, (at, raw) in enumerate(read_lines(chunk), 1):
            row = _parsed(raw, at, chunk, name)
            if wanted is not None and number - 1 not in wanted:
                continue
            line, digest = as_written(row)
            table.append((start, len(line), int.from_bytes(digest[:8], "big"), *count(row, counter)))
            start += out.write(line)
    np.save(folder / INDEX, np.array(table, dtype=ROW), allow_pickle=False)
    return {"rows": number}


def _picked(picks: Path, firsts: Sequence[int], index: int) -> list[int]:
    """The rows of one chunk that are taken, by their number in it."""
    numbers = np.load(picks, mmap_mode="r", allow_pickle=False)
    first = firsts[index]
    low, high = np.searchsorted(numbers, [first, firsts[index + 1] if index + 1 < len(firsts) else 2**62])
    return (numbers[low:high] - first).tolist()


def _parsed(line: bytes, at: int, chunk: Chunk, source: str) -> Conversation:
    try:
        return parse_line(line, where="", source=source)
    except BadInput:  # which line it is costs a look at all before it, so it is counted for the error alone
        return parse_line(line, where=f"{chunk.path}:{_line_number(chunk, at)}", source=source)


def _line_number(chunk: Chunk, at: int) -> int:
    """The number, from 1, of the row that begins at byte `at`, or in files of other formats is number `at` from 0."""
    if chunk.kind != "lines":
        return at + 1
    number = 1
    with chunk.path.open("rb") as file:
        while at > 0 and (block := file.read(min(at, 2**20))):
            number += block.count(b"\n")
            at -= len(block)
    return number


@functools.lru_cache(maxsize=1)
def _tokenizer(directory: Path, hash_: str) -> Tokenizer:
    """Read once a process; the hash makes another file in the same place another tokenizer."""
    return load_tokenizer(directory)
