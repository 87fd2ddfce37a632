"""Follow-ups: a pronoun, a "that" or an "and in ...?" whose meaning is in an earlier turn, often not in the last one.

In a pair the earlier turn is about something else and all that follows is the same, so a right answer has to change.

Each function draws an instance of the template that is named after it.
"""

import random
from dataclasses import replace
from decimal import Decimal

from samosa.eval.probe_types import Gold
from samosa.eval.suite.calendars import WEEKDAYS
from samosa.eval.suite.dialogues import BETWEEN, asked_again, looked_up, pair, searched, talk
from samosa.eval.suite.parts import (
    CALCULATOR,
    between,
    different,
    either_system,
    first_names,
    fresh,
    name_of,
    templates,
)
from samosa.eval.suite.types import Drawn

HE = {"Arun", "Carlos", "David", "Farid", "Hugo", "Jonas", "Leo", "Nikhil", "Oscar", "Rahul", "Victor", "Yusuf"}
SISTERS, BROTHERS = ("Meera", "Leela", "Sara", "Olga", "Ama"), ("Ravi", "Rohan", "Peter", "Omar", "Pablo")
JOBS = ("baker", "doctor", "teacher", "farmer", "tailor", "pilot", "singer", "plumber", "painter", "nurse")
GOODS = ("mug", "lamp", "scarf", "clock", "kettle", "basket", "blanket", "vase")
FOODS = ("rice", "beans", "bread", "onions", "tea", "butter", "eggs", "lentils", "milk", "salt")
SKIES = ("sunny", "cloudy", "rainy", "windy", "foggy", "snowy")


def _number(rng: random.Random, low: int, high: int) -> int:
    return int(fresh(rng, between(n=(low, high)))["n"])


def sibling_job(rng: random.Random) -> Drawn:
    (kind, they, names), system = (
        rng.choice([("sister", "she", SISTERS), ("brother", "he", BROTHERS)]),
        either_system(rng),
    )
    name, town, (job, other) = rng.choice(names), name_of(rng, "city"), rng.sample(JOBS, 2)
    ask = rng.choice(["What does {} do for a living?", "Which job does {} have?"]).format(they)

    def side(job: str, rival: str) -> Drawn:
        told = f"My {kind} {name} lives in {town} and works as a {job}."
        return asked_again(system, told, f"How nice! Do you often visit {name}?", ask, is_=job, rivals=(rival,))

    return pair(side(job, other), side(other, job))


def sibling_town(rng: random.Random) -> Drawn:
    (kind, they, names), system = rng.choice([("aunt", "she", SISTERS), ("uncle", "he", BROTHERS)]), either_system(rng)
    name, job, (town, other) = rng.choice(names), rng.choice(JOBS), different(rng, "city", 2)
    ask = rng.choice(["In which town does {} live?", "Where does {} live, again?"]).format(they)
    between_ = rng.choice(BETWEEN)

    def side(town: str) -> Drawn:
        told = f"My {kind} {name} is a {job} and lives in {town}."
        return asked_again(system, told, "I see.", *between_, ask, is_=town)

    return pair(side(town), side(other))


def remembered_number(rng: random.Random) -> Drawn:
    system, between_ = either_system(rng), rng.choice(BETWEEN)
    what = rng.choice(["locker", "room", "ticket", "bus", "seat"])
    ask = rng.choice(["What was my {} number?", "Which {} number did I tell you?"]).format(what)

    def side(number: int) -> Drawn:
        return asked_again(system, f"My {what} number is {number}.", "Noted.", *between_, ask, is_=str(number))

    return pair(side(_number(rng, 1000, 5400)), side(_number(rng, 5500, 9900)))


def which_one(rng: random.Random) -> Drawn:
    system, names = either_system(rng), rng.sample(GOODS, 3)
    place, word = rng.choice([(0, "first"), (1, "second"), (2, "third")])
    listed = "\n".join(f"{number}. a {name}" for number, name in enumerate(names, 1))
    ask = rng.choice([f"I like the {word} one. What was it?", f"What was the {word} of these ideas?"])
    others = tuple(name for name in names if name != names[place])
    return asked_again(system, "Give me three ideas for a present.", listed, ask, is_=names[place], rivals=others)


