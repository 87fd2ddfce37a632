"""Weekdays, dates, ages and clock times, all reckoned by datetime and calendar.

Each function draws an instance of the template that is named after it.
"""

import calendar
import random
from datetime import date, timedelta

from samosa.eval.probe_types import Gold
from samosa.eval.suite.calendars import (
    MONTHS,
    WEEKDAYS,
    a_day,
    a_time,
    clock,
    date_is,
    one_of,
    time_is,
    weekday,
    written,
)
from samosa.eval.suite.parts import CALCULATOR, between, calculated, different, first_names, fresh, templates
from samosa.eval.suite.types import Drawn

TIMES = "Give the time with am or pm."


def _ask(rng: random.Random, *forms: str, **slots: object) -> str:
    return rng.choice(forms).format(**slots)


def _number(rng: random.Random, low: int, high: int) -> int:
    return int(fresh(rng, between(n=(low, high)))["n"])


def days_ago(rng: random.Random) -> Drawn:
    day, n = a_day(rng), rng.choice([n for n in range(3, 60) if n % 7])
    ask = _ask(rng, "If today is {d}, what day of the week was it {n} days ago?",
               "Today is {d}. Which weekday was {n} days ago?", d=weekday(day), n=n)  # fmt: skip
    return one_of(ask, weekday(day - timedelta(days=n)), WEEKDAYS)


def days_ahead(rng: random.Random) -> Drawn:
    day, n = a_day(rng), rng.choice([n for n in range(3, 99) if n % 7])
    ask = _ask(rng, "It is {d} today. Which day of the week will it be in {n} days?",
               "What day of the week comes {n} days after a {d}?", d=weekday(day), n=n)  # fmt: skip
    return one_of(ask, weekday(day + timedelta(days=n)), WEEKDAYS)


def around_today(rng: random.Random) -> Drawn:
    """From one day named by its distance from today to another."""
    day = a_day(rng)
    was, back = rng.choice([("yesterday", 1), ("the day before yesterday", 2), ("three days ago", 3)])
    is_, ahead = rng.choice([("tomorrow", 1), ("the day after tomorrow", 2)])
    ask = _ask(rng, "If it was {d} {was}, what day of the week is {is_}?",
               "It was {d} {was}. Which weekday is {is_}?", d=weekday(day), was=was, is_=is_)  # fmt: skip
    return one_of(ask, weekday(day + timedelta(days=back + ahead)), WEEKDAYS)


def same_month(rng: random.Random) -> Drawn:
    first = a_day(rng).replace(day=rng.randint(1, 10))
    then = first + timedelta(days=rng.choice([n for n in range(4, 18) if n % 7]))
    ask = _ask(rng, "{a} is a {d}. What day of the week is {b}?", "If {a} falls on a {d}, on which weekday does {b} "
                                                                  "fall?",
               a=written(first), b=written(then), d=weekday(first))  # fmt: skip
    return one_of(ask, weekday(then), WEEKDAYS)


def next_month(rng: random.Random) -> Drawn:
    day = a_day(rng)
    first = day.replace(day=rng.randint(15, 28))
    then = first + timedelta(days=rng.choice([n for n in range(17, 40) if n % 7]))
    ask = _ask(rng, "{a} is a {d}. What day of the week is {b}?", "On which weekday is {b}, if {a} is a {d}?",
               a=written(first), b=written(then), d=weekday(first))  # fmt: skip
    return one_of(ask, weekday(then), WEEKDAYS)


def every_few_days(rng: random.Random) -> Drawn:
    day, (name,) = a_day(rng), first_names(rng, 1)
    step, time = rng.choice([(s, t) for s in (2, 3, 4, 5, 9, 10) for t in (3, 4, 5, 6) if s * (t - 1) % 7])
    ask = _ask(rng, "{p} waters the garden every {s} days. The first time is on a {d}. On which weekday is time "
                    "number {t}?",
               "Every {s} days {p} goes running, first on a {d}. What day of the week is run number {t}?",
               p=name, s=step, d=weekday(day), t=time)  # fmt: skip
    return one_of(ask, weekday(day + timedelta(days=step * (time - 1))), WEEKDAYS)


def days_after(rng: random.Random) -> Drawn:
    day, n = a_day(rng), _number(rng, 8, 60)
    ask = _ask(
        rng, "What date is {n} days after {a}?", "Today is {a}. Which date is it in {n} days?", n=n, a=written(day)
    )
    return date_is(ask, day + timedelta(days=n))


def days_before(rng: random.Random) -> Drawn:
    day, n = a_day(rng), _number(rng, 8, 45)
    ask = _ask(
        rng, "What date was {n} days before {a}?", "It is {a}. What was the date {n} days ago?", n=n, a=written(day)
    )
    return date_is(ask, day - timedelta(days=n))


