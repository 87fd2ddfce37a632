"""Samples on disk, in lm-evaluation-harness's JSONL shape: they come chunk by chunk, and a killed evaluation goes on.

A chunk is scored by itself and added whole, so what is added does not depend on where an evaluation was interrupted.
While it runs the file is called <name>.part; the name holds a key of all that decides what is in it, the hash of the
weights first, and so a finished file is the answer to asking the same again.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from samosa import home
from samosa.errors import NotReady

Line = dict[str, Any]
Score = Callable[[list[range]], Iterable[Iterable[Line]]]
"""Makes the lines of each of these chunks (places from 0), in their order."""


def key(facts: Mapping[str, Any]) -> str:
    """Twelve hex digits for all that decides a file of samples."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def sample(
    *,
    doc_id: int,
    doc: Mapping[str, Any],
    target: str,
    arguments: Mapping[str, Any],
    whole: str,
    resps: Sequence[Any],
    filtered: Sequence[Any],
    scores: Mapping[str, float],
    **own: Any,
) -> Line:
    """One line: what lm-evaluation-harness 0.4.13 logs of a document, and behind it what samosa compares by (`own`).

    `whole` is all that the model read, hashed only: the arguments are without the worked examples.
    """
    return {
        "doc_id": doc_id,
        "doc": doc,
        "target": target,
        "arguments": arguments,
        "resps": resps,
        "filtered_resps": filtered,
        "filter": "none",
        "metrics": list(scores),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(whole),
        "target_hash": _hash(target),
        **scores,
        **own,
    }


def tried(id: str, *, category: str, prompt: str, text: str, passed: bool, reason: str, k: int = 0) -> Line:  # noqa: A002
    """What `samosa compare` reads of a line (eval.tries): each question is a template of its own."""
    return {
        "id": id,
        "k": k,
        "category": category,
        "pattern": category,
        "template": id,
        "prompt": prompt,
        "text": text,
        "passed": passed,
        "reason": None if passed else reason,
        "verdict": None,
    }


def all_lines(path: Path, total: int, chunk: int, score: Score) -> list[Line]:
    """The lines of `total` documents, those that are not on disk yet from `score`, `chunk` at a time; one line each.

    Raises NotReady where another process is at the same samples, or the disk is full.
    """
    if not path.is_file():
        part = path.with_name(f"{path.name}.part")
        home.make_folder(path.parent)
        with home.failure_said(part), part.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise NotReady(f"{part} is being written by another process", hint="wait for it to end") from error
            if not path.is_file():  # the other process may have finished it just now
                _complete(file, total, chunk, score)
                part.replace(path)
    return read(path)


def _complete(file: Any, total: int, chunk: int, score: Score) -> None:
    done = _whole_chunks(file, chunk)
    for lines in score([range(start, min(start + chunk, total)) for start in range(done, total, chunk)]):
        file.write("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _whole_chunks(file: Any, chunk: int) -> int:
    """Cut the file behind its last whole chunk; how many lines that leaves."""
    file.seek(0)
    size = lines = kept = end = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        size, lines = size + len(line), lines + 1
        if lines % chunk == 0:
            kept, end = lines, size
    file.truncate(end)
    return kept


def read(path: Path) -> list[Line]:
    """The lines of a finished file."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [json.loads(line) for line in file]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
