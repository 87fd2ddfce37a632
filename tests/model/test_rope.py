"""Rotary positions: YaRN and other bases against the equations, and what putting them on trained weights changes."""

import json
from dataclasses import replace

import pytest
import torch

from samosa.errors import BadInput
from samosa.model.cache import KVCache
from samosa.model.config import ModelConfig, Yarn
from samosa.model.gpt import GPT
from samosa.model.rope import frequencies
from tests.model import reference
from tests.model.tiny import tiny_config, tiny_model

YARN = Yarn(8.0, 16, 2.0, 0.1)
IDS = torch.randint(0, 61, (1, 70), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changes", [{"yarn": YARN}, {"rope_base": 800_000.0}])
def test_the_model_turns_as_the_equations_say(changes):
    model = tiny_model(tiny_config(**changes))
    expected = reference.logits_of(model.state_dict(), model.config, IDS[0], torch.arange(70))
    with torch.no_grad():
        torch.testing.assert_close(model(IDS)[0], expected, atol=1e-6, rtol=0)  # angles are fp32
        assert (model(IDS)[0] - tiny_model()(IDS)[0]).abs().max() > 1e-3


def test_yarn_slows_slow_rotations_by_the_factor_and_leaves_fast_ones():
    config = ModelConfig(2048, 64, 2, 1, 1, 128, yarn=Yarn(8.0, 2048, 32.0, 1.0))
    plain = frequencies(replace(config, yarn=None))
    assert torch.allclose(frequencies(config), reference.frequencies(config), rtol=1e-5)
    assert frequencies(config)[0] == plain[0] and frequencies(config)[-1] == plain[-1] / 8
    assert config.attention_scale == pytest.approx(1.2079, abs=1e-4)
    assert torch.equal(frequencies(replace(config, yarn=Yarn(1.0, 2048, 32.0, 1.0))), plain)


def test_weights_that_adopt_another_shape_compute_like_a_model_built_with_it():
    model, config = tiny_model(), tiny_config(sequence_len=512, windows=(16, 64, 512), yarn=YARN)
    model(IDS)  # its rotation table is made
    model.adopt(config)
    built = GPT(config).double()
    built.load_state_dict(model.state_dict())
    assert torch.equal(model(IDS), built(IDS))


def test_wider_windows_alone_change_nothing_within_the_old_ones():
    model = tiny_model(tiny_config(windows=(16, 16, 16)))
    before = model(IDS)
    model.adopt(replace(model.config, sequence_len=2048, windows=(2048, 2048, 2048)))
    after = model(IDS)
    torch.testing.assert_close(after[:, :17], before[:, :17], atol=1e-12, rtol=0)
    assert (after[:, 17:] - before[:, 17:]).abs().max() > 1e-6


def test_sampling_turns_as_training_does():
    model = tiny_model(tiny_config(yarn=YARN)).eval()
    with torch.no_grad():
        whole = model(IDS)[0, -1]
        cache = KVCache(model.config, rows=1, length=80, device=torch.device("cpu"), dtype=torch.float64)
        model(IDS[:, :50], cache=cache)
        torch.testing.assert_close(model(IDS[:, 50:], cache=cache)[0], whole, atol=1e-9, rtol=0)


def test_yarn_survives_a_meta_and_says_that_nanochat_cannot_read_it():
    config = tiny_config(yarn=YARN)
    model_config, explicit = config.to_meta()
    assert "yarn" not in model_config and explicit["readable_by_nanochat"] is False
    meta = json.loads(json.dumps({"model_config": model_config, "samosa": explicit}))
    assert ModelConfig.from_meta(meta).yarn == YARN
    assert "yarn" not in tiny_config().to_meta()[1]


@pytest.mark.parametrize("yarn", [Yarn(0.5, 16, 32.0, 1.0), Yarn(8.0, 16, 1.0, 1.0), Yarn("8", 16, 32.0, 1.0)])
def test_a_yarn_that_makes_no_sense_is_refused(yarn):
    with pytest.raises(BadInput, match="yarn"):
        tiny_config(yarn=yarn)
