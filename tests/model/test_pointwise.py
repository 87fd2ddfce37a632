"""Norm and squared ReLU against PyTorch's own forms, values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from samosa.model.pointwise import relu_squared, rms_norm


@pytest.mark.parametrize("scale", [1.0, 1.2])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_the_norm_and_its_gradient_are_pytorchs(dtype, close, scale):
    x = torch.randn(3, 5, 4, 16, generator=torch.Generator().manual_seed(1)).to(dtype)
    x[0, 0] = 0.0  # where only eps stands between us and a division by zero
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(dtype) * 1e-3
    values, grads = zip(*(_run(f, x, grad) for f in (_plain_norm(scale), lambda y: rms_norm(y, scale))), strict=True)
    torch.testing.assert_close(values[1], values[0], rtol=close, atol=close)
    torch.testing.assert_close(grads[1], grads[0], rtol=close, atol=close)


def test_squared_relu_and_its_gradient_are_pytorchs():
    x = torch.randn(7, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grad = torch.randn_like(x)
    (value, slope), (expected, expected_slope) = (
        _run(f, x, grad) for f in (relu_squared, lambda y: F.relu(y).square())
    )
    torch.testing.assert_close(value, expected, rtol=0, atol=0)
    torch.testing.assert_close(slope, expected_slope, rtol=1e-14, atol=0)


def test_gradients_are_those_of_finite_differences():
    x = torch.randn(2, 3, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda y: rms_norm(y, 1.2), x)
    assert torch.autograd.gradcheck(relu_squared, x)


def _plain_norm(scale):
    return lambda y: F.rms_norm(y, (y.size(-1),)) * scale


def _run(function, x, grad):
    leaf = x.clone().requires_grad_()
    out = function(leaf)
    out.backward(grad)
    return out.detach(), leaf.grad
