"""Filters files: kept rows as their original bytes, in order; beside them the rejected rows with all their reasons, and
the lines that are no conversations. Any number of workers and ranks makes the same bytes.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import compress, groupby
from pathlib import Path
from typing import IO

import orjson

from samosa import home
from samosa.data import parallel
from samosa.data.filter import Judged, RuleSet, Sorter, pays_to_screen
from samosa.data.filter.tally import Tally, Totals, merge
from samosa.data.joining import joined, joined_as_they_come
from samosa.data.lines import BLOCK, Block, line_writer
from samosa.data.manifest import Chunk, chunks_of, whole
from samosa.data.parallel import Counts, Result
from samosa.data.sidecars import (
    BROKEN,
    GAPS,
    KEPT_ZST,
    REJECTED,
    Numbered,
    Place,
    broken_record,
    first_broken,
    lines_before,
    rejected_record,
    states_of,
)
from samosa.errors import SamosaError

VERSION = 5  # part of every key: raise it when files are written otherwise
EXAMPLE_SEED = 1  # which rows a report shows
PARTS, RECORD = ".parts", "filter.json"


@dataclass(frozen=True)
class Sifted:
    """What became of one file."""

    place: Place
    totals: Totals
    unread: int
    """Places from which it could not be read on."""
    first_broken: str | None
    """Where the first line that is no conversation stands, and why it is none."""

    @property
    def reasons(self) -> dict[str, int]:
        """Rows that each rule rejects, those that reject any."""
        return {name: hits.rows for name, hits in self.totals.rules.items() if hits.rows}


@dataclass(frozen=True)
class Left:
    """Chunks that other ranks have still to do."""

    done: int
    chunks: int


def sift(
    places: Sequence[Place],
    out: Path,
    *,
    rules: RuleSet,
    chunk_bytes: int,
    workers: int,
    rank: int = 0,
    of: int = 1,
    progress: Callable[[Result | None], None] = lambda result: None,
) -> list[Sifted] | Left:
    """Filter every file to its place in `out`. What is done already is not done again, whoever did it.

    Returns what became of each file, in order, or how far it is when other ranks have chunks to do. Broken rows raise
    nothing: they are counted and written down. Raises BadInput for unreadable files, NotReady for a full disk,
    SamosaError where a file changes meanwhile.
    """
    key = _key(places, rules, chunk_bytes)
    if (found := _finished(places, out, key)) is not None:
        return found
    chunks = chunks_of([place.source for place in places], chunk_bytes=chunk_bytes)
    parts = out / PARTS
    size = sum(place.source.stat().st_size for place in places) / of / workers
    screened = pays_to_screen(rules, size)
    Sorter(rules, screened=screened)  # workers that are forked find all that takes long to make
    work = partial(sift_chunk, rules=rules, screened=screened)
    (out / RECORD).unlink(missing_ok=True)  # what it tells of is about to go
    with joined_as_they_come(places, chunks, parts) as order:

        def see(result: Result | None) -> None:
            if result is not None and of == 1:
                order.take(result)
            progress(result)

        results = parallel.map_chunks(
            work, chunks, parts, key=_part_key(rules), workers=workers, rank=rank, of=of, progress=see
        )
        with parallel.alone(parts):
            if (found := _finished(places, out, key)) is not None:  # another rank was quicker
                parallel.remove(results, parts)
                return found
            if len(results) < len(chunks):
                return Left(len(results), len(chunks))
            for result in results if of > 1 else ():
                order.take(result)
            by_file = groupby(results, key=lambda result: result.chunk.path)
            sifted = [_sifted(place, list(own)) for place, (_, own) in zip(places, by_file, strict=True)]
            if _key(places, rules, chunk_bytes) != key or not order.complete:
                raise SamosaError("a file changed while it was filtered", hint="run the same command again")
            _record(sifted, out, key)
            parallel.remove(results, parts)
    return sifted


def sift_one(place: Place, *, rules: RuleSet) -> Sifted:
    """Filter one file to its place, in this process; a stage of a phase keeps its own record of what is done."""
    parts = place.kept.parent / PARTS
    work = partial(sift_chunk, rules=rules)
    results = parallel.map_chunks(work, [whole(place.source)], parts, key=_part_key(rules), workers=1)
    with joined(place, parts, place.rejected) as add:
        add(*results)
    parallel.remove(results, parts)
    return _sifted(place, results)


def sift_chunk(chunk: Chunk, folder: Path, *, rules: RuleSet, screened: bool = False) -> Counts:
    """Filter one chunk into `folder`: sidecars whose line numbers count from the chunk's beginning, and kept rows, of a
    plain file only where they are not. `screened` is how, and changes nothing."""
    tally = Tally(rules, home.plain_name(chunk.path), seed=EXAMPLE_SEED, thorough=chunk.start == 0)
    rows, sorter = Numbered(chunk), Sorter(rules, screened=screened)
    with ExitStack() as files:
        good = files.enter_context(line_writer(folder / KEPT_ZST)) if chunk.kind != "lines" else None
        bad = files.enter_context((folder / REJECTED).open("wb", BLOCK))
        broken = files.enter_context((folder / BROKEN).open("wb", BLOCK))
        careful = _Careful(sorter, tally, rows, bad, broken)
        for first, block in rows.blocks():
            lengths = sorter.look(block.lines)
            careful.judge(first, block, lengths)
            for place in tally.keep(lengths):
                tally.look(first + place, block.lines[place][:-1])
            if good is not None:
                good.write(b"".join(compress(block.lines, (length >= 0 for length in lengths))))
        for where, why in rows.unread:
            broken.write(broken_record(where, why, None))
    if good is None:
        (folder / GAPS).write_bytes(rows.gaps.tobytes())
    tally.totals.bytes = rows.bytes
    return {"tally": tally.as_dict(), "lines": rows.passed, "span": rows.span, "unread": len(rows.unread)}


@dataclass
class _Careful:
    """What is done with rows that are not plainly good."""

    sorter: Sorter
    tally: Tally
    rows: Numbered
    bad: IO[bytes]
    broken: IO[bytes]

    def judge(self, first: int, block: Block, lengths: list[int]) -> None:
        """Judge the suspects of a block with care, and put the length of those that are kept in their place. Together
        that takes two thirds of the time: one path's code and data stay in the processor's cache.
        """
        suspects = self.sorter.suspects
        if not suspects:
            return
        starts, lines, judge = block.starts(), block.lines, self.sorter.judge
        place = -1
        for suspect in suspects:
            place = lengths.index(-1, place + 1)
            line = lines[place]
            if not line.isspace():
                judged = judge(first + place, line[:-1], suspect)
                if judged.broken is None and not judged.reasons:
                    lengths[place] = judged.length
                    continue
                self.tally.add(judged)
                self._write(judged, starts[place], len(line))
            else:
                self.rows.leave_out(starts[place], len(line))
        suspects.clear()

    def _write(self, judged: Judged, at: int, size: int) -> None:
        if judged.broken is not None:
            self.broken.write(broken_record(judged.where, judged.broken, judged.line))
            self.rows.leave_out(at, size)
        elif self.rows.chunk.kind == "lines":
            self.bad.write(b"%b\n" % told(judged))
            self.rows.leave_out(at, size, judged.where)
        else:
            self.bad.write(rejected_record(judged.where, told(judged), judged.line))


def told(judged: Judged) -> bytes:
    """What the record of a rejected row tells of it: every reason."""
    reasons = [  # Reason._fields: spelled out, they take a quarter of the time
        {"rule": rule, "turn": turn, "why": why, "start": start, "end": end, "excerpt": excerpt}
        for rule, turn, why, start, end, excerpt in judged.reasons
    ]
    return b'"reasons":%b' % orjson.dumps(reasons)


def _sifted(place: Place, results: Sequence[Result]) -> Sifted:
    """What became of one file, by its parts."""
    before = lines_before(results)
    totals = merge(_from_line(result.counts["tally"], passed) for result, passed in zip(results, before, strict=True))
    unread = sum(result.counts["unread"] for result in results)
    return Sifted(place, totals, unread, first_broken(place) if totals.broken_rows or unread else None)


def _from_line(tally: Counts, passed: int) -> Counts:
    """A chunk's tally, the line numbers of its examples counted from the file's beginning."""
    found = [*tally["broken"], *(e for examples in tally["near"].values() for e in examples)]
    for example in [*found, *(e for hits in tally["rules"].values() for e in hits["examples"])]:
        example["where"] += passed
    return tally


def _part_key(rules: RuleSet) -> str:
    return f"{VERSION} {rules.key}"


def _key(places: Sequence[Place], rules: RuleSet, chunk_bytes: int) -> str:
    """What decides every byte of the output."""
    return hashlib.sha256(repr((VERSION, rules.key, chunk_bytes, states_of(places))).encode()).hexdigest()


def _record(sifted: Sequence[Sifted], out: Path, key: str) -> None:
    """Write down that all is done, after everything else."""
    files = [
        {
            "file": str(file.place.source),
            "sizes": _sizes(file.place),
            "totals": asdict(file.totals),
            "unread": file.unread,
            "first_broken": file.first_broken,
        }
        for file in sifted
    ]
    home.write_atomic(out / RECORD, json.dumps({"key": key, "files": files}, indent=1) + "\n")


def _finished(places: Sequence[Place], out: Path, key: str) -> list[Sifted] | None:
    """What became of the files, if all of it is there."""
    try:
        record = json.loads((out / RECORD).read_text())
        if record["key"] != key:
            return None
        entries = list(zip(places, record["files"], strict=True))
        if any(_sizes(place) != entry["sizes"] for place, entry in entries):
            return None
        return [Sifted(p, merge([e["totals"]]), e["unread"], e["first_broken"]) for p, e in entries]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sizes(place: Place) -> dict[str, int]:
    """The outputs that are there, and their bytes."""
    there = (path for path in (place.kept, place.rejected, place.broken) if path.exists())
    return {path.name: path.stat().st_size for path in there}
