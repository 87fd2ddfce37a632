"""What changes and has to be looked up.

What a search returns is drawn for each instance, so only who reads the result can be right.
"""

import calendar
import random
from collections.abc import Callable

from samosa.eval.suite.parts import Slots, Topic, name_of, searches

MONTHS = tuple(calendar.month_name)[1:]
SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "stormy", "hazy")
LINES = ("red", "blue", "green", "yellow", "purple")


def whole(low: int, high: int) -> Callable[[random.Random], Slots]:
    """A whole number between two ends."""
    return lambda rng: {"n": rng.randint(low, high)}


def money(low: int, high: int) -> Callable[[random.Random], Slots]:
    """Dollars between two ends, with cents."""
    return lambda rng: {"price": f"{rng.randint(low, high)}.{rng.randint(11, 99)}"}


def person(rng: random.Random) -> Slots:
    """A person."""
    return {"who": name_of(rng, "person")}


def evening(rng: random.Random) -> Slots:
    """A time in the evening."""
    return {"time": f"{rng.randint(18, 23)}:{rng.randint(10, 59)}"}


def score(rng: random.Random) -> Slots:
    """How a match ended, and against whom."""
    return {"score": f"{rng.randint(0, 6)}-{rng.randint(0, 6)}", "rival": name_of(rng, "team")}


def weather(rng: random.Random) -> Slots:
    """Degrees and the sky."""
    return {"n": rng.randint(2, 44), "sky": rng.choice(SKIES)}


def a_date(rng: random.Random) -> Slots:
    """A day of a month."""
    return {"date": f"{rng.choice(MONTHS)} {rng.randint(1, 28)}"}


def version(rng: random.Random) -> Slots:
    """A version number."""
    return {"version": f"{rng.randint(2, 40)}.{rng.randint(1, 30)}"}


