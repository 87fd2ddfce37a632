"""India and its sweets: what everybody there knows, sums in rupees and lakhs, recipes to scale, prices to look up."""

import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from samosa.eval.probe_types import Gold
from samosa.eval.suite.calendars import clock, time_is
from samosa.eval.suite.parts import (
    CALCULATOR,
    Slots,
    Sum,
    Topic,
    between,
    either_system,
    first_names,
    fresh,
    name_of,
    searches,
    sums,
    templates,
)
from samosa.eval.suite.types import Drawn

CAPITALS = {
    "Karnataka": "Bengaluru", "Tamil Nadu": "Chennai", "Kerala": "Thiruvananthapuram", "West Bengal": "Kolkata",
    "Maharashtra": "Mumbai", "Rajasthan": "Jaipur", "Bihar": "Patna", "Odisha": "Bhubaneswar", "Assam": "Dispur",
    "Telangana": "Hyderabad", "Uttar Pradesh": "Lucknow", "Madhya Pradesh": "Bhopal", "Gujarat": "Gandhinagar",
    "Goa": "Panaji", "Jharkhand": "Ranchi", "Sikkim": "Gangtok", "Manipur": "Imphal", "Tripura": "Agartala",
}  # fmt: skip
SIGHTS = {
    "the Taj Mahal": "Agra", "the Hawa Mahal": "Jaipur", "the Gateway of India": "Mumbai", "the Charminar": "Hyderabad",
    "the Golden Temple": "Amritsar", "the Red Fort": "Delhi", "the Victoria Memorial": "Kolkata", "the Qutub "
                                                                                                  "Minar": "Delhi",
    "the Meenakshi Temple": "Madurai", "the Lotus Temple": "Delhi",
}  # fmt: skip
ALSO = {
    "Bengaluru": ("Bangalore",), "Delhi": ("New Delhi",), "Panaji": ("Panjim",), "Thiruvananthapuram": ("Trivandrum",),
    "Mumbai": ("Bombay",), "Kolkata": ("Calcutta",), "coriander": ("cilantro",), "curd": ("yogurt", "yoghurt"),
    "okra": ("lady's finger", "ladies' fingers"), "chickpeas": ("garbanzo beans", "gram"), "cloves": ("clove",),
}  # fmt: skip
DISHES = {
    "samosa": ("potato", "potatoes", "peas", "aloo"),
    "kheer": ("rice", "milk"),
    "rasgulla": ("chhena", "chenna", "paneer", "cheese", "milk", "sugar"),
    "gulab jamun": ("khoya", "mawa", "milk", "milk powder", "sugar"),
    "jalebi": ("flour", "maida", "sugar", "syrup"),
    "gajar halwa": ("carrot", "carrots", "milk"),
    "besan laddu": ("besan", "gram flour", "chickpea flour", "ghee"),
    "kaju katli": ("cashew", "cashews", "cashew nuts", "sugar"),
    "shrikhand": ("yogurt", "yoghurt", "curd"),
    "kulfi": ("milk", "cream"),
    "dal": ("lentils", "lentil"),
    "raita": ("yogurt", "yoghurt", "curd"),
    "palak paneer": ("spinach", "paneer", "cheese"),
    "lassi": ("yogurt", "yoghurt", "curd"),
}
FESTIVALS = {
    "Diwali": ("light", "lights", "lamps", "lamp", "diyas", "diya"),
    "Holi": ("colour", "colours", "color", "colors", "spring"),
    "Raksha Bandhan": ("brother", "brothers", "sister", "sisters", "siblings"),
    "Pongal": ("harvest",),
    "Onam": ("harvest", "Mahabali"),
    "Ganesh Chaturthi": ("Ganesha", "Ganesh"),
    "Janmashtami": ("Krishna",),
}
SPICES = {"haldi": "turmeric", "jeera": "cumin", "elaichi": "cardamom", "adrak": "ginger", "dhania": "coriander",
          "kesar": "saffron", "methi": "fenugreek", "laung": "cloves", "rai": "mustard", "pudina": "mint"}  # fmt: skip
