"""Saves behind the training thread: what they hold, what they leave when they fail, and which of them stay."""

import errno
import json
import os
import resource
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from samosa import home
from samosa.errors import NotReady
from samosa.model import tensors
from samosa.model.checkpoint import load_model, load_train_state
from samosa.train import saving, worker
from samosa.train.job import complete_checkpoints, val_path, write_job
from samosa.train.loop import TrainState
from samosa.train.optim import MuonAdamW
from samosa.train.saving import Checkpoints, superfluous
from samosa.train.session import Start, clear_unfinished
from samosa.train.snapshot import Snapshot
from samosa.train.stop import StopFlag
from tests.train.jobs import make_job
from tests.train.tiny import ALONE, CONFIG, LRS, tiny_model


@pytest.fixture
def run(samosa_home):
    """Makes the checkpoints of a run whose weights a test may change at will."""

    def begin(tag="run", *, where=ALONE, **train):
        model = tiny_model()
        optimizer = MuonAdamW(model.named_parameters(), **LRS, n_embd=CONFIG.n_embd)
        start = Start(model, "fresh weights", 0, None)
        return Checkpoints(make_job(tag, **train), TrainState(model, optimizer), start, 12, torch.float32, where)

    return begin


@pytest.fixture
def held(monkeypatch):
    """Holds every save back before its first tensor is written, until the event is set."""
    go, write = threading.Event(), tensors.torch.save
    monkeypatch.setattr(tensors.torch, "save", lambda *args: (go.wait(60), write(*args)))
    yield go
    go.set()


def full(*_args):
    raise OSError(errno.ENOSPC, "No space left on device")


def fill(checkpoints, value):
    with torch.no_grad():
        for param in checkpoints.start.model.parameters():
            param.fill_(value)
    for fields in checkpoints.state.optimizer.live_state().values():
        for tensor in fields.values():
            if isinstance(tensor, torch.Tensor):
                tensor.fill_(value)


def steps(checkpoints):
    return [ref.step for ref in complete_checkpoints(checkpoints.job)]


def names(checkpoints):
    return sorted(path.name for path in Path(checkpoints.job.out_dir).iterdir())


# --- while the training goes on


def test_a_save_holds_what_was_there_when_it_was_asked_for(run, held):
    checkpoints = run()
    for step, value in ((3, 0.25), (6, 0.5)):
        fill(checkpoints, value)
        checkpoints.save(step)
        assert steps(checkpoints)[-1:] != [step], "it is still being written"
        fill(checkpoints, -1.0)  # training goes on
        held.set()
        checkpoints.wait()
        ref = complete_checkpoints(checkpoints.job)[-1]
        stored = load_train_state(ref)["optimizer"]
        assert ref.step == step
        assert all((weight == value).all() for weight in load_model(ref)[0].state_dict().values())
        assert all(
            (moment == value).all() for name in stored for moment in stored[name].values() if hasattr(moment, "dim")
        )
        held.clear()


def test_a_second_save_waits_for_the_first(run, held):
    checkpoints = run()
    checkpoints.save(3)
    threading.Timer(0.2, held.set).start()
    checkpoints.save(4)
    assert steps(checkpoints)[0] == 3
    checkpoints.wait()
    assert steps(checkpoints) == [3, 4]


def test_a_validation_may_be_done_before_its_checkpoint(run, held):
    checkpoints = run()
    checkpoints.save(3)
    checkpoints.write_val(3, 1.5)
    checkpoints.write_val(2, 1.5)  # nothing is saved of that step
    held.set()
    checkpoints.wait()
    assert val_path(Path(checkpoints.job.out_dir), 3).exists()
    assert not val_path(Path(checkpoints.job.out_dir), 2).exists()


def test_memory_is_taken_once(run):
    snapshot, state = Snapshot(), {"a": {"x": torch.ones(3, 2).T, "step": 4}}
    first = snapshot.take(state=state)["state"]
    state["a"]["x"].fill_(2.0)
    assert first["a"]["x"].tolist() == [[1.0] * 3] * 2 and first["a"]["step"] == 4
    again = snapshot.take(state=state)["state"]
    assert again["a"]["x"].data_ptr() == first["a"]["x"].data_ptr()
    assert again["a"]["x"].tolist() == [[2.0] * 3] * 2


def test_a_bug_in_the_writer_is_raised_and_not_taken_for_a_disk(run, monkeypatch):
    checkpoints = run()
    monkeypatch.setattr(saving, "write_part", lambda *_: {}["bug"])
    checkpoints.save(3)
    with pytest.raises(KeyError, match="bug"):
        checkpoints.save(4)


