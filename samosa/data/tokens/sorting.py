"""Documents in an order drawn by seed, in bounded memory: an external sort by a hash of each text.

A document's key is the 64-bit XXH3 of its text with the seed, so sorting by key shuffles: the order depends on the
texts and the seed, not on files, their order or how many work. Each chunk's documents are written as runs, sorted by
key, once. A shard is a stretch of keys, cut so that it holds the characters asked for; it reads its stretch of each
run. Memory: a run or a few row groups a worker. Disk: the texts once more.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from samosa import home
from samosa.data.manifest import Chunk
from samosa.data.parallel import Counts
from samosa.data.tokens.reading import documents_of

RUN = np.dtype([("key", "<u8"), ("end", "<i8"), ("characters", "<i8")])
"""A document of a run: its key, where its bytes end, and its length."""
BUCKET_BITS = 16
BUCKETS = 1 << BUCKET_BITS
"""Stretches of keys that shards are cut between: 65,536, each 1.4 MB of 90 GB."""
PIECE = 8_000_000  # characters, or bytes: that are encoded as one part, so that all workers end together; read at once
PIECE_FOR_EACH_RUN = 40_000  # more of them where there are many runs: 2 % of the time goes into finding them in a run
TEXT_SHARD = "shard.parquet"
SCHEMA = pa.schema([("text", pa.string())])
TRAINING, HELD = "training", "held"


def sort_chunk(
    chunk: Chunk, folder: Path, *, column: str, seed: int, hold_out: float, kept_out: Path, run_bytes: int
) -> Counts:
    """Write a chunk's documents as runs of about `run_bytes`, those to validate on apart from those to train on.

    `hold_out` is the share, by their own hash, that is held out. `kept_out` is a file of `text_digest`s whose
    documents go nowhere. Empty documents are left out as well. Raises what `documents_of` does.
    """
    counts = {"empty": 0, "kept_out": 0}
    known, limit = _digests(kept_out), int(hold_out * 2**64)
    training, held = _Run(folder, TRAINING, run_bytes), _Run(folder, HELD, run_bytes)
    for text, characters, _ in documents_of(chunk, column):
        if not text:
            counts["empty"] += 1
            continue
        if known or limit:
            digest = text_digest(text)
            if digest in known:
                counts["kept_out"] += 1
                continue
            if digest < limit:
                held.add(xxhash.xxh3_64_intdigest(text, seed), text, characters)
                continue
        training.add(xxhash.xxh3_64_intdigest(text, seed), text, characters)
    training.write()
    held.write()
    counts |= {"documents": training.documents, "characters": training.total, "held_out": held.documents}
    return {**counts, TRAINING: training.written, HELD: held.written}


def text_digest(text: bytes) -> int:
    """What a document is held out by: the first 64 bits of its sha256, as `shards.held_out` has it."""
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def run_file(folder: Path, name: str, number: int) -> Path:
    """Where a chunk's run lies, its texts beside it."""
    return folder / f"{name}-{number:04d}.run"


