"""Packing: documents of any length into rows of one length, so that hardly a place in a batch is padding.

Documents are taken in windows of bounded size: each is packed by itself, its rows are shuffled, and they go to memory
or to disk before the next window is read.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from samosa import console
from samosa.data.rows import Account, PackedRows, RowWriter
from samosa.errors import BadInput, NotReady

NO_TARGET = -1
# Tokens packed together, some 20 bytes each in memory. Of 19,000 long documents best fit leaves 0.2 % of places empty.
WINDOW_TOKENS = 1 << 25
BLOCK_TOKENS = 1 << 18  # rows are laid out so many tokens at a time: what is worked on stays in the cache
Overlong = Literal["error", "drop", "split"]
RowCounts = Callable[[NDArray[Any]], Mapping[str, NDArray[np.int64]]]


@dataclass(frozen=True)
class Doc:
    """One tokenized document. mask[i] = 1: token i is learnt, as the target of token i - 1.

    `end_target` is what the last token predicts (pretraining: bos), None for nothing. `source` and `row` (from 1) say
    where it came from, for errors and accounts.
    """

    ids: Sequence[int] | NDArray[np.integer[Any]]
    mask: Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]
    end_target: int | None = None
    source: str = ""
    row: int = 0

    @property
    def place(self) -> str:
        return f"{self.source or 'document'}:{self.row}"


@dataclass
class _Window:
    """What is packed together: documents, and parts of overlong ones. Piece i: ids[i] and mask[i], both [n]."""

    ids: list[NDArray[np.int32]] = field(default_factory=list)
    mask: list[NDArray[np.bool_]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """What each piece's last token predicts."""
    accounts: list[Account] = field(default_factory=list)
    """Each piece's."""
    tokens: int = 0

    def add(self, ids: NDArray[np.int32], mask: NDArray[np.bool_], end: int, account: Account) -> None:
        self.ids.append(ids)
        self.mask.append(mask)
        self.ends.append(end)
        self.accounts.append(account)
        self.tokens += ids.size


def best_fit(lengths: NDArray[np.integer[Any]] | Sequence[int], capacity: int) -> list[list[int]]:
    """Indices of `lengths` in groups that fill at most `capacity` each, by best-fit-decreasing (Johnson 1973).

    Deterministic: longest first, ties by index; each goes where the least room is left that takes it, on ties to the
    group that got there last. A bit per size of room makes finding it one shift: O(N) operations on integers of
    `capacity` bits. Raises ValueError for a length outside 1..capacity.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    if sizes.size and (sizes.min() < 1 or sizes.max() > capacity):
        raise ValueError(f"lengths must be 1..{capacity}, not {sizes.min()}..{sizes.max()}")
    order = np.argsort(-sizes, kind="stable")
    bins: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(capacity + 1)]  # room left -> open bins
    open_rooms = 0  # bit r is set when by_room[r] is not empty
    for index, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        fitting = open_rooms >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            candidates = by_room[room]
            target = candidates.pop()
            if not candidates:
                open_rooms ^= 1 << room
            bins[target].append(index)
        else:
            room, target = capacity, len(bins)
            bins.append([index])
        room -= size
        if room:
            by_room[room].append(target)
            open_rooms |= 1 << room
    return bins


def count_targets(targets: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """The counts next-token prediction divides by: each row's supervised targets. targets [N, T] -> {"nll": [N]}."""
    return {"nll": np.count_nonzero(targets >= 0, axis=1).astype(np.int64)}


def row_dtype(vocab_size: int, length: int) -> type[np.integer[Any]]:
    """The smallest type for ids, targets (-1 among them) and positions: half the disk with 32,768 tokens or fewer."""
    return np.int16 if max(vocab_size, length) <= 1 << 15 else np.int32


