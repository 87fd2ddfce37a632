"""metrics.jsonl and the progress line, and what is left of them after a kill."""

import json
import math

import pytest

from samosa.train.loop import StepReport
from samosa.train.progress import Progress, duration, truncate_metrics
from samosa.train.schedule import StepHyper

HYPER = StepHyper(lr=0.5, momentum=0.9, weight_decay=0.0)


def report(step, *, loss=2.0, stop=False, skipped=False):
    return StepReport(step, {"nll": loss}, 1.5, HYPER, skipped, stop)


def progress(path, **changes):
    plain = {"steps": 10, "tokens_per_step": 1000, "matrix_lr": 0.02, "flops_per_token": 1e9}
    return Progress(metrics=path, **{"peak_flops": None, "price_per_hour": None, **plain, **changes})


def test_a_step_becomes_one_strict_json_line(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    watched = progress(path)
    watched.record(report(3))
    watched.record(report(4, loss=math.nan, skipped=True))
    first, second = (json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines())
    assert (first["step"], first["loss"], first["lr"], first["tokens"]) == (3, 2.0, 0.01, 3000)
    assert "mfu" not in first and "skipped" not in first
    assert second["loss"] is None and second["skipped"] is True
    assert "not finite" in capsys.readouterr().err


def test_the_progress_line_says_step_loss_rate_speed_and_what_is_left(tmp_path):
    watched = progress(tmp_path / "m.jsonl", peak_flops=1e14, price_per_hour=36.0)
    watched.pace, watched.began = 10.0, watched.began - 100
    line = {"step": 4, "loss": 2.0, "lr": 0.01, "tok_per_s": 40_000, "mfu": 0.4}
    assert watched.text(line) == (
        "step 4/10  loss 2.0000  lr 0.01  40,000 tok/s  MFU 40.0% of bf16 peak  1:00 min left  $1.00 of ~$1.60"
    )


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (185, "3:05 min"), (7620, "2:07 h")])
def test_durations_read_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text


def test_metrics_after_the_step_resumed_from_are_dropped_and_torn_lines_too(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [{"kind": "step", "step": s} for s in (1, 2, 3, 4)]
    lines[2:2] = [{"kind": "val", "step": 2, "val_bpb": 1.0}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "st')
    assert truncate_metrics(path, 3) == {2}
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["kind"], r["step"]) for r in kept] == [("step", 1), ("step", 2), ("val", 2), ("step", 3)]
    assert truncate_metrics(path, 0) == set() and path.read_text() == ""
    assert truncate_metrics(tmp_path / "none.jsonl", 3) == set()
