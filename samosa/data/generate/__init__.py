"""The offline teacher: conversations made from banks and drawn by seed, with results computed by the real tools."""

from collections.abc import Callable, Iterator

from samosa.data.generate import persona, quoting, rows
from samosa.data.generate.rows import Row
from samosa.errors import BadInput

VERSION = "11"  # part of the fingerprint of everything made here: raise it when the same seed gives other rows


def kinds() -> tuple[str, ...]:
    """Name the kinds of rows that can be generated."""
    return tuple(GENERATORS)


def generate(
    kind: str,
    *,
    rows: int,
    seed: int,
    real_share: float,
    failed_search_share: float,
    think_share: float,
    follow_up_share: float,
) -> Iterator[Row]:
    """Yield `rows` rows of `kind`; the same arguments give the same rows.

    Shares are probabilities in [0, 1] and matter to the kinds that have entities, searches, thoughts or second turns.
    Raises BadInput for an unknown kind.
    """
    if kind not in GENERATORS:
        raise BadInput(f"there is no generator for {kind!r} rows", hint=f"one of: {', '.join(GENERATORS)}")
    shares = {
        "real_share": real_share,
        "failed_search_share": failed_search_share,
        "think_share": think_share,
        "follow_up_share": follow_up_share,
    }
    make, wanted = GENERATORS[kind]
    return make(rows=rows, seed=seed, **{name: shares[name] for name in wanted})


GENERATORS: dict[str, tuple[Callable[..., Iterator[Row]], tuple[str, ...]]] = {
    "joint": (rows.joint_rows, ("real_share", "failed_search_share", "think_share", "follow_up_share")),
    "think_only": (rows.think_only_rows, ("real_share",)),
    "tool_only": (rows.tool_only_rows, ("real_share",)),
    "quoting": (quoting.quoting_rows, ()),
    **{kind: (persona.rows_of(kind), ()) for kind in persona.KINDS},
}
