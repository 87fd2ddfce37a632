"""Days and times, how a question writes them, and golds for them."""

import calendar
import random
from datetime import date, datetime, timedelta

from samosa.data.generate.sides import side_of
from samosa.eval.probe_types import Gold
from samosa.eval.suite.parts import CALCULATOR
from samosa.eval.suite.types import Drawn

WEEKDAYS = tuple(calendar.day_name)
MONTHS = tuple(calendar.month_name)[1:]
FIRST, LAST = date(2021, 1, 1), date(2039, 12, 31)


def a_day(rng: random.Random) -> date:
    """Draw a day of the probes' side."""
    while True:
        day = FIRST + timedelta(days=rng.randrange((LAST - FIRST).days))
        if side_of(day.isoformat()) == "probe":
            return day


def a_time(rng: random.Random, first: int, last: int, *, step: int = 5) -> datetime:
    """Draw a time of day in the hours from `first` to `last`, on minutes that `step` divides."""
    return datetime(2030, 1, 7, rng.randint(first, last), rng.randrange(0, 60, step))


def written(day: date, *, year: bool = True) -> str:
    """March 3, 2027."""
    return f"{MONTHS[day.month - 1]} {day.day}" + (f", {day.year}" if year else "")


def weekday(day: date) -> str:
    """Tuesday."""
    return WEEKDAYS[day.weekday()]


def clock(moment: datetime) -> str:
    """2:15 pm."""
    return f"{moment.hour % 12 or 12}:{moment.minute:02} {'am' if moment.hour < 12 else 'pm'}"


def one_of(question: str, answer: str, among: tuple[str, ...]) -> Drawn:
    """A question whose answer is one of a few names: of a day or a month."""
    rivals = tuple(name for name in among if name != answer)
    gold = Gold(tool=None, answer_is=(answer,), rivals=rivals, may_call=CALCULATOR)
    return Drawn(turns=(question,), gold=gold)


def date_is(question: str, day: date, *, year: bool = True) -> Drawn:
    """A question whose answer is a date; the days beside it are wrong."""
    rivals = tuple(written(day + timedelta(days=shift), year=year) for shift in (-2, -1, 1, 2))
    gold = Gold(tool=None, answer_is=(written(day, year=year),), rivals=rivals, may_call=CALCULATOR)
    return Drawn(turns=(question,), gold=gold)


def time_is(question: str, moment: datetime) -> Drawn:
    """A question whose answer is a time of day; hours away from it, and the other half of the day, are wrong."""
    rivals = tuple(clock(moment + timedelta(hours=shift)) for shift in (-2, -1, 1, 2, 12))
    gold = Gold(tool=None, answer_is=(clock(moment),), rivals=rivals, may_call=CALCULATOR)
    return Drawn(turns=(question,), gold=gold)
