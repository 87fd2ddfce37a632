import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.data.dedup import shingles
from samosa.data.dedup.shingles import jaccard, shingles_of

texts = st.lists(st.lists(st.text("abcß", min_size=1, max_size=3), max_size=12).map(" ".join), max_size=6)


def grams(text: str, size: int) -> list[tuple[str, ...]]:
    """By the definition: every run of `size` words, or all words where there are fewer."""
    words = text.split()
    return [tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))] if words else []


@settings(max_examples=15)
@given(texts, st.integers(1, 6))
def test_hashes_are_equal_just_where_n_grams_are(several, size):
    found = shingles_of(several, size)
    expected = [gram for text in several for gram in grams(text, size)]
    assert np.diff(found.offsets).tolist() == [len(grams(text, size)) for text in several]
    hashes = found.hashes.tolist()
    assert len(set(hashes)) == len(set(expected)) == len(set(zip(hashes, expected, strict=True)))


@settings(max_examples=15)
@given(texts, st.integers(1, 40))
def test_where_segments_end_changes_nothing(several, segment):
    whole = shingles_of(several, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shingles, "SEGMENT", segment)
        patch.setattr(shingles, "SCALE", pow(shingles.BASE, segment, shingles.BITS))
        patch.setattr(shingles, "UNSCALE", pow(shingles.UNBASE, segment, shingles.BITS))
        cut = shingles_of(several, 3)
    assert cut.hashes.tolist() == whole.hashes.tolist() and cut.offsets.tolist() == whole.offsets.tolist()


@settings(max_examples=15)
@given(texts.filter(lambda several: len(several) > 1 and several[0] and several[1]))
def test_similarity_is_that_of_the_sets_of_n_grams(several):
    first, second = (set(grams(text, 2)) for text in several[:2])
    one, other = list(shingles_of(several[:2], 2).sets())
    assert jaccard(one, other) == pytest.approx(len(first & second) / len(first | second), abs=0)


def test_hashes_of_many_words_do_not_meet():
    draw = random.Random(0)
    words = {"".join(draw.choices("abcdefgh", k=draw.randint(1, 8))) for _ in range(20_000)}
    assert len(np.unique(shingles_of([" ".join(sorted(words))], 1).hashes)) == len(words)


def test_a_word_longer_than_many_segments_is_one_word():
    long = "x" * (3 * shingles.SEGMENT + 5)
    assert np.diff(shingles_of([f"a {long} b", f"{long}y"], 1).offsets).tolist() == [3, 1]
