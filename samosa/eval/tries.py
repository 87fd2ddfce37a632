"""What is counted: tries at probes, from samples just judged or from the lines kept of them, added up by instance."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samosa.chat import grammar
from samosa.errors import BadInput
from samosa.eval import artefacts
from samosa.eval.checks import Sample
from samosa.eval.probe_types import Mark

NEVER = frozenset(
    {
        grammar.UNCLOSED_THINK,
        grammar.UNOPENED_THINK,
        grammar.NESTED_THINK,
        grammar.CALL_IN_THINK,
        grammar.RESULT_WITHOUT_CALL,
        grammar.MISSING_END,  # ran on, after a tool's result for one, until its tokens were used up
        grammar.AFTER_END,
        grammar.STRAY_MARKER,
        grammar.MARKER_TEXT,
    }
)
"""Violations that a reader would see, or that would break whatever reads the turn."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Try:
    """One try at one probe, as far as counting goes."""

    id: str
    k: int
    """0 is greedy, 1 to K are sampled."""
    category: str
    template: str
    passed: bool | None
    """None: not completed, for the harness failed."""
    reason: str | None
    artefact: str | None
    """What must never be seen in an answer, if it was."""
    asked: str
    text: str
    crashed: bool = False
    """The engine broke, and with it everything that was still to come."""
    pair: str = ""
    """See Probe.pair."""


def of_samples(samples: Iterable[Sample]) -> list[Try]:
    """The tries of samples just judged, pairs settled."""
    return settled(
        Try(
            id=one.probe.id,
            k=one.k,
            category=one.probe.category or one.probe.pattern,
            template=one.probe.template,
            passed=one.judgement.passed if one.judgement else None,
            reason=one.judgement.reason if one.judgement else one.error,
            artefact=artefact(
                one.judgement.passed,
                one.judgement.verdict.violation,
                one.judgement.verdict.answer,
                one.probe.gold.marks,
            )
            if one.judgement
            else None,
            asked=one.probe.conversation.turns[-1].text,
            text=one.text,
            crashed=one.crashed,
            pair=one.probe.pair,
        )
        for one in samples
    )


def read(path: Path) -> list[Try]:
    """The tries that record.write_samples kept, pairs settled. Raises BadInput for a file that is not such a one."""
    try:
        rows = [json.loads(line) for line in path.read_bytes().splitlines()]  # of bytes: a text may hold U+2028
        return settled(_of_line(row) for row in rows)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is not a file of samples: {type(error).__name__}: {error}"
        raise BadInput(message, hint="run the evaluation that wrote it again") from error


def _of_line(row: Mapping[str, Any]) -> Try:
    verdict = row["verdict"] or {"violation": None, "answer": ""}
    return Try(
        id=row["id"],
        k=row.get("k", 0),  # records before the full suite asked once, greedily
        category=row.get("category", row["pattern"]),
        template=row["template"],
        passed=row["passed"],
        reason=row["reason"],
        artefact=None
        if row["passed"] is None
        else artefact(
            row["passed"], verdict["violation"], verdict["answer"] or "", row.get("gold", {}).get("marks", ())
        ),
        asked=row["prompt"],
        text=row["text"],
        pair=row.get("pair", ""),
    )


def settled(tries: Iterable[Try]) -> list[Try]:
    """The tries with those of pairs decided: one passes only if its twin's of the same k passes, and is not completed
    where its twin was not. What fails by itself has failed."""
    tries = list(tries)
    pairs: dict[tuple[str, int], dict[str, Try]] = {}
    for one in tries:
        if one.pair:
            pairs.setdefault((one.pair, one.k), {})[one.id] = one
    return [_with_twin(one, pairs[one.pair, one.k]) if one.pair and one.passed else one for one in tries]


