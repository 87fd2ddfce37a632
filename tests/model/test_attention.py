import types
import unittest.mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.errors import BadInput, NotReady
from samosa.model import attention, layout
from samosa.model.attention import attend, choose_backend, documents
from samosa.model.layout import document_starts, sdpa_layout, varlen_layout
from tests.model.tiny import packed_positions

CPU = torch.device("cpu")
ROWS = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=8), min_size=1, max_size=3)


def reference(q, k, v, positions, window):
    """Attention [B, T, H, D] under a dense mask."""
    document = (positions == 0).cumsum(1)
    place = torch.arange(q.size(1))
    ago = place[:, None] - place[None, :]
    mask = (ago >= 0) & (ago <= window) & (document[:, :, None] == document[:, None, :])
    k, v = (x.repeat_interleave(q.size(2) // x.size(2), dim=2) for x in (k, v))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.size(-1) ** 0.5
    weights = scores.masked_fill(~mask[:, None], float("-inf")).softmax(-1)
    return torch.einsum("bhqk,bkhd->bqhd", weights, v)


def equal_rows(lengths):
    longest = max(sum(row) for row in lengths)
    return [[*row[:-1], row[-1] + longest - sum(row)] for row in lengths]


def tensors(positions, heads, kv_heads, seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(*positions.shape, count, 8, generator=generator, dtype=torch.float64, requires_grad=True)
        for count in (heads, kv_heads, kv_heads)
    ]


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 70), st.sampled_from([(2, 2), (4, 2)]), st.sampled_from([1, 80]), st.integers(0, 99))
def test_any_layout_and_window_equal_the_dense_mask_gradients_included(lengths, window, heads, own_call, seed):
    positions = packed_positions(equal_rows(lengths))
    q, k, v = tensors(positions, *heads, seed)
    with unittest.mock.patch.object(layout, "OWN_CALL", own_call):
        found = attend(q, k, v, window, sdpa_layout(positions, *positions.shape, (window, 500), CPU))
    expected = reference(q, k, v, positions, window)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for a, b in zip(
        torch.autograd.grad(found, (q, k, v), upstream), torch.autograd.grad(expected, (q, k, v), upstream), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@pytest.mark.parametrize("window", [7, 64, 500])
def test_one_document_a_row_needs_no_positions(window):
    positions = torch.arange(50).repeat(2, 1)
    q, k, v = tensors(positions, 2, 2, 0)
    found = attend(q, k, v, window, sdpa_layout(None, 2, 50, (window,), CPU))
    torch.testing.assert_close(found, reference(q, k, v, positions, window), atol=1e-10, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_lower_precision_stays_near(dtype, tolerance):
    positions = packed_positions([[30, 3, 60], [13, 40, 40]])
    q, k, v = (x.detach() for x in tensors(positions, 2, 2, 0))
    made = sdpa_layout(positions, *positions.shape, (16,), CPU)
    found = attend(q.to(dtype), k.to(dtype), v.to(dtype), 16, made)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), reference(q, k, v, positions, 16), atol=tolerance, rtol=0)


def test_layers_whose_windows_hold_every_document_share_one_plan():
    positions = packed_positions([[30, 20], [10, 40]])
    plans = sdpa_layout(positions, 2, 50, (39, 200, 64, 12), CPU).plans
    assert plans[39] is plans[200] is plans[64]
    assert plans[12] is not plans[39]


def test_documents_of_like_length_share_a_call_with_little_padding():
    generator = torch.Generator().manual_seed(0)
    row = torch.randint(20, 130, (60,), generator=generator).tolist()
    positions = packed_positions([row])
    plan = sdpa_layout(positions, 1, sum(row), (5000,), CPU).plans[5000]
    assert len(plan.buckets) < 10
    assert plan.index.numel() < 1.25 * sum(row)
    assert plan.index[plan.inverse].tolist() == list(range(sum(row)))


def test_longer_documents_have_a_call_each():
    positions = packed_positions([[90, 110], [200]])
    assert sdpa_layout(positions, 2, 200, (500,), CPU).plans[500].lengths == (90, 110, 200)


def test_a_row_that_begins_inside_a_document_is_on_its_own():
    assert document_starts(torch.tensor([[5, 6, 0, 1], [2, 0, 0, 1]])).tolist() == [0, 2, 4, 5, 6]


def varlen_reference(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, window_size, enable_gqa):
    """torch's varlen_attn as its documentation describes it, one document at a time."""
    assert cu_seq_q.dtype == torch.int32
    assert cu_seq_q is cu_seq_k
    assert enable_gqa or query.size(1) == key.size(1)
    left, right = window_size
    assert right == 0
    out = torch.empty_like(query)
    for start, stop in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
        assert 0 <= stop - start <= max_q == max_k
        if stop > start:
            positions = torch.arange(stop - start)[None]
            window = left if left >= 0 else stop
            q, k, v = (x[None, start:stop] for x in (query, key, value))
            out[start:stop] = reference(q, k, v, positions, window)[0]
    return out


@pytest.mark.parametrize("window", [5, 30, 5000])
def test_the_varlen_kernel_is_given_the_same_attention(monkeypatch, window):
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", varlen_reference)
    positions = packed_positions([[30, 3, 27], [13, 40, 7]])
    q, k, v = tensors(positions, 4, 2, 0)
    made = documents(positions, *positions.shape, (window,), backend="varlen", device=CPU)
    found = attend(q, k, v, window, made)
    torch.testing.assert_close(found, reference(q, k, v, positions, window), atol=1e-10, rtol=0)


@pytest.mark.parametrize("documents_in_row", [1, 2, 63, 64, 65, 300])
def test_cu_seqlens_come_in_few_shapes_and_end_in_empty_documents(documents_in_row):
    row = [2] * (documents_in_row - 1) + [700 - 2 * (documents_in_row - 1)]
    made = varlen_layout(packed_positions([row]), 1, 700, CPU)
    found = made.cu_seqlens.tolist()
    assert len(found) in (65, 129, 257, 513)
    assert found[: documents_in_row + 1] == [0, *torch.tensor(row).cumsum(0).tolist()]
    assert set(found[documents_in_row:]) == {700}


def test_without_positions_each_row_is_a_document_for_varlen():
    assert varlen_layout(None, 3, 10, CPU).cu_seqlens.tolist() == [0, 10, 20, 30]


def test_a_fast_path_that_is_missing_is_an_error_unless_the_fallback_is_allowed():
    assert choose_backend("auto", "cpu", allow_fallback=False) == "sdpa"
    assert choose_backend("sdpa", "cuda", allow_fallback=False) == "sdpa"
    assert choose_backend("varlen", "cpu", allow_fallback=True) == "sdpa"
    with pytest.raises(NotReady, match="it needs CUDA"):
        choose_backend("varlen", "cpu", allow_fallback=False)
    with pytest.raises(BadInput, match="flash"):
        choose_backend("flash", "cpu", allow_fallback=True)


@pytest.mark.parametrize(
    ("capability", "dtype", "expected"),
    [((9, 0), torch.bfloat16, "varlen"), ((7, 5), torch.bfloat16, "sdpa"), ((8, 0), torch.float32, "sdpa")],
)
def test_gpus_get_varlen_where_its_kernel_runs(monkeypatch, capability, dtype, expected):
    cuda = types.SimpleNamespace(is_available=lambda: True, get_device_capability=lambda device: capability)
    monkeypatch.setattr(attention.torch, "cuda", cuda)
    assert choose_backend("auto", "cuda", allow_fallback=False, dtype=dtype) == expected
