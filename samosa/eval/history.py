"""The record, read back: which evaluations of a checkpoint are kept, and the tries they were made of."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samosa import console, home
from samosa.errors import BadInput, NotReady
from samosa.eval import tries
from samosa.eval.tries import Try

Line = dict[str, Any]
ASKED_ALIKE = ("temperature", "top_k", "max_tokens", "call_budget", "max_calls", "sampled_temperature")
"""Settings that change what is generated: under other values two models were not asked the same."""
HELD = {"tag": str, "step": int, "kind": str, "suite": str, "weights_sha256": str}
"""What every line has."""
SAMPLED = {"samples": str, "samples_sha256": str, "suite_hash": str, "seed": int, "settings": dict}
"""What every line with samples has."""
PACE = {"asked": int, "seconds": int | float}
"""What a line may have, and then as this."""


def lines() -> list[Line]:
    """Every evaluation of this home, oldest first. What is none (a line torn by a power cut, or by others) is passed
    over with a warning.
    """
    path = home.evals_file()
    if not path.is_file():
        return []
    found = []
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        try:
            line = json.loads(text.decode(errors="replace"))
        except (ValueError, RecursionError):
            _pass_over(f"{path}:{number} is not JSON")
            continue
        if _is_evaluation(line):
            found.append(line)
        else:
            _pass_over(f"{path}:{number} is no evaluation of samosa")
    return found


@functools.cache
def _pass_over(what: str) -> None:
    """Warn of a line, once however often the record is read."""
    console.warn(f"{what} and is passed over")


def _is_evaluation(line: object) -> bool:
    if not isinstance(line, dict):
        return False
    wanted = HELD | (SAMPLED if "samples" in line else {}) | {name: PACE[name] for name in PACE if name in line}
    return all(isinstance(line.get(name), kind) for name, kind in wanted.items())


def of(name: str) -> list[Line]:
    """The evaluations of `tag`, `tag@step`, `base/tag` or `chat/tag@step`, oldest first, all of the same weights: those
    judged last. The checkpoint itself may be gone. Raises BadInput where there are none.
    """
    match = home.NAME.fullmatch(name)
    if match is None:
        raise BadInput(f"{name!r} is not the name of a checkpoint", hint="write tag, tag@step or chat/tag@step")
    kept = lines()
    found = [
        line
        for line in kept
        if line["tag"] == match["tag"]
        and match["kind"] in (None, line.get("kind"))
        and (match["step"] is None or int(match["step"]) == line.get("step"))
    ]
    if not found:
        tags = ", ".join(sorted({line["tag"] for line in kept}))
        have = f"   (judged so far: {tags})" if tags else ""
        raise BadInput(f"{name} was never judged here", hint=f"samosa eval --tag {name}{have}")
    return [line for line in found if line.get("weights_sha256") == found[-1].get("weights_sha256")]


def read_tries(line: Line) -> list[Try]:
    """The tries of an evaluation. Raises as `samples_of` does."""
    return tries.read(samples_of(line))


def samples_of(line: Line) -> Path:
    """The file of an evaluation's samples. Raises NotReady where it is gone or no longer what was judged."""
    path = home.root() / line["samples"]
    if not path.is_file():
        raise NotReady(f"the samples of {label(line)} are gone: {path}", hint=again(line))
    if home.sha256_file(path) != line["samples_sha256"]:
        raise NotReady(f"{path} has changed since {label(line)} was judged by it", hint=again(line))
    return path


def shared(first: Sequence[Line], second: Sequence[Line]) -> list[tuple[Line, Line]]:
    """The last evaluation of both on each suite, where they were asked alike."""
    old, new = ({_key(line): line for line in lines if "samples" in line} for lines in (first, second))
    return [(old[key], new[key]) for key in old if key in new]


def _key(line: Line) -> tuple[Any, ...]:
    return (line["suite_hash"], *(line["settings"].get(name) for name in ASKED_ALIKE))


def again(line: Line) -> str:
    """The command that evaluates the same once more."""
    return f"samosa eval --tag {label(line)} --suite {line['suite']} --seed {line['seed']}"


def label(line: Line) -> str:
    """`tag@step`, as every command takes it."""
    return f"{line['tag']}@{line['step']}"