def then_double(rng: random.Random) -> Drawn:
    system = either_system(rng)
    ask, factor = rng.choice([("Now double it.", 2), ("And three times that?", 3), ("Multiply that by ten.", 10)])

    def side() -> Drawn:
        slots = fresh(rng, between(a=(13, 90), b=(13, 90)))
        a, b = slots["a"], slots["b"]
        turns = talk(system, f"What is {a} + {b}?", f"It is {a + b}.", ask)
        gold = Gold(tool=None, value=Decimal(factor * (a + b)), may_call=CALCULATOR)
        return Drawn(turns=turns, gold=gold, system=system, names=(str(factor * (a + b)),))

    one, other = side(), side()
    while other.gold.value == one.gold.value:
        other = side()
    return pair(one, other)


def then_minus(rng: random.Random) -> Drawn:
    slots, system = fresh(rng, between(a=(12, 60), b=(4, 19), c=(5, 40))), either_system(rng)
    ask = rng.choice(["Take {c} away from that.", "And what is that minus {c}?"]).format(**slots)
    turns = talk(system, "What is {a} times {b}?".format(**slots), f"That is {slots['a'] * slots['b']}.", ask)
    value = Decimal(slots["a"] * slots["b"] - slots["c"])
    return Drawn(turns=turns, gold=Gold(tool=None, value=value, may_call=CALCULATOR), system=system)


def several_of_them(rng: random.Random) -> Drawn:
    slots, system = fresh(rng, between(a=(6, 48), b=(3, 12))), either_system(rng)
    ask = rng.choice(["What do {b} of them cost, in dollars?", "How many dollars are {b} of those?"]).format(**slots)
    told = f"One {rng.choice(GOODS)} costs ${slots['a']}."
    turns = talk(system, told, "All right.", ask)
    gold = Gold(tool=None, value=Decimal(slots["a"] * slots["b"]), may_call=CALCULATOR)
    return Drawn(turns=turns, gold=gold, system=system)


def percent_of_another(rng: random.Random) -> Drawn:
    slots, system = fresh(rng, between(r=(3, 19), a=(2, 9), b=(11, 29))), either_system(rng)
    first, then = 100 * slots["a"], 100 * slots["b"]
    turns = talk(system, f"What is {slots['r']}% of {first}?", f"It is {slots['r'] * slots['a']}.",
                  rng.choice([f"And of {then}?", f"And the same percentage of {then}?"]))  # fmt: skip
    gold = Gold(tool=None, value=Decimal(slots["r"] * slots["b"]), may_call=CALCULATOR)
    return Drawn(turns=turns, gold=gold, system=system)


def day_after_that(rng: random.Random) -> Drawn:
    system, (name,) = either_system(rng), first_names(rng, 1)
    first, other = rng.sample(range(7), 2)
    ask, shift = rng.choice([("Which weekday is the day after that?", 1), ("Which weekday is two days after that?", 2),
                             ("Which weekday is the day before that?", -1)])  # fmt: skip

    def side(day: int) -> Drawn:
        right = WEEKDAYS[(day + shift) % 7]
        rivals = tuple(weekday for weekday in WEEKDAYS if weekday != right)
        return asked_again(
            system, f"{name} arrives on {WEEKDAYS[day]}.", "Good to know.", ask, is_=right, rivals=rivals
        )

    one, two = side(first), side(other)
    return pair(replace(one, names=()), replace(two, names=()))


def born_where(rng: random.Random) -> Drawn:
    """Who leads a firm was found in the first turn; where that person was born has to be looked up by name."""
    system, (firm, town, other_town) = either_system(rng), (name_of(rng, "company"), *different(rng, "city", 2))

    def side(who: str, town: str) -> Drawn:
        they = "he" if who.split()[0] in HE else "she"
        found = looked_up(f"CEO of {firm}", f"{who} is CEO of {firm}.", f"The CEO of {firm} is {who}.")
        turns = (f"Who is the CEO of {firm}?", found, f"In which town was {they} born?")
        return searched(system, turns, who, f"{who} was born in {town}.", town)

    one, two = different(rng, "person", 2)
    while (one.split()[0] in HE) != (two.split()[0] in HE):
        one, two = different(rng, "person", 2)
    return pair(side(one, town), side(two, other_town))


