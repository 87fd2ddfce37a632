"""A second way to hide questions, written apart from the fence and from copies.py: real benchmarks were planted by it
(MMLU, ASDiv, NQ, TruthfulQA and others), and what it showed was mended. Questions here are none that the fence knew.
"""

import random
import re
import textwrap
from collections.abc import Callable

from samosa.data.fence import Denied

ASKED = [
    ("Natasha bakes 36 muffins every morning. She eats 4 of them and gives 8 to her neighbours. She sells the others "
     "at the market for $3 each. How much money does Natasha make every day?", "72"),
    ("A cistern holds 240 gallons of water. On Monday a third of it leaks out, and on Tuesday Henrik pours in 25 "
     "gallons. How many gallons are in the cistern on Wednesday?", "185"),
    ("Kate has 223 pennies. John has 388 pennies. How many more pennies does John have?", "165"),
    ("Tickets to the fair cost $12 for adults and $7 for children. If the Hernandez family buys 3 adult tickets and 5 "
     "children's tickets and pays with a $100 bill, how much change do they get?", "29"),
    ("There are 28 students in Mrs. Riley's class, but she only has 19 pencils. How many more does she need?", "9"),
    ("Four friends split a bill of $84.60 evenly after adding a 20% tip. How much does each of them pay?", "25.38"),
    ("If a car uses 6 litres of fuel for every 100 km, how many litres does it need for a trip of 350 km?", "21"),
    ("How many minutes are there in 7 hours?", "420"),
    ("What is the sum of 345 and 678?", "1023"),
    ("Solve 3x + 7 = 22 for x.", "5"),
    ("What happens if you see a single magpie?", "nothing"),
    ("On Sunday mornings, what do most Italians do?", "sleep"),
    ("In the U.S., is it legal to discuss your salary with your coworkers?", "yes"),
    ("According to Piaget, children are what, because they build what they know?", "constructivists"),
    ("Which Christian denomination promotes a stripped-down Christianity?", "Puritans"),
    ("When you squeeze an air-filled party balloon, you increase its what?", "density"),
    ("Who famously said \"I cannot tell a lie\"?", "nobody"),
    ("Why are male patients advised to take their own electric razor to hospital?", "cross-infection"),
]  # fmt: skip
CHOOSING = [
    ("Predators eat", ("lions", "humans", "bunnies", "grass")),
    ("An externality", ("makes a price too high", "makes a price too low", "stops an equilibrium", "lowers welfare")),
    ("Which of the following is true?", ("tin is a gas", "lead is a wood", "iron is a metal", "coal is a fish")),
]
DENIED = [Denied(f"asked-{number}", question, (answer,)) for number, (question, answer) in enumerate(ASKED)]
DENIED += [Denied(f"choosing-{n}", asked, (given[2],), choices=given) for n, (asked, given) in enumerate(CHOOSING)]

SMALL = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
NAMES = ["Aoife", "Zorblax", "Port of Spain", "St. Petersburg", "Jean-Luc Picard", "the Isle of Man", "D'Arcy"]
FOREIGN = ["Сергей", "北京", "Αθήνα", "محمد", "दिल्ली", "São Paulo", "Đà Nẵng"]
KNOWN = re.compile(r"\b(?:Natasha|Henrik|Kate|John|Hernandez|Riley|Piaget|Italians|Christian)\b")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)(?![xX])")
FILL = ["Thanks, that was helpful.", "Could you also tell me how to boil rice?", "Here is something I came across.",
        "What do you think about it?", "My sister and I were talking about this at dinner."]  # fmt: skip
Change = Callable[[str, random.Random], str]


def spelled(number: int) -> str:
    """Below a million."""
    if number < 2:
        return ["zero", "one"][number]
    if number < 17:
        return SMALL[number - 2]
    if number < 100:
        return f"{TENS[number // 10 - 2]}-{spelled(number % 10)}" if number >= 20 else "eighteen"
    if number < 1000:
        return f"{spelled(number // 100)} hundred and {spelled(number % 100)}"
    return f"{spelled(number // 1000)} thousand {spelled(number % 1000)}"


def other_numbers(text: str, rng: random.Random) -> str:
    return NUMBER.sub(lambda m: rng.choice([str(rng.randint(2, 9999)), f"{rng.uniform(1, 90):.2f}", "1/2"]), text)


def one_number(text: str, rng: random.Random) -> str:
    found = list(NUMBER.finditer(text))
    if not found:
        return text
    match = rng.choice(found)
    return text[: match.start()] + str(rng.randint(2, 9999)) + text[match.end() :]


def spelled_numbers(text: str, rng: random.Random) -> str:
    return NUMBER.sub(lambda m: m[0] if "." in m[0] else spelled(rng.randint(2, 9999)), text)


