"""What is done with each chunk of the input, in any process: hash its rows, keep shingles of some, write the outcome.

Entries are the rows, broken ones among them, and the canaries planted there, numbered in order through all chunks.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash

from samosa.data.dedup.bands import Banding, BandWriter, band_hashes, signatures
from samosa.data.dedup.canaries import NOBODY, Plant, planted_rows
from samosa.data.dedup.said import said
from samosa.data.dedup.shingles import shingles_of
from samosa.data.filter.layouts import Broken
from samosa.data.lines import line_writer
from samosa.data.manifest import Chunk
from samosa.data.sidecars import BOM, KEPT, KEPT_ZST, Numbered, broken_record

BROKEN, CANARY, WORDLESS = 1, 2, 4
"""Flags of an entry. One without words has no near-duplicates."""
KEY, NUMBER = 16, 8  # bytes of a row's hash, and of its line number
TEXTS = 4096  # hashed at once,
CHARS = 1 << 17  # or as many as have this many characters
FLAGS_FILE, KEYS_FILE, LINES_FILE, BANDS_FILE = "flags.bin", "keys.bin", "lines.bin", "bands.bin"
SHINGLES_FILE, SIZES_FILE = "shingles.bin", "sizes.bin"
VERDICTS_FILE, WANTED_FILE = "verdicts.bin", "wanted.bin"
DROPPED_FILE, BROKEN_FILE = "duplicates", "broken"
STAYS = -1
"""What stands for a row that stays in the place of the entry it repeats."""
VERDICT = np.dtype([("of", np.int64), ("jaccard", np.float64)])
"""The entry that an entry repeats, or STAYS; and how near it is, NaN for equal."""


@dataclass(frozen=True)
class Near:
    """How near-duplicates are looked for."""

    words: int
    """In a shingle."""
    banding: Banding
    seed: int


@dataclass(frozen=True)
class Verdicts:
    """What became of every entry, in files that all workers read."""

    flags: Path
    lines: Path
    """Each entry's line in its file."""
    verdicts: Path
    begins: tuple[int, ...]
    """The first entry of each chunk, and the end."""
    file_names: tuple[str, ...]
    file_begins: tuple[int, ...]
    """The first entry of each file."""

    def file_of(self, entry: int) -> str:
        return self.file_names[bisect_right(self.file_begins, entry) - 1]


def hash_rows(chunk: Chunk, folder: Path, *, plants: Sequence[Sequence[Plant]], near: Near | None) -> dict[str, Any]:
    """Write flags, keys, line numbers and, for near-duplicates, band hashes of the entries of a chunk.

    Returns how many entries and lines there are, the canaries' places and numbers, the blocks of band hashes, and what
    could not be read.
    """
    rows = Numbered(chunk)
    entries, canaries = 0, []
    with (
        (folder / FLAGS_FILE).open("wb") as flags,
        (folder / KEYS_FILE).open("wb") as keys,
        (folder / LINES_FILE).open("wb") as lines,
        (folder / BANDS_FILE).open("wb") as bands,
    ):
        batch = _Batch(near, BandWriter(bands))
        for row in planted_rows(rows, plants[chunk.index]):
            flag, key, words = 0, bytes(KEY), ""
            try:
                exact, words = said(row.line)
                key = xxhash.xxh3_128_digest(exact.encode())
            except Broken:
                flag = BROKEN
            if row.canary != NOBODY:
                flag |= CANARY
                canaries.append((entries, row.canary))
            flags.write(bytes((flag if words else flag | WORDLESS,)))
            keys.write(key)
            lines.write(row.number.to_bytes(NUMBER, "little"))
            batch.add(words)
            entries += 1
        blocks = batch.end()
    return {"entries": entries, "lines": rows.passed, "canaries": canaries, "blocks": blocks, "unread": rows.unread}


class _Batch:
    """Texts on their way to band hashes."""

    def __init__(self, near: Near | None, writer: BandWriter) -> None:
        self.near, self.writer = near, writer
        self.texts: list[str] = []
        self.chars = 0

    def add(self, text: str) -> None:
        if self.near is None:
            return
        self.texts.append(text)
        self.chars += len(text)
        if self.chars >= CHARS or len(self.texts) >= TEXTS:
            self._hash(self.near)

    def end(self) -> list[int]:
        """The sizes of the blocks written."""
        if self.near is not None and self.texts:
            self._hash(self.near)
        self.writer.flush()
        return self.writer.blocks

    def _hash(self, near: Near) -> None:
        signature = signatures(shingles_of(self.texts, near.words), near.banding.slots, near.seed)
        self.writer.add(band_hashes(signature, near.banding))
        self.texts, self.chars = [], 0


def keep_shingles(
    chunk: Chunk, folder: Path, *, plants: Sequence[Sequence[Plant]], words: int, wanted: Path, begins: Sequence[int]
) -> dict[str, Any]:
    """Write the shingle set of every wanted entry of a chunk, and the sets' sizes.

    `wanted` is a file of a byte for each entry of all chunks; `begins` are the first entries of the chunks.
    """
    first, end = begins[chunk.index : chunk.index + 2]
    marks = np.fromfile(wanted, np.bool_, end - first, offset=first)
    with (folder / SHINGLES_FILE).open("wb") as sets, (folder / SIZES_FILE).open("wb") as sizes:
        rows = zip(planted_rows(Numbered(chunk), plants[chunk.index]), marks.tolist(), strict=True)
        for texts in _batches(said(row.line).words for row, mark in rows if mark):
            for found in shingles_of(texts, words).sets():
                sets.write(found.tobytes())
                sizes.write(len(found).to_bytes(NUMBER, "little"))
    return {}


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    chars = 0
    for text in texts:
        batch.append(text)
        chars += len(text)
        if chars >= CHARS or len(batch) >= TEXTS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def sort_rows(chunk: Chunk, folder: Path, *, found: Verdicts) -> dict[str, Any]:
    """Write the rows of a chunk that stay, as their bytes, and of the others where they are and what they repeat."""
    first, end = found.begins[chunk.index : chunk.index + 2]
    flag = np.fromfile(found.flags, np.uint8, end - first, offset=first)
    is_row = flag & CANARY == 0
    broken = (flag[is_row] & BROKEN != 0).tolist()
    verdict = np.fromfile(found.verdicts, VERDICT, end - first, offset=first * VERDICT.itemsize)[is_row]
    lines = np.memmap(found.lines, np.int64, "r")
    numbers = lines[first:end][is_row].tolist()
    rows = Numbered(chunk)
    with (
        line_writer(folder / (KEPT if chunk.kind == "lines" else KEPT_ZST)) as kept,
        (folder / DROPPED_FILE).open("wb") as dropped,
        (folder / BROKEN_FILE).open("wb") as refused,
    ):
        for (_, line), number, is_broken, (of, near) in zip(rows, numbers, broken, verdict.tolist(), strict=True):
            if is_broken:
                refused.write(broken_record(number, _why(line), line))
            elif of == STAYS:
                kept.write(line + b"\n")
            else:
                how = {"why": "exact"} if np.isnan(near) else {"why": "near", "jaccard": round(near, 4)}
                record = {"line": number, **how, "of": {"file": found.file_of(of), "line": int(lines[of])}}
                row = orjson.Fragment(line.removeprefix(BOM).strip())
                dropped.write(orjson.dumps({**record, "row": row}) + b"\n")
        for where, why in rows.unread:
            refused.write(broken_record(where, why, None))
    return {}


def _why(line: bytes) -> str:
    try:
        said(line)
    except Broken as error:
        return str(error)
    raise AssertionError("a row that was broken when it was hashed")
