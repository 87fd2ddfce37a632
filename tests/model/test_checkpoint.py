import json
import os
import pickle
import shutil
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch

from samosa.errors import BadInput, NotReady
from samosa.home import checkpoint_dir, find_checkpoint
from samosa.model import train_state
from samosa.model.checkpoint import (
    load_model,
    load_tensors,
    load_token_bytes,
    load_train_state,
    save_checkpoint,
    save_token_bytes,
    verify,
)
from samosa.model.config import ModelConfig, windows_by_rule
from tests.model.tiny import tiny_config, tiny_model


class Poison:
    """Pickles as a call of os.system."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def nanochat_home(golden, samosa_home):
    """A home with the two checkpoints that nanochat wrote."""
    for folder in ("base_checkpoints", "chatsft_checkpoints"):
        shutil.copytree(golden / folder, samosa_home / folder)
    return samosa_home


def saved(step=5, *, config=None, tag="t", **fields):
    model = tiny_model(config, dtype=torch.float32)
    return model, save_checkpoint(
        checkpoint_dir("chat", tag),
        step,
        model=model,
        meta_fields={"stage": "sft", "val_bpb": 1.5},
        **fields,
    )


def edit(path, change):
    value = torch.load(path, weights_only=True)
    torch.save(change(value), path)


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 0x40
    path.write_bytes(content)


# --- reading what nanochat wrote


def test_a_checkpoint_of_nanochat_is_read(nanochat_home):
    ref = find_checkpoint("base/d2@150")
    model, meta = load_model(ref)
    written = torch.load(ref.model_path, weights_only=True)
    assert meta["step"] == 150
    assert all(torch.equal(value, written[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


def test_bf16_tables_become_fp32_masters(nanochat_home):
    ref = find_checkpoint("base/d2@150")
    table = "transformer.wte.weight"
    edit(ref.model_path, lambda state: {**state, table: state[table].bfloat16()})
    state = load_model(ref)[0].state_dict()
    assert {value.dtype for value in state.values()} == {torch.float32}
    assert torch.equal(state[table], torch.load(ref.model_path, weights_only=True)[table].float())


def test_old_checkpoints_are_patched(nanochat_home):
    ref = find_checkpoint("base/d2@150")
    late = {"resid_lambdas", "x0_lambdas"}
    edit(ref.model_path, lambda state: {f"_orig_mod.{k}": v for k, v in state.items() if k not in late})
    meta = json.loads(ref.meta_path.read_text())
    del meta["model_config"]["window_pattern"]
    ref.meta_path.write_text(json.dumps({"model_config": meta["model_config"], "min_val_bpb": float("inf")}))
    model, _ = load_model(ref)
    assert model.config.layer_windows == (256, 256)
    assert model.resid_lambdas.tolist() == [1.0, 1.0]
    assert model.x0_lambdas.tolist() == [0.0, 0.0]


def test_known_windows_overrule_the_meta(nanochat_home):
    model, _ = load_model(find_checkpoint("base/d2@150"), windows=[64, 512])
    assert model.config.layer_windows == (64, 512)


# --- nanochat reads what is written here


def nanochat_reads(model_path, meta_path):
    """nanochat's way of loading: seven fields, the windows they give, exactly the expected names and shapes."""
    config = json.loads(meta_path.read_text())["model_config"]
    assert list(config) == [
        "sequence_len", "vocab_size", "n_layer", "n_head", "n_kv_head", "n_embd", "window_pattern",
    ]  # fmt: skip
    width, layers, rows = config["n_embd"], config["n_layer"], -(-config["vocab_size"] // 64) * 64
    kv = width // config["n_head"] * config["n_kv_head"]
    expected = OrderedDict(resid_lambdas=(layers,), x0_lambdas=(layers,), smear_lambda=(1,), backout_lambda=(1,))
    expected["transformer.wte.weight"] = (rows, width)
    with_values = [i for i in range(layers) if i % 2 == (layers - 1) % 2]
    for i in range(layers):
        attn = {"c_q": (width, width), "c_k": (kv, width), "c_v": (kv, width), "c_proj": (width, width)}
        if i in with_values:
            attn["ve_gate"] = (config["n_kv_head"], 12)
        expected |= {f"transformer.h.{i}.attn.{name}.weight": shape for name, shape in attn.items()}
        expected[f"transformer.h.{i}.mlp.c_fc.weight"] = (4 * width, width)
        expected[f"transformer.h.{i}.mlp.c_proj.weight"] = (width, 4 * width)
    expected |= {"lm_head.weight": (rows, width), "smear_gate.weight": (1, 24)}
    expected |= {f"value_embeds.{i}.weight": (rows, kv) for i in with_values}
    state = torch.load(model_path, map_location="cpu", weights_only=True)
    assert [(name, tuple(value.shape)) for name, value in state.items()] == list(expected.items())
    assert all(type(value) is torch.Tensor and not value.requires_grad for value in state.values())
    return windows_by_rule(config["sequence_len"], config["window_pattern"], layers)


def test_the_recipe_of_that_test_reads_nanochats_own(golden):
    folder = golden / "base_checkpoints" / "d2"
    assert nanochat_reads(folder / "model_000150.pt", folder / "meta_000150.json") == (128, 256)


@pytest.mark.parametrize("pattern", ["SSSL", "L", "sl"])
def test_nanochat_reads_ours_with_our_windows(samosa_home, pattern):
    config = ModelConfig(512, 61, 4, 2, 1, 24, pattern, windows=windows_by_rule(4096, pattern, 4))
    model, ref = saved(config=config)
    assert nanochat_reads(ref.model_path, ref.meta_path) == model.config.layer_windows
    assert json.loads(ref.meta_path.read_text())["samosa"]["readable_by_nanochat"] is True


def test_windows_nanochat_cannot_have_are_said(samosa_home):
    _, ref = saved(config=tiny_config(windows=(16, 5, 300)))
    assert json.loads(ref.meta_path.read_text())["samosa"]["readable_by_nanochat"] is False


# --- saving and loading never changes the function


@pytest.mark.parametrize("train_len", [64, 256, 1024])
def test_training_at_another_length_does_not_move_the_windows(samosa_home, train_len):
    trained = tiny_config(sequence_len=256, windows=None, window_pattern="SL", train_len=train_len)
    model, ref = saved(config=trained)
    loaded, _ = load_model(ref)
    assert loaded.config.train_len == train_len
    ids = torch.randint(0, 61, (1, 700), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(ids), model(ids))
        narrower = load_model(ref, windows=[128, 64, 64])[0]
        assert not torch.equal(narrower(ids), model(ids)), "the windows matter at this length"


def test_a_second_generation_is_the_same_again(nanochat_home):
    first, _ = load_model(find_checkpoint("base/d2@150"))
    first.config = replace(first.config, train_len=64)
    ref = save_checkpoint(checkpoint_dir("chat", "child"), 1, model=first, meta_fields={})
    ids = torch.randint(0, 500, (2, 300))
    with torch.no_grad():
        assert torch.equal(load_model(ref)[0](ids), first(ids))
    assert nanochat_reads(ref.model_path, ref.meta_path) == (128, 256)


# --- manifest, training state, disk


def test_a_checkpoint_counts_once_its_manifest_exists(samosa_home):
    _, ref = saved(step=5)
    assert find_checkpoint("t") == ref
    assert verify(ref)
    files = json.loads(ref.manifest_path.read_text())["files"]
    assert set(files) == {"model_000005.pt", "meta_000005.json"}
    _, later = saved(step=7)
    later.manifest_path.unlink()
    assert find_checkpoint("t") == ref


def test_training_state_comes_back_by_name(samosa_home):
    state = {"lm_head.weight": {"step": 3, "exp_avg": torch.arange(4.0)}}
    _, ref = saved(optimizer_state=state, cursor={"step": 5, "seed": 1})
    found = load_train_state(ref)
    assert found["cursor"] == {"step": 5, "seed": 1}
    assert torch.equal(found["optimizer"]["lm_head.weight"]["exp_avg"], torch.arange(4.0))
    assert load_train_state(saved(step=6)[1]) is None


def test_a_complete_checkpoint_is_never_overwritten(samosa_home):
    _, ref = saved()
    before = ref.model_path.read_bytes()
    with pytest.raises(BadInput, match="t@5 exists already"):
        saved()
    assert ref.model_path.read_bytes() == before


def test_what_a_killed_save_left_is_replaced(samosa_home):
    _, ref = saved(optimizer_state={"a": torch.ones(2)}, cursor={"step": 5})
    ref.manifest_path.unlink()
    ref.model_path.write_bytes(b"half")
    _, again = saved(cursor={"step": 5})
    assert load_model(again)
    assert load_train_state(again) == {"optimizer": None, "cursor": {"step": 5}}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_full_disk_leaves_the_last_checkpoint_and_nothing_of_the_new_one(samosa_home, monkeypatch, when):
    _, ref = saved(step=5)
    if when == "before":
        usage = shutil.disk_usage(samosa_home)._replace(free=1000)
        monkeypatch.setattr("samosa.home.shutil.disk_usage", lambda path: usage)
    else:

        def full(*args):
            raise NotReady("the disk is full", hint="free some")

        monkeypatch.setattr(train_state, "save_tensors", full)  # the model is written by then
    with pytest.raises(NotReady, match="disk"):
        saved(step=9, optimizer_state={"a": torch.ones(2)})
    monkeypatch.undo()
    os.environ["SAMOSA_HOME"] = str(samosa_home)
    assert sorted(path.name for path in ref.directory.iterdir() if path.is_file()) == [
        "manifest_000005.json",
        "meta_000005.json",
        "model_000005.pt",
    ]
    assert load_model(ref)


def test_infinities_do_not_get_into_the_meta(samosa_home):
    ref = save_checkpoint(
        checkpoint_dir("base", "t"),
        1,
        model=tiny_model(),
        meta_fields={"loop": {"best": float("inf")}, "samosa": {"tokenizer": "abc"}},
    )
    meta = json.loads(ref.meta_path.read_text(), parse_constant=pytest.fail)
    assert meta["loop"]["best"] is None
    assert meta["samosa"]["tokenizer"] == "abc"


# --- broken and poisoned files


@pytest.mark.parametrize("name", ["model_path", "meta_path", "manifest_path"])
@pytest.mark.parametrize("damage", ["truncate", "empty", "remove", "flip"])
def test_a_damaged_file_is_two_lines_and_no_model(samosa_home, name, damage):
    _, ref = saved()
    path = getattr(ref, name)
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "remove":
        path.unlink()
    else:
        flip(path, path.stat().st_size // 2)
    if (name, damage) == ("manifest_path", "remove"):
        assert load_model(ref), "a checkpoint of others has no manifest"
        return
    with pytest.raises(NotReady) as caught:
        load_model(ref)
    assert "\n" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("place", [0, 100, 700, 5_000, 300_000, -30, -700])
def test_a_flipped_byte_without_a_manifest_is_found_or_harmless(nanochat_home, place):
    ref = find_checkpoint("base/d2@150")
    before = torch.load(ref.model_path, weights_only=True)
    flip(ref.model_path, place)
    try:
        state = load_model(ref)[0].state_dict()
    except NotReady:
        return
    assert all(torch.equal(value, before[name]) for name, value in state.items())


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("where", ["whole", "inside"])
def test_a_poisoned_model_is_refused_and_runs_nothing(nanochat_home, tmp_path, archive, where):
    ref = find_checkpoint("base/d2@150")
    poison = Poison(tmp_path / "ran")
    state = poison if where == "whole" else {"lm_head.weight": torch.ones(2), "more": poison}
    torch.save(state, ref.model_path, _use_new_zipfile_serialization=archive)
    with pytest.raises(BadInput, match="could run code"):
        load_model(ref)
    assert not (tmp_path / "ran").exists()


def test_a_plain_pickle_is_refused_and_runs_nothing(tmp_path):
    path = tmp_path / "model_000001.pt"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(Poison(tmp_path / "ran"), protocol=protocol))
        with pytest.raises(BadInput):
            load_tensors(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: {k: v for k, v in state.items() if k != "smear_lambda"}, "lacks smear_lambda"),
        (lambda state: {**state, "extra": torch.ones(1)}, "unknown extra"),
        (lambda state: {**state, "lm_head.weight": torch.ones(7, 48)}, r"lm_head.weight of shape \(7, 48\)"),
        (lambda state: [1, 2], "not tensors by name"),
    ],
)
def test_a_model_that_does_not_fit_its_meta_says_what_is_wrong(nanochat_home, change, says):
    ref = find_checkpoint("base/d2@150")
    edit(ref.model_path, change)
    with pytest.raises(NotReady, match=says):
        load_model(ref)


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (torch.ones(500, dtype=torch.int64), "int64, not floating point"),
        (torch.ones(500, dtype=torch.complex64), "complex64, not floating point"),
        (torch.ones(3, 3).to_sparse(), "not a dense tensor"),
        (torch.tensor([1.0, float("nan")]), "not finite"),
        (torch.tensor([1.0, float("inf")], dtype=torch.bfloat16), "not finite"),
    ],
)
def test_weights_that_are_no_numbers_to_compute_with_are_refused(nanochat_home, weight, says):
    ref = find_checkpoint("base/d2@150")
    edit(ref.model_path, lambda state: {**state, "smear_lambda": weight})
    with pytest.raises(NotReady, match=f"smear_lambda .*{says}"):
        load_model(ref)