FOODS = {"gobi": "cauliflower", "aloo": "potato", "palak": "spinach", "chawal": "rice", "doodh": "milk",
         "gajar": "carrot",
         "bhindi": "okra", "dahi": "curd", "chana": "chickpeas", "pyaz": "onion"}  # fmt: skip
STEPS = {
    "knead the dough": 1,
    "let the dough rest": 2,
    "roll the dough out": 3,
    "fill and seal the pastry": 4,
    "fry until golden": 5,
}
SWEETS = ("barfi", "jalebi", "laddu", "rasgulla", "peda", "kaju katli", "gulab jamun")
HALF_PAST_FIVE = timedelta(hours=5, minutes=30)  # India's clocks before UTC, all year


def _drawn(rng: random.Random, question: str, **gold: Any) -> Drawn:
    return Drawn(turns=(question,), gold=Gold(tool=None, **gold), system=either_system(rng))


def _known(table: dict[str, str], *asks: str) -> Callable[[random.Random], Drawn]:
    """A fact of a table, in any of its spellings; what the others are called would be wrong."""

    def make(rng: random.Random) -> Drawn:
        key = rng.choice(sorted(table))
        right = table[key]
        spelt = (right, f"{right}s", right.removesuffix("s"), *ALSO.get(right, ()))
        return _drawn(rng, rng.choice(asks).format(key), answer_any=(tuple(dict.fromkeys(spelt)),))

    return make


def _about(table: dict[str, tuple[str, ...]], *asks: str) -> Callable[[random.Random], Drawn]:
    def make(rng: random.Random) -> Drawn:
        key = rng.choice(sorted(table))
        return _drawn(rng, rng.choice(asks).format(key), answer_any=(table[key],))

    return make


def recipe(rng: random.Random) -> Drawn:
    number, (name,) = rng.randint(4, 40), first_names(rng, 1)
    ask = rng.choice(["{p} wants to make {n} samosas at home. Which things go into the dough and the filling?",
                      "Give {p} a short recipe for {n} samosas: dough and filling."])  # fmt: skip
    dough, filling = (
        ("flour", "maida", "atta"),
        ("potato", "potatoes", "peas", "paneer", "lentils", "onion", "onions", "aloo"),
    )
    return _drawn(rng, ask.format(p=name, n=number), answer_any=(dough, filling), min_answer_chars=60)


def next_step(rng: random.Random) -> Drawn:
    """Two steps of making samosas, in an order that only one way of cooking has."""
    one, other = rng.sample(sorted(STEPS), 2)
    first, second = sorted((one, other), key=STEPS.__getitem__)
    ask = rng.choice(["Making samosas, which of these two steps comes first: {}, or {}? Use the words given here.",
                      "For samosas, which is done earlier: {}, or {}? Answer in these words."])  # fmt: skip
    return _drawn(rng, ask.format(one, other), answer_is=(first,), rivals=(second,))


def sweet_or_savoury(rng: random.Random) -> Drawn:
    dish = rng.choice(
        ["barfi", "jalebi", "laddu", "rasgulla", "peda", "kulfi", "kheer", "pakora", "samosa", "vada", "dosa", "idli"]
    )
    ask = rng.choice(["Is {} usually sweet or savoury?", "Sweet or savoury: which of the two is {}, as a rule?"])
    savoury = dish in ("pakora", "samosa", "vada", "dosa", "idli")
    tastes = (("savoury", "savory", "salty"), ("sweet", "dessert"))
    right, wrong = tastes if savoury else reversed(tastes)
    never = tuple(f"{word} {taste}" for word in ("is", "usually", "a") for taste in wrong)
    return _drawn(rng, ask.format(dish), answer_any=(right,), answer_must_not=never)


