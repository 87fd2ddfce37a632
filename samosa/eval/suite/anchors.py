"""The anchors: probes written by hand, all that the roadmap names among them, as data beside this page."""

import functools
import json
import random
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from samosa.chat.search import Hit, SearchError
from samosa.errors import BadInput
from samosa.eval.probe_types import Gold, Mark
from samosa.eval.suite.types import Category, Drawn, System

NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
URL = "https://example.org"

Text = Annotated[str, Field(min_length=1)]
Texts = tuple[Text, ...]
Tool = Literal["web_search", "calculator"]


class Entry(pydantic.BaseModel):
    """Base of what an anchor is written as: nothing unknown, nothing of another type."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)


class Range(Entry):
    """Whole numbers, both ends among them."""

    low: int
    high: int


class Found(Entry):
    """A search result."""

    title: Text
    snippet: Text


class Expected(Entry):
    """What a right answer is: the fields of probe_types.Gold."""

    tool: Tool | None = None
    value: Text | None = None
    tolerance: Text = "0.005"
    unit: Text | None = None
    query_must: Texts = ()
    answer_must: Texts = ()
    answer_any: tuple[Texts, ...] = ()
    answer_must_not: Texts = ()
    answer_is: Texts = ()
    rivals: Texts = ()
    min_answer_chars: PositiveInt = 1
    max_answer_chars: PositiveInt | None = None
    matches: Texts = ()
    may_call: tuple[Tool, ...] = ()
    marks: tuple[Mark, ...] = ()
    may_refuse: bool = False

    @model_validator(mode="after")
    def _can_be_read(self) -> "Expected":
        for text in (self.value, self.tolerance):
            try:
                Decimal("0" if text is None or PLACEHOLDER.search(text) else text)
            except InvalidOperation:
                raise ValueError(f"{text!r} is not a number") from None
        for pattern in self.matches:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        if not (self.value or self.answer_is or self.answer_must or self.answer_any or self.matches):
            raise ValueError("none of value, answer_is, answer_must, answer_any and matches: anything would be right")
        return self


class Contrast(Entry):
    """The other side of a pair."""

    swap: Annotated[dict[Text, Text], Field(min_length=1)]
    """Texts that become others everywhere in the anchor."""
    names: Annotated[Texts, Field(min_length=1)]
    """What only this side's right answer says; `swap` makes the other side's of it."""


class Anchor(Entry):
    """One probe. `{name}` in a text stands for what `draw` gives for it under a seed."""

    name: Annotated[str, Field(pattern=NAME)]
    category: Category
    turns: Texts
    gold: Expected
    hits: tuple[Found, ...] = ()
    search_fails: Text | None = None
    """The search fails on purpose, and says this."""
    system: System = "think"
    max_calls: NonNegativeInt | None = None
    draw: dict[Text, Range | Texts] = {}
    contrast: Contrast | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "Anchor":
        if not len(self.turns) % 2:
            raise ValueError(f"{len(self.turns)} turns: the last has to be the user's")
        if self.hits and self.search_fails:
            raise ValueError("a search that fails has no hits")
        used = set(PLACEHOLDER.findall(self.model_dump_json(exclude={"draw"})))
        if odd := sorted(used ^ set(self.draw)):
            raise ValueError(f"{{{odd[0]}}} is {'not drawn' if odd[0] in used else 'drawn and not used'}")
        return self

    def drawn(self, seed: int) -> Drawn:
        """The instance of a seed."""
        rng = random.Random(f"anchor:{seed}:{self.name}")
        values = {
            name: str(rng.randint(one.low, one.high)) if isinstance(one, Range) else rng.choice(one)
            for name, one in self.draw.items()
        }
        filled = _replaced(self, {f"{{{name}}}": value for name, value in values.items()})
        own = _instance(filled)
        if filled.contrast is None:
            return own
        return replace(own, twin=_instance(_replaced(filled, filled.contrast.swap)))


@functools.cache
def anchors(category: str | None = None) -> tuple[Anchor, ...]:
    """The anchors of a category, or all, in the order of the file. Raises BadInput as `read_anchors` does."""
    if category is not None:
        return tuple(anchor for anchor in anchors() if anchor.category == category)
    with resources.as_file(resources.files("samosa.eval.suite") / "anchors.toml") as path:
        return read_anchors(path)


def read_anchors(path: Path) -> tuple[Anchor, ...]:
    """The anchors of a file of `[[anchor]]` tables. Raises BadInput with file and entry for the first that is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("anchor", [])
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}", hint="anchors are [[anchor]] tables of TOML") from error
    found: dict[str, Anchor] = {}
    for number, table in enumerate(tables, 1):
        anchor = _read(table, f"{path}: anchor {number}")
        if anchor.name in found:
            raise BadInput(f"{path}: anchor {number}: a second {anchor.name}", hint="give it a name of its own")
        found[anchor.name] = anchor
    return tuple(found.values())


def _read(table: Any, where: str) -> Anchor:
    if isinstance(table, Mapping) and isinstance(table.get("name"), str):
        where = f"{where} ({table['name']})"
    try:
        return Anchor.model_validate_json(
            json.dumps(table, default=str)
        )  # JSON: an array may be a tuple, and is strict
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{where}: {place + ': ' if place else ''}{said}", hint="mend that entry") from None


def _replaced(anchor: Anchor, texts: Mapping[str, str]) -> Anchor:
    """The anchor with texts replaced in all that it asks, finds and expects, all at once: a swap may be both ways."""
    if not texts:
        return anchor
    pattern = re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))

    def put(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda match: texts[match[0]], value)
        if isinstance(value, tuple):
            return tuple(put(one) for one in value)
        if isinstance(value, Entry):
            return value.model_copy(update={name: put(one) for name, one in value})
        return value

    kept = {"name", "category", "draw", "system"}
    return anchor.model_copy(
        update={
            name: _contrasted(value, put) if name == "contrast" else put(value)
            for name, value in anchor
            if name not in kept
        }
    )


def _contrasted(contrast: Contrast | None, put: Any) -> Contrast | None:
    if contrast is None:
        return None
    swap = {put(text): put(other) for text, other in contrast.swap.items()}
    return contrast.model_copy(update={"names": put(contrast.names), "swap": swap})


def _instance(anchor: Anchor) -> Drawn:
    fields = dict(anchor.gold)
    fields |= {"value": anchor.gold.value and Decimal(anchor.gold.value), "tolerance": Decimal(anchor.gold.tolerance)}
    hits = tuple(Hit(url=URL, title=one.title, snippet=one.snippet) for one in anchor.hits)
    answers = SearchError(anchor.search_fails) if anchor.search_fails else hits
    return Drawn(
        turns=anchor.turns,
        gold=Gold(**fields),
        hits={"": answers} if anchor.hits or anchor.search_fails or anchor.gold.tool == "web_search" else {},
        system=anchor.system,
        max_calls=anchor.max_calls,
        names=anchor.contrast.names if anchor.contrast else (),
    )
