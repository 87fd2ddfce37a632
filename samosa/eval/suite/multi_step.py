"""Arithmetic of more than one step, long multiplication among it: the roadmap's 23 x 47 with other numbers."""

import math
import random
from fractions import Fraction

from samosa.eval.suite.parts import Slots, Sum, between, sums

CALLS = 3  # a step each, for a model that calculates them one by one


def _nested(rng: random.Random) -> Slots:
    d = rng.randint(2, 9)
    return {"a": d * rng.randint(4, 30), "b": d * rng.randint(4, 30), "d": d, "c": rng.randint(3, 90)}


def _chain(rng: random.Random) -> Slots:
    """Start, times, minus, divided by: what is divided comes out whole."""
    while True:
        slots = between(a=(6, 40), b=(3, 9), c=(3, 40), d=(2, 8))(rng)
        if (slots["a"] * slots["b"] - slots["c"]) % slots["d"] == 0 and slots["a"] * slots["b"] > slots["c"]:
            return slots


def _solvable(rng: random.Random) -> Slots:
    a, x, b = rng.randint(3, 19), rng.randint(4, 40), rng.randint(5, 90)
    return {"a": a, "b": b, "c": a * x + b}


def _brackets(rng: random.Random) -> Slots:
    a, x, b = rng.randint(3, 12), rng.randint(6, 40), rng.randint(2, 30)
    return {"a": a, "b": b, "c": a * (x + b)}


def _shares(rng: random.Random) -> Slots:
    """Something that can be parted by d."""
    d = rng.randint(3, 9)
    n = rng.choice([n for n in range(2, d) if math.gcd(n, d) == 1])
    return {"a": d * rng.randint(12, 90), "d": d, "n": n, "b": rng.randint(5, 60)}


