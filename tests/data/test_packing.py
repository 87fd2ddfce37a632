"""Packing: everything placed once, every target learnt once, and nothing lost unsaid."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.data import packing
from samosa.data.packing import Doc, best_fit, pack_documents, pack_to, packed_once, row_dtype, shuffled
from samosa.data.rows import ACCOUNT_COLUMNS, account_table
from samosa.errors import BadInput

PAD = 99


def documents_in(rows):
    """Each row cut at its position restarts: a list of (ids, targets) as tuples, padding left out."""
    found = []
    for ids, targets, positions in zip(rows.ids, rows.targets, rows.positions, strict=True):
        starts = [*np.flatnonzero(positions == 0).tolist(), len(ids)]
        for start, end in itertools.pairwise(starts):
            assert positions[start:end].tolist() == list(range(end - start))
            if set(ids[start:end].tolist()) != {PAD}:
                found.append((tuple(ids[start:end].tolist()), tuple(targets[start:end].tolist())))
    return found


def transitions(doc):
    """(token, what it must learn to predict) for every supervised place of a document."""
    ids, mask = list(doc.ids), list(doc.mask)
    pairs = [(a, b) for a, b, m in zip(ids, ids[1:], mask[1:], strict=False) if m]
    return pairs + ([(ids[-1], doc.end_target)] if doc.end_target is not None else [])


docs_strategy = st.lists(
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 1)), min_size=1, max_size=40).flatmap(
        lambda pairs: st.builds(
            Doc,
            ids=st.just([i for i, _ in pairs]),
            mask=st.just([m for _, m in pairs]),
            end_target=st.sampled_from([None, 91]),
            source=st.sampled_from(["joint", "creator"]),
            row=st.integers(1, 999),
        )
    ),
    min_size=1,
    max_size=30,
)


@given(st.lists(st.integers(1, 64), max_size=200), st.integers(64, 80))
@settings(max_examples=60, deadline=None)
def test_each_length_is_placed_once_and_no_bin_overflows(lengths, capacity):
    bins = best_fit(lengths, capacity)
    assert sorted(i for group in bins for i in group) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in group) <= capacity for group in bins)
    assert bins == best_fit(np.array(lengths, dtype=np.int64), capacity)


def best_fit_decreasing_by_hand(lengths, capacity):
    """The same rule by scanning all bins, which are kept in the order of their last change."""
    bins = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        rooms = [capacity - sum(lengths[j] for j in b) for b in bins]
        fitting = [room for room in rooms if room >= lengths[i]]
        at = max(k for k, room in enumerate(rooms) if room == min(fitting)) if fitting else None
        bins.append([*(bins.pop(at) if at is not None else []), i])
    return bins


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_bins_are_those_of_best_fit_decreasing(lengths):
    def sizes(bins):
        return sorted(sorted(lengths[i] for i in group) for group in bins)

    assert sizes(best_fit(lengths, 50)) == sizes(best_fit_decreasing_by_hand(lengths, 50))


def test_a_length_that_fits_no_bin_is_refused():
    with pytest.raises(ValueError, match=r"1\.\.8"):
        best_fit([3, 9], 8)


@given(docs_strategy, st.integers(2, 41), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_splitting_loses_no_target_and_the_account_adds_up(docs, length, seed):
    rows = pack_documents(docs, length=length, overlong="split", seed=seed, pad=PAD)
    learnt = [pair for ids, targets in documents_in(rows) for pair in zip(ids, targets, strict=True) if pair[1] >= 0]
    assert sorted(learnt) == sorted(pair for doc in docs for pair in transitions(doc))
    assert rows.counts["nll"].sum() == len(learnt) == rows.supervised
    for source, account in rows.accounts.items():
        mine = [doc for doc in docs if doc.source == source]
        overlong = [doc for doc in mine if len(doc.ids) > length]
        assert (account.documents, account.split) == (len(mine), len(overlong))
        assert account.kept == len(mine) - len(overlong) and account.dropped == 0
        assert account.repeated == account.pieces - account.documents
        assert account.given == sum(len(doc.ids) for doc in mine) == account.tokens - account.repeated


@given(docs_strategy, st.integers(2, 41))
@settings(max_examples=40, deadline=None)
def test_documents_that_fit_are_placed_whole_and_dropped_ones_are_counted(docs, length):
    rows = pack_documents(docs, length=length, overlong="drop", seed=0, pad=PAD)
    fitting = [doc for doc in docs if len(doc.ids) <= length]
    assert sorted(ids for ids, _ in documents_in(rows)) == sorted(tuple(doc.ids) for doc in fitting)
    assert sum(a.dropped for a in rows.accounts.values()) == len(docs) - len(fitting)
    lost = sum(len(doc.ids) for doc in docs if len(doc.ids) > length)
    assert sum(a.dropped_tokens for a in rows.accounts.values()) == lost
    assert rows.tokens == sum(len(doc.ids) for doc in fitting)


def test_a_piece_ends_with_the_token_the_next_begins_with():
    doc = Doc(ids=list(range(10)), mask=[0] + [1] * 9, end_target=42)
    rows = pack_documents([doc], length=4, overlong="split", seed=0, pad=PAD)
    assert sorted(documents_in(rows)) == [
        ((0, 1, 2, 3), (1, 2, 3, -1)),
        ((3, 4, 5, 6), (4, 5, 6, -1)),
        ((6, 7, 8, 9), (7, 8, 9, 42)),
    ]


def test_an_overlong_document_is_named_by_source_and_row():
    docs = [Doc(ids=[1, 2], mask=[0, 1]), Doc(ids=[1] * 9, mask=[1] * 9, source="joint.jsonl", row=17)]
    with pytest.raises(BadInput, match=r"joint\.jsonl:17: 9 tokens do not fit a row of 8"):
        pack_documents(docs, length=8, overlong="error", seed=0, pad=PAD)


def test_unsupervised_and_last_tokens_have_no_target():
    doc = Doc(ids=[5, 6, 7, 8], mask=[0, 0, 1, 1])
    rows = pack_documents([doc], length=6, overlong="error", seed=0, pad=PAD)
    assert rows.ids[0].tolist() == [5, 6, 7, 8, PAD, PAD]
    assert rows.targets[0].tolist() == [-1, 7, 8, -1, -1, -1]
    assert rows.positions[0].tolist() == [0, 1, 2, 3, 0, 1]


def test_the_caller_says_what_a_row_counts():
    docs = [Doc(ids=[5, 6, 7], mask=[0, 1, 1])] * 3
    rows = pack_documents(
        docs, length=6, overlong="error", seed=0, pad=PAD, row_counts=lambda t: {"pairs": (t == 7).sum(axis=1)}
    )
    assert set(rows.counts) == {"pairs"} and rows.counts["pairs"].tolist() in ([2, 1], [1, 2])


@pytest.mark.parametrize(
    ("ids", "pad", "dtype"),
    [
        ([1, 32_768], PAD, np.int16),
        ([1, 2], 32_768, np.int16),
        ([1, 2], PAD, np.int8),
        (np.array([1, 2**32 + 5]), PAD, np.int32),
    ],
)
def test_an_id_that_its_dtype_cannot_hold_is_refused(ids, pad, dtype):
    with pytest.raises(ValueError, match="does not fit"):
        pack_documents([Doc(ids=ids, mask=[1, 1])], length=200, overlong="error", seed=0, pad=pad, dtype=dtype)


def test_the_largest_id_of_a_dtype_is_stored():
    rows = pack_documents(
        [Doc(ids=[1, 32_767], mask=[1, 1])], length=2, overlong="error", seed=0, pad=PAD, dtype=row_dtype(32_768, 2)
    )
    assert rows.ids.tolist() == [[1, 32_767]] and rows.targets.tolist() == [[32_767, -1]]
    assert {array.dtype for array in (rows.ids, rows.targets, rows.positions)} == {np.dtype(np.int16)}
    assert row_dtype(32_769, 2) == row_dtype(2, 32_769) == np.int32


def test_rows_are_shuffled_by_the_seed_and_by_nothing_else():
    docs = [Doc(ids=[i] * (i % 7 + 1), mask=[1] * (i % 7 + 1)) for i in range(60)]
    packed = [pack_documents(docs, length=8, overlong="error", seed=s, pad=PAD) for s in (1, 1, 2)]
    assert packed[0].key == packed[1].key != packed[2].key
    assert sorted(map(tuple, packed[0].ids.tolist())) == sorted(map(tuple, packed[2].ids.tolist()))


def philox4x64(counter, key):
    """Four 64-bit words by the paper's ten rounds (Salmon et al. 2011, section 3.3)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [right >> 64 ^ c[1] ^ k[0], right % 2**64, left >> 64 ^ c[3] ^ k[1], left % 2**64]
        k = [(k[0] + 0x9E3779B97F4A7C15) % 2**64, (k[1] + 0xBB67AE8584CAA73B) % 2**64]
    return c