@pytest.mark.parametrize(
    "change",
    [
        {"model_config": [1]},
        {"samosa": [1]},
        {"samosa": {"windows": 5}},
        {"samosa": {"windows": [0, 256]}},
        {"samosa": {"rope_base": "x"}},
        {"samosa": {"rope_base": 0}},
    ],
)
def test_a_meta_that_makes_no_model_is_a_broken_checkpoint(nanochat_home, change):
    ref = find_checkpoint("base/d2@150")
    ref.meta_path.write_text(json.dumps(json.loads(ref.meta_path.read_text()) | change))
    with pytest.raises(NotReady, match=r"meta_000150\.json is broken") as caught:
        load_model(ref)
    assert "\n" not in caught.value.message + caught.value.hint


# --- token bytes


def test_token_bytes_are_nanochats(golden, tmp_path):
    expected = torch.load(golden / "tokenizer" / "token_bytes.pt", weights_only=True)

    class Tokens:
        vocab_size = 500

        def token_bytes(self, token):
            return b"x" * int(expected[token])

    save_token_bytes(Tokens(), tmp_path)
    found = load_token_bytes(tmp_path)
    assert found.dtype == torch.int32
    assert torch.equal(found, expected)
    assert torch.equal(load_token_bytes(golden / "tokenizer"), expected)
