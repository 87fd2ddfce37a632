"""A turn's ids, as they come, to pieces a person can read."""

import codecs
from collections.abc import Iterable
from typing import Literal, NamedTuple

from samosa.chat.conversation import Part
from samosa.chat.markup import OUTPUT_END, OUTPUT_START, PYTHON_END, PYTHON_START, THINK_CLOSE, THINK_OPEN, THINK_TAG
from samosa.chat.tokenizer import Tokenizer
from samosa.chat.turns import prose

Kind = Literal["text", "think", "call", "result"]
BLOCKS: dict[str, Kind] = {PYTHON_START: "call", OUTPUT_START: "result"}
CLOSERS = (PYTHON_END, OUTPUT_END)


class Piece(NamedTuple):
    """Some more of a turn; think tags and special tokens are gone, they are in the kind."""

    kind: Kind
    text: str


class Stream:
    """Cuts a turn into pieces token by token.

    A character or a think tag that is spread over tokens is held back until it is whole, so no half of one is shown.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._names = {token: name for name, token in tokenizer.specials.items()}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._block: Kind | None = None  # the tool block we are in
        self._thinking = False
        self._held = ""  # may be the start of a think tag

    def feed(self, ids: Iterable[int]) -> list[Piece]:
        """The pieces that `ids` complete."""
        pieces: list[Piece] = []
        for token in ids:
            name = self._names.get(token)
            if name is None:
                pieces += self._read(self._decoder.decode(self._tokenizer.token_bytes(token)))
                continue
            pieces += self.close()
            if name in BLOCKS:
                self._block = BLOCKS[name]
            elif name in CLOSERS:
                self._block = None
        return _joined(pieces)

    def close(self) -> list[Piece]:
        """What was held back: nothing more comes, or a special token came."""
        pieces = self._read(self._decoder.decode(b"", final=True))
        self._decoder.reset()
        if self._held:
            pieces.append(self._piece(self._held))
            self._held = ""
        return _joined(pieces)

    def _piece(self, text: str) -> Piece:
        return Piece(self._block or ("think" if self._thinking else "text"), text)

    def _read(self, text: str) -> list[Piece]:
        if self._block is not None:
            return [self._piece(text)]
        text = self._held + text
        pieces, end = [], 0
        for tag in THINK_TAG.finditer(text):
            pieces.append(self._piece(text[end : tag.start()]))
            self._thinking = tag[0] == THINK_OPEN
            end = tag.end()
        rest = text[end:]
        keep = _tag_start(rest)
        self._held = rest[len(rest) - keep :]
        return [*pieces, self._piece(rest[: len(rest) - keep])]


def _tag_start(text: str) -> int:
    """How many characters at the end of `text` may be the start of a think tag."""
    longest = min(len(text), len(THINK_CLOSE) - 1)
    ends = (n for n in range(longest, 0, -1) if THINK_OPEN.startswith(text[-n:]) or THINK_CLOSE.startswith(text[-n:]))
    return next(ends, 0)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Without empty pieces, and neighbours of one kind as one."""
    joined: list[Piece] = []
    for piece in pieces:
        if not piece.text:
            continue
        if joined and joined[-1].kind == piece.kind:
            piece = Piece(piece.kind, joined.pop().text + piece.text)
        joined.append(piece)
    return joined


def parts_of(ids: Iterable[int], tokenizer: Tokenizer) -> tuple[Part, ...]:
    """The parts of a generated turn, so that it can stand in the conversation that the next turn continues."""
    names = {token: name for name, token in tokenizer.specials.items()}
    parts: list[Part] = []
    run, block = bytearray(), None

    def flush() -> None:
        text = run.decode("utf-8", errors="replace")
        run.clear()
        if block is not None:
            parts.append(Part("tool_call" if block == PYTHON_START else "tool_result", text))
        else:
            parts.extend(prose(text))

    for token in ids:
        name = names.get(token)
        if name is None:
            run += tokenizer.token_bytes(token)
            continue
        flush()
        block = name if name in BLOCKS else None
    flush()
    return tuple(parts)
