"""What needs no tool: it stands in the question, or it is plain English, or it does not change. No call is allowed.

Each function draws an instance of the template that is named after it.
"""

import random
import re
from collections.abc import Callable
from typing import Any

from samosa.data.generate.names import made_up
from samosa.data.generate.sides import bank, on_side, side_of
from samosa.eval.probe_types import Gold
from samosa.eval.suite.parts import different, exact, first_names, name_of, templates
from samosa.eval.suite.types import Drawn

OPPOSITES = (
    "hot cold, early late, full empty, wet dry, rich poor, fast slow, soft hard, young old, loud quiet, long short,"
    " strong weak, high low, thick thin, deep shallow, clean dirty, narrow wide, cheap expensive, heavy light"
)
PLURALS = (
    "mouse mice, child children, tooth teeth, foot feet, goose geese, leaf leaves, knife knives, wolf wolves,"
    " city cities, berry berries, box boxes, potato potatoes, man men, woman women, loaf loaves, half halves"
)
PASTS = (
    "go went, eat ate, write wrote, swim swam, buy bought, think thought, fly flew, break broke, teach taught,"
    " sing sang, bring brought, choose chose, drive drove, freeze froze, hide hid, run ran, speak spoke, steal stole"
)
YOUNG = (
    "dog puppy, cat kitten, cow calf, horse foal, sheep lamb, duck duckling, bear cub, goat kid, goose gosling,"
    " frog tadpole, swan cygnet, kangaroo joey"
)
CAPITALS = (
    "France Paris, Spain Madrid, Italy Rome, Germany Berlin, Japan Tokyo, Egypt Cairo, Kenya Nairobi, Peru Lima,"
    " Cuba Havana, Greece Athens, Norway Oslo, Sweden Stockholm, Finland Helsinki, Poland Warsaw, Austria Vienna,"
    " Ireland Dublin, Portugal Lisbon, Russia Moscow, China Beijing, Thailand Bangkok, Canada Ottawa, Hungary Budapest"
)
KINDS = {
    "a bird": "sparrow eagle owl parrot penguin swan robin falcon",
    "a fish": "salmon trout tuna shark carp herring cod",
    "an insect": "ant bee beetle moth wasp mosquito butterfly",
    "a mammal": "dog horse whale elephant bat tiger rabbit",
}
GROUPS = {
    "animals": "dog horse tiger rabbit sheep monkey donkey lion",
    "fruits": "apple banana mango pear grape cherry papaya lemon",
    "tools": "hammer saw screwdriver pliers wrench chisel drill",
    "colours": "red blue green yellow purple pink brown",
    "pieces of clothing": "shirt scarf glove jacket sock hat skirt",
}
RELATIONS = {
    "mother's brother": "uncle",
    "father's sister": "aunt",
    "mother's mother": "grandmother",
    "father's father": "grandfather",
    "brother's son": "nephew",
    "sister's daughter": "niece",
    "uncle's son": "cousin",
    "wife's mother": "mother-in-law",
    "son's son": "grandson",
    "daughter's daughter": "granddaughter",
}
REVIEWS = {
    "positive": ("The soup was wonderful and everybody was kind.", "I loved every minute of it.", "Best shop in town!",
                 "Great food, and it came quickly.", "A lovely room with a beautiful view."),
    "negative": ("The soup was cold and the waiter was rude.", "I hated every minute of it.", "Worst shop in town!",
                 "Awful food, and we waited for hours.", "A dirty room with a terrible smell."),
}  # fmt: skip
PETS = ("dog", "cat", "parrot", "horse", "rabbit", "goat")
ROLES = ("baker", "doctor", "teacher", "farmer", "tailor", "pilot", "singer", "plumber")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")


def _plain(question: str, **gold: Any) -> Drawn:
    return Drawn(turns=(question,), gold=Gold(tool=None, **gold))


def _is(question: str, answer: str, *rivals: str) -> Drawn:
    return _plain(question, answer_is=(answer,), rivals=rivals)


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(first, second) for first, second in (pair.split() for pair in text.split(","))]


def _one_word(text: str, *asks: str) -> Callable[[random.Random], Drawn]:
    """A question about one of many pairs of words, answered by the second."""

    def make(rng: random.Random) -> Drawn:
        pairs = _pairs(text)
        word, answer = rng.choice(pairs)
        return _is(rng.choice(asks).format(word), answer, *(other for _, other in pairs if other not in (answer, word)))

    return make


def pets(rng: random.Random) -> Drawn:
    (one, other), (name, another) = rng.sample(PETS, 2), rng.sample(first_names(rng, 6), 2)
    ask = rng.choice([
        "My {a} is called {n} and my {b} is called {m}. What is the name of my {a}?",
        "We have a {b}, {m}, and a {a}, {n}. What is the {a} called?",
    ])  # fmt: skip
    return _is(ask.format(a=one, b=other, n=name, m=another), name, another)


