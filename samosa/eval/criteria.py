"""The roadmap's "done when", as seven lines: what was measured, how sure that is, and whether it is enough."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from samosa.eval import history, stats, tries
from samosa.eval.history import Line
from samosa.eval.settings import Criteria
from samosa.eval.stats import clustered
from samosa.eval.tries import Counts, Try

JOINT_THINK_TOOL = ("search", "calculator")
"""The joint suite's patterns in which a turn thinks, calls and answers."""


class State(Enum):
    """What a criterion came to."""

    MET = "met"
    NOT_MET = "not met"
    OPEN = "not shown"
    UNMEASURED = "not measured"


@dataclass(frozen=True)
class Criterion:
    """One line."""

    name: str
    state: State
    measured: str = ""
    """For a person: the count and where it is from."""
    needed: str = ""
    rate: float | None = None
    interval: tuple[float, float] | None = None
    """The two one-sided bounds; None where nothing was measured."""
    command: str | None = None
    """What measures it, or measures more of it; None where it is settled."""


def judge(tag: str, lines: Sequence[Line], wanted: Criteria) -> list[Criterion]:
    """The seven criteria, from the evaluations of one checkpoint's weights (history.of), oldest first.

    What is about conversations comes from the full suite, else from the joint one. Raises as history.read_tries does.
    """
    suite = "full" if any(line.get("suite") == "full" for line in lines) else "joint"
    counts = tries.count(_pooled([line for line in lines if line.get("suite") == suite]))
    everything = np.full(len(counts.ids), True)
    in_one_turn = np.isin(counts.categories, ("think_tool",) if suite == "full" else JOINT_THINK_TOOL)
    ask = f"samosa eval --tag {tag} --suite"
    return [
        _rate(f"probes >= {wanted.probes:.0%}", counts, everything, wanted.probes, suite, f"{ask} full", wanted),
        _benchmark("mmlu", "MMLU", lines, wanted.mmlu, f"{ask} mmlu", wanted),
        _benchmark("gsm8k", "GSM8K", lines, wanted.gsm8k, f"{ask} gsm8k", wanted),
        _rate(
            "think, call and clean answer in one turn",
            counts,
            in_one_turn,
            wanted.think_tool,
            suite,
            f"{ask} full",
            wanted,
        ),
        _artefacts(counts, suite, f"{ask} full", wanted),
        _rate(
            "multi-turn follow-ups hold",
            counts,
            counts.categories == "multi_turn",
            wanted.multi_turn,
            suite,
            f"{ask} full",
            wanted,
        ),
        _alive(lines, f"{ask} judge --set judge.champion={_champion(lines)}", wanted),
    ]


def _pooled(lines: Sequence[Line]) -> list[Try]:
    """All that was asked as the last time, of every seed the last answer."""
    last = {line["suite_hash"]: line for line in lines if line["settings"] == lines[-1]["settings"]}
    # Some ids are in the suites of all seeds.
    return [replace(one, id=f"{line['seed']}/{one.id}") for line in last.values() for one in history.read_tries(line)]


def _state(low: float, high: float, target: float) -> State:
    return State.MET if low >= target else State.NOT_MET if high < target else State.OPEN


def _rate(
    name: str, counts: Counts, mask: np.ndarray, target: float, suite: str, command: str, wanted: Criteria
) -> Criterion:
    needed = f"surely {target:.0%}"
    if not mask.any():
        return Criterion(name, State.UNMEASURED, needed=needed, command=command)
    rates, templates = counts.rates[mask], counts.templates[mask]
    interval = clustered.rate_bounds(rates, templates, confidence=wanted.confidence)
    state = _state(*interval, target)
    measured = f"{rates.mean():.1%} of {len(rates)} instances ({suite})"
    return Criterion(name, state, measured, needed, float(rates.mean()), interval, _more(state, command))


def _benchmark(
    suite: str, name: str, lines: Sequence[Line], target: float, command: str, wanted: Criteria
) -> Criterion:
    """`right` of `n` independent questions, as the last evaluation of the suite has them."""
    title = f"{name} >= {target:.0%}"
    found = [line for line in lines if line.get("suite") == suite and "right" in line]
    if not found:
        return Criterion(title, State.UNMEASURED, needed=f"surely {target:.0%}", command=command)
    right, n = int(found[-1]["right"]), int(found[-1]["n"])
    low, high = (bound(right, n, confidence=wanted.confidence) for bound in (stats.lower_bound, stats.upper_bound))
    count = stats.count_needed(target, n, confidence=wanted.confidence)
    needed = f">= {count:,} of {n:,}" if count is not None else f"more than {n:,} questions"
    state = _state(low, high, target)
    # No more of the benchmark is to be had, so what is not shown by all of it has no command.
    return Criterion(title, state, f"{right:,} of {n:,}", needed, right / n if n else None, (low, high))


def _artefacts(counts: Counts, suite: str, command: str, wanted: Criteria) -> Criterion:
    name, n, hits = "no artefacts", len(counts.ids), int((counts.hits > 0).sum())
    clean = stats.clean_needed(wanted.leak, confidence=wanted.confidence)
    needed = f"0 of {clean}, so below {wanted.leak:.0%}"
    if not n:
        return Criterion(name, State.UNMEASURED, needed=needed, command=command)
    low, high = (bound(hits, n, confidence=wanted.confidence) for bound in (stats.lower_bound, stats.upper_bound))
    state = State.NOT_MET if hits else State.MET if n >= clean else State.OPEN
    return Criterion(name, state, f"{hits} of {n} ({suite})", needed, hits / n, (low, high), _more(state, command))


def _champion(lines: Sequence[Line]) -> str:
    """Against whom it was judged last, for the command that compares them."""
    return next((line["champion"] for line in reversed(lines) if line.get("champion")), "TAG")


def _alive(lines: Sequence[Line], command: str, wanted: Criteria) -> Criterion:
    name, needed = "feels alive", f"wins surely above {wanted.win_rate:.0%}"
    found = [line for line in lines if line.get("suite") == "judge" and "win_rate" in line]
    if not found:
        return Criterion(name, State.UNMEASURED, needed=needed, command=command)
    rate, (low, high) = float(found[-1]["win_rate"]), found[-1]["interval"]
    state = _state(low, high, wanted.win_rate)
    measured = f"{rate:.1%} against {found[-1]['champion']}"
    return Criterion(name, state, measured, needed, rate, (low, high), _more(state, command))


def _more(state: State, command: str) -> str | None:
    return command if state is State.OPEN else None
