"""What is kept of an evaluation: one line for ever, and every sample beside the run."""

import datetime
import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from samosa import __version__, home
from samosa.eval.checks import Sample
from samosa.eval.gate import GateResult
from samosa.eval.settings import Gate


def line(
    result: GateResult,
    *,
    ref: home.CheckpointRef,
    weights_sha256: str,
    tokenizer_hash: str,
    suite: str,
    suite_hash: str,
    seed: int,
    settings: Gate,
    facts: Mapping[str, Any],
    seconds: float,
) -> dict[str, Any]:
    """The record of one evaluation; `facts` says what was decided by the machine (device, dtype, backend)."""
    opening = about(ref, weights_sha256=weights_sha256, tokenizer_hash=tokenizer_hash, facts=facts)
    return opening | {
        "suite": suite,
        "suite_hash": suite_hash,
        "seed": seed,
        "settings": settings.model_dump(mode="json"),
        "patterns": {
            one.pattern: {
                "n": one.n,
                "completed": one.completed,
                "passed": one.passed,
                "errors": one.errors,
                "c": one.c,
                "interval": [round(end, 6) for end in one.interval],
                "outcome": one.outcome.value,
            }
            for one in result.patterns
        },
        "roadmap": {name: outcome.value for name, outcome in result.roadmap.items()},
        "outcome": result.outcome.value,
        "exit_code": result.exit_code,
        "seconds": round(seconds, 2),
    }


def about(
    ref: home.CheckpointRef, *, weights_sha256: str, tokenizer_hash: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """How every line of the record begins: when, which weights, and what they ran on."""
    return {
        "ts": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tag": ref.tag,
        "step": ref.step,
        "kind": ref.kind,
        "weights_sha256": weights_sha256,
        "tokenizer_hash": tokenizer_hash,
        "versions": _versions() | dict(facts),
    }


def kept_at(path: Path) -> dict[str, str]:
    """What a line says of its samples, which must be on disk by then."""
    return {"samples": str(path.relative_to(home.root())), "samples_sha256": home.sha256_file(path)}


def append(record: Mapping[str, Any]) -> Path:
    """Add the record to the evaluations of this home, whole and on disk when this returns; give the file's path."""
    path = home.evals_file()
    home.append_line(path, json.dumps(record, ensure_ascii=False, allow_nan=False))
    return path


def write_samples(tag: str, name: str, samples: Sequence[Sample]) -> Path:
    """Write every sample to runs/<tag>/eval/<name>.jsonl, whole or not at all; give the file's path."""
    path = home.run_dir(tag) / "eval" / f"{name}.jsonl"
    home.write_atomic(path, "".join(json.dumps(sample_line(one), ensure_ascii=False) + "\n" for one in samples))
    return path


def sample_line(sample: Sample) -> dict[str, Any]:
    """One sample with all that is needed to judge it again: ids, the gold answer, the verdict and its reason."""
    judgement, gold = sample.judgement, sample.probe.gold
    verdict = judgement.verdict if judgement else None
    return {
        "id": sample.probe.id,
        "k": sample.k,
        "category": sample.probe.category or sample.probe.pattern,
        "pattern": sample.probe.pattern,
        "template": sample.probe.template,
        "pair": sample.probe.pair,
        "roadmap": sample.probe.roadmap,
        "earlier": [[turn.role, turn.text] for turn in sample.probe.conversation.turns[:-1]],
        "prompt": sample.probe.conversation.turns[-1].text,
        "gold": {name: _plain(value) for name, value in vars(gold).items()},
        "prompt_tokens": sample.prompt,
        "ids": list(sample.ids),
        "forced": list(sample.forced),
        "text": sample.text,
        "finish": sample.finish,
        "completed": judgement is not None,
        "passed": judgement.passed if judgement else None,
        "reason": judgement.reason if judgement else sample.error,
        "verdict": {name: _plain(value) for name, value in vars(verdict).items()} if verdict else None,
    }


def _plain(value: object) -> object:
    """A value as JSON has it; Decimals keep their digits as text."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _versions() -> dict[str, str]:
    return {"samosa": __version__, "python": platform.python_version(), "torch": metadata.version("torch")}
