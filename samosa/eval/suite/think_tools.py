"""A thought, then a tool, then the answer, in one turn: what the roadmap's phase A is for."""

import random
from fractions import Fraction

from samosa.eval.suite.calculations import ROUNDED, amount, bill, cagr, emi, growth, risen
from samosa.eval.suite.parts import Slots, Sum, Topic, between, name_of, searches, sums
from samosa.eval.suite.search_topics import a_date, money, person, score, version, weather, whole


def train(rng: random.Random) -> Slots:
    return {"n": rng.randint(25, 95), "platform": rng.randint(1, 24)}


TOPICS = (
    Topic(
        "now-weather",
        "city",
        (
            "I am packing for {it}. How warm is it there today, and what is the sky like?",
            "Think first: do I need a coat in {it} today? Tell me the temperature and the sky.",
        ),
        weather,
        ("Today in {it}: {n} degrees, {sky}.", "{it} is {sky} today at {n} degrees."),
        ("n", "sky"),
    ),
    Topic(
        "new-president",
        "country",
        (
            "Who was elected president of {it} in the last vote?",
            "Name the person who became president of {it} at the most recent election.",
        ),
        person,
        ("{who} became president of {it}.", "Voters in {it} made {who} president."),
        ("who",),
    ),
    Topic(
        "boss",
        "company",
        ("Who runs {it} these days?", "Which person is CEO of {it} as of today?"),
        person,
        ("{it} is run by its CEO, {who}.", "CEO of {it}: {who}."),
        ("who",),
    ),
    Topic(
        "last-result",
        "team",
        (
            "How did the latest match of {it} end, and who was the rival?",
            "Against whom did {it} play last, and what was the score?",
        ),
        score,
        ("Latest match: {it} against {rival}, {score}.", "{it} played {rival}: {score}."),
        ("score", "rival"),
    ),
    Topic(
        "quote",
        "company",
        (
            "Before I buy shares of {it}: what is the price of one today?",
            "What would I pay on the market for a share of {it} today?",
        ),
        money(11, 990),
        ("The price of a share of {it} today is ${price}.", "{it} trades at ${price} a share today."),
        ("price",),
    ),
    Topic(
        "patch",
        "software",
        ("I want to update {it}. What is its newest version?", "Up to which version can I update {it} today?"),
        version,
        ("The newest version of {it} is {version}.", "{it} {version} was published: update now."),
        ("version",),
    ),
    Topic(
        "tour",
        "{w} Trio",
        ("On which date do the {it} play next?", "When is the next show of the {it}?"),
        a_date,
        ("The {it} play next on {date}.", "Next show of the {it}: {date}."),
        ("date",),
    ),
    Topic(
        "inhabitants",
        "city",
        ("What is the population of {it} by the latest count?", "By the newest figures, how many people live in {it}?"),
        whole(4100, 980000),
        ("By the latest count {it} has {n} inhabitants.", "{n} people live in {it} by the newest figures."),
        ("n",),
    ),
    Topic(
        "director",
        "{w} Museum",
        ("Who is the new director of the {it}?", "Which person was put in charge of the {it}?"),
        person,
        ("The {it} has a new director: {who}.", "{who} is now in charge of the {it} as its director."),
        ("who",),
    ),
    Topic(
        "platform",
        "{w} Station",
        (
            "From which platform does the next train leave at {it}, and in how many minutes?",
            "I am at {it}. Which platform has the next train, and how many minutes are left?",
        ),
        train,
        (
            "{it}: next train in {n} minutes from platform {platform}.",
            "Platform {platform}, in {n} minutes: next train at {it}.",
        ),
        ("n", "platform"),
    ),
    Topic(
        "unemployment",
        "country",
        ("How high is unemployment in {it} today?", "What is the present unemployment rate in {it}?"),
        lambda rng: {"rate": f"{rng.randint(2, 17)}.{rng.randint(1, 9)}"},
        ("Unemployment in {it} is at {rate}%.", "{it}: unemployment rate {rate}%."),
        ("rate",),
    ),
    Topic(
        "prize",
        "person",
        ("Which prize did {it} win this year?", "Tell me what prize {it} has just been given."),
        lambda rng: {"prize": f"{name_of(rng, 'city')} Prize"},
        ("{it} wins this year's {prize}.", "This year the {prize} goes to {it}."),
        ("prize",),
    ),
    Topic(
        "sold",
        "company",
        ("Which firm has just bought {it}?", "Who is the new owner of {it}, according to the news?"),
        lambda rng: {"buyer": name_of(rng, "{w} Holdings")},
        ("{buyer} has bought {it}.", "News: {it} now belongs to {buyer}."),
        ("buyer",),
    ),
)

