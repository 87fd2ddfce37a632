import os

import pytest

from samosa import home
from samosa.chat.tokenizer import save_tokenizer, train_tokenizer
from samosa.config import load
from samosa.errors import BadInput, NotReady
from samosa.phases import doctor
from samosa.phases.init import find_init, identity, made_by, still_there
from samosa.phases.settings import PhaseA, known_checkpoints
from samosa.phases.stage import Stage
from tests.phases.recipes import fake_checkpoint

MODEL = {
    "sequence_len": 64,
    "vocab_size": 300,
    "n_layer": 2,
    "n_head": 2,
    "n_kv_head": 2,
    "n_embd": 32,
    "window_pattern": "SL",
}


@pytest.fixture
def shape(samosa_home):
    return load(PhaseA, "phase_a").shape.config()


def test_a_known_checkpoint_that_is_not_here_is_not_ready_and_has_the_recipes_shape(shape):
    init = find_init("d24-sft-r6@754", shape)
    assert isinstance(init.problem, NotReady)
    assert "chatsft_checkpoints/d24-sft-r6" in init.problem.hint
    assert init.config is shape
    assert init.source.identity is None


@pytest.mark.parametrize("name", ["d24-sft-r7@100", "d24-sft-r6@755", "nobody", "a@b@c"])
def test_a_checkpoint_that_nobody_knows_is_bad_input(shape, name):
    with pytest.raises(BadInput) as caught:
        find_init(name, shape)
    assert "known elsewhere: d24" in caught.value.hint


def test_a_foreign_checkpoint_is_usable_when_its_step_is_named(shape):
    ref = fake_checkpoint("chat", "d24-sft-r6", 754, model_config=MODEL, manifest=False)
    init = find_init("d24-sft-r6@754", shape)
    assert init.ref == ref
    assert init.config.n_embd == 32
    assert init.source.identity == identity(ref)
    with pytest.raises(BadInput, match="manifest"):
        find_init("d24-sft-r6", shape)


@pytest.mark.parametrize("manifest", [True, False])
def test_a_truncated_checkpoint_is_not_ready(shape, manifest):
    ref = fake_checkpoint("chat", "r6", 7, model_config=MODEL, manifest=manifest)
    data = ref.model_path.read_bytes()
    ref.model_path.write_bytes(data[: len(data) // 2])
    problem = find_init("r6@7", shape).problem
    assert isinstance(problem, NotReady)
    assert "model_000007.pt" in problem.message


def test_a_missing_meta_is_not_ready(shape):
    ref = fake_checkpoint("chat", "r6", 7, model_config=MODEL, manifest=False)
    ref.meta_path.unlink()
    assert "meta_000007.json is missing" in find_init("r6@7", shape).problem.message


def test_other_weights_under_the_same_name_are_another_identity(shape):
    first = identity(fake_checkpoint("chat", "r6", 7, model_config=MODEL, manifest=False))
    assert identity(fake_checkpoint("chat", "r6", 7, model_config=MODEL, manifest=False)) == first
    assert identity(fake_checkpoint("chat", "r6", 7, model_config=MODEL, manifest=False, content=b"w2")) != first


def test_another_vocabulary_than_the_checkpoints_is_bad_input(shape):
    fake_checkpoint("chat", "r6", 7, model_config=MODEL)
    words = "the quick brown fox jumps over the lazy dog and runs away from it all, far far away " * 3
    save_tokenizer(train_tokenizer([words], 280), home.tokenizer_dir())
    checks = find_init("r6", shape).checks()
    assert [check.error is None for check in checks] == [True, False]
    assert isinstance(checks[1].error, BadInput)
    with pytest.raises(BadInput, match="300"):
        doctor.raise_first(checks)


def test_an_init_that_is_made_here_must_be_whole_once_it_is(shape):
    stage = Stage("init:sft", "", lambda work: {})
    assert made_by(stage, "r6", shape).problem is None
    ref = fake_checkpoint("chat", "r6", 7, model_config=MODEL)
    assert made_by(stage, "r6", shape).problem is None
    ref.model_path.write_bytes(b"short")
    problem = made_by(stage, "r6", shape).problem
    assert "is made again" in problem.hint


def test_a_trained_checkpoint_counts_while_its_manifest_is_the_same(samosa_home):
    ref = fake_checkpoint("chat", "r6", 7, model_config=MODEL)
    facts = {"checkpoint": "chat/r6@7", "manifest": home.sha256_file(ref.manifest_path)}
    assert still_there(facts)
    ref.manifest_path.write_text("{}")
    assert not still_there(facts)
    ref.manifest_path.unlink()
    assert not still_there(facts)
    ref.model_path.unlink()
    assert not still_there(facts)


def test_more_processes_than_cores_are_not_ready():
    assert isinstance(doctor.check_processes(4096).error, NotReady)
    assert doctor.check_processes(1).error is None


def test_a_home_that_cannot_be_written_is_not_ready(shape, monkeypatch, tmp_path):
    train = load(PhaseA, "phase_a").train
    assert doctor.check_disk(shape, train, 0).error is None
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *args: False)
        assert "Permission denied" in doctor.check_disk(shape, train, 0).found
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAMOSA_HOME", str(tmp_path / "file"))
    check = doctor.check_disk(shape, train, 0)
    assert isinstance(check.error, NotReady)
    assert f"cannot write {tmp_path / 'file'}" in check.found


def test_online_metrics_need_a_key(samosa_home, monkeypatch):
    train = load(PhaseA, "phase_a", sets=("train.wandb=online",)).train
    (check,) = doctor.check_keys(train)
    assert isinstance(check.error, NotReady)
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert doctor.check_keys(train)[0].error is None
    assert doctor.check_keys(load(PhaseA, "phase_a").train) == []


def test_the_registry_has_the_roadmaps_checkpoints():
    known = known_checkpoints()
    assert (known["d24"].step, known["d24-sft-r6"].step) == (5568, 754)
    assert {entry.repo for entry in known.values()} == {"ManmohanSharma/nanochat-d24"}
