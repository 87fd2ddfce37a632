"""Fences files: rows that share nothing with the deny-list go on as their original bytes, in order; the others stand
beside them with what they share, both texts side by side. Any number of workers makes the same bytes.
"""

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import orjson

from samosa import home
from samosa.data import parallel
from samosa.data.fence.canaries import KNOWN, canaries, plant
from samosa.data.fence.denied import Denied, as_json
from samosa.data.fence.fence import Fence, Match
from samosa.data.filter.layouts import Broken, decode
from samosa.data.joining import joined
from samosa.data.lines import BLOCK, line_writer
from samosa.data.manifest import Chunk, chunks_of
from samosa.data.parallel import Counts, Result
from samosa.data.sidecars import (
    BROKEN,
    GAPS,
    KEPT_ZST,
    REJECTED,
    Numbered,
    Place,
    broken_record,
    rejected_record,
    states_of,
)
from samosa.errors import SamosaError

VERSION = 4  # part of every key: raise it when a row would be judged or written otherwise
PARTS, LIST = ".fence-parts", "denied.jsonl"
AT_ONCE = 300_000  # bytes of rows looked at together: their arrays fit into the second cache
TOLD = 5  # matches of a row that are written down


@dataclass(frozen=True)
class Fenced:
    """What became of one file."""

    place: Place
    rows: int
    fenced: int
    broken: int
    unread: int
    by_evidence: Counter[str]
    by_denied: Counter[str]
    """Rows by the question that they copy most surely."""

    @property
    def kept(self) -> int:
        return self.rows - self.fenced


def fenced_path(place: Place) -> Path:
    """Where the rows go that copy a denied question, each with what it shares."""
    return place.rejected.with_name(f"{place.rejected.name.removesuffix('.rejected.jsonl')}.fenced.jsonl")


def fence_files(
    places: Sequence[Place],
    out: Path,
    denied: Sequence[Denied],
    *,
    seed: int,
    chunk_bytes: int,
    workers: int,
    copy_clean: bool = True,
    progress: Callable[[Result | None], None] = lambda result: None,
) -> list[Fenced]:
    """Fence every file to its place in `out`; the deny-list is written beside them.

    Without `copy_clean` a file that loses no row is not written again. Broken rows raise nothing: they are counted and
    written down. Raises BadInput for unreadable files, NotReady for a full disk, SamosaError where a planted copy was
    not found, or a file changed meanwhile: then what is written is not to be used.
    """
    home.make_folder(out)
    before = states_of(places)
    listed = b"".join(as_json(one) + b"\n" for one in denied)
    key = hashlib.sha256(repr((VERSION, seed)).encode() + listed).hexdigest()
    parts = out / PARTS
    home.make_folder(parts)
    home.write_atomic(parts / LIST, listed.decode())
    work = partial(fence_chunk, listed=str(parts / LIST), key=key, seed=seed)
    chunks = chunks_of([place.source for place in places], chunk_bytes=chunk_bytes)
    results = parallel.map_chunks(work, chunks, parts, key=key, workers=workers, progress=progress)
    by_file = groupby(results, key=lambda result: result.chunk.path)
    _check_unchanged(places, before)
    fenced = [_merged(place, parts, list(own), copy_clean) for place, (_, own) in zip(places, by_file, strict=True)]
    _check_unchanged(places, before)
    home.write_atomic(out / LIST, listed.decode())
    (parts / LIST).unlink()
    parallel.remove(results, parts)
    return fenced


def _check_unchanged(places: Sequence[Place], before: list[tuple[str, int, int]]) -> None:
    if states_of(places) != before:
        raise SamosaError("a file changed while it was fenced", hint="run the same command again")