TOPICS = (
    Topic(
        "humidity",
        "city",
        ("What is the humidity in {it} right now?", "How humid is it in {it} at the moment?"),
        whole(21, 97),
        ("The humidity in {it} is {n}%.", "{it} now: humidity {n}%."),
        ("n",),
    ),
    Topic(
        "tomorrow",
        "city",
        ("What will the weather be like in {it} tomorrow?", "Which weather is expected for {it} tomorrow?"),
        weather,
        ("{it} tomorrow: {sky}, {n} degrees.", "Forecast for {it}: tomorrow {sky} with {n} degrees."),
        ("n", "sky"),
    ),
    Topic(
        "air-quality",
        "city",
        ("What is today's air quality index in {it}?", "How high is the air quality index in {it} today?"),
        whole(15, 420),
        ("Air quality index in {it} today: {n}.", "{it} has an air quality index of {n}."),
        ("n",),
    ),
    Topic(
        "mayor",
        "city",
        ("Who is the mayor of {it} now?", "What is the name of the present mayor of {it}?"),
        person,
        ("The mayor of {it} is {who}.", "{who} was sworn in as mayor of {it}."),
        ("who",),
    ),
    Topic(
        "prime-minister",
        "country",
        ("Who is prime minister of {it} at the moment?", "Who heads the government of {it} today?"),
        person,
        ("{who} heads the government of {it} as prime minister.", "Prime Minister of {it}: {who}."),
        ("who",),
    ),
    Topic(
        "inflation",
        "country",
        ("What is the latest inflation rate in {it}?", "How high is inflation in {it} this month?"),
        lambda rng: {"rate": f"{rng.randint(1, 14)}.{rng.randint(1, 9)}"},
        (
            "Inflation in {it} stands at {rate}%.",
            "Prices in {it} rose by {rate}% in a year: that is the inflation rate.",
        ),
        ("rate",),
    ),
    Topic(
        "turnout",
        "country",
        (
            "What was the turnout at the last election in {it}?",
            "What percentage of the voters took part in {it}'s latest election?",
        ),
        whole(31, 94),
        ("Turnout in {it}'s election was {n}%.", "{n}% of all voters took part in the election in {it}."),
        ("n",),
    ),
    Topic(
        "share-price",
        "company",
        ("At what price do {it} shares trade today?", "What is one share of {it} worth right now?"),
        money(4, 900),
        ("{it} shares trade at ${price}.", "A share of {it} costs ${price} now."),
        ("price",),
    ),
    Topic(
        "finance-chief",
        "company",
        ("Who is the finance chief of {it} now?", "Which person is chief financial officer of {it}?"),
        person,
        ("{who} is chief financial officer (finance chief) of {it}.", "{it} named {who} finance chief."),
        ("who",),
    ),
    Topic(
        "staff",
        "company",
        ("How many people work at {it} at present?", "What is the current headcount of {it}?"),
        whole(1200, 98000),
        ("{it} employs {n} people.", "{it}: {n} people on the payroll."),
        ("n",),
    ),
    Topic(
        "league-place",
        "team",
        (
            "What is the position of {it} in the league table this week?",
            "Which place in the table do {it} hold right now?",
        ),
        whole(2, 20),
        ("{it} are number {n} of the table.", "League table: {it} in place {n}."),
        ("n",),
    ),
    Topic(
        "yesterday-match",
        "team",
        ("How did {it} play yesterday?", "What was the score when {it} played yesterday?"),
        score,
        ("Yesterday: {it} against {rival} {score}.", "{it} - {rival} ended {score} yesterday."),
        ("score",),
    ),
    Topic(
        "top-scorer",
        "team",
        ("Who is the top scorer of {it} this season?", "Which player has most goals for {it} this season?"),
        person,
        ("{who} leads the scorers of {it} this season.", "Most goals for {it}: {who}."),
        ("who",),
    ),
    Topic(
        "ticket",
        "{w} Zoo",
        ("How much is a ticket for the {it} now?", "What does it cost to get into the {it} at present?"),
        money(3, 60),
        ("A ticket for the {it} costs ${price}.", "The {it}: entry ${price}."),
        ("price",),
    ),
    Topic(
        "closing-time",
        "{w} Library",
        ("Until what time is the {it} open tonight?", "When does the {it} close this evening?"),
        evening,
        ("The {it} closes at {time} tonight.", "Tonight the {it} is open until {time}."),
        ("time",),
    ),
    Topic(
        "release",
        "software",
        ("What is the newest stable release of {it}?", "Which release of {it} came out last?"),
        version,
        ("{it} {version} is out, the newest stable release.", "Newest stable release of {it}: {version}."),
        ("version",),
    ),
    Topic(
        "new-album",
        "{w} Quartet",
        ("When does the new album of the {it} come out?", "On what date is the next record of the {it} released?"),
        a_date,
        ("The album of the {it} comes out on {date}.", "Out on {date}: the new record of the {it}."),
        ("date",),
    ),
    Topic(
        "market-price",
        "{w}coin",
        ("What is {it} trading at today?", "What is today's price of one {it} on the market?"),
        money(11, 990),
        ("One {it} costs ${price} today.", "Today's market price of {it}: ${price}."),
        ("price",),
    ),
    Topic(
        "author-book",
        "person",
        ("What is the title of the newest novel by {it}?", "Which novel did {it} publish last?"),
        lambda rng: {"title": f"The {rng.choice(['Glass', 'Silent', 'Long', 'Last'])} {name_of(rng, 'city')}"},
        ("The newest novel by {it} is called {title}.", "{it} has published a novel: {title}."),
        ("title",),
    ),
    Topic(
        "delay",
        "city",
        (
            "Which metro line of {it} is late right now, and by how many minutes?",
            "Is the metro of {it} on time now? If not, which line is late, and by how many minutes?",
        ),
        lambda rng: {"n": rng.randint(4, 55), "line": rng.choice(LINES)},
        ("Metro of {it}: {line} line {n} minutes late.", "{n} minutes of delay on the {line} line of {it}'s metro."),
        ("n", "line"),
    ),
    Topic(
        "petrol",
        "city",
        ("What does a litre of petrol cost in {it} today?", "How much is petrol in {it} at the moment?"),
        lambda rng: {"price": f"{rng.randint(1, 3)}.{rng.randint(11, 99)}"},
        ("A litre of petrol costs ${price} in {it}.", "Petrol in {it}: ${price} a litre."),
        ("price",),
    ),
    Topic(
        "visitors",
        "{w} Museum",
        ("How many people visited the {it} last month?", "What was last month's number of visitors at the {it}?"),
        whole(1100, 480000),
        ("Last month {n} people visited the {it}.", "The {it} had {n} visitors last month."),
        ("n",),
    ),
)

TEMPLATES = searches("tool_search", TOPICS)
