"""Packed rows: what training reads. Arrays of one length, the counts a loss needs, and an account of every document."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samosa.errors import NotReady
from samosa.home import atomic_path, require_space

FORMAT = 1
ARRAYS = ("ids", "targets", "positions")
COUNT_PREFIX = "count_"


@dataclass
class Account:
    """What became of one source's documents; `tokens` and `supervised` are what the rows hold of it."""

    documents: int = 0
    kept: int = 0
    """Placed whole."""
    split: int = 0
    """Placed in pieces that overlap by one token."""
    pieces: int = 0
    dropped: int = 0
    """Longer than a row and left out, with `dropped_tokens` tokens."""
    dropped_tokens: int = 0
    tokens: int = 0
    supervised: int = 0
    """Targets that count in the loss."""


@dataclass(frozen=True, eq=False)
class PackedRows:
    """N rows of T tokens. Documents in a row are told apart by their positions, which restart at 0.

    ids [N, T]; targets [N, T], -1 where there is no loss; positions [N, T] within the document;
    counts: term -> [N], each row's share of that loss term's denominator.
    """

    ids: NDArray[np.integer[Any]]
    targets: NDArray[np.int32]
    positions: NDArray[np.int32]
    counts: dict[str, NDArray[np.int64]]
    accounts: dict[str, Account] = field(default_factory=dict)
    pad: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def length(self) -> int:
        """T, tokens in a row."""
        return self.ids.shape[1]

    @property
    def tokens(self) -> int:
        """Tokens of documents, padding not counted."""
        return sum(account.tokens for account in self.accounts.values())

    @property
    def supervised(self) -> int:
        return sum(account.supervised for account in self.accounts.values())

    @property
    def fill(self) -> float:
        """Share of the places that documents take, 0 to 1."""
        return self.tokens / self.ids.size if self.ids.size else 0.0

    @cached_property
    def key(self) -> str:
        """SHA-256 of what training sees: equal keys are equal rows in equal order."""
        digest = hashlib.sha256(f"rows {FORMAT} {self.ids.shape} {self.pad}".encode())
        for name, array in self._arrays().items():
            digest.update(f"{name} {array.dtype.str}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def save(self, directory: Path) -> None:
        """Write the rows as .npy files with meta.json beside them; the directory appears whole or not at all.

        Raises NotReady where the disk is too full. Rows that are there already, with the same key, are left alone.
        """
        if _saved_key(directory) == self.key:
            return
        arrays = self._arrays()
        require_space(directory, sum(array.nbytes for array in arrays.values()))
        with atomic_path(directory) as temp:
            temp.mkdir()
            for name, array in arrays.items():
                np.save(temp / f"{name}.npy", array, allow_pickle=False)
            (temp / "meta.json").write_text(json.dumps(self._meta(), indent=1) + "\n")
            if directory.is_dir():
                shutil.rmtree(directory)

    @classmethod
    def load(cls, directory: Path) -> "PackedRows":
        """Map saved rows into memory. Raises NotReady when they are missing, cut short or of another format."""
        try:
            meta = json.loads((directory / "meta.json").read_text())
            if not isinstance(meta, dict):
                raise ValueError("meta.json is not an object")
            if meta["format"] != FORMAT:
                raise ValueError(f"format {meta['format']}, not {FORMAT}")
            arrays = {name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
            counts = {t: np.load(directory / f"{COUNT_PREFIX}{t}.npy", allow_pickle=False) for t in meta["terms"]}
            if any(array.shape != tuple(meta["shape"]) for array in arrays.values()):
                raise ValueError(f"arrays are not of shape {meta['shape']}")
            accounts = {source: Account(**account) for source, account in meta["accounts"].items()}
            pad, key = int(meta["pad"]), str(meta["key"])
        except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError) as error:
            raise NotReady(f"rows in {directory} are broken: {error}", hint="delete them and pack again") from error
        rows = cls(**arrays, counts=counts, accounts=accounts, pad=pad)
        rows.__dict__["key"] = key
        return rows

    def _arrays(self) -> dict[str, NDArray[Any]]:
        counts = {f"{COUNT_PREFIX}{term}": self.counts[term] for term in sorted(self.counts)}
        return {"ids": self.ids, "targets": self.targets, "positions": self.positions, **counts}

    def _meta(self) -> Mapping[str, Any]:
        return {
            "format": FORMAT,
            "key": self.key,
            "shape": list(self.ids.shape),
            "pad": self.pad,
            "terms": sorted(self.counts),
            "fill": round(self.fill, 6),
            "accounts": {source: asdict(account) for source, account in sorted(self.accounts.items())},
        }


def _saved_key(directory: Path) -> str | None:
    """The key of the rows that lie there, None where there are none or they are broken."""
    try:
        return PackedRows.load(directory).key
    except NotReady:
        return None
