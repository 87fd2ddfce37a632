"""Files without their duplicates: rows that stay as their bytes, in order; beside them what was dropped, and why."""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samosa import home
from samosa.data import parallel
from samosa.data.dedup import chunkwork
from samosa.data.dedup.chunkwork import (
    BROKEN,
    BROKEN_FILE,
    CANARY,
    DROPPED_FILE,
    FLAGS_FILE,
    LINES_FILE,
    STAYS,
    VERDICTS_FILE,
    Verdicts,
)  # fmt: skip
from samosa.data.dedup.search import Asked, Found, digest, search, source_lines
from samosa.data.manifest import format_of
from samosa.data.parallel import Result
from samosa.data.sidecars import KEPT, KEPT_ZST, Place

PARTS, RECORD = ".parts-dedup", "dedup.json"


@dataclass(frozen=True)
class FileCounts:
    """What became of the rows of one file."""

    file: str
    rows: int
    kept: int
    exact: int
    near: int
    broken: int
    unread: int
    """Times that the file could not be read on."""


@dataclass(frozen=True)
class Repeats:
    """How many rows of one file repeat rows of another, or of itself."""

    file: str
    of: str
    exact: int
    near: int


@dataclass(frozen=True)
class Report:
    """What became of all rows."""

    files: tuple[FileCounts, ...]
    repeats: tuple[Repeats, ...]
    canaries: dict[str, int]
    """Planted pairs that were found, or kept apart, by kind: all of them."""
    compared: int
    """Pairs whose shingles were compared."""
    skipped: int
    """Times that a row met too many others to be compared with all of them."""
    chained: int
    """Near-duplicates that are less like the row that stays than the threshold: others stand between."""

    def total(self, what: str) -> int:
        return sum(getattr(counts, what) for counts in self.files)

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        totals = {what: self.total(what) for what in ("rows", "kept", "exact", "near", "broken", "unread")}
        return totals | asdict(self)

    @classmethod
    def read(cls, fields: dict[str, Any]) -> "Report":
        """What `fields` wrote."""
        files = tuple(FileCounts(**counts) for counts in fields["files"])
        repeats = tuple(Repeats(**counts) for counts in fields["repeats"])
        others = {name: fields[name] for name in ("canaries", "compared", "skipped", "chained")}
        return cls(files, repeats, **others)


def dropped_path(place: Place) -> Path:
    """Where the dropped rows of a file go."""
    return place.broken.with_name(place.broken.name.removesuffix("broken.jsonl") + "duplicates.jsonl")


def deduplicate(places: Sequence[Place], out: Path, asked: Asked) -> Report:
    """Write every file to its place without the rows that repeat an earlier one, of this or an earlier file.

    What is done already is not done again. Raises SamosaError, before it writes, when a canary was not found; BadInput
    for an unreadable file; NotReady for a full disk. Broken rows raise nothing: they are counted and written down.
    """
    asked = replace(asked, parts=out / PARTS)
    key = digest((asked.key, [_stat(place.source) for place in places]))
    with parallel.alone(asked.parts):
        report = _finished(places, out, key)
        if report is None:
            found = search(asked)
            report = _report(places, found, asked.threshold)
            parts = _sorted(asked, found, places)
            for place in places:
                _write(place, [part for part in parts if part.chunk.path == place.source])
            _record(report, places, out, key)
        shutil.rmtree(asked.parts, ignore_errors=True)  # those of searches that were given up as well
    return report


def _sorted(asked: Asked, found: Found, places: Sequence[Place]) -> list[Result]:
    """Sort the rows of every chunk into those that stay and those that go."""
    parts = asked.parts
    begins = [begin for begin, _ in _spans(found, places)]
    verdicts = Verdicts(
        flags=parts / FLAGS_FILE, lines=parts / LINES_FILE, verdicts=parts / VERDICTS_FILE, begins=found.begins,
        file_names=tuple(home.plain_name(place.source) for place in places), file_begins=tuple(begins),
    )  # fmt: skip
    found.flags.tofile(verdicts.flags)
    found.verdicts.tofile(verdicts.verdicts)
    with verdicts.lines.open("wb") as file:
        for lines in source_lines(found.results):
            lines.tofile(file)
    key = f"{asked.key} {digest(found.verdicts.tobytes())}"
    work = partial(chunkwork.sort_rows, found=verdicts)
    return parallel.map_chunks(
        work, asked.chunks, parts, key=f"sorting {key}", workers=asked.workers,
        progress=partial(asked.progress, "writing", len(asked.chunks)),
    )  # fmt: skip


