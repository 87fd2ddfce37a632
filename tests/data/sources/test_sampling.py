from collections import Counter

import numpy as np
import pytest
from scipy import stats

from samosa.data.sources.sampling import ALL, cut_at, row_keys


def sample(seed, files, limit):
    """The rows, as (file, row), that a pull of these files would keep: the brute way, all keys at once."""
    rows = [(file, row) for file, count in files.items() for row in range(count)]
    keys = np.concatenate([row_keys(seed, file, 0, count) for file, count in files.items()])
    return {rows[place] for place in np.argsort(keys)[:limit]}


def test_keys_are_those_of_splitmix64():
    """Against the reference implementation's numbers for state 0, with the hash of seed and place left out."""
    state, keys = 0, []
    for _ in range(3):  # Vigna's splitmix64.c, in plain integers
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        keys.append(z ^ (z >> 31))
    assert keys[:2] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]  # published with the reference code

    import hashlib

    place = int.from_bytes(hashlib.sha256(b"7 data/train-0.parquet").digest()[:8], "big")
    state = (place + 3 * 0x9E3779B97F4A7C15) % 2**64
    z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    assert row_keys(7, "data/train-0.parquet", 2, 1)[0] == z ^ (z >> 31)


def test_keys_do_not_depend_on_how_rows_are_grouped():
    whole = row_keys(0, "a", 0, 1000)
    assert (np.concatenate([row_keys(0, "a", start, 100) for start in range(0, 1000, 100)]) == whole).all()
    assert (row_keys(1, "a", 0, 1000) != whole).all() and (row_keys(0, "b", 0, 1000) != whole).all()


def test_every_row_is_as_likely_as_any_other():
    """2,000 samples of 10 of 40 rows in three files: each is drawn about 500 times (chi-square, p of 0.001)."""
    files = {"a": 25, "b": 10, "c": 5}
    drawn = Counter(row for seed in range(2000) for row in sample(seed, files, 10))
    counts = [drawn[file, row] for file, count in files.items() for row in range(count)]
    assert len(counts) == 40 and sum(counts) == 20_000
    # Draws without replacement vary less than independent ones: by 1 - 10/40.
    statistic = sum((count - 500) ** 2 / 500 for count in counts) / 0.75
    assert statistic < stats.chi2.ppf(0.999, df=39)


def test_the_cut_keeps_exactly_the_smallest_keys():
    keys = np.array([50, 10, 40, 20, 30], dtype=np.uint64)
    ones = np.ones(5, dtype=np.int64)
    assert cut_at(keys, ones, 3) == 40
    assert cut_at(keys, ones, 5) == cut_at(keys, ones, None) == ALL


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (7, 1), (8, 1), (9, 2), (10, 2), (26, 4), (27, 5), (1000, 5)])
def test_rows_with_weights_are_kept_while_they_fit_together(limit, kept):
    keys, weights = np.array([5, 1, 4, 2, 3], dtype=np.uint64), np.array([1, 7, 9, 2, 8], dtype=np.int64)
    assert (keys < cut_at(keys, weights, limit)).sum() == kept


def test_rows_over_the_cut_of_some_files_are_over_the_cut_of_all():
    rng = np.random.default_rng(0)
    files = [row_keys(0, str(n), 0, 300) for n in range(5)]
    weights = [rng.integers(1, 50, 300) for _ in files]
    cuts = [cut_at(np.concatenate(files[: n + 1]), np.concatenate(weights[: n + 1]), 4000) for n in range(5)]
    assert cuts == sorted(cuts, reverse=True)
