import pytest
import torch

from samosa.errors import BadInput, NotReady
from samosa.model import precision
from samosa.model.precision import choose_dtype


@pytest.mark.parametrize(
    ("bf16_seconds", "expected"), [(0.1, torch.bfloat16), (0.95, torch.float32), (10.0, torch.float32)]
)
def test_a_cpu_computes_in_what_is_clearly_faster_on_it_and_says_why(monkeypatch, bf16_seconds, expected):
    seconds = {torch.float32: 1.0, torch.bfloat16: bf16_seconds}
    monkeypatch.setattr(precision, "_matmul_seconds", seconds.__getitem__)
    dtype, reason = choose_dtype("auto", "cpu")
    assert dtype is expected
    assert "1000.00 ms in float32" in reason


def test_the_timing_is_real():
    dtype, reason = choose_dtype("auto", "cpu")
    assert dtype in (torch.float32, torch.bfloat16)
    assert reason.count(" ms in ") == 2


def test_what_is_asked_for_is_taken():
    assert choose_dtype("float64", "cpu") == (torch.float64, "asked for")


def test_gpus_compute_in_bf16_where_they_have_it(monkeypatch):
    capability = [(9, 0)]
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability[0])
    assert choose_dtype("auto", "cuda")[0] is torch.bfloat16
    capability[0] = (7, 0)
    assert choose_dtype("auto", "cuda")[0] is torch.float32
    with pytest.raises(NotReady):
        choose_dtype("bfloat16", "cuda")


def test_an_unknown_format_is_bad_input():
    with pytest.raises(BadInput, match="float8"):
        choose_dtype("float8", "cpu")
