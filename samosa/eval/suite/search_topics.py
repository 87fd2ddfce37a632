"""What changes and has to be looked up: tool_search asks plainly, think_tool under the prompt that wants a thought.

What a search returns is drawn for each instance, so only who reads the result can be right.
"""

import calendar
import random
from collections.abc import Callable

from samosa.eval.suite.parts import Slots, Topic, name_of, searches

MONTHS = tuple(calendar.month_name)[1:]
SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "stormy", "hazy")
LINES = ("red", "blue", "green", "yellow", "purple")


def _whole(low: int, high: int) -> Callable[[random.Random], Slots]:
    return lambda rng: {"n": rng.randint(low, high)}


def _money(low: int, high: int) -> Callable[[random.Random], Slots]:
    return lambda rng: {"price": f"{rng.randint(low, high)}.{rng.randint(11, 99)}"}


def _person(rng: random.Random) -> Slots:
    return {"who": name_of(rng, "person")}


def _clock(rng: random.Random) -> Slots:
    return {"time": f"{rng.randint(6, 22)}:{rng.randint(10, 59)}"}


def _score(rng: random.Random) -> Slots:
    return {"score": f"{rng.randint(0, 6)}-{rng.randint(0, 6)}", "rival": name_of(rng, "team")}


def _weather(rng: random.Random) -> Slots:
    return {"n": rng.randint(2, 44), "sky": rng.choice(SKIES)}


def _date(rng: random.Random) -> Slots:
    return {"date": f"{rng.choice(MONTHS)} {rng.randint(1, 28)}"}


def _train(rng: random.Random) -> Slots:
    return {"n": rng.randint(25, 95), "platform": rng.randint(1, 24)}


def _version(rng: random.Random) -> Slots:
    return {"version": f"{rng.randint(2, 40)}.{rng.randint(1, 30)}"}


