"""Where a checkpoint comes from: the checkpoints before it, and the runs and stages that made them."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samosa import home
from samosa.data.tokens.register import registered
from samosa.errors import BadInput
from samosa.eval.report import curves
from samosa.eval.report.facts import Lineage, Made, Node
from samosa.home import CheckpointRef
from samosa.phases.stage import read_record

Records = Mapping[str, dict[str, Any]]


def ancestors(ref: CheckpointRef) -> list[tuple[str, CheckpointRef | None]]:
    """The checkpoints a model descends from, oldest first and itself the last, as far as their metas tell.

    Each is tag@step and the checkpoint, None for one that is no longer here.
    """
    found: list[tuple[str, CheckpointRef | None]] = []
    while ref.name not in [name for name, _ in found]:
        found.insert(0, (ref.name, ref))
        parent = (_json(ref.meta_path).get("samosa") or {}).get("init")
        if parent is None:
            break
        try:
            ref = home.find_checkpoint(parent)
        except BadInput:  # its name is known all the same
            found.insert(0, (parent.split("/")[-1], None))
            break
    return found


def lineage(tag: str, ref: CheckpointRef | None) -> Lineage:
    """Everything that is written down about a checkpoint's coming to be; of a run without one, about the run alone.

    Raises NotReady where the register of immutable files is broken.
    """
    directory = home.run_dir(tag)
    records = _records()
    recipe = directory / "recipe.toml"
    if ref is not None:
        nodes = [_node(name, one, records) for name, one in ancestors(ref)]
    else:
        nodes = [_of_run(tag, None, records)] if (directory / "run.json").is_file() else []
    return Lineage(tuple(nodes), recipe.read_text(encoding="utf-8") if recipe.is_file() else "", _registered())


def _records() -> Records:
    """Every finished stage of this home, by fingerprint."""
    folder = home.root() / "stages"
    found = (read_record(path) for path in sorted(folder.iterdir()) if path.is_dir()) if folder.is_dir() else ()
    return {record["fingerprint"]: record for record in found if record is not None}


def _node(name: str, ref: CheckpointRef | None, records: Records) -> Node:
    if ref is None:
        return Node(name)
    run = _json(home.run_dir(ref.tag) / "run.json")
    if run.get("kind") == ref.kind:
        return _of_run(ref.tag, ref, records)
    return Node(**_of_checkpoint(ref))


def _of_run(tag: str, ref: CheckpointRef | None, records: Records) -> Node:
    """A node with what its run wrote, up to the checkpoint."""
    run = _json(home.run_dir(tag) / "run.json")
    key = run.get("speed_key") or {}
    facts: dict[str, Any] = {
        "name": tag,
        "kind": run.get("kind") or "",
        "started": run.get("started") or "",
        "host": run.get("host") or "",
        "processes": key.get("nproc"),
        "gpus": tuple(key.get("gpus") or ()),
        "command": " ".join(["samosa", *run.get("command", ())]),
        "stages": _stages(run.get("fingerprint"), records),
    }
    about = {} if ref is None else _of_checkpoint(ref)
    return Node(**(facts | _measured(tag, ref) | about))


def _of_checkpoint(ref: CheckpointRef) -> dict[str, Any]:
    """What the files beside the weights say; nothing that is not there."""
    meta, files = _json(ref.meta_path), _json(ref.manifest_path).get("files", {})
    own = meta.get("samosa") or {}
    beside = _json(ref.directory / f"val_{ref.step:06d}.json")
    facts = {
        "name": ref.name,
        "kind": ref.kind,
        "stage": own.get("stage") or meta.get("stage"),
        "here": True,
        "steps": own.get("steps"),
        "tokens": own.get("tokens"),
        "val_bpb": beside.get("val_bpb") if meta.get("val_bpb") is None else meta["val_bpb"],
        "weights_sha256": files.get(ref.model_path.name, {}).get("sha256"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _measured(tag: str, ref: CheckpointRef | None) -> dict[str, Any]:
    """What metrics.jsonl adds up to, until the checkpoint's step."""
    lines = [
        line
        for line in curves.read(home.run_dir(tag) / "metrics.jsonl").steps
        if ref is None or line["step"] <= ref.step
    ]
    if not lines:
        return {}
    speeds, shares, memory = (_values(lines, key) for key in ("tok_per_s", "mfu", "peak_memory_gb"))
    spent = _values(lines, "dollars")
    return {
        "steps": lines[-1]["step"],
        "tokens": lines[-1].get("tokens"),
        "hours": sum(_values(lines, "seconds")) / 3600,
        "dollars": spent[-1] if spent else None,
        "tokens_per_second": statistics.median(speeds) if speeds else None,
        "mfu": statistics.median(shares) if shares else None,
        "peak_memory_gb": max(memory) if memory else None,
    }


def _values(lines: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    return [line[key] for line in lines if isinstance(line.get(key), int | float)]


def _stages(fingerprint: str | None, records: Records) -> tuple[Made, ...]:
    """The stage that trained, what it was made from (but for the checkpoint it started from), and what came of it, in
    the order in which they were made."""
    if fingerprint is None or fingerprint not in records:
        return ()
    chosen: dict[str, dict[str, Any]] = {}
    waiting = [fingerprint]
    while waiting:
        record = records[waiting.pop()]
        chosen[record["fingerprint"]] = record
        waiting += [one for name, one in record["inputs"].items() if name != "init" and one in records]
    for one, record in records.items():
        inputs = {source for name, source in record["inputs"].items() if name != "init"}
        if fingerprint in inputs:
            chosen[one] = record
    ordered = sorted(chosen.values(), key=lambda record: (record["made"], record["fingerprint"]))
    return tuple(
        Made(one["name"], one["fingerprint"], str(one["facts"].get("said", "")), one.get("seconds"), one["made"])
        for one in ordered
    )


def _registered() -> str:
    entries = registered().values()
    if not entries:
        return ""
    size = sum(one.bytes for one in entries)
    return f"The register holds {len(entries):,} files, {size / 1e9:,.1f} GB, that must never change."


def _json(path: Path) -> dict[str, Any]:
    """A file of others; nothing where it is not there or not JSON."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
