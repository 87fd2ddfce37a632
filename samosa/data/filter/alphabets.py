"""Which script the letters of a text are of, counted at the speed of numpy."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the import takes longer than filtering a small file
    import numpy as np
    from numpy.typing import NDArray

_END = 0x32000  # behind the last letters: CJK extension H
_LATIN, _OTHER = 1, 2


@lru_cache(maxsize=1)
def _kinds() -> NDArray[np.uint8]:
    """For each character 1 for a Latin letter, 2 for another script's, 0 for anything else; made on first use."""
    import numpy as np

    kinds = np.zeros(_END + 1, dtype=np.uint8)
    for code in range(_END):
        char = chr(code)
        if char.isalpha():
            kinds[code] = _LATIN if code < 0x250 or "LATIN" in unicodedata.name(char, "") else _OTHER
    return kinds


def letters(text: str) -> tuple[int, int]:
    """How many letters are Latin, and how many of other scripts."""
    import numpy as np

    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    counts = np.bincount(_kinds()[np.minimum(codes, _END)], minlength=3)
    return int(counts[_LATIN]), int(counts[_OTHER])
