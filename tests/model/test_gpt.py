import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.model.cache import KVCache
from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT
from tests.model.reference import logits_of
from tests.model.tiny import packed_positions, tiny_config, tiny_model

RECORDED = [
    ("forward_base", "base_checkpoints/d2/{}_000150.{}"),
    ("forward_sft", "chatsft_checkpoints/d2/{}_000037.{}"),
]
LAYOUTS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6), min_size=1, max_size=3)


def recorded_model(golden, pattern):
    meta = json.loads((golden / pattern.format("meta", "json")).read_text())
    model = GPT(ModelConfig(**meta["model_config"]))
    state = torch.load(golden / pattern.format("model", "pt"), weights_only=True)
    assert list(state) == list(model.state_dict())
    model.load_state_dict(state)
    return model.requires_grad_(False)


def equal_rows(lengths):
    """Rows of one length: the last document of each is made longer."""
    longest = max(sum(row) for row in lengths)
    return [[*row[:-1], row[-1] + longest - sum(row)] for row in lengths]


@pytest.mark.parametrize(("name", "pattern"), RECORDED)
def test_logits_and_losses_are_nanochats(golden, name, pattern):
    model, fact = recorded_model(golden, pattern), torch.load(golden / "model.pt")[name]
    ids, targets = fact["idx"], fact["targets"]
    torch.testing.assert_close(model(ids)[:, :: fact["logits_stride"]], fact["logits"], atol=1e-5, rtol=0)
    each = model(ids, targets=targets, nll="none")
    torch.testing.assert_close(each, fact["loss_none"][targets.flatten() >= 0], atol=1e-5, rtol=0)
    total = model(ids, targets=targets)
    torch.testing.assert_close(total, fact["loss_sum"], atol=0, rtol=1e-6)
    torch.testing.assert_close(total / each.numel(), fact["loss_mean"], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "pattern"), RECORDED)
