"""What rules about prose do not see: code, and the invisible. Both in linear time, and every place can be found back.

Code is what Markdown renders as such: fenced blocks (``` or ~~~, of any length and with any info string, in lists and
quotations, to the end of the text where nothing closes them) and inline code between runs of equally many backticks in
one paragraph (https://spec.commonmark.org/0.31.2/#fenced-code-blocks and #code-spans).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samosa.chat.conversation import tool_spans

HIDDEN = "\x01"  # stands for every masked character: no letter, no space, no mark of Markdown

_OPENING = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?")
_TICKS = re.compile(r"`+|\n[ \t\r>]*\n")
_BACKTICKS, _TILDES = "```", "~~~"

FOLDED = (
    r"[\x{A0}\x{AD}\x{34F}\x{180E}\x{2000}-\x{200F}\x{2028}-\x{202F}\x{205F}-\x{206F}\x{3000}\x{FEFF}"
    r"\x{FF01}-\x{FF5E}\x{1D400}-\x{1D7FF}]"
)
"""RE2: what makes a text differ from what it looks like: spaces of all widths, invisible characters, wide letters and
the letters of mathematics."""
_GONE = 0x110000  # in the table of folding: leave the character out
_JOINERS = (0x200C, 0x200D)  # needed by emoji and Indic scripts; between Latin letters they hide words from rules


def prose(text: str) -> str:
    """The text with `HIDDEN` for every character of calls, results and code, their marks and line breaks included;
    equally long.
    """
    if "<|" in text:
        text = _hide(text, [(start, end) for _, start, end, _ in tool_spans(text)])
    if "`" in text or _TILDES in text:
        text = _hide(text, code_spans(text))
    return text


def _hide(text: str, spans: list[tuple[int, int]]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        pieces += (text[done:start], HIDDEN * (end - start))
        done = end
    return "".join(pieces) + text[done:] if pieces else text


def code_spans(text: str) -> list[tuple[int, int]]:
    """Where the code of a text lies, in order."""
    spans: list[tuple[int, int]] = []
    prose = 0
    for start, end in fences(text):
        _add_inline(text, prose, start, spans)
        spans.append((start, end))
        prose = end
    _add_inline(text, prose, len(text), spans)
    return spans


def fences(text: str) -> list[tuple[int, int]]:
    """Where the fenced blocks lie, from the marks that open them to the line that closes them or the end."""
    found: list[tuple[int, int]] = []
    at = 0
    while (opened := _next_fence(text, at)) is not None:
        start, mark = opened
        at = _closing(text, start, mark)
        found.append((start, at))
    return found


def ends_in_open_fence(text: str) -> tuple[int, int] | None:
    """The fenced block that nothing closes, if there is one; it reaches to the end."""
    last = fences(text)[-1:]
    if not last or last[0][1] < len(text):
        return None
    start, end = last[0]
    mark = _run(text, start)
    line = text[text.rfind("\n", start, end) + 1 :] if "\n" in text[start:] else ""
    return None if _closes(line, mark) else (start, end)


def _next_fence(text: str, at: int) -> tuple[int, str] | None:
    """Where the next line that opens a fence has its marks, and these; `at` is where a line begins."""
    size = len(text)
    ticks = text.find(_BACKTICKS, at)
    tildes = text.find(_TILDES, at)
    while ticks >= 0 or tildes >= 0:
        place = tildes if ticks < 0 or 0 <= tildes < ticks else ticks
        line = text.rfind("\n", at, place) + 1 or at
        end = text.find("\n", place)
        end = size if end < 0 else end
        mark = _run(text, place)
        # an info string has no backtick: ```x``` on one line is inline code
        plain = mark[0] == "~" or text.find("`", place + len(mark), end) < 0
        opening = _OPENING.match(text, line, place)
        if plain and opening is not None and opening.end() == place:
            return place, mark
        at = end
        ticks = text.find(_BACKTICKS, at) if 0 <= ticks < at else ticks
        tildes = text.find(_TILDES, at) if 0 <= tildes < at else tildes
    return None


def _run(text: str, at: int) -> str:
    """The run of equal characters that begins there."""
    end, char = at + 1, text[at]
    rest = re.compile(re.escape(char) + "*").match(text, end)
    return text[at : rest.end() if rest else end]


def _closing(text: str, start: int, mark: str) -> int:
    """Where the block that `mark` opens at `start` ends: behind its closing line, or at the end of the text."""
    at = text.find("\n", start)
    while at >= 0:
        place = text.find(mark, at)
        if place < 0:
            break
        line = text.rfind("\n", at, place) + 1
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        if _closes(text[line:end], mark):
            return end
        at = text.find("\n", place)
    return len(text)


def _closes(line: str, mark: str) -> bool:
    """Whether a line is nothing but marks of the kind that opened, at least as many."""
    bare = line.strip(" \t\r>")
    return len(bare) >= len(mark) and not bare.strip(mark[0])


def _add_inline(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> None:
    """Add the inline code between two places."""
    if text.find("`", start, end) < 0:
        return
    runs: list[tuple[int, int]] = []
    for token in _TICKS.finditer(text, start, end):
        if token[0][0] == "`":
            runs.append(token.span())
        elif runs:
            _pair(runs, spans)
            runs = []
    _pair(runs, spans)


def _pair(runs: list[tuple[int, int]], spans: list[tuple[int, int]]) -> None:
    """Add the spans between runs of backticks of one paragraph: each with the next as long as itself."""
    following: dict[int, int] = {}  # length of a run -> the nearest run of that length further on
    partner = [-1] * len(runs)
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        partner[index] = following.get(length, -1)
        following[length] = index
    index = 0
    while index < len(runs):
        if partner[index] >= 0:
            spans.append((runs[index][0], runs[partner[index]][1]))
            index = partner[index]
        index += 1


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint32]:
    """What each character looks like: itself, a plain letter or a space, or nothing."""
    table = np.arange(0x110000, dtype=np.uint32)
    for code in (*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D800)):
        plain = unicodedata.normalize("NFKC", chr(code))
        table[code] = ord(plain) if len(plain) == 1 else code
    table[[0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]] = ord(" ")
    table[[0x2028, 0x2029]] = ord("\n")
    table[[0xAD, 0x34F, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]] = _GONE
    return table


def fold(text: str) -> tuple[str, NDArray[np.intp]]:
    """The text as it looks, and for each of its characters (and its end) the place in `text`."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    seen = _table()[codes]
    joiners = (codes == _JOINERS[0]) | (codes == _JOINERS[1])
    if joiners.any():
        after_latin = np.concatenate([[False], codes[:-1] < 0x250])
        seen = np.where(joiners & ~after_latin, codes, seen)
    kept: NDArray[Any] = np.flatnonzero(seen != _GONE)
    return seen[kept].tobytes().decode("utf-32-le"), np.append(kept, len(text))