def _means(rng: random.Random) -> Slots:
    total = 4 * rng.randint(30, 90)
    a, b, c = rng.sample(range(8, total // 4), 3)
    return {"a": a, "b": b, "c": c, "d": total - a - b - c, "m": rng.randint(3, 9)}


def _percent(rng: random.Random) -> Slots:
    p, a = rng.choice([5, 10, 15, 20, 25, 30, 40]), 20 * rng.randint(10, 90)
    return {"p": p, "a": a, "b": rng.randint(3, p * a // 100 - 2)}


def _factored(rng: random.Random) -> Slots:
    d, (m, n) = rng.randint(4, 24), rng.sample([2, 3, 5, 7, 9, 11, 13], 2)
    return {"a": d * m, "b": d * n}


KINDS = (
    Sum(
        "long-multiplication",
        ("What is {a} × {b}?", "Multiply {a} by {b}, step by step.", "How much is {a} times {b}?"),
        lambda rng: {name: rng.choice([n for n in range(13, 99) if n % 10]) for name in "ab"},
        lambda a, b: a * b,
    ),
    Sum(
        "three-by-two-digits",
        ("Work out {a} × {b}.", "What is the product of {a} and {b}?"),
        between(a=(101, 989), b=(12, 89)),
        lambda a, b: a * b,
    ),
    Sum(
        "times-then-plus",
        ("What is {a} × {b} + {c}?", "Multiply {a} by {b}, then add {c}. What do you get?"),
        between(a=(11, 59), b=(4, 29), c=(11, 99)),
        lambda a, b, c: a * b + c,
    ),
    Sum(
        "plus-then-times",
        ("What is ({a} + {b}) × {c}?", "Add {a} and {b}, then multiply the result by {c}."),
        between(a=(11, 79), b=(11, 79), c=(3, 19)),
        lambda a, b, c: (a + b) * c,
    ),
    Sum(
        "two-products",
        ("What is {a} × {b} - {c} × {d}?", "From {a} times {b} take away {c} times {d}. What is left?"),
        between(a=(21, 49), b=(11, 29), c=(4, 20), d=(3, 9)),
        lambda a, b, c, d: a * b - c * d,
    ),
    Sum(
        "precedence",
        ("What is {a} + {b} × {c}?", "By the usual order of operations, what is {a} + {b} × {c}?"),
        between(a=(12, 99), b=(6, 29), c=(3, 19)),
        lambda a, b, c: a + b * c,
    ),
    Sum(
        "nested",
        ("What is ({a} + {b}) ÷ {d} - {c}?", "Add {a} and {b}, divide the sum by {d}, and take away {c}."),
        _nested,
        lambda a, b, c, d: Fraction(a + b, d) - c,
    ),
    Sum(
        "chain",
        (
            "Start with {a}. Multiply by {b}, subtract {c} and divide by {d}. What do you get?",
            "I take {a}, times {b}, minus {c}, and then divide all that by {d}. Where do I end?",
        ),
        _chain,
        lambda a, b, c, d: Fraction(a * b - c, d),
    ),
    Sum(
        "six-terms",
        ("What is {a} + {b} + {c} + {d} + {e} + {f}?", "Add up {a}, {b}, {c}, {d}, {e} and {f}."),
        between(a=(12, 98), b=(12, 98), c=(12, 98), d=(12, 98), e=(12, 98), f=(12, 98)),
        lambda a, b, c, d, e, f: a + b + c + d + e + f,
    ),
    Sum(
        "ups-and-downs",
        ("What is {a} - {b} + {c} - {d}?", "Begin at {a}, go down {b}, up {c} and down {d}. Where are you?"),
        between(a=(120, 400), b=(20, 99), c=(20, 99), d=(12, 39)),
        lambda a, b, c, d: a - b + c - d,
    ),
    Sum(
        "equation",
        ("Solve {a}x + {b} = {c} for x.", "If {a}x + {b} = {c}, what is x?"),
        _solvable,
        lambda a, b, c: Fraction(c - b, a),
    ),
    Sum(
        "equation-with-brackets",
        ("Solve {a}(x + {b}) = {c} for x.", "{a} times the sum of x and {b} is {c}. What is x?"),
        _brackets,
        lambda a, b, c: Fraction(c, a) - b,
    ),
    Sum(
        "fraction-then-plus",
        ("Take {n}/{d} of {a} and add {b}. What is the result?", "What is {n}/{d} of {a}, plus {b}?"),
        _shares,
        lambda a, d, n, b: Fraction(n * a, d) + b,
    ),
    Sum(
        "mean-then-times",
        (
            "Take the average of {a}, {b}, {c} and {d}, and multiply it by {m}. What is the result?",
            "What is the mean of {a}, {b}, {c} and {d}, times {m}?",
        ),
        _means,
        lambda a, b, c, d, m: Fraction(a + b + c + d, 4) * m,
    ),
    Sum(
        "percent-then-minus",
        ("What is {p}% of {a}, minus {b}?", "Take {p} percent of {a} and subtract {b}."),
        _percent,
        lambda p, a, b: Fraction(p * a, 100) - b,
    ),
    Sum(
        "doubling",
        (
            "I double the number {a}, and do so {n} times in a row. What do I end with?",
            "Start from {a} and double it {n} times. What do you get?",
        ),
        between(a=(3, 29), n=(3, 7)),
        lambda a, n: a * 2**n,
    ),
    Sum(
        "sum-to-n",
        ("What is the sum of all whole numbers from 1 to {n}?", "Add up every whole number from 1 through {n}."),
        between(n=(12, 99)),
        lambda n: n * (n + 1) // 2,
    ),
    Sum(
        "greatest-divisor",
        (
            "What is the greatest common divisor of {a} and {b}?",
            "Which is the largest number that divides both {a} and {b}?",
        ),
        _factored,
        lambda a, b: math.gcd(a, b),
    ),
    Sum(
        "least-multiple",
        (
            "What is the least common multiple of {a} and {b}?",
            "What is the smallest positive number that both {a} and {b} divide?",
        ),
        between(a=(6, 40), b=(6, 40)),
        lambda a, b: math.lcm(a, b),
    ),
    Sum(
        "nth-term",
        (
            "A sequence starts at {a} and grows by {d} each time. What is its term number {n}, if {a} is number 1?",
            "The first number is {a}, and each next one is {d} more. What is number {n}?",
        ),
        between(a=(2, 40), d=(3, 15), n=(9, 40)),
        lambda a, d, n: a + (n - 1) * d,
    ),
    Sum(
        "squares",
        ("What is {a}² + {b}²?", "Add the square of {a} to the square of {b}."),
        between(a=(6, 25), b=(6, 25)),
        lambda a, b: a * a + b * b,
    ),
    Sum(
        "seconds",
        (
            "How many seconds are {a} hours, {b} minutes and {c} seconds?",
            "Turn {a} hours {b} minutes {c} seconds into seconds.",
        ),
        between(a=(2, 6), b=(3, 57), c=(3, 57)),
        lambda a, b, c: 3600 * a + 60 * b + c,
    ),
    Sum(
        "digit-sum",
        ("What is the sum of the digits of {a}?", "Add up all the digits of the number {a}."),
        between(a=(12345, 98765)),
        lambda a: sum(map(int, str(a))),
    ),
)

TEMPLATES = sums("multi_step", KINDS, max_calls=CALLS)