KINDS = (
    Sum(
        "shared-tip",
        (
            f"Dinner was ${{a}} and we add a tip of {{r}}%. What does each of {{n}} people pay? {ROUNDED}",
            f"{{n}} of us share a bill of ${{a}} plus {{r}}% tip. How much is it for each? {ROUNDED}",
        ),
        lambda rng: {**bill(rng), "n": rng.randint(2, 9)},
        lambda r, a, n: Fraction(a) * (100 + r) / 100 / n,
    ),
    Sum(
        "two-cuts",
        (
            f"A coat of ${{a}} is first cut by {{r}}%, and the new price again by {{s}}%. What does it cost "
            f"in the end? {ROUNDED}",
            f"Take {{r}}% off ${{a}}, then {{s}}% off what is left. What remains? {ROUNDED}",
        ),
        lambda rng: {"a": rng.randint(40, 900), "r": rng.randint(5, 40), "s": rng.randint(5, 30)},
        lambda a, r, s: Fraction(a * (100 - r) * (100 - s), 10000),
    ),
    Sum(
        "interest-earned",
        (
            f"How much interest does ${{a}} earn in {{n}} years at {{r}}% a year, compounded yearly? {ROUNDED}",
            f"${{a}} stays in an account for {{n}} years at {{r}}% yearly compound interest. How much "
            f"of it is interest then? {ROUNDED}",
        ),
        lambda rng: {"a": 100 * rng.randint(5, 95), "r": rng.randint(2, 9), "n": rng.randint(2, 12)},
        lambda a, r, n: growth(a, r, n) - a,
    ),
    Sum(
        "yearly-growth",
        (
            f"A town grew from {{a}} to {{b}} thousand people over {{n}} years. What is that per year "
            f"as a CAGR, in percent? {ROUNDED}",
            f"An index went from {{a}} to {{b}} points. Over {{n}} years, what CAGR is that, in percent? {ROUNDED}",
        ),
        risen,
        cagr,
    ),
    Sum(
        "both-sides",
        ("Solve for x: {a}x - {b} = {c}.", "{a} times x, minus {b}, is {c}. What is x?"),
        lambda rng: {
            "a": (a := rng.randint(12, 48)),
            "b": (b := rng.randint(51, 250)),
            "c": a * rng.randint(25, 98) - b,
        },
        lambda a, b, c: Fraction(c + b, a),
    ),
    Sum(
        "fuel",
        (
            f"A car uses {{a}} litres per 100 km. What does the fuel for {{b}} km cost at ${{c}} a litre? {ROUNDED}",
            f"With {{a}} litres of fuel per 100 km, we drive {{b}} km, and a litre costs ${{c}}. What does the "
            f"trip cost? {ROUNDED}",
        ),
        lambda rng: {"a": rng.randint(4, 12), "b": rng.randint(130, 1900), "c": amount(rng, 1, 4)},
        lambda a, b, c: Fraction(a * b) * Fraction(c) / 100,
    ),
    Sum(
        "invoice",
        (
            f"I buy {{n}} chairs at ${{a}} each and pay {{r}}% tax on top. What is the total? {ROUNDED}",
            f"{{n}} lamps cost ${{a}} apiece, and {{r}}% tax comes on top. How much do I pay? {ROUNDED}",
        ),
        lambda rng: {**bill(rng), "n": rng.randint(3, 24)},
        lambda r, a, n: a * n * (100 + r) / 100,
    ),
    Sum(
        "long-product",
        ("Think it through: what is {a} × {b} + {c}?", "Work out {a} times {b}, plus {c}."),
        between(a=(213, 987), b=(213, 987), c=(1003, 9899)),
        lambda a, b, c: a * b + c,
    ),
    Sum(
        "monthly-payment",
        (
            f"I borrow ${{a}} at {{r}}% a year and pay it back in {{n}} equal months. How much do I "
            f"pay a month? {ROUNDED}",
            f"${{a}} borrowed, {{r}}% yearly interest, {{n}} monthly payments of the same size: how "
            f"big is one? {ROUNDED}",
        ),
        lambda rng: {"a": 500 * rng.randint(9, 90), "r": rng.randint(3, 15), "n": rng.choice([12, 24, 36, 48, 60, 72])},
        emi,
    ),
    Sum(
        "salary",
        (
            f"I earn ${{a}} a year and get a raise of {{r}}%. What do I earn a month after that? {ROUNDED}",
            f"A salary of ${{a}} a year goes up by {{r}}%. How much is that a month? {ROUNDED}",
        ),
        lambda rng: {"a": 100 * rng.randint(231, 990), "r": rng.randint(2, 14)},
        lambda a, r: Fraction(a * (100 + r), 1200),
    ),
    Sum(
        "hall",
        (
            f"A floor of {{a}} m by {{b}} m gets tiles at ${{c}} a square metre. What do they cost? {ROUNDED}",
            f"What does a carpet for a room of {{a}} m by {{b}} m cost at ${{c}} per square metre? {ROUNDED}",
        ),
        lambda rng: {"a": rng.randint(4, 28), "b": rng.randint(3, 19), "c": amount(rng, 11, 89)},
        lambda a, b, c: a * b * c,
    ),
)

TEMPLATES = (*searches("think_tool", TOPICS, system="think"), *sums("think_tool", KINDS, tool="calculator"))
