"""Schedules against nanochat's own values, and what happens at the edges."""

import json

import pytest

from samosa.train.schedule import (
    PRETRAIN_MOMENTUM,
    SFT_MOMENTUM,
    FinetuneSchedule,
    PretrainSchedule,
    muon_momentum,
    progress_lr,
    sparkline,
)


def test_pretraining_matches_nanochat_at_every_recorded_step(golden):
    for case in json.loads((golden / "schedules.json").read_text())["base"]:
        args = dict(case["args"])
        steps, weight_decay = args.pop("N"), args.pop("wd")
        schedule = PretrainSchedule(**args, weight_decay=weight_decay)
        for step, lr, momentum, decay in case["rows"]:
            hyper = schedule.at(step, steps)
            assert (hyper.lr, hyper.momentum, hyper.weight_decay) == pytest.approx((lr, momentum, decay), abs=1e-12)


def test_fine_tuning_matches_nanochat_within_the_run(golden):
    for case in json.loads((golden / "schedules.json").read_text())["sft"]:
        for progress, lr in case["lr"]:
            if progress <= 1.0:
                assert progress_lr(progress, **case["args"]) == pytest.approx(lr, abs=1e-12)
        for step, momentum in case["momentum"]:
            ours = muon_momentum(step, 10_000, shape=SFT_MOMENTUM, warmdown_ratio=case["args"]["warmdown_ratio"])
            assert ours == pytest.approx(momentum, abs=1e-12)


def test_beyond_the_end_the_learning_rate_stays_put_where_nanochat_goes_negative():
    assert progress_lr(1.05, warmup_ratio=0.0, warmdown_ratio=0.5, final_lr_frac=0.0) == 0.0
    assert progress_lr(1.05, warmup_ratio=0.1, warmdown_ratio=0.3, final_lr_frac=0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("steps", [1, 2, 3, 41, 500])
def test_no_step_of_any_run_has_a_negative_or_zero_learning_rate(steps):
    for schedule in (
        PretrainSchedule(warmup_steps=40, warmdown_ratio=0.65, final_lr_frac=0.05, weight_decay=0.1),
        FinetuneSchedule(warmup_ratio=0.1, warmdown_ratio=0.5, final_lr_frac=0.0, weight_decay=0.0),
    ):
        for step in range(steps):
            assert 0 < schedule.at(step, steps).lr <= 1


def test_init_lr_frac_multiplies_the_whole_curve():
    full = FinetuneSchedule(warmup_ratio=0.0, warmdown_ratio=0.5, final_lr_frac=0.0, weight_decay=0.0)
    fifth = FinetuneSchedule(
        warmup_ratio=0.0, warmdown_ratio=0.5, final_lr_frac=0.0, weight_decay=0.0, init_lr_frac=0.2
    )
    for step in (0, 10, 30, 40):
        assert fifth.at(step, 41).lr == pytest.approx(0.2 * full.at(step, 41).lr)


def test_no_warmdown_means_a_flat_end():
    schedule = PretrainSchedule(warmup_steps=0, warmdown_ratio=0.0, final_lr_frac=0.0, weight_decay=0.0)
    assert schedule.at(100, 100).lr == 1.0
    assert muon_momentum(450, 450, shape=PRETRAIN_MOMENTUM, warmdown_ratio=0.0) == PRETRAIN_MOMENTUM.peak


def test_the_corners_of_40_000_steps_are_where_the_curve_bends():
    schedule = PretrainSchedule(warmup_steps=100, warmdown_ratio=0.2, final_lr_frac=0.05, weight_decay=0.028)
    corners = dict(schedule.corners(40_000))
    assert list(corners) == [0, 99, 400, 20_000, 32_000, 39_999]
    rates = [schedule.at(step, 40_000).lr for step in range(40_000)]
    bends = {s for s in range(1, 39_999) if abs(rates[s + 1] - 2 * rates[s] + rates[s - 1]) > 1e-6}
    assert bends == {99, 32_000}


@pytest.mark.parametrize("steps", [1, 2, 41])
def test_a_short_run_has_only_corners_of_its_own(steps):
    for schedule in (
        PretrainSchedule(warmup_steps=40, warmdown_ratio=0.65, final_lr_frac=0.05, weight_decay=0.1),
        FinetuneSchedule(warmup_ratio=0.1, warmdown_ratio=0.5, final_lr_frac=0.0, weight_decay=0.0),
    ):
        corners = [step for step, _ in schedule.corners(steps)]
        assert corners == sorted(set(corners))
        assert (corners[0], corners[-1]) == (0, steps - 1)
        assert len(sparkline(schedule, steps)) == min(steps, 60)


def test_the_sparkline_climbs_stays_and_falls():
    schedule = PretrainSchedule(warmup_steps=10, warmdown_ratio=0.5, final_lr_frac=0.0, weight_decay=0.0)
    line = sparkline(schedule, 100)
    assert line[0] < line[8] == "█" == line[25] > line[45] > line[-1] == "▁"