def _with_twin(one: Try, pair: Mapping[str, Try]) -> Try:
    twin = next((other for name, other in pair.items() if name != one.id), None)
    if twin is None or twin.passed is None:
        return replace(one, passed=None, reason="its twin was not completed")
    return one if twin.passed else replace(one, passed=False, reason=f"its twin {twin.id}: {twin.reason}")


def artefact(passed: bool, violation: str | None, answer: str, marks: Collection[Mark] = ()) -> str | None:
    """What in a completed turn nobody should ever see, or None; `marks` are those that its probe asked for.

    A turn that passed has none: its judge looked.
    """
    if passed:
        return None
    return violation if violation in NEVER else artefacts.artefact(answer, marks) or artefacts.look_alike(answer)


@dataclass(frozen=True)
class Counts:
    """Completed tries added up by instance; every array is [n], in the suite's order."""

    ids: NDArray[np.str_]
    categories: NDArray[np.str_]
    templates: Ints
    """Numbers of templates: instances of one are a cluster."""
    passes: Ints
    tries: Ints
    """At least 1: an instance without a completed try is not here."""
    sampled_passes: Ints
    sampled_tries: Ints
    """Without the greedy one."""
    hits: Ints
    """Tries with an artefact."""

    @property
    def rates(self) -> NDArray[np.float64]:
        """The share of tries that each instance passed [n]."""
        return self.passes / self.tries


def count(tries: Iterable[Try]) -> Counts:
    """Add up the completed tries by instance."""
    sums: dict[str, list[int]] = {}
    about: dict[str, Try] = {}
    for one in tries:
        if one.passed is None:
            continue
        about.setdefault(one.id, one)
        row = sums.setdefault(one.id, [0] * 5)
        sampled = int(one.k > 0)
        for place, value in enumerate((one.passed, 1, sampled and one.passed, sampled, one.artefact is not None)):
            row[place] += int(value)
    table = np.array(list(sums.values()), dtype=np.int64).reshape(-1, 5)
    firsts = list(about.values())
    return Counts(_texts(sums), _texts(one.category for one in firsts), _numbered(firsts), *table.T.copy())


@dataclass(frozen=True)
class Pairs:
    """Tries that two models completed under the same id and k, added up by instance; every array is [n]."""

    ids: NDArray[np.str_]
    categories: NDArray[np.str_]
    templates: Ints
    before: Ints
    """Passes of the first model."""
    after: Ints
    """Passes of the second."""
    tries: Ints
    """Pairs of the instance, at least 1."""

    def of(self, mask: NDArray[np.bool_]) -> "Pairs":
        """Those instances alone."""
        return Pairs(
            self.ids[mask],
            self.categories[mask],
            self.templates[mask],
            self.before[mask],
            self.after[mask],
            self.tries[mask],
        )


def pair(before: Iterable[Try], after: Iterable[Try]) -> Pairs:
    """Pair by id and k what both models completed, in the order of `after`."""
    first = {(one.id, one.k): one for one in before if one.passed is not None}
    sums: dict[str, list[int]] = {}
    about: dict[str, Try] = {}
    for one in after:
        other = first.get((one.id, one.k))
        if other is None or one.passed is None:
            continue
        about.setdefault(one.id, one)
        row = sums.setdefault(one.id, [0, 0, 0])
        for place, value in enumerate((other.passed, one.passed, 1)):
            row[place] += int(bool(value))
    table = np.array(list(sums.values()), dtype=np.int64).reshape(-1, 3)
    firsts = list(about.values())
    return Pairs(_texts(sums), _texts(one.category for one in firsts), _numbered(firsts), *table.T.copy())


def _texts(texts: Iterable[str]) -> NDArray[np.str_]:
    return np.array(list(texts), dtype=np.str_)


def _numbered(tries: Sequence[Try]) -> Ints:
    """A number for the template of each, by category: two categories may use one name for two templates."""
    numbers: dict[tuple[str, str], int] = {}
    return np.array([numbers.setdefault((one.category, one.template), len(numbers)) for one in tries], dtype=np.int64)
