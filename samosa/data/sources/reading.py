"""A downloaded file as tables, and which files a config and split of a data set are, by the `datasets` library."""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from samosa.data.sources.registry import Source
from samosa.data.sources.schema import check_columns
from samosa.errors import NotReady, SamosaError

ROWS_AT_ONCE = 256  # a thousand whole books would be a gigabyte
CARD = "README.md"
HEADING = re.compile(r" = [^=].* = \n?")
"""A title of WikiText, alone in its row; headings further down have more equals signs."""


class Split(Protocol):
    """What `files_of` asks for."""

    @property
    def repo(self) -> str: ...
    @property
    def config(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def substitute(self) -> str | None: ...


def files_of(source: Split, card: str, paths: Sequence[str], *, name: str) -> list[str]:
    """Which of a repository's files, in order, are the source's config and split; `datasets` knows from card and names.

    It is shown a folder with the card and empty files of the same names: asked on the Hub itself, it makes of a server
    that fails for a moment a data set that does not exist. Raises NotReady for a config or split that is not there.
    """
    import datasets

    with tempfile.TemporaryDirectory() as folder, _quiet():
        for path in paths:
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        if card:
            Path(folder, CARD).write_text(card, encoding="utf-8")
        try:
            builder = datasets.load_dataset_builder(folder, source.config)
        except ValueError as error:
            if "BuilderConfig" not in str(error):
                what = " ".join(str(error).split())[:150]
                raise NotReady(
                    f"{source.repo}: its files are not told apart: {what}",
                    hint=f"look at its card; {_way_on(name, source)}",
                ) from error
            have = re.findall(r"'([^']+)'", str(error).partition("Available")[2])
            raise _gone(name, source, "config", source.config, have) from error
        except FileNotFoundError as error:
            raise _gone(name, source, "data files for", source.config, []) from error
        found: dict[Any, Sequence[str]] = dict(builder.config.data_files or {})
        if source.split not in found:
            raise _gone(name, source, "split", source.split, [str(split) for split in found])
        top = Path(folder).resolve()
        return [Path(path).resolve().relative_to(top).as_posix() for path in found[source.split]]


def tables(path: Path, source: Source, *, where: str) -> Iterator[pa.Table]:
    """The rows of one file, up to ROWS_AT_ONCE in a table; its suffix says whether it is parquet or (packed) JSON.

    Raises BadInput naming the column where it lacks one that the mapper reads, or has it with another type, and
    SamosaError for a file that cannot be read.
    """
    read = _parquet if path.name.endswith(".parquet") else _json
    try:
        yield from read(path, source, where)
    except (pa.ArrowException, ValueError, EOFError, OSError) as error:
        what = " ".join(str(error.__cause__ or error).split())[:200]
        raise SamosaError(
            f"{where} cannot be read: {what}", hint="upstream changed its format: an older revision may do"
        ) from error


def _parquet(path: Path, source: Source, where: str) -> Iterator[pa.Table]:
    """Read by pyarrow itself: under `datasets` 5.2 Arrow's scanner runs ahead of a slow reader, measured 450 MB on a
    file of 280 MB; so does `pre_buffer`. What comes is the same (tested)."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        check_columns(file.schema_arrow, source.columns, where=where)
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(source.columns)):
            yield pa.Table.from_batches([batch])


def _json(path: Path, source: Source, where: str) -> Iterator[pa.Table]:
    import datasets

    with _quiet():
        rows = datasets.Dataset.from_json(str(path), streaming=True)
        for table in rows.with_format("arrow").iter(batch_size=ROWS_AT_ONCE):
            check_columns(table.schema, source.columns, where=where)
            yield table


def articles(rows: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """WikiText's rows, which are lines, as articles; one that runs over from the file before stands alone."""
    lines: list[str] = []
    done: list[str] = []
    for table in rows:
        for line in table.column("text").to_pylist():
            if HEADING.fullmatch(line or "") and lines:
                done.append("".join(lines).strip("\n"))
                lines = []
            lines.append(line or "")
            if len(done) == ROWS_AT_ONCE:
                yield pa.table({"text": done})
                done = []
    if lines:
        done.append("".join(lines).strip("\n"))
    if done:
        yield pa.table({"text": done})


REGROUPED = {"wikitext": articles}
"""Mappers whose rows have to be put together first."""


def _gone(name: str, source: Split, what: str, wanted: str, have: Sequence[str]) -> NotReady:
    return NotReady(
        f"{source.repo} has no {what} {wanted} (any more); there are {', '.join(have) or 'none'}",
        hint=_way_on(name, source),
    )


def _way_on(name: str, source: Split) -> str:
    return f"samosa pull {source.substitute}" if source.substitute else f"mend {name} in configs/sources.toml"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and warnings that `datasets` writes over ours."""
    import datasets

    level = datasets.logging.get_verbosity()
    bars = datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()
