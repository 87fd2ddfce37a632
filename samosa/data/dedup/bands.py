"""Which rows may be near-duplicates: MinHash signatures (rensa) cut into bands, of which similar rows share one.

Two rows of Jaccard similarity s share at least one of b bands of r values with probability 1 - (1 - s^r)^b (Indyk and
Motwani 1998; Leskovec et al., Mining of Massive Datasets, 3.4.2). Rensa's R-MinHash keeps to that: at s = 0.805, b = 21
and r = 6 it found 99.93 % of 20,000 pairs of sets of 250 (by the formula 99.87 %), of sets of 10 as well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import rensa
from numpy.typing import NDArray

from samosa.data.dedup.shingles import Hashes, Shingles
from samosa.errors import BadInput

WIDTH = 8  # bytes of a band's hash
BLOCK = 4096  # rows whose bands lie together, band after band
MULTIPLIERS = np.random.default_rng(0).integers(0, 2**63, 512, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True)
class Banding:
    """How signatures are cut: `bands` of `rows` values each."""

    bands: int
    rows: int

    @property
    def slots(self) -> int:
        """MinHash values a signature has."""
        return self.bands * self.rows

    def found(self, similarity: float) -> float:
        """The share of pairs this similar that share a band."""
        return 1 - (1 - similarity**self.rows) ** self.bands


def banding(threshold: float, recall: float, slots: int) -> Banding:
    """The banding with the longest bands, and so the fewest chance meetings, that finds `recall` of the pairs at the
    threshold with at most `slots` values a row. Raises BadInput where none does."""
    for rows in range(slots, 0, -1):
        bands = math.ceil(math.log1p(-recall) / math.log1p(-(threshold**rows)))
        if bands * rows <= slots:
            return Banding(bands, rows)
    raise BadInput(
        f"{slots} values a row cannot find {recall:.2%} of the pairs of similarity {threshold}",
        hint="allow more with --set slots=512, or ask for less with --set recall=0.98",
    )


def signatures(shingles: Shingles, slots: int, seed: int) -> NDArray[np.uint32]:
    """MinHash signatures, [texts, slots]; those of a text without words mean nothing."""
    matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
        shingles.hashes, shingles.offsets.astype(np.uint64), num_perm=slots, seed=seed
    )
    return np.array(matrix.to_rows(), np.uint32).reshape(len(shingles.offsets) - 1, slots)


def band_hashes(signature: NDArray[np.uint32], cut: Banding) -> Hashes:
    """One hash for each band, [bands, texts], of signatures [texts, bands * rows]."""
    values = signature.reshape(len(signature), cut.bands, cut.rows).astype(np.uint64)
    return np.ascontiguousarray((values * MULTIPLIERS[: cut.rows]).sum(axis=2, dtype=np.uint64).T)


class BandWriter:
    """Writes band hashes in blocks of rows, so that one band of all rows can be read without the others."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.blocks = file, list[int]()
        self._held: list[Hashes] = []

    def add(self, hashes: Hashes) -> None:
        """Take the hashes, [bands, texts], of the next texts."""
        self._held.append(hashes)
        if sum(held.shape[1] for held in self._held) >= BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what is held. `blocks` then has the number of texts of every block."""
        if self._held:
            block = np.concatenate(self._held, axis=1)
            self.file.write(block.tobytes())
            self.blocks.append(block.shape[1])
            self._held = []


def read_band(path: Path, blocks: Sequence[int], bands: int, band: int) -> list[Hashes]:
    """One band's hashes of the texts of a file, block by block."""
    found, begin = [], 0
    with path.open("rb") as file:
        for size in blocks:
            file.seek(begin + band * size * WIDTH)
            found.append(np.fromfile(file, np.uint64, size))
            begin += bands * size * WIDTH
    return found
