"""The registry of sources, configs/sources.toml: what each is, what it may be used for, how much of it is taken."""

from functools import cache
from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from samosa.config import Recipe, load
from samosa.data.sources.mappers import MAPPERS

Kind = Literal["chat", "pairs", "text"]


class Upstream(Recipe):
    """How large a source is before anything is drawn from it: figures to plan with, never to decide with."""

    rows: PositiveInt
    bytes: PositiveInt
    """What has to be downloaded, all of the split."""
    tokens_per_row: PositiveFloat
    """Of a row as samosa keeps it."""
    basis: str
    """Where the figures are from."""


class Source(Recipe):
    """One data set on the Hub and what samosa takes of it."""

    about: str
    phase: Literal["a", "b", "c", "d", "e"]
    """The roadmap's phase that asks for it."""
    kind: Kind
    repo: str
    config: str
    split: str
    revision: str
    """A branch, tag or commit; a pull records the commit it stood for."""
    license: str
    mapper: str | None = None
    """How a row becomes a conversation, a pair or a text: a name of mappers.py; absent where rows hold no text."""
    seed: int
    """Draws the sample; the same seed draws the same rows of the same commit."""
    rows: PositiveInt | None = None
    """Take this many rows, drawn uniformly from the whole split; absent, `tokens` decides, or all are taken."""
    tokens: PositiveInt | None = None
    """Take rows, drawn uniformly, until they have about this many tokens."""
    chars_per_token: PositiveFloat
    """Of this kind of text under the d24 tokenizer; turns `tokens` into characters, and estimates where there is no
    tokenizer."""
    columns: dict[str, Any]
    """What the mapper reads: column -> type. A list is [type], a record {field = type}; other columns are ignored."""
    needs: str | None = None
    """What stands in the way of pulling it: then `substitute` is pulled in its stead."""
    gated: bool = False
    """Its owner has to be asked first: a token of an account that accepted the terms is needed."""
    substitute: str | None = None
    """Another source that can stand in."""
    upstream: Upstream

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.rows is not None and self.tokens is not None:
            raise ValueError("rows and tokens are two caps; say one")
        if self.mapper not in MAPPERS and not (self.mapper is None and self.needs):
            raise ValueError(f"there is no mapper {self.mapper}; there are {', '.join(MAPPERS)}")
        if self.needs is not None and self.substitute is None:
            raise ValueError("a source that cannot be pulled names a substitute")
        return self

    @property
    def limit(self) -> int | None:
        """The cap in the unit it is counted in: rows, or characters where the cap is in tokens; None for all."""
        return self.rows if self.tokens is None else int(self.tokens * self.chars_per_token)

    @property
    def expected_rows(self) -> int:
        """About how many rows a pull keeps."""
        wanted = self.upstream.rows if self.rows is None else self.rows
        if self.tokens is not None:
            wanted = int(self.tokens / self.upstream.tokens_per_row)
        return min(wanted, self.upstream.rows)

    @property
    def expected_tokens(self) -> int:
        return int(self.expected_rows * self.upstream.tokens_per_row)


class Sources(Recipe):
    """configs/sources.toml."""

    source: dict[str, Source] = Field(min_length=1)

    @model_validator(mode="after")
    def _substitutes_are_known(self) -> Self:
        for name, entry in self.source.items():
            stand_in = entry.substitute
            if stand_in is not None and (stand_in not in self.source or self.source[stand_in].needs):
                raise ValueError(f"the substitute of {name}, {stand_in}, is no source that can be pulled")
        return self


@cache
def known_sources() -> dict[str, Source]:
    """The registry: name -> source, in the file's order. Raises BadInput where the file is wrong."""
    return load(Sources, "sources").source