# --- when the disk refuses


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("after", [0, 100_000])
def test_a_failed_save_leaves_the_one_before_it_and_training_goes_on(run, monkeypatch, capsys, number, after):
    checkpoints = run()
    checkpoints.save(3)
    checkpoints.wait()
    before = names(checkpoints)
    chunk = tensors._Hashing._chunk

    def refuse(self, rest):
        chunk(self, rest)
        if self.size > after:
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(tensors._Hashing, "_chunk", refuse)
        checkpoints.save(6)
        checkpoints.write_val(6, 1.0)
        with pytest.raises(NotReady, match=r"step 6 of run was not saved: .*") as raised:
            checkpoints.wait()
    assert "the same command goes on from run@3" in raised.value.hint and "\n" not in str(raised.value)
    assert "warning: step 6 was not saved" in capsys.readouterr().err
    assert names(checkpoints) == before
    checkpoints.save(9)  # raises nothing: that it failed was said
    checkpoints.wait()
    assert steps(checkpoints) == [3, 9]


def test_a_full_disk_is_known_before_it_is_written_to(run, monkeypatch, capsys):
    checkpoints = run()
    checkpoints.save(3)
    checkpoints.wait()
    usage = home.shutil.disk_usage(checkpoints.job.out_dir)._replace(free=1000)
    monkeypatch.setattr(home.shutil, "disk_usage", lambda path: usage)
    checkpoints.save(12)  # the last one: the error says it, no warning before it
    with pytest.raises(NotReady, match=r"step 12 of run was not saved: .* its disk has 1\.0 kB free"):
        checkpoints.wait()
    assert "warning" not in capsys.readouterr().err
    assert steps(checkpoints) == [3]


def test_what_a_killed_save_left_is_deleted_and_what_others_made_is_not(run):
    checkpoints = run()
    for step in (3, 6):
        checkpoints.save(step)
    checkpoints.wait()
    killed = complete_checkpoints(checkpoints.job)[-1]
    killed.manifest_path.unlink()
    out_dir = killed.directory
    (out_dir / ".tmp-999999999-abc-model_000006.pt").write_bytes(b"half")
    mine = out_dir / f".tmp-{os.getpid()}-abc-model_000009.pt"
    mine.write_bytes(b"half")
    theirs = out_dir / "model_000754.pt"
    theirs.write_bytes(b"somebody else's")
    clear_unfinished(checkpoints.job)
    kept = ["manifest_000003.json", "meta_000003.json", "model_000003.pt", "train_000003"]
    assert names(checkpoints) == sorted([*kept, mine.name, theirs.name])


# --- which stay


@pytest.mark.parametrize(
    ("keep", "every", "best", "gone"),
    [
        (0, 0, False, []),
        (1, 0, False, [2, 4, 6, 8]),
        (2, 0, False, [2, 4, 6]),
        (2, 4, False, [2, 6]),
        (1, 0, True, [2, 4, 8]),
        (9, 0, False, []),
    ],
)
def test_the_recipe_says_which_steps_stay(samosa_home, keep, every, best, gone):
    train = make_job("policy").settings.model_copy(update={"keep": keep, "keep_every": every, "keep_best": best})
    assert superfluous([2, 4, 6, 8, 10], train, {4: 1.2, 6: 1.1, 8: 1.1}) == gone


def test_a_recipe_that_keeps_all_cannot_keep_some_longer(samosa_home):
    with pytest.raises(ValueError, match="keep 0, which keeps all"):
        _ = make_job("policy", keep_best=True).settings


def test_the_best_the_marked_and_the_last_stay(run):
    checkpoints = run(keep=1, keep_best=True)
    for step, bpb in ((1, 2.0), (2, 1.0), (3, 1.5), (4, 1.6), (5, 1.7)):
        checkpoints.save(step)
        checkpoints.write_val(step, bpb)
        if step == 3:
            checkpoints.wait()
            home.protect(complete_checkpoints(checkpoints.job)[-1], "another run starts from it")
    checkpoints.wait()
    assert steps(checkpoints) == [2, 3, 5]
    assert [name for name in names(checkpoints) if "000001" in name or "000004" in name] == []


def test_the_checkpoint_before_it_stays_until_a_save_is_complete(run, held):
    checkpoints = run(keep=1)
    held.set()
    checkpoints.save(3)
    checkpoints.wait()
    held.clear()
    checkpoints.save(6)
    assert steps(checkpoints) == [3]
    held.set()
    checkpoints.wait()
    assert steps(checkpoints) == [6]


# --- over two ranks


def ranks(run, monkeypatch, patience=60.0):
    """The checkpoints of two ranks that share the parameters out, in this process."""
    monkeypatch.setattr(saving, "PARTS_PATIENCE", patience)
    both = [run(where=replace(ALONE, rank=rank, size=2)) for rank in (0, 1)]
    for rank, checkpoints in enumerate(both):
        whole = checkpoints.state.optimizer.live_state()
        mine = {name: fields for i, (name, fields) in enumerate(whole.items()) if i % 2 == rank}
        monkeypatch.setattr(checkpoints.state.optimizer, "live_state", lambda mine=mine: mine)
    return both


