"""A text as it looks: wide letters and spaces of all kinds as plain ones, the invisible left out; places found back."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:  # the import takes longer than filtering a small file
    import numpy as np
    from numpy.typing import NDArray

FOLDED = (
    r"[\x{A0}\x{AD}\x{34F}\x{180E}\x{2000}-\x{200F}\x{2028}-\x{202F}\x{205F}-\x{206F}\x{3000}\x{FEFF}"
    r"\x{FF01}-\x{FF5E}\x{1D400}-\x{1D7FF}]"
)
"""RE2: what makes a text differ from what it looks like: spaces of all widths, invisible characters, wide letters and
the letters of mathematics."""
Places: TypeAlias = "NDArray[np.intp]"
_GONE = 0x110000  # in the table: leave the character out
_JOINERS = (0x200C, 0x200D)  # needed by emoji and Indic scripts; behind Latin letters they hide words from rules
_LATIN_END = 0x250


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint32]:
    """What each character looks like: itself, a plain letter or a space, or nothing."""
    import numpy as np

    table = np.arange(0x110000, dtype=np.uint32)
    for code in (*range(0xFF01, 0xFF5F), *range(0x1D400, 0x1D800)):
        plain = unicodedata.normalize("NFKC", chr(code))
        table[code] = ord(plain) if len(plain) == 1 else code
    table[[0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000]] = ord(" ")
    table[[0x2028, 0x2029]] = ord("\n")
    table[[0xAD, 0x34F, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF]] = _GONE
    return table


def fold(text: str) -> tuple[str, Places]:
    """The text as it looks, and for each of its characters (and its end) the place in `text`."""
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    seen = _table()[codes]
    joiners = (codes == _JOINERS[0]) | (codes == _JOINERS[1])
    if joiners.any():
        after_latin = np.concatenate([[False], codes[:-1] < _LATIN_END])
        seen = np.where(joiners & ~after_latin, codes, seen)
    kept: NDArray[Any] = np.flatnonzero(seen != _GONE)
    return seen[kept].tobytes().decode("utf-32-le"), np.append(kept, len(text))