class _Run:
    """Documents gathered until they are a run."""

    def __init__(self, folder: Path, name: str, limit: int) -> None:
        self.folder, self.name, self.limit = folder, name, limit
        self.written, self.documents, self.total = 0, 0, 0
        self._clear()

    def add(self, key: int, text: bytes, characters: int) -> None:
        self.keys.append(key)
        self.texts.append(text)
        self.characters.append(characters)
        self.size += len(text)
        if self.size >= self.limit:
            self.write()

    def write(self) -> None:
        if not self.texts:
            return
        keys = np.array(self.keys, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        texts = [self.texts[place] for place in order.tolist()]
        run = np.empty(keys.size, RUN)
        run["key"], run["characters"] = keys[order], np.array(self.characters)[order]
        run["end"] = np.cumsum([len(text) for text in texts])
        path = run_file(self.folder, self.name, self.written)
        with path.with_suffix(".text").open("wb") as out:
            out.writelines(texts)
        run.tofile(path)
        self.documents += len(texts)
        self.total += int(run["characters"].sum())
        self.written += 1
        self._clear()

    def _clear(self) -> None:
        self.keys: list[int] = []
        self.texts: list[bytes] = []
        self.characters: list[int] = []
        self.size = 0


@dataclass(frozen=True)
class Stretch:
    """The documents of one shard, as chunks of keys: `start` and `end` are buckets, `path` is the plan that names the
    runs. `whole` is for who writes them as text (its kind is parquet), `pieces` for who encodes them."""

    whole: Chunk
    pieces: list[Chunk]


def plan_shards(runs: Sequence[Path], plan: Path, *, characters: int) -> list[Stretch]:
    """Cut the documents of runs into shards of about so many characters; the last one holds what is left, and what is
    less than half of one joins the one before. Writes which runs they are to `plan`."""
    held = np.zeros(BUCKETS)
    for run in runs:
        rows = _mapped(run)
        bucket = (rows["key"] >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
        held += np.bincount(bucket, weights=rows["characters"], minlength=BUCKETS)  # exact up to 2^53
    text = json.dumps({"runs": [str(run) for run in runs]})
    if not plan.is_file() or plan.read_text() != text:  # parts that were made from it stay valid
        home.write_atomic(plan, text)
    piece = _piece(runs)
    stretches = []
    for number, (start, end) in enumerate(cut(held, characters)):
        pieces = [Chunk(number, plan, "lines", start + a, start + b) for a, b in cut(held[start:end], piece)]
        stretches.append(Stretch(Chunk(number, plan, "parquet", start, end), pieces))
    return stretches


def cut(held: NDArray[np.float64], characters: int) -> list[tuple[int, int]]:
    """Stretches [start, end) of buckets that hold these characters, each of at least `characters` and all of them."""
    ends, size = [], 0.0
    for bucket in np.flatnonzero(held).tolist():
        size += held[bucket]
        if size >= characters:
            ends.append(bucket + 1)
            size = 0.0
    if ends and size < characters / 2:
        ends.pop()
    return list(itertools.pairwise([0, *ends, len(held)])) if held.any() else []


def write_shard(chunk: Chunk, folder: Path, *, row_group: int, level: int) -> Counts:
    """Write the documents of a stretch of keys as TEXT_SHARD, in nanochat's layout: a column `text`, row groups of
    `row_group` documents, zstd, no dictionary and no statistics."""
    path, documents, characters = folder / TEXT_SHARD, 0, 0
    with pq.ParquetWriter(
        path, SCHEMA, compression="zstd", compression_level=level, use_dictionary=False, write_statistics=False
    ) as out:
        for texts, count in sorted_texts(chunk, row_group):
            out.write_table(pa.table([texts], schema=SCHEMA), row_group_size=row_group)
            documents += len(texts)
            characters += count
    return {
        "documents": documents,
        "characters": characters,
        "bytes": path.stat().st_size,
        "sha256": home.sha256_file(path),
    }


def sorted_texts(chunk: Chunk, row_group: int) -> Iterator[tuple[pa.Array, int]]:
    """The documents of a stretch by key, some whole row groups at a time, and their characters.

    Documents of equal keys, that is equal ones, come in the order of the runs.
    """
    runs = [Path(run) for run in json.loads(chunk.path.read_text())["runs"]]
    stretches = [_stretch(run, chunk.start, chunk.end) for run in runs]
    rows = np.concatenate([np.empty(0, RUN), *(rows for rows, _ in stretches)])
    sizes = np.concatenate([np.empty(0, np.int64), *(np.diff(rows["end"], prepend=start) for rows, start in stretches)])
    order = np.argsort(rows["key"], kind="stable")
    firsts = np.cumsum([0, *(len(rows) for rows, _ in stretches)])
    read = [start for _, start in stretches]  # how far; what is taken together is a stretch of each run
    for taken in _together(order, sizes, row_group, _piece(runs)):
        wanted = np.sort(taken)
        arrays = []
        for run, (low, high) in enumerate(itertools.pairwise(np.searchsorted(wanted, firsts).tolist())):
            if low < high:
                mine = sizes[wanted[low:high]]
                arrays.append(_read(runs[run].with_suffix(".text"), read[run], mine))
                read[run] += int(mine.sum())
        texts = pa.concat_arrays(arrays).take(pa.array(np.searchsorted(wanted, taken)))
        yield texts.cast(pa.string()), int(rows["characters"][taken].sum())


def _stretch(run: Path, first: int, last: int) -> tuple[NDArray[Any], int]:
    """A run's documents of buckets [first, last), and the byte where the first of them begins."""
    rows = _mapped(run)
    shift = 64 - BUCKET_BITS
    low = int(np.searchsorted(rows["key"], np.uint64(first << shift)))
    high = len(rows) if last >= BUCKETS else int(np.searchsorted(rows["key"], np.uint64(last << shift)))
    return np.array(rows[low:high]), int(rows["end"][low - 1]) if low else 0


def _mapped(run: Path) -> NDArray[Any]:
    return np.memmap(run, RUN, mode="r")  # a third of the time of np.load, and there may be thousands


def _piece(runs: Sequence[Path]) -> int:
    return max(PIECE, PIECE_FOR_EACH_RUN * len(runs))


def _together(
    order: NDArray[np.int64], sizes: NDArray[np.int64], row_group: int, limit: int
) -> Iterator[NDArray[np.int64]]:
    """The order in pieces of whole row groups, of `limit` bytes or somewhat more."""
    start, held = 0, 0
    for end in range(row_group, len(order) + row_group, row_group):
        held += int(sizes[order[end - row_group : end]].sum())
        if held >= limit or end >= len(order):
            yield order[start:end]
            start, held = end, 0


def _read(path: Path, start: int, sizes: NDArray[np.int64]) -> pa.Array:
    """Documents of these sizes, end to end from byte `start` of a run."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(int(offsets[-1]))
    return pa.LargeStringArray.from_buffers(len(sizes), pa.py_buffer(offsets), pa.py_buffer(data))


@lru_cache(maxsize=1)
def _digests(path: Path) -> frozenset[int]:
    return frozenset(np.load(path, allow_pickle=False).tolist())


def write_digests(texts: Callable[[], Iterator[str]], path: Path) -> None:
    """Write the `text_digest`s of documents that are to go nowhere."""
    digests = np.unique(np.array([text_digest(text.encode()) for text in texts()], dtype=np.uint64))
    with home.atomic_path(path) as temp, temp.open("wb") as out:
        np.save(out, digests, allow_pickle=False)