def people_there(rng: random.Random) -> Drawn:
    system = either_system(rng)
    ask = rng.choice(["And how many people live there now?", "What is the latest population count there?"])

    def side(town: str, count: int) -> Drawn:
        degrees, sky = rng.randint(2, 40), rng.choice(SKIES)
        found = looked_up(
            f"weather in {town}", f"{town}: {degrees} degrees, {sky}.", f"In {town} it is {degrees} degrees and {sky}."
        )
        turns = (f"What is the weather in {town}?", found, ask)
        return searched(system, turns, town, f"{count} people live in {town} by the latest count.", str(count))

    one, two = different(rng, "city", 2)
    return pair(side(one, rng.randint(2100, 90000)), side(two, rng.randint(110000, 980000)))


def who_runs_it(rng: random.Random) -> Drawn:
    system, firm, who = either_system(rng), name_of(rng, "company"), name_of(rng, "person")
    price = f"{rng.randint(3, 400)}.{rng.randint(11, 99)}"
    found = looked_up(f"{firm} share price", f"{firm} trades at ${price}.", f"A share of {firm} costs ${price}.")
    ask = rng.choice(["Back to that company: who is its CEO now?", "Which person runs the company I asked about?"])
    turns = (f"What does a share of {firm} cost today?", found, *rng.choice(BETWEEN), ask)
    return searched(system, turns, firm, f"{firm} is run by its CEO, {who}.", who)


def and_in(rng: random.Random) -> Drawn:
    system, (town, other) = either_system(rng), different(rng, "city", 2)
    (n, m), (sky, sky2) = rng.sample(range(2, 44), 2), rng.sample(SKIES, 2)
    found = looked_up(f"weather in {town}", f"{town}: {n} degrees, {sky}.", f"It is {n} degrees and {sky} in {town}.")
    ask = rng.choice([f"And in {other}?", f"What about {other}?"])
    turns = (f"What's the weather like in {town} today?", found, ask)
    return searched(system, turns, other, f"{other}: {m} degrees, {sky2}.", str(m), sky2, never=(sky,))


def back_to_the_author(rng: random.Random) -> Drawn:
    system, who, firm = either_system(rng), name_of(rng, "person"), name_of(rng, "{w} Press")
    title, first = f"The Silent {name_of(rng, '{w}')}", f"The Glass {name_of(rng, '{w}')}"
    their = "his" if who.split()[0] in HE else "her"
    found = looked_up(f"author of {first}", f"{who} wrote {first}.", f"{first} was written by {who}.")
    turns = (f"Who wrote the novel {first}, published by {firm}?", found, *rng.choice(BETWEEN),
             f"Back to the author of that novel: what is {their} newest book?")  # fmt: skip
    return searched(system, turns, who, f"The newest book by {who} is {title}.", title)


def more_about_him(rng: random.Random) -> Drawn:
    system = either_system(rng)
    (kind, them, names) = rng.choice([("cousin", "her", SISTERS), ("cousin", "him", BROTHERS)])
    ask = rng.choice([f"Tell me about {them} in one sentence: the name and the job.",
                      f"Sum up what you know about {them}, by name and with the job."])  # fmt: skip

    def side(name: str, job: str) -> Drawn:
        told = f"My {kind} {name} is a {job} and loves long walks."
        gold = Gold(tool=None, answer_must=(name, job))
        return Drawn(turns=talk(system, told, "Walking is healthy.", ask), gold=gold, system=system, names=(name, job))

    (one, two), (job, other) = rng.sample(names, 2), rng.sample(JOBS, 2)
    return pair(side(one, job), side(two, other))


def corrected_name(rng: random.Random) -> Drawn:
    system, (first, then) = either_system(rng), first_names(rng, 2)
    turns = (f"The guest is called {first}.", f"Good, I will remember {first}.",
             f"Sorry, I mixed that up: the guest is called {then}.", "No problem.",
             "What is the guest called?")  # fmt: skip
    return asked_again(system, *turns, is_=then, rivals=(first,))


def same_for_another(rng: random.Random) -> Drawn:
    system, (first, then) = either_system(rng), first_names(rng, 2)
    wish = rng.choice(["birthday", "New Year", "wedding day"])
    turns = talk(system, f"Write a short {wish} wish for {first}.", f"A very happy {wish} to you, {first}!",
                  rng.choice([f"Now the same for {then}.", f"And one for {then}, please."]))  # fmt: skip
    return Drawn(turns=turns, gold=Gold(tool=None, answer_must=(then,), answer_must_not=(first,)), system=system)


