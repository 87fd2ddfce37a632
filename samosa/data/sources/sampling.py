"""Uniform samples of streams: every row gets a random key from the seed, and those with the smallest keys are kept.

The k smallest of independent keys are a uniform sample without replacement, of however many rows there are (bottom-k
sampling; Cohen & Kaplan, PODC 2007). A row's key depends on seed, file and place alone, so a pull that was interrupted
draws the same rows, and after each file the rows that can no longer be among the smallest need not be looked at: of N
rows about k (1 + ln N/k) are.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
ALL = np.uint64(2**64 - 1)
"""A cut that every key but this one is under."""


def row_keys(seed: int, place: str, start: int, count: int) -> Keys:
    """The keys [count] of rows start, start + 1, ... of the file called `place`: uniform 64-bit numbers.

    splitmix64 (Steele, Lea & Flood, OOPSLA 2014) over the row's number, from a state that SHA-256 makes of seed and
    file.
    """
    state = int.from_bytes(hashlib.sha256(f"{seed} {place}".encode()).digest()[:8], "big")
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is meant
        z = np.uint64(state) + np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def cut_at(keys: Keys, weights: NDArray[np.int64], limit: int | None) -> np.uint64:
    """The key under which rows are kept: in the order of keys, as many as weigh no more than `limit` together.

    keys [N], weights [N]; more rows can only lower it.
    """
    if limit is None:
        return ALL
    order = np.argsort(keys, kind="stable")
    over = np.searchsorted(np.cumsum(weights[order]), limit, side="right")
    return ALL if over == len(keys) else keys[order[over]]
