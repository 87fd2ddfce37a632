import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.model.cache import KVCache
from tests.model.tiny import tiny_config, tiny_model

TOKENS = torch.randint(0, 61, (4, 60), generator=torch.Generator().manual_seed(5))


def whole(model):
    """Logits [4, 60, V] without a cache."""
    with torch.no_grad():
        return model(TOKENS)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=6), st.booleans())
def test_rows_may_grow_by_any_chunks_at_any_pace(chunks, shuffled):
    model = tiny_model(tiny_config(windows=(6, 3, 300)))
    expected = whole(model)
    cache = KVCache(model.config, rows=4, length=60, dtype=torch.float64)
    done = [0, 0, 0, 0]
    rows = torch.tensor([2, 0, 3, 1]) if shuffled else None
    order = [2, 0, 3, 1] if shuffled else [0, 1, 2, 3]
    for sizes in chunks:
        ids = torch.full((4, max(1, *sizes)), 60)
        for i, row in enumerate(order):
            ids[i, : sizes[i]] = TOKENS[row, done[row] : done[row] + sizes[i]]
        with torch.no_grad():
            logits = model(ids, cache=cache, rows=rows, lengths=torch.tensor(sizes))
        assert torch.isfinite(logits).all()
        for i, row in enumerate(order):
            done[row] += sizes[i]
            if sizes[i]:
                torch.testing.assert_close(logits[i], expected[row, done[row] - 1], atol=1e-9, rtol=0)
    assert cache.lengths.tolist() == done


def test_new_rows_are_filled_while_others_wait():
    model = tiny_model()
    expected = whole(model)
    cache = KVCache(model.config, rows=4, length=60, dtype=torch.float64)
    with torch.no_grad():
        model(TOKENS[:2, :40], cache=cache, rows=torch.tensor([0, 1]))
        late = model(TOKENS[2:, :7], cache=cache, rows=torch.tensor([3, 2]), lengths=torch.tensor([7, 5]))
        step = model(TOKENS[[0, 1, 3, 2], [40, 40, 5, 7]].unsqueeze(1), cache=cache)
    torch.testing.assert_close(late, torch.stack([expected[2, 6], expected[3, 4]]), atol=1e-9, rtol=0)
    torch.testing.assert_close(step, expected[[0, 1, 3, 2], [40, 40, 5, 7]], atol=1e-9, rtol=0)


def test_a_freed_row_forgets_its_old_tokens():
    model = tiny_model()
    cache = KVCache(model.config, rows=2, length=60, dtype=torch.float64)
    with torch.no_grad():
        model(TOKENS[:2, :50], cache=cache)
        cache.reset_row(1)
        model(TOKENS[3:, :3], cache=cache, rows=torch.tensor([1]))
        logits = model(TOKENS[3:, 3:4], cache=cache, rows=torch.tensor([1]))
    torch.testing.assert_close(logits[0], whole(model)[3, 3], atol=1e-9, rtol=0)
    assert cache.lengths.tolist() == [50, 4]


def test_a_row_and_its_copies_and_a_smaller_cache_go_on_alike():
    model = tiny_model()
    expected = whole(model)
    cache, other = (KVCache(model.config, rows=3, length=60, dtype=torch.float64) for _ in range(2))
    with torch.no_grad():
        model(TOKENS[:1, :20], cache=other, rows=torch.tensor([1]))
        cache.begin_with(other, 1, torch.tensor([0, 2]))
        cache.compact(torch.tensor([2, 0]))
        logits = model(TOKENS[[0, 0], 20:21], cache=cache)
    torch.testing.assert_close(logits, expected[[0, 0], [20, 20]], atol=1e-9, rtol=0)


def test_a_step_reads_no_further_than_the_longest_row():
    model = tiny_model(dtype=torch.float32)
    cache = KVCache(model.config, rows=2, length=60)
    with torch.no_grad():
        model(TOKENS[:2, :10], cache=cache)
        cache.k[:, :, 11:], cache.v[:, :, 11:] = float("nan"), float("nan")
        assert torch.isfinite(model(TOKENS[:2, 10:11], cache=cache)).all()


def test_a_full_row_is_refused_and_an_idle_full_row_is_not():
    model = tiny_model(dtype=torch.float32)
    cache = KVCache(model.config, rows=2, length=12)
    with torch.no_grad():
        model(TOKENS[:2, :12], cache=cache, lengths=torch.tensor([12, 4]))
        kept = cache.k[:, 0, :12].clone()
        model(TOKENS[:2, 12:13], cache=cache, lengths=torch.tensor([0, 1]))
        assert torch.equal(cache.k[:, 0, :12], kept)
        with pytest.raises(ValueError, match="13 tokens"):
            model(TOKENS[:2, 12:13], cache=cache)
