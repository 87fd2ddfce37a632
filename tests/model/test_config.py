import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samosa.errors import BadInput
from samosa.model.config import ModelConfig, check_vocab, from_depth, windows_by_rule
from samosa.model.settings import Shape

D24 = from_depth(24, sequence_len=2048, vocab_size=32768)


@pytest.mark.parametrize(
    ("depth", "total", "matrices"),
    [
        (12, 286_261_730, 84_935_088),
        (20, 896_533_746, 393_217_200),
        (24, 1_384_122_122, 679_478_976),
        (26, 1_681_786_938, 863_897_580),
        (32, 2_818_575_450, 1_610_615_808),
    ],
)
def test_parameters_are_counted_without_building_a_model(depth, total, matrices):
    counts = from_depth(depth, sequence_len=2048, vocab_size=32768).n_params()
    assert (counts["total"], counts["transformer_matrices"]) == (total, matrices)


def test_counts_are_those_of_the_tensors():
    import torch

    from samosa.model.gpt import GPT

    config = ModelConfig(64, 300, 3, 4, 2, 32)
    with torch.device("meta"):
        model = GPT(config)
    counts = config.n_params()
    assert counts["total"] == sum(parameter.numel() for parameter in model.parameters())
    assert counts["value_embeds"] == sum(parameter.numel() for parameter in model.value_embeds.parameters())


def test_counts_and_flops_are_nanochats(golden):
    import torch

    for fact in torch.load(golden / "model.pt")["models"].values():
        config = ModelConfig(**fact["config"])
        assert config.n_params() == fact["counts"]
        assert config.flops_per_token(config.sequence_len) == fact["flops"]


def test_attention_costs_what_its_windows_let_it_see():
    assert D24.flops_per_token(2048) == pytest.approx(4.775e9, rel=1e-4)
    assert from_depth(32, sequence_len=2048, vocab_size=32768).flops_per_token(2048) == pytest.approx(
        1.077e10, rel=1e-3
    )
    longer = D24.flops_per_token(16_384)
    assert longer == D24.flops_per_token(2048), "no window reaches further"
    wide = replace(D24, windows=(4096,) * 24)
    assert wide.flops_per_token(16_384) - wide.flops_per_token(2048) == 24 * 12 * 1536 * 2048


@pytest.mark.parametrize(
    ("length", "pattern", "full", "causal"),
    [
        (2048, "SSSL", 4.775, 4.662),
        (2048, "L", 5.285, None),
        (4096, "SSSL", 5.172, None),
        (16_384, "SSSL", 7.550, 6.644),
    ],
)
def test_the_two_ways_to_count_attention_are_those_of_the_published_figures(length, pattern, full, causal):
    config = from_depth(24, sequence_len=length, vocab_size=32768, window_pattern=pattern)
    assert config.flops_per_token(length) / 1e9 == pytest.approx(full, abs=6e-4)
    if causal is not None:
        assert config.causal_flops_per_token(length) / 1e9 == pytest.approx(causal, abs=6e-4)
    # d24 without its tables: 679,478,976 in matrices and 50,331,648 in the head.
    assert config.scaling_params == 679_478_976 + 50_331_648


@pytest.mark.parametrize(
    ("length", "short"),
    [(256, 128), (512, 128), (1024, 256), (2048, 512), (4096, 1024), (8192, 2048), (16_384, 4096)],
)
def test_windows_follow_nanochats_rule(length, short):
    assert windows_by_rule(length, "SSSL", 6) == (short, short, short, length, short, length)
    assert windows_by_rule(length, "s", 2) == (short, length), "the last layer always sees everything"


@given(st.integers(1, 40_000), st.text("SLsl", min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 40_000))
def test_what_nanochat_would_read_has_our_windows(length, pattern, layers, shown):
    windows = windows_by_rule(length, pattern, layers)
    config = ModelConfig(shown, 100, layers, 2, 2, 24, windows=windows, train_len=shown)
    model_config, explicit = config.to_meta()
    assert explicit["readable_by_nanochat"]
    theirs = windows_by_rule(model_config["sequence_len"], model_config["window_pattern"], layers)
    assert theirs == windows
    assert ModelConfig.from_meta(json.loads(json.dumps({"model_config": model_config, "samosa": explicit}))) == config


@pytest.mark.parametrize(
    "change", [{"windows": (100, 200, 300)}, {"rope_base": 10_000.0}, {"windows": (300, 256, 256)}]
)
def test_a_function_nanochat_cannot_have_says_so(change):
    config = ModelConfig(256, 100, 3, 2, 2, 24, **change)
    model_config, explicit = config.to_meta()
    assert explicit["readable_by_nanochat"] is False
    assert len(model_config) == 7
    read = ModelConfig.from_meta({"model_config": model_config, "samosa": explicit})
    assert (read.layer_windows, read.rope_base) == (config.layer_windows, config.rope_base)


def test_old_and_bare_configs_are_read():
    seven = {"sequence_len": 64, "vocab_size": 100, "n_layer": 2, "n_head": 2, "n_kv_head": 2, "n_embd": 24}
    assert ModelConfig.from_meta({"model_config": seven}).window_pattern == "L"
    bare = {key: value for key, value in seven.items() if key != "sequence_len"}
    assert ModelConfig.from_meta({**bare, "n_ctx": 64, "model_type": "gpt"}) == ModelConfig(**seven, window_pattern="L")


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"model_config": {"n_layer": 2}},
        {"model_config": {**D24.to_meta()[0], "n_head": 7}},
        {"model_config": {**D24.to_meta()[0], "n_layer": "24"}},
        {"model_config": {**D24.to_meta()[0], "window_pattern": "SXL"}},
        {"model_config": D24.to_meta()[0], "samosa": {"windows": [1, 2]}},
        {"model_config": [1]},
        {"model_config": D24.to_meta()[0], "samosa": [1]},
        {"model_config": D24.to_meta()[0], "samosa": {"windows": 5}},
        {"model_config": D24.to_meta()[0], "samosa": {"windows": [0] * 24}},
        {"model_config": D24.to_meta()[0], "samosa": {"windows": [True] * 24}},
        {"model_config": D24.to_meta()[0], "samosa": {"rope_base": "x"}},
        {"model_config": D24.to_meta()[0], "samosa": {"rope_base": 0}},
        {"model_config": D24.to_meta()[0], "samosa": {"rope_base": float("inf")}},
    ],
)
def test_a_config_that_makes_no_model_is_bad_input(broken):
    with pytest.raises(BadInput) as caught:
        ModelConfig.from_meta(broken)
    assert caught.value.hint


def test_a_tokenizer_of_another_vocabulary_is_refused():
    check_vocab(D24, 32768, "d24@1")
    with pytest.raises(BadInput, match="d24@1 has a vocabulary of 32,768, the tokenizer one of 500"):
        check_vocab(D24, 500, "d24@1")


def test_a_shape_is_a_depth_or_spelled_out():
    common = {"sequence_len": 2048, "vocab_size": 32768, "window_pattern": "SSSL", "rope_base": 100_000.0}
    by_depth = Shape(depth=24, head_dim=128, aspect=64, **common).config()
    assert by_depth == replace(D24, train_len=2048)
    spelled = Shape(depth=4, head_dim=32, aspect=64, width=128, kv_heads=2, **common).config()
    assert (spelled.n_embd, spelled.n_head, spelled.n_kv_head, spelled.head_dim) == (128, 4, 2, 32)