def jobs(rng: random.Random) -> Drawn:
    people, roles = first_names(rng, 3), rng.sample(ROLES, 3)
    told = ", ".join(f"{person} is a {role}" for person, role in zip(people, roles, strict=True))
    asked = rng.randrange(3)
    ask = rng.choice(["{}. Who is the {}?", "{}. Which of the three is a {}?"])
    others = (person for person in people if person != people[asked])
    return _is(ask.format(told, roles[asked]), people[asked], *others)


def tallest(rng: random.Random) -> Drawn:
    a, b, c = first_names(rng, 3)
    more, most = rng.choice(
        [("taller", "tallest"), ("older", "oldest"), ("faster", "fastest"), ("stronger", "strongest")]
    )
    ask = rng.choice(["{a} is {more} than {b}, and {b} is {more} than {c}. Who is the {most} of the three?",
                      "{b} is {more} than {c}. {a} is {more} than {b}. Which of them is the {most}?"])  # fmt: skip
    return _is(ask.format(a=a, b=b, c=c, more=more, most=most), a, b, c)


def row(rng: random.Random) -> Drawn:
    people, place = first_names(rng, 5), rng.randint(1, 4)
    ask = rng.choice(["From left to right there are {}. Who is directly to the right of {}?",
                      "In a queue stand {}, in this order from the front. Who is right behind {}?"])  # fmt: skip
    listed = ", ".join(people[:-1]) + " and " + people[-1]
    others = (person for person in people if person not in (people[place], people[place - 1]))
    return _is(ask.format(listed, people[place - 1]), people[place], *others)


def syllogism(rng: random.Random) -> Drawn:
    kind, name, other = (made_up(rng, "probe").lower() for _ in range(3))
    colour, another = rng.sample(GROUPS["colours"].split(), 2)
    ask = rng.choice(["All {k}s are {c}, and all {o}s are {d}. {n} is one of the {k}s. What colour is {n}?",
                      "Every {o} is {d}. Every {k} is {c}. If {n} is a {k}, which colour does {n} have?"])  # fmt: skip
    return _is(ask.format(k=kind, o=other, n=name.capitalize(), c=colour, d=another), colour, another)


def explain(rng: random.Random) -> Drawn:
    known = [concept for concept in bank("concepts")["explain"] if side_of(f"{concept[0]} {concept[1]}") == "probe"]
    subject, verb, _ = rng.choice(known)
    ask = rng.choice(["Why do {s} {v}? Two sentences are enough.", "Explain to a child how {s} {v}.",
                      "In a few words: how is it that {s} {v}?"])  # fmt: skip
    return _plain(ask.format(s=subject, v=verb), answer_any=((subject, subject.removesuffix("s"), "they"),),
                  min_answer_chars=25)  # fmt: skip


def alphabet(rng: random.Random) -> Drawn:
    words = rng.sample(on_side(bank("banks")["ordinary"]["real"], "probe"), 4)
    ask = rng.choice(["Put these words in alphabetical order: {}.", "Sort these words from A to Z: {}."])
    order = r"[\s\S]*?\b".join(sorted(words))
    return _plain(
        ask.format(", ".join(words)),
        matches=(rf"\A(?:[^:]*:)?(?:(?!\b(?:{'|'.join(sorted(words)[1:])})\b)[\s\S])*\b{order}\b",),
    )


def odd_one_out(rng: random.Random) -> Drawn:
    group, other = rng.sample(sorted(GROUPS), 2)
    words, odd = rng.sample(GROUPS[group].split(), 3), rng.choice(GROUPS[other].split())
    listed = rng.sample([*words, odd], 4)
    ask = rng.choice(["Which word does not belong with the others: {}? Answer with that word only.",
                      "Which is the odd one out: {}? Give me just the word."])  # fmt: skip
    return _plain(ask.format(", ".join(listed)), matches=(rf"\A\W*{odd}\W*\Z",))


def spell(rng: random.Random) -> Drawn:
    word = made_up(rng, "probe").lower()
    ask = rng.choice(['Spell the word "{}" letter by letter, with a hyphen between the letters.',
                      'Write "{}" one letter at a time, with hyphens in between.'])  # fmt: skip
    return _plain(ask.format(word), matches=(rf"(?<![\w-]){'-'.join(word)}(?![\w-])",))


def count_things(rng: random.Random) -> Drawn:
    group, other = rng.sample(sorted(GROUPS), 2)
    wanted = rng.sample(GROUPS[group].split(), rng.randint(2, 5))
    listed = rng.sample(listed := [*wanted, *rng.sample(GROUPS[other].split(), 2)], len(listed))
    ask = rng.choice(["How many {} are in this list: {}?", "Count the {} among these words: {}. How many are there?"])
    return _plain(ask.format(group, ", ".join(listed)), value=exact(len(wanted)))


def passage(rng: random.Random) -> Drawn:
    who, other = different(rng, "person", 2)
    town, another = different(rng, "city", 2)
    told = f"{who} grew up in {town} and later became a painter. {other} grew up in {another} and sailed the seas."
    ask = rng.choice(["Read this: {} Where did {} grow up?", "{} From this text: in which town did {} grow up?"])
    return _is(ask.format(told, who), town, another)