def pack_documents(
    docs: Iterable[Doc],
    *,
    length: int,
    overlong: Overlong,
    seed: int,
    pad: int,
    row_counts: RowCounts = count_targets,
    dtype: DTypeLike = np.int32,
) -> PackedRows:
    """Pack documents into rows of `length` in memory, shuffled by `seed` within their window.

    A document of n tokens takes n places. What is left of a row is one document of `pad` (bos) without targets. One
    longer than a row raises BadInput naming it ("error"), is counted and left out ("drop"), or becomes pieces that
    overlap by one token, so that every target is still learnt once ("split"). `row_counts` maps targets [N, T] to each
    loss term's count by row. `dtype`, signed, is that of the arrays; an id that does not fit raises ValueError.
    """
    accounts: dict[str, Account] = {}
    windows = list(_windows(docs, length, overlong, accounts))
    placed = [_placed(window, length, seed, stream) for stream, window in enumerate(windows)]
    arrays = _empty(sum(map(len, placed)), length, dtype)
    first = 0
    for window, rows in zip(windows, placed, strict=True):
        for block in _blocks(rows, length):
            _lay_out(window, block, [array[first : first + len(block)] for array in arrays], pad)
            first += len(block)
    ids, targets, positions = arrays
    counts = {term: np.asarray(count, dtype=np.int64) for term, count in row_counts(targets).items()}
    return PackedRows(ids=ids, targets=targets, positions=positions, counts=counts, accounts=accounts, pad=pad)


