"""Code in texts of many marks, found without a loop over marks: the same that `masks` finds, in a tenth of the time.

Whether a mark opens code depends on the one before, so both kinds of code, blocks and inline, are found in two steps:
for every mark the one that would close it, and then the marks that are reached from the first.
"""

import re

import numpy as np
import numpy.typing as npt

HIDDEN, TAB, NEWLINE, RETURN, SPACE, QUOTE, TICK, TILDE = 1, 9, 10, 13, 32, 62, 96, 126
FENCE = 3  # marks, at least
DOUBLINGS = 6  # every 64th mark that is reached is sought one by one, and those between all at once
MANY = 32  # characters for one mark: where there are more, each mark by itself is quicker
FAR = 256  # the same, of code
MOST_LENGTHS = 16
SMALL = 1 << 16  # numbers below it are sorted by their digits

Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]


def hidden(text: str, opening: re.Pattern[str]) -> str | None:
    """The text with code hidden; `opening` matches a line from its beginning where `marks` open a block in it. None
    where blocks are opened by runs of more than MOST_LENGTHS lengths: each takes a look at all runs.
    """
    encoding = "ascii" if text.isascii() else "utf-32-le"
    data = bytearray(text.encode(encoding, "surrogatepass"))
    codes: Codes = np.frombuffer(data, np.uint8) if encoding == "ascii" else np.frombuffer(data, np.dtype("<u4"))
    ticks = _runs(codes == TICK)
    breaks = np.flatnonzero(codes == NEWLINE)
    blank = _count((codes != SPACE) & (codes != TAB) & (codes != QUOTE) & (codes != RETURN))
    if (blocks := _blocks(text, codes, ticks, breaks, blank, opening)) is None:
        return None
    inline = _inline(ticks, breaks, blank, blocks)
    _hide(codes, *(np.concatenate(both) for both in zip(blocks, inline, strict=True)))
    return data.decode(encoding, "surrogatepass")


def _hide(codes: Codes, begins: Places, ends: Places) -> None:
    if len(begins) * FAR < len(codes):
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            codes[begin:end] = HIDDEN
        return
    depth = np.zeros(len(codes) + 1, np.int8)
    depth[begins] += 1
    depth[ends] -= 1  # where one ends the next may begin
    inside = (np.cumsum(depth[:-1], dtype=np.int32) > 0).view(np.uint8)  # sums of one byte take thrice as long
    np.multiply(codes, 1 - inside, out=codes)  # as a choice it would take ten times as long
    np.add(codes, inside * np.uint8(HIDDEN), out=codes)


def _runs(flags: Flags) -> tuple[Places, Places]:
    """Where runs of true values begin and end."""
    framed = np.zeros(len(flags) + 2, np.bool_)
    framed[1:-1] = flags
    edges = np.flatnonzero(framed[1:] != framed[:-1])
    return edges[::2], edges[1::2]


def _count(flags: Flags) -> npt.NDArray[np.int32]:
    """[n + 1]: how many are true before each place."""
    counts = np.zeros(len(flags) + 1, np.int32)
    np.cumsum(flags, dtype=np.int32, out=counts[1:])
    return counts


def _before(marked: Places, places: Places, size: int) -> Places:
    """How many of some places, of which there are `size`, come before each of others, in linear time."""
    if len(places) * MANY < size:
        return np.searchsorted(marked, places)
    flags = np.zeros(size, np.bool_)
    flags[marked] = True
    return _count(flags)[places].astype(np.intp)


def _blocks(
    text: str,
    codes: Codes,
    ticks: tuple[Places, Places],
    breaks: Places,
    blank: npt.NDArray[np.int32],
    opening: re.Pattern[str],
) -> tuple[Places, Places] | None:
    """Where fenced blocks begin and end. The first long run of a line is the one that may open or close a block."""
    begins, ends, next_ticks = _long_runs(ticks, _runs(codes == TILDE), len(codes))
    if not len(begins):
        return begins, ends
    lines = _before(breaks, begins, len(codes))
    first = np.flatnonzero(np.diff(lines, prepend=-1))
    begins, ends, next_ticks, lines = begins[first], ends[first], next_ticks[first], lines[first]
    starts, stops = np.append(0, breaks + 1)[lines], np.append(breaks, len(codes))[lines]
    closes = (blank[begins] == blank[starts]) & (blank[stops] == blank[ends])
    opens = _opens(text, codes, blank, opening, begins, starts) & (next_ticks >= stops)
    closing = np.full(len(begins), len(begins))  # by which run a block is closed; behind the last: by none
    length, tilde = ends - begins, codes[begins] == TILDE
    for mark in (False, True):
        opening_ones = opens & (tilde == mark)
        lengths = np.flatnonzero(np.bincount(length[opening_ones]))
        if len(lengths) > MOST_LENGTHS:
            return None
        for least in lengths:
            those = np.flatnonzero(opening_ones & (length == least))
            able = closes & (tilde == mark) & (length >= least)
            closing[those] = np.append(np.flatnonzero(able), len(begins))[_count(able)[those + 1]]
    after = np.arange(1, len(begins) + 1)
    found = _reached(np.where(opens, np.minimum(closing + 1, len(begins)), after))
    found = found[opens[found]]
    return begins[found], np.append(stops, len(codes))[closing[found]]