def test_prefill_and_decoding_one_by_one_are_nanochats(golden, name, pattern):
    model, fact = recorded_model(golden, pattern), torch.load(golden / "model.pt")[name]
    cache = KVCache(model.config, rows=2, length=200)
    logits = model(fact["idx"][:, :150], cache=cache)
    torch.testing.assert_close(logits, fact["kv_prefill_last"], atol=1e-5, rtol=0)
    decoded = torch.stack([model(fact["idx"][:, t : t + 1], cache=cache) for t in range(150, 160)], dim=1)
    torch.testing.assert_close(decoded[:, :: fact["kv_decode_stride"]], fact["kv_decode"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["plain", "think_text", "marker_text"])
def test_losses_of_conversations_are_nanochats(golden, name):
    fact = torch.load(golden / "model.pt")["conv_loss"][name]
    total = recorded_model(golden, RECORDED[1][1])(fact["idx"], targets=fact["targets"])
    torch.testing.assert_close(total, fact["loss_sum"], atol=0, rtol=1e-6)
    torch.testing.assert_close(total / (fact["targets"] >= 0).sum(), fact["loss"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["full", "one"])
def test_gradients_are_nanochats(golden, name):
    fact = torch.load(golden / "model.pt")["models"][name]
    config = ModelConfig(**fact["config"])
    model = GPT(config)
    model.load_state_dict(fact["state_dict"])
    torch.testing.assert_close(model(fact["idx"]), fact["logits"], atol=1e-5, rtol=0)
    loss = model(fact["idx"], targets=fact["targets"]) / (fact["targets"] >= 0).sum()
    torch.testing.assert_close(loss, fact["loss"], atol=1e-5, rtol=0)
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        found = parameter.grad.flatten()[:: fact["grads_stride"]]
        torch.testing.assert_close(found, fact["grads"][parameter_name], atol=1e-5, rtol=0)
    assert config.layer_windows == tuple(window for window, _ in fact["window_sizes"])


def test_fresh_weights_are_distributed_as_nanochats(golden):
    facts = torch.load(golden / "model.pt")["init_stats"]
    width = facts["transformer.h.0.attn.c_q.weight"]["amax"]
    layers = 1 + max(int(name.split(".")[2]) for name in facts if name.startswith("transformer.h."))
    n_embd = round(3 / width**2 / 64) * 64
    model = GPT(ModelConfig(256, 1024, layers, n_embd // 64, n_embd // 64, n_embd))
    model.init_weights(torch.Generator().manual_seed(1))
    assert set(facts) == set(model.state_dict())
    for name, value in model.state_dict().items():
        fact = facts[name]
        both_errors = 6 * fact["std"] / value.numel() ** 0.5
        assert value.mean().item() == pytest.approx(fact["mean"], abs=both_errors + 1e-6), name
        if value.numel() > 1000:
            assert value.std().item() == pytest.approx(fact["std"], rel=0.05, abs=1e-9), name
            assert value.abs().max().item() == pytest.approx(fact["amax"], rel=0.3, abs=1e-9), name


@settings(max_examples=25, deadline=None)
@given(LAYOUTS, st.integers(0, 1000), st.sampled_from([1, 2]))
def test_any_packing_equals_the_equations_with_a_dense_mask(lengths, seed, kv_heads):
    lengths = equal_rows(lengths)
    positions = packed_positions(lengths)
    model = tiny_model(tiny_config(n_kv_head=kv_heads), seed=seed)
    ids = torch.randint(0, 61, positions.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        found = model(ids, positions=positions)
    for row in range(len(lengths)):
        expected = logits_of(model.state_dict(), model.config, ids[row], positions[row])
        torch.testing.assert_close(found[row], expected, atol=1e-9, rtol=0)


@settings(max_examples=25, deadline=None)
@given(LAYOUTS, st.integers(0, 1000), st.data())
def test_changing_one_document_moves_no_bit_of_another(lengths, seed, data):
    lengths = equal_rows(lengths)
    positions = packed_positions(lengths)
    model = tiny_model(seed=seed, dtype=torch.float32)
    ids = torch.randint(0, 61, positions.shape, generator=torch.Generator().manual_seed(seed))
    row = data.draw(st.integers(0, len(lengths) - 1))
    document = data.draw(st.integers(0, len(lengths[row]) - 1))
    start = sum(lengths[row][:document])
    changed = torch.zeros_like(ids, dtype=torch.bool)
    changed[row, start : start + lengths[row][document]] = True
    with torch.no_grad():
        before = model(ids, positions=positions)
        after = model(torch.where(changed, (ids + 7) % 61, ids), positions=positions)
    assert torch.equal(before[~changed], after[~changed])
    assert not torch.equal(before[changed], after[changed])


def test_not_even_an_infinite_document_reaches_another():
    positions = packed_positions([[9, 30, 4], [20, 3, 20]])
    model = tiny_model()
    with torch.no_grad():
        model.transformer["wte"].weight[60] = float("nan")
    ids = torch.randint(0, 60, positions.shape)
    targets = torch.where(positions > 0, ids, -1)
    targets[0, 9:39] = -1
    clean = model(ids, positions=positions, targets=targets)
    ids[0, 9:39] = 60
    assert torch.equal(model(ids, positions=positions, targets=targets), clean)


def test_gradients_of_packed_documents_are_those_of_each_alone():
    lengths = [[3, 50, 1, 17, 9], [30, 30, 20]]
    positions = packed_positions(lengths)
    model, generator = tiny_model(), torch.Generator().manual_seed(3)
    ids = torch.randint(0, 61, positions.shape, generator=generator)
    targets = torch.randint(-20, 61, positions.shape, generator=generator).clamp(min=-1)
    packed = torch.autograd.grad(model(ids, positions=positions, targets=targets), list(model.parameters()))
    total = torch.zeros((), dtype=torch.float64)
    for row, sizes in enumerate(lengths):
        for piece in torch.arange(sum(sizes)).split(sizes):
            total = total + model(ids[row : row + 1, piece], targets=targets[row : row + 1, piece])
    alone = torch.autograd.grad(total, list(model.parameters()))
    for a, b in zip(packed, alone, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


def test_a_batch_without_targets_costs_nothing_and_moves_nothing():
    model = tiny_model(dtype=torch.float32)
    loss = model(torch.randint(0, 61, (2, 12)), targets=torch.full((2, 12), -1))
    loss.backward()
    assert loss.item() == 0.0
    assert all(torch.count_nonzero(parameter.grad) == 0 for parameter in model.parameters())
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


def test_bf16_compute_stays_near_fp32_and_keeps_fp32_gradients():
    config = tiny_config()
    exact = tiny_model(config, dtype=torch.float32)
    rough = GPT(config, compute_dtype=torch.bfloat16)
    rough.load_state_dict(exact.state_dict())
    positions = packed_positions([[20, 10, 33]])
    ids = torch.randint(0, 61, positions.shape, generator=torch.Generator().manual_seed(0))
    loss = rough(ids, positions=positions, targets=ids)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact(ids, positions=positions, targets=ids).item(), rel=0.02)
    loss.backward()
    assert {parameter.grad.dtype for parameter in rough.parameters()} == {torch.float32}


def test_logits_of_chosen_places_are_those_of_the_whole_row():
    model = tiny_model()
    ids, last = torch.randint(0, 61, (3, 30)), torch.tensor([29, 4, 17])
    torch.testing.assert_close(model(ids, last=last), model(ids)[torch.arange(3), last])


def test_a_row_of_one_token_is_a_document():
    model = tiny_model()
    ids = torch.randint(0, 61, (4, 1))
    expected = logits_of(model.state_dict(), model.config, ids[2], torch.zeros(1, dtype=torch.long))
    torch.testing.assert_close(model(ids)[2], expected, atol=1e-9, rtol=0)


def test_a_layout_made_before_gives_the_same_bits():
    model = tiny_model()
    positions = packed_positions([[12, 30], [40, 2]])
    ids = torch.randint(0, 61, positions.shape)
    layout = model.layout(positions, *ids.shape)
    assert torch.equal(model(ids, positions=positions, layout=layout), model(ids, positions=positions))


def test_a_model_that_was_sampled_from_can_be_trained():
    model, ids = tiny_model(dtype=torch.float32), torch.arange(12).view(2, 6)
    with torch.inference_mode():
        model(ids, cache=KVCache(model.config, rows=2, length=16))
    model(ids, targets=ids).backward()
    assert model.lm_head.weight.grad is not None and model.blocks[0].attn.c_q.weight.grad is not None