def odd_dish(rng: random.Random) -> Drawn:
    sweets, other = rng.sample(SWEETS, 3), rng.choice(["dal", "raita", "naan", "dosa", "biryani", "pakora"])
    listed = rng.sample([*sweets, other], 4)
    ask = rng.choice(["Which of these is no sweet: {}, {}, {} or {}? Answer with its name only.",
                      "Three of these are desserts: {}, {}, {}, {}. Just name the one that isn't."])  # fmt: skip
    return _drawn(rng, ask.format(*listed), matches=(rf"\A\W*{other}\W*\Z",))


def indian_time(rng: random.Random) -> Drawn:
    utc = datetime(2030, 1, 7, rng.randint(1, 17), rng.choice([0, 10, 15, 20, 40, 45, 50]))
    ask = rng.choice(
        ["It is {} UTC. What time is it in India? ", "When it is {} in UTC, what do the clocks in India show? "]
    )
    return time_is(ask.format(clock(utc)) + "Give the time with am or pm.", utc + HALF_PAST_FIVE)


def menu(rng: random.Random) -> Drawn:
    prices = rng.sample(range(20, 190, 5), 3)
    sweets = rng.sample(SWEETS, 3)
    shop = name_of(rng, "{w} Sweets")
    listed = ", ".join(f"{sweet} ₹{price}" for sweet, price in zip(sweets, prices, strict=True))
    cheap = sweets[prices.index(min(prices))]
    ask = rng.choice(
        ["The menu of {s}: {l}. Which sweet costs least?", "At {s} they sell {l}. What is the cheapest of these?"]
    )
    others = tuple(sweet for sweet in sweets if sweet != cheap)
    return _drawn(rng, ask.format(s=shop, l=listed), answer_is=(cheap,), rivals=others)


def _grouped(number: int) -> str:
    """A pattern for a number with its commas as in India, as elsewhere, or without."""
    digits = str(number)
    indian = re.sub(r"(?<=\d)(?=(?:\d\d)+\d{3}$)|(?<=\d)(?=\d{3}$)", ",", digits)
    return rf"(?<![\d.,])(?:{digits}|{indian}|{number:,})(?![\d]|[.,]\d)"


def lakh(rng: random.Random) -> Drawn:
    a = fresh(rng, between(a=(11, 980)))["a"]
    ask = rng.choice(
        ["How many rupees are {} lakh? Write all the digits.", "Write {} lakh as a number, with all its zeros."]
    )
    return _drawn(rng, ask.format(Decimal(a) / 10), matches=(_grouped(a * 10_000),), may_call=CALCULATOR)


def crore(rng: random.Random) -> Drawn:
    a = fresh(rng, between(a=(2, 95)))["a"]
    ask = rng.choice(["How many lakh are {} crore?", "A film earned {} crore rupees. How many lakh rupees is that?"])
    return _drawn(rng, ask.format(a), matches=(_grouped(a * 100),), may_call=CALCULATOR)


def _scaled(rng: random.Random) -> Slots:
    a = rng.choice([4, 5, 6, 8, 10, 12])
    return {"a": a, "b": a * rng.randint(12, 40), "c": a * rng.randint(2, 6)}


def _boxes(rng: random.Random) -> Slots:
    return {
        "sweet": rng.choice(SWEETS),
        "a": rng.randint(3, 18),
        "b": 10 * rng.randint(9, 80),
        "c": rng.randint(2, 9) * 20,
    }


