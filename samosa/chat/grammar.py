"""The grammar of an assistant's turn: think? (call result)* answer end.

One state machine over events; token ids and the parts of a row are two ways to feed it, and both give the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from samosa.chat.markup import (
    ASSISTANT_END,
    LONGEST_MARKER,
    MARKER,
    OUTPUT_END,
    OUTPUT_START,
    PYTHON_END,
    PYTHON_START,
    THINK_OPEN,
    THINK_TAG,
)
from samosa.chat.turns import Part, raw_text

if TYPE_CHECKING:  # filters read rows with it, and the tokenizer takes longer to import than a small file to filter
    from samosa.chat.tokenizer import Tokenizer

EventKind = Literal["think_open", "think_close", "call", "result", "text", "end", "stray"]

# The names of violations: they are stored in reports, so they do not change.
TEXT_BEFORE_THINK = "text before think"
SECOND_THINK = "second think"
THINK_AFTER_CALL = "think after call"
NESTED_THINK = "think inside think"
UNOPENED_THINK = "think closed but not opened"
UNCLOSED_THINK = "unclosed think"
CALL_IN_THINK = "call inside think"
CALL_AFTER_TEXT = "call after answer text"
TOO_MANY_CALLS = "too many calls"
CALL_WITHOUT_RESULT = "call without result"
RESULT_WITHOUT_CALL = "result without call"
EMPTY_ANSWER = "empty answer"
MISSING_END = "missing end"
AFTER_END = "something after the end"
STRAY_MARKER = "stray marker"
MARKER_TEXT = "marker text"

VIOLATIONS = (
    TEXT_BEFORE_THINK, SECOND_THINK, THINK_AFTER_CALL, NESTED_THINK, UNOPENED_THINK, UNCLOSED_THINK, CALL_IN_THINK,
    CALL_AFTER_TEXT, TOO_MANY_CALLS, CALL_WITHOUT_RESULT, RESULT_WITHOUT_CALL, EMPTY_ANSWER, MISSING_END, AFTER_END,
    STRAY_MARKER, MARKER_TEXT,
)  # fmt: skip


class Event(NamedTuple):
    """What happens in a turn. `text` is the words, the payload, or the name of a stray special; else empty."""

    kind: EventKind
    text: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a turn was: its first violation or None, and what it said.

    `think` is the inside of the tags with its white space (None without a think), `calls` and `results` are payloads,
    `answer` is the words after all that, stripped. With a violation these hold what could be made out.
    """

    violation: str | None
    think: str | None
    calls: tuple[str, ...]
    results: tuple[str, ...]
    answer: str

    @property
    def ok(self) -> bool:
        return self.violation is None


class TurnMachine:
    """Judges a turn event by event; a run of text may come in any number of events.

    White space between think, calls and answer is nothing. A call is a call whatever its payload says.
    """

    def __init__(self, max_calls: int) -> None:
        self._max_calls = max_calls
        self._violation: str | None = None
        self._in_think = False
        self._awaits_result = False
        self._ended = False
        self._think: list[str] | None = None
        self._calls: list[str] = []
        self._results: list[str] = []
        self._answer: list[str] = []
        self._tail = ""  # end of the running text, for markers that arrive in pieces

    def feed(self, event: Event) -> str | None:
        """Take one event. Returns the turn's first violation so far, None while it keeps to the grammar."""
        if self._ended:
            self._break(AFTER_END)
            return self._violation
        if event.kind != "text":
            self._tail = ""
        match event.kind:
            case "text":
                self._on_text(event.text)
            case "think_open":
                self._on_think_open()
            case "think_close":
                self._on_think_close()
            case "call":
                self._on_call(event.text)
            case "result":
                self._on_result(event.text)
            case "stray":
                self._break(STRAY_MARKER)
            case "end":
                self._close()
                self._ended = True
        return self._violation

    def finish(self) -> Verdict:
        """The verdict when nothing more comes; without an end event the turn was cut off."""
        if not self._ended:
            if self._in_think:
                self._break(UNCLOSED_THINK)
            self._break(MISSING_END)
        return Verdict(
            violation=self._violation,
            think=None if self._think is None else "".join(self._think),
            calls=tuple(self._calls),
            results=tuple(self._results),
            answer="".join(self._answer).strip(),
        )

    def _break(self, violation: str) -> None:
        self._violation = self._violation or violation

    def _answered(self) -> bool:
        return any(text.strip() for text in self._answer)

    def _on_text(self, text: str) -> None:
        seen = self._tail + text
        if "<|" in seen and MARKER.search(seen):
            self._break(MARKER_TEXT)
        self._tail = seen[1 - LONGEST_MARKER :]
        if self._in_think and self._think is not None:
            self._think.append(text)
            return
        if self._awaits_result and text.strip():
            self._break(CALL_WITHOUT_RESULT)
            self._awaits_result = False
        self._answer.append(text)

    def _on_think_open(self) -> None:
        if self._in_think:
            self._break(NESTED_THINK)
        elif self._think is not None:
            self._break(SECOND_THINK)
        elif self._calls:
            self._break(THINK_AFTER_CALL)
        elif self._answered():
            self._break(TEXT_BEFORE_THINK)
        self._in_think = True
        self._think = self._think if self._think is not None else []
        self._answer = []

    def _on_think_close(self) -> None:
        if not self._in_think:
            self._break(UNOPENED_THINK)
        self._in_think = False

    def _on_call(self, payload: str) -> None:
        self._calls.append(payload)
        if self._in_think:
            self._break(CALL_IN_THINK)
        elif self._answered():
            self._break(CALL_AFTER_TEXT)
        elif self._awaits_result:
            self._break(CALL_WITHOUT_RESULT)
        elif MARKER.search(payload):
            self._break(MARKER_TEXT)
        elif len(self._calls) > self._max_calls:
            self._break(TOO_MANY_CALLS)
        self._awaits_result = True
        self._answer = []

    def _on_result(self, payload: str) -> None:
        self._results.append(payload)
        if not self._awaits_result:
            self._break(RESULT_WITHOUT_CALL)
        self._awaits_result = False

    def _close(self) -> None:
        if self._in_think:
            self._break(UNCLOSED_THINK)
        if self._awaits_result:
            self._break(CALL_WITHOUT_RESULT)
        if not self._answered():
            self._break(EMPTY_ANSWER)


