"""The line between training and probes, the banks that both draw from, and who only probes may name.

Which side a name is on is a pure function of the name, so no seed can ever put a probe's entity into a training row.
"""

import functools
import hashlib
import tomllib
from collections.abc import Sequence
from importlib import resources
from typing import Literal

Side = Literal["train", "probe"]

PROBE_SHARE = 0.25  # of all names and of all number tuples: enough for fresh probes, little lost to training
RESERVED = ("Seoul", "17:45", "airplanes fly")  # what the roadmap's own probes ask is never trained on


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


def reserved_names() -> list[str]:
    """The places, firms, teams and people that only probes may name."""
    kinds = ("city", "country", "company", "team", "place", "first_name")
    return [name for kind in kinds for name in on_side(bank("banks")[kind]["real"], "probe")]
