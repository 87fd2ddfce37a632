"""FP8 products against numbers rounded by hand, and where FP8 is refused or left out."""

import pytest
import torch

from samosa.errors import NotReady
from samosa.model import fp8
from samosa.model.block import Linear
from tests.model.tiny import tiny_config, tiny_model


def rounded(x, *, mantissa, least_exponent):
    """To the nearest number with so many bits of mantissa, ties to even; below 2^least_exponent equally spaced."""
    exponent = x.abs().clamp(min=1e-300).log2().floor().clamp(min=least_exponent)
    spacing = torch.exp2(exponent - mantissa)
    return (x / spacing).round() * spacing


E4M3 = {"mantissa": 3, "least_exponent": -6}
E5M2 = {"mantissa": 2, "least_exponent": -14}


def by_hand(x, largest, shape):
    """x through 8 bits and back, in float64."""
    scale = (torch.tensor(largest) / x.detach().abs().max().float()).double()
    return rounded((x.detach().float() * scale.float()).double(), **shape) / scale


def tensors(*shapes, dtype=torch.bfloat16):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).to(dtype) for shape in shapes]


@pytest.mark.parametrize(("dtype", "largest", "shape"), [(fp8.E4M3, 448.0, E4M3), (fp8.E5M2, 57344.0, E5M2)])
def test_quantising_rounds_to_the_nearest_number_of_the_format(dtype, largest, shape):
    (x,) = tensors((64, 64), dtype=torch.float32)
    x[0] *= 1e-6  # down to where the format's numbers are equally spaced
    small, back = fp8.quantised(x, dtype)
    assert small.double().abs().max() == largest
    torch.testing.assert_close(small.double() * back.double(), by_hand(x, largest, shape), rtol=1e-6, atol=1e-12)


def test_output_and_gradients_are_the_products_of_the_rounded_numbers():
    x, upstream = tensors((3, 16, 64), (3, 16, 32))
    (weight,) = tensors((32, 64), dtype=torch.float32)
    x.requires_grad_(), weight.requires_grad_()
    out = fp8.linear(x, weight)
    out.backward(upstream)
    x8, w8, g8 = by_hand(x, 448.0, E4M3), by_hand(weight, 448.0, E4M3), by_hand(upstream, 57344.0, E5M2)
    for ours, exact in [
        (out, x8 @ w8.t()),
        (x.grad, g8 @ w8),
        (weight.grad, g8.flatten(0, 1).t() @ x8.flatten(0, 1)),
    ]:
        assert (ours.double() - exact).norm() / exact.norm() < 4e-3  # half a unit of bf16's last place
    assert (out.dtype, x.grad.dtype, weight.grad.dtype) == (torch.bfloat16, torch.bfloat16, torch.float32)


def test_zeros_stay_zeros_and_what_is_not_finite_is_seen():
    (weight,) = tensors((16, 16), dtype=torch.float32)
    assert not fp8.linear(torch.zeros(16, 16, dtype=torch.bfloat16), weight).any()
    bad = torch.ones(16, 16, dtype=torch.bfloat16)
    bad[0, 0] = torch.nan
    assert fp8.linear(bad, weight).isnan().any()


def test_only_matrices_of_fitting_shape_are_converted_and_only_training_sees_it():
    model = tiny_model(tiny_config(n_embd=64), dtype=torch.float32)
    block = model.blocks[-1]
    fp8.convert(block)
    assert block.attn.c_q.fp8 and block.mlp.c_fc.fp8 and block.mlp.c_proj.fp8
    assert not block.attn.ve_gate.fp8 and not model.lm_head.fp8
    (x,) = tensors((16, 64))
    linear: Linear = block.attn.c_q
    plain = torch.nn.functional.linear(x, linear.weight.bfloat16())
    assert not torch.equal(linear(x), plain)
    with torch.no_grad():
        assert torch.equal(linear(x), plain)


def test_a_device_without_fp8_refuses_it():
    with pytest.raises(NotReady, match="needs CUDA"):
        tiny_model().train_with(compiled=False, recompute=False, use_fp8=True)
