"""Looking more than once at growing evidence, without erring more often than one look would."""

import itertools


def spent(share: float, *, level: float) -> float:
    """How much of `level` may be spent when `share` of the budget has been looked at: level share^2.

    The power family (Kim & DeMets 1987, exponent 2): it keeps most for the late looks. A model that is clearly bad is
    found out at the first look all the same, and a good one is held up by the last few of many claims.
    """
    if not (0 <= share <= 1 and 0 < level < 1):
        raise ValueError(f"spending needs 0 <= share <= 1 and 0 < level < 1, not {share}, {level}")
    return level * share**2


def levels(looks: int, *, level: float) -> list[float]:
    """The level of each of `looks` equal looks. They sum to `level`, so by Bonferroni's inequality all looks together
    err at most that often, whatever is tested at them and however the looks depend on each other.
    """
    if looks < 1:
        raise ValueError(f"there is no plan of {looks} looks")
    edges = [spent(look / looks, level=level) for look in range(looks + 1)]
    return [after - before for before, after in itertools.pairwise(edges)]
