"""`samosa gen-data`: the first data stage by hand, into a file of one's own."""

from __future__ import annotations

from pathlib import Path

from samosa import console, home
from samosa.config import Options, load
from samosa.data import generate
from samosa.data.filter import shipped
from samosa.errors import BadInput
from samosa.phases.data_stages import generated, write_lines
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
    rules = kind if kind in shipped() else COMMON
    clean = path.with_name(f"{path.name.split('.')[0]}-clean")
    console.say(f"next: samosa filter {path} --rules {rules} --out {clean}")
    return 0
