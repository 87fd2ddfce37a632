"""What a template of the full suite is, and what it yields."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from samosa.chat.search import Hit, SearchError
from samosa.eval.probe_types import Gold

Category = Literal[
    "identity",
    "tool_search",
    "tool_calculator",
    "think_tool",
    "no_tool",
    "india",
    "basic_math",
    "multi_step",
    "dates",
    "word_problems",
    "chat_format",
    "creative",
    "multi_turn",
    "artefacts",
    "injection",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
System = Literal["think", "default", "none"]
VERSION = "full-2"  # raise it when the same seed gives other probes: scores of two versions are not comparable


@dataclass(frozen=True)
class Drawn:
    """One instance as a template yields it. A probe is always one generated turn: the answer to the last of `turns`."""

    turns: tuple[str, ...]
    """User, assistant, user, ...: odd in number, the user's the last. Earlier assistant turns are scripted, so that
    nothing depends on what the model said before; they are read as rows are (think tags and marker pairs too). Without
    the system prompt, which `system` adds."""
    gold: Gold
    """`gold.think` is overwritten by what `system` asks for."""
    hits: Mapping[str, Sequence[Hit] | SearchError] = field(default_factory=dict)
    """As in Probe: by a string that must be in the query ("" is in every query)."""
    system: System = "think"
    """think: THINK_SYSTEM, and the turn must open with a think block. default: DEFAULT_SYSTEM, thinking is left to the
    model. none: no prompt at all, thinking is left to the model; what only the weights can know, such as who it is."""
    max_calls: int | None = None
    """Calls that the turn may make; None: as many as the gate allows (1)."""
    twin: "Drawn | None" = None
    """The contrast: the same dialogue about something else, whose right answer differs. Both become probes of one pair,
    and each passes only if both do. A twin has no twin."""
    names: tuple[str, ...] = ()
    """In a pair: what only the right answer to this one says; the twin's must not (needles as in answer_must)."""


@dataclass(frozen=True)
class Template:
    """A phrasing whose instances are drawn by seed. Its instances count as one cluster in the statistics."""

    name: str
    """Unique within its category; it stays what it is for as long as `make` asks the same kind of thing."""
    category: Category
    make: Callable[[random.Random], Drawn]
    """Takes all its randomness from its argument; must be able to give at least ten different `turns`, unless the
    category has templates enough for every count."""