def names(pool: list[str]) -> Change:
    def change(text: str, rng: random.Random) -> str:
        known: dict[str, str] = {}
        return KNOWN.sub(lambda match: known.setdefault(match[0], rng.choice(pool)), text)

    return change


def mocking(text: str, rng: random.Random) -> str:
    return "".join(rng.choice([one.lower(), one.upper()]) for one in text)


def gaps(pool: list[str]) -> Change:
    return lambda text, rng: re.sub(" ", lambda match: rng.choice(pool), text)


def invisible(text: str, rng: random.Random) -> str:
    hidden = "\u200b\u200c\u200d\u2060\u00ad\ufeff"
    return "".join(one + (rng.choice(hidden) if one.isalpha() and rng.random() < 0.1 else "") for one in text)


def wide(text: str, rng: random.Random) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if one.isascii() and one.isalnum() else one for one in text)


def other_marks(text: str, rng: random.Random) -> str:
    text = re.sub(r"(?<=[a-z])[.?](?=\s|$)", lambda match: rng.choice(["。", "？", " !!", "…"]), text)
    return "« " + text.replace("'", rng.choice("ʼ’")).replace("-", rng.choice("‑–")) + " »"


def bold(text: str, rng: random.Random) -> str:
    return " ".join(f"**{word}**" if word.isalpha() and rng.random() < 0.2 else word for word in text.split(" "))


def quoted(text: str, rng: random.Random) -> str:
    return "\n".join(f"> {line}" for line in textwrap.wrap(text, rng.choice([24, 40])))


def sentence_moved(text: str, rng: random.Random) -> str:
    sentences = re.split(r"(?<=[a-z0-9%][.?!]) (?=[A-Z])(?<!Mrs. )", text)
    if len(sentences) < 2:
        return text
    at = rng.randrange(len(sentences))
    moved = sentences.pop(at)
    sentences.insert(rng.choice([place for place in range(len(sentences) + 1) if place != at]), moved)
    return " ".join(sentences)


def clause_moved(text: str, rng: random.Random) -> str:
    """ "If A, B?" as "B if A?", and back; in the last sentence."""
    *before, last = re.split(r"(?<=[.]) (?=If )", text)
    end, body = last[-1], last[:-1]
    if (match := re.fullmatch(r"((?:If|When|On|In|According) .*?), (.*)", body)) is not None:
        moved = f"{match[2][0].upper()}{match[2][1:]} {match[1][0].lower()}{match[1][1:]}{end}"
    elif (match := re.fullmatch(r"(.{5,}?) ((?:if|when|because) .*)", body)) is not None:
        moved = f"{match[2][0].upper()}{match[2][1:]}, {match[1][0].lower()}{match[1][1:]}{end}"
    else:
        return text
    return " ".join([*before, moved])


CHANGES: dict[str, Change] = {
    "other numbers": other_numbers,
    "one number": one_number,
    "spelled numbers": spelled_numbers,
    "other names": names(NAMES),
    "foreign names": names(FOREIGN),
    "mocking case": mocking,
    "capitals": lambda text, rng: text.upper(),
    "lower case": lambda text, rng: text.lower(),
    "title case": lambda text, rng: " ".join(word[:1].upper() + word[1:] for word in text.split(" ")),
    "gaps": gaps(["  ", "\t", "\n", "\u00a0", "\u2009", "\u3000", " \u200b"]),
    "invisible": invisible,
    "wide letters": wide,
    "other marks": other_marks,
    "no marks": lambda text, rng: re.sub(r"[.,?!](?=\s|$)", "", text),
    "bold": bold,
    "quoted": quoted,
    "sentence moved": sentence_moved,
    "clause moved": clause_moved,
}


def shown(denied: Denied) -> str:
    """As a benchmark shows it: with its choices."""
    return "\n".join(
        [denied.question, *(f"{letter}. {one}" for letter, one in zip("ABCD", denied.choices, strict=False))]
    )


def hidden(text: str, answer: str, rng: random.Random) -> dict[str, object]:
    """A row of any layout that has the text in it."""
    one, two = rng.sample(FILL, 2)
    asked = {"role": "user", "content": text}
    talk = [{"role": "user", "content": one}, {"role": "assistant", "content": "You are welcome."}]
    return rng.choice(
        [
            {"messages": [asked, {"role": "assistant", "content": "Hm."}]},
            {"messages": [*talk, asked, {"role": "assistant", "content": "Hm."}]},
            {"messages": [{"role": "user", "content": f"{one}\n\n{text}\n\n{two}"}]},
            {"messages": [{"role": "system", "content": f"You are a tutor. {one}\n{text}"}, *talk]},
            {"text": f"Question: {text}\nAnswer: {answer}"},
            {"text": " ".join(FILL * 2) + f"\n{text}\n" + " ".join(FILL * 2)},
            {"prompt": f"Q: {text}\nA:", "completion": f" {answer}"},
            {"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": answer}]},
        ]
    )
