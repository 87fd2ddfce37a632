"""`samosa filter`: rows that pass every rule go on as they are, the others stand beside them with all their reasons."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import PositiveInt

from samosa import console, home
from samosa.config import Options, Recipe, load
from samosa.console import clock
from samosa.data import parallel, sidecars, sifting
from samosa.data.filter import RuleSet, load_rules
from samosa.data.filter.tally import Totals, merge
from samosa.data.manifest import chunks_of, format_of
from samosa.data.parallel import Result
from samosa.data.sifting import Left, Sifted
from samosa.errors import BadInput, NotReady, SamosaError

FILTERED, REPORT = "filtered", "report.html"
ROW_COLUMNS = frozenset({"messages", "conversation", "conversations", "chosen"})
"""Columns one of which a parquet file of conversations has."""
MB = 1_000_000


class Sample(Recipe):
    """What `--plan` looks at."""

    seed: int
    pieces: PositiveInt
    """Places in the files, spread evenly."""
    piece_kb: PositiveInt
    """How much is read at each."""


class FilterFiles(Recipe):
    """What `samosa filter` does where the command line says nothing."""

    pools: list[str]
    """Files to filter, relative to $SAMOSA_HOME; * stands for anything."""
    rules: str
    """A set of configs/rules, or the path of a TOML file of rules."""
    chunk_mb: PositiveInt
    """Text that a worker takes at once, in MB: what a stop costs, and more of it idles workers at the end."""
    sample: Sample


def run(
    options: Options,
    *,
    files: Sequence[Path] = (),
    out: Path | None = None,
    rules: str | None = None,
    workers: int | None = None,
    rank: int = 0,
    of: int = 1,
) -> int:
    """Filter files, or the recipe's pools where none are named; returns the exit code.

    0 however many rows are rejected; 1 when lines were no conversations, which stand in a sidecar. Raises BadInput for
    unknown rules and files that cannot be filtered, NotReady where pools are missing or the disk is full.
    """
    recipe = load(FilterFiles, "filter", recipe=options.recipe, sets=options.sets)
    if not 0 <= rank < of:
        raise BadInput(f"--rank {rank} --of {of}: ranks count from 0 to {of - 1}", hint=f"--rank 0 --of {of}")
    named = list(files) or pools(recipe)
    for path in named:
        _check(path)
    chosen = load_rules(rules or recipe.rules)
    folder = out or _beside(named)
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"--out {folder} is a file", hint="name a folder, new or old, for the filtered files")
    places = sidecars.places_of(named, folder)
    hands = workers or _hands(named, recipe.chunk_mb * MB)
    if options.plan:
        from samosa.phases.filter_plan import show_plan

        return show_plan(options, places, folder, rules=chosen, sample=recipe.sample, workers=hands, of=of)
    home.require_writable(folder)
    size = recipe.chunk_mb * MB
    with Watch(chosen, len(chunks_of(named, chunk_bytes=size)[rank::of])) as watch:
        outcome = sifting.sift(
            places, folder, rules=chosen, chunk_bytes=size, workers=hands, rank=rank, of=of, progress=watch.see
        )
    if isinstance(outcome, Left):
        return _wait_for_others(options, outcome, rank, of)
    return _tell(options, outcome, folder, rules=chosen, watch=watch)


def _hands(files: Sequence[Path], chunk_bytes: int) -> int:
    """One process for each processor, but none for less than a chunk: it takes as long to start as to filter one."""
    return min(parallel.default_workers(), 1 + sum(path.stat().st_size for path in files) // chunk_bytes)


def pools(recipe: FilterFiles) -> list[Path]:
    """The recipe's pools on this machine. Raises NotReady when there are none."""
    root = home.root()
    found = sorted({path for pattern in recipe.pools for path in root.glob(pattern) if path.is_file()})
    if not found:
        raise NotReady(
            f"there are no pools {', '.join(recipe.pools)} in {root}",
            hint="name files: samosa filter rows.jsonl; or fetch pools: samosa pull --plan lists the sources",
        )
    return found


def _check(path: Path) -> None:
    """Raise BadInput for what cannot be a file of conversations, before anything is filtered."""
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is not a file", hint=f"name files of conversations, such as {path / '*.jsonl'}")
    if format_of(path) != "parquet":
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        return  # broken: reading it says where, and the other files are filtered all the same
    if ROW_COLUMNS.isdisjoint(names):
        raise BadInput(
            f"{path} has no column of conversations: {', '.join(sorted(ROW_COLUMNS))}",
            hint=f"its columns: {', '.join(names)}; rename the one that holds the messages",
        )


def _beside(files: Sequence[Path]) -> Path:
    """The folder for what comes of files that lie together."""
    folders = {path.parent for path in files}
    if len(folders) > 1:
        raise BadInput("the files lie in different folders", hint="say where the rows go: --out DIR")
    return folders.pop() / FILTERED