def _write(place: Place, parts: Sequence[Result]) -> None:
    parallel.merge(parts, KEPT if format_of(place.source) == "plain" else KEPT_ZST, place.kept)
    parallel.merge(parts, DROPPED_FILE, dropped_path(place))
    if any((part.folder / BROKEN_FILE).stat().st_size for part in parts):
        parallel.merge(parts, BROKEN_FILE, place.broken)
    else:
        place.broken.unlink(missing_ok=True)  # of an earlier state of the file


def _report(places: Sequence[Place], found: Found, threshold: float) -> Report:
    spans = _spans(found, places)
    names = [place.source.name for place in places]
    of = found.verdicts["of"]
    goes = np.flatnonzero((of != STAYS) & (found.flags & CANARY == 0))
    near = ~np.isnan(found.verdicts["jaccard"][goes])
    begins = np.array([begin for begin, _ in spans])
    pairs = np.stack([np.searchsorted(begins, side, "right") - 1 for side in (goes, of[goes])], axis=1)
    counts = {how: _counted(pairs[chosen], len(places)) for how, chosen in (("exact", ~near), ("near", near))}
    repeats = [
        Repeats(names[here], names[there], int(counts["exact"][here, there]), int(counts["near"][here, there]))
        for here, there in np.argwhere(counts["exact"] + counts["near"]).tolist()
    ]
    unread = [0] * len(places)
    for part in found.results:
        unread[[place.source for place in places].index(part.chunk.path)] += len(part.counts["unread"])
    files = []
    for number, (begin, end) in enumerate(spans):
        flags = found.flags[begin:end]
        rows, broken = int((flags & CANARY == 0).sum()), int((flags & BROKEN > 0).sum())
        exact, alike = (int(counts[how][number].sum()) for how in ("exact", "near"))
        kept = rows - broken - exact - alike
        files.append(FileCounts(names[number], rows, kept, exact, alike, broken, unread[number]))
    chained = int((found.verdicts["jaccard"][goes][near] < threshold).sum())
    return Report(tuple(files), tuple(repeats), found.canaries, found.compared, found.skipped, chained)


def _counted(pairs: NDArray[np.int64], files: int) -> NDArray[np.int64]:
    """How many pairs of each file with each file, [files, files]."""
    return np.bincount(pairs[:, 0] * files + pairs[:, 1], minlength=files * files).reshape(files, files)


def _spans(found: Found, places: Sequence[Place]) -> list[tuple[int, int]]:
    """The entries of each file, [begin, end)."""
    spans = []
    for place in places:
        chunks = [number for number, part in enumerate(found.results) if part.chunk.path == place.source]
        spans.append((found.begins[chunks[0]], found.begins[chunks[-1] + 1]))
    return spans


def _stat(path: Path) -> tuple[str, int, int]:
    stat = path.stat()
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns


def _record(report: Report, places: Iterable[Place], out: Path, key: str) -> None:
    """Write down that all is done, after everything else."""
    fields = {"key": key, "sizes": _sizes(places), **report.fields()}
    home.write_atomic(out / RECORD, json.dumps(fields, indent=1) + "\n")


def _finished(places: Iterable[Place], out: Path, key: str) -> Report | None:
    """The report of a run that asked for the same, when what it wrote still stands."""
    try:
        fields = json.loads((out / RECORD).read_text())
        if fields["key"] == key and fields["sizes"] == _sizes(places):
            return Report.read(fields)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _sizes(places: Iterable[Place]) -> dict[str, int]:
    paths = [path for place in places for path in (place.kept, dropped_path(place), place.broken) if path.exists()]
    return {path.name: path.stat().st_size for path in paths}
