"""The [train] section: what does not go together is refused with the key to change."""

import pydantic
import pytest

from samosa.config import description
from samosa.train.schedule import FinetuneSchedule, PretrainSchedule
from samosa.train.settings import Train, schedule_of
from tests.train.jobs import SETTINGS


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tokens_per_step": 100}, "not a multiple of length 32 .near: 96 or 128"),
        ({"steps": None}, "epochs or steps"),
        ({"warmup_ratio": None}, "needs warmup_ratio"),
        ({"warmup_steps": 5}, "warmup_steps has no effect"),
        ({"schedule": "steps"}, "needs warmup_steps"),
        ({"schedule": "steps", "warmup_steps": 5}, "warmup_ratio has no effect"),
        ({"warmdown_ratio": 1.5}, "less than or equal to 1"),
        ({"init_lr_fracc": 0.3}, "Extra inputs"),
    ],
)
def test_what_cannot_take_effect_is_refused(changes, complaint):
    with pytest.raises(pydantic.ValidationError, match=complaint):
        Train.model_validate({**SETTINGS, **changes})


def test_the_schedule_is_the_one_the_recipe_names():
    fine = schedule_of(Train.model_validate({**SETTINGS, "init_lr_frac": 0.2}))
    assert isinstance(fine, FinetuneSchedule)
    assert [round(fine.at(step, 12).lr, 6) for step in (0, 6, 9)] == [0.2, 0.2, 0.1]
    changes = {"schedule": "steps", "warmup_ratio": None, "warmup_steps": 4}
    base = schedule_of(Train.model_validate({**SETTINGS, **changes}))
    assert isinstance(base, PretrainSchedule)
    assert [base.at(step, 12).lr for step in (0, 3, 4)] == [0.25, 1.0, 1.0]


def test_every_knob_has_its_sentence():
    assert [name for name in Train.model_fields if not description(Train, name)] == []
