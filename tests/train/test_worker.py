"""Whole runs of the worker: what it leaves on disk, and that a kill at any moment changes nothing of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from samosa import home
from samosa.data.packing import Doc, pack_documents
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.model.checkpoint import load_model
from samosa.train import events, rank, session, validation, worker
from samosa.train import stop as stopping
from samosa.train.job import complete_checkpoints, finished, read_meta, read_val_bpb, val_path, write_job
from samosa.train.progress import MEASURED
from samosa.train.stop import StopFlag
from tests.train.jobs import SETTINGS, AskedFor, make_job, metrics, same_bits, train_here, weights
from tests.train.tiny import ALONE

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = SETTINGS["steps"]


def without_times(records):
    return [{k: v for k, v in record.items() if k not in MEASURED} for record in records]


def test_a_run_leaves_its_checkpoints_its_metrics_and_its_validations(samosa_home):
    job = make_job("whole")
    refs = train_here(job)
    assert [ref.step for ref in refs] == [3, 6, 9, 12]
    assert finished(job) == refs[-1]
    records = metrics(job)
    assert [r["step"] for r in records if r["kind"] == "step"] == list(range(1, STEPS + 1))
    assert [r["step"] for r in records if r["kind"] == "val"] == [4, 8, 12]
    assert records[-1] == {"kind": "val", "step": 12, "val_bpb": read_val_bpb(Path(job.out_dir), 12)}
    assert records[0]["loss"] > records[-2]["loss"]
    assert records[0]["tokens"] == SETTINGS["tokens_per_step"]
    meta = read_meta(refs[-1])
    assert meta["step"] == 12 and meta["model_config"]["n_layer"] == 2 and meta["stage"] == "base"
    own = meta["samosa"]
    assert (own["fingerprint"], own["steps"], own["dtype"], own["train_len"]) == ("first", 12, "float32", 32)
    assert not job.marker_path.exists()


def test_only_the_newest_checkpoints_are_kept(samosa_home):
    job = make_job("few", keep=2)
    assert [ref.step for ref in train_here(job)] == [9, 12]
    left = sorted(path.name for path in Path(job.out_dir).iterdir())
    assert [name for name in left if "000003" in name or "000006" in name] == []


def test_a_run_starts_from_the_weights_of_another(samosa_home):
    first = train_here(make_job("first"))[-1]
    job = make_job("second", init="first@12", steps=1, matrix_lr=1e-9, embedding_lr=1e-9, unembedding_lr=1e-9)
    (ref,) = train_here(job)
    before, after = weights(first), weights(ref)
    assert torch.allclose(before["transformer.wte.weight"], after["transformer.wte.weight"], atol=1e-6)
    assert read_meta(ref)["samosa"]["init"] == "first@12"


def test_the_windows_an_init_was_trained_with_go_into_the_run_and_its_checkpoints(samosa_home):
    train_here(make_job("first", steps=1))
    job = replace(make_job("second", init="first@1", steps=1), init_windows=[5, 48])
    (ref,) = train_here(job)
    assert load_model(ref)[0].config.layer_windows == (5, 48)


def test_a_run_that_is_stopped_saves_its_step_and_goes_on_to_the_same_bits(samosa_home, monkeypatch):
    whole = train_here(make_job("whole"))[-1]
    job, stop = make_job("halves"), StopFlag()
    done = worker.Checkpoints.save
    monkeypatch.setattr(worker.Checkpoints, "save", lambda self, step: (done(self, step), stop.ask("SIGTERM"))[0])
    train_here(job, stop)
    assert [ref.step for ref in complete_checkpoints(job)] == [3, 4]
    marker = json.loads(job.marker_path.read_text())
    assert (marker["code"], marker["reason"]) == (130, "SIGTERM; step 4 of 12 is saved")
    assert [r["step"] for r in metrics(job)] == [1, 2, 3, 4]  # step 4 is validated on the way on, not while one waits
    monkeypatch.undo()
    monkeypatch.setenv("SAMOSA_HOME", str(samosa_home))
    last = train_here(job)[-1]
    assert same_bits(weights(last), weights(whole))
    assert [r["step"] for r in metrics(job) if r["kind"] == "val"] == [4, 8, 12]


def test_a_broken_newest_checkpoint_is_said_and_the_one_before_it_resumed(samosa_home, capsys):
    whole = train_here(make_job("whole"))[-1]
    job = make_job("broken")
    for _ in range(4):  # each goes on for one step
        train_here(job, AskedFor(2))
    assert [ref.step for ref in complete_checkpoints(job)] == [1, 2, 3, 4]
    newest = complete_checkpoints(job)[-1].model_path
    newest.write_bytes(newest.read_bytes()[:-100])
    capsys.readouterr()
    last = train_here(job)[-1]
    assert "broken@4 cannot be resumed from" in capsys.readouterr().err
    assert same_bits(weights(last), weights(whole))


@pytest.mark.parametrize("damage", [lambda meta: meta.write_text(meta.read_text()[:40]), Path.unlink])
def test_a_newest_checkpoint_of_unreadable_meta_is_said_and_its_step_trained_again(samosa_home, capsys, damage):
    job = make_job("cut", steps=2, save_every=1, eval_every=0)
    refs = train_here(job)
    before = weights(refs[-1])
    damage(refs[-1].meta_path)
    assert complete_checkpoints(job) == refs
    assert finished(job) is None
    (Path(job.run_dir) / session.DECIDED_FILE).unlink()
    capsys.readouterr()
    last = train_here(job)[-1]
    assert "cut@2 cannot be resumed from" in capsys.readouterr().err
    assert finished(job) == last
    assert same_bits(weights(last), before)


def test_a_finished_run_that_lost_its_validation_is_validated_again(samosa_home):
    job = make_job("lost", steps=2, save_every=0, eval_every=0)
    (last,) = train_here(job)
    value = read_val_bpb(last.directory, 2)
    val_path(last.directory, 2).unlink()
    assert finished(job) is None
    train_here(job)
    assert finished(job) == last
    assert read_val_bpb(last.directory, 2) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_diverged_is_not_blamed_on_the_validation_rows(samosa_home, monkeypatch, value):
    monkeypatch.setattr(validation.bpb, "evaluate", lambda *_: validation.bpb.Measured(value, {}))
    with pytest.raises(SamosaError, match="validation loss is not finite at step 1") as raised:
        train_here(make_job("diverged", steps=1))
    assert raised.value.exit_code == 1
    assert "--set train.init_lr_frac=0.5" in raised.value.hint


def test_validation_rows_without_an_answer_are_refused_before_the_first_step(samosa_home):
    job = replace(make_job("silent"), val_dir=str(samosa_home / "silent"))
    asked = Doc(ids=np.arange(9), mask=np.zeros(9, dtype=bool), source="silent")
    pack_documents([asked], length=32, overlong="error", seed=0, pad=0).save(Path(job.val_dir))
    with pytest.raises(BadInput, match="supervise no byte"):
        train_here(job)
    assert not job.metrics_path.exists() and not complete_checkpoints(job)


def test_changed_settings_under_a_tag_that_has_checkpoints_are_refused(samosa_home):
    train_here(make_job("taken", steps=1))
    with pytest.raises(BadInput, match="taken@1 exists already") as refused:
        train_here(make_job("taken", steps=2, fingerprint="other"))
    assert "--tag takenb" in refused.value.hint


def test_checkpoints_of_another_program_are_never_trained_over(samosa_home):
    job = make_job("theirs")
    foreign = home.CheckpointRef("base", "theirs", 754, Path(job.out_dir))
    home.write_atomic(foreign.meta_path, json.dumps({"step": 754, "model_config": {}}))
    with pytest.raises(BadInput, match="theirs@754 exists already"):
        train_here(job)


def test_a_tokenizer_of_another_vocabulary_is_refused(samosa_home):
    job = make_job("vocabulary")
    with pytest.raises(BadInput, match="vocabulary"):
        train_here(replace(job, model_config={**job.model_config, "vocab_size": 499}))


def test_rows_of_another_length_are_refused(samosa_home):
    with pytest.raises(BadInput, match="32 tokens long, the recipe says 64"):
        train_here(make_job("length", length=64, tokens_per_step=128))


def test_two_processes_do_not_train_one_run(samosa_home, monkeypatch):
    monkeypatch.setattr(session, "LOCK_PATIENCE", 0.0)
    job = make_job("alone")
    with (
        session.only_one(job),
        pytest.raises(NotReady, match="another process is training alone"),
        session.only_one(job),
    ):
        pass


def test_the_choice_of_dtype_is_made_once(samosa_home, monkeypatch):
    job = make_job("auto", dtype="auto")
    Path(job.run_dir).mkdir(parents=True)
    answers = iter([(torch.bfloat16, "faster today"), (torch.float32, "faster tomorrow")])
    monkeypatch.setattr(session, "choose_dtype", lambda *_: next(answers))
    assert session.decide_dtype(job, ALONE) == session.decide_dtype(job, ALONE) == torch.bfloat16
    assert session.decide_dtype(replace(job, fingerprint="other"), ALONE) == torch.float32


def test_checkpoints_carried_here_alone_keep_their_dtype(samosa_home, monkeypatch):
    job = make_job("carried", dtype="auto", steps=2, save_every=1, eval_every=0)
    train_here(job, AskedFor(2))
    (Path(job.run_dir) / session.DECIDED_FILE).unlink()
    chosen = read_meta(complete_checkpoints(job)[-1])["samosa"]["dtype"]
    monkeypatch.setattr(session, "choose_dtype", lambda *_: pytest.fail("decided again"))
    assert session.decide_dtype(job, ALONE) == getattr(torch, chosen)


@pytest.mark.parametrize(
    ("bug", "hint"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "--set train.micro_batch=1"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "--set train.micro_batch=1"),
        (RuntimeError("[gloo/transport/tcp] Connection closed by peer"), "another rank died first"),
        (KeyError("wte"), None),
    ],
)
def test_a_crash_is_said_to_the_launcher_and_keeps_its_traceback(samosa_home, monkeypatch, bug, hint):
    job = make_job("crash")

    def crash(*_):
        raise bug

    monkeypatch.setattr(worker, "run", crash)
    monkeypatch.setattr(StopFlag, "install", lambda self: None)
    with pytest.raises(type(bug)):
        rank.main([str(write_job(job))])
    marker = json.loads(job.marker_path.read_text())
    assert marker["code"] == 1 and type(bug).__name__ in marker["reason"]
    assert marker["hint"] is None if hint is None else hint in marker["hint"]


def test_a_full_disk_is_told_to_the_launcher_though_no_marker_fits_on_it(samosa_home, monkeypatch, capfd):
    job = make_job("full")
    path = write_job(job)

    def full(*_):
        raise NotReady("the disk is full", hint="free some")

    monkeypatch.setattr(worker, "run", full)
    monkeypatch.setattr(stopping.home, "write_atomic", full)
    monkeypatch.setattr(StopFlag, "install", lambda self: None)
    monkeypatch.setenv(events.LAUNCHED, "1")
    assert rank.main([str(path)]) == 3
    told = [event for line in capfd.readouterr().out.splitlines() if "ended" in (event := events.parse(line) or {})]
    assert [told[0]["ended"][key] for key in ("reason", "code", "hint")] == ["the disk is full", 3, "free some"]
    assert not job.marker_path.exists()


def test_an_error_for_a_person_ends_the_worker_with_its_code(samosa_home, monkeypatch, capsys):
    job = make_job("unready")
    monkeypatch.setattr(StopFlag, "install", lambda self: None)
    path = write_job(replace(job, rows_dir=str(samosa_home / "nothing")))
    assert rank.main([str(path)]) == 3
    assert json.loads(job.marker_path.read_text())["hint"].endswith("pack again")
    assert "Traceback" not in capsys.readouterr().err
