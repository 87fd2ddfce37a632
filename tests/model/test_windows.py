import pytest
import torch

from samosa.model.cache import KVCache
from samosa.model.config import ModelConfig, from_depth
from samosa.model.windows import Reading, measure, readings_of, row_length
from tests.model.tiny import tiny_config, tiny_model


def written_by(model, *, rows, length):
    """Text sampled from the model itself: nobody predicts it better than the windows it was written with."""
    generator = torch.Generator().manual_seed(0)
    cache = KVCache(model.config, rows=rows, length=length, dtype=torch.float32)
    ids = [torch.zeros(rows, 1, dtype=torch.long)]
    with torch.no_grad():
        for _ in range(length):
            weights = model(ids[-1], cache=cache).softmax(-1)
            ids.append(torch.multinomial(weights, 1, generator=generator))
    return torch.cat(ids, dim=1)


@pytest.mark.parametrize("true", [(4, 8), (16, 32), (64, 128)])
def test_the_windows_a_text_was_written_with_predict_it_best(true):
    model = tiny_model(tiny_config(n_layer=2, windows=true), dtype=torch.float32)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.c_proj.weight.mul_(6)  # so that what attention sees decides what is written
    rows = written_by(model, rows=12, length=150)
    readings = [Reading(str(windows), windows) for windows in ((16, 32), (4, 8), (64, 128))]
    measured = measure(model, rows, readings)
    assert measured.readings[measured.best].windows == true
    assert measured.decided
    assert model.config.windows == true, "the model keeps its own"
    assert measured.edges == (0, 64, 128, 150)
    assert measured.beyond == 5


def test_readings_that_hardly_differ_are_not_decided():
    model = tiny_model(tiny_config(n_layer=2, windows=(30, 64)), dtype=torch.float32)
    rows = torch.randint(0, 61, (4, 70), generator=torch.Generator().manual_seed(1))  # of 60 draws one decides by luck
    readings = [Reading("a", (30, 64)), Reading("b", (30, 65))]
    assert not measure(model, rows, readings).decided


def test_loss_by_position_is_the_loss_of_the_model():
    model = tiny_model(tiny_config(n_layer=2, windows=(30, 64)), dtype=torch.float32)
    rows = torch.randint(0, 61, (3, 101))
    measured = measure(model, rows, [Reading("a", (30, 64)), Reading("b", (7, 9))])
    with torch.no_grad():
        nll = model(rows[:, :-1], targets=rows[:, 1:], nll="none").view(3, 100)
    expected = [nll[:, :64].mean().item(), nll[:, 64:].mean().item()]
    assert measured.nll[0] == pytest.approx(expected, abs=1e-5)


def test_r6_is_read_both_ways():
    as_saved = from_depth(24, sequence_len=4096, vocab_size=32768)
    readings = readings_of(as_saved, [1.0, 4.0])
    assert [(reading.name, set(reading.windows)) for reading in readings] == [
        ("as saved", {1024, 4096}),
        ("trained at 16,384", {4096, 16_384}),
    ]
    assert row_length(readings, 100_000) == 16_384
    assert row_length(readings, 8192) == 8192


def test_the_saved_training_length_is_a_reading():
    config = ModelConfig(4096, 500, 2, 2, 2, 48, train_len=2048)
    assert [reading.windows for reading in readings_of(config, [])] == [(1024, 4096), (512, 2048)]
