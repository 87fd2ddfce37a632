"""How many training rows each source gives: whole numbers, exactly what the recipe says."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from samosa.errors import BadInput


@dataclass(frozen=True)
class MixSource:
    """A file of conversations, and one of three ways to say how much of it is trained on."""

    name: str
    path: Path
    repeat: float | None = None
    """How often each row is seen; 2.5: all of them twice, and half of them, drawn by seed, once more."""
    rows: int | None = None
    """A uniform sample of so many of the file's rows, each seen once; all of them where there are fewer."""
    weight: float | None = None
    """The share of the mix's training rows, in (0, 1]: rows are left out or repeated to make it so."""


def training_rows(sources: Sequence[MixSource], kept: Sequence[int], *, total: int | None = None) -> list[int]:
    """How many training rows each source gives, of which it has `kept` different ones.

    `repeat` gives repeat x kept, rounded to the nearest row (a half up). Weighted sources share what the others leave
    of the whole: where those make F rows and the weights add up to W, the whole is F / (1 - W). Where every source
    has a weight the whole is `total`, or else what all of them have. Shares of it become whole rows by the largest
    remainder (Hamilton's method), so that each is less than a row off and their sum is exact.

    Weights are of rows and not of tokens: rows are exact, and the same on a machine without the tokenizer.
    Raises BadInput for weights that leave no room for the others, and for a weight on a source without rows.
    """
    counts = [
        0 if source.weight is not None else _repeated(_exact(source.repeat or 1), have)
        for source, have in zip(sources, kept, strict=True)
    ]
    weighted = [place for place, source in enumerate(sources) if source.weight is not None]
    if not weighted:
        return counts
    if empty := [sources[place].name for place in weighted if not kept[place]]:
        raise BadInput(f"{empty[0]} has a weight and no rows to train on", hint="give it rows, or take it out")
    weights = [_exact(sources[place].weight or 0) for place in weighted]
    asked = sum(weights, Fraction(0))
    if len(weighted) == len(sources) or not sum(counts):
        whole = total or sum(kept[place] for place in weighted)
    elif asked < 1:
        whole = _nearest(sum(counts) * asked / (1 - asked))
    else:
        raise BadInput(
            f"weights of {float(asked):g} leave nothing for the sources without one",
            hint="a weight is a share of all training rows: with other sources they add up to less than 1",
        )
    names = [sources[place].name for place in weighted]
    for place, count in zip(weighted, apportion(whole, weights, names), strict=True):
        counts[place] = count
    return counts


def apportion(whole: int, weights: Sequence[Fraction], names: Sequence[str]) -> list[int]:
    """Divide `whole` by weights into whole numbers that add up to it: the largest remainders get what rounding down
    leaves, on ties the first by name."""
    quotas = [whole * weight / sum(weights) for weight in weights]
    counts = [int(quota) for quota in quotas]
    places = sorted(range(len(weights)), key=lambda place: (counts[place] - quotas[place], names[place]))
    for place in places[: whole - sum(counts)]:
        counts[place] += 1
    return counts


def add_up(weights: Sequence[float]) -> Fraction:
    """The exact sum of weights, as they were written: 0.7 + 0.2 + 0.1 is 1."""
    return sum(map(_exact, weights), Fraction(0))


def _repeated(repeat: Fraction, rows: int) -> int:
    return _nearest(repeat * rows)


def _nearest(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def _exact(value: float) -> Fraction:
    """The decimal number that was written, not the binary one it became."""
    return Fraction(repr(value))
