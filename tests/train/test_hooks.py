"""What happens after a step, and when."""

import pytest

from samosa.train.hooks import AfterStep, Cadence
from samosa.train.loop import StepReport
from samosa.train.schedule import StepHyper

HYPER = StepHyper(lr=0.5, momentum=0.9, weight_decay=0.0)


def report(step, *, loss=2.0, stop=False, skipped=False):
    return StepReport(step, {"nll": loss}, 1.5, HYPER, skipped, stop)


def events(steps, *, save_every, eval_every, stop_at=None, leaves_at=None):
    """What happens, in order, as "step:what"."""
    seen = []
    after = AfterStep(
        Cadence(steps, save_every, eval_every),
        save=lambda step: seen.append(f"{step}:save"),
        validate=lambda step: (seen.append(f"{step}:validate"), step != leaves_at)[1],
        record=lambda r: seen.append(f"{r.step}:record"),
    )
    for step in range(1, (stop_at or steps) + 1):
        if after(report(step, stop=step == stop_at)):
            break
    return [event for event in seen if "record" not in event], seen


@pytest.mark.parametrize(
    ("save_every", "eval_every", "expected"),
    [
        (0, 0, ["5:save", "5:validate"]),
        (2, 0, ["2:save", "4:save", "5:save", "5:validate"]),
        (0, 2, ["2:validate", "4:validate", "5:save", "5:validate"]),
        (5, 5, ["5:save", "5:validate"]),
    ],
)
def test_the_last_step_is_always_saved_and_then_validated(save_every, eval_every, expected):
    assert events(5, save_every=save_every, eval_every=eval_every)[0] == expected


def test_a_step_is_recorded_before_it_is_saved():
    assert events(1, save_every=1, eval_every=1)[1] == ["1:record", "1:save", "1:validate"]


def test_who_asks_to_stop_gets_a_save_and_waits_for_no_validation():
    assert events(5, save_every=0, eval_every=2, stop_at=4)[0] == ["2:validate", "4:save"]
    assert events(5, save_every=0, eval_every=2, stop_at=5)[0][-2:] == ["5:save", "5:validate"]


@pytest.mark.parametrize(("save_every", "expected"), [(0, ["2:validate", "2:save"]), (2, ["2:save", "2:validate"])])
def test_a_validation_that_is_left_ends_the_run_with_its_step_saved(save_every, expected):
    assert events(5, save_every=save_every, eval_every=2, leaves_at=2)[0] == expected