def test_every_rank_writes_its_part_and_any_number_of_ranks_reads_it(run, monkeypatch):
    both = ranks(run, monkeypatch)
    fill(both[0], 1.0)
    fill(both[1], 2.0)
    both[0].save(3)
    time.sleep(0.2)
    assert steps(both[0]) == []
    both[1].save(3)
    for checkpoints in both:
        checkpoints.wait()
    (ref,) = complete_checkpoints(both[0].job)
    files = json.loads(ref.manifest_path.read_text())["files"]
    inside = {f"train_000003/{name}" for name in ("optim_0.pt", "optim_1.pt", "index.json", "cursor.json")}
    assert set(files) == {"meta_000003.json", "model_000003.pt"} | inside
    assert all((ref.directory / name).stat().st_size == entry["bytes"] for name, entry in files.items())
    index = json.loads((ref.train_dir / "index.json").read_text())["parts"]
    everything = [name for name, _ in tiny_model().named_parameters()]
    assert sorted(name for part in index for name in part["names"]) == sorted(everything)
    stored = load_train_state(ref)["optimizer"]
    (ref.train_dir / "optim_1.pt").unlink()
    for name in index[0]["names"]:  # a rank opens only what holds its names
        assert all((field == 1.0).all() for field in stored[name].values() if isinstance(field, torch.Tensor))
    with pytest.raises(NotReady, match=r"optim_1\.pt is missing"):
        stored[index[1]["names"][0]]


def test_a_rank_that_dies_leaves_the_checkpoint_before_it(run, monkeypatch):
    both = ranks(run, monkeypatch, patience=0.2)
    both[0].save(3)
    with pytest.raises(NotReady, match="rank 1 did not save its part of run@3"):
        both[0].wait()
    assert names(both[0]) == []


def test_a_run_that_failed_does_not_wait_for_dead_ranks(run, monkeypatch):
    monkeypatch.setattr(saving, "GRACE", 0.1)
    both = ranks(run, monkeypatch)
    both[0].save(3)
    began = time.monotonic()
    both[0].close()
    assert time.monotonic() - began < 30
    assert steps(both[0]) == []


def test_a_rank_whose_disk_is_full_says_so_to_rank_0(run, monkeypatch):
    both = ranks(run, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(saving, "write_part", full)
        both[1].save(3)
        with pytest.raises(NotReady, match="No space left"):
            both[1].wait()
    both[0].save(3)
    with pytest.raises(NotReady, match=r"rank 1: .*No space left"):
        both[0].wait()
    assert names(both[0]) == []


def test_a_part_of_an_earlier_attempt_is_not_taken(run, monkeypatch):
    both = ranks(run, monkeypatch, patience=0.2)
    both[1].start = replace(both[1].start, attempt=7)
    both[1].save(3)
    both[1].wait()
    both[0].save(3)
    with pytest.raises(NotReady, match="rank 1 did not save"):
        both[0].wait()


# --- whole runs


def train_here(job):
    write_job(job)
    worker.run(job, ALONE, StopFlag())
    return complete_checkpoints(job)


def test_a_run_whose_files_may_not_grow_goes_on_and_ends_with_the_way_on(samosa_home, capsys):
    torch.set_num_threads(1)
    whole = train_here(make_job("whole", steps=4, save_every=2, eval_every=0))[-1]
    job = make_job("tight", steps=4, save_every=1, eval_every=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    grow, sizes = saving.write_checkpoint, {2: 60_000, 3: 60_000, 4: 60_000}

    def limited(ref, *args, **options):
        resource.setrlimit(resource.RLIMIT_FSIZE, (sizes.get(ref.step, soft), hard))
        try:
            grow(ref, *args, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "write_checkpoint", limited)
        with pytest.raises(NotReady, match=r"step 4 of tight was not saved: cannot write .*File too large") as raised:
            train_here(job)
    assert raised.value.hint.endswith("then the same command goes on from tight@1")
    said = capsys.readouterr().err
    assert "step 2 was not saved" in said and "step 3 was not saved" in said and "tight@1 stays" in said
    assert [ref.step for ref in complete_checkpoints(job)] == [1]
    last = train_here(job)[-1]
    ours, theirs = load_model(last)[0].state_dict(), load_model(whole)[0].state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_folder_that_may_not_be_written_is_two_lines_and_loses_nothing(run):
    checkpoints = run()
    folder = tempfile.TemporaryDirectory()  # pytest's own may be entered by nobody else
    out_dir = Path(folder.name) / "run"
    Path(folder.name).chmod(0o755)
    checkpoints.job = replace(checkpoints.job, out_dir=str(out_dir))
    checkpoints.save(3)
    checkpoints.wait()
    before = names(checkpoints)
    out_dir.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may write anywhere
    try:
        checkpoints.save(12)
        with pytest.raises(NotReady, match=r"cannot write .*: Permission denied") as raised:
            checkpoints.wait()
    finally:
        if root:
            os.seteuid(0)
    assert "\n" not in raised.value.message + raised.value.hint
    assert names(checkpoints) == before
    assert load_model(complete_checkpoints(checkpoints.job)[0])
    out_dir.chmod(0o755)
    folder.cleanup()


def test_the_checkpoint_a_run_starts_from_is_kept(samosa_home):
    first = train_here(make_job("first", steps=1, eval_every=0))[-1]
    train_here(make_job("second", init="first@1", steps=1, eval_every=0))
    assert first.keep_path.read_text() == "second starts from it\n"
