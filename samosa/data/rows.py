"""Packed rows: what training reads. Arrays of one length, the counts a loss needs, and an account of every document."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
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
HASHED_AT_ONCE = 1 << 12  # rows, so that hashing what is mapped holds little of it


@dataclass
class Account:
    """What became of one source's documents; `tokens` and `supervised` are what the rows hold of it.

    documents = kept + split + dropped, and given + repeated = tokens + dropped_tokens.
    """

    documents: int = 0
    given: int = 0
    """Their tokens, before anything was done to them."""
    kept: int = 0
    """Placed whole."""
    split: int = 0
    """Placed in pieces that overlap by one token."""
    pieces: int = 0
    dropped: int = 0
    """Longer than a row and left out, with `dropped_tokens` tokens, `dropped_supervised` of them targets."""
    dropped_tokens: int = 0
    dropped_supervised: int = 0
    tokens: int = 0
    supervised: int = 0
    """Targets that count in the loss."""

    @property
    def repeated(self) -> int:
        """Tokens that two pieces share: they are in the rows twice, and predict once."""
        return self.pieces - self.kept - self.split


ACCOUNT_COLUMNS = (
    "source", "documents", "kept", "split", "dropped", "tokens", "repeated", "in rows", "dropped tokens",
    "supervised", "supervised lost",
)  # fmt: skip


def account_table(accounts: Mapping[str, Account]) -> list[list[str]]:
    """ACCOUNT_COLUMNS by source and in all: kept + split + dropped are the documents, and tokens + repeated what is in
    rows or dropped."""
    lines = [[source, *_figures(account)] for source, account in sorted(accounts.items())]
    if len(lines) > 1:
        names = [f.name for f in fields(Account)]
        total = Account(**{name: sum(getattr(a, name) for a in accounts.values()) for name in names})
        lines.append(["all", *_figures(total)])
    return lines


def _figures(a: Account) -> list[str]:
    tokens = (a.given, a.repeated, a.tokens, a.dropped_tokens, a.supervised, a.dropped_supervised)
    return [f"{count:,}" for count in (a.documents, a.kept, a.split, a.dropped, *tokens)]


@dataclass(frozen=True, eq=False)
class PackedRows:
    """N rows of T tokens. Documents in a row are told apart by their positions, which restart at 0.

    ids [N, T]; targets [N, T], -1 where there is no loss; positions [N, T] within the document;
    counts: term -> [N], each row's share of that loss term's denominator.
    """

    ids: NDArray[np.integer[Any]]
    targets: NDArray[np.integer[Any]]
    positions: NDArray[np.integer[Any]]
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
        return _key(self._arrays(), self.ids.shape, self.pad)

    def save(self, directory: Path) -> None:
        """Write the rows as .npy files with meta.json beside them; the directory appears whole or not at all.

        Raises NotReady where the disk is too full. Rows that are there already, with the same key, are left alone.
        """
        if _saved_key(directory) == self.key:
            return
        arrays = self._arrays()
        require_space(directory, sum(array.nbytes for array in arrays.values()))
        with _replaced(directory) as temp:
            for name, array in arrays.items():
                np.save(temp / f"{name}.npy", array, allow_pickle=False)
            (temp / "meta.json").write_text(json.dumps(self.meta(), indent=1) + "\n")

    @classmethod
    def load(cls, directory: Path) -> "PackedRows":
        """Map saved rows into memory, every bit verified against their key, once a process while the files stay as
        they are. Raises NotReady when they are missing, cut short, altered or of another format.
        """
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
            rows = cls(**arrays, counts=counts, accounts=accounts, pad=pad)
            _verify(rows, directory, key)
        except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError) as error:
            raise NotReady(f"rows in {directory} are broken: {error}", hint="delete them and pack again") from error
        return rows

    def _arrays(self) -> dict[str, NDArray[Any]]:
        counts = {f"{COUNT_PREFIX}{term}": self.counts[term] for term in sorted(self.counts)}
        return {"ids": self.ids, "targets": self.targets, "positions": self.positions, **counts}

    def meta(self) -> Mapping[str, Any]:
        """What meta.json says."""
        return {
            "format": FORMAT,
            "key": self.key,
            "shape": list(self.ids.shape),
            "pad": self.pad,
            "terms": sorted(self.counts),
            "fill": round(self.fill, 6),
            "accounts": {source: asdict(account) for source, account in sorted(self.accounts.items())},
        }


class RowWriter:
    """Rows written to a directory as they come, so that memory holds a window of them. The directory appears in
    `finish`, whole; without it nothing is left behind.
    """

    def __init__(self, directory: Path, *, length: int, pad: int, dtype: np.dtype[Any]) -> None:
        self.directory, self.length, self.pad, self.dtype = directory, length, pad, dtype
        self.count = 0
        self._counts: list[Mapping[str, NDArray[np.int64]]] = []
        self._stack = ExitStack()

    def __enter__(self) -> "RowWriter":
        self._temp = self._stack.enter_context(_replaced(self.directory))
        self._files = {name: self._stack.enter_context((self._temp / f"{name}.npy").open("wb+")) for name in ARRAYS}
        self._headers()
        return self

    def __exit__(self, *exc: Any) -> bool | None:
        return self._stack.__exit__(*exc)

    def append(
        self, ids: NDArray[Any], targets: NDArray[Any], positions: NDArray[Any], counts: Mapping[str, NDArray[np.int64]]
    ) -> None:
        """Write [n, length] each, of the writer's dtype."""
        arrays = dict(zip(ARRAYS, (ids, targets, positions), strict=True))
        require_space(self.directory, sum(array.nbytes for array in arrays.values()))
        for name, array in arrays.items():
            self._files[name].write(np.ascontiguousarray(array).data)
        self._counts.append(counts)
        self.count += len(ids)

    def finish(self, accounts: dict[str, Account], *, terms: Iterable[str]) -> None:
        """Complete the files: `terms` names the loss terms, for rows of which there are none."""
        self._headers()
        for file in self._files.values():
            file.flush()
        arrays = {name: np.load(self._temp / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ARRAYS}
        none = np.empty(0, dtype=np.int64)
        counts = {term: np.concatenate([none, *(part[term] for part in self._counts)]) for term in terms}
        for term, count in counts.items():
            np.save(self._temp / f"{COUNT_PREFIX}{term}.npy", count, allow_pickle=False)
        rows = PackedRows(**arrays, counts=counts, accounts=accounts, pad=self.pad)
        (self._temp / "meta.json").write_text(json.dumps(rows.meta(), indent=1) + "\n")

    def _headers(self) -> None:
        """Write each file's header; it leaves room for the number of rows to grow."""
        for file in self._files.values():
            file.seek(0)
            header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count, self.length)}
            np.lib.format.write_array_header_1_0(file, header)


