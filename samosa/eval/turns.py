"""What a model said to a suite, kept as it comes: a killed evaluation goes on from there, a finished one asks nothing.

A batch is asked and kept whole, the same batches whoever asks and however often an evaluation was interrupted: who
shares one changes the last bits of the logits (1e-5 in fp32 with 1 to 52 rows). A killed process loses the batch that
it was asking. Verdicts are not kept: they are made from the ids whenever they are needed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from samosa import home
from samosa.eval.probe_types import Probe
from samosa.eval.settings import Gate

ASKING = ("temperature", "top_k", "max_tokens", "call_budget", "max_calls", "rows")
"""Settings of the gate that change what is generated."""


@dataclass(frozen=True)
class Ask:
    """One try at one probe."""

    probe: Probe
    k: int
    """0 is as the gate asks, 1 to K are sampled."""


@dataclass(frozen=True)
class Plan:
    """All that is asked in one evaluation, in the order of the probes and of their tries."""

    suite: str
    suite_hash: str
    probes: Sequence[Probe]
    gate: Gate
    seed: int
    """Of the suite; each try has a seed of its own, from this one, its probe's id and k."""
    samples: int = 0
    """Sampled tries at each probe, besides the one that the gate asks for."""
    temperature: float = 0.0
    """Of the sampled tries."""

    @cached_property
    def batches(self) -> list[list[Ask]]:
        """As many tries together as the gate has rows: the tries at one probe side by side, for they share a prompt."""
        asks = [Ask(probe, k) for probe in self.probes for k in range(self.samples + 1)]
        return [asks[start : start + self.gate.rows] for start in range(0, len(asks), self.gate.rows)]

    def asked(self) -> dict[str, Any]:
        """What decides, with the suite, what is generated."""
        settings = {name: getattr(self.gate, name) for name in ASKING}
        return settings | {"samples": self.samples, "sampled_temperature": self.temperature}


@dataclass(frozen=True)
class Turn:
    """One generated turn, before anybody judged it; or that there is none, since the harness failed."""

    id: str
    k: int
    prompt: int
    """Tokens of the prompt."""
    ids: tuple[int, ...] = ()
    forced: tuple[int, ...] = ()
    """1 where the engine wrote the token."""
    finish: str = ""
    error: str | None = None
    """What the harness failed at."""
    crashed: bool = False
    """The engine itself broke."""


Kept = Mapping[int, Sequence[Turn]]
"""Turns by the number of their batch."""


def missing(plan: Plan, kept: Kept) -> list[int]:
    """The batches still to be asked; one in which the harness failed at something is asked again."""
    return [
        number
        for number in range(len(plan.batches))
        if number not in kept or any(turn.error is not None for turn in kept[number])
    ]


def path_of(about: Mapping[str, Any]) -> Path:
    """Where the turns are kept of an evaluation that is all about this: weights, suite, settings, versions, device."""
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    return home.evals_file().parent / "turns" / f"{key[:32]}.jsonl"


def keep(path: Path, about: Mapping[str, Any], number: int, batch: Sequence[Turn]) -> None:
    """Add a batch, as one line that is whole or nothing; several processes may. Raises NotReady for a full disk."""
    if not path.exists():  # for whoever looks into it
        home.append_line(path, json.dumps({"about": dict(about)}, sort_keys=True))
    home.append_line(path, json.dumps({"batch": number, "turns": [asdict(turn) for turn in batch]}))


def read(path: Path, plan: Plan) -> dict[int, list[Turn]]:
    """The batches that are kept, of each the last; a line that was torn, or answers something else, is passed over."""
    found: dict[int, list[Turn]] = {}
    if not path.is_file():
        return found
    for line in path.read_bytes().split(b"\n"):
        try:
            row = json.loads(line)
            number, batch = row["batch"], [_turn(turn) for turn in row["turns"]]
            wanted = [(ask.probe.id, ask.k) for ask in plan.batches[number]]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            continue
        if number in range(len(plan.batches)) and [(turn.id, turn.k) for turn in batch] == wanted:
            found[number] = batch
    return found


def _turn(row: Mapping[str, Any]) -> Turn:
    """Raises ValueError, KeyError or TypeError for what `keep` does not write."""
    turn = Turn(**{**row, "ids": tuple(row["ids"]), "forced": tuple(row["forced"])})
    numbers = all(type(one) is int and one >= 0 for one in (turn.prompt, *turn.ids, *turn.forced))
    if not numbers or len(turn.ids) != len(turn.forced) or not isinstance(turn.finish, str):
        raise ValueError("no turn")
    return turn
