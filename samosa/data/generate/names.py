"""Entities that questions are about: real names, made-up names, and the line between training and probes.

Which side a name is on is a pure function of the name, so no seed can ever put a probe's entity into a training row.
Made-up names matter as much as real ones: only a word that was never seen teaches a model to copy instead of to recall.
"""

import functools
import hashlib
import random
import tomllib
from collections.abc import Sequence
from importlib import resources
from typing import Literal

Side = Literal["train", "probe"]

PROBE_SHARE = 0.25  # of all names and of all number tuples: enough for fresh probes, little lost to training
RESERVED = ("Seoul", "17:45", "airplanes fly")  # what the roadmap's own probes ask is never trained on

ONSETS = "b br c ch cl d dr f fl g gr h j k kr l m n p pl qu r s sh sk st t th tr v w y z".split()
VOWELS = "a e i o u ai au ea ei ia io oa oo ou".split()
CODAS = ["", "", "", *"b d ck g l ll m n nd ng nt r rd rk rn rt s sk st t th x z".split()]


def side_of(key: str) -> Side:
    """Tell whether `key` (a name, or numbers joined by ':') belongs to training or to probes."""
    if key in RESERVED:
        return "probe"
    draw = int.from_bytes(hashlib.sha256(key.casefold().encode()).digest()[:4], "big") / 2**32
    return "probe" if draw < PROBE_SHARE else "train"


@functools.cache
def bank(name: str) -> dict:
    """Read one of the TOML banks beside this module, once."""
    return tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def on_side(names: Sequence[str], side: Side) -> list[str]:
    """Keep the names that belong to `side`, in order."""
    return [name for name in names if side_of(name) == side]


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
    """Draw a word for a name: mostly made up, now and then a plain one."""
    kind = rng.random()
    if kind < 0.2:
        return rng.choice(_real_names("ordinary", side)).capitalize()
    return made_up(rng, side) if kind < 0.8 else scrambled(rng, side)


def entity(rng: random.Random, kind: str, side: Side, *, real_share: float) -> str:
    """Draw an entity of `kind` (a key of banks.toml): a real name, or made-up words in one of the kind's shapes.

    The training side and the probe side share no whole name and no made-up word.
    """
    known = _real_names(kind, side)
    if known and rng.random() < real_share:
        return rng.choice(known)
    shape = rng.choice(bank("banks")[kind]["shapes"])
    return shape.replace("{w}", word(rng, side), 1).replace("{w}", word(rng, side), 1)


def reserved_names() -> list[str]:
    """The places, firms, teams and people that only probes may name."""
    kinds = ("city", "country", "company", "team", "place", "first_name")
    return [name for kind in kinds for name in on_side(bank("banks")[kind]["real"], "probe")]


@functools.cache
def _real_names(kind: str, side: Side) -> tuple[str, ...]:
    return tuple(on_side(bank("banks")[kind].get("real", []), side))