def when_they_come(rng: random.Random) -> Drawn:
    system, (one, two), days = either_system(rng), first_names(rng, 2), rng.sample(WEEKDAYS, 2)
    between_ = rng.choice(BETWEEN)
    ask = rng.choice(["On which weekday do they come?", "Which day are they coming?"])

    def side(day: str, other: str) -> Drawn:
        return asked_again(system, f"{one} and {two} come to see me on {day}.", "Have a good time!", *between_, ask,
                      is_=day, rivals=(other,))  # fmt: skip

    return pair(side(*days), side(*reversed(days)))


def live_or_work(rng: random.Random) -> Drawn:
    system, (home, work) = either_system(rng), different(rng, "city", 2)
    ask, right, wrong = rng.choice(
        [("In which town do I work?", work, home), ("In which town is my home?", home, work)]
    )
    turns = (f"I live in {home} and work in {work}.", "That sounds like a daily trip.", *rng.choice(BETWEEN), ask)
    return asked_again(system, *turns, is_=right, rivals=(wrong,))


def add_to_the_list(rng: random.Random) -> Drawn:
    system, (a, b, c) = either_system(rng), rng.sample(FOODS, 3)
    turns = talk(system, f"My shopping list: {a} and {b}.", f"- {a}\n- {b}",
                  rng.choice([f"Add {c} and show me the whole list.", f"Put {c} on it as well. What is on "
                                                                      f"it now?"]))  # fmt: skip
    return Drawn(turns=turns, gold=Gold(tool=None, answer_must=(a, b, c)), system=system)


def take_off_the_list(rng: random.Random) -> Drawn:
    system, (a, b, c) = either_system(rng), rng.sample(FOODS, 3)
    ask = rng.choice(
        ["I have {b} at home. Write down only what is left to buy.", "Show me the list again without {b}."]
    )
    turns = talk(system, f"My shopping list: {a}, {b} and {c}.", f"- {a}\n- {b}\n- {c}", ask.format(b=b))
    gold = Gold(tool=None, answer_must=(a, c), matches=(rf"\A(?![\s\S]*^[-*•\d. ]*{b}\s*$)",))
    return Drawn(turns=turns, gold=gold, system=system)


def cheaper_one(rng: random.Random) -> Drawn:
    system, (one, other) = either_system(rng), rng.sample(GOODS, 2)
    low, high = sorted(rng.sample(range(6, 90), 2))
    between_, ask = (
        rng.choice(BETWEEN),
        rng.choice(["Back to my two things: which is cheaper?", "Which of my two things costs less?"]),
    )

    def side(cheap: str, dear: str) -> Drawn:
        prices = {cheap: low, dear: high}
        told = f"The {one} costs ${prices[one]} and the {other} costs ${prices[other]}."
        return asked_again(system, told, "Both are nice.", *between_, ask, is_=cheap, rivals=(dear,))

    # Which is dearer may be said as well, so neither name is only the other's.
    return pair(replace(side(one, other), names=()), replace(side(other, one), names=()))


def his_and_hers(rng: random.Random) -> Drawn:
    system, people, jobs = either_system(rng), (rng.choice(SISTERS), rng.choice(BROTHERS)), rng.sample(JOBS, 2)
    told = f"My sister {people[0]} is a {jobs[0]}, my brother {people[1]} is a {jobs[1]}."
    right, ask = rng.choice([(0, "About my sister: what is her job?"), (1, "About my brother: what is his job?")])
    turns = (told, f"So {people[0]} and {people[1]} both work.", *rng.choice(BETWEEN), ask)
    return asked_again(system, *turns, is_=jobs[right], rivals=(jobs[1 - right],))


TEMPLATES = templates(
    "multi_turn",
    {
        make.__name__.replace("_", "-"): make
        for make in (
            sibling_job, sibling_town, remembered_number, which_one, then_double, then_minus, several_of_them,
            percent_of_another, day_after_that, born_where, people_there, who_runs_it, and_in, back_to_the_author,
            more_about_him, corrected_name, same_for_another, when_they_come, live_or_work, add_to_the_list,
            take_off_the_list, cheaper_one, his_and_hers,
        )
    },
)  # fmt: skip
