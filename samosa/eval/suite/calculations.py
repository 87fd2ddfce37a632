"""What nobody does in the head: the calculator has to be called."""

import random
from decimal import Decimal, localcontext
from fractions import Fraction

from samosa.eval.suite.parts import Slots, Sum, between, sums

ROUNDED = "Round to two decimals."
CENT = Decimal("0.01")


def _root(value: Fraction, degree: int) -> Decimal:
    """A root to more digits than an answer shows."""
    with localcontext() as context:
        context.prec = 40
        number = Decimal(value.numerator) / value.denominator
        return (number ** (Decimal(1) / degree)).quantize(Decimal("1e-12"))


def growth(start: int, rate: int, years: int) -> Fraction:
    """What `start` becomes at `rate` percent a year, compounded."""
    return start * Fraction(100 + rate, 100) ** years


def amount(rng: random.Random, low: int = 12, high: int = 480) -> Decimal:
    """Dollars and cents."""
    return Decimal(rng.randint(low, high)) + Decimal(rng.choice(["0.25", "0.40", "0.50", "0.75", "0.80", "0.99"]))


def bill(rng: random.Random) -> Slots:
    """A bill and a percentage."""
    return {"r": rng.randint(6, 29), "a": amount(rng)}


def _split(rng: random.Random) -> Slots:
    n = rng.randint(3, 11)
    return {"a": (Decimal(n * rng.randint(900, 6900)) / 100).quantize(CENT), "n": n}


def _receipt(rng: random.Random) -> Slots:
    return {name: amount(rng, 3, 99) for name in "abcd"}


def cagr(a: int, b: int, n: int) -> Decimal:
    """Percent a year, from a to b in n years."""
    return 100 * (_root(Fraction(b, a), n) - 1)


def risen(rng: random.Random) -> Slots:
    """Two values, the second higher, and the years between them."""
    a = rng.randint(120, 900)
    return {"a": a, "b": a + rng.randint(40, 900), "n": rng.randint(2, 12)}


def _linear(rng: random.Random) -> Slots:
    a, x, b = rng.randint(12, 48), rng.randint(21, 98), rng.randint(101, 950)
    return {"a": a, "b": b, "c": a * x + b}


def emi(a: int, r: int, n: int) -> Fraction:
    """The usual instalment: principal, percent a year, months."""
    rate = Fraction(r, 1200)
    power = (1 + rate) ** n
    return a * rate * power / (power - 1)


