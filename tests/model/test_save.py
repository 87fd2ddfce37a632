"""Saving beside what lies there already: what others made stays, what a killed save of ours left does not."""

import json

import pytest
import torch

from samosa.errors import BadInput
from samosa.home import CheckpointRef, checkpoint_dir
from samosa.model import checkpoint
from samosa.model.checkpoint import load_model, load_train_state, save_checkpoint
from tests.model.tiny import tiny_model


def save(step=5, **fields):
    return save_checkpoint(
        checkpoint_dir("chat", "t"), step, model=tiny_model(dtype=torch.float32), meta_fields={}, **fields
    )


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("meta", ['{"step": 5, "model_config": {}}', "[]", "{", None])
def test_what_others_made_is_not_overwritten(samosa_home, meta):
    ref = CheckpointRef("chat", "t", 5, checkpoint_dir("chat", "t"))
    ref.directory.mkdir(parents=True)
    ref.model_path.write_bytes(b"weights of somebody else")
    if meta is not None:
        ref.meta_path.write_text(meta)
    before = contents(ref.directory)
    with pytest.raises(BadInput, match="t@5 exists already, and it was not samosa that made it") as error:
        save()
    assert "--tag" in error.value.hint
    assert contents(ref.directory) == before
    assert load_model(save(step=6)), "another step is free"


@pytest.mark.parametrize("left", [{"meta"}, {"meta", "model"}, {"meta", "model", "train"}, {"train"}])
def test_what_a_killed_save_of_ours_left_is_replaced(samosa_home, left):
    ref = save(optimizer_state={"a": torch.ones(2)}, cursor={"step": 5})
    ref.manifest_path.unlink()
    if "model" not in left:
        ref.model_path.unlink()
    if "meta" not in left:
        ref.meta_path.unlink()
    if "train" not in left:
        for path in ref.train_dir.iterdir():
            path.unlink()
    again = save(cursor={"step": 6})
    assert load_model(again)
    assert load_train_state(again) == {"optimizer": None, "cursor": {"step": 6}}


@pytest.mark.parametrize("leftover", [False, True])
@pytest.mark.parametrize("write", ["write_text", "save_tensors", "write_part", "write_index", "write_manifest"])
def test_a_failed_save_leaves_the_folder_free_for_the_next(samosa_home, monkeypatch, write, leftover):
    kept = save(step=4)
    if leftover:
        save(optimizer_state={"a": torch.ones(2)}).manifest_path.unlink()

    def fail(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, write, fail)
        with pytest.raises(KeyboardInterrupt):
            save(optimizer_state={"a": torch.ones(2)})
    assert sorted(contents(kept.directory)) == ["manifest_000004.json", "meta_000004.json", "model_000004.pt"]
    assert load_model(kept) and load_model(save())


def test_the_meta_goes_last_so_that_a_killed_clean_up_can_be_taken_up(samosa_home, monkeypatch):
    ref = save()
    ref.manifest_path.unlink()

    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            save()
    assert "samosa" in json.loads(ref.meta_path.read_text()) and not ref.model_path.exists()
    assert load_model(save())