def pack_to(
    directory: Path,
    docs: Iterable[Doc],
    *,
    length: int,
    overlong: Overlong,
    seed: int,
    pad: int,
    row_counts: RowCounts = count_targets,
    dtype: DTypeLike = np.int32,
) -> PackedRows:
    """The same rows as `pack_documents`, written to `directory` window by window and mapped from there.

    The directory appears whole or not at all. Raises what `pack_documents` does, and NotReady for a full disk.
    """
    accounts: dict[str, Account] = {}
    scratch = _empty(max(1, BLOCK_TOKENS // length), length, dtype)
    with RowWriter(directory, length=length, pad=pad, dtype=np.dtype(dtype)) as writer:
        for stream, window in enumerate(_windows(docs, length, overlong, accounts)):
            for block in _blocks(_placed(window, length, seed, stream), length):
                ids, targets, positions = _lay_out(window, block, [array[: len(block)] for array in scratch], pad)
                writer.append(ids, targets, positions, row_counts(targets))
        writer.finish(accounts, terms=row_counts(np.empty((0, length), dtype)))
    return PackedRows.load(directory)


def packed_once(directory: Path, docs: Callable[[], Iterable[Doc]], **settings: Any) -> tuple[PackedRows, bool]:
    """Rows packed there earlier, every bit verified, or packed now; and whether they were there.

    The directory's name must hold whatever decides the rows: content of the inputs, tokenizer, `pack_to`'s settings.
    """
    if directory.exists():
        try:
            return PackedRows.load(directory), True
        except NotReady as broken:
            console.warn(f"{broken.message}; packing again")
    return pack_to(directory, docs(), **settings), False


def shuffled(n: int, seed: int, stream: int = 0) -> NDArray[np.int64]:
    """A permutation of range(n) from (seed, stream). Philox's bits are fixed by its paper, so any numpy gives it."""
    key = np.array([seed % 2**64, stream % 2**64], dtype=np.uint64)
    return np.argsort(np.random.Philox(key=key).random_raw(n), kind="stable")


def _windows(docs: Iterable[Doc], length: int, overlong: Overlong, accounts: dict[str, Account]) -> Iterator[_Window]:
    """The documents in windows, every one entered in its source's account; tokens and targets are entered later."""
    if length < 2:
        raise BadInput(f"a row of {length} tokens has no room for a target", hint="set train.length to 2 or more")
    window = _Window()
    for doc in docs:
        ids, mask = _ids(doc.ids), _mask(doc.mask)
        size = ids.size
        if ids.ndim != 1 or ids.shape != mask.shape or not size:
            raise ValueError(f"{doc.place}: ids {ids.shape} and mask {mask.shape} must be one non-empty length")
        account = accounts.get(doc.source)
        if account is None:
            account = accounts[doc.source] = Account()
        account.documents += 1
        account.given += size
        end = NO_TARGET if doc.end_target is None else doc.end_target
        if size <= length:
            account.kept += 1
            window.add(ids, mask, end, account)
        elif overlong == "split":
            account.split += 1
            for piece in _cut(size, length):
                window.add(ids[piece], mask[piece], end if piece.stop == size else NO_TARGET, account)
        elif overlong == "drop":
            account.dropped += 1
            account.dropped_tokens += size
            account.dropped_supervised += int(np.count_nonzero(mask[1:])) + (end != NO_TARGET)
        else:
            raise BadInput(
                f"{doc.place}: {size} tokens do not fit a row of {length}",
                hint='raise train.length, or set train.overlong to "drop" or "split" (both are counted)',
            )
        if window.tokens >= WINDOW_TOKENS:
            yield window
            window = _Window()
    if window.ids:
        yield window


def _placed(window: _Window, length: int, seed: int, stream: int) -> list[list[int]]:
    """The pieces of each of a window's rows, the rows shuffled."""
    bins = best_fit([ids.size for ids in window.ids], length)
    return [bins[row] for row in shuffled(len(bins), seed, stream).tolist()]


def _blocks(rows: list[list[int]], length: int) -> Iterator[list[list[int]]]:
    at_once = max(1, BLOCK_TOKENS // length)
    return (rows[start : start + at_once] for start in range(0, len(rows), at_once))


def _empty(rows: int, length: int, dtype: DTypeLike) -> list[NDArray[Any]]:
    return [np.empty((rows, length), dtype) for _ in range(3)]


def _lay_out(window: _Window, rows: list[list[int]], into: list[NDArray[Any]], pad: int) -> list[NDArray[Any]]:
    """Fill ids, targets and positions [n, T] with the pieces of n rows, whose accounts learn what the rows hold.

    Pieces lie end to end and are written by one call for each array; nothing is done token by token.
    """
    length, dtype = into[0].shape[1], into[0].dtype
    ids, targets, positions = (array.reshape(-1) for array in into)
    order = _reading_order(rows, window, length)
    filler, nothing = np.full(length, pad, dtype=np.int32), np.zeros(length, dtype=np.bool_)
    wide = np.concatenate([window.ids[i] if i >= 0 else filler[:size] for i, size in order])
    learnt = np.concatenate([window.mask[i] if i >= 0 else nothing[:size] for i, size in order])
    _check_range(int(wide.min()), max(int(wide.max()), length), dtype)  # a position is as good as an id
    ids[:] = wide
    steps = np.arange(length, dtype=dtype)
    np.concatenate([steps[:size] for _, size in order], out=positions)
    # -1 | id is -1 and 0 | id is id: a tenth of the time of a masked copy.
    np.subtract(learnt.view(np.int8)[1:], np.int8(1), out=targets[:-1])
    np.bitwise_or(targets[:-1], ids[1:], out=targets[:-1])
    sizes = np.fromiter((size for _, size in order), dtype=np.int64, count=len(order))
    last = np.cumsum(sizes) - 1  # what follows a piece's last token belongs to another document
    ends = [window.ends[i] if i >= 0 else NO_TARGET for i, _ in order]
    _check_range(min(ends), max(ends), dtype)
    targets[last] = ends
    supervised = np.add.reduceat((targets >= 0).view(np.int8), last - sizes + 1, dtype=np.int32).tolist()
    for (i, size), count in zip(order, supervised, strict=True):
        if i >= 0:
            account = window.accounts[i]
            account.pieces += 1
            account.tokens += size
            account.supervised += count
    return into


def _reading_order(rows: list[list[int]], window: _Window, length: int) -> list[tuple[int, int]]:
    """(piece, its size) over rows in order; -1 is what is left of a row."""
    order = []
    for row in rows:
        room = length
        for piece in row:
            size = window.ids[piece].size
            order.append((piece, size))
            room -= size
        if room:
            order.append((-1, room))
    return order


def _ids(values: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.int32]:
    """Token ids as an array. A list costs some 20 ns a token here, more than all the rest of packing."""
    if isinstance(values, np.ndarray):
        if not np.can_cast(values.dtype, np.int32) and values.size:
            _check_range(int(values.min()), int(values.max()), np.dtype(np.int32))
        return values.astype(np.int32, copy=False)
    return np.frombuffer(struct.pack(f"={len(values)}i", *values), dtype=np.int32)


def _mask(values: Sequence[int] | NDArray[np.integer[Any]] | NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not isinstance(values, np.ndarray):
        values = np.frombuffer(bytearray(values), dtype=np.uint8)
    return values.astype(np.bool_, copy=False)


def _check_range(low: int, high: int, dtype: np.dtype[Any]) -> None:
    limits = np.iinfo(dtype)
    if low < limits.min or high > limits.max:
        raise ValueError(f"{low if low < limits.min else high} does not fit {dtype}")


def _cut(size: int, length: int) -> Iterator[slice]:
    """Pieces of up to `length` tokens. The token two pieces share predicts in the second, where what follows it is."""
    for start in range(0, size - 1, length - 1):
        yield slice(start, min(start + length, size))
