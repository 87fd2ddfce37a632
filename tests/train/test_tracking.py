"""metrics.jsonl into wandb: a stand-in for its module shows what it is given, and that its failures stop nothing."""

import json
import subprocess
import sys
import threading
import time
import types

import pytest

from samosa import home
from samosa.train import launch
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


def test_metrics_that_begin_anew_are_followed_from_where_the_run_went_back_to(samosa_home, wandb, monkeypatch):
    monkeypatch.setattr("samosa.train.tracking.POLL", 0.01)
    job = make_job("back", wandb="offline")
    write_job(job)
    with Tracker(job) as tracker:
        for step in (1, 2, 3):
            append(job, kind="step", step=step, loss=3.0)
        tracker.begin(0)
        while len(wandb.run.logged) < 3:
            time.sleep(0.01)
        tracker.begin(1)
        home.write_atomic(job.metrics_path, json.dumps({"kind": "step", "step": 1, "loss": 3.0}) + "\n")
        append(job, kind="step", step=2, loss=2.0)
    assert wandb.run.logged[3:] == [(2, {"loss": 2.0})]


def test_a_stalled_wandb_holds_up_neither_the_steps_nor_the_end(samosa_home, wandb, monkeypatch):
    monkeypatch.setattr("samosa.train.tracking.PATIENCE", {"offline": 0.1})
    stalled = threading.Event()
    wandb.run.log = lambda values, step: (stalled.set(), threading.Event().wait(60))
    steps = 300
    code = (
        "import json, sys\n"
        f"open(sys.argv[1], 'w').write(json.dumps({{'kind': 'step', 'step': 1}}) + '\\n')\n"
        "print(json.dumps({'begin': 0}), flush=True)\nsys.stdin.readline()\n"
        f"for step in range({steps}):\n    print(json.dumps({{'live': 'x' * 1000}}), flush=True)\n"
    )
    job = make_job("stalled", wandb="offline")
    write_job(job)
    began = time.monotonic()
    with Tracker(job) as tracker, job.log_path.open("ab", buffering=0) as log:
        line = [sys.executable, "-c", code, str(job.metrics_path)]
        child = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=lambda: (stalled.wait(30), child.stdin.close()), daemon=True).start()
        launch._Ear(job, launch._Ranks(child.pid), tracker, log).listen(child)  # more than a pipe holds
        assert child.wait() == 0 and stalled.is_set()
    assert time.monotonic() - began < 30
