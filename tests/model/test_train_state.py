"""The optimizer's state on disk: damaged, poisoned, misled, and as it was saved before ranks shared the work."""

import json

import pytest
import torch

from samosa import home
from samosa.errors import NotReady, SamosaError
from samosa.home import CheckpointRef, checkpoint_dir
from samosa.model.checkpoint import load_train_state, save_checkpoint
from tests.model.test_checkpoint import Poison
from tests.model.tiny import tiny_model


@pytest.fixture
def saved(samosa_home):
    """Two complete checkpoints of one run; the later one."""
    state = {"transformer.wte.weight": {"step": 3, "exp_avg": torch.arange(4.0)}}
    model, folder = tiny_model(dtype=torch.float32), checkpoint_dir("base", "t")
    for step in (3, 6):
        ref = save_checkpoint(folder, step, model=model, meta_fields={}, optimizer_state=state, cursor={"step": step})
    return ref


@pytest.mark.parametrize("file", ["optim_0.pt", "index.json", "cursor.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_part_is_named_with_the_checkpoint_to_take_instead(saved, file, damage):
    path = saved.train_dir / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[:-1])
    with pytest.raises(NotReady, match=file) as raised:
        dict(load_train_state(saved)["optimizer"])
    assert "t@3 instead" in raised.value.hint


def test_a_poisoned_part_is_refused_and_runs_nothing(saved, tmp_path):
    path = saved.train_dir / "optim_0.pt"
    torch.save({"lm_head.weight": Poison(tmp_path / "ran")}, path)
    manifest = json.loads(saved.manifest_path.read_text())
    manifest["files"]["train_000006/optim_0.pt"] = {"bytes": path.stat().st_size, "sha256": home.sha256_file(path)}
    saved.manifest_path.write_text(json.dumps(manifest))
    with pytest.raises(SamosaError, match="could run code") as raised:
        dict(load_train_state(saved)["optimizer"])
    assert raised.value.exit_code == 2
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("index", ["[]", '{"parts": [{"file": "../../x.pt", "names": ["a"]}]}', '{"parts": 3}'])
def test_an_index_that_leads_elsewhere_is_broken(samosa_home, index):
    ref = CheckpointRef("base", "odd", 1, samosa_home / "base_checkpoints" / "odd")
    home.write_atomic(ref.train_dir / "index.json", index)
    with pytest.raises(NotReady, match=r"index\.json is broken"):
        dict(load_train_state(ref)["optimizer"])


def test_a_state_in_one_file_goes_on_loading(saved):
    before = dict(load_train_state(saved)["optimizer"])
    (saved.train_dir / "index.json").unlink()
    (saved.train_dir / "optim_0.pt").rename(saved.train_dir / "optimizer.pt")
    saved.manifest_path.unlink()
    found = load_train_state(saved)
    assert found["optimizer"].keys() == before.keys() and found["cursor"]["step"] == 6
    same = [torch.equal(found["optimizer"][n]["exp_avg"], before[n]["exp_avg"]) for n in before if "wte" in n]
    assert same == [True]
