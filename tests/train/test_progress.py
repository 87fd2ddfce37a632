"""metrics.jsonl and the progress line, and what is left of them after a kill."""

import json
import math
import time

import pytest
import torch

from samosa.train.loop import StepReport
from samosa.train.progress import COLUMNS, Progress, Work, duration, peak_memory, truncate_metrics
from samosa.train.schedule import StepHyper

HYPER = StepHyper(lr=0.5, momentum=0.9, weight_decay=0.0)
CPU = torch.device("cpu")


def report(step, *, loss=2.0, stop=False, skipped=False, **times):
    return StepReport(step, {"nll": loss}, 1.5, HYPER, skipped, stop, **times)


def progress(path, **changes):
    work = {
        "steps": 10,
        "tokens_per_step": 1000,
        "rates": {"matrix": 0.02, "embedding": 0.3, "unembedding": 0.008, "scalar": 0.5},
        "flops_per_token": 1e9,
        "causal_flops_per_token": 0.8e9,
        "parameters": 4000,
        "scaling_parameters": 2000,
        "peak_flops": None,
        "price_per_hour": None,
    }
    return Progress(path, Work(**{**work, **changes}), CPU)


def lines(path):
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]


def test_a_step_becomes_one_strict_json_line(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    watched = progress(path)
    watched.record(report(3), {"strikes": 1})
    watched.record(report(4, loss=math.nan, skipped=True, why="the loss is not finite"))
    first, second = lines(path)
    assert (first["step"], first["loss"], first["tokens"], first["strikes"]) == (3, 2.0, 3000, 1)
    rates = {key: value for key, value in first.items() if key.startswith("lr_")}
    assert rates == {"lr_matrix": 0.01, "lr_embedding": 0.15, "lr_unembedding": 0.004, "lr_scalar": 0.25}
    assert (first["tokens_per_parameter"], first["tokens_per_scaling_parameter"]) == (0.75, 1.5)
    assert {"mfu", "mfu_causal", "dollars", "skipped"}.isdisjoint(first)
    assert second["loss"] is None and second["skipped"] is True
    assert "not finite" in capsys.readouterr().err


def test_mfu_is_told_under_both_conventions(tmp_path):
    watched = progress(tmp_path / "m.jsonl", peak_flops=1e12)
    watched.mark -= 10.0
    watched.record(report(1))
    (line,) = lines(tmp_path / "m.jsonl")
    assert line["tok_per_s"] == pytest.approx(100, abs=2)
    assert line["mfu"] == pytest.approx(0.1, rel=0.02)  # 100 tokens/s x 1e9 FLOPs of 1e12 a second
    assert line["mfu_causal"] == pytest.approx(0.8 * line["mfu"], rel=0.01)


def test_waits_for_rows_are_a_share_of_the_step_and_waits_for_a_save_of_all_the_time(tmp_path):
    watched = progress(tmp_path / "m.jsonl")
    watched.mark -= 4.0
    watched.told -= 10.0
    watched.waited += 1.0
    with watched.saving():
        time.sleep(0.01)
    watched.record(report(1, data_seconds=1.0))
    watched.record(report(2))
    first, second = lines(tmp_path / "m.jsonl")
    assert first["wait_data"] == pytest.approx(0.25, abs=0.01)
    assert first["wait_save"] == pytest.approx(0.101, abs=0.002)
    assert second["wait_data"] == second["wait_save"] == 0.0


def test_peak_memory_counts_what_was_let_go_again():
    before = peak_memory(CPU)
    block = torch.ones(before // 4 + 30_000_000)  # four bytes a number
    del block
    assert peak_memory(CPU) >= before + 60_000_000


def test_the_progress_line_says_step_loss_rate_speed_and_what_is_left(tmp_path):
    watched = progress(tmp_path / "m.jsonl", peak_flops=1e14, price_per_hour=36.0)
    watched.pace, watched.began, watched.dollars_before = 10.0, watched.began - 100, 2.0
    line = {"step": 4, "loss": 2.0, "lr_matrix": 0.01, "tok_per_s": 40_000, "mfu": 0.4}
    assert watched.text(line) == (
        "step 4/10  loss 2.0000  lr 0.01  40,000 tok/s  MFU 40.0%  1:00 min left  $3.00 of ~$3.60"
    )
    watched.validated(4, 0.72)
    assert "  lr 0.01  val 0.7200  40,000 tok/s" in watched.text(line)


def test_the_progress_line_of_a_large_run_still_fits(tmp_path):
    watched = progress(tmp_path / "m.jsonl", steps=40_000, peak_flops=8e15, price_per_hour=20.0)
    watched.pace, watched.dollars_before, watched.val_bpb = 1.31, 123.0, 0.7212
    line = {"step": 12_345, "loss": 10.3972, "lr_matrix": 0.02828, "tok_per_s": 1_234_567, "mfu": 0.593}
    said = watched.text(line)
    assert len(said) <= COLUMNS
    assert said.startswith("step 12345/40000  loss 10.3972  ") and "1,234,567 tok/s  MFU 59.3%  10:03 h left" in said


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (185, "3:05 min"), (7620, "2:07 h")])
def test_durations_read_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text


def test_metrics_after_the_step_resumed_from_are_dropped_and_torn_lines_too(tmp_path):
    path = tmp_path / "metrics.jsonl"
    steps = [{"kind": "step", "step": s, "dollars": s / 2} for s in (1, 2, 3, 4)]
    steps[2:2] = [{"kind": "val", "step": 2, "val_bpb": 1.0}]
    path.write_text("".join(json.dumps(line) + "\n" for line in steps) + '{"kind": "st')
    assert truncate_metrics(path, 3) == ({2}, 1.5, 1.0)
    kept = [(r["kind"], r["step"]) for r in lines(path)]
    assert kept == [("step", 1), ("step", 2), ("val", 2), ("step", 3)]
    assert truncate_metrics(path, 0) == (set(), 0.0, None) and path.read_text() == ""
    assert truncate_metrics(tmp_path / "none.jsonl", 3) == (set(), 0.0, None)
