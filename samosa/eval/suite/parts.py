"""What templates are made of: names and numbers that no training row has, phrasings, and the usual kinds of gold."""

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from samosa.chat.search import Hit
from samosa.data.generate.names import made_up
from samosa.data.generate.sides import bank, on_side, side_of
from samosa.eval.answers import numbers
from samosa.eval.probe_types import Gold
from samosa.eval.suite.types import Category, Drawn, System, Template

Slots = dict[str, Any]
REAL_NAMES = 0.25  # the rest are made up, so that an answer can not come from memory
CALCULATOR = ("calculator",)
ATTEMPTS = 100
DIGITS = 15  # significant digits of a gold value that has no end
URL = "https://example.org"


def name_of(rng: random.Random, kind: str) -> str:
    """Draw an entity of the probes' side: `kind` is a key of the generator's banks or a shape such as "{w} Zoo".

    It has no article, and unlike the generator's none is a word of English: people read these questions.
    """
    if "{w}" not in kind:
        if (known := _known(kind)) and rng.random() < REAL_NAMES:
            return rng.choice(known).removeprefix("the ")
        kind = rng.choice(bank("banks")[kind]["shapes"])
    return kind.replace("{w}", made_up(rng, "probe")).removeprefix("the ")


@functools.cache
def _known(kind: str) -> tuple[str, ...]:
    return tuple(on_side(bank("banks")[kind]["real"], "probe"))


def first_names(rng: random.Random, count: int) -> list[str]:
    """Draw different given names that people have: who buys apples does not matter."""
    return rng.sample(_known("first_name"), count)


def different(rng: random.Random, kind: str, count: int) -> list[str]:
    """Draw entities of `kind` of which none is another one or a part of it."""
    names: list[str] = []
    while len(names) < count:
        name = name_of(rng, kind)
        if not any(name.casefold() in other.casefold() or other.casefold() in name.casefold() for other in names):
            names.append(name)
    return names


def fresh(rng: random.Random, draw: Callable[[random.Random], Slots]) -> Slots:
    """Draw until the numbers among the slots belong to the probes' side of the line."""
    while True:
        slots = draw(rng)
        numbers = [str(value) for value in slots.values() if isinstance(value, (int, Decimal))]
        if not numbers or side_of(":".join(numbers)) == "probe":
            return slots


def either_system(rng: random.Random) -> System:
    """With the prompt that wants a thought or with the other: the question is the same."""
    return rng.choice(("default", "think"))


def between(**ends: tuple[int, int]) -> Callable[[random.Random], Slots]:
    """Draw whole numbers by name, each between its two ends."""
    return lambda rng: {name: rng.randint(low, high) for name, (low, high) in ends.items()}


def exact(value: int | Decimal | Fraction) -> Decimal:
    """The value as a decimal: exact where it ends, else to 15 digits."""
    if not isinstance(value, Fraction):
        return Decimal(value)
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(value.numerator) / Decimal(value.denominator)


def calculated(
    question: str,
    value: int | Decimal | Fraction,
    *,
    system: System = "think",
    tool: str | None = None,
    max_calls: int | None = None,
) -> Drawn:
    """A question whose answer is a number. Without a `tool` the calculator may be used and need not be."""
    gold = Gold(tool=tool, value=exact(value), may_call=() if tool else CALCULATOR)
    return Drawn(turns=(question,), gold=gold, system=system, max_calls=max_calls)


@dataclass(frozen=True)
class Sum:
    """A kind of question with a number as its answer: how it is asked, what is drawn, how it is worked out."""

    name: str
    asks: tuple[str, ...]
    draw: Callable[[random.Random], Slots]
    value: Callable[..., int | Decimal | Fraction]
    """Takes the slots by name. Exact: integers, decimals or fractions."""


def sums(
    category: Category,
    kinds: Sequence[Sum],
    *,
    system: System = "think",
    tool: str | None = None,
    max_calls: int | None = None,
) -> tuple[Template, ...]:
    """A template for each kind."""

    def maker(kind: Sum) -> Callable[[random.Random], Drawn]:
        def make(rng: random.Random) -> Drawn:
            slots = fresh(rng, kind.draw)
            question = rng.choice(kind.asks).format(**slots)
            return calculated(question, kind.value(**slots), system=system, tool=tool, max_calls=max_calls)

        return make

    return templates(category, {kind.name: maker(kind) for kind in kinds})


@dataclass(frozen=True)
class Topic:
    """A kind of question that only a search can answer. `{it}` is who or what it is about."""

    name: str
    about: str
    """A key of the generator's banks, or a shape."""
    asks: tuple[str, ...]
    facts: Callable[[random.Random], Slots]
    """What the result says: drawn, not known, so that only who reads it can answer."""
    snippets: tuple[str, ...]
    says: tuple[str, ...]
    """The facts that the answer has to repeat; if there is one and it is no number, it has to be what is claimed."""


def searches(category: Category, topics: Sequence[Topic], *, system: System = "default") -> tuple[Template, ...]:
    """A template for each topic."""

    def maker(topic: Topic) -> Callable[[random.Random], Drawn]:
        def make(rng: random.Random) -> Drawn:
            it = name_of(rng, topic.about)
            slots = {"it": it, **topic.facts(rng)}
            return found(
                rng.choice(topic.asks).format(**slots),
                it,
                rng.choice(topic.snippets).format(**slots),
                *(str(slots[key]) for key in topic.says),
                system=system,
            )

        return make

    return templates(category, {topic.name: maker(topic) for topic in topics})


def found(
    question: str, about: str, snippet: str, *says: str, system: System = "default", never: tuple[str, ...] = ()
) -> Drawn:
    """A question about `about`: its answer is in the one search result, and says all of `says` and none of `never`."""
    gold = Gold(tool="web_search", query_must=(about,), answer_must=says, answer_must_not=never)
    return Drawn(turns=(question,), gold=gold, hits={"": (hit(about, snippet),)}, system=system)


def hit(title: str, snippet: str) -> Hit:
    """A search result."""
    return Hit(url=URL, title=title, snippet=snippet)


def templates(category: Category, makers: Mapping[str, Callable[[random.Random], Drawn]]) -> tuple[Template, ...]:
    """Templates by name. None asks for a number that its question says: who repeats the question would be right."""

    def unsaid(make: Callable[[random.Random], Drawn]) -> Callable[[random.Random], Drawn]:
        def made(rng: random.Random) -> Drawn:
            for _ in range(ATTEMPTS):
                drawn = make(rng)
                if drawn.gold.value is None or drawn.gold.value not in {one for one, _ in numbers(drawn.turns[-1])}:
                    return drawn
            raise AssertionError(f"{category}: the question always says the answer: {drawn.turns[-1]}")

        return made

    return tuple(Template(name, category, unsaid(make)) for name, make in makers.items())
