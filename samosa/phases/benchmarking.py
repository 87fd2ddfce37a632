"""`samosa eval --suite core|mmlu|arc|gsm8k`: a checkpoint on benchmarks that others made. Nothing passes or fails."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from samosa import console, home
from samosa.config import Options, load
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.eval import record
from samosa.eval.benchmarks import kept, parts, result
from samosa.eval.benchmarks.kept import Line
from samosa.eval.benchmarks.parts import Loaded, Part
from samosa.eval.benchmarks.result import Counted
from samosa.eval.benchmarks.seen import Seen, training_split
from samosa.eval.benchmarks.settings import SUITES, Benchmarks, Suite
from samosa.eval.benchmarks.solving import Broken
from samosa.phases import asking
from samosa.phases.benchmark_work import Work, scored
from samosa.phases.command import flags_of
from samosa.phases.init import on_disk

__all__ = ["SUITES", "run"]
TITLES: dict[Suite, str] = {"core": "CORE", "mmlu": "MMLU", "arc": "ARC", "gsm8k": "GSM8K"}
COUNTING = ("suite_hash", "right", "n", "rate", "interval", "samples", "samples_sha256")
"""What a line of the record says of the part that counts, as lines of other suites do."""


def run(options: Options, name: str, *, seed: int | None = None) -> int:
    """Score the checkpoint `options.tag` by the suite `name`, show the result and keep it; 0 whatever it is.

    What was scored before is not scored again (--redo does). Raises BadInput for settings that do not fit, NotReady
    where questions or weights are not to be had, and Broken (exit 30) where the harness failed, never the model.
    """
    assert options.tag is not None, "the command asks for one"
    suite = cast(Suite, name)
    assert suite in SUITES, suite
    cfg = load(Benchmarks, "benchmarks", recipe=options.recipe, sets=options.sets)
    ref = on_disk(options.tag)
    seed = cfg.asking.seed if seed is None else seed
    if seed < 0:
        raise BadInput(f"seed {seed} is negative", hint="seeds are whole numbers from 0")
    tag = f"{ref.kind}/{ref.name}"
    again = f"samosa eval --suite {suite}{flags_of(options)}"
    started = time.monotonic()
    loaded = parts.load(suite, cfg, ref.kind, seed=seed, again=again)
    if options.plan:
        return _plan(options, ref, loaded, again)
    try:
        facts = asking.decided(cfg.gate)
        work = Work(ref, cfg, suite, seed, again, facts["device"], facts["dtype"])
        line = _measured(work, facts, loaded, nproc=options.nproc, redo=options.redo)
    except SamosaError:
        raise
    except Exception as error:
        console.warn(traceback.format_exc().rstrip())
        what = f"{type(error).__name__}: {error}"
        raise Broken(
            f"{ref.name}: the harness broke, there is no result: {what}",
            hint=f"mend what failed above, then {again}   (it goes on where it stopped)",
        ) from error
    line["seconds"] = round(time.monotonic() - started, 2)
    record.append(line)
    _show(ref, cfg, loaded, line, everything=options.verbose > 0)
    if options.json:
        console.emit_json(line)
    counts_for_criteria = suite in ("mmlu", "gsm8k")
    console.say(f"next: samosa criteria --tag {tag}" if counts_for_criteria else f"next: samosa compare OTHER {tag}")
    return 0


def _plan(options: Options, ref: home.CheckpointRef, loaded: Loaded, again: str) -> int:
    columns = ("suite", "asked", "questions", "counts")
    rows = [(loaded.suite, part.name, part.total, part.counts) for part in loaded.parts]
    console.table(columns, rows, title=f"{ref.name}: what would be asked")
    if options.json:
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        console.emit_json({"tag": ref.tag, "step": ref.step, "parts": found})
    console.say(f"next: {again}")
    return 0


def _measured(work: Work, facts: dict[str, str], loaded: Loaded, *, nproc: int | None, redo: bool) -> dict[str, Any]:
    """The line of the record, all its samples on disk."""
    from samosa.chat.tokenizer import load_tokenizer

    tokenizer_hash, weights = load_tokenizer(home.tokenizer_dir()).hash, asking.weights_sha256(work.ref)
    line = record.about(work.ref, weights_sha256=weights, tokenizer_hash=tokenizer_hash, facts=facts)
    settings = _settings(work.cfg, work.suite)
    keys = {name: line[name] for name in ("weights_sha256", "tokenizer_hash")}
    keys |= {name: line["versions"][name] for name in ("samosa", "torch", "device", "dtype")}
    meta = work.ref.meta_path  # says the windows; loading complains where it is missing
    keys |= {"meta_sha256": home.sha256_file(meta) if meta.is_file() else "", "settings": settings, "seed": work.seed}
    found: dict[str, dict[str, Any]] = {}
    first: list[Line] = []
    for part, path in _paths(work.ref, loaded, keys):
        if redo:
            with home.failure_said(path):
                path.unlink(missing_ok=True)
        lines = _lines(work, part, path, nproc)
        first = first or lines
        found[part.name] = _as_json(part, lines, path, work.cfg)
    counting = found[loaded.parts[0].name]
    seen = training_split(work.suite, work.ref)
    line |= {"suite": work.suite, "seed": work.seed, "settings": settings, "form": loaded.parts[0].name}
    line |= {name: counting[name] for name in COUNTING}
    line |= {"parts": found, "training_split": None if seen is None else vars(seen)}
    categories = result.by_category(first)
    if work.suite == "core":
        return line | result.core(loaded.tasks, categories, confidence=work.cfg.criteria.confidence)
    return line | {"categories": {name: [one.right, one.n] for name, one in categories.items()}}


def _settings(cfg: Benchmarks, suite: Suite) -> dict[str, Any]:
    """What decides the samples, besides the questions; `path` does not."""
    own = getattr(cfg, suite).model_dump(mode="json", exclude={"path"})
    return (
        own
        | {"chunk": cfg.asking.chunk, "batch_tokens": cfg.asking.batch_tokens, "rows": cfg.gate.rows}
        | {"top_k": cfg.gate.top_k, "call_budget": cfg.gate.call_budget}
    )


def _paths(ref: home.CheckpointRef, loaded: Loaded, keys: dict[str, Any]) -> Iterator[tuple[Part, Path]]:
    folder = home.run_dir(ref.tag) / "eval"
    for part in loaded.parts:
        name = part.name.replace(" ", "-")
        label = loaded.suite if name == loaded.suite else f"{loaded.suite}-{name}"
        yield part, folder / f"{label}-{ref.kind}-{ref.step:06d}-{kept.key(keys | {'asked': part.hash})}.jsonl"


def _lines(work: Work, part: Part, path: Path, nproc: int | None) -> list[Line]:
    """The samples of a part: as they are kept, or scored now."""
    suite = work.suite
    what = f"{TITLES[suite]}{'' if part.name == suite else f', {part.name}'}"
    if path.is_file():
        console.say(f"{what}: all {part.total:,} answers of {work.ref.name} are kept")
        return _kept(path, part.total, work.again)
    console.say(f"{what}: asking {work.ref.name} {part.total:,} questions ({work.device}, {work.dtype})")
    chunk = work.cfg.asking.chunk
    return kept.all_lines(path, part.total, chunk, lambda chunks: scored(work, part, chunks, nproc, what))


def _kept(path: Path, total: int, again: str) -> list[Line]:
    """The lines of a finished file. Raises NotReady where they are not those of `total` questions."""
    try:
        lines = kept.read(path)
    except (ValueError, RecursionError):
        lines = []
    if len(lines) != total or not all(isinstance(line, dict) and "metrics" in line for line in lines):
        raise NotReady(f"{path} is no longer what was scored", hint=f"{again} --redo asks everything again")
    return lines


def _as_json(part: Part, lines: list[Line], path: Path, cfg: Benchmarks) -> dict[str, Any]:
    metrics = result.by_metric(lines)
    counted = metrics[part.counts]
    return {
        "suite_hash": part.hash,
        "counts": part.counts,
        "right": counted.right,
        "n": counted.n,
        "rate": counted.rate,
        "interval": list(counted.interval(cfg.criteria.confidence)),
        "metrics": {name: one.right for name, one in metrics.items()},
    } | record.kept_at(path)


def _show(ref: home.CheckpointRef, cfg: Benchmarks, loaded: Loaded, line: dict[str, Any], *, everything: bool) -> None:
    suite, confidence = loaded.suite, cfg.criteria.confidence
    if suite == "core":
        _show_core(ref, line, confidence)
    else:
        _show_parts(ref, suite, line, confidence)
    if suite != "core" and (everything or suite == "arc"):
        rows = [(name, f"{right:,} of {n:,}", f"{right / n:.1%}") for name, (right, n) in line["categories"].items()]
        console.table(("", "right", "rate"), rows, title=f"{loaded.parts[0].name}, by part")
    target = {"mmlu": cfg.criteria.mmlu, "gsm8k": cfg.criteria.gsm8k}.get(suite)
    if target is not None:
        console.say(result.claim(TITLES[suite], Counted(line["right"], line["n"]), target, confidence=confidence))
    if line["training_split"] is not None:
        console.say(_known(Seen(**line["training_split"]), suite))
    for part in line["parts"].values():
        console.say(f"every sample: {home.root() / part['samples']}")


def _known(seen: Seen, suite: Suite) -> str:
    said = {
        "yes": "in-distribution format: its training split is in the SFT mix",
        "no": "its training split is not in the SFT mix",
        "unknown": "whether its training split is in the SFT mix is not known",
    }
    return f"{TITLES[suite]}: {said[seen.answer]} ({seen.because})"


def _show_parts(ref: home.CheckpointRef, suite: Suite, line: dict[str, Any], confidence: float) -> None:
    rows = []
    for name, part in line["parts"].items():
        for metric, right in part["metrics"].items():
            counted = Counted(right, part["n"])
            low, high = counted.interval(confidence)
            said = (f"{right:,} of {counted.n:,}", f"{counted.rate:.1%}", f"{low:.1%} to {high:.1%}")
            counts = "counts" if name == line["form"] and metric == part["counts"] else ""
            rows.append((name, metric, *said, counts))
    columns = ("asked", "metric", "right", "rate", f"{confidence:.0%} interval", "")
    console.table(columns, rows, title=f"{ref.name}, {TITLES[suite]}")


def _show_core(ref: home.CheckpointRef, line: dict[str, Any], confidence: float) -> None:
    rows = []
    for name, one in line["tasks"].items():
        rates = (f"{one['accuracy']:.1%}", f"{one['baseline']:g} %", f"{one['centred']:+.4f}")
        rows.append((name, one["shots"], f"{one['right']:,} of {one['n']:,}", *rates))
    columns = ("task", "shots", "right", "accuracy", "guessing", "centred")
    console.table(columns, rows, title=f"{ref.name}, CORE")
    low, high = line["interval"]
    console.say(f"CORE {line['core']:.4f} ({confidence:.0%} interval {low:.4f} to {high:.4f})")