def weeks_after(rng: random.Random) -> Drawn:
    day, n = a_day(rng), rng.randint(2, 12)
    ask = _ask(rng, "A course begins on {a} and ends exactly {n} weeks later. On which date does it end?",
               "What is the date {n} weeks after {a}?", n=n, a=written(day))  # fmt: skip
    return date_is(ask, day + timedelta(weeks=n))


def days_between(rng: random.Random) -> Drawn:
    day, n = a_day(rng), _number(rng, 12, 120)
    ask = _ask(rng, "How many days after {a} is {b}?", "How many days pass from {a} to {b}?",
               a=written(day), b=written(day + timedelta(days=n)))  # fmt: skip
    return calculated(ask, n)


def first_of_its_kind(rng: random.Random) -> Drawn:
    first = a_day(rng).replace(day=1)
    then = first + timedelta(days=rng.randint(1, 6))
    ask = _ask(rng, "{a} is a {d}. On which date is the first {e} of {m}?",
               "If {a} is a {d}, what is the date of the first {e} of {m}?",
               a=written(first), d=weekday(first), e=weekday(then),
               m=f"{MONTHS[then.month - 1]} {then.year}")  # fmt: skip
    return date_is(ask, then, year=False)


def leap_year(rng: random.Random) -> Drawn:
    leap = rng.choice([year for year in range(1904, 2097) if calendar.isleap(year)])
    years = [leap, *rng.sample([year for year in range(1901, 2099) if not calendar.isleap(year)], 2)]
    shuffled = rng.sample(years, 3)
    ask = _ask(rng, "Which of these is a leap year: {a}, {b} or {c}?",
               "One of these years has a February 29: {a}, {b}, {c}. Which one?",
               **dict(zip("abc", shuffled, strict=True)))  # fmt: skip
    return one_of(ask, str(leap), tuple(map(str, shuffled)))


def days_in_month(rng: random.Random) -> Drawn:
    day = a_day(rng)
    month = f"{MONTHS[day.month - 1]} {day.year}"
    ask = _ask(rng, "How many days does {m} have?", "How many days are there in {m}?", m=month)
    return calculated(ask, calendar.monthrange(day.year, day.month)[1])


def months_after(rng: random.Random) -> Drawn:
    start, n = rng.randrange(12), rng.choice([n for n in range(3, 30) if n % 12])
    ask = _ask(rng, "Which month is {n} months after {m}?", "It is {m}. What month will it be in {n} months?",
               n=n, m=MONTHS[start])  # fmt: skip
    return one_of(ask, MONTHS[(start + n) % 12], MONTHS)


def months_between(rng: random.Random) -> Drawn:
    start, n = rng.randrange(12), _number(rng, 5, 40)
    year, month = divmod(start + n, 12)
    first = rng.randint(2021, 2035)
    ask = _ask(rng, "How many months are there from {a} to {b}?", "A loan runs from {a} to {b}. How many months is "
                                                                  "that?",
               a=f"{MONTHS[start]} 1, {first}", b=f"{MONTHS[month]} 1, {first + year}")  # fmt: skip
    return calculated(ask, n)


def turns_years_old(rng: random.Random) -> Drawn:
    slots, (name,) = (
        fresh(rng, lambda rng: {"y": rng.randint(1950, 2015), "n": rng.randint(18, 80)}),
        first_names(rng, 1),
    )
    ask = _ask(rng, "{p} was born in {y}. How old does {p} turn in {z}?", "Born in {y}, which age does {p} reach "
                                                                          "in {z}?",
               p=name, y=slots["y"], z=slots["y"] + slots["n"])  # fmt: skip
    return calculated(ask, slots["n"])


def age_on_a_day(rng: random.Random) -> Drawn:
    born, day = a_day(rng).replace(day=rng.randint(1, 28)), a_day(rng)
    born = born.replace(year=day.year - rng.randint(9, 70))
    age = day.year - born.year - ((day.month, day.day) < (born.month, born.day))
    (name,) = first_names(rng, 1)
    ask = _ask(rng, "{p} was born on {a}. How old is {p} on {b}?", "How many years old is {p}, born on {a}, on {b}?",
               p=name, a=written(born), b=written(day))  # fmt: skip
    return calculated(ask, age)


def birth_year(rng: random.Random) -> Drawn:
    slots, (name,) = fresh(rng, between(n=(12, 75), y=(2021, 2039))), first_names(rng, 1)
    ask = _ask(rng, "{p} turned {n} in {y}. In which year was {p} born?", "In {y} {p} had birthday number {n}: the "
                                                                          "day {p}"
               " turned {n}. What is the birth year of {p}?", p=name, **slots)  # fmt: skip
    return calculated(ask, slots["y"] - slots["n"])