class Watch:
    """What a person sees while it runs: how much is done, how fast, and what each rule rejects."""

    def __init__(self, rules: RuleSet, chunks: int) -> None:
        self.chunks, self.done, self.cached = chunks, 0, 0
        self.rows, self.kept, self.fresh_rows, self.fresh_bytes = 0, 0, 0, 0
        self.hits = dict.fromkeys((rule.name for rule in rules.rules), 0)
        self._table = console.live_table(("rule", "rejects", "of rows"))

    def __enter__(self) -> Watch:
        self.began = time.monotonic()
        self._draw = self._table.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.seconds = time.monotonic() - self.began
        self._table.__exit__(*exc)

    def see(self, result: Result | None) -> None:
        """Show a finished chunk, or (None) that time goes by."""
        if result is None:
            from samosa.data.filter.report import prepare

            prepare()
            console.prepare_tables()
        else:
            self._count(result)
        self._draw(self._line(), rule_rows(self.hits, self.rows))

    def speed(self, seconds: float) -> str:
        """Rows and MB of text a second, by the clock."""
        seconds = max(seconds, 1e-9)
        return f"{self.fresh_rows / seconds:,.0f} rows/s, {self.fresh_bytes / seconds / MB:,.0f} MB/s"

    def _count(self, result: Result) -> None:
        tally = result.counts["tally"]
        (source,) = tally["sources"].values()
        self.done += 1
        self.cached += result.cached
        self.rows += source["rows"]
        self.kept += source["kept"]
        for name, hits in tally["rules"].items():
            self.hits[name] = self.hits.get(name, 0) + hits["rows"]
        if not result.cached:
            self.fresh_rows += source["rows"]
            self.fresh_bytes += tally["bytes"]

    def _line(self) -> str:
        line = f"{self.done} of {self.chunks} chunks"
        if self.rows:
            line += f", {self.rows:,} rows, {self.kept / self.rows:.1%} kept"
        seconds = time.monotonic() - self.began
        if self.done == self.cached:
            return f"{line}, {clock(seconds)}"
        left = (self.chunks - self.done) * seconds / (self.done - self.cached)
        return f"{line}, {self.speed(seconds)}, {clock(left)} to go"


def rule_rows(hits: Mapping[str, int], rows: int) -> list[tuple[str, str, str]]:
    """A line a rule: what it rejects, and the share of all rows."""
    return [(name, f"{count:,}", f"{count / max(1, rows):.2%}") for name, count in hits.items()]


def _tell(options: Options, sifted: Sequence[Sifted], out: Path, *, rules: RuleSet, watch: Watch) -> int:
    """Say what became of the rows; returns the exit code."""
    from samosa.data.filter.report import write_report  # workers start before it is read

    total = merge(asdict(file.totals) for file in sifted)
    lines = [_row(file.place.source.name, file.totals, file.unread) for file in sifted]
    everything = [_row("all", total, sum(file.unread for file in sifted))] if len(sifted) > 1 else []
    console.table(("file", "rows", "kept", "rejected", "broken"), lines + everything)
    if total.rejected:
        hits = sorted(((name, hit.rows) for name, hit in total.rules.items() if hit.rows), key=lambda item: -item[1])
        console.table(("rule", "rejects", "of rows"), rule_rows(dict(hits), total.rows))
    bad = [file for file in sifted if file.first_broken is not None]
    for file in bad:
        console.warn(f"{file.first_broken}; every such line stands in {file.place.broken}")
    for file in sifted:
        if file.place.kept.name != file.place.source.name:
            console.say(f"kept rows of {file.place.source.name} are JSONL compressed by zstd, {file.place.kept.name}")
    write_report(out / REPORT, rules, total, settings={"files": len(sifted)}, sampled=False)
    took = (
        f" in {clock(watch.seconds)}: {watch.speed(watch.seconds)}"
        if watch.done > watch.cached
        else ": they were there"
    )
    console.say(f"{'✗' if bad else '✓'} {total.kept:,} rows kept by the rules {rules.name}, in {out}{took}")
    console.say(f"report: {out / REPORT}")
    if options.json:
        console.emit_json(_json(sifted, total, out, rules, watch))
    console.say(_next(sifted))
    return SamosaError.exit_code if bad else 0


def _row(name: str, totals: Totals, unread: int) -> tuple[str, ...]:
    judged = totals.kept + totals.rejected
    share = f" ({totals.kept / judged:.1%})" if judged else ""
    broken = f"{totals.broken_rows:,}" + (" and a rest that cannot be read" if unread else "")
    return name, f"{totals.rows:,}", f"{totals.kept:,}{share}", f"{totals.rejected:,}", broken


def _json(sifted: Sequence[Sifted], total: Totals, out: Path, rules: RuleSet, watch: Watch) -> dict[str, Any]:
    seconds = max(watch.seconds, 1e-9)
    rates = {
        "rows_per_s": round(watch.fresh_rows / seconds, 1),
        "mb_per_s": round(watch.fresh_bytes / seconds / MB, 2),
    }
    files = [
        {
            "file": str(file.place.source),
            **_numbers(file.totals),
            "unread": file.unread,
            "reasons": file.reasons,
            "out": str(file.place.kept),
        }
        for file in sifted
    ]
    whole = {
        "rules": rules.name,
        "version": rules.version,
        "out": str(out),
        "report": str(out / REPORT),
        **_numbers(total),
    }
    return whole | rates | {"files": files}


def _numbers(totals: Totals) -> dict[str, int]:
    return {"kept": totals.kept, "rejected": totals.rejected, "broken": totals.broken_rows}


def _next(sifted: Sequence[Sifted]) -> str:
    """What to do with what was kept."""
    useful = [file.place.kept for file in sifted if file.totals.kept]
    if useful:
        return f"next: samosa dedup {' '.join(shlex.quote(str(path)) for path in useful)}"
    told = [file.place.rejected for file in sifted if file.totals.rejected]
    told += [file.place.broken for file in sifted if file.first_broken]
    if not told:
        return "no row was in it; next: samosa filter FILES with rows"
    return f"no row was kept; next: read {told[0].resolve()}, which has every reason"


def _wait_for_others(options: Options, left: Left, rank: int, of: int) -> int:
    console.say(f"✓ rank {rank} of {of}: its share is done, {left.done} of {left.chunks} chunks in all")
    if options.json:
        console.emit_json({"rank": rank, "of": of, "chunks_done": left.done, "chunks": left.chunks})
    console.say("next: the other ranks; whoever is last joins the parts, and so does this command without --rank")
    return 0