def _long_runs(ticks: tuple[Places, Places], tildes: tuple[Places, Places], size: int) -> tuple[Places, Places, Places]:
    """Runs that are long enough for a block, in order: where they begin and end; and where the next backtick is that
    spoils what such a run would open: behind tildes none does."""
    begins, ends = (np.concatenate(both) for both in zip(ticks, tildes, strict=True))
    spoils = np.concatenate([ticks[0][1:], np.full(len(tildes[0]) + (len(ticks[0]) > 0), size)])
    order = np.flatnonzero(ends - begins >= FENCE)
    if len(tildes[0]):
        order = order[np.argsort(begins[order], kind="stable")]
    return begins[order], ends[order], spoils[order]


def _opens(
    text: str, codes: Codes, blank: npt.NDArray[np.int32], opening: re.Pattern[str], begins: Places, starts: Places
) -> Flags:
    """Whether a block may begin where a run does, by what stands before it in its line."""
    opens = blank[begins] == blank[starts]
    before = codes[np.maximum(begins - 1, 0)]
    for place in np.flatnonzero(~opens & ((before == SPACE) | (before == TAB))).tolist():  # behind the mark of a list
        match = opening.match(text, int(starts[place]))
        opens[place] = match is not None and match.start("marks") == begins[place]
    if (codes == RETURN).any():  # before marks that open a block no return is blank
        returns = _count(codes == RETURN)
        opens &= returns[begins] == returns[starts]
    return opens


def _inline(
    ticks: tuple[Places, Places], breaks: Places, blank: npt.NDArray[np.int32], blocks: tuple[Places, Places]
) -> tuple[Places, Places]:
    """Where inline code begins and ends: between runs of equally many backticks in a paragraph outside blocks."""
    begins, ends = ticks
    size = len(blank)
    parted = breaks[:-1][blank[breaks[1:]] == blank[breaks[:-1] + 1]]  # blank lines follow these breaks
    paragraph = _before(parted, begins, size)
    if len(blocks[0]):
        past = _before(blocks[0], begins + 1, size)
        outside = begins >= np.append(0, blocks[1])[past]
        begins, ends, paragraph = begins[outside], ends[outside], (paragraph + past)[outside]
    length = ends - begins
    if (length == length[:1]).all():  # every second run of a paragraph closes the one before
        first = np.flatnonzero(np.diff(paragraph, prepend=-1))
        number = np.arange(len(begins)) - np.repeat(first, np.diff(first, append=len(begins)))
        second = np.flatnonzero(number & 1)
        return begins[second - 1], ends[second]
    closing = _next_alike(length, paragraph)
    found = _reached(np.maximum(closing, np.arange(len(begins))) + 1)
    found = found[closing[found] >= 0]
    return begins[found], ends[closing[found]]


def _next_alike(length: Places, paragraph: Places) -> Places:
    """For each run the next one of its length, if that is in the same paragraph; else -1."""
    closing = np.full(len(length), -1)
    by_digits = length.max() < SMALL
    order = np.argsort(length.astype(np.uint16) if by_digits else length, kind="stable")
    here, there = order[:-1], order[1:]
    alike = (length[here] == length[there]) & (paragraph[here] == paragraph[there])
    closing[here[alike]] = there[alike]
    return closing


def _reached(following: Places) -> Places:
    """The places that are reached from the first, each leading to a later one; ascending."""
    end = len(following)
    jumps = [np.append(following, end)]
    for _ in range(DOUBLINGS):
        jumps.append(jumps[-1][jumps[-1]])
    far, at = jumps.pop(), 0
    stops = []
    while at < end:
        stops.append(at)
        at = int(far[at])
    reached = np.zeros(end + 1, np.bool_)
    places = np.array(stops, np.intp)
    for jump in reversed(jumps):
        places = np.concatenate([places, jump[places]])
    reached[places] = True
    return np.flatnonzero(reached[:end])
