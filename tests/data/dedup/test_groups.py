import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.data.dedup.groups import Groups, first_equals, meetings
from samosa.data.dedup.shingles import jaccard


def set_of(members) -> np.ndarray:
    return np.array(sorted(members), np.uint64)


def groups_of(sets: list[np.ndarray], threshold: float, kinds=None) -> Groups:
    sizes = np.array([len(one) for one in sets])
    return Groups(sets.__getitem__, sizes, np.zeros(len(sets), np.bool_) if kinds is None else kinds, threshold)


def components(sets: list[np.ndarray], threshold: float) -> list[int]:
    """The first of each one's group, by comparing all with all until nothing changes."""
    first = list(range(len(sets)))
    changed = True
    while changed:
        changed = False
        for i in range(len(sets)):
            for j in range(i):
                if first[i] != first[j] and jaccard(sets[i], sets[j]) >= threshold:
                    first[i] = first[j] = min(first[i], first[j])
                    changed = True
    return first


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=40), st.data())
def test_the_first_equal_is_that_of_a_dictionary(keys, data):
    use = data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)))
    seen: dict[tuple[int, int], int] = {}
    expected = [seen.setdefault(key, i) if used else i for i, (key, used) in enumerate(zip(keys, use, strict=True))]
    found = first_equals(np.array(keys, np.uint64).reshape(-1, 2), np.array(use, np.bool_))
    assert found.tolist() == expected


@settings(max_examples=15)
@given(st.lists(st.integers(0, 5), max_size=30))
def test_meetings_are_the_places_of_equal_hashes(hashes):
    expected = [[i for i, h in enumerate(hashes) if h == value] for value in sorted(set(hashes))]
    found = [group.tolist() for group in meetings(np.array(hashes, np.uint64))]
    assert found == [group for group in expected if len(group) > 1]


@settings(max_examples=20)
@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=12), st.sampled_from([0.4, 0.5, 0.8]))
def test_all_that_meet_are_grouped_as_by_comparing_all_with_all(members, threshold):
    sets = [set_of(one) for one in members]
    groups = groups_of(sets, threshold)
    groups.meet(np.arange(len(sets)))
    assert [groups.root(i) for i in range(len(sets))] == components(sets, threshold)


def test_in_a_crowd_families_are_found_and_what_is_not_compared_is_counted():
    draw = random.Random(3)
    families = [draw.sample(range(1000 * n, 1000 * n + 900), 100) for n in range(20)]
    order = [number for _ in range(30) for number in range(20)]
    sets = [set_of(set(families[number]) - set(draw.sample(families[number], 5))) for number in order]
    groups = groups_of(sets, 0.8)
    groups.meet(np.arange(len(sets)))
    assert [groups.root(i) for i in range(len(sets))] == order and groups.skipped == 0
    loners = groups_of([set_of(range(10 * n, 10 * n + 10)) for n in range(100)], 0.8)
    loners.meet(np.arange(100))
    assert loners.skipped == 100 - 32 and loners.compared <= 100 * 32


def test_a_canary_and_a_row_are_never_joined():
    same = [set_of(range(20))] * 3
    groups = groups_of(same, 0.8, np.array([False, True, False]))
    groups.meet(np.arange(3))
    assert [groups.root(i) for i in range(3)] == [0, 1, 0]


def test_sets_of_too_unlike_sizes_are_not_compared():
    groups = groups_of([set_of(range(10)), set_of(range(8)), set_of(range(7))], 0.8)
    groups.meet(np.arange(3))
    assert groups.root(1) == 0 and groups.root(2) == 0 and groups.compared == 2  # 7 of 8, and not 7 of 10
    with pytest.raises(IndexError):
        groups.root(3)
