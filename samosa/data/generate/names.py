"""Entities that questions are about: real names and made-up ones, each on its side of the line (sides.py).

Made-up names matter as much as real ones: only a word that was never seen teaches a model to copy instead of to recall.
"""

import functools
import random

from samosa.data.generate.english import words
from samosa.data.generate.sides import Side, bank, on_side, side_of

LIBRARY_SHARE = 0.25  # of the words in training names
ONSETS = "b br c ch cl d dr f fl g gr h j k kr l m n p pl qu r s sh sk st t th tr v w y z".split()
VOWELS = "a e i o u ai au ea ei ia io oa oo ou".split()
CODAS = ["", "", "", *"b d ck g l ll m n nd ng nt r rd rk rn rt s sk st t th x z".split()]


def made_up(rng: random.Random, side: Side) -> str:
    """Draw a pronounceable word that names nothing, such as "Troukard", from one side of the line."""
    while True:
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(2)) + rng.choice(CODAS)
        if side_of(word) == side:
            return word.capitalize()


def scrambled(rng: random.Random, side: Side) -> str:
    """Draw a word of random letters, such as "Xqelvu": nothing about it can be guessed, it has to be copied."""
    while True:
        letters = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 5)))
        if side_of(letters) == side:
            return letters.capitalize()


def word(rng: random.Random, side: Side) -> str:
    """Draw a word for a name: mostly made up, now and then a plain one.

    In training one of four comes from a few thousand English words: a model that saw only words of a small bank or
    of letters at random copies other English words badly.
    """
    if side == "train" and rng.random() < LIBRARY_SHARE:
        return rng.choice(words()).capitalize()
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(_real_names("ordinary", side)).capitalize()
    return made_up(rng, side) if kind < (0.8 if side == "probe" else 0.7) else scrambled(rng, side)


def entity(rng: random.Random, kind: str, side: Side, *, real_share: float) -> str:
    """Draw an entity of `kind` (a key of banks.toml): a real name, or made-up words in one of the kind's shapes.

    The training side and the probe side share no whole name and no made-up word.
    """
    known = _real_names(kind, side)
    if known and rng.random() < real_share:
        return rng.choice(known)
    shapes = bank("banks")[kind]["shapes"] + (bank("banks")[kind].get("drills", []) if side == "train" else [])
    return named(rng, rng.choice(shapes), side)


def named(rng: random.Random, shape: str, side: Side) -> str:
    """Put a drawn word in the place of each {w} of `shape`."""
    while "{w}" in shape:
        shape = shape.replace("{w}", word(rng, side), 1)
    return shape


@functools.cache
def _real_names(kind: str, side: Side) -> tuple[str, ...]:
    return tuple(on_side(bank("banks")[kind].get("real", []), side))
