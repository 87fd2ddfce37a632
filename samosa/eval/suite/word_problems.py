"""Sums told as stories. The names are drawn, and so are the numbers; every story can be worked out in a few steps."""

import random
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from samosa.eval.suite.parts import Slots, Sum, between, first_names, sums

CALLS = 3  # a step each, for a model that calculates them one by one
THINGS = ("apples", "marbles", "stamps", "shells", "stickers", "buttons", "walnuts", "mangoes", "pencils", "cards")
GOODS = ("notebook", "lamp", "mug", "scarf", "cushion", "clock", "umbrella", "kettle", "basket", "blanket")


def _told(**ends: tuple[int, int]) -> Callable[[random.Random], Slots]:
    """Two people, some things, and numbers."""
    return lambda rng: {**_cast(rng), **between(**ends)(rng)}


def _cast(rng: random.Random) -> Slots:
    (p, q), (thing, other) = first_names(rng, 2), rng.sample(THINGS, 2)
    return {"p": p, "q": q, "things": thing, "others": other, "good": rng.choice(GOODS)}


def _gives_away(rng: random.Random) -> Slots:
    a, b = rng.randint(30, 90), rng.randint(4, 25)
    return {**_cast(rng), "a": a, "b": b, "c": rng.randint(3, a - b - 1)}


def _packs(rng: random.Random) -> Slots:
    b, boxes = rng.randint(4, 24), rng.randint(5, 30)
    return {**_cast(rng), "a": b * boxes, "b": b}


def _leftover(rng: random.Random) -> Slots:
    b = rng.randint(4, 12)
    return {**_cast(rng), "a": b * rng.randint(4, 20) + rng.randint(1, b - 1), "b": b}


def _drive(rng: random.Random) -> Slots:
    b = 5 * rng.randint(7, 15)
    return {**_cast(rng), "a": b * rng.randint(2, 9), "b": b}


def _team(rng: random.Random) -> Slots:
    """Workers and days, and another number of workers that does the same in whole days."""
    while True:
        slots = between(a=(3, 12), b=(4, 24), c=(2, 12))(rng)
        if slots["a"] * slots["b"] % slots["c"] == 0 and slots["a"] != slots["c"]:
            return slots


def _shared(rng: random.Random) -> Slots:
    """A sum that parts as b to c."""
    b, c = rng.sample([1, 2, 3, 4, 5, 7], 2)
    return {**_cast(rng), "a": (b + c) * rng.randint(6, 40), "b": b, "c": c}