@pytest.mark.parametrize(("seed", "stream"), [(0, 0), (42, 3), (-1, 1)])
def test_the_permutation_sorts_the_words_of_philox_whatever_the_library(seed, stream):
    words = [w for block in range(1, 6) for w in philox4x64([block, 0, 0, 0], [seed % 2**64, stream])]
    assert shuffled(20, seed, stream).tolist() == sorted(range(20), key=words.__getitem__)


@pytest.mark.parametrize(("mu", "sigma", "low", "least"), [(5.5, 0.9, 16, 0.997), (7.3, 0.7, 64, 0.997)])
def test_rows_are_full_on_lengths_like_chats_and_like_long_reasoning(mu, sigma, low, least):
    seed = np.random.SeedSequence().entropy
    lengths = np.clip(np.random.default_rng(seed).lognormal(mu, sigma, 50_000), low, 4096).astype(np.int64)
    assert lengths.sum() / (len(best_fit(lengths, 4096)) * 4096) >= least, f"seed {seed}"


@given(docs_strategy, st.integers(2, 41), st.sampled_from(["split", "drop"]))
@settings(max_examples=40, deadline=None)
def test_tokens_and_targets_in_are_those_in_rows_and_those_counted_as_lost(docs, length, overlong):
    rows = pack_documents(docs, length=length, overlong=overlong, seed=0, pad=PAD)
    accounts = rows.accounts.values()
    placed = sum(len(ids) for ids, _ in documents_in(rows))
    assert sum(len(doc.ids) for doc in docs) == placed + sum(a.dropped_tokens - a.repeated for a in accounts)
    assert sum(len(transitions(doc)) for doc in docs) == (rows.targets >= 0).sum() + sum(
        a.dropped_supervised for a in accounts
    )
    *lines, last = account_table(rows.accounts)
    figures = dict(zip(ACCOUNT_COLUMNS[1:], (int(cell.replace(",", "")) for cell in last[1:]), strict=True))
    assert figures["documents"] == figures["kept"] + figures["split"] + figures["dropped"] == len(docs)
    assert figures["tokens"] + figures["repeated"] == figures["in rows"] + figures["dropped tokens"]
    assert [line[0] for line in [*lines, last]] == (["creator", "joint", "all"] if lines else list(rows.accounts))