def sentiment(rng: random.Random) -> Drawn:
    mood, other = rng.sample(sorted(REVIEWS), 2)
    ask = rng.choice(['Is this review of {} positive or negative? "{}"',
                      'A guest of {} writes: "{}" Is that positive or negative?'])  # fmt: skip
    return _is(ask.format(f"the {name_of(rng, '{w} Inn')}", rng.choice(REVIEWS[mood])), mood, other)


def animal_kind(rng: random.Random) -> Drawn:
    kind = rng.choice(sorted(KINDS))
    kinds = rng.sample(sorted(KINDS), 4)
    name = rng.choice(KINDS[kind].split())
    article = "an" if name[0] in "aeiou" else "a"
    ask = rng.choice(["Is {} {}, {}, {} or {}?", "What is {}: {}, {}, {} or {}?"]).format(f"{article} {name}", *kinds)
    return _is(ask, kind.split()[1], *(other.split()[1] for other in kinds if other != kind))


def relation(rng: random.Random) -> Drawn:
    phrase, answer = rng.choice(sorted(RELATIONS.items()))
    ask = rng.choice(["What do I call my {}?", "In one word, how is my {} related to me?"])
    others = sorted(set(RELATIONS.values()) - {answer})
    return _is(ask.format(phrase), answer, *others)


def replace_word(rng: random.Random) -> Drawn:
    a, b, name = *rng.sample(GROUPS["animals"].split(), 2), first_names(rng, 1)[0]
    ask = rng.choice(['Replace the word "{a}" by "{b}" in this sentence: {n} saw the {a} near the old mill.',
                      'Rewrite this with "{b}" instead of "{a}": {n} saw the {a} near the old mill.'])  # fmt: skip
    return _plain(ask.format(a=a, b=b, n=name), answer_must=(f"{name} saw the {b} near the old mill",))


def polite(rng: random.Random) -> Drawn:
    thing = rng.choice(GROUPS["tools"].split())
    name = first_names(rng, 1)[0]
    ask = rng.choice(["Turn this into a polite request to {n}: give me the {t}.",
                      "How would I ask {n} kindly to hand me the {t}? Give me one sentence."])  # fmt: skip
    kind = ("please", "could", "would", "may", "kindly", "mind", "can")
    return _plain(ask.format(n=name, t=thing), answer_must=(name, thing), answer_any=(kind,))


def mail_address(rng: random.Random) -> Drawn:
    name, place = first_names(rng, 1)[0], made_up(rng, "probe").lower()
    address = f"{name.lower()}.{made_up(rng, 'probe').lower()}@{place}.example"
    ask = rng.choice(["Which e-mail address is in this text? {} can be reached at {} until noon, or at the desk.",
                      "Copy the e-mail address out of this: Write to {} ({}) before you come."])  # fmt: skip
    return _plain(ask.format(name, address), matches=(rf"(?<![\w.@]){re.escape(address)}(?!\w|\.\w)",))


def moved_meeting(rng: random.Random) -> Drawn:
    (first, then), name = rng.sample(DAYS, 2), first_names(rng, 1)[0]
    ask = rng.choice(["Write to {n} that our lunch moves from {a} to {b}.",
                      "Draft a short message to {n}: we meet on {b} and no longer on {a}."])  # fmt: skip
    return _plain(ask.format(n=name, a=first, b=then), answer_must=(name, then), min_answer_chars=20)


def first_letter(rng: random.Random) -> Drawn:
    while True:
        word = made_up(rng, "probe")
        ask, letter = rng.choice([("With which letter does the name {} begin?", word[0]),
                                  ("What is the last letter of the name {}?", word[-1])])  # fmt: skip
        if letter.lower() not in "ai":  # which are words, too: whatever is said has them
            return _is(ask.format(word), letter.upper())


TEMPLATES = templates(
    "no_tool",
    {
        "opposite": _one_word(OPPOSITES, 'What is the opposite of "{}"?', 'Which word means the opposite of "{}"?'),
        "plural": _one_word(PLURALS, 'What is the plural of "{}"?', 'Give the plural of the noun "{}".'),
        "past-tense": _one_word(PASTS, 'What is the past tense of "{}"?', 'Put the verb "{}" in the simple past.'),
        "young-animal": _one_word(YOUNG, "What is a baby {} called?", "What do you call the young of a {}?"),
        "capital": _one_word(CAPITALS, "What is the capital of {}?", "Which city is the capital of {}?"),
        **{
            make.__name__.replace("_", "-"): make
            for make in (
                pets, jobs, tallest, row, syllogism, explain, alphabet, odd_one_out, spell, count_things, passage,
                sentiment, animal_kind, relation, replace_word, polite, mail_address, moved_meeting, first_letter,
            )
        },
    },
)  # fmt: skip