def arrival(rng: random.Random) -> Drawn:
    start, minutes = a_time(rng, 6, 18), rng.randrange(65, 320, 5)
    ask = _ask(rng, "A bus leaves at {t} and the ride takes {h} hours and {m} minutes. When does it arrive? ",
               "A film starts at {t} and lasts {h} hours and {m} minutes. At what time does it end? ",
               t=clock(start), h=minutes // 60, m=minutes % 60)  # fmt: skip
    return time_is(ask + TIMES, start + timedelta(minutes=minutes))


def departure(rng: random.Random) -> Drawn:
    end, minutes = a_time(rng, 10, 22), rng.randrange(50, 200, 5)
    ask = _ask(rng, "A meeting ended at {t} and had lasted {m} minutes. When did it begin? ",
               "I have to be there at {t}, and the trip takes {m} minutes. At what time must I leave? ",
               t=clock(end), m=minutes)  # fmt: skip
    return time_is(ask + TIMES, end - timedelta(minutes=minutes))


def train(rng: random.Random) -> Drawn:
    start, hours = a_time(rng, 5, 14, step=30), rng.randint(2, 8)
    speed = _number(rng, 9, 22) * 5
    ask = _ask(rng, "A train leaves at {t} and goes {a} miles at {b} miles per hour. When does it arrive? ",
               "We start at {t} and drive {a} miles at a steady {b} mph. At what time are we there? ",
               t=clock(start), a=speed * hours, b=speed)  # fmt: skip
    return time_is(ask + TIMES, start + timedelta(hours=hours))


def minutes_between(rng: random.Random) -> Drawn:
    start, minutes = a_time(rng, 6, 18), 5 * _number(rng, 9, 60)
    ask = _ask(rng, "How many minutes are there from {a} to {b} on the same day?",
               "A lesson runs from {a} to {b}. How many minutes is that?",
               a=clock(start), b=clock(start + timedelta(minutes=minutes)))  # fmt: skip
    return calculated(ask, minutes)


def other_clock(rng: random.Random) -> Drawn:
    moment = a_time(rng, 13, 23)
    ask = _ask(rng, "How is {t} written on the 24-hour clock?", "Write {t} in 24-hour time.", t=clock(moment))
    gold = Gold(tool=None, answer_any=((f"{moment:%H:%M}", f"{moment:%H%M}"),), may_call=CALCULATOR)
    return Drawn(turns=(ask,), gold=gold)


def time_zones(rng: random.Random) -> Drawn:
    here, hours = a_time(rng, 9, 14), rng.choice([-8, -7, -6, -5, -4, -3, 3, 4, 5, 6, 7, 8])
    place, other = different(rng, "city", 2)
    ask = _ask(rng, "Imagine that {b} is {n} hours {way} {a}. It is {t} in {a}. What time is it in {b}? ",
               "Say the clocks in {b} are {n} hours {way} those in {a}. When it is {t} in {a}, what time is it in "
               "{b}? ",
               a=place, b=other, n=abs(hours), way="ahead of" if hours > 0 else "behind", t=clock(here))  # fmt: skip
    return time_is(ask + TIMES, here + timedelta(hours=hours))


def weeks_and_days(rng: random.Random) -> Drawn:
    slots = fresh(rng, between(w=(3, 40), d=(2, 6)))
    ask = _ask(rng, "How many days are {w} weeks and {d} days?", "A trip lasts {w} weeks and {d} days. How many days "
                                                                 "is it?",
               **slots)  # fmt: skip
    return calculated(ask, timedelta(weeks=slots["w"], days=slots["d"]).days)


def day_of_year(rng: random.Random) -> Drawn:
    day = a_day(rng)
    if day.month == 1:
        return day_of_year(rng)
    ask = _ask(rng, "January 1 is day 1 of the year. Which day of the year {y} is {a}?",
               "Counting January 1 as day 1, what number does {a} have among the days of {y}?",
               y=day.year, a=written(day, year=False))  # fmt: skip
    return calculated(ask, (day - date(day.year - 1, 12, 31)).days)


def earliest(rng: random.Random) -> Drawn:
    days: list[date] = []
    while len({(day.month, day.day) for day in days}) < 3:
        days = [a_day(rng) for _ in range(3)]
    listed = [written(day) for day in days]
    ask = rng.choice(["Which of these dates comes first: {}, {} or {}?", "Which date is the earliest: {}, {} or {}?"])
    return one_of(ask.format(*listed), written(min(days)), tuple(listed))


TEMPLATES = templates(
    "dates",
    {
        make.__name__.replace("_", "-"): make
        for make in (
            days_ago, days_ahead, around_today, same_month, next_month, every_few_days, days_after, days_before,
            weeks_after, days_between, first_of_its_kind, leap_year, days_in_month, months_after, months_between,
            turns_years_old, age_on_a_day, birth_year, arrival, departure, train, minutes_between, other_clock,
            time_zones, weeks_and_days, day_of_year, earliest,
        )
    },
)  # fmt: skip
