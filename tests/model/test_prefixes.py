import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.model.prefixes import SHARED_TOKENS, families


def shot(seed, length=SHARED_TOKENS):
    return random.Random(seed).choices(range(9), k=length)


def saved(sequences, found):
    """Tokens that need not be read, counted by hand."""
    return sum((len(family.members) - 1) * family.prefix for family in found)


def test_sequences_that_begin_alike_are_a_family():
    few_shot = shot(1, 50)
    found = families([[*few_shot, 20], [7, 8], [*few_shot, 21, 22], [*few_shot, 23]])
    assert [(family.prefix, family.members) for family in found] == [(50, (0, 2, 3)), (0, (1,))]


def test_at_least_one_token_of_each_is_left_to_read():
    same = shot(1, 50)
    assert [(family.prefix, family.members) for family in families([same, same, same])] == [(49, (0, 1, 2))]


def test_a_subjects_own_examples_beat_the_header_that_all_subjects_share():
    header = shot(0, 40)
    subjects = [[*header, subject, *shot(subject, 200)] for subject in (10, 11)]
    contexts = [[*subjects[i % 2], 30 + i, *shot(100 + i, 20)] for i in range(8)]
    found = sorted((family.prefix, family.members) for family in families(contexts))
    assert found == [(241, (0, 2, 4, 6)), (241, (1, 3, 5, 7))]


def test_a_short_beginning_is_not_worth_it():
    short = shot(1, SHARED_TOKENS - 1)
    assert [family.prefix for family in families([[*short, 20], [*short, 21]])] == [0]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 4)), max_size=12))
def test_everyone_is_in_one_family_and_begins_as_it_says(parts):
    sequences = [[*shot(a, 40), *shot(10 + b, 40), *shot(20 + n, n)] for a, b, n in parts]
    found = families(sequences)
    assert sorted(itertools.chain.from_iterable(family.members for family in found)) == list(range(len(sequences)))
    for family in found:
        assert len({tuple(sequences[i][: family.prefix]) for i in family.members}) == 1
        assert all(len(sequences[i]) > family.prefix for i in family.members)
    # No better than what the first parts alone would give would mean that something was missed.
    assert saved(sequences, found) >= 40 * (len(sequences) - len({a for a, _, _ in parts}))