def fence_chunk(chunk: Chunk, folder: Path, *, listed: str, key: str, seed: int) -> Counts:
    """Fence one chunk into `folder`: sidecars whose line numbers count from the chunk's beginning, and kept rows, of a
    plain file only where they are not. Copies are planted among its first rows."""
    fence, planted = _prepared(listed, key, seed)
    rows = Numbered(chunk)
    counts: Counts = {"rows": 0, "fenced": 0, "broken": 0}
    evidence: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    first = True
    with ExitStack() as files:
        good = files.enter_context(line_writer(folder / KEPT_ZST)) if chunk.kind != "lines" else None
        bad = files.enter_context((folder / REJECTED).open("wb", BLOCK))
        broken = files.enter_context((folder / BROKEN).open("wb", BLOCK))
        for batch in _batches(rows):
            decoded = [row for _, _, _, row, _ in batch]
            found = plant(fence, planted, decoded) if first else fence.check(decoded)
            first = False
            for (number, at, line, _, why), matches in zip(batch, found, strict=True):
                if why is not None:
                    counts["broken"] += 1
                    broken.write(broken_record(number, why, line))
                    rows.leave_out(at, len(line) + 1)
                    continue
                counts["rows"] += 1
                if matches:
                    counts["fenced"] += 1
                    evidence.update([" and ".join(matches[0].evidence)])
                    alike.update([matches[0].denied])
                    if good is None:
                        bad.write(b"%b\n" % told(matches))
                        rows.leave_out(at, len(line) + 1, number)
                    else:
                        bad.write(rejected_record(number, told(matches), line))
                elif good is not None:
                    good.write(line + b"\n")
        if first:
            plant(fence, planted, [])
        for where, why in rows.unread:
            broken.write(broken_record(where, why, None))
    if good is None:
        (folder / GAPS).write_bytes(rows.gaps.tobytes())
    more = {"evidence": evidence, "denied": alike, "bytes": chunk.end - chunk.start}
    return {**counts, **more, "lines": rows.passed, "span": rows.span, "unread": len(rows.unread)}


def told(matches: Sequence[Match]) -> bytes:
    """What the record of a row that copies tells of it: what it shares with which questions."""
    return b'"matches":%b,"all":%d' % (orjson.dumps([match.told() for match in matches[:TOLD]]), len(matches))


Looked = tuple[int, int, bytes, object, str | None]
"""Line number, byte offset, the line, the decoded row, why it is broken."""


def _batches(rows: Numbered) -> Iterator[list[Looked]]:
    """Rows to look at together; a broken one is an empty row with a reason."""
    batch: list[Looked] = []
    size = 0
    for number, line in rows:
        try:
            batch.append((number, rows.at, line, decode(line), None))
        except Broken as error:
            batch.append((number, rows.at, line, None, str(error)))
        size += len(line)
        if size >= AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@functools.lru_cache(maxsize=1)
def _prepared(listed: str, key: str, seed: int) -> tuple[Fence, list[tuple[Denied, str]]]:
    """The fence and its canaries, once a process."""
    denied = [_denied(line) for line in Path(listed).read_bytes().splitlines()]
    return Fence([*denied, KNOWN]), canaries(denied, seed=seed)


def _denied(line: bytes) -> Denied:
    said = orjson.loads(line)
    return Denied(said["id"], said["question"], *(tuple(said[key]) for key in ("answers", "slots", "choices")))


def _merged(place: Place, parts: Path, results: Sequence[Result], copy_clean: bool) -> Fenced:
    """Join the parts of one file."""
    total = Counter[str]()
    evidence, alike = Counter[str](), Counter[str]()
    for result in results:
        total.update({name: result.counts[name] for name in ("rows", "fenced", "broken", "unread")})
        evidence.update(result.counts["evidence"])
        alike.update(result.counts["denied"])
    changed = total["fenced"] + total["broken"] + total["unread"] > 0
    with joined(place, parts, fenced_path(place), kept=copy_clean or changed) as add:
        for result in results:
            add(result)
    return Fenced(place, total["rows"], total["fenced"], total["broken"], total["unread"], evidence, alike)