PLAIN = (
    Sum(
        "product",
        ("What is {a} × {b}?", "Calculate {a} * {b}.", "Multiply {a} and {b} for me."),
        between(a=(1203, 9876), b=(312, 987)),
        lambda a, b: a * b,
    ),
    Sum(
        "quotient",
        (f"What is {{a}} ÷ {{b}}? {ROUNDED}", f"Divide {{a}} by {{b}}. {ROUNDED}"),
        between(a=(10007, 98999), b=(113, 979)),
        lambda a, b: Fraction(a, b),
    ),
    Sum(
        "tip",
        (
            f"The bill is ${{a}}. How much is a tip of {{r}} percent? {ROUNDED}",
            f"I leave {{r}}% on top of a bill of ${{a}}. How much is that tip? {ROUNDED}",
        ),
        bill,
        lambda r, a: a * r / 100,
    ),
    Sum(
        "bill-with-tip",
        (
            f"What do I pay in all for a bill of ${{a}} with a tip of {{r}}%? {ROUNDED}",
            f"Add a tip of {{r}}% to a bill of ${{a}}: what is the total? {ROUNDED}",
        ),
        bill,
        lambda r, a: a * (100 + r) / 100,
    ),
    Sum(
        "price-cut",
        (
            f"What does a jacket of ${{a}} cost after a cut of {{r}}%? {ROUNDED}",
            f"The price of ${{a}} falls by {{r}} percent. What is it then? {ROUNDED}",
        ),
        bill,
        lambda r, a: a * (100 - r) / 100,
    ),
    Sum(
        "sales-tax",
        (
            f"A chair costs ${{a}} before a sales tax of {{r}}%. What is the price with tax? {ROUNDED}",
            f"Sales tax is {{r}}%. What do I pay for goods marked ${{a}} before tax? {ROUNDED}",
        ),
        bill,
        lambda r, a: a * (100 + r) / 100,
    ),
    Sum(
        "equal-parts",
        ("{n} friends split a bill of ${a} equally. What does each pay?", "Split ${a} equally among {n} people."),
        _split,
        lambda a, n: Fraction(a) / n,
    ),
    Sum(
        "receipt",
        (
            "Add up these prices: ${a}, ${b}, ${c} and ${d}.",
            "My receipt says ${a}, ${b}, ${c} and ${d}. What is the total?",
        ),
        _receipt,
        lambda a, b, c, d: a + b + c + d,
    ),
    Sum(
        "power",
        ("What is {a} to the power of {n}?", "Calculate {a} to the power {n} exactly."),
        between(a=(7, 39), n=(4, 5)),
        lambda a, n: a**n,
    ),
    Sum(
        "square-root",
        (f"What is the square root of {{a}}? {ROUNDED}", f"Calculate the square root of {{a}}. {ROUNDED}"),
        between(a=(1001, 98765)),
        lambda a: _root(Fraction(a), 2),
    ),
    Sum(
        "percent-of",
        ("What is {r}% of {a}?", "Calculate {r} percent of {a}."),
        between(r=(11, 94), a=(1013, 98760)),
        lambda r, a: Fraction(r * a, 100),
    ),
    Sum(
        "compounded",
        (
            f"I put ${{a}} in the bank at {{r}}% a year, compounded yearly. What is it worth after {{n}} "
            f"years? {ROUNDED}",
            f"What does ${{a}} grow to in {{n}} years at {{r}}% yearly compound interest? {ROUNDED}",
        ),
        lambda rng: {"a": 100 * rng.randint(5, 95), "r": rng.randint(2, 12), "n": rng.randint(3, 15)},
        lambda a, r, n: growth(a, r, n),
    ),
    Sum(
        "interest",
        (
            f"What is the simple interest on ${{a}} at {{r}}% a year for {{n}} years? {ROUNDED}",
            f"${{a}} earns {{r}}% simple interest a year. How much interest is that after {{n}} years? {ROUNDED}",
        ),
        lambda rng: {"a": rng.randint(310, 9870), "r": rng.randint(2, 12), "n": rng.randint(2, 9)},
        lambda a, r, n: Fraction(a * r * n, 100),
    ),
    Sum(
        "growth-rate",
        (
            f"What is the CAGR if revenue rises from {{a}} to {{b}} within {{n}} years? Give it in percent. {ROUNDED}",
            f"Revenue was {{a}} and is {{b}} after {{n}} years. How many percent is the CAGR? {ROUNDED}",
        ),
        risen,
        cagr,
    ),
    Sum(
        "instalment",
        (
            f"A loan of ${{a}} at {{r}}% a year is paid back in {{n}} equal monthly instalments. How much "
            f"is one? {ROUNDED}",
            f"What is the EMI for a loan of ${{a}} at {{r}}% interest a year over {{n}} months? {ROUNDED}",
        ),
        lambda rng: {
            "a": 1000 * rng.randint(4, 90),
            "r": rng.randint(4, 16),
            "n": rng.choice([12, 18, 24, 36, 48, 60]),
        },
        emi,
    ),
    Sum(
        "unknown",
        ("{a} times which number, plus {b}, is {c}?", "Find x: {a} * x + {b} = {c}."),
        _linear,
        lambda a, b, c: Fraction(c - b, a),
    ),
    Sum(
        "mean-of-five",
        (
            f"What is the mean of {{a}}, {{b}}, {{c}}, {{d}} and {{e}}? {ROUNDED}",
            f"Average these: {{a}}, {{b}}, {{c}}, {{d}}, {{e}}. {ROUNDED}",
        ),
        between(a=(110, 980), b=(110, 980), c=(110, 980), d=(110, 980), e=(110, 980)),
        lambda a, b, c, d, e: Fraction(a + b + c + d + e, 5),
    ),
    Sum(
        "circle",
        (
            f"What is the area of a circle with a radius of {{a}} cm, in square cm? {ROUNDED}",
            f"A round table has a radius of {{a}} cm. How many square cm is its top? {ROUNDED}",
        ),
        between(a=(7, 95)),
        lambda a: Decimal("3.14159265358979323846") * a * a,
    ),
    Sum(
        "hypotenuse",
        (
            f"A right triangle has legs of {{a}} cm and {{b}} cm. How long is the hypotenuse, in cm? {ROUNDED}",
            f"What is the hypotenuse of a right triangle with legs {{a}} and {{b}}? {ROUNDED}",
        ),
        between(a=(11, 98), b=(11, 98)),
        lambda a, b: _root(Fraction(a * a + b * b), 2),
    ),
    Sum(
        "difference",
        ("What is {a} - {b}?", "Subtract {b} from {a}.", "How much more is {a} than {b}?"),
        lambda rng: {"a": rng.randint(50001, 98765), "b": rng.randint(10002, 49999)},
        lambda a, b: a - b,
    ),
    Sum(
        "box",
        (
            "What is the volume of a box of {a} cm by {b} cm by {c} cm, in cubic cm?",
            "A tank measures {a} by {b} by {c} cm. How many cubic centimetres does it hold?",
        ),
        between(a=(21, 98), b=(21, 98), c=(21, 98)),
        lambda a, b, c: a * b * c,
    ),
    Sum(
        "exchange",
        (
            f"One euro is ${{r}}. What are {{a}} euros in dollars? {ROUNDED}",
            f"At ${{r}} for a euro, how many dollars do I get for {{a}} euros? {ROUNDED}",
        ),
        lambda rng: {"r": Decimal(rng.randint(1011, 1289)) / 1000, "a": rng.randint(35, 980)},
        lambda r, a: r * a,
    ),
)

TEMPLATES = sums("tool_calculator", PLAIN, system="default", tool="calculator")
