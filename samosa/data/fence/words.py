"""Text as arrays of word ids, many texts at once: what every kind of overlap is looked for in.

A word is a run of letters or a run of digits ("5km" is two), or an arithmetic sign after a number. Case, spacing,
punctuation, apostrophes and typographic forms do not count, and signs are their words ("%" is "percent", "x" "times").
Ids are hashes of a word's first and last eight bytes and its length: two words of one id are not expected in practice,
and no decision rests on a single word. Measured: about 120 MB/s a core on chat text, 20 million words/s.
"""

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samosa.data.fence import lexicon

Ids = npt.NDArray[np.uint64]
CONTENT, STOP, STEM, NUMBER, UNIT, DAY = range(6)
"""What a word is to a template: it carries meaning, it is grammar, it is in every test; the others vary in copies."""

PADDING = 16  # bytes on both sides of the text, so that eight bytes may be read anywhere
LETTER, DIGIT, SIGN = 1, 2, 3
SIGNS = b"+*/=%"
NEAR = 8  # bytes of space between a number and its sign, at most
TYPOGRAPHIC = {"’": "'", "‘": "'", "“": '"', "”": '"', "—": " ", "–": "-", "−": "-", "×": "*", "÷": "/", "…": " "}
ABBREVIATIONS = {"U.S.": "US ", "U.K.": "UK ", "U.N.": "UN ", "a.m.": "am ", "p.m.": "pm "}
MULTIPLIERS = tuple(np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
TABLE_BITS = 17  # the fewest with a place of its own for every word of the lexicon


@dataclass(frozen=True)
class Words:
    """The words of some texts, in order. All arrays have one entry a word, but `bounds`."""

    ids: Ids
    kinds: npt.NDArray[np.uint8]
    begins: npt.NDArray[np.int64]
    """Bytes into `buffer`."""
    ends: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    """[texts + 1]: the words of text t are bounds[t] to bounds[t + 1]."""
    starts: npt.NDArray[np.int64]
    """[texts + 1]: bytes of `buffer` at which texts begin."""
    buffer: bytes
    """The texts in lower case."""
    shown: bytes
    """The texts with their capitals, byte for byte beside `buffer`."""

    @functools.cached_property
    def listed(self) -> list[int]:
        """`ids`, for loops."""
        return self.ids.tolist()

    @functools.cached_property
    def kinds_listed(self) -> list[int]:
        """`kinds`, for loops."""
        return self.kinds.tolist()

    def between(self, first: int, last: int) -> str:
        """The text from one word to another in lower case, as it was compared; empty where the last comes first."""
        if last < first:
            return ""
        return self.buffer[self.begins[first] : self.ends[last]].decode("utf-8", "replace")

    @functools.cached_property
    def capitals(self) -> npt.NDArray[np.bool_]:
        """Which words begin with a capital; known of the letters of English."""
        first = np.frombuffer(self.shown, np.uint8)[self.begins]
        return (first >= ord("A")) & (first <= ord("Z"))

    @functools.cached_property
    def texts(self) -> npt.NDArray[np.int64]:
        """The text that each word is of."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    def written(self, place: int) -> bytes:
        """A word with its capitals."""
        return self.shown[self.begins[place] : self.ends[place]]

    def before(self, place: int) -> str:
        """What stands between a word and the one before it."""
        return self.buffer[self.ends[place - 1] : self.begins[place]].decode("utf-8", "replace")


def words_of(texts: Sequence[str]) -> Words:
    """Cut texts into words. Lone surrogates become question marks."""
    parts = [_both(text) for text in texts]
    buffer, shown = (_joined([part[side] for part in parts]) for side in (0, 1))
    raw = np.frombuffer(buffer, np.uint8)
    classes = _class_table()[raw]
    before = np.empty_like(classes)
    before[0], before[1:] = 0, classes[:-1]
    cut = classes != before
    cut |= classes == SIGN
    edges = np.flatnonzero(cut)
    begins = edges[classes[edges] != 0]
    ends = _ends(edges, classes)
    begins, ends = _without_other_signs(classes, begins, ends)
    ids = _hashed(buffer, begins, ends)
    ids, kinds = _known(ids)
    letters = classes[begins] == LETTER
    kinds[letters & (ends - begins == 1) & (kinds == CONTENT)] = STOP
    kinds[classes[begins] == DIGIT] = NUMBER
    _multiply(ids, kinds)
    lengths = np.fromiter((len(lower) + 1 for lower, _ in parts), np.int64, len(parts))
    starts = PADDING + np.concatenate(([0], np.cumsum(lengths)))
    return Words(ids, kinds, begins, ends, np.searchsorted(begins, starts), starts, buffer, shown)


def _both(text: str) -> tuple[bytes, bytes]:
    """A text in lower case and as it is written, of one length, without what a copy may change within a word."""
    if text.isascii():
        shown = _plain(text).encode()
        return shown.lower(), shown
    text = _plain(_usual(text))
    lower, shown = text.lower().encode("utf-8", "replace"), text.encode("utf-8", "replace")
    return lower, shown if len(shown) == len(lower) else lower


def _joined(parts: Sequence[bytes]) -> bytes:
    return bytes(PADDING) + b"\0".join(parts) + bytes(PADDING)


def _usual(text: str) -> str:
    """Typographic and compatibility forms as their usual ones."""
    text = unicodedata.normalize("NFKC", text)
    for form, usual in TYPOGRAPHIC.items():
        text = text.replace(form, usual)
    return text


def _plain(text: str) -> str:
    if "U." in text or ".m." in text:
        for dotted, usual in ABBREVIATIONS.items():
            text = text.replace(dotted, usual)
    return text.replace("'", "")


def ids_of(*words: str) -> list[int]:
    """The ids of single words."""
    return [int(one) for one in words_of(words).ids]


@functools.cache
def _class_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[ord("a") : ord("z") + 1] = table[ord("A") : ord("Z") + 1] = LETTER
    table[0x80:] = LETTER
    table[ord("0") : ord("9") + 1] = DIGIT
    table[list(SIGNS)] = SIGN
    return table


def _ends(edges: npt.NDArray[np.int64], classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """A word ends at the next edge; the padding behind the text has one for the last."""
    following = np.append(edges[1:], len(classes) - PADDING)
    return following[: len(edges)][classes[edges] != 0]


def _without_other_signs(
    classes: npt.NDArray[np.uint8], begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Signs are arithmetic after a number, whatever space is between; in **bold** and and/or they are none."""
    kinds = classes[begins]
    signs = np.flatnonzero(kinds == SIGN)
    if not len(signs):
        return begins, ends
    before = signs - 1  # of the very first word: the last, far away
    others = signs[(kinds[before] != DIGIT) | (begins[signs] - ends[before] > NEAR)]
    return np.delete(begins, others), np.delete(ends, others)


def _hashed(buffer: bytes, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Ids:
    eight = np.ndarray((len(buffer) - 7,), "<u8", buffer, 0, (1,))  # at every byte, the eight that begin there
    lengths = (ends - begins).astype(np.uint64)
    shift = np.uint64(64) - np.uint64(8) * np.minimum(lengths, np.uint64(8))
    first = eight[begins] << shift
    last = np.where(lengths > 8, eight[np.maximum(ends - 8, 0)], np.uint64(0))
    ids = (first * MULTIPLIERS[0]) ^ ((last + lengths) * MULTIPLIERS[1])
    return mixed(ids)


def _multiply(ids: Ids, kinds: npt.NDArray[np.uint8]) -> None:
    """Between two numbers an x is "times"."""
    x, times = np.uint64(_raw_id("x")), np.uint64(_raw_id("times"))
    places = np.flatnonzero(ids[1:-1] == x) + 1 if len(ids) > 2 else np.empty(0, np.int64)
    places = places[(kinds[places - 1] == NUMBER) & (kinds[places + 1] == NUMBER)]
    ids[places], kinds[places] = times, CONTENT


def mixed(ids: Ids) -> Ids:
    """Spread every bit over all (a finaliser in the manner of MurmurHash3)."""
    ids = (ids ^ (ids >> np.uint64(31))) * MULTIPLIERS[2]
    return ids ^ (ids >> np.uint64(29))


def _known(ids: Ids) -> tuple[Ids, npt.NDArray[np.uint8]]:
    """Ids with words of one meaning made one, and each word's kind."""
    keys, usual, kinds = _known_table()
    place = (ids >> np.uint64(64 - TABLE_BITS)).astype(np.intp)
    known = keys[place] == ids
    return np.where(known, usual[place], ids), np.where(known, kinds[place], np.uint8(CONTENT))


@functools.cache
def _known_table() -> tuple[Ids, Ids, npt.NDArray[np.uint8]]:
    """Tables by an id's upper bits: the id itself, the id it stands for, its kind."""
    keys, usual = np.zeros(2**TABLE_BITS, np.uint64), np.zeros(2**TABLE_BITS, np.uint64)
    kinds = np.zeros(2**TABLE_BITS, np.uint8)
    entries = [(word, word, STOP) for word in lexicon.GRAMMAR]
    entries += [(word, word, STEM) for word in lexicon.STEMS]
    entries += [(word, word, NUMBER) for word in lexicon.NUMBER_WORDS - lexicon.GRAMMAR]
    entries += [(word, word, UNIT) for word in lexicon.UNITS]
    entries += [(word, word, DAY) for word in lexicon.DAYS_AND_MONTHS]
    entries += [(other, word, STOP if word in lexicon.GRAMMAR else CONTENT) for other, word in lexicon.SAME.items()]
    for word, meant, kind in entries:
        own, other = _raw_id(word), _raw_id(meant)
        place = own >> (64 - TABLE_BITS)
        assert keys[place] in (0, own), f"{word} has the place of another: leave one of them out, or take more bits"
        keys[place], usual[place], kinds[place] = own, other, kind
    return keys, usual, kinds


@functools.cache
def _raw_id(word: str) -> int:
    text = bytes(PADDING) + word.encode() + bytes(PADDING)
    begins = np.array([PADDING])
    return int(_hashed(text, begins, begins + len(word.encode()))[0])
