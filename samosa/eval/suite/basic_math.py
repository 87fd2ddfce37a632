"""Sums that a schoolchild does in the head. The calculator may be used and need not be."""

import math
import random
from decimal import Decimal
from fractions import Fraction

from samosa.eval.probe_types import Gold
from samosa.eval.suite.parts import CALCULATOR, Slots, Sum, between, fresh, sums
from samosa.eval.suite.types import Drawn, Template


def _minus(rng: random.Random) -> Slots:
    b = rng.randint(4, 60)
    return {"a": b + rng.randint(3, 40), "b": b}


def _share(rng: random.Random) -> Slots:
    b = rng.randint(3, 12)
    return {"a": b * rng.randint(3, 15), "b": b}


def _quarter(rng: random.Random) -> Slots:
    return {"a": 4 * rng.randint(6, 120)}


def _tens(rng: random.Random) -> Slots:
    return {"p": 10 * rng.randint(1, 9), "a": 10 * rng.randint(3, 40)}


def _tenths(rng: random.Random) -> Slots:
    return {name: Decimal(rng.choice([n for n in range(11, 99) if n % 10])) / 10 for name in "ab"}


def _steps(rng: random.Random) -> Slots:
    """Four terms of a sequence that grows by the same step."""
    first, step = rng.randint(1, 30), rng.randint(2, 12)
    return {name: first + number * step for number, name in enumerate("abcd")}


def _balanced(rng: random.Random) -> Slots:
    """Three numbers whose average is whole."""
    mean, d = rng.randint(12, 60), rng.randint(1, 9)
    e = rng.randint(1, 9)
    return {"a": mean - d, "b": mean + d + e, "c": mean - e}


def _missing(rng: random.Random) -> Slots:
    a = rng.randint(5, 60)
    return {"a": a, "b": a + rng.randint(5, 60)}


def _change(rng: random.Random) -> Slots:
    return {"a": rng.choice([20, 50, 100]), "b": rng.randint(3, 19)}


def _parts(rng: random.Random) -> Slots:
    """A fraction n/d below one, and a number that it can be taken of."""
    d = rng.randint(3, 8)
    n = rng.choice([n for n in range(2, d) if math.gcd(n, d) == 1])
    return {"n": n, "d": d, "a": d * rng.randint(3, 12)}


