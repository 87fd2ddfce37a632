"""`samosa fence`: rows that copy a probe or a benchmark are taken out, and kept beside what they copy."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from samosa import console, home
from samosa.config import Options, load
from samosa.console import clock
from samosa.data import parallel, sidecars
from samosa.data.fence import Denied, Fenced, fence_files, fenced_path
from samosa.data.fence.canaries import canaries
from samosa.data.manifest import chunks_of
from samosa.data.parallel import Result
from samosa.errors import BadInput, SamosaError
from samosa.phases.denying import FenceFiles, denied_by
from samosa.phases.settings import Fence
from samosa.phases.stage import Facts

FENCED = "fenced"
MB = 1_000_000
COLUMNS = ("file", "rows", "kept", "fenced", "of rows", "broken")
SHOWN = 8  # questions told of those that rows copy


def run(
    options: Options,
    *,
    files: Sequence[Path],
    against: Sequence[str] = (),
    out: Path | None = None,
    workers: int | None = None,
    seed: int | None = None,
) -> int:
    """Fence files against suites and benchmark files, the recipe's where none are named; returns the exit code.

    0 however many rows are taken out; 1 when lines were no rows, which stand in a sidecar. Raises BadInput for files
    that cannot be fenced or fenced against, NotReady for a full disk, SamosaError when a planted copy is not found.
    """
    recipe = load(FenceFiles, "fence", recipe=options.recipe, sets=options.sets)
    settings = recipe.fence.model_copy(update={"against": list(against)} if against else {})
    folder = out or _beside(files)
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file", hint="name a folder, new or old, for the rows that stay")
    for path in files:
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is not a file", hint=f"name files of rows, such as {path / '*.jsonl'}")
    places = sidecars.places_of(files, folder)
    denied = denied_by(settings)
    size = recipe.chunk_mb * MB
    hands = workers or min(parallel.default_workers(), 1 + sum(path.stat().st_size for path in files) // size)
    if options.plan:
        from samosa.phases.fence_plan import show_plan

        return show_plan(options, places, denied, folder, sample=recipe.sample, workers=hands)
    home.require_writable(folder)
    watch = Watch(len(chunks_of(files, chunk_bytes=size)))
    draws = recipe.seed if seed is None else seed
    fenced = fence_files(places, folder, denied, seed=draws, chunk_bytes=size, workers=hands, progress=watch.see)
    return _tell(options, fenced, denied, settings.against, folder, draws, watch)


def _beside(files: Sequence[Path]) -> Path:
    """The folder for what comes of files that lie together."""
    folders = {path.parent for path in files}
    if len(folders) > 1:
        raise BadInput("the files lie in different folders", hint="say where the rows go: --out DIR")
    return folders.pop() / FENCED


class Watch:
    """What a person sees while it runs."""

    def __init__(self, chunks: int) -> None:
        self.began = time.monotonic()
        self._chunks, self._done, self._fenced, self._rows, self._bytes = chunks, 0, 0, 0, 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def see(self, result: Result | None) -> None:
        """Show a finished chunk, or (None) that time goes by."""
        if result is not None:
            self._done += 1
            self._rows += result.counts["rows"]
            self._fenced += result.counts["fenced"]
            self._bytes += result.counts["bytes"] if result.chunk.kind == "lines" else 0
        speed = f", {self._bytes / MB / max(self.seconds, 1e-9):,.0f} MB/s" if self._bytes else ""
        said = f"{self._done} of {self._chunks} chunks, {self._rows:,} rows, {self._fenced:,} fenced{speed}"
        console.live_line(said)


def _tell(
    options: Options,
    fenced: Sequence[Fenced],
    denied: Sequence[Denied],
    against: Sequence[str],
    out: Path,
    seed: int,
    watch: Watch,
) -> int:
    """Say what became of the rows; returns the exit code."""
    console.table(COLUMNS, [_line(one) for one in fenced])
    copied = sum((one.by_denied for one in fenced), Counter[str]())
    if copied:
        questions = {one.id: one.question for one in denied}
        rows = [(f"{rows:,}", name, _short(questions.get(name, ""))) for name, rows in copied.most_common(SHOWN)]
        console.table(("rows", "copy", "which asks"), rows)
    for one in fenced:
        if one.broken or one.unread:
            place = one.place
            console.warn(f"{sidecars.first_broken(place)}; every such line stands in {place.broken}")
        if one.place.kept.name != one.place.source.name:
            console.say(f"kept rows of {one.place.source.name} are JSONL compressed by zstd, {one.place.kept.name}")
    planted = len(canaries(denied, seed=seed))
    console.say(f"planted copies found in every chunk: all {planted}")
    bad = sum(one.broken + one.unread for one in fenced)
    kept, taken = sum(one.kept for one in fenced), sum(one.fenced for one in fenced)
    questions_said = f"{len(denied):,} questions of {', '.join(against)}"
    console.say(
        f"{'✗' if bad else '✓'} {kept:,} rows kept, {taken:,} fenced from {questions_said} in {clock(watch.seconds)}"
    )
    if options.json:
        console.emit_json(
            {
                "against": list(against),
                "denied": len(denied),
                "canaries": planted,
                "rows": kept + taken,
                "kept": kept,
                "fenced": taken,
                "broken": bad,
                "files": [_fields(one) for one in fenced],
                "out": str(out),
                "seconds": round(watch.seconds, 2),
            }
        )
    console.say(_next(fenced))
    return SamosaError.exit_code if bad else 0


def _line(one: Fenced) -> tuple[str, ...]:
    share = one.fenced / max(1, one.rows)
    counts = (f"{one.rows:,}", f"{one.kept:,}", f"{one.fenced:,}", f"{share:.3%}", f"{one.broken + one.unread:,}")
    return (one.place.source.name, *counts)


def _fields(one: Fenced) -> dict[str, object]:
    return {
        "file": str(one.place.source),
        "rows": one.rows,
        "kept": one.kept,
        "fenced": one.fenced,
        "broken": one.broken + one.unread,
        "evidence": dict(one.by_evidence),
        "copied": dict(one.by_denied.most_common()),
        "kept_file": str(one.place.kept),
        "fenced_file": str(fenced_path(one.place)),
    }


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _next(fenced: Sequence[Fenced]) -> str:
    """What to do with what was kept, or with what was not."""
    kept = " ".join(shlex.quote(str(one.place.kept)) for one in fenced if one.kept)
    if (taken := [one for one in fenced if one.fenced]) and not kept:
        return f"no row was kept; next: read {fenced_path(taken[0].place)}, which has every copy beside its question"
    if not kept:
        return "no row was in it; next: samosa fence FILES with rows"
    review = f"review {fenced_path(taken[0].place)}, then " if taken else ""
    return f"next: {review}samosa mix {kept}"


def fence_sources(settings: Fence, paths: Mapping[str, Path], out: Path, *, stays: bool) -> Facts:
    """Fence the sources of a mix, name -> file, into a stage's folder.

    `kept` of the facts has the files of those that lost rows, relative to it. `stays`: rows are only told. Raises
    BadInput for a broken line, and where nothing is left of a source.
    """
    recipe, denied = load(FenceFiles, "fence"), denied_by(settings)
    size = recipe.chunk_mb * MB
    places = [sidecars.place_of(path, out / name) for name, path in paths.items()]  # two pools may have one file name
    hands = min(parallel.default_workers(), 1 + sum(path.stat().st_size for path in paths.values()) // size)
    fenced = fence_files(places, out, denied, seed=recipe.seed, chunk_bytes=size, workers=hands, copy_clean=False)
    for name, one in zip(paths, fenced, strict=True):
        if one.broken or one.unread:
            raise BadInput(sidecars.first_broken(one.place), hint="mend or delete that line")
        if one.fenced:
            console.warn(f"{name}: {one.fenced:,} of {one.rows:,} rows copy a question that is kept for judging")
        if one.rows and not one.kept and not stays:
            raise BadInput(f"every row of {name} copies a probe", hint=f"samosa fence {one.place.source} tells which")
    told = {name: one.fenced for name, one in zip(paths, fenced, strict=True) if one.fenced}
    files = {name: str(one.place.kept.relative_to(out)) for name, one in zip(paths, fenced, strict=True) if one.fenced}
    rows = sum(one.rows for one in fenced)
    does = "copy" if stays else "dropped that copy"
    said = f"{sum(told.values()):,} of {rows:,} rows {does} one of {len(denied):,} questions"
    return {"said": said, "kept": {} if stays else files, "fenced": told, "denied": len(denied)}
