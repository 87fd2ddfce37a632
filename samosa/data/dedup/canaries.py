"""Rows planted among those of every run, whose duplicates are known: a run that does not find them is not believed.

A silent search that finds nothing looks just like clean data. So pairs of made-up conversations travel through the
same reading, hashing and comparing as the real rows, spread over them; they are never written, and no row is ever
called a duplicate of one. Pairs not quite alike (decoys) must stay apart, because merging everything finds everything.
"""

import json
import math
import random
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from samosa.data.sidecars import Numbered

Kind = Literal["exact", "near", "decoy"]
QUESTION, ANSWER = 40, 400  # words
DEEPEST = 6  # a canary stands up to 10^6 rows into its chunk, or at its end
NOBODY = -1
"""The number of the canary that a real row is."""


@dataclass(frozen=True)
class Pair:
    """Two lines and what is to become of them."""

    kind: Kind
    first: bytes
    second: bytes


@dataclass(frozen=True)
class Plant:
    """A canary's line, to be put behind that many rows of its chunk. Lines 2i and 2i + 1 are those of pair i."""

    after: int
    number: int
    line: bytes


def pairs_of(count: int, *, near: bool, threshold: float, words: int, seed: int) -> list[Pair]:
    """`count` exact pairs and, where near-duplicates are looked for, as many near ones; and a third as many decoys.

    Near ones are midway between the threshold and 1 in Jaccard similarity of n-grams of `words`, decoys at four fifths
    of the threshold: near enough to be compared.
    """
    draw = random.Random(f"canaries {seed}")
    pairs = [_exact(draw) for _ in range(count)]
    if near:
        pairs += [_near(draw, (1 + threshold) / 2, words) for _ in range(count)]
    return pairs + [_decoy(draw, 0.8 * threshold) for _ in range(math.ceil(count / 3))]


def plants_of(pairs: Sequence[Pair], chunks: int, seed: int) -> list[tuple[Plant, ...]]:
    """Where the lines of all pairs go: for each chunk its plants, in order."""
    draw = random.Random(f"places {seed}")
    placed: list[list[Plant]] = [[] for _ in range(chunks)]
    for number, line in enumerate(line for pair in pairs for line in (pair.first, pair.second)):
        # As many among the first rows as among later thousands: how many rows a chunk has is not known before.
        after = int(10 ** draw.uniform(0, DEEPEST))
        placed[draw.randrange(chunks)].append(Plant(after, number, line))
    return [tuple(sorted(plants, key=lambda plant: (plant.after, plant.number))) for plants in placed]


class Row(NamedTuple):
    """A row of a chunk, or a canary planted there."""

    line: bytes
    number: int
    """Its line in the chunk from 1, or in the file if that is parquet; 0 for a canary."""
    canary: int
    """The canary's number, NOBODY for a real row."""


def planted_rows(rows: Numbered, plants: Sequence[Plant]) -> Iterator[Row]:
    """The rows of a chunk and the canaries among them."""
    waiting = list(reversed(plants))
    for count, (number, line) in enumerate(rows):
        while waiting and waiting[-1].after <= count:
            yield _planted(waiting.pop())
        yield Row(line, number, NOBODY)
    for plant in reversed(waiting):
        yield _planted(plant)


def _planted(plant: Plant) -> Row:
    return Row(plant.line, 0, plant.number)


def _exact(draw: random.Random) -> Pair:
    """The same words in another layout, case, spacing and Unicode form."""
    question, answer = _words(draw, QUESTION), [*_words(draw, ANSWER), "Café", "naïve"]
    shouted = unicodedata.normalize("NFD", "\n\t".join(answer).upper())
    turns = [{"from": "human", "value": "  ".join(question).title()}, {"from": "gpt", "value": shouted}]
    return Pair("exact", _row(question, answer), json.dumps({"conversations": turns}).encode())


def _near(draw: random.Random, similarity: float, size: int) -> Pair:
    """The same words but for a few, evenly spread, each of which changes `size` n-grams."""
    answer = _words(draw, ANSWER)
    grams = QUESTION + ANSWER - size + 1
    changes = int(grams * (1 - similarity) / (size * (1 + similarity)))
    other = list(answer)
    for number in range(changes):
        other[(2 * number + 1) * ANSWER // (2 * changes)] = _word(draw)
    if not changes:
        other.append(_word(draw))  # one more n-gram: as near as may be
    question = _words(draw, QUESTION)
    return Pair("near", _row(question, answer), _row(question, other))


def _decoy(draw: random.Random, similarity: float) -> Pair:
    """Two rows that begin with the same words and then part."""
    total = QUESTION + ANSWER
    shared = int(2 * total * similarity / (1 + similarity)) - QUESTION
    question, beginning = _words(draw, QUESTION), _words(draw, shared)
    first, second = (beginning + _words(draw, ANSWER - shared) for _ in range(2))
    return Pair("decoy", _row(question, first), _row(question, second))


def _row(question: Sequence[str], answer: Sequence[str]) -> bytes:
    turns = [{"role": "user", "content": " ".join(question)}, {"role": "assistant", "content": " ".join(answer)}]
    return json.dumps({"messages": turns}).encode()


def _words(draw: random.Random, count: int) -> list[str]:
    return [_word(draw) for _ in range(count)]


def _word(draw: random.Random) -> str:
    return f"{draw.getrandbits(40):010x}"  # of 10^12: no real row is like a canary