def _bought(rng: random.Random) -> Slots:
    a, b = rng.randint(3, 9), Decimal(rng.randint(5, 47)) / 4
    return {**_cast(rng), "a": a, "b": b.quantize(Decimal("0.01")), "c": 50 * (int(a * b) // 50 + 1)}


def _sale(rng: random.Random) -> Slots:
    return {**_cast(rng), "a": 20 * rng.randint(2, 30), "b": rng.choice([5, 10, 15, 20, 25, 30, 40])}


def _third_day(rng: random.Random) -> Slots:
    a, b = rng.randint(11, 48), rng.randint(11, 48)
    return {**_cast(rng), "a": a, "b": b, "c": a + b + rng.randint(11, 60)}


def _half_eaten(rng: random.Random) -> Slots:
    """Of b times c, one part in d goes."""
    d = rng.choice([2, 3, 4, 5])
    return {**_cast(rng), "a": d * rng.randint(3, 12), "b": rng.randint(3, 12), "d": d}


def _filling(rng: random.Random) -> Slots:
    c, net = rng.randint(2, 9), rng.randint(4, 20)
    return {"a": net * rng.randint(5, 40), "b": c + net, "c": c}


KINDS = (
    Sum(
        "finds-and-gives",
        (
            "{p} has {a} {things}, finds {b} more and gives {c} to {q}. How many {things} does {p} have now?",
            "At first {p} has {a} {things}. Then {p} gets {b} more and loses {c}. How many {things} are left?",
        ),
        _gives_away,
        lambda a, b, c, **_: a + b - c,
    ),
    Sum(
        "boxes",
        (
            "{p} packs {a} {things} into boxes of {b}. How many boxes does {p} need?",
            "There are {a} {things}, and {b} fit in a box. How many boxes can {p} fill?",
        ),
        _packs,
        lambda a, b, **_: Fraction(a, b),
    ),
    Sum(
        "leftover",
        (
            "{p} shares {a} {things} equally among {b} friends, as far as that goes. How many {things} are left over?",
            "{a} {things} go into bags of {b}. How many are left when all bags that can be filled are full?",
        ),
        _leftover,
        lambda a, b, **_: a % b,
    ),
    Sum(
        "drive-hours",
        (
            "{p} drives {a} miles at {b} miles per hour. How many hours does that take?",
            "A train goes {b} miles per hour. How many hours does it need for {a} miles?",
        ),
        _drive,
        lambda a, b, **_: Fraction(a, b),
    ),
    Sum(
        "distance",
        (
            "A bus runs at {a} km per hour for {b} hours. How many kilometres does it go?",
            "{p} cycles {a} km every hour. How far does {p} get in {b} hours, in km?",
        ),
        _told(a=(12, 95), b=(3, 9)),
        lambda a, b, **_: a * b,
    ),
    Sum(
        "workers",
        (
            "{a} workers need {b} days to build a wall. How many days do {c} workers need, at the same pace?",
            "A job takes {a} people {b} days. How many days would it take {c} people who work as fast?",
        ),
        _team,
        lambda a, b, c: Fraction(a * b, c),
    ),
    Sum(
        "older",
        (
            "{p} is {a} years old, and {q} is {b} years older than {p}. How old will {q} be in {c} years?",
            "{p} is {a}. {q} is {b} years older. What age will {q} have in {c} years?",
        ),
        _told(a=(8, 40), b=(2, 20), c=(3, 15)),
        lambda a, b, c, **_: a + b + c,
    ),
    Sum(
        "ratio",
        (
            "{p} and {q} share ${a} in the ratio {b} to {c}. How many dollars does {p} get?",
            "${a} is split between {p} and {q} in the ratio {b}:{c}. What is the part of {p}, in dollars?",
        ),
        _shared,
        lambda a, b, c, **_: Fraction(a * b, b + c),
    ),
    Sum(
        "change-back",
        (
            "{p} buys {a} tickets at ${b} each and pays with ${c}. How many dollars does {p} get back?",
            "{p} takes {a} books for ${b} each, and gives the seller ${c}. How much change is due, in dollars?",
        ),
        _bought,
        lambda a, b, c, **_: c - a * b,
    ),
    Sum(
        "sale",
        (
            "A {good} costs ${a}. In a sale {p} gets {b}% off. What does {p} pay, in dollars?",
            "The price of a {good} is ${a}, and today it is {b}% lower. How many dollars does {p} pay today?",
        ),
        _sale,
        lambda a, b, **_: Fraction(a * (100 - b), 100),
    ),
    Sum(
        "three-days",
        (
            "{p} reads {a} pages on Monday and {b} on Tuesday. By Wednesday evening it is {c} pages in all."
            " How many pages did {p} read on Wednesday?",
            "{p} walked {a} km on Monday, {b} km on Tuesday, and {c} km on the three days from Monday to"
            " Wednesday together. How many km was it on Wednesday?",
        ),
        _third_day,
        lambda a, b, c, **_: c - a - b,
    ),
    Sum(
        "weekly-wage",
        (
            "{p} earns ${a} an hour and works {b} hours a day, {c} days a week. How many dollars is that a week?",
            "For ${a} an hour, {p} works {b} hours on each of {c} days. How much does {p} earn, in dollars?",
        ),
        _told(a=(12, 48), b=(4, 9), c=(3, 6)),
        lambda a, b, c, **_: a * b * c,
    ),
    Sum(
        "times-as-many",
        (
            "{p} has {a} {things}. {q} has {b} times as many. How many do they have together?",
            "{p} owns {a} {things} and {q} owns {b} times as many. How many {things} is that in all?",
        ),
        _told(a=(6, 45), b=(3, 9)),
        lambda a, b, **_: a * (1 + b),
    ),
    Sum(
        "part-sold",
        (
            "A shelf holds {a} boxes with {b} {things} in each. One {part} of all the {things} is sold. How "
            "many are left?",
            "{p} has {a} bags of {b} {things} and gives away one {part} of them all. How many {things} remain?",
        ),
        lambda rng: {**(slots := _half_eaten(rng)), "part": ["half", "third", "quarter", "fifth"][slots["d"] - 2]},
        lambda a, b, d, **_: Fraction(a * b * (d - 1), d),
    ),
    Sum(
        "two-goods",
        (
            "{p} buys {a} kg of rice at ${b} a kilo and {c} kg of beans at ${d} a kilo. How many dollars is it in all?",
            "What do {a} kg of flour at ${b} per kg and {c} kg of nuts at ${d} per kg cost together, in dollars?",
        ),
        _told(a=(2, 12), b=(2, 9), c=(2, 9), d=(3, 19)),
        lambda a, b, c, d, **_: a * b + c * d,
    ),
    Sum(
        "saving",
        (
            "{p} has ${a} and saves ${b} every week. How many dollars does {p} have after {c} weeks?",
            "Starting with ${a}, {p} puts away ${b} a week. How much is it after {c} weeks, in dollars?",
        ),
        _told(a=(20, 200), b=(6, 45), c=(4, 20)),
        lambda a, b, c, **_: a + b * c,
    ),
    Sum(
        "pages-left",
        (
            "A book has {a} pages. {p} reads {b} pages a day. How many pages are left after {c} days?",
            "{p} is reading a book of {a} pages, {b} pages every day. After {c} days, how many pages are still unread?",
        ),
        _told(a=(260, 500), b=(9, 28), c=(3, 9)),
        lambda a, b, c, **_: a - b * c,
    ),
    Sum(
        "tank",
        (
            "A tank holds {a} litres. Each minute {b} litres flow in and {c} litres flow out. It starts empty:"
            " after how many minutes is it full?",
            "An empty pool takes {a} litres. A pipe brings {b} litres a minute, and a leak loses {c} litres a "
            "minute."
            " How many minutes does it take to fill?",
        ),
        _filling,
        lambda a, b, c: Fraction(a, b - c),
    ),
    Sum(
        "garden",
        (
            "A garden is {a} m long and {b} m wide. A fence costs ${c} a metre. What does a fence all around "
            "cost, in dollars?",
            "{p} fences a field of {a} m by {b} m on all four sides, at ${c} per metre. How many dollars is that?",
        ),
        _told(a=(10, 45), b=(4, 25), c=(3, 18)),
        lambda a, b, c, **_: 2 * (a + b) * c,
    ),
    Sum(
        "average-score",
        (
            "{p} scored {a}, {b} and {c} points in three games. What was the average number of points?",
            "In three tests {p} had {a}, {b} and {c} points. How many points is that on average?",
        ),
        lambda rng: {
            **_cast(rng),
            "a": (a := rng.randint(20, 60)),
            "b": (b := rng.randint(20, 60)),
            "c": rng.choice([c for c in range(20, 61) if (a + b + c) % 3 == 0]),
        },
        lambda a, b, c, **_: Fraction(a + b + c, 3),
    ),
    Sum(
        "recipe",
        (
            "A recipe for {a} people needs {b} g of sugar. How many grams are needed for {c} people?",
            "For {a} people {p} cooks with {b} g of rice. How many grams does {p} need for {c} people?",
        ),
        lambda rng: {
            **_cast(rng),
            "a": (a := rng.randint(2, 8)),
            "b": a * rng.randint(15, 90),
            "c": rng.choice([n for n in range(3, 20) if n != a]),
        },
        lambda a, b, c, **_: Fraction(b * c, a),
    ),
    Sum(
        "handshakes",
        (
            "{a} people meet, and everybody shakes hands once with everybody else. How many handshakes are there?",
            "In a club of {a} players everybody plays one game against each of the others. How many games is that?",
        ),
        between(a=(5, 24)),
        lambda a: a * (a - 1) // 2,
    ),
    Sum(
        "profit",
        (
            "{p} buys {a} {things} for ${b} each and sells them all for ${c} each. What is the profit, in dollars?",
            "{p} gets {a} {things} at ${b} apiece and sells every one at ${c}. How many dollars does {p} earn on them?",
        ),
        lambda rng: {
            **_cast(rng),
            "a": rng.randint(6, 40),
            "b": (b := rng.randint(2, 20)),
            "c": b + rng.randint(2, 15),
        },
        lambda a, b, c, **_: a * (c - b),
    ),
)

TEMPLATES = sums("word_problems", KINDS, max_calls=CALLS)