KINDS = (
    Sum(
        "scaled-recipe",
        (
            "For {a} samosas you need {b} g of flour. How many grams do you need for {c} samosas?",
            "For {a} samosas a cook uses {b} g of potatoes. How many grams is that for {c} samosas?",
        ),
        _scaled,
        lambda a, b, c: Fraction(b * c, a),
    ),
    Sum(
        "sweet-box",
        (
            "{a} boxes of {sweet} cost ₹{b} each. There is ₹{c} off the total. How many rupees do I pay?",
            "I buy {a} boxes of {sweet} at ₹{b} a box and get ₹{c} off in all. What do I pay, in rupees?",
        ),
        _boxes,
        lambda sweet, a, b, c: a * b - c,
    ),
    Sum(
        "gst",
        (
            "A meal costs ₹{a} before a GST of {b}%. What is the total, in rupees?",
            "The thali is ₹{a}, and {b}% GST comes on top. How many rupees do I pay?",
        ),
        lambda rng: {"a": 100 * rng.randint(2, 48), "b": rng.choice([5, 12, 18, 28])},
        lambda a, b: Fraction(a * (100 + b), 100),
    ),
    Sum(
        "per-piece",
        (
            "A plate of {a} jalebis costs ₹{b}. What is the price of one jalebi, in rupees?",
            "{a} laddus are ₹{b} together. How many rupees is one laddu?",
        ),
        lambda rng: {"a": (a := rng.randint(3, 20)), "b": a * rng.randint(6, 45)},
        lambda a, b: Fraction(b, a),
    ),
)

TOPICS = (
    Topic(
        "sweet-price",
        "{w} Sweets",
        ("What does a kilo of jalebi cost at {it} today?", "How much is a kilo of jalebi at {it} now?"),
        lambda rng: {"n": 10 * rng.randint(18, 99)},
        ("{it}: jalebi at ₹{n} a kilo today.", "A kilo of jalebi is ₹{n} at {it}."),
        ("n",),
    ),
    Topic(
        "chief-minister",
        "{w} Pradesh",
        ("Who is the chief minister of {it} now?", "What is the name of {it}'s present chief minister?"),
        lambda rng: {"who": name_of(rng, "person")},
        ("{who} is the chief minister of {it}.", "Chief minister of {it}: {who}."),
        ("who",),
    ),
    Topic(
        "train-to-delhi",
        "{w} Express",
        ("At what time does the {it} leave for Delhi today?", "When does today's {it} to Delhi depart?"),
        lambda rng: {"time": f"{rng.randint(6, 23)}:{rng.randint(10, 59)}"},
        ("The {it} leaves for Delhi at {time} today.", "{it} to Delhi: departs at {time}."),
        ("time",),
    ),
    Topic(
        "monsoon",
        "{w}pur",
        (
            "How many millimetres of rain did the monsoon bring to {it} this week?",
            "What is this week's rainfall in {it}, in mm?",
        ),
        lambda rng: {"n": rng.randint(21, 480)},
        ("{it} had {n} mm of rain this week.", "Rainfall in {it} this week: {n} mm."),
        ("n",),
    ),
)

TEMPLATES = (
    *templates(
        "india",
        {
            "state-capital": _known(
                CAPITALS, "What is the capital of {}?", "Which city is the capital of the Indian state of {}?"
            ),
            "sight": _known(SIGHTS, "In which Indian city is {}?", "Which city in India do I visit to see {}?"),
            "spice": _known(
                SPICES,
                'What is the spice or herb "{}" called in English?',
                "A recipe asks for {}. What is that in English?",
            ),
            "vegetable": _known(
                FOODS, 'What does the Hindi word "{}" mean in the kitchen?', "On an Indian menu, what is {} in English?"
            ),
            "dish": _about(DISHES, "What is a main ingredient of {}?", "Name one thing that {} is mostly made of."),
            "festival": _about(FESTIVALS, "What is celebrated at {}?", "In one sentence: what is {} about?"),
            "recipe": recipe,
            "next-step": next_step,
            "sweet-or-savoury": sweet_or_savoury,
            "odd-dish": odd_dish,
            "indian-time": indian_time,
            "menu": menu,
            "lakh": lakh,
            "crore": crore,
        },
    ),
    *sums("india", KINDS),
    *searches("india", TOPICS),
)
