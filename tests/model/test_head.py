import pytest
import torch
import torch.nn.functional as F

from samosa.model import head

V = 50


def case(dtype, *, count=37, width=24, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(2, count, width, generator=g, dtype=torch.float64).to(dtype)
    weight = torch.randn(64, width, generator=g, dtype=torch.float64).to(dtype)
    targets = torch.randint(-30, V, (2, count), generator=g).clamp(min=-1)
    return x.requires_grad_(), weight.requires_grad_(), targets


def dense(x, weight, targets, reduction):
    logits = 15 * torch.tanh(x.flatten(0, 1) @ weight[:V].T / 15)
    return F.cross_entropy(logits, targets.flatten(), ignore_index=-1, reduction=reduction)


@pytest.fixture
def small_chunks(monkeypatch):
    """Several chunks of several slabs, the last of each short."""
    monkeypatch.setattr(head, "_sizes", lambda *_: (8, 3))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_sum_and_its_gradients_are_those_of_dense_cross_entropy(dtype, tolerance, small_chunks):
    x, weight, targets = case(dtype)
    expected = dense(x, weight, targets, "sum") / 7
    found = head.nll_sum(x, weight, targets, V) / 7
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)
    for a, b in zip(torch.autograd.grad(found, (x, weight)), torch.autograd.grad(expected, (x, weight)), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_each_nll_may_have_its_own_weight(dtype, tolerance, small_chunks):
    x, weight, targets = case(dtype)
    upstream = torch.randn(int((targets >= 0).sum()), generator=torch.Generator().manual_seed(1), dtype=dtype)
    expected = dense(x, weight, targets, "none")[targets.flatten() >= 0]
    found = head.nll_none(x, weight, targets, V)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    for a, b in zip(
        torch.autograd.grad(found @ upstream, (x, weight)),
        torch.autograd.grad(expected @ upstream, (x, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("loss", [head.nll_sum, head.nll_none])
def test_gradients_agree_with_finite_differences(loss):
    x, weight, targets = case(torch.float64, count=5, width=6)
    assert torch.autograd.gradcheck(lambda a, b: loss(a, b, targets, V), (x, weight))


def test_padding_rows_of_the_vocabulary_take_no_part():
    x, weight, targets = case(torch.float32)
    loss = head.nll_sum(x, weight, targets, V)
    with torch.no_grad():
        louder = weight.clone()
        louder[V:] = 1e6
    assert torch.equal(loss, head.nll_sum(x, louder, targets, V))
    assert torch.count_nonzero(torch.autograd.grad(loss, weight)[0][V:]) == 0


@pytest.mark.parametrize("loss", [head.nll_sum, head.nll_none])
def test_nothing_supervised_is_exactly_zero(loss):
    x, weight, targets = case(torch.float32)
    grads = torch.autograd.grad(loss(x, weight, torch.full_like(targets, -1), V).sum(), (x, weight))
    assert all(torch.count_nonzero(grad) == 0 and torch.isfinite(grad).all() for grad in grads)


def test_huge_logits_stay_finite():
    x, weight, targets = case(torch.float32)
    loss = head.nll_sum(x * 1e6, weight, targets, V)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(loss, (x, weight)))


def test_no_gradient_is_made_where_none_is_asked_for():
    x, weight, targets = case(torch.float32)
    assert not head.nll_sum(x.detach(), weight.detach(), targets, V).requires_grad
    only_x = head.nll_sum(x, weight.detach(), targets, V)
    assert torch.autograd.grad(only_x, x)[0].shape == x.shape


def test_the_reference_is_the_equation():
    x, weight, targets = case(torch.float64)
    expected = dense(x, weight, targets, "none")[targets.flatten() >= 0]
    torch.testing.assert_close(head.dense_nll(x, weight, targets, V), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("loss", [head.nll_sum, head.nll_none])
def test_bfloat16_activations_give_a_loss_in_fp32(loss):
    x, weight, targets = case(torch.float32)
    found = loss(x.bfloat16(), weight, targets, V)
    expected = head.dense_nll(x, weight, targets, V)
    assert found.dtype == torch.float32
    assert found.sum().item() == pytest.approx(expected.sum().item(), rel=0.01)
    got, wanted = (torch.autograd.grad(of.sum(), weight)[0] for of in (found, expected))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, wanted, rtol=0.05, atol=0.05)
