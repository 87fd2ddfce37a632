"""The search for duplicates: readings of the input, and between them arrays over its entries.

The first reading hashes every row. Rows that share a band with another are read again for their shingles, which decide.
What the readings leave lies on disk in parts, so that a search that was killed goes on; memory holds BYTES_PER_ROW for
every row, besides the workers' own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from samosa.data import parallel
from samosa.data.dedup import chunkwork
from samosa.data.dedup.bands import WIDTH, read_band
from samosa.data.dedup.canaries import Kind, Pair, Plant, pairs_of, plants_of
from samosa.data.dedup.chunkwork import (
    BANDS_FILE,
    BROKEN,
    CANARY,
    FLAGS_FILE,
    KEY,
    KEYS_FILE,
    LINES_FILE,
    NUMBER,
    SHINGLES_FILE,
    SIZES_FILE,
    STAYS,
    VERDICT,
    WANTED_FILE,
    WORDLESS,
    Near,
)  # fmt: skip
from samosa.data.dedup.groups import Groups, Index, first_equals, meetings
from samosa.data.dedup.shingles import Hashes
from samosa.data.manifest import Chunk
from samosa.data.parallel import Result
from samosa.errors import SamosaError

VERSION = 1  # part of every key: raise it when something here finds, hashes or writes otherwise
BYTES_PER_ROW = 112
"""What a row may add to the peak: 100 were measured between a quarter of a million and a million rows. Its verdict
(16) and flags (1) are held throughout; for a while its key and the order of keys (16 + 8, and 16 more while they are
sorted), later a band's hash and its order (16, and 16 more); the rest are mapped pages of the files these lie in."""
WORKER_BYTES = 200_000_000
"""What a process takes besides: its libraries, a block of rows and their hashes; more for a row of many megabytes."""
Progress = Callable[[str, int, Result | None], None]
"""Told what is being done, of how many chunks (none where it is not done by the chunk), and each that is done."""


@dataclass(frozen=True)
class Asked:
    """What to look for, and how."""

    chunks: tuple[Chunk, ...]
    parts: Path
    """The folder for what the readings leave."""
    near: Near | None
    threshold: float
    canaries: int
    seed: int
    workers: int
    progress: Progress

    @property
    def key(self) -> str:
        """What decides the outcome, besides what is in the files."""
        cuts = [(str(chunk.path.resolve()), chunk.start, chunk.end) for chunk in self.chunks]
        made_by = (VERSION, version("rensa"), self.near, self.threshold, self.canaries, self.seed)
        return digest((made_by, cuts))


@dataclass
class Found:
    """What became of every entry."""

    begins: tuple[int, ...]
    """The first entry of each chunk, and the end."""
    flags: NDArray[np.uint8]
    verdicts: NDArray[Any]  # of VERDICT
    results: list[Result]
    """Of the first reading."""
    canaries: dict[str, int]
    """How many planted pairs of each kind are as they should be: all of them."""
    compared: int = 0
    """Pairs whose shingles were compared."""
    skipped: int = 0
    """Times that a candidate met too many others to be compared with all of them."""


def search(asked: Asked) -> Found:
    """Find what repeats an earlier row. Raises SamosaError when a canary is not found, and what reading raises."""
    pairs = pairs_of(
        asked.canaries,
        near=asked.near is not None,
        threshold=asked.threshold,
        words=asked.near.words if asked.near else 1,
        seed=asked.seed,
    )
    plants = plants_of(pairs, len(asked.chunks), asked.seed)
    work = partial(chunkwork.hash_rows, plants=plants, near=asked.near)
    results = _map(asked, "hashing", work, asked.key)
    begins = (0, *np.cumsum([result.counts["entries"] for result in results]).tolist())
    flags: NDArray[np.uint8] = _joined(results, FLAGS_FILE, np.dtype(np.uint8))
    keys = _joined(results, KEYS_FILE, np.dtype(np.uint64)).reshape(-1, 2)
    firsts = first_equals(keys, flags & BROKEN == 0)
    del keys
    verdicts = np.full(len(flags), np.array((STAYS, np.nan), VERDICT))
    found = Found(begins, flags, verdicts, results, {})
    repeats = np.flatnonzero(firsts != np.arange(len(firsts)))
    verdicts["of"][repeats] = firsts[repeats]
    if asked.near is not None:
        _near(asked, asked.near, plants, found, repeats)
    found.canaries = _checked(pairs, found)
    return found


def disk_per_row(near: Near | None) -> int:
    """Bytes that the parts take on disk for a row, besides the row itself and, of candidates, the shingles."""
    arrays = KEY + 2 * (1 + NUMBER) + VERDICT.itemsize
    return arrays if near is None else arrays + 1 + near.banding.bands * WIDTH


def digest(value: object) -> str:
    """A name for settings or results, that another value does not have."""
    return xxhash.xxh3_128_hexdigest(value if isinstance(value, bytes) else repr(value).encode())


def source_lines(results: Sequence[Result]) -> Iterator[NDArray[np.int64]]:
    """The line of each entry in its file, chunk by chunk; 0 for a canary."""
    passed, path = 0, None
    for result in results:
        if result.chunk.path != path:
            passed, path = 0, result.chunk.path
        lines = np.fromfile(result.folder / LINES_FILE, np.int64)
        yield np.where(lines > 0, lines + passed, 0)
        if result.chunk.kind == "lines":
            passed += result.counts["lines"]


