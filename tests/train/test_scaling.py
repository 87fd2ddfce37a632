"""The dial against nanochat's recorded runs, and by hand."""

import json

import pytest

from samosa.config import load
from samosa.phases.settings import Pretrain, at_depth
from samosa.train.scaling import dialled


def at(depth, *sets, recipe=None):
    return load(Pretrain, "pretrain", recipe=recipe, sets=(f"shape.depth={depth}", *sets))


@pytest.mark.parametrize(
    ("depth", "ratio", "batch", "steps"),
    [(24, 8.0, 2**20, 5568), (32, 8.0, 2**21, 6400), (32, 12.0, 2**21, 9600), (12, 12.0, 2**19, 2520)],
)
def test_batch_and_steps_are_those_nanochat_takes(depth, ratio, batch, steps):
    train = at(depth, f"dial.tokens_per_parameter={ratio}").train
    assert (train.tokens_per_step, train.steps) == (batch, steps)


def test_the_rates_and_the_decay_of_d24_are_those_of_nanochats_speedrun(golden):
    train = at(24).train
    assert train.weight_decay == json.loads((golden / "schedules.json").read_text())["base"][0]["args"]["wd"]
    rates = (train.matrix_lr, train.embedding_lr, train.unembedding_lr, train.scalar_lr)
    assert rates == pytest.approx([value * 2**0.5 for value in (0.02, 0.3, 0.008, 0.5)], rel=1e-12)


@pytest.mark.parametrize(
    ("recipe", "width", "heads", "parameters"), [("d12", 768, 6, 286_261_730), ("d32", 2048, 16, 2_818_575_450)]
)
def test_width_heads_and_parameters_follow_from_depth(recipe, width, heads, parameters):
    config = load(Pretrain, "pretrain", recipe=recipe).shape.config()
    assert (config.n_embd, config.n_head, config.n_params()["total"]) == (width, heads, parameters)


def test_the_reference_depth_is_left_as_it_is():
    train = at(12).train
    assert (train.matrix_lr, train.weight_decay, train.tokens_per_step) == (0.02, 0.28, 524_288)


def test_a_given_batch_scales_rates_decay_and_steps_but_not_the_tokens():
    cfg = at(24, "train.tokens_per_step=262144")
    assert cfg.train.steps == 4 * 5568 == cfg.corpus.tokens // 262_144
    assert cfg.train.matrix_lr == pytest.approx(0.02 * 0.5**0.5)
    assert cfg.train.weight_decay == pytest.approx(at(24).train.weight_decay / 2)


def test_what_a_recipe_says_goes_before_the_dial():
    cfg = at(24, "train.matrix_lr=0.01", "train.steps=10", "corpus.tokens=4096")
    assert (cfg.train.matrix_lr, cfg.train.steps, cfg.corpus.tokens) == (0.01, 10, 4096)
    assert cfg.train.embedding_lr == at(24).train.embedding_lr


def test_steps_are_whole_and_never_more_than_the_tokens_allow():
    cfg = at(20)
    found = dialled(cfg.dial, cfg.shape.config(), at(12).shape.config())
    assert found == at_depth(cfg.dial, cfg.shape)
    assert found.steps * found.tokens_per_step <= found.tokens < (found.steps + 1) * found.tokens_per_step
