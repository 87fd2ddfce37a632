"""A generated turn cut into what the grammar sees: thinking, calls, results, the answer, and the marks between."""

import re
from dataclasses import dataclass
from typing import Literal

from samosa.chat.markup import (
    ASSISTANT_END,
    OUTPUT_END,
    OUTPUT_START,
    PYTHON_END,
    PYTHON_START,
    SPECIALS,
    THINK_CLOSE,
    THINK_OPEN,
)

SpanKind = Literal["think", "call", "result", "answer", "stray"]
LONGEST = 3_000  # characters of a turn that are shown
MARKS = re.compile("|".join(map(re.escape, (THINK_OPEN, THINK_CLOSE, *SPECIALS))))
OPENERS: dict[str, SpanKind] = {THINK_OPEN: "think", PYTHON_START: "call", OUTPUT_START: "result"}
CLOSERS = {THINK_CLOSE: "think", PYTHON_END: "call", OUTPUT_END: "result"}
TAGS = (THINK_OPEN, THINK_CLOSE)


@dataclass(frozen=True)
class Piece:
    """Some text of a span; `mark` where it is one of the grammar's own."""

    text: str
    mark: bool = False


@dataclass(frozen=True)
class Span:
    """A stretch of a turn of one kind; stray: a mark where none is due."""

    kind: SpanKind
    pieces: tuple[Piece, ...]


def spans(text: str) -> list[Span]:
    """Cut a turn's text; put together again, the pieces are the text, but for blank lines between spans.

    It is the decoded text that is cut, so a mark that the model spelled out in ordinary tokens looks like the real one;
    the verdict beside it was reached on token ids and says so.
    """
    found: list[tuple[SpanKind, list[Piece]]] = []
    kind: SpanKind = "answer"

    def add(to: SpanKind, piece: Piece) -> None:
        if found and found[-1][0] == to:
            found[-1][1].append(piece)
        else:
            found.append((to, [piece]))

    end = 0
    for mark in MARKS.finditer(text):
        if kind in ("call", "result") and mark[0] in TAGS:
            continue  # inside a tool's block a think tag is text
        if mark.start() > end:
            add(kind, Piece(text[end : mark.start()]))
        end = mark.end()
        piece = Piece(mark[0], mark=True)
        if mark[0] in OPENERS:
            kind = OPENERS[mark[0]]
            found.append((kind, [piece]))
        elif CLOSERS.get(mark[0]) == kind:
            add(kind, piece)
            kind = "answer"
        elif mark[0] == ASSISTANT_END and kind == "answer":
            add(kind, piece)
        else:
            add("stray", piece)
            kind = "answer"
    if end < len(text):
        add(kind, Piece(text[end:]))
    for _, pieces in found:
        if not pieces[0].mark:
            pieces[0] = Piece(pieces[0].text.lstrip("\n"))
    return [Span(kind, tuple(pieces)) for kind, pieces in found if any(piece.text.strip() for piece in pieces)]


def shortened(text: str) -> tuple[str, int]:
    """The beginning of a text that is too long to show, and how many characters were left out."""
    return text[:LONGEST], max(0, len(text) - LONGEST)