def many(n, sizes=7):
    return [Doc(ids=[i % 90] * (i % sizes + 1), mask=[1] * (i % sizes + 1), source="s", row=i) for i in range(n)]


def test_windows_hold_so_many_tokens_and_lose_nothing(monkeypatch):
    whole = pack_documents(many(60), length=8, overlong="error", seed=1, pad=PAD)
    monkeypatch.setattr(packing, "WINDOW_TOKENS", 50)
    read = []
    parts = pack_documents((read.append(d) or d for d in many(60)), length=8, overlong="error", seed=1, pad=PAD)
    assert sorted(documents_in(parts)) == sorted(documents_in(whole)) and parts.accounts == whole.accounts
    windows = packing._windows(iter(read), 8, "error", {})
    assert [window.tokens <= 50 + 8 for window in windows] == [True] * 5


def test_rows_written_window_by_window_are_those_made_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "WINDOW_TOKENS", 50)
    settings = {"length": 8, "overlong": "split", "seed": 1, "pad": PAD, "dtype": np.int16}
    there = pack_to(tmp_path / "rows", many(60, sizes=11), **settings)
    here = pack_documents(many(60, sizes=11), **settings)
    assert (there.key, there.accounts) == (here.key, here.accounts)
    assert isinstance(there.ids, np.memmap) and there.counts["nll"].tolist() == here.counts["nll"].tolist()
    assert len(pack_to(tmp_path / "none", [], **settings)) == 0


def test_a_failure_while_packing_leaves_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "WINDOW_TOKENS", 50)
    settings = {"length": 8, "overlong": "error", "seed": 1, "pad": PAD}
    before = pack_to(tmp_path / "rows", many(9), **settings).key
    with pytest.raises(BadInput, match="do not fit"):
        pack_to(tmp_path / "rows", [*many(60), Doc(ids=[1] * 9, mask=[1] * 9)], **settings)
    assert [p.name for p in tmp_path.iterdir()] == ["rows"]
    assert packed_once(tmp_path / "rows", lambda: pytest.fail("packed again"), **settings)[0].key == before


def test_rows_with_a_flipped_bit_are_packed_again(tmp_path):
    settings = {"length": 8, "overlong": "error", "seed": 1, "pad": PAD}
    good, there = packed_once(tmp_path / "rows", lambda: many(30), **settings)
    assert not there
    path = tmp_path / "rows" / "targets.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    again, there = packed_once(tmp_path / "rows", lambda: many(30), **settings)
    assert not there and again.key == good.key
    assert packed_once(tmp_path / "rows", lambda: many(30), **settings)[1]