TOPICS = (
    Topic("humidity", "city", ("What is the humidity in {it} right now?", "How humid is it in {it} at the moment?"),
          _whole(21, 97), ("The humidity in {it} is {n}%.", "{it} now: humidity {n}%."), ("n",)),
    Topic("tomorrow", "city", ("What will the weather be like in {it} tomorrow?", "Which weather is expected for {it} "
                                                                                  "tomorrow?"),
          _weather, ("{it} tomorrow: {sky}, {n} degrees.", "Forecast for {it}: tomorrow {sky} with {n} degrees."),
          ("n", "sky")),
    Topic("air-quality", "city", ("What is today's air quality index in {it}?", "How high is the air quality index in "
                                                                                "{it} today?"),
          _whole(15, 420), ("Air quality index in {it} today: {n}.", "{it} has an air quality index of {n}."), ("n",)),
    Topic("mayor", "city", ("Who is the mayor of {it} now?", "What is the name of the present mayor of {it}?"), _person,
          ("The mayor of {it} is {who}.", "{who} was sworn in as mayor of {it}."), ("who",)),
    Topic("prime-minister", "country", ("Who is prime minister of {it} at the moment?", "Who heads the government of "
                                                                                        "{it} today?"),
          _person, ("{who} heads the government of {it} as prime minister.", "Prime Minister of {it}: {who}."), ("who",
          )),
    Topic("inflation", "country", ("What is the latest inflation rate in {it}?", "How high is inflation in {it} this "
                                                                                 "month?"),
          lambda rng: {"rate": f"{rng.randint(1, 14)}.{rng.randint(1, 9)}"},
          ("Inflation in {it} stands at {rate}%.", "Prices in {it} rose by {rate}% in a year: that is the inflation "
                                                   "rate."),
          ("rate",)),
    Topic("turnout", "country", ("What was the turnout at the last election in {it}?",
                                 "How many percent of the voters took part in {it}'s latest election?"),
          _whole(31, 94), ("Turnout in {it}'s election was {n}%.", "{n}% of all voters took part in the election in "
                                                                   "{it}."), ("n",)),
    Topic("share-price", "company", ("At what price do {it} shares trade today?", "What is one share of {it} worth "
                                                                                  "right now?"),
          _money(4, 900), ("{it} shares trade at ${price}.", "A share of {it} costs ${price} now."), ("price",)),
    Topic("finance-chief", "company", ("Who is the finance chief of {it} now?", "Which person is chief financial "
                                                                                "officer of {it}?"),
          _person, ("{who} is chief financial officer (finance chief) of {it}.", "{it} named {who} finance "
                                                                                 "chief."), ("who",)),
    Topic("staff", "company", ("How many people work at {it} at present?", "What is the current headcount of {it}?"),
          _whole(1200, 98000), ("{it} employs {n} people.", "{it}: {n} people on the payroll."), ("n",)),
    Topic("league-place", "team", ("What is the position of {it} in the league table this week?", "Which place of the "
                                                                                                  "table are {it} in "
                                                                                                  "right now?"),
          _whole(2, 20), ("{it} are number {n} of the table.", "League table: {it} in place {n}."), ("n",)),
    Topic("yesterday-match", "team", ("How did {it} play yesterday?", "What was the score when {it} played yesterday?"),
          _score, ("Yesterday: {it} against {rival} {score}.", "{it} - {rival} ended {score} yesterday."), ("score",)),
    Topic("top-scorer", "team", ("Who is the top scorer of {it} this season?", "Which player has most goals for {it} "
                                                                               "this season?"),
          _person, ("{who} leads the scorers of {it} this season.", "Most goals for {it}: {who}."), ("who",)),
    Topic("ticket", "{w} Zoo", ("How much is a ticket for the {it} now?", "What does it cost to get into the {it} at "
                                                                          "present?"),
          _money(3, 60), ("A ticket for the {it} costs ${price}.", "The {it}: entry ${price}."), ("price",)),
    Topic("closing-time", "{w} Library", ("Until what time is the {it} open tonight?", "When does the {it} close this "
                                                                                       "evening?"), _clock,
          ("The {it} closes at {time} tonight.", "Tonight the {it} is open until {time}."), ("time",)),
    Topic("release", "software", ("What is the newest stable release of {it}?", "Which release of {it} came out "
                                                                                "last?"), _version,
          ("{it} {version} is out, the newest stable release.", "Newest stable release of {it}: {version}."),
          ("version",)),
    Topic("new-album", "{w} Quartet", ("When does the new album of the {it} come out?", "On what date is the next "
                                                                                        "record of the {it} released?"),
          _date, ("The album of the {it} comes out on {date}.", "Out on {date}: the new record of the {it}."), ("date",
          )),
    Topic("market-price", "{w}coin", ("What is {it} trading at today?", "What is today's price of one {it} on the "
                                                                        "market?"),
          _money(11, 990), ("One {it} costs ${price} today.", "Today's market price of {it}: ${price}."), ("price",)),
    Topic("author-book", "person", ("What is the title of the newest novel by {it}?", "Which novel did {it} publish "
                                                                                      "last?"),
          lambda rng: {"title": f"The {rng.choice(['Glass', 'Silent', 'Long', 'Last'])} {name_of(rng, 'city')}"},
          ("The newest novel by {it} is called {title}.", "{it} has published a novel: {title}."), ("title",)),
    Topic("delay", "city", ("Which metro line of {it} is late right now, and by how many minutes?",
                            "Is the metro of {it} on time now? If not, which line is late, and by how many minutes?"),
          lambda rng: {"n": rng.randint(4, 55), "line": rng.choice(LINES)},
          ("Metro of {it}: {line} line {n} minutes late.", "{n} minutes of delay on the {line} line of {it}'s "
                                                           "metro."), ("n", "line")),
    Topic("petrol", "city", ("What does a litre of petrol cost in {it} today?", "How much is petrol in {it} at the "
                                                                                "moment?"),
          lambda rng: {"price": f"{rng.randint(1, 3)}.{rng.randint(11, 99)}"},
          ("A litre of petrol costs ${price} in {it}.", "Petrol in {it}: ${price} a litre."), ("price",)),
    Topic("visitors", "{w} Museum", ("How many people visited the {it} last month?", "What was last month's number of "
                                                                                     "visitors at the {it}?"),
          _whole(1100, 480000), ("Last month {n} people visited the {it}.", "The {it} had {n} visitors last "
                                                                            "month."), ("n",)),
)  # fmt: skip

