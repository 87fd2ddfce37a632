"""What one probe is: a prompt, what the search will answer, and what counts as right. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from samosa.chat.conversation import Conversation
from samosa.chat.search import Hit, SearchError

Pattern = Literal["search", "calculator", "no_tool"]
PATTERNS: tuple[Pattern, ...] = ("search", "calculator", "no_tool")


@dataclass(frozen=True)
class Gold:
    """What a right answer looks like; every condition that is set must hold."""

    tool: str | None
    """"web_search" or "calculator": exactly this tool is called. None: no call at all."""
    value: Decimal | None = None
    """The exact result of the calculation. The call's expression, evaluated by samosa's own calculator, must equal it
    within `tolerance`, and so must a number in the answer span. Set for calculator probes only."""
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
