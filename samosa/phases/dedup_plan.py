"""`samosa dedup --plan`: the rows there are and the memory, disk and time they take, by the first of each file."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from samosa import console
from samosa.config import Options
from samosa.console import clock
from samosa.data.dedup import chunkwork
from samosa.data.dedup.search import BYTES_PER_ROW, WORKER_BYTES, Asked, disk_per_row
from samosa.data.lines import BrokenInput, open_lines
from samosa.data.manifest import format_of, whole
from samosa.data.sidecars import Place
from samosa.phases.command import flags_of

SAMPLE = 500  # rows of each file that are hashed
RATIO = 3.3  # chat rows' bytes by those of the file that zstd makes of them at level 3, measured
MB = 1_000_000


@dataclass(frozen=True)
class Guess:
    """What a file will come to."""

    file: str
    rows: int
    bytes: int
    """Of rows, not compressed."""
    seconds: float
    """To hash them, in one process."""


def show_plan(options: Options, asked: Asked, places: Sequence[Place], out: Path) -> int:
    """Show the rows, memory, disk and time to come; returns the exit code."""
    guesses = [_guess(place.source, asked) for place in places]
    rows, size = sum(guess.rows for guess in guesses), sum(guess.bytes for guess in guesses)
    memory = rows * BYTES_PER_ROW + asked.workers * WORKER_BYTES
    disk = 2 * size + rows * disk_per_row(asked.near)
    seconds = sum(guess.seconds for guess in guesses) / asked.workers
    table = [(g.file, f"~{g.rows:,}", f"~{g.bytes / MB:,.1f}", f"~{clock(g.seconds)}") for g in guesses]
    console.table(("file", "rows", "MB", "to hash"), table)
    hands = f"{asked.workers} process{'es' if asked.workers > 1 else ''}"
    console.table(("", ""), [
        ("memory", f"{memory / MB:,.0f} MB at most: {BYTES_PER_ROW} bytes a row, {WORKER_BYTES / MB:.0f} MB a process"),
        ("disk", f"{disk / MB:,.0f} MB at most while it runs, {size / MB:,.0f} MB for the rows afterwards"),
        ("time", f"~{clock(seconds)} in {hands} to hash them, by {SAMPLE} rows of each file; what follows is on top"),
        ("near", _near(asked)),
    ])  # fmt: skip
    if options.json:
        files = [{"file": guess.file, "rows": guess.rows, "bytes": guess.bytes} for guess in guesses]
        numbers = {
            "rows": rows,
            "bytes": size,
            "memory_bytes": memory,
            "disk_bytes": disk,
            "seconds": round(seconds, 1),
        }
        console.emit_json({"plan": True, **numbers, "out": str(out), "files": files})
    names = " ".join(shlex.quote(str(place.source)) for place in places)
    near = f" --near --threshold {asked.threshold:g}" if asked.near else ""
    console.say(f"next: samosa dedup {names} --out {shlex.quote(str(out))}{near}{flags_of(options)}")
    return 0


def _near(asked: Asked) -> str:
    """Which pairs are compared, in words."""
    if asked.near is None:
        return "not looked for: --near"
    cut, full = asked.near.banding, asked.threshold
    shares = ", ".join(f"{cut.found(alike):.3g} of those of similarity {alike:.2g}" for alike in (full, full / 2))
    return f"{cut.bands} bands of {cut.rows} values; of all pairs are compared {shares}"


def _guess(path: Path, asked: Asked) -> Guess:
    """What a file will come to. Hashes its first rows, in a folder that is thrown away."""
    lines: list[bytes] = []
    try:
        lines.extend(line for _, line in islice(open_lines(path), SAMPLE))
    except BrokenInput as error:
        console.warn(error.message)
    if not lines:
        return Guess(path.name, 0, 0, 0.0)
    mean = sum(len(line) + 1 for line in lines) / len(lines)
    match format_of(path):
        case "plain":
            rows = path.stat().st_size / mean
        case "parquet":
            import pyarrow.parquet as pq

            rows = pq.read_metadata(path).num_rows
        case _:
            rows = path.stat().st_size * RATIO / mean
    if len(lines) < SAMPLE:
        rows = len(lines)
    return Guess(path.name, round(rows), round(rows * mean), rows / len(lines) * _seconds(lines, asked))


def _seconds(lines: Sequence[bytes], asked: Asked) -> float:
    """How long it takes to hash some rows."""
    with tempfile.TemporaryDirectory() as folder:
        head = Path(folder) / "head.jsonl"
        head.write_bytes(b"".join(line + b"\n" for line in lines))
        began = time.process_time()
        chunkwork.hash_rows(whole(head), Path(folder), plants=((),), near=asked.near)
        return time.process_time() - began
