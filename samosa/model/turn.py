"""One turn that is being generated: its tokens, its calls and its limits. The engine decides when, this decides what.

Calls are recognised by token id, never by text. Their results are forced into the turn as ordinary tokens, so nothing a
tool returns can open or close a turn.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from samosa.chat.tokenizer import Tokenizer
from samosa.chat.tools import Observation, Toolbox, failure

Reason = Literal["end", "length", "context", "cancelled"]

TOO_MANY_CALLS = "too many calls in this turn"
TOO_LONG_CALL = "the call is too long"
BROKEN_CALL = "the call contains a marker"


@dataclass(frozen=True)
class Request:
    """One turn to generate: `ids` end with assistant_start.

    max_tokens counts forced tokens too. temperature 0 is greedy; top_k None or 0 is all. max_calls: a further call is
    not executed and its observation says so. call_budget: tokens a call may have; one more, and it is closed with an
    error. seed: what is sampled depends on it and on the logits alone. key: handed back. toolbox: instead of the
    engine's.
    """

    ids: Sequence[int]
    max_tokens: int
    temperature: float = 0.0
    top_k: int | None = None
    seed: int = 0
    max_calls: int = 1
    call_budget: int = 256
    key: Hashable = None
    toolbox: Toolbox | None = None


@dataclass(frozen=True)
class Finished:
    """A generated turn.

    ids: everything after the prompt, forced tokens and the closing token included; forced: which of them the model did
    not choose. reason: "end" (assistant_end, or bos), "length" (max_tokens), "context" (the cache is full) or
    "cancelled". A tool result that does not fit what is left ends the turn: half a result is never forced.
    """

    id: int
    ids: list[int]
    forced: list[bool]
    reason: Reason
    key: Hashable = None


class Marks:
    """The ids of the tokens that open and close things."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.ends = {tokenizer.special("assistant_end"), tokenizer.bos}
        self.call_start = tokenizer.special("python_start")
        self.call_end = tokenizer.special("python_end")
        self.result_start = tokenizer.special("output_start")
        self.result_end = tokenizer.special("output_end")
        self.specials = set(tokenizer.specials.values())


@dataclass(eq=False)
class Turn:
    """A turn under way. toolbox None: no tool is run, and python_end is a token like any other."""

    id: int
    request: Request
    toolbox: Toolbox | None
    marks: Marks
    room: int  # tokens it may have, prompt included
    feed: list[int]  # tokens the model has not read yet
    slot: int = -1  # its row of the cache
    ids: list[int] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    asks: str | None = None  # the call that a tool must answer before the turn goes on
    _call: list[int] | None = None  # tokens of the open call
    _calls: int = 0

    def finished(self, reason: Reason) -> Finished:
        return Finished(self.id, self.ids, self.forced, reason, self.request.key)

    def accept(self, token: int) -> Reason | None:
        """Take the model's next token; why the turn ends with it, if it does. Afterwards it may have a call to ask."""
        self.ids.append(token)
        self.forced.append(False)
        self.feed = [token]
        if token in self.marks.ends:
            return "end"
        if (full := self._full(0)) is not None:
            return full
        if self.toolbox is None:
            return None
        if self._call is None:
            if token == self.marks.call_start:
                self._call = []
            return None
        if token == self.marks.call_end:
            return self._close()
        self._call.append(token)
        if len(self._call) > self.request.call_budget:
            self._calls += 1
            return self._force([self.marks.call_end], failure(TOO_LONG_CALL))
        return None

    def observe(self, observation: Observation) -> Reason | None:
        """Take the answer to what it asked; why the turn ends there, if it does."""
        self.asks = None
        return self._force([], observation)

    def _close(self) -> Reason | None:
        """The open call is complete: it is run only if it may be."""
        assert self._call is not None
        self._calls += 1
        if self._calls > self.request.max_calls:
            return self._force([], failure(TOO_MANY_CALLS))
        if not self.marks.specials.isdisjoint(self._call):
            return self._force([], failure(BROKEN_CALL))
        self.asks = self.marks.tokenizer.decode(self._call)
        return None

    def _force(self, before: list[int], observation: Observation) -> Reason | None:
        """Put an observation into the turn: between markers, as ordinary text."""
        marks = self.marks
        forced = [*before, marks.result_start, *marks.tokenizer.encode(observation.payload), marks.result_end]
        self._call = None
        full = self._full(len(forced))
        if full is None:
            self.ids += forced
            self.forced += [True] * len(forced)
            self.feed += forced
        return full

    def _full(self, more: int) -> Reason | None:
        """Why the turn may not take `more` tokens and then another of the model's; None where it may."""
        if len(self.ids) + more >= self.request.max_tokens:
            return "length"
        if len(self.request.ids) + len(self.ids) + more >= self.room:
            return "context"
        return None
