"""What may befall a run: kills and signals at any moment, numbers that are not finite, spikes, another number of ranks.

Nothing of it changes what comes out: the weights are those of the run that nothing befell.
"""

import functools
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from samosa.errors import SamosaError
from samosa.model.checkpoint import load_train_state
from samosa.train import rank, worker
from samosa.train.job import complete_checkpoints, finished, read_val_bpb, write_job
from samosa.train.objectives import NextToken
from samosa.train.progress import MEASURED
from samosa.train.stop import StopFlag, read_marker
from tests.train.jobs import (
    SETTINGS,
    AskedFor,
    make_job,
    metrics,
    on_durable_acts,
    on_two_ranks,
    same_bits,
    signalled,
    stop_one_and_end_the_other,
    train_here,
    weights,
)
from tests.train.tiny import ALONE

pytestmark = pytest.mark.usefixtures("one_thread")

STEPS = SETTINGS["steps"]
STAGES = ("pretrain", "sft", "extend")


def without_times(job):
    records = [{key: value for key, value in record.items() if key not in MEASURED} for record in metrics(job)]
    return sorted(records, key=lambda record: (record["step"], record["kind"]))


def assert_the_same_run(job, whole):
    ours, theirs = complete_checkpoints(job)[-1], complete_checkpoints(whole)[-1]
    assert same_bits(weights(ours), weights(theirs))
    assert load_train_state(ours)["cursor"] == load_train_state(theirs)["cursor"]
    assert without_times(job) == without_times(whole)
    assert [r["step"] for r in metrics(job) if r["kind"] == "step"] == list(range(1, STEPS + 1))
    assert read_val_bpb(Path(job.out_dir), STEPS) == read_val_bpb(Path(whole.out_dir), STEPS)


@pytest.fixture
def uninterrupted(samosa_home, monkeypatch):
    """Trains the whole run of a stage: its job, the checkpoint it starts from, and how many durable acts it took."""

    def whole(stage):
        init = None
        if stage != "pretrain":
            init = train_here(make_job("base", steps=2, eval_every=0, save_every=0))[-1].name
        acts, job = [], make_job("whole", stage=stage, init=init)
        write_job(job)
        with monkeypatch.context() as patch:
            for name in ("replace", "rename", "unlink"):
                patch.setattr(Path, name, getattr(Path, name))  # put back at the end
            patch.setattr(worker.home, "_append", worker.home._append)
            on_durable_acts(acts.append)
            worker.run(job, ALONE, StopFlag())
        return job, init, len(acts)

    return whole


def kill_and_resume(whole, init, event):
    """The same run killed before its n-th durable act, then run again to its end."""
    job = make_job(f"killed-{event}", stage=whole.stage, init=init)
    assert signalled(job, event, signal.SIGKILL) == -signal.SIGKILL
    train_here(job)
    assert_the_same_run(job, whole)


def stop_and_resume(whole, init, event):
    """The same run asked to stop before its n-th durable act: it loses no step, and goes on to the end."""
    job = make_job(f"stopped-{event}", stage=whole.stage, init=init)
    assert signalled(job, event, signal.SIGTERM) == 0
    if finished(job) is None:  # asked within its last act, a run may be finished
        lines = metrics(job) if job.metrics_path.exists() else []
        marker, done = read_marker(job), [r["step"] for r in lines if r["kind"] == "step"]
        saved = [ref.step for ref in complete_checkpoints(job)]
        assert marker["code"] == 130 and marker["reason"].startswith("SIGTERM")
        assert saved[-1:] == done[-1:]
    train_here(job)
    assert_the_same_run(job, whole)


def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(uninterrupted, soak_seed):
    whole, init, acts = uninterrupted("pretrain")
    for event in random.Random(soak_seed).sample(range(1, acts), 3):
        kill_and_resume(whole, init, event)


def test_a_run_asked_to_stop_at_any_moment_saves_its_step_and_goes_on_to_the_same_bits(uninterrupted, soak_seed):
    whole, init, acts = uninterrupted("pretrain")
    stop_and_resume(whole, init, random.Random(soak_seed).randrange(1, acts))