def _map(asked: Asked, doing: str, work: parallel.Work, key: str) -> list[Result]:
    return parallel.map_chunks(
        work, asked.chunks, asked.parts, key=f"{doing} {key}", workers=asked.workers,
        progress=partial(asked.progress, doing, len(asked.chunks)),
    )  # fmt: skip


def _near(asked: Asked, near: Near, plants: Sequence[Sequence[Plant]], found: Found, repeats: Index) -> None:
    """Add the near-duplicates to the verdicts."""
    alive = (found.verdicts["of"] == STAYS) & (found.flags & (BROKEN | WORDLESS) == 0)
    wanted = _candidates(found.results, near, np.flatnonzero(alive))
    marks = asked.parts / WANTED_FILE
    wanted.tofile(marks)
    work = partial(chunkwork.keep_shingles, plants=plants, words=near.words, wanted=marks, begins=found.begins)
    shingles = _map(asked, "collecting shingles", work, f"{asked.key} {digest(wanted.tobytes())}")
    candidates = np.flatnonzero(wanted)
    sets, kinds = _sets(shingles, asked.parts / SHINGLES_FILE), found.flags[candidates] & CANARY > 0
    groups = Groups(sets, _sizes(shingles), kinds, asked.threshold)
    for band in range(near.banding.bands):
        asked.progress(f"comparing, band {band + 1} of {near.banding.bands}", 0, None)
        for members in meetings(_band(found.results, near, band)[candidates]):
            groups.meet(members)
    found.compared, found.skipped = groups.compared, groups.skipped
    for place, entry in enumerate(candidates.tolist()):
        if (root := groups.root(place)) != place:
            found.verdicts[entry] = (int(candidates[root]), groups.similarity(root, place))
    # An exact copy of a row that repeats another one nearly repeats that one, as nearly.
    originals = found.verdicts["of"][repeats]
    moved = repeats[found.verdicts["of"][originals] != STAYS]
    found.verdicts[moved] = found.verdicts[found.verdicts["of"][moved]]


def _candidates(results: Sequence[Result], near: Near, alive: Index) -> NDArray[np.bool_]:
    """Which entries share a band with another of those that are alive."""
    wanted = np.zeros(sum(result.counts["entries"] for result in results), np.bool_)
    for band in range(near.banding.bands):
        hashes = _band(results, near, band)[alive]
        order = np.argsort(hashes)
        hashes = hashes[order]
        same = hashes[1:] == hashes[:-1]
        wanted[alive[order[1:][same]]] = True
        wanted[alive[order[:-1][same]]] = True
    return wanted


def _band(results: Sequence[Result], near: Near, band: int) -> Hashes:
    files = ((result.folder / BANDS_FILE, result.counts["blocks"]) for result in results)
    blocks = (read_band(path, sizes, near.banding.bands, band) for path, sizes in files)
    return np.concatenate(list(chain.from_iterable(blocks)))


def _sizes(results: Sequence[Result]) -> Index:
    return _joined(results, SIZES_FILE, np.dtype(np.int64))


def _sets(results: Sequence[Result], path: Path) -> Callable[[int], Hashes]:
    """The shingle set of each candidate, read from disk when it is asked for."""
    parallel.merge(results, SHINGLES_FILE, path)
    ends = np.cumsum(_sizes(results))
    if not len(ends):
        return lambda candidate: np.empty(0, np.uint64)
    stored = np.memmap(path, np.uint64, "r")
    return lambda candidate: stored[ends[candidate - 1] if candidate else 0 : ends[candidate]]


def _joined(results: Sequence[Result], name: str, kind: np.dtype[Any]) -> NDArray[Any]:
    """The arrays of that name of all parts, one behind the other."""
    sizes = [(result.folder / name).stat().st_size // kind.itemsize for result in results]
    whole = np.empty(sum(sizes), kind)
    end = 0
    for result, size in zip(results, sizes, strict=True):
        whole[end : end + size] = np.fromfile(result.folder / name, kind)
        end += size
    return whole


def _checked(pairs: Sequence[Pair], found: Found) -> dict[str, int]:
    """How many planted pairs of each kind were seen for what they are. Raises SamosaError unless all were."""
    entries = {
        number: begin + place
        for result, begin in zip(found.results, found.begins, strict=False)
        for place, number in result.counts["canaries"]
    }
    right: dict[str, int] = {pair.kind: 0 for pair in pairs}
    for number, pair in enumerate(pairs):
        right[pair.kind] += _seen_as(found, entries[2 * number], entries[2 * number + 1]) == pair.kind
    for kind, count in right.items():
        planted = sum(pair.kind == kind for pair in pairs)
        if count < planted:
            what = "pairs of unlike rows were kept apart" if kind == "decoy" else f"{kind} duplicates were found"
            raise SamosaError(
                f"only {count} of {planted} planted {what}: nothing is written, because real ones may be missed too",
                hint="this is a fault in samosa or its libraries: reinstall them (make setup), then run it again",
            )
    return right


def _seen_as(found: Found, one: int, other: int) -> Kind:
    """What two entries are to each other, of which one is the first of its kind or both are."""
    first, second = sorted((one, other))
    of, near = found.verdicts[second]
    if of != first:
        return "decoy"
    return "exact" if np.isnan(near) else "near"