KINDS = (
    Sum(
        "plus",
        ("What is {a} + {b}?", "Add {a} and {b}.", "{a} plus {b} is what?"),
        between(a=(12, 89), b=(12, 89)),
        lambda a, b: a + b,
    ),
    Sum(
        "minus",
        ("What is {a} - {b}?", "What is left of {a} if you take away {b}?", "{a} minus {b}?"),
        _minus,
        lambda a, b: a - b,
    ),
    Sum(
        "times-table",
        ("What is {a} times {b}?", "How much is {a} x {b}?", "{a} multiplied by {b} is?"),
        between(a=(3, 12), b=(3, 12)),
        lambda a, b: a * b,
    ),
    Sum(
        "divided",
        ("What is {a} divided by {b}?", "How many times does {b} go into {a}?", "Work out {a} / {b}."),
        _share,
        lambda a, b: a // b,
    ),
    Sum(
        "double",
        ("What is double {a}?", "What is twice {a}?", "Double the number {a} for me."),
        between(a=(14, 260)),
        lambda a: 2 * a,
    ),
    Sum(
        "quarter",
        ("What is a quarter of {a}?", "How much is one fourth of {a}?", "Give me a quarter of {a}."),
        _quarter,
        lambda a: a // 4,
    ),
    Sum("tens-percent", ("What is {p}% of {a}?", "How much is {p} percent of {a}?"), _tens, lambda p, a: p * a // 100),
    Sum(
        "square",
        ("What is {a} squared?", "What is the square of {a}?", "What is {a} to the power of two?"),
        between(a=(3, 30)),
        lambda a: a * a,
    ),
    Sum(
        "remainder",
        ("What is the remainder when {a} is divided by {b}?", "Divide {a} by {b}: what is the remainder?"),
        between(a=(20, 99), b=(3, 9)),
        lambda a, b: a % b,
    ),
    Sum(
        "three-terms",
        ("What is {a} + {b} + {c}?", "Add up {a}, {b} and {c}.", "What is the sum of {a}, {b} and {c}?"),
        between(a=(5, 40), b=(5, 40), c=(5, 40)),
        lambda a, b, c: a + b + c,
    ),
    Sum(
        "tenths",
        ("What is {a} + {b}?", "Add {a} to {b}.", "What do {a} and {b} add up to?"),
        _tenths,
        lambda a, b: a + b,
    ),
    Sum(
        "next-term",
        (
            "Which number comes next: {a}, {b}, {c}, {d}, ...?",
            "The same number is added each time: {a}, {b}, {c}, {d}. What is the next number?",
        ),
        _steps,
        lambda a, b, c, d: d + (d - c),
    ),
    Sum(
        "average",
        ("What is the average of {a}, {b} and {c}?", "Find the mean of {a}, {b} and {c}."),
        _balanced,
        lambda a, b, c: Fraction(a + b + c, 3),
    ),
    Sum(
        "missing-term",
        (
            "Which number do I add to {a} to get {b}?",
            "{a} + ? = {b}. What goes in place of the ?",
            "From {a} to {b}, how much is missing?",
        ),
        _missing,
        lambda a, b: b - a,
    ),
    Sum(
        "change",
        (
            "I pay ${b} with a ${a} bill. How many dollars do I get back?",
            "Something costs ${b} and I hand over ${a}. How much change do I get, in dollars?",
        ),
        _change,
        lambda a, b: a - b,
    ),
    Sum(
        "minutes",
        ("How many minutes are {a} hours and {b} minutes?", "Write {a} hours {b} minutes in minutes only."),
        between(a=(2, 9), b=(5, 55)),
        lambda a, b: 60 * a + b,
    ),
    Sum(
        "centimetres",
        (
            "How many centimetres are {a} metres and {b} centimetres?",
            "A rope is {a} m {b} cm long. How many centimetres is that?",
        ),
        between(a=(2, 30), b=(5, 95)),
        lambda a, b: 100 * a + b,
    ),
    Sum(
        "dozens",
        (
            "How many eggs are in {a} dozen?",
            "A baker packs {a} dozen rolls. How many rolls is that?",
            "How many things are {a} dozen?",
        ),
        between(a=(3, 25)),
        lambda a: 12 * a,
    ),
    Sum(
        "perimeter",
        (
            "A rectangle is {a} cm long and {b} cm wide. What is its perimeter in centimetres?",
            "What is the perimeter, in cm, of a rectangle with sides of {a} cm and {b} cm?",
        ),
        between(a=(10, 40), b=(2, 9)),
        lambda a, b: 2 * (a + b),
    ),
    Sum(
        "below-zero",
        ("What is {a} - {b}?", "Take {b} away from {a}. Which number below zero do you get?"),
        lambda rng: {"a": (a := rng.randint(2, 30)), "b": a + rng.randint(3, 40)},
        lambda a, b: a - b,
    ),
    Sum(
        "fraction-of",
        ("What is {n}/{d} of {a}?", "Work out {n}/{d} of {a}."),
        _parts,
        lambda n, d, a: Fraction(n * a, d),
    ),
    Sum(
        "round-to-ten",
        ("Round {a} to the nearest ten.", "What is {a} rounded to the nearest ten?"),
        lambda rng: {"a": rng.choice([n for n in range(101, 999) if n % 10 not in (0, 5)])},
        lambda a: (a + 5) // 10 * 10,
    ),
)


def _largest(rng: random.Random) -> Drawn:
    chosen, *others = sorted(fresh(rng, between(a=(100, 999), b=(100, 999), c=(100, 999))).values(), reverse=True)
    if chosen in others:
        return _largest(rng)
    listed = [str(chosen), *map(str, others)]
    rng.shuffle(listed)
    ask = rng.choice(["Which is the largest of {}, {} and {}?", "Of the numbers {}, {} and {}, which is the biggest?"])
    gold = Gold(tool=None, answer_is=(str(chosen),), rivals=tuple(map(str, others)), may_call=CALCULATOR)
    return Drawn(turns=(ask.format(*listed),), gold=gold, system="default")


TEMPLATES = (*sums("basic_math", KINDS, system="default"), Template("largest", "basic_math", _largest))
