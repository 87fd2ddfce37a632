"""`samosa gen-data` and `samosa filter`: the data stages by hand, on files of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from samosa import console, home
from samosa.config import Options, load
from samosa.data import filters, generate
from samosa.errors import BadInput
from samosa.phases.command import flags_of
from samosa.phases.data_stages import generated, rules_for, write_lines
from samosa.phases.settings import PhaseA

COMMON = "common"


def gen_data(
    options: Options, *, kind: str, rows: int | None = None, out: Path | None = None, seed: int | None = None
) -> int:
    """Write conversations of one kind to a JSONL file, whole or not at all; returns the exit code.

    Rows, seed and shares are those of phase A's recipe unless given. Raises BadInput for an unknown kind and for
    a folder in the place of the file.
    """
    gen = load(PhaseA, "phase_a", recipe=options.recipe, sets=options.sets).gen
    if kind not in generate.kinds():
        raise BadInput(f"there is no kind {kind}", hint=f"kinds: {', '.join(generate.kinds())}")
    wanted = rows or gen.rows.get(kind)
    if wanted is None:
        raise BadInput(f"the recipe makes no {kind} rows", hint="say how many: --rows 1000")
    path = out or home.root() / "data" / f"{kind}.jsonl"
    if path.is_dir():
        raise BadInput(f"{path} is a folder", hint=f"name the file to write: --out {path / kind}.jsonl")
    count = write_lines(path, generated(gen, kind, wanted, seed=seed))
    console.say(f"✓ {count:,} {kind} conversations{' (all there are)' if count < wanted else ''} in {path}")
    if options.json:
        console.emit_json({"kind": kind, "rows": count, "path": str(path), "seed": gen.seed if seed is None else seed})
    where = path.with_suffix("")
    console.say(f"next: samosa filter {path} --rules {kind} --out {where}-clean{flags_of(_recipe_only(options))}")
    return 0


def filter_files(options: Options, *, files: Sequence[Path], out: Path, rules: str) -> int:
    """Sort the rows of JSONL files into kept and rejected, under their own names in `out`; returns the exit code.

    `rules` is "common" or a kind, which has phase A's common rules and its own. Raises BadInput for another name, a
    missing file, a broken line, two files of one name, and an `out` that is a file.
    """
    settings = load(PhaseA, "phase_a", recipe=options.recipe, sets=options.sets).filter
    sets = (COMMON, *generate.kinds())
    if rules not in sets:
        raise BadInput(f"there is no set of rules {rules}", hint=f"sets: {', '.join(sets)}")
    _check_files(files, out)
    names = rules_for(settings, rules)
    reports, counts = [], []
    for path in files:
        report = filters.sift(path, out / path.name, _rejected(out, path), rules=names)
        reasons = ", ".join(f"{name} {count:,}" for name, count in report.reasons.most_common())
        console.say(f"✓ {path}: {report.kept:,} kept, {report.rejected:,} rejected{f' ({reasons})' if reasons else ''}")
        counts.append(report.kept)
        reports.append(
            {
                "file": str(path),
                "kept": report.kept,
                "rejected": report.rejected,
                "reasons": dict(report.reasons),
                "out": str(out / path.name),
            }
        )
    if options.json:
        console.emit_json({"rules": names, "files": reports})
    console.say(_next(files, counts, out.resolve()))
    return 0


def _next(files: Sequence[Path], kept: Sequence[int], out: Path) -> str:
    """What to do with what was kept; a recipe's paths start at the home, so a path from here would not be found."""
    useful = [path.name for path, count in zip(files, kept, strict=True) if count]
    if not useful:
        return f"no row was kept; next: read {_rejected(out, files[0])}, which has every reason"
    return f"next: name {out / useful[0]} as path of a source in the recipe's mix, then samosa phase-a --plan"


def _rejected(out: Path, path: Path) -> Path:
    return out / f"{path.stem}.rejected.jsonl"


def _check_files(files: Sequence[Path], out: Path) -> None:
    """Every file is checked before the first is filtered."""
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file", hint="name a folder, new or old, for the filtered files")
    names = [path.name for path in files]
    for path in files:
        if not path.is_file():
            why = "is not a file" if path.exists() else "does not exist"
            raise BadInput(f"{path} {why}", hint="name JSONL files of conversations")
        if names.count(path.name) > 1:
            raise BadInput(f"two files are called {path.name}", hint="filter them into two folders")
        if (out / path.name).resolve() == path.resolve():
            raise BadInput(f"{path} would be written over", hint="name another folder with --out")


def _recipe_only(options: Options) -> Options:
    return Options(recipe=options.recipe)