@pytest.mark.soak
@pytest.mark.parametrize("stage", STAGES)
def test_runs_of_every_stage_killed_at_forty_moments_go_on_to_the_same_bits(uninterrupted, soak_seed, stage):
    whole, init, acts = uninterrupted(stage)
    for event in random.Random(soak_seed).sample(range(1, acts), min(40, acts - 1)):
        kill_and_resume(whole, init, event)


@pytest.mark.soak
@pytest.mark.parametrize("stage", STAGES)
def test_runs_of_every_stage_stopped_at_forty_moments_go_on_to_the_same_bits(uninterrupted, soak_seed, stage):
    whole, init, acts = uninterrupted(stage)
    for event in random.Random(soak_seed).sample(range(1, acts), min(40, acts - 1)):
        stop_and_resume(whole, init, event)


def test_a_stop_asked_before_the_first_step_leaves_the_marker_and_trains_nothing(samosa_home):
    job, stop = make_job("early"), StopFlag()
    stop.ask("SIGHUP")
    assert train_here(job, stop) == []
    assert read_marker(job)["code"] == 130
    assert read_marker(job)["reason"] == "SIGHUP; before the first step"


def test_a_stop_asked_within_a_validation_leaves_it_with_the_step_saved(samosa_home, monkeypatch):
    whole = make_job("whole", eval_every=5, save_every=0)
    train_here(whole)
    job, stop = make_job("left", eval_every=5, save_every=0), StopFlag()
    evaluate = worker.Validation.measured

    def asked_within(self, step):
        stop.ask("SIGTERM")
        return evaluate(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(worker.Validation, "measured", asked_within)
        assert [ref.step for ref in train_here(job, stop)] == [5]
    assert read_marker(job)["reason"] == "SIGTERM; step 5 of 12 is saved"
    assert [r["kind"] for r in metrics(job)] == ["step"] * 5
    train_here(job)
    assert_the_same_run(job, whole)


def test_a_run_goes_on_with_another_number_of_ranks_and_one_of_them_may_stop_it(samosa_home):
    plain = {"dtype": "float64", "eval_every": 0, "save_every": 0}
    whole, fewer, more = (make_job(tag, **plain) for tag in ("whole", "fewer", "more"))
    train_here(whole)
    train_here(more, AskedFor(7))
    write_job(fewer)
    more.marker_path.unlink()
    assert on_two_ranks(functools.partial(stop_one_and_end_the_other, stops=fewer, ends=more)) == [0, 0]
    assert read_marker(fewer)["reason"] == "another rank was asked to stop; step 6 of 12 is saved"
    train_here(fewer)
    expected = weights(complete_checkpoints(whole)[-1])
    losses = [r["loss"] for r in metrics(whole) if r["kind"] == "step"]
    for job in (fewer, more):
        ours = weights(complete_checkpoints(job)[-1])
        assert max((ours[name] - expected[name]).abs().max().item() for name in ours) < 1e-6
        # The same batches: each step's loss is that of the same rows.
        assert [r["loss"] for r in metrics(job) if r["kind"] == "step"] == pytest.approx(losses, abs=1e-9)


def test_memory_that_runs_out_is_said_with_the_step_and_the_knob_and_the_run_goes_on_from_its_last_save(
    samosa_home, monkeypatch
):
    job = plenty("greedy", steps=6, tokens_per_step=64, micro_batch=2)
    full = Sick(job, [5], factor=1.0)
    monkeypatch.setattr(full, "reach", lambda: torch.empty(2**60))  # torch says it as on a machine that is full
    with monkeypatch.context() as patch:
        patch.setattr(worker, "NextToken", lambda: full)
        patch.setattr(StopFlag, "install", lambda self: None)
        with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
            rank.main([str(write_job(job))])
    assert "(in step 5 of 6)" in read_marker(job)["reason"]
    assert "--set train.micro_batch=1" in read_marker(job)["hint"]
    assert [ref.step for ref in complete_checkpoints(job)] == [3]
    train_here(replace(job, train={**job.train, "micro_batch": 1}))
    assert [r["step"] for r in metrics(job) if r["kind"] == "step"] == [1, 2, 3, 4, 5, 6]


class Sick(NextToken):
    """Losses that are not finite, or ten times too high, for certain rows: those of the steps named."""

    def __init__(self, job, steps, factor):
        plan = worker._plan(job, ALONE)
        batches = [batch for step in steps for batch, _ in plan.micro_batches(step - 1)]
        self.rows = {tuple(ids) for batch in batches for ids in batch.ids.tolist()}
        self.factor = factor

    def reach(self):
        """Called at each of them."""

    def loss(self, model, batch):
        sums, stats = super().loss(model, batch)
        ill = any(tuple(ids) in self.rows for ids in batch.ids.tolist())
        factor = self.factor if ill else 1.0
        if ill:
            self.reach()
        return {"nll": sums["nll"] * factor}, {"nll": stats["nll"] * factor}


def with_sick_steps(monkeypatch, job, steps, factor=float("nan")):
    monkeypatch.setattr(worker, "NextToken", lambda: Sick(job, steps, factor))


LONG = {"steps": 30, "save_every": 3, "eval_every": 0, "warmdown_ratio": 0.0}


def plenty(tag, **train):
    """A job whose steps see other rows each: no row comes twice."""
    return make_job(tag, **{**LONG, "tokens_per_step": 32, "micro_batch": 1, **train})


def test_steps_that_are_not_finite_are_skipped_and_counted(samosa_home, monkeypatch):
    job = plenty("ill", steps=8)
    with_sick_steps(monkeypatch, job, [3, 6])
    last = train_here(job)[-1]
    assert [r["step"] for r in metrics(job) if r.get("skipped")] == [3, 6]
    assert load_train_state(last)["cursor"]["skipped"] == 2


def test_a_spike_is_skipped_and_said(samosa_home, monkeypatch, capsys):
    job = plenty("spike", steps=21, save_every=0, spike_factor=10)
    with_sick_steps(monkeypatch, job, [20], factor=10.0)
    train_here(job)
    assert [r["step"] for r in metrics(job) if r.get("skipped")] == [20]
    assert "step 20: loss" in capsys.readouterr().err


def test_after_too_many_skipped_steps_the_run_goes_back_and_leaves_that_data_out(samosa_home, monkeypatch, capsys):
    job = plenty("back", steps=14, max_strikes=3)
    with_sick_steps(monkeypatch, job, [8, 9, 10])
    last = train_here(job)[-1]
    assert "back to step 6" in capsys.readouterr().err
    steps = [r for r in metrics(job) if r["kind"] == "step"]
    assert [r["step"] for r in steps] == list(range(1, 15))
    assert not any(r.get("skipped") for r in steps)
    assert [(r["step"], r["skips"]) for r in metrics(job) if r["kind"] == "rollback"] == [(7, [[6, 10]])]
    assert load_train_state(last)["cursor"]["skips"] == [[6, 10]]


def test_a_run_stopped_as_it_goes_back_goes_on_to_the_same_bits(samosa_home, monkeypatch):
    whole = plenty("whole", steps=14, max_strikes=3, keep=1)
    with_sick_steps(monkeypatch, whole, [8, 9, 10])
    train_here(whole)
    job = plenty("stopped", steps=14, max_strikes=3, keep=1)
    train_here(job, AskedFor(12))  # the look before the first step from there
    assert read_marker(job)["reason"] == "SIGINT; step 6 of 14 is saved"
    train_here(job)
    assert same_bits(weights(complete_checkpoints(job)[-1]), weights(complete_checkpoints(whole)[-1]))
    assert without_times(job) == without_times(whole)


def test_a_run_that_comes_back_to_the_same_place_stops_and_names_the_knob(samosa_home, monkeypatch):
    job = plenty("hopeless", max_strikes=3)
    with_sick_steps(monkeypatch, job, range(8, 31))
    with pytest.raises(SamosaError, match="again after going back to step 6") as raised:
        train_here(job)
    assert raised.value.exit_code == 1 and "train.max_strikes" in raised.value.hint
