"""Lines that repeat, found without a loop over lines: a row may have hundreds of thousands of short ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BytesIO
from itertools import accumulate, compress
from operator import eq
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the import takes longer than filtering a small file
    import numpy as np
    from numpy.typing import NDArray

BLANKS = " \t\r\f\v"
"""What is left out at both ends of a line where white space does not count."""

APART = 24
"""Bytes from which on equal lines are in a row where blank ones stand between them, if white space does not count."""

LONG = 4096
"""Characters from which on lines are counted first."""
_MANY, _SHORT = 256, 48  # from so many lines on, and below so many characters each, numpy is three times as quick
_AT_ONCE = 64  # blanks at one end of a line that are taken away for all lines at once
_REMEMBERED = 1 << 20  # bytes of a text whose lines are remembered until the next: they take as many words
_FEW = 64  # pairs of lines that are compared one by one, so that a long line takes no longer than its bytes

Places: TypeAlias = "NDArray[np.intp]"


def many_short(length: int, breaks: int) -> bool:
    """Whether a text of so many characters and line breaks has many lines, and short ones: numpy is their way."""
    return length >= LONG and breaks >= _MANY and length < _SHORT * breaks


def may_repeat(times: int, *, trim: bool) -> Callable[[bytes], bool]:
    """Make what tells whether a line that is not empty may stand `times` times in a row (2 or more) in a text (UTF-8);
    false is certain. Of three equal lines two are an even one and the next, so that half of the pairs tell.
    """
    blanks, many = BLANKS.encode(), times > 2
    empty = b"\n" + blanks if trim else b"\n"

    def suspect(text: bytes) -> bool:
        if len(text) >= LONG and many_short(len(text), text.count(b"\n")):
            return bool(text.strip(empty)) and bool(_equal_to_next(text, trim)[0].any())
        if many:
            pairs: Iterator[bytes] = BytesIO(text + b"\n")  # reads lines in two thirds of the time that split takes
            if trim:
                pairs = filter(None, map(bytes.strip, pairs))
            if not any(map(eq, pairs, pairs)):
                return False
        lines = text.split(b"\n")
        if trim:
            lines = [bare for line in lines if (bare := line.strip(blanks))]
        return any(compress(lines, map(eq, lines, lines[1:])))

    return suspect


def may_repeat_in(times: int, *, trim: bool) -> Callable[[bytes], list[int]]:
    """Make what tells of many texts (UTF-8), each on lines of its own, where one such line may end in them: in every
    text that has one. It suspects no others than `may_repeat` does, but for lines of different texts.
    """

    def ends(texts: bytes) -> list[int]:
        first = second = BytesIO(texts)
        left: Iterator[bytes] = first
        right: Iterator[bytes] = first
        if times == 2:
            right = second = BytesIO(texts)
        if trim:
            left, right = (filter(None, map(bytes.strip, lines)) for lines in (first, second))
        if times == 2:
            next(right, None)
        found, pairs = list[int](), map(eq, left, right)
        while any(pairs):  # it reads no line beyond the pair
            end = second.tell()
            if trim or texts[end - 2 : end] != b"\n\n":
                found.append(end)
        return found

    return ends


def runs(text: str, times: int, *, trim: bool) -> Iterator[tuple[int, int, int]]:
    """Each run of at least `times` equal lines that are not empty: where its first line begins and ends, and where its
    last one ends. With `trim` the blanks around lines do not count, nor blank lines between those of APART bytes.
    """
    if len(text) < LONG or not many_short(len(text), text.count("\n")):
        yield from _few_runs(text.split("\n"), times, trim)
        return
    import numpy as np

    data = text.encode()
    equal, starts, ends = _equal_to_next(data, trim)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], equal, [False]]).astype(np.int8))).reshape(-1, 2)
    done = count = 0  # bytes, and characters in them
    for first, last in edges[edges[:, 1] - edges[:, 0] >= times - 1].tolist():
        places = []
        for place in (int(starts[first]), int(ends[first]), int(ends[last])):
            count += len(data[done:place].decode())
            done = place
            places.append(count)
        yield places[0], places[1], places[2]


def _few_runs(lines: list[str], times: int, trim: bool) -> Iterator[tuple[int, int, int]]:
    """`runs` without numpy, which is quicker for few lines."""
    bare = [line.strip(BLANKS) for line in lines] if trim else lines
    at = [place for place, line in enumerate(bare) if line]
    said = list(filter(None, bare))
    starts: list[int] = []
    after = 0
    for index in compress(range(len(said)), map(eq, said, said[1:])):
        if index < after:
            continue
        line = said[index]
        apart = trim and len(line.encode()) >= APART
        after = index + 1
        while after < len(said) and said[after] == line and (apart or at[after] == at[after - 1] + 1):
            after += 1
        if after - index >= times:
            starts = starts or list(accumulate((len(one) + 1 for one in lines), initial=0))
            begins = [starts[place] + lines[place].index(line) for place in (at[index], at[after - 1])]
            yield begins[0], begins[0] + len(line), begins[1] + len(line)


def _equal_to_next(data: bytes, trim: bool) -> tuple[NDArray[np.bool_], Places, Places]:
    """Whether each line that is not empty, but the last, equals the next in a row; and where each begins and ends."""
    return _last_compared(data, trim) if len(data) <= _REMEMBERED else _compared(data, trim)


def _compared(data: bytes, trim: bool) -> tuple[NDArray[np.bool_], Places, Places]:
    import numpy as np

    codes = np.frombuffer(data, dtype=np.uint8)
    breaks = np.flatnonzero(codes == ord("\n"))
    starts, ends = np.append(0, breaks + 1), np.append(breaks, len(data))
    if trim:
        _trim(data, codes, starts, ends)
    filled = np.flatnonzero(ends > starts)
    starts, ends = starts[filled], ends[filled]
    length = ends - starts
    # eight bytes from each byte on, the first of them the lowest; behind the text nothing
    eight = np.ndarray(len(data) + 1, "<u8", data + bytes(8), strides=(1,))
    begin = eight[starts] << (64 - 8 * np.clip(length, 1, 8)).astype(np.uint64)  # without what stands behind the line
    equal = (length[:-1] == length[1:]) & (begin[:-1] == begin[1:])
    equal &= (np.diff(filled) == 1) | (trim & (length[1:] >= APART))
    left = np.flatnonzero(equal & (length[1:] > 8))
    done = np.full(len(left), 8)
    while len(left) > _FEW:
        done = np.minimum(done, length[left] - 8)  # the last eight bytes of a line may have been seen before
        same = eight[starts[left] + done] == eight[starts[left + 1] + done]
        equal[left[~same]] = False
        more = same & (length[left] - done > 8)
        left, done = left[more], done[more] + 8
    for line in left.tolist():
        here, there = (data[starts[place] : ends[place]] for place in (line, line + 1))
        equal[line] = here == there
    return equal, starts, ends


_last_compared = lru_cache(maxsize=1)(_compared)  # a text is suspected first, and then its lines are sought


def _trim(data: bytes, codes: NDArray[np.uint8], starts: Places, ends: Places) -> None:
    """Move the ends of lines past blanks, in place."""
    import numpy as np

    blanks = BLANKS.encode()
    is_blank = np.zeros(256, dtype=np.bool_)
    is_blank[list(blanks)] = True
    for edge, step, shift in ((starts, 1, 0), (ends, -1, -1)):
        left = np.flatnonzero(starts < ends)
        for _ in range(_AT_ONCE):
            left = left[starts[left] < ends[left]]
            left = left[is_blank[codes[edge[left] + shift]]]
            if not len(left):
                break
            edge[left] += step
        for line in left.tolist():
            words = data[starts[line] : ends[line]]
            if step > 0:
                starts[line] += len(words) - len(words.lstrip(blanks))
            else:
                ends[line] -= len(words) - len(words.rstrip(blanks))
