"""`samosa fence --plan`: what a sample of the rows says about all of them, before anything is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import orjson

from samosa import console, home
from samosa.config import Options
from samosa.console import clock
from samosa.data.fence import Denied, Fence
from samosa.data.filter.report import interval
from samosa.data.pieces import extent_of, pieces_of
from samosa.data.sidecars import Place
from samosa.errors import NotReady
from samosa.phases.denying import Sample

MB = 1_000_000


def show_plan(
    options: Options, places: Sequence[Place], denied: Sequence[Denied], out: Path, *, sample: Sample, workers: int
) -> int:
    """Predict rows, copies, time and disk from a sample; returns the exit code. Raises NotReady for too little disk."""
    paths = [place.source for place in places]
    fence = Fence(denied)
    rows = text = fenced = 0
    copied: Counter[str] = Counter()
    began = time.process_time()
    for piece in pieces_of(paths, pieces=sample.pieces, piece_bytes=sample.piece_kb * 1000, seed=sample.seed):
        decoded = [row for line in piece.rows if (row := _decoded(line)) is not None]
        found = [matches[0] for matches in fence.check(decoded) if matches]
        rows, fenced = rows + len(piece.rows), fenced + len(found)
        text += sum(len(line) + 1 for line in piece.rows)
        copied.update(match.denied for match in found)
    spent = max(time.process_time() - began, 1e-9)
    whole = sum(extent_of(path).text for path in paths)
    share = fenced / max(1, rows)
    low, high = interval(fenced, rows) if rows else (0.0, 1.0)
    all_rows = rows * whole / max(1, text)
    seconds = whole / (text / spent) / workers if text else 0.0
    stored = sum(path.stat().st_size for path in paths)
    free = home.free_space(out)
    files = paths[0].name if len(paths) == 1 else f"{len(paths)} files"
    console.say(f"fence {files} against {len(denied):,} questions, as {rows:,} rows of a sample predict")
    of = "one process of" if workers == 1 else f"{workers} processes of"
    lines = [
        ("rows", f"{all_rows:,.0f}", "by the files' sizes and the sample's rows"),
        ("fenced", f"{share * all_rows:,.0f}", f"{share:.3%}, {low:.3%} – {high:.3%}"),
        ("time", clock(seconds), f"{of} {text / spent / MB:,.0f} MB/s, as the sample took"),
        ("disk", f"{stored / MB:,.1f} MB", f"{free / MB:,.0f} MB are free at {out}"),
    ]
    mark = "✓" if stored <= free else "✗"
    console.table(("", "", "", ""), [(mark if name == "disk" else "·", name, *rest) for name, *rest in lines])
    if options.json:
        said = {"rows": round(all_rows), "fenced": {"share": share, "low": low, "high": high}, "seconds": seconds}
        console.emit_json(
            {"sampled_rows": rows, **said, "copied": dict(copied), "disk_bytes": stored, "free_bytes": free}
        )
    if stored > free:
        raise NotReady(
            f"{out} has {free / MB:,.0f} MB free, of {stored / MB:,.0f}", hint="name a larger disk: --out DIR"
        )
    console.say("next: the same command without --plan")
    return 0


def _decoded(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