@contextmanager
def _replaced(directory: Path) -> Iterator[Path]:
    """A folder to write that takes the place of `directory`, whatever lies there, when the block succeeds."""
    with atomic_path(directory) as temp:
        temp.mkdir()
        yield temp
        if directory.is_dir():
            shutil.rmtree(directory)


def _key(arrays: Mapping[str, NDArray[Any]], shape: tuple[int, ...], pad: int) -> str:
    digest = hashlib.sha256(f"rows {FORMAT} {shape} {pad}".encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str}".encode())
        for start in range(0, len(array), HASHED_AT_ONCE):
            digest.update(np.ascontiguousarray(array[start : start + HASHED_AT_ONCE]).data)
    return digest.hexdigest()


_verified: dict[Path, tuple[str, list[tuple[str, int, int]]]] = {}


def _verify(rows: PackedRows, directory: Path, key: str) -> None:
    """Raise ValueError unless the arrays are those that `key` was made of. What was verified is so while it lies there
    untouched: validation rows are loaded again and again.
    """
    files = sorted(directory.resolve().iterdir())
    state = key, [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    if _verified.get(directory.resolve()) == state:
        rows.__dict__["key"] = key
        return
    if rows.key != key:
        raise ValueError("their bits are not those that were saved")
    _verified[directory.resolve()] = state


def _saved_key(directory: Path) -> str | None:
    """The key of the rows that lie there, None where there are none or they are broken."""
    try:
        return PackedRows.load(directory).key
    except NotReady:
        return None
