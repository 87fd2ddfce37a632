"""metrics.jsonl into wandb: a stand-in for its module shows what it is given, and that its failures stop nothing."""

import json
import sys
import time
import types

import pytest

from samosa import home
from samosa.train.job import write_job
from samosa.train.tracking import Tracker
from tests.train.jobs import make_job


class FakeRun:
    def __init__(self):
        self.logged, self.finished = [], False

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    module = types.ModuleType("wandb")
    module.run, module.opened = FakeRun(), []
    module.Settings = lambda **options: options
    module.init = lambda **options: (module.opened.append(options), module.run)[1]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def append(job, **record):
    home.append_line(job.metrics_path, json.dumps(record))


def test_records_after_the_resumed_step_reach_wandb_even_the_last(samosa_home, wandb):
    job = make_job("tracked", wandb="offline")
    write_job(job)
    append(job, kind="step", step=1, loss=3.0)
    with Tracker(job) as tracker:
        tracker.begin(1)
        append(job, kind="step", step=2, loss=2.0)
        append(job, kind="val", step=2, val_bpb=1.0)
    assert wandb.run.logged == [(2, {"loss": 2.0}), (2, {"val_bpb": 1.0})]
    assert wandb.run.finished
    assert wandb.opened[0]["mode"] == "offline" and wandb.opened[0]["dir"] == job.run_dir


def test_off_opens_nothing(samosa_home, wandb):
    with Tracker(make_job("quiet", wandb="off")) as tracker:
        tracker.begin(0)
    assert wandb.opened == []


def test_a_failing_wandb_is_said_and_stops_nothing(samosa_home, wandb, capsys):
    wandb.init = lambda **options: 1 / 0
    with Tracker(make_job("failing", wandb="offline")) as tracker:
        tracker.begin(0)
    assert "wandb stopped: division by zero" in capsys.readouterr().err


def test_a_hanging_wandb_does_not_hold_up_the_end(samosa_home, wandb, monkeypatch, capsys):
    monkeypatch.setattr("samosa.train.tracking.PATIENCE", {"offline": 0.1})
    wandb.init = lambda **options: time.sleep(3)
    began = time.monotonic()
    with Tracker(make_job("hanging", wandb="offline")) as tracker:
        tracker.begin(0)
    assert time.monotonic() - began < 2
    assert "has not finished" in capsys.readouterr().err
