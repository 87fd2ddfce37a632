"""`samosa filter --plan`: what a sample of the rows says about all of them, before anything is written."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.config import Options
from samosa.console import clock
from samosa.data.filter import RuleSet, sort_lines
from samosa.data.filter.report import interval
from samosa.data.pieces import Piece, extent_of, pieces_of
from samosa.data.sidecars import Place, rejected_record
from samosa.data.sifting import told
from samosa.errors import NotReady

MB = 1_000_000
START = 0.7  # seconds until worker processes are at work
JOINED_PER_SECOND = 500 * MB  # parts put together and brought to the disk; 350 MB took 0.7 s on a busy disk


@dataclass(frozen=True)
class Look:
    """What became of one piece's rows."""

    rows: int
    text: int
    kept: int
    kept_text: int
    record_bytes: int
    """Of the sidecar of its rejected rows."""
    broken: int
    hits: Counter[str]


@dataclass(frozen=True)
class Rate:
    """A share of all rows, and its 95 % interval."""

    name: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What filtering everything would take and give."""

    sampled: int
    """Rows looked at."""
    rows: float
    kept: Rate
    rules: list[Rate]
    broken: Rate
    seconds: float
    mb_per_s: float
    """Of text, one process."""
    out_bytes: float
    disk_bytes: float
    """Needed while it runs: sidecars, and kept rows of compressed files, lie there in parts as well until it ends."""


def show_plan(
    options: Options, places: Sequence[Place], out: Path, *, rules: RuleSet, sample: Any, workers: int, of: int
) -> int:
    """Show what the sample predicts; returns 0, or 3 where the disk is too small. Raises NotReady where no row is."""
    paths = [place.source for place in places]
    drawn = list(pieces_of(paths, pieces=sample.pieces, piece_bytes=sample.piece_kb * 1000, seed=sample.seed))
    looks, seconds = look_at(drawn, rules)
    if not any(look.rows for look in looks):
        raise NotReady("the sample has no rows to judge", hint="are the files empty? samosa filter says what is broken")
    forecast = foresee(looks, seconds, places, rules, workers=workers, of=of)
    free = home.free_space(out)
    _show(forecast, places, out, rules=rules, free=free, workers=workers)
    if options.json:
        console.emit_json(_json(forecast, rules, free))
    fits = forecast.disk_bytes <= free
    console.say("next: the same command without --plan" if fits else "next: free some space, or name another --out")
    return 0 if fits else NotReady.exit_code


def look_at(pieces: Sequence[Piece], rules: RuleSet) -> tuple[list[Look], float]:
    """Judge the rows of a sample, and the processor seconds that took."""
    began = time.process_time()
    looks = [_look(piece, rules) for piece in pieces]
    return looks, time.process_time() - began


def foresee(
    looks: Sequence[Look], seconds: float, places: Sequence[Place], rules: RuleSet, *, workers: int, of: int
) -> Forecast:
    """Scale a sample up to all files."""
    extents = [extent_of(place.source) for place in places]
    text, stored = sum(extent.text for extent in extents), sum(extent.stored for extent in extents)
    sampled, seen = sum(look.rows for look in looks), sum(look.text for look in looks)
    judged = [(look.rows - look.broken, look) for look in looks]
    kept_share = sum(look.kept_text for look in looks) / seen
    rejected_bytes = sum(look.record_bytes for look in looks) / seen * text
    out_bytes = kept_share * stored + rejected_bytes
    packed = sum(extent.stored for extent in extents if extent.stored != extent.text)
    speed = seen / max(seconds, 1e-6)
    work = text / speed / (workers * of) + (START if workers > 1 else 0) + out_bytes / JOINED_PER_SECOND
    return Forecast(
        sampled=sampled,
        rows=text * sampled / seen,
        kept=rate("kept", [(look.kept, rows) for rows, look in judged]),
        rules=[rate(rule.name, [(look.hits[rule.name], rows) for rows, look in judged]) for rule in rules.rules],
        broken=rate("broken", [(look.broken, look.rows) for look in looks]),
        seconds=work,
        mb_per_s=speed / MB,
        out_bytes=out_bytes,
        disk_bytes=out_bytes + rejected_bytes + kept_share * packed,
    )


def rate(name: str, pieces: Sequence[tuple[int, int]]) -> Rate:
    """A rate over (hits, rows) of pieces, as the ratio of their sums, and its interval.

    Rows that lie together are alike, so a row more of the same piece says less than one from elsewhere. The variance is
    that of a ratio over clusters (Cochran 1977, equation 6.13), and the interval is Wilson's for the number of
    independent rows that has that variance.
    """
    hits, rows = sum(h for h, _ in pieces), sum(n for _, n in pieces)
    if rows == 0:
        return Rate(name, 0.0, 0.0, 1.0)
    share, count = hits / rows, len(pieces)
    independent = float(rows)
    if count > 1 and 0 < share < 1:
        spread = count / (count - 1) * math.fsum((h - share * n) ** 2 for h, n in pieces) / rows**2
        independent = min(independent, share * (1 - share) / spread) if spread else independent
    low, high = interval(share * independent, independent)
    return Rate(name, share, low, high)


def _look(piece: Piece, rules: RuleSet) -> Look:
    kept = kept_text = record_bytes = broken = 0
    hits: Counter[str] = Counter()
    for judged in sort_lines(rules, enumerate(piece.rows, 1)):
        if judged.broken is not None:
            broken += 1
        elif judged.reasons:
            hits.update({reason.rule for reason in judged.reasons})
            record_bytes += len(rejected_record(judged.where, told(judged), judged.line))
        else:
            kept += 1
            kept_text += len(judged.line) + 1
    text = sum(len(row) + 1 for row in piece.rows)
    return Look(len(piece.rows), text, kept, kept_text, record_bytes, broken, hits)


def _show(forecast: Forecast, places: Sequence[Place], out: Path, *, rules: RuleSet, free: int, workers: int) -> None:
    files = f"{len(places)} files" if len(places) > 1 else str(places[0].source)
    console.say(f"filter {files} by the rules {rules.name}, as {forecast.sampled:,} rows of a sample predict")
    rows = [(r.name, f"{r.share:.2%}", f"{r.low:.2%} – {r.high:.2%}", f"{r.share * forecast.rows:,.0f}")
            for r in sorted(forecast.rules, key=lambda r: -r.share)]  # fmt: skip
    console.table(("rule", "of rows", "95 % interval", "rows"), rows)
    kept, broken = forecast.kept, forecast.broken
    lines = [
        ("rows", f"{forecast.rows:,.0f}", "by the files' sizes and the sample's rows"),
        ("kept", f"{kept.share * forecast.rows:,.0f}", f"{kept.share:.1%}, {kept.low:.1%} – {kept.high:.1%}"),
        ("broken", f"{broken.share * forecast.rows:,.0f}", f"at most {broken.high:.2%}"),
        ("time", clock(forecast.seconds), f"{workers} processes of {forecast.mb_per_s:,.0f} MB/s, as the sample took"),
        ("output", f"{forecast.out_bytes / MB:,.1f} MB", "kept rows and the sidecar of the rejected"),
        ("disk", f"{forecast.disk_bytes / MB:,.1f} MB", f"while it runs; {free / MB:,.0f} MB are free at {out}"),
    ]
    mark = "✓" if forecast.disk_bytes <= free else "✗"
    console.table(("", "", "", ""), [(mark if name == "disk" else "·", name, *rest) for name, *rest in lines])


def _json(forecast: Forecast, rules: RuleSet, free: int) -> dict[str, Any]:
    def told(found: Rate) -> dict[str, Any]:
        return {"share": round(found.share, 6), "low": round(found.low, 6), "high": round(found.high, 6)}

    return {
        "rules": rules.name,
        "version": rules.version,
        "sampled_rows": forecast.sampled,
        "rows": round(forecast.rows),
        "kept": told(forecast.kept),
        "broken": told(forecast.broken),
        "rates": {found.name: told(found) for found in forecast.rules},
        "seconds": round(forecast.seconds, 2),
        "out_bytes": round(forecast.out_bytes),
        "disk_bytes": round(forecast.disk_bytes),
        "free_bytes": free,
    }