def read_ids(ids: Sequence[int], tokenizer: Tokenizer, *, max_calls: int) -> Verdict:
    """Judge the ids that follow assistant_start, assistant_end included."""
    return _judge(events_from_ids(ids, tokenizer), max_calls)


def read_parts(parts: Sequence[Part], *, max_calls: int, ended: bool = True) -> Verdict:
    """Judge the parts of a turn; a turn of a row ends by itself, one cut off while generating did not (`ended`)."""
    return _judge(events_from_parts(parts, ended=ended), max_calls)


def events_from_ids(ids: Iterable[int], tokenizer: Tokenizer) -> Iterator[Event]:
    """Events of a turn's ids: specials by their id, think tags by the bytes between specials.

    A tag may be spread over tokens in any way. A special where none is due, and an opener that is not closed by its
    own closer, is a `stray` event.
    """
    names = {token: name for name, token in tokenizer.specials.items()}
    closers = {PYTHON_START: PYTHON_END, OUTPUT_START: OUTPUT_END}
    opener: str | None = None  # the tool block we are in
    run = bytearray()
    for token in ids:
        name = names.get(token)
        if name is None:
            run += tokenizer.token_bytes(token)
            continue
        text = run.decode(errors="replace")
        run.clear()
        if opener is not None and name == closers[opener]:
            yield Event("call" if opener == PYTHON_START else "result", text)
            opener = None
            continue
        if opener is not None:
            yield Event("stray", opener)
            opener = None
        yield from _prose_events(text)
        if name in closers:
            opener = name
        else:
            yield Event("end") if name == ASSISTANT_END else Event("stray", name)
    if opener is not None:
        yield Event("stray", opener)
    yield from _prose_events(run.decode(errors="replace"))


def events_from_parts(parts: Iterable[Part], *, ended: bool = True) -> Iterator[Event]:
    """Events of a turn's parts: the same that its rendered ids give."""
    run = ""
    for part in parts:
        if part.kind in ("text", "think"):
            run += raw_text(part)
            continue
        yield from _prose_events(run)
        run = ""
        yield Event("call" if part.kind == "tool_call" else "result", part.text)
    yield from _prose_events(run)
    if ended:
        yield Event("end")


def _prose_events(text: str) -> Iterator[Event]:
    end = 0
    for tag in THINK_TAG.finditer(text) if "think>" in text else ():
        if tag.start() > end:
            yield Event("text", text[end : tag.start()])
        yield Event("think_open" if tag[0] == THINK_OPEN else "think_close")
        end = tag.end()
    if end < len(text):
        yield Event("text", text[end:])


def _judge(events: Iterable[Event], max_calls: int) -> Verdict:
    machine = TurnMachine(max_calls)
    for event in events:
        machine.feed(event)
    return machine.finish()
