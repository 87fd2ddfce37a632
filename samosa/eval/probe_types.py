"""What one probe is: a prompt, what the search will answer, and what counts as right. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from samosa.chat.conversation import Conversation
from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.chat.search import Hit, SearchError

Pattern = Literal["search", "calculator", "no_tool"]
PATTERNS: tuple[Pattern, ...] = ("search", "calculator", "no_tool")
Mark = Literal["html", "code", "json", "image", "label", "dialogue", "loop"]
MARKS: tuple[Mark, ...] = ("html", "code", "json", "image", "label", "dialogue", "loop")
"""What is an artefact in an answer unless the user asked for it: tags; fenced code, in which anything may stand; JSON;
an image without an address; an `Answer:` line; lines spoken for somebody (`User:`); lines that repeat."""


@dataclass(frozen=True)
class Gold:
    """What a right answer looks like; every condition that is set must hold."""

    tool: str | None
    """"web_search" or "calculator": exactly this tool is called. None: no call at all."""
    value: Decimal | None = None
    """The exact result. A number in the answer span must equal it within `tolerance`, and where the tool is the
    calculator the (last) call's expression too, evaluated by samosa's own."""
    tolerance: Decimal = Decimal("0.005")
    """How far from `value` still counts, in the value's unit; half a cent for money."""
    query_must: tuple[str, ...] = ()
    """Each must be in the search query, whatever its case."""
    answer_must: tuple[str, ...] = ()
    """Each must be in the answer span, word-bounded, whatever its case; a number here is compared as a number."""
    answer_any: tuple[tuple[str, ...], ...] = ()
    """From each group at least one must be in the answer span, word-bounded, whatever its case."""
    answer_must_not: tuple[str, ...] = ()
    """None may be in the answer span, word-bounded, whatever its case."""
    think: bool = True
    """The turn must open with a think block that is not empty."""
    min_answer_chars: int = 1
    """Length of the answer span without the space around it, at least."""
    unit: str | None = None
    """A unit that must stand in the answer span (like answer_must), or None."""
    answer_is: tuple[str, ...] = field(default=(), repr=False)
    """Each must be what the answer claims (like answer_must, but denied or offered as a guess it does not count): the
    Saturday of "which day", the Paris of "which city". A number that is calculated is `value` instead."""
    rivals: tuple[str, ...] = field(default=(), repr=False)
    """What a wrong answer would claim instead: the other six days. One may be named on the way, none beside the answer.
    """
    may_call: tuple[str, ...] = field(default=(), repr=False)
    """Tools that may be called and need not be, besides `tool`. Whatever is called must be well-formed and succeed."""
    may_refuse: bool = field(default=False, repr=False)
    """Saying what it cannot or will not do is no failure here; else an answer that refuses is wrong, whatever it names.
    """
    marks: tuple[Mark, ...] = field(default=(), repr=False)
    """Marks that the user asked for, which are no artefacts here."""
    max_answer_chars: int | None = field(default=None, repr=False)
    """Length of the answer span at most, where the user asked for a short one."""
    matches: tuple[str, ...] = field(default=(), repr=False)
    """Regular expressions that must each be found in the answer span (multi-line, any case): a form that was asked for.
    The fields below `unit` are not in the repr: it is what the joint suite's hash is made of."""


@dataclass(frozen=True)
class Probe:
    """One instance: drawn by seed from a template, with a search fixture of its own."""

    id: str
    """Unique within a suite."""
    pattern: Pattern
    template: str
    """The name of the phrasing it was drawn from: instances of a template are not independent of each other."""
    conversation: Conversation
    """Ends on a user turn."""
    gold: Gold
    hits: Mapping[str, Sequence[Hit] | SearchError] = field(default_factory=dict)
    """What the search answers in this instance, by a string that must be in the query (whatever its case; "" is in
    every query; the first that fits wins; nothing fits: no hits). A SearchError: this search fails, on purpose."""
    roadmap: bool = False
    """One of the roadmap's three named probes: it stands outside the per-pattern counts and must pass by itself."""
    category: str = ""
    """What the full suite counts it under; empty in the joint suite, which counts by pattern."""
    pair: str = ""
    """Two probes of one pair ask the same of different things: each passes only if the other does too."""
    max_calls: int | None = None
    """Tool calls that the turn may make; None: as many as the gate allows."""


def user_turns(probe: Probe) -> tuple[str, ...]:
    """What the user of a probe says, without the system prompt that shares the first turn."""
    first, *others = (turn.text for turn in probe.conversation.turns if turn.role == "user")
    for system in (THINK_SYSTEM, DEFAULT_SYSTEM):
        first = first.removeprefix(with_system(system, ""))
    return (first, *others)