THOUGHTFUL = (
    Topic("now-weather", "city", ("I am packing for {it}. How warm is it there today, and what is the sky like?",
                                  "Think first: do I need a coat in {it} today? Tell me the temperature and the sky."),
          _weather, ("Today in {it}: {n} degrees, {sky}.", "{it} is {sky} today at {n} degrees."), ("n", "sky")),
    Topic("new-president", "country", ("Who was elected president of {it} in the last vote?",
                                       "Name the person who became president of {it} at the most recent "
                                       "election."), _person,
          ("{who} became president of {it}.", "Voters in {it} made {who} president."), ("who",)),
    Topic("boss", "company", ("Who runs {it} these days?", "Which person is CEO of {it} as of today?"), _person,
          ("{it} is run by its CEO, {who}.", "CEO of {it}: {who}."), ("who",)),
    Topic("last-result", "team", ("How did the latest match of {it} end, and who was the rival?",
                                  "Against whom did {it} play last, and what was the score?"),
          _score, ("Latest match: {it} against {rival}, {score}.", "{it} played {rival}: {score}."), ("score",
              "rival")),
    Topic("quote", "company", ("Before I buy shares of {it}: what is the price of one today?",
                               "What would I pay on the market for a share of {it} today?"),
          _money(11, 990), ("The price of a share of {it} today is ${price}.", "{it} trades at ${price} a share "
                                                                               "today."), ("price",)),
    Topic("patch", "software", ("I want to update {it}. What is its newest version?", "Up to which version can I "
                                                                                      "update {it} today?"),
          _version, ("The newest version of {it} is {version}.", "{it} {version} was published: update now."),
          ("version",)),
    Topic("tour", "{w} Trio", ("On which date do the {it} play next?", "When is the next show of the {it}?"), _date,
          ("The {it} play next on {date}.", "Next show of the {it}: {date}."), ("date",)),
    Topic("inhabitants", "city", ("What is the population of {it} by the latest count?", "By the newest figures, how "
                                                                                         "many people live in {it}?"),
          _whole(4100, 980000), ("By the latest count {it} has {n} inhabitants.", "{n} people live in {it} by the "
                                                                                  "newest figures."), ("n",)),
    Topic("director", "{w} Museum", ("Who is the new director of the {it}?", "Which person was put in charge of the "
                                                                             "{it}?"), _person,
          ("The {it} has a new director: {who}.", "{who} is now in charge of the {it} as its director."), ("who",)),
    Topic("platform", "{w} Station", ("From which platform does the next train leave at {it}, and in how many minutes?",
                                      "I am at {it}. Which platform has the next train, and how many minutes are "
                                      "left?"),
          _train, ("{it}: next train in {n} minutes from platform {platform}.",
                   "Platform {platform}, in {n} minutes: next train at {it}."), ("n", "platform")),
    Topic("unemployment", "country", ("How high is unemployment in {it} today?", "What is the present unemployment "
                                                                                 "rate in {it}?"),
          lambda rng: {"rate": f"{rng.randint(2, 17)}.{rng.randint(1, 9)}"},
          ("Unemployment in {it} is at {rate}%.", "{it}: unemployment rate {rate}%."), ("rate",)),
    Topic("prize", "person", ("Which prize did {it} win this year?", "Tell me what prize {it} has just been given."),
          lambda rng: {"prize": f"{name_of(rng, 'city')} Prize"},
          ("{it} wins this year's {prize}.", "This year the {prize} goes to {it}."), ("prize",)),
    Topic("sold", "company", ("Which firm has just bought {it}?", "Who is the new owner of {it}, according to the "
                                                                  "news?"),
          lambda rng: {"buyer": name_of(rng, "{w} Holdings")},
          ("{buyer} has bought {it}.", "News: {it} now belongs to {buyer}."), ("buyer",)),
)  # fmt: skip

TEMPLATES = (*searches("tool_search", TOPICS), *searches("think_tool", THOUGHTFUL, system="think"))
