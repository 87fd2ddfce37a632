"""What rules about prose do not see: code, calls and results. In linear time, and no place moves.

Code is what Markdown renders as such: fenced blocks (``` or ~~~, of any length and with any info string, in lists and
quotations, to the end of the text where nothing closes them) and inline code between runs of equally many backticks in
one paragraph (https://spec.commonmark.org/0.31.2/#fenced-code-blocks and #code-spans). Indented lines are prose.
"""

import re

from samosa.chat.conversation import tool_spans
from samosa.data.filter.lines import LONG

HIDDEN = "\x01"  # stands for every hidden character: no letter, no space, no mark of Markdown

Span = tuple[int, int]
_MANY = 2048  # marks of code: from so many on they are sought all at once; below it takes 0.4 ms at least

# an info string has no backtick: ```x``` on one line is inline code
_OPENING = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(?P<marks>~~~+|```+(?=[^`\n]*(?:\n|\Z)))[^\n]*")
_BLANK_LINE = re.compile(r"\n[ \t\r>]*\n")
_RUNS = {"`": re.compile("``*"), "~": re.compile("~~*")}  # a literal first: `re` jumps to it


def hide(text: str) -> str:
    """The text with `HIDDEN` for every character of calls, results and code, their marks and line breaks included;
    equally long.
    """
    # one character is sought several times as fast as two
    if "|" in text and "<|" in text:
        text = _hide_spans(text, [(start, end) for _, start, end, _ in tool_spans(text)])
    if "`" in text or ("~" in text and "~~~" in text):
        if len(text) >= LONG and text.count("`") + text.count("~~~") >= _MANY:
            from samosa.data.filter import marks  # numpy takes longer to import than filtering a small file

            return marks.hidden(text, _OPENING) or _hide_code(text)
        return _hide_code(text)
    return text


def _hide_code(text: str) -> str:
    """Hide blocks and inline code, one by one: quicker than at once where there are few."""
    pieces: list[str] = []
    done = 0
    for start, end in fences(text):
        if done < start:
            pieces.append(_hide_inline(text[done:start]))
        pieces.append(HIDDEN * (end - start))
        done = end
    return "".join(pieces) + _hide_inline(text[done:])


def _hide_spans(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in spans:
        pieces += (text[done:start], HIDDEN * (end - start))
        done = end
    return "".join(pieces) + text[done:] if pieces else text


def fences(text: str) -> list[Span]:
    """Where the fenced blocks lie, from the marks that open them to the line that closes them or the end."""
    found: list[Span] = []
    ticks = text.find("```")
    tildes = text.find("~~~") if "~" in text else -1
    at = 0  # where a line begins
    while ticks >= 0 or tildes >= 0:
        place = tildes if ticks < 0 or 0 <= tildes < ticks else ticks
        opening = _OPENING.match(text, text.rfind("\n", at, place) + 1 or at)
        if opening is not None and opening.start("marks") == place:
            at = _closing(text, opening.end(), opening["marks"])
            found.append((place, at))
        else:
            at = _end_of_line(text, place)
        ticks = text.find("```", at) if 0 <= ticks < at else ticks
        tildes = text.find("~~~", at) if 0 <= tildes < at else tildes
    return found


def open_fence(text: str) -> Span | None:
    """The fenced block that nothing closes, if there is one; it reaches to the end."""
    found = fences(text)
    if not found or found[-1][1] < len(text):
        return None
    start, end = found[-1]
    last = text.rfind("\n", start, end) + 1
    return None if last and _closes(text[last:end], _mark(text, start)) else (start, end)


def _mark(text: str, at: int) -> str:
    """The run of backticks or tildes that begins there."""
    run = _RUNS[text[at]].match(text, at)
    assert run is not None
    return run[0]


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _closing(text: str, at: int, marks: str) -> int:
    """Where the block whose opening line ends at `at` ends: behind its closing line, or at the end of the text."""
    while (place := text.find(marks, at)) >= 0:
        line = text.rfind("\n", at, place) + 1
        at = text.find("\n", place)
        if at < 0:
            at = len(text)
        if _closes(text[line:at], marks):
            return at
    return len(text)


def _closes(line: str, marks: str) -> bool:
    """Whether a line is nothing but marks of the kind that opened, at least as many."""
    bare = line.strip(" \t\r>")
    return bare == marks or (len(bare) > len(marks) and not bare.strip(marks[0]))


def _hide_inline(text: str) -> str:
    """Hide the inline code of a text without blocks, paragraph by paragraph."""
    at = text.find("`")
    if at < 0 or text.find("`", at + 1) < 0:
        return text
    pieces = [text[:at]]
    while at >= 0:
        blank = _BLANK_LINE.search(text, at)
        end = blank.start() if blank else len(text)
        pieces.append(_hide_paragraph(text[at:end]))
        at = text.find("`", end)
        pieces.append(text[end:at] if at >= 0 else text[end:])
    return "".join(pieces)


def _hide_paragraph(text: str) -> str:
    if "``" in text:
        return _hide_spans(text, _pairs([run.span() for run in _RUNS["`"].finditer(text)]))
    pieces = text.split("`")  # prose, code, prose, ..., and prose in the end unless a backtick stands alone
    alone = len(pieces) % 2 == 0
    last = pieces.pop() if alone else ""
    pieces[1::2] = [HIDDEN * (len(code) + 2) for code in pieces[1::2]]
    return "".join(pieces) + ("`" + last if alone else "")


def _pairs(runs: list[Span]) -> list[Span]:
    """The spans between runs of backticks of one paragraph: each with the next as long as itself."""
    following: dict[int, int] = {}  # length of a run -> the nearest run of that length further on
    partner = [-1] * len(runs)
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        partner[index] = following.get(length, -1)
        following[length] = index
    spans: list[Span] = []
    index = 0
    while index < len(runs):
        if partner[index] >= 0:
            spans.append((runs[index][0], runs[partner[index]][1]))
            index = partner[index]
        index += 1
    return spans
