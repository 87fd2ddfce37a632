"""Text to pretrain on: parquet shards, or what every Python carries with it; and how a text becomes a document."""

import contextlib
import hashlib
import inspect
import itertools
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samosa.data.packing import Doc
from samosa.errors import BadInput, NotReady

T = TypeVar("T")

BATCH = 256  # texts tokenized at once: enough for the tokenizer's threads, little memory
SHORTEST_DOCSTRING = 24  # characters; below are labels rather than sentences
SHORTEST_COMMENT = 80

# Everything in Python source that can hold quotes or hashes: comments, triple-quoted strings, plain strings.
LEXEME = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<quote>\"{3}|'{3})(?P<body>(?:[^\\]|\\.)*?)(?P=quote)
      | "(?:\\.|[^"\\\n])*"
      | '(?:\\.|[^'\\\n])*'""",
    re.VERBOSE | re.DOTALL,
)
OPENS_LINE = re.compile(r"[ \t]*[rRuU]?")
NOT_LIBRARY = {"test", "tests", "idle_test", "encodings", "pydoc_data", "__pycache__"}  # tests, tables, generated text


class Encoder(Protocol):
    """What of a tokenizer is needed here."""

    @property
    def bos(self) -> int: ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]: ...


def documents(paths: Iterable[Path], *, column: str = "text") -> Iterator[str]:
    """Texts of parquet shards in the order given, one row group in memory at a time.

    Raises BadInput for a shard that is not there, is not parquet, lacks the column or has a row without text.
    """
    for path in paths:
        try:
            with pq.ParquetFile(path) as shard:
                yield from _shard_texts(path, shard, column)
        except (OSError, pa.ArrowException) as error:
            raise BadInput(f"{path} cannot be read as parquet: {error}", hint="fetch this shard again") from error


def require_column(paths: Iterable[Path], column: str = "text") -> None:
    """Raise BadInput for the first shard that is not parquet or lacks the column; reads no more than the footers."""
    for path in paths:
        try:
            _require(path, pq.read_schema(path).names, column)
        except (OSError, pa.ArrowException) as error:
            raise BadInput(f"{path} cannot be read as parquet: {error}", hint="fetch this shard again") from error


def _require(path: Path, names: Sequence[str], column: str) -> None:
    if column not in names:
        raise BadInput(f"{path} has no column {column!r}", hint=f"its columns: {', '.join(names)}")


def _shard_texts(path: Path, shard: pq.ParquetFile, column: str) -> Iterator[str]:
    _require(path, shard.schema_arrow.names, column)
    row = 0
    for group in range(shard.num_row_groups):
        for text in shard.read_row_group(group, columns=[column]).column(0).to_pylist():
            row += 1
            if not isinstance(text, str):
                raise BadInput(f"{path}: row {row} has no text in {column!r}", hint="leave such rows out of the shard")
            yield text


def stdlib_documents(*, limit_chars: int | None, seed: int) -> Iterator[str]:
    """Real text that lies on every machine, about `limit_chars` characters of it (None: all, 13 MB for Python 3.11).

    English first: the language reference behind `help()`, the licence, each module's docstrings and comments (3 MB).
    Source code after it. The order is by hash of seed and name, so it is the same on every disk; the text itself is
    that of the running Python. Raises NotReady where Python came without its library's sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    files = _by_hash({path.relative_to(root).as_posix(): path for path in _library(root)}, seed)
    if not files:
        raise NotReady(f"there are no library sources in {root}", hint="use a Python that has them, or parquet shards")
    topics = ((name, lambda text=text: text) for name, text in _topics().items())
    proses = ((f"{name} prose", lambda path=path: prose_of(_read(path))) for name, path in files)
    sources = ((lambda path=path: _read(path)) for _, path in files)
    english = (read for _, read in _by_hash(dict(itertools.chain(topics, proses)), seed))
    left = sys.maxsize if limit_chars is None else limit_chars
    for read in itertools.chain(english, sources):
        if left <= 0:
            return
        if text := read().strip():
            left -= len(text)
            yield text


def prose_of(source: str) -> str:
    """The docstrings and comment blocks of Python source, in order, a blank line between them."""
    blocks: list[str] = []
    comment: list[str] = []
    comment_end = 0
    for match in LEXEME.finditer(source):
        line_start = source.rfind("\n", 0, match.start()) + 1
        if not OPENS_LINE.fullmatch(source, line_start, match.start()):
            continue  # a value, or a remark after code
        if match["comment"] is None:
            if match["body"] and len(match["body"]) >= SHORTEST_DOCSTRING:
                blocks += [*_worth_reading(comment), inspect.cleandoc(match["body"])]
                comment = []
            continue
        between = source[comment_end : match.start()]
        if comment and (between.strip() or between.count("\n") > 1):
            blocks += _worth_reading(comment)
            comment = []
        if not match["comment"].startswith("#!"):
            comment.append(match["comment"].lstrip("#").removeprefix(" "))
        comment_end = match.end()
    blocks += _worth_reading(comment)
    return "\n\n".join(blocks)


def held_out(text: str, share: float) -> bool:
    """Whether a text belongs to validation: by its own hash, so more data or another order never moves it."""
    return _hash(text) < share * 2**64


def pretraining_docs(
    texts: Iterable[str], tokenizer: Encoder, *, source: str, rows: Iterator[int] | None = None
) -> Iterator[Doc]:
    """Texts as documents to learn whole: bos, then the tokens, and bos is what the last one predicts.

    `rows` numbers them; without it they count from 1.
    """
    rows = itertools.count(1) if rows is None else rows
    for batch in _batches(texts, BATCH):
        for ids in tokenizer.encode_batch(batch):
            yield Doc(
                ids=np.array([tokenizer.bos, *ids], dtype=np.int32),
                mask=np.ones(len(ids) + 1, dtype=np.uint8),
                end_target=tokenizer.bos,
                source=source,
                row=next(rows),
            )


def _batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    it = iter(texts)
    while batch := list(itertools.islice(it, size)):
        yield batch


def _library(root: Path) -> Iterator[Path]:
    """Library sources; what a distribution or a user put beside them is left out."""
    for entry in root.iterdir():
        if entry.stem in sys.stdlib_module_names:
            for path in entry.rglob("*.py") if entry.is_dir() else [entry]:
                if path.suffix == ".py" and not NOT_LIBRARY.intersection(path.relative_to(root).parts):
                    yield path


def _topics() -> dict[str, str]:
    """The language reference's chapters, as `help("topics")` shows them, and the licence."""
    texts = {}
    with contextlib.suppress(ImportError):  # some distributions ship it apart
        from pydoc_data.topics import topics

        texts.update({f"topic {name}": text for name, text in topics.items()})
    licence = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if licence.is_file():
        texts["licence"] = _read(licence)
    return texts


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _worth_reading(comment: list[str]) -> list[str]:
    text = "\n".join(comment).strip()
    letters = sum(c.isalpha() for c in text)
    return [text] if len(text) >= SHORTEST_COMMENT and letters > len(text) * 0.6 else []


def _by_hash(named: dict[str, T], seed: int) -> list[tuple[str, T]]:
    return sorted(named.items(), key=lambda item: (_hash(f"{seed} {item[0]}"), item[0]))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", errors="replace")).digest()[:8], "big")
