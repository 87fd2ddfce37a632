"""What the samples of an evaluation show in a report: lengths, tool calls, manner, and turns beside those of before."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.chat.tools import BadCall, parse_call
from samosa.errors import NotReady
from samosa.eval import compare, guards, history, tries
from samosa.eval.compare import Comparison
from samosa.eval.guards import Drift, Manner
from samosa.eval.history import Line
from samosa.eval.report.transcript import Span, shortened, spans
from samosa.eval.tries import Try

FLIPS = 20  # of each direction that are shown
OTHERS = 2  # turns of each category that are shown beside the flips: those that failed first
SYSTEMS = {"asked to think": THINK_SYSTEM, "default prompt": DEFAULT_SYSTEM}
NO_CALL, SEVERAL, UNREADABLE, OTHER = "no call", "several", "unreadable", "another tool"
CALLED = ("no call", "web_search", "calculator", "several", "unreadable", "another tool")
"""What a turn may have called, in the picture's order."""


@dataclass(frozen=True)
class Told:
    """One completed try, as far as a report looks at it."""

    one: Try
    tokens: int
    """Those the model wrote; what the engine put in for the tools is not counted."""
    called: str
    """One of CALLED."""
    answer: str
    earlier: tuple[tuple[str, str], ...] = ()
    """(role, text) of the turns before the question."""


@dataclass(frozen=True)
class Samples:
    """The samples of several evaluations of the same weights; ids carry the seed."""

    told: tuple[Told, ...] = ()
    not_completed: int = 0
    problems: tuple[NotReady, ...] = ()
    """Why samples that the record promises could not be read."""


def read(lines: Sequence[Line]) -> Samples:
    """Read the samples of `lines`. What is gone or has changed is a problem to be told, and no reason to stop."""
    told: list[Told] = []
    problems, broken = [], 0
    for line in lines:
        try:
            path = history.samples_of(line)
        except NotReady as problem:
            problems.append(problem)
            continue
        rows = (json.loads(text) for text in path.read_bytes().splitlines())
        for row, one in zip(rows, tries.read(path), strict=True):
            if one.passed is None:
                broken += 1
            else:
                told.append(_told(row, replace(one, id=f"{line['seed']}/{one.id}")))
    return Samples(tuple(told), broken, tuple(problems))


def _told(row: Mapping[str, Any], one: Try) -> Told:
    verdict = row["verdict"] or {}
    return Told(
        one=one,
        tokens=len(row["ids"]) - sum(row["forced"]),
        called=_called(verdict.get("calls") or ()),
        answer=verdict.get("answer") or "",
        earlier=tuple((role, text) for role, text in row.get("earlier", ())),  # older records have none
    )


def _called(payloads: Sequence[str]) -> str:
    if len(payloads) != 1:
        return SEVERAL if payloads else NO_CALL
    call = parse_call(payloads[0])
    if isinstance(call, BadCall):
        return UNREADABLE
    return call.tool if call.tool in CALLED else OTHER


def by_category(told: Sequence[Told]) -> list[tuple[str, Counter[str]]]:
    """What was called, by category in the order of their names."""
    found: dict[str, Counter[str]] = {}
    for one in told:
        found.setdefault(one.one.category, Counter())[one.called] += 1
    return sorted(found.items())


def manner(before: Samples, after: Samples) -> Drift | Manner | None:
    """How the model talks where it talks freely: beside `before` on what both completed, else by itself; None where
    nothing of that kind was asked.
    """
    own = {(one.one.id, one.one.k): one.answer for one in after.told if one.one.category in guards.CATEGORIES}
    other = {(one.one.id, one.one.k): one.answer for one in before.told}
    both = [key for key in own if key in other]
    if both:
        return guards.drift([other[key] for key in both], [own[key] for key in both])
    return guards.manner(list(own.values())) if own else None


def comparison(before: Samples, after: Samples, *, confidence: float) -> Comparison | None:
    """What changed, pair by pair; None where the two completed nothing in common."""
    try:
        return compare.compare([o.one for o in before.told], [o.one for o in after.told], confidence=confidence)
    except ValueError:
        return None


@dataclass(frozen=True)
class Said:
    """A turn as it is shown."""

    passed: bool
    reason: str | None
    spans: tuple[Span, ...]
    left_out: int
    """Characters that are not shown."""


@dataclass(frozen=True)
class Example:
    """A question, what was said to it before, and what now."""

    id: str
    k: int
    category: str
    change: str
    """lost, gained, failed or passed: the last two where nothing changed or nothing is known of before."""
    earlier: tuple[tuple[str, str], ...]
    """(role, text) of the turns before the question."""
    asked: str
    system: str
    """Which system prompt stood before the question, or ""."""
    before: Said | None
    after: Said


@dataclass(frozen=True)
class Examples:
    """Turns for reading: what was lost, what was gained, then some of each category."""

    shown: tuple[Example, ...]
    lost: int
    gained: int


def examples(before: Samples, after: Samples) -> Examples:
    """Choose turns to show, no question twice."""
    other = {(one.one.id, one.one.k): one.one for one in before.told}
    earlier = {one.one.id: one.earlier for one in after.told if one.earlier}
    by_change: dict[str, list[Try]] = {"lost": [], "gained": [], "failed": [], "passed": []}
    for one in (one.one for one in after.told):
        old = other.get((one.id, one.k))
        flipped = old is not None and old.passed != one.passed
        change = ("gained" if one.passed else "lost") if flipped else ("passed" if one.passed else "failed")
        by_change[change].append(one)
    chosen = [(change, one) for change in ("lost", "gained") for one in _spread(by_change[change])]
    seen = {one.id for _, one in chosen}
    room = Counter(dict.fromkeys({one.one.category for one in after.told}, OTHERS))
    for change in ("failed", "passed"):
        for one in by_change[change]:
            if room[one.category] and one.id not in seen:
                room[one.category] -= 1
                seen.add(one.id)
                chosen.append((change, one))
    shown = [_example(change, one, other.get((one.id, one.k)), earlier.get(one.id, ())) for change, one in chosen]
    return Examples(tuple(shown), len(by_change["lost"]), len(by_change["gained"]))


def _spread(flips: Sequence[Try]) -> list[Try]:
    """FLIPS of them, no question twice and as even by category as they are there, in their order."""
    flips = list({flip.id: flip for flip in reversed(flips)}.values())[::-1]
    turn: Counter[str] = Counter()
    turns = []
    for flip in flips:
        turns.append(turn[flip.category])
        turn[flip.category] += 1
    chosen = sorted(range(len(flips)), key=lambda place: (turns[place], place))[:FLIPS]
    return [flips[place] for place in sorted(chosen)]


def _example(change: str, one: Try, old: Try | None, earlier: Sequence[tuple[str, str]]) -> Example:
    """The system prompt stands before the first words of the dialogue, whoever says the question later."""
    asked, system = _question(one.asked)
    told = []
    for role, text in earlier:
        words, before = _question(text)
        told.append((role, words))
        system = system or before
    said = (None if old is None else _said(old), _said(one))
    return Example(one.id, one.k, one.category, change, tuple(told), asked, system, *said)


def _said(one: Try) -> Said:
    text, left_out = shortened(one.text)
    return Said(bool(one.passed), one.reason, tuple(spans(text)), left_out)


def _question(prompt: str) -> tuple[str, str]:
    """The question without the system prompt before it, and which one that was."""
    for name, system in SYSTEMS.items():
        if prompt.startswith(opening := with_system(system, "")):
            return prompt[len(opening) :], name
    return prompt, ""
