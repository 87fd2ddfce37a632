"""`samosa dedup`: of rows that say the same, the first goes on as it is; the others stand beside it with its line."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveInt

from samosa import console, home
from samosa.config import Options, Recipe, load
from samosa.console import clock
from samosa.data import parallel, sidecars
from samosa.data.dedup.bands import banding
from samosa.data.dedup.chunkwork import Near
from samosa.data.dedup.deduplicate import Report, deduplicate, dropped_path
from samosa.data.dedup.groups import CROWD, HEADS
from samosa.data.dedup.search import Asked
from samosa.data.manifest import chunks_of
from samosa.data.parallel import Result
from samosa.data.sidecars import Place
from samosa.errors import BadInput, SamosaError

DEDUPED = "deduped"
MB = 1_000_000
COLUMNS = ("file", "rows", "kept", "exact", "near", "broken")


class NearDuplicates(Recipe):
    """What counts as nearly the same, and how surely it is found."""

    threshold: Annotated[float, Field(ge=0.3, le=0.99)]
    """Jaccard similarity of two rows' shingles."""
    words: PositiveInt
    """In a shingle."""
    recall: Annotated[float, Field(ge=0.5, lt=1)]
    """Share of the pairs at the threshold that are to be compared."""
    slots: Annotated[int, Field(ge=1, le=512)]
    """The most MinHash values a row may have."""


class DedupFiles(Recipe):
    """What `samosa dedup` does where the command line says nothing."""

    seed: int
    canaries: PositiveInt
    """Pairs of each kind planted in every run."""
    chunk_mb: PositiveInt
    """Text that a worker takes at once, in MB."""
    near: NearDuplicates


def run(
    options: Options,
    *,
    files: Sequence[Path],
    out: Path | None = None,
    near: bool = False,
    threshold: float | None = None,
    workers: int | None = None,
    seed: int | None = None,
) -> int:
    """Drop rows that repeat an earlier one; returns the exit code.

    0 however many are dropped; 1 when lines were no rows, which stand in a sidecar. Raises BadInput for files that
    cannot be read and settings that cannot be met, SamosaError when a planted duplicate was not found, and NotReady
    where the disk is full.
    """
    recipe = load(DedupFiles, "dedup", recipe=options.recipe, sets=_sets(options, near, threshold))
    folder = out or _beside(files)
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file", hint="name a folder, new or old, for the rows that stay")
    for path in files:
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is not a file", hint=f"name files of rows, such as {path / '*.jsonl'}")
    places = sidecars.places_of(files, folder)
    settings, draws = recipe.near, recipe.seed if seed is None else seed
    cut = banding(settings.threshold, settings.recall, settings.slots)
    size = recipe.chunk_mb * MB
    watch = Watch()
    asked = Asked(
        chunks=tuple(chunks_of(files, chunk_bytes=size)),
        parts=folder,
        near=Near(settings.words, cut, draws % 2**32) if near else None,
        threshold=settings.threshold,
        canaries=recipe.canaries,
        seed=draws,
        workers=workers or min(parallel.default_workers(), 1 + sum(path.stat().st_size for path in files) // size),
        progress=watch.see,
    )
    if options.plan:
        from samosa.phases.dedup_plan import show_plan

        return show_plan(options, asked, places, folder)
    home.require_writable(folder)
    report = deduplicate(places, folder, asked)
    return _tell(options, report, places, folder, asked, watch)


def _sets(options: Options, near: bool, threshold: float | None) -> tuple[str, ...]:
    if threshold is None:
        return options.sets
    if not near:
        raise BadInput("--threshold is for near-duplicates", hint="add --near; it is a similarity from 0.3 to 0.99")
    return (*options.sets, f"near.threshold={threshold!r}")


def _beside(files: Sequence[Path]) -> Path:
    """The folder for what comes of files that lie together."""
    folders = {path.parent for path in files}
    if len(folders) > 1:
        raise BadInput("the files lie in different folders", hint="say where the rows go: --out DIR")
    return folders.pop() / DEDUPED


class Watch:
    """What a person sees while it runs: what is being done, and how much of it is done."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self._doing, self._done = "", 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def see(self, doing: str, chunks: int, result: Result | None) -> None:
        """Show a finished chunk, or (None) that time goes by; no chunks for what is not done by the chunk."""
        if doing != self._doing:
            self._doing, self._done = doing, 0
        self._done += result is not None
        console.live_line(f"{doing}: {self._done} of {chunks} chunks" if chunks else doing)


def _tell(options: Options, report: Report, places: Sequence[Place], out: Path, asked: Asked, watch: Watch) -> int:
    """Say what became of the rows; returns the exit code."""
    totals = [("all", *(report.total(what) for what in COLUMNS[1:]))] if len(report.files) > 1 else []
    counts = [(c.file, c.rows, c.kept, c.exact, c.near, c.broken) for c in report.files]
    console.table(COLUMNS, [(name, *(f"{number:,}" for number in numbers)) for name, *numbers in counts + totals])
    if len(report.files) > 1 and report.repeats:
        repeats = [(r.file, r.of, f"{r.exact:,}", f"{r.near:,}") for r in report.repeats]
        console.table(("rows of", "repeat rows of", "exactly", "nearly"), repeats)
    for place, file in zip(places, report.files, strict=True):
        if file.broken or file.unread:
            console.warn(f"{sidecars.first_broken(place)}; every such line stands in {place.broken}")
        if place.kept.name != place.source.name:
            console.say(f"kept rows of {place.source.name} are JSONL compressed by zstd, {place.kept.name}")
    if report.chained:
        console.say(f"{report.chained:,} near-duplicates are like the kept row only by way of others between them")
    if report.skipped:
        said = f"{report.skipped:,} times a row met more than {CROWD} others: it was compared with {HEADS} of them"
        console.say(f"{said}, so that here and there a near-duplicate may stay")
    planted = " and ".join(f"{count} {kind}" for kind, count in report.canaries.items() if kind != "decoy")
    console.say(f"planted duplicates found: all {planted}; {report.canaries['decoy']} unlike pairs were kept apart")
    bad = report.total("broken") + report.total("unread")
    dropped = report.total("exact") + report.total("near")
    took = f"in {clock(watch.seconds)}"
    console.say(f"{'✗' if bad else '✓'} {report.total('kept'):,} rows kept and {dropped:,} dropped {took}, in {out}")
    if options.json:
        files = [{"kept_file": str(place.kept), "dropped_file": str(dropped_path(place))} for place in places]
        fields = report.fields()
        merged = [counts | file for counts, file in zip(fields["files"], files, strict=True)]
        console.emit_json(fields | {"files": merged, "out": str(out), "seconds": round(watch.seconds, 2)})
    console.say(_next(report, places, asked))
    return SamosaError.exit_code if bad else 0


def _next(report: Report, places: Sequence[Place], asked: Asked) -> str:
    """What to do with what was kept."""
    if asked.near is None:
        files = " ".join(shlex.quote(str(place.source)) for place in places)
        return f"next: samosa fence {_kept(report, places)}; or, for near-duplicates, samosa dedup --near {files}"
    return f"next: samosa fence {_kept(report, places)}"


def _kept(report: Report, places: Sequence[Place]) -> str:
    kept = [place.kept for place, counts in zip(places, report.files, strict=True) if counts.kept]
    return " ".join(shlex.quote(str(path)) for path in kept or [place.kept for place in places])
