"""What is kept of one upstream file: its rows, their keys and sizes; written whole or not at all, thinned out later.

A part is a folder: rows.jsonl (chats and pairs) or rows.parquet (`text`, row groups of 1,024, zstd: nanochat's layout),
keys.npy [n] uint64 and chars.npy [n] int64 beside them, and counts.json with what the file held.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from samosa import home
from samosa.data.sources.mappers import MAPPERS, Row, Skip
from samosa.data.sources.reading import REGROUPED, tables
from samosa.data.sources.registry import Kind, Source
from samosa.data.sources.sampling import Keys, row_keys

ROW_GROUP = 1024
SUFFIX: dict[Kind, str] = {"chat": ".jsonl", "pairs": ".jsonl", "text": ".parquet"}
TEXT = pa.schema([("text", pa.string())])


@dataclass(frozen=True)
class Part:
    """A part on disk."""

    folder: Path
    kind: Kind

    @property
    def rows(self) -> Path:
        return self.folder / f"rows{SUFFIX[self.kind]}"

    @property
    def keys(self) -> Keys:
        return np.load(self.folder / "keys.npy", allow_pickle=False)

    @property
    def chars(self) -> NDArray[np.int64]:
        return np.load(self.folder / "chars.npy", allow_pickle=False)

    @property
    def counts(self) -> dict[str, Any]:
        """`seen`: rows of the file; `dropped`: reason -> rows that were looked at and not taken."""
        return json.loads((self.folder / "counts.json").read_text())


def draw(source: Source, file: Path, place: str, cut: np.uint64, folder: Path, *, where: str) -> Part:
    """Write the part of a downloaded file: the rows whose keys are under `cut` and that the mapper takes.

    `place` names the file for its rows' keys, `where` for a person. Raises as `reading.tables` does, and NotReady where
    the disk is full.
    """
    assert source.mapper is not None, "what holds no text is not pulled"
    mapper, regroup = MAPPERS[source.mapper], REGROUPED.get(source.mapper)
    read = tables(file, source, where=where)
    seen, dropped = 0, Counter[str]()
    kept: list[int] = []
    sizes: list[int] = []
    with home.atomic_path(folder) as temp:
        temp.mkdir()
        part = Part(temp, source.kind)
        with Writer(part.rows, source.kind) as out:
            for table in regroup(read) if regroup else read:
                keys = row_keys(source.seed, place, seen, len(table))
                seen += len(table)
                near = keys < cut
                for key, row in zip(keys[near].tolist(), table.filter(pa.array(near)).to_pylist(), strict=True):
                    mapped = mapper(row)
                    if isinstance(mapped, Skip):
                        dropped[mapped.why] += 1
                        continue
                    out.write(mapped)
                    kept.append(key)
                    sizes.append(sum(map(len, texts_of(mapped))))
        np.save(temp / "keys.npy", np.array(kept, dtype=np.uint64), allow_pickle=False)
        np.save(temp / "chars.npy", np.array(sizes, dtype=np.int64), allow_pickle=False)
        (temp / "counts.json").write_text(json.dumps({"seen": seen, "dropped": dict(sorted(dropped.items()))}))
    return Part(folder, source.kind)


class Writer:
    """Rows of one kind into one file: JSON lines, or a parquet column of texts."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self.path, self.kind = path, kind
        self._texts: list[str] = []

    def __enter__(self) -> Self:
        if self.kind == "text":
            self._parquet = pq.ParquetWriter(self.path, TEXT, compression="zstd")
        else:
            self._lines = self.path.open("wb")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.kind != "text":
            self._lines.close()
            return
        if kind is None:
            self._flush()
        self._parquet.close()

    def write(self, row: Row) -> None:
        if self.kind != "text":
            self._lines.write(orjson.dumps(row) + b"\n")
            return
        self._texts.append(row["text"])
        if len(self._texts) == ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._texts:
            self._parquet.write_table(pa.table({"text": self._texts}, schema=TEXT), row_group_size=ROW_GROUP)
        self._texts = []


def rows_at(path: Path, kind: Kind, wanted: NDArray[np.int64]) -> Iterator[Row]:
    """The rows of a written file at these places, ascending; of parquet only the row groups that hold some are read."""
    if kind == "text":
        with pq.ParquetFile(path) as file:
            for group in np.unique(wanted // ROW_GROUP).tolist():
                texts = file.read_row_group(group).column(0)
                for place in wanted[wanted // ROW_GROUP == group].tolist():
                    yield {"text": texts[place - group * ROW_GROUP].as_py()}
        return
    chosen = set(wanted.tolist())
    with path.open("rb") as lines:
        for place, line in enumerate(lines):
            if place in chosen:
                yield orjson.loads(line)


def join(parts: Sequence[Part], cut: np.uint64, target: Path) -> None:
    """The JSON lines of all parts whose keys are under `cut`, in one file, which appears whole."""
    with home.atomic_path(target) as temp, temp.open("wb") as out:
        for part in parts:
            with part.rows.open("rb") as lines:
                out.writelines(line for line, key in zip(lines, part.keys, strict=True) if key < cut)


def settle(part: Part, cut: np.uint64, target: Path) -> None:
    """The texts of a part whose keys are under `cut`, as a file that appears whole; its own rows go."""
    if not part.rows.is_file():
        return  # this was done before an interruption
    keep = part.keys < cut
    if keep.all():
        part.rows.replace(target)
        return
    with home.atomic_path(target) as temp, Writer(temp, "text") as out:
        for row in rows_at(part.rows, "text", np.flatnonzero(keep)):
            out.write(row)
    part.rows.unlink()


def texts_of(row: Row) -> Iterable[str]:
    """Every text of a mapped row, without marks and names of roles."""
    if "text" in row:
        return [row["text"]]
    messages = row.get("messages") or [*row["prompt"], *row["chosen"], *row["rejected"]]
    contents = (message["content"] for message in messages)
    return [t for c in contents for t in ([c] if isinstance(c, str) else [part["text"] for part in c])]
