"""Releases: a checkpoint that passed its gate, copied whole to where others take it. A release never changes.

A release is laid out as a home of its own (`SAMOSA_HOME=<release> samosa chat --tag ...` works), which is also how the
model repository on the Hub is laid out.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.errors import BadInput, NotReady
from samosa.home import CheckpointRef

RECORD = "release.json"


@dataclass(frozen=True)
class Release:
    """A release on disk."""

    directory: Path
    new: bool
    """False when exactly these weights had been released before."""


@dataclass(frozen=True)
class Card:
    """What a model card tells; plain values, so that this layer needs to know nothing of gates and mixes."""

    what: str
    """One paragraph: what the model is."""
    lineage: Sequence[str]
    """Checkpoints from the oldest ancestor to this one."""
    gate: Sequence[Mapping[str, Any]]
    """The gate table's rows; every row has the same keys, the column titles."""
    verdict: str
    mix: Sequence[Mapping[str, Any]]
    """What it was trained on, one row a source."""
    evaluation: Mapping[str, Any]
    """The line this evaluation left in evals/eval_results_v2.jsonl."""


def publish(ref: CheckpointRef, *, tokenizer: Path, to: Path, card: Card, gate_code: int) -> Release:
    """Copy the checkpoint, its tokenizer and a model card to `to`/<tag>, whole or not at all.

    Raises BadInput where another release stands under that tag or the gate did not pass, NotReady where a file of the
    checkpoint or the space is missing.
    """
    if gate_code != 0:
        raise BadInput(f"{ref.name} did not pass its gate (code {gate_code})", hint="only what passes is published")
    files = _files(ref, tokenizer)
    final = to / ref.tag
    if final.exists():
        return _already(final, files, ref)
    home.require_space(to, sum(path.stat().st_size for path in files.values()))
    making = to / f".making-{ref.tag}-{os.getpid()}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        for name, source in files.items():
            _copy(source, making / name)
        home.write_atomic(making / "README.md", model_card(ref.name, card))
        home.write_atomic(making / "eval.json", json.dumps(card.evaluation, indent=1, sort_keys=True) + "\n")
        sums = {name: home.sha256_file(making / name) for name in files}
        home.write_atomic(making / RECORD, json.dumps({"checkpoint": ref.name, "sha256": sums}, indent=1) + "\n")
        making.rename(final)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    try:
        home.protect(ref, f"released to {final}")
    except NotReady as problem:
        console.warn(f"{ref.name} could not be marked to be kept: {problem.message}")
    return Release(final, new=True)


def model_card(name: str, card: Card) -> str:
    """The release's README.md, in the Hub's form: a YAML head, then Markdown."""
    lines = ["---", "language: en", "pipeline_tag: text-generation", "tags: [nanochat, samosa]", "---", ""]
    lines += [f"# {name}", "", card.what, "", f"Lineage: {' → '.join(card.lineage)}", ""]
    lines += ["## Gate", "", *_markdown_table(card.gate), "", f"Verdict: **{card.verdict}**", ""]
    lines += ["## Trained on", "", *_markdown_table(card.mix), ""]
    lines += ["## Evaluation record", "", "```json", json.dumps(card.evaluation, indent=1, sort_keys=True), "```", ""]
    return "\n".join(lines)


def _files(ref: CheckpointRef, tokenizer: Path) -> dict[str, Path]:
    """Name inside the release -> file, for everything a release must hold."""
    home_like = f"{ref.directory.parent.name}/{ref.tag}"
    files = {f"{home_like}/{path.name}": path for path in (ref.model_path, ref.meta_path, ref.manifest_path)}
    files |= {f"tokenizer/{name}": tokenizer / name for name in ("tokenizer.pkl", "token_bytes.pt")}
    for path in files.values():
        if not path.is_file():
            raise NotReady(f"{path} is missing", hint=f"{ref.name} cannot be released without it")
    return files


def _already(final: Path, files: Mapping[str, Path], ref: CheckpointRef) -> Release:
    try:
        published = json.loads((final / RECORD).read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError):
        published = {}
    if all(published.get(name) == home.sha256_file(path) for name, path in files.items()):
        return Release(final, new=False)
    raise BadInput(
        f"{final} holds another release and a release never changes",
        hint=f"train under another tag (--tag {ref.tag}b) to publish beside it",
    )


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with home.atomic_path(target) as beside:
        shutil.copyfile(source, beside)


def _markdown_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["(none)"]
    columns = list(rows[0])
    body = [[str(row.get(column, "")).replace("|", "\\|") for column in columns] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *body)]
