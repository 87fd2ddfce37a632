"""Random facts for the search fixture. They are drawn, not known: an answer can only be right by reading the result."""

import random
from collections.abc import Callable

from samosa.data.generate.names import entity, word
from samosa.data.generate.sides import Side

Facts = dict[str, str]

SKIES = ["sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear", "stormy", "hazy", "dry"]
BUILDINGS = [
    "bridge",
    "park",
    "school",
    "library",
    "market",
    "station",
    "museum",
    "garden",
    "theatre",
    "harbour",
    "tunnel",
    "pool",
    "clinic",
]
ADJECTIVES = ["green", "wooden", "round", "quiet", "tall", "glass", "small", "grand", "white", "modern", "stone", "red"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def draw_facts(kind: str, rng: random.Random, side: Side, *, about: str) -> Facts:
    """Draw the facts of one search result of `kind` (a `value` of search_topics.toml), as text.

    None of them is the entity that the result is `about`: a team does not play itself.
    """
    while True:
        facts = FACTS[kind](rng, side)
        if about not in facts.values():
            return facts


def _weather(rng: random.Random, side: Side) -> Facts:
    return {"degrees": str(rng.randint(2, 44)), "sky": rng.choice(SKIES)}


def _person(rng: random.Random, side: Side) -> Facts:
    return {"person": entity(rng, "person", side, real_share=0.0)}


def _score(rng: random.Random, side: Side) -> Facts:
    return {"score": f"{rng.randint(0, 9)}-{rng.randint(0, 9)}", "rival": entity(rng, "team", side, real_share=0.2)}


def _price(rng: random.Random, side: Side) -> Facts:
    return {"price": f"{rng.choice([rng.randint(2, 99), rng.randint(100, 999)])}.{rng.randint(10, 99)}"}


def _headline(rng: random.Random, side: Side) -> Facts:
    return {"what": f"{rng.choice(ADJECTIVES)} {rng.choice(BUILDINGS)}"}


def _count(rng: random.Random, side: Side) -> Facts:
    return {"count": str(rng.randint(1100, 999999))}


def _open(rng: random.Random, side: Side) -> Facts:
    return {"state": rng.choice(["open", "closed"]), "until": f"{rng.randint(1, 12)} {rng.choice(['am', 'pm'])}"}


def _version(rng: random.Random, side: Side) -> Facts:
    return {"version": f"{rng.randint(1, 40)}.{rng.randint(0, 30)}"}


def _concert(rng: random.Random, side: Side) -> Facts:
    return {"venue": word(rng, side), "date": f"{rng.choice(MONTHS)} {rng.randint(1, 28)}"}


FACTS: dict[str, Callable[[random.Random, Side], Facts]] = {
    "weather": _weather,
    "person": _person,
    "score": _score,
    "price": _price,
    "headline": _headline,
    "count": _count,
    "open": _open,
    "version": _version,
    "concert": _concert,
}
