"""`samosa filter` beside a first script, datasets and datatrove: `python -m benchmarks.filter [--json]`.

200,000 generated chat rows of about 330 MB, side after side, in rounds. Whole commands in fresh processes: reading,
writing, start-up and (ours) sidecars and report included. The first script and ours are compared by processor seconds,
one process each, the others by the clock, two processes each. `re` applies default's rules in plain Python; it is
slow, so both sides of that pair get the first 10,000 rows. All sides have to keep the same rows. Memory is the largest
process's peak, on these rows and on twice as many.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROWS, FEW, ROUNDS, WORKERS = 200_000, 10_000, 2, 2
SAMOSA = "import sys; from samosa.cli import main; sys.exit(main())"
MB = 1_000_000


@dataclass(frozen=True)
class Files:
    """What the sides read: all rows, the first few, all in halves, and all twice."""

    folder: Path
    rows: Path
    few: Path
    halves: Path
    twice: Path


@dataclass(frozen=True)
class Took:
    """What a command took: seconds by the clock and of the processor, the largest process's peak memory in MB, and a
    digest of the rows it kept.
    """

    seconds: float
    processor: float
    megabytes: float
    kept: str

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s, {self.processor:6.1f} s of processor, {self.megabytes:5.0f} MB"


def write_files(folder: Path, rows: int, seed: int) -> Files:
    files = Files(folder, *(folder / name for name in ("rows.jsonl", "few.jsonl", "halves", "twice.jsonl")))
    command = [sys.executable, "-m", "benchmarks._chat_rows", str(files.rows), str(rows), str(seed)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    files.halves.mkdir()
    with files.rows.open("rb") as lines:
        files.few.write_bytes(b"".join(islice(lines, FEW)))
        lines.seek(0)
        for name in ("0.jsonl", "1.jsonl"):
            with (files.halves / name).open("wb") as half:
                half.writelines(islice(lines, rows // 2))
    with files.twice.open("wb") as twice:
        for _ in range(2):
            with files.rows.open("rb") as lines:
                while block := lines.read(1 << 20):
                    twice.write(block)
    return files


def take(side: str, files: Files) -> Took:
    """Run one side, a command in a process of its own, when the disk has written what those before it left and its rows
    are in memory."""
    os.sync()
    for path in (files.rows, *files.halves.iterdir()):
        with path.open("rb") as rows:
            while rows.read(MB):
                pass
    with tempfile.TemporaryDirectory(dir=files.folder) as name:
        out = Path(name)
        command, kept = _command(side, files, out)
        homes = {"SAMOSA_HOME": str(out / "home"), "HF_HOME": str(out / "hf"), "HF_HUB_OFFLINE": "1"}
        around = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        began = time.perf_counter()
        with (out / "said").open("wb") as said:
            process = subprocess.Popen(command, cwd=ROOT, env=around | homes, stdout=said, stderr=said)
            _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{side} failed:\n{(out / 'said').read_text()[-2000:]}")
        return Took(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, _digest(kept))


def _command(side: str, files: Files, out: Path) -> tuple[list[str], list[Path]]:
    """A side's command line, and the files in which its rows will be."""
    kept = out / "kept.jsonl"
    python = [sys.executable]
    if side == "naive":
        return [*python, "benchmarks/baselines/filter_naive.py", str(files.rows), str(kept)], [kept]
    if side == "re, few":
        return [*python, "-m", "benchmarks._filter_peers", "re", str(files.few), str(kept)], [kept]
    if side in ("datasets", "datasets, few"):
        source = files.few if side.endswith("few") else files.rows
        return [*python, "-m", "benchmarks._filter_peers", "datasets", str(source), str(kept)], [kept]
    if side == "datatrove":
        halves = [out / "rows" / f"0000{half}.jsonl" for half in (0, 1)]
        return [*python, "-m", "benchmarks._filter_peers", side, str(files.halves), str(out / "rows")], halves
    rules, _, which = side.partition(", ")
    source = {"": files.rows, "alone": files.rows, "few": files.few, "twice": files.twice}[which]
    workers = 1 if which == "alone" else WORKERS
    arguments = ["filter", str(source), "--rules", rules, "--out", str(out), "--workers", str(workers)]
    return [*python, "-c", SAMOSA, *arguments], [out / source.name]


def _digest(paths: list[Path]) -> str:
    """Of the rows in their order, whatever their white space."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as lines:
            for line in lines:
                digest.update(json.dumps(json.loads(line)).encode())
    return digest.hexdigest()


def measure(rows: int, seed: int, rounds: int) -> dict[str, float]:
    """The figures: medians over rounds. A round has ours, which takes seconds, before and after each of the others."""
    sides = (
        *("roadmap", "datasets", "roadmap", "datatrove", "roadmap"),
        *("roadmap, alone", "naive", "roadmap, alone"),
        *("default", "default, few", "re, few", "default, few"),
    )
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), rows, seed)
        size = files.rows.stat().st_size / MB
        print(f"{rows:,} rows, {size:.0f} MB", file=sys.stderr, flush=True)
        for side in ("default, few", "datasets, few"):  # modules are compiled once for all, as on a user's machine
            take(side, files)
        found: dict[str, list[Took]] = {side: [] for side in (*sides, "roadmap, twice")}
        for number in range(rounds):
            for side in (*sides, "roadmap, twice") if number == 0 else sides:
                found[side].append(took := take(side, files))
                print(f"  {side:14}  {took}", file=sys.stderr, flush=True)
    _check(found)

    def median(side: str, what: str) -> float:
        return statistics.median(getattr(took, what) for took in found[side])

    ours = median("roadmap, alone", "processor")
    return {
        "vs_naive": round(median("naive", "processor") / ours, 2),
        "vs_datasets": round(median("datasets", "seconds") / median("roadmap", "seconds"), 2),
        "vs_datatrove": round(median("datatrove", "seconds") / median("roadmap", "seconds"), 2),
        "default_vs_re": round(median("re, few", "processor") / median("default, few", "processor"), 2),
        "rows_per_s_per_core": round(rows / ours),
        "mb_per_s_per_core": round(size / ours, 1),
        "default_rows_per_s_per_core": round(rows / median("default", "processor")),
        "megabytes": round(median("roadmap", "megabytes")),
        "megabytes_twice": round(median("roadmap, twice", "megabytes")),
    }


def _check(found: dict[str, list[Took]]) -> None:
    """Every side keeps the rows that its partner keeps."""
    for sides in (("roadmap", "roadmap, alone", "naive", "datasets", "datatrove"), ("default, few", "re, few")):
        kept = {side: {took.kept for took in found[side]} for side in sides}
        assert len(set.union(*kept.values())) == 1, f"they keep different rows: {kept}"


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rows", type=int, default=ROWS)
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--json", action="store_true", help="one line of JSON, last on stdout")
    options = asked.parse_args()
    figures = measure(options.rows, options.seed, options.rounds)
    print(json.dumps(figures, indent=None if options.json else 1))
