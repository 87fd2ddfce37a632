"""Small pieces of writing, judged by their structure: lines, words that must be in, rhymes, beginnings, endings.

Each function draws an instance of the template that is named after it.
"""

import random
from typing import Any

from samosa.data.generate.names import made_up
from samosa.eval.probe_types import Gold
from samosa.eval.suite.parts import either_system, first_names, name_of, templates
from samosa.eval.suite.types import Drawn

THINGS = ("lantern", "kettle", "bicycle", "ladder", "teapot", "violin", "blanket", "hammer", "basket")
ANIMALS = ("badger", "heron", "turtle", "donkey", "sparrow", "rabbit", "tiger", "hedgehog")
SUBJECTS = ("rain", "autumn", "the sea", "a garden", "the night", "snow", "a river", "the wind", "spring", "a mountain")
RHYMES = (("rain", "train"), ("night", "light"), ("tree", "sea"), ("day", "way"), ("moon", "spoon"), ("hat", "cat"),
          ("snow", "glow"), ("ring", "sing"), ("house", "mouse"), ("cake", "lake"), ("star", "far"), ("book",
          "cook"))  # fmt: skip
LETTERS = "ABCDEFGHILMNOPRSTW"
ACROSTICS = (
    "RAIN",
    "LEAF",
    "SALT",
    "MOON",
    "STAR",
    "TEA",
    "SEA",
    "NEST",
    "LION",
    "ROAM",
    "PINE",
    "GOLD",
    "WIND",
    "HERB",
)
# Groups that are atomic, (?>...), and possessive signs, *+, keep what has no match from being tried in all ways.
LINE = r"(?>[^\n]*\w[^\n]*)"
WORD = r"\w[\w'’-]*+\W*+"
LINES = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}


def _drawn(rng: random.Random, question: str, **gold: Any) -> Drawn:
    return Drawn(turns=(question,), gold=Gold(tool=None, **gold), system=either_system(rng))


def _ask(rng: random.Random, *forms: str, **slots: object) -> str:
    return rng.choice(forms).format(**slots)


def _lines(number: int) -> str:
    """A text of so many lines that are not empty."""
    return rf"\A\s*{LINE}(?:\s*\n{LINE}){{{number - 1}}}\s*\Z"


def _lines_ending(*words: str) -> str:
    """A text of lines with these last words, among other words."""
    return r"\A\s*" + r"\s*\n".join(rf"(?=[^\n]*\w[^\w\n]+{word}[^\w\n]*$){LINE}" for word in words) + r"\s*\Z"


def haiku(rng: random.Random) -> Drawn:
    subject = rng.choice(SUBJECTS)
    word = subject.split()[-1]
    ask = _ask(rng, 'Write a haiku of three lines with the word "{w}" in it.', 'I would like a haiku about {s}: three '
                                                                               'lines, and the word "{w}" has to be '
                                                                               'there.',
               s=subject, w=word)  # fmt: skip
    return _drawn(rng, ask, answer_must=(word,), matches=(_lines(3),), min_answer_chars=20)


def couplet(rng: random.Random) -> Drawn:
    one, two = rng.choice(RHYMES)
    ask = _ask(rng, 'Write two lines that rhyme: the first ends with "{a}", the second with "{b}".',
               'A rhyme of two lines, please. Last word of line one: "{a}". Last word of line two: "{b}".', a=one,
               b=two)  # fmt: skip
    return _drawn(rng, ask, matches=(_lines_ending(one, two),))


def quatrain(rng: random.Random) -> Drawn:
    (a, b), (c, d) = rng.sample(RHYMES, 2)
    ask = _ask(rng, "Write a poem of four lines that end, in this order, with: {a}, {b}, {c}, {d}.",
               "Four lines of verse, please. Their last words are {a}, {b}, {c} and {d}, one after the other.", a=a,
               b=b, c=c, d=d)  # fmt: skip
    return _drawn(rng, ask, matches=(_lines_ending(a, b, c, d),))


def poem_of_lines(rng: random.Random) -> Drawn:
    number, subject = rng.choice([4, 5, 6]), rng.choice(SUBJECTS)
    ask = _ask(rng, "Write a poem about {s} with exactly {n} lines.", "A poem of exactly {n} lines about {s}, without "
                                                                      "a title.",
               s=subject, n=LINES[number])  # fmt: skip
    return _drawn(rng, ask, matches=(_lines(number),), min_answer_chars=30)


def acrostic(rng: random.Random) -> Drawn:
    word = rng.choice(ACROSTICS)
    ask = _ask(rng, "Write an acrostic of the word {w}: one line for each letter, beginning with that letter.",
               "A poem whose lines begin with the letters {l}, in this order, one line each.", w=word,
               l=", ".join(word))  # fmt: skip
    lines = r"\s*\n".join(rf"\W*+(?-i:{letter})[^\n]++" for letter in word)
    return _drawn(rng, ask, matches=(rf"\A{lines}\s*\Z",))


def story_with(rng: random.Random) -> Drawn:
    (name,), thing, place = first_names(rng, 1), rng.choice(THINGS), name_of(rng, "city")
    ask = _ask(rng, "Tell a very short story about {n}, a {t} and the town of {p}.", "Invent a tiny tale in which {n} "
                                                                                     "brings a {t} to {p}.",
               n=name, t=thing, p=place)  # fmt: skip
    return _drawn(rng, ask, answer_must=(name, thing, place), min_answer_chars=60)


def three_words(rng: random.Random) -> Drawn:
    words = rng.sample(THINGS, 3)
    ask = _ask(rng, "Write a paragraph that uses these three words: {w}.", "Make up a short scene with all of these "
                                                                           "in it: {w}.",
               w=", ".join(words))  # fmt: skip
    return _drawn(rng, ask, answer_must=tuple(words), min_answer_chars=60)


def fixed_opening(rng: random.Random) -> Drawn:
    animal, thing = rng.choice(ANIMALS), rng.choice(THINGS)
    opening = rng.choice([f"Once a {animal} found", f"Late at night the {animal}", f"Nobody believed the {animal}"])
    ask = _ask(rng, 'Continue this story in two or three sentences, and begin with its words: "{o} ..." There is a '
                    '{t} in it.',
               'Write a short story that begins with "{o}" and has to do with one {t}.', o=opening,
               t=thing)  # fmt: skip
    return _drawn(rng, ask, answer_must=(thing,), matches=(rf"\A[\s\"'“*]*{opening}\b",), min_answer_chars=50)


def fixed_ending(rng: random.Random) -> Drawn:
    animal, thing = rng.choice(ANIMALS), rng.choice(THINGS)
    ending = rng.choice(
        [f"and the {animal} slept.", f"so the {animal} went home.", f"and that was the last of the {thing}."]
    )
    ask = _ask(rng, 'Write a little story about a {a} that ends with the words "{e}"', 'A short tale of a {a}, '
                                                                                       'please. Its last words: "{e}"',
               a=animal, e=ending)  # fmt: skip
    return _drawn(rng, ask, matches=(rf"{ending[:-1]}[.!]?[\s\"'”*]*\Z",), min_answer_chars=50)


def conversation(rng: random.Random) -> Drawn:
    one, two = rng.sample(ANIMALS, 2)
    ask = _ask(rng, 'Let a {a} and a {b} talk: two lines, the first beginning with "{A}:", the second with "{B}:".',
               'Write a dialogue of two lines. Line one starts with "{A}:" and line two with "{B}:".',
               a=one, b=two, A=one.capitalize(), B=two.capitalize())  # fmt: skip
    return _drawn(rng, ask, matches=(rf"\A\W*{one}\W*:{LINE}\n\W*{two}\W*:{LINE}\Z",))


def slogan(rng: random.Random) -> Drawn:
    shop, words = name_of(rng, "{w} Foods"), rng.choice([6, 8, 10])
    ask = _ask(rng, "Write a slogan for {s} of at most {n} words, with the name in it.",
               "Find a slogan that names {s}. It may have {n} words and no more.", s=shop, n=words)  # fmt: skip
    return _drawn(rng, ask, answer_must=(shop,), matches=(rf"\A\W*+(?:{WORD}){{2,{words}}}\Z",))


def title(rng: random.Random) -> Drawn:
    animal, words = rng.choice(ANIMALS), rng.choice([4, 5, 6])
    ask = _ask(rng, "Give me only the title for a book about a {a}: up to {n} words, one of them {a}.",
               "A book title with the word {a}, please, of at most {n} words. Write nothing but the title.", a=animal,
               n=words)  # fmt: skip
    return _drawn(rng, ask, answer_must=(animal,), matches=(rf"\A\W*+(?:{WORD}){{1,{words}}}\Z",))


def birthday(rng: random.Random) -> Drawn:
    (name,), animal = first_names(rng, 1), rng.choice(ANIMALS)
    ask = _ask(rng, "Write a birthday greeting for {n} that mentions a {a}.", "{n} loves {a}s. Write a birthday wish "
                                                                              "with one in it.",
               n=name, a=animal)  # fmt: skip
    return _drawn(rng, ask, answer_must=(name,), answer_any=((animal, f"{animal}s"),), min_answer_chars=25)


def same_letter(rng: random.Random) -> Drawn:
    letter = rng.choice(LETTERS)
    ask = _ask(rng, "Write three words that all begin with {l}, with commas between them. Nothing else.",
               "Three words with the first letter {l}, separated by commas, please.", l=letter)  # fmt: skip
    return _drawn(rng, ask, matches=(rf"\A\W*{letter}\w+\s*,\s*{letter}\w+\s*,\s*(?:and )?{letter}\w+\W*\Z",))


def without_a_letter(rng: random.Random) -> Drawn:
    letter, animal = rng.choice(
        [("z", "rabbit"), ("q", "tiger"), ("x", "donkey"), ("j", "turtle"), ("z", "heron"), ("q", "badger")]
    )
    ask = _ask(rng, "Write one sentence about a {a} without using the letter {l}.", "A sentence with the word {a}, "
                                                                                    "please, and no letter {l} in it.",
               a=animal, l=letter)  # fmt: skip
    return _drawn(rng, ask, answer_must=(animal,), matches=(rf"\A[^{letter}]+\Z",), min_answer_chars=15)


def simile(rng: random.Random) -> Drawn:
    subject, thing = rng.choice(SUBJECTS), rng.choice(THINGS)
    ask = _ask(rng, "Compare {s} to a {t} in one sentence; use the word like.", 'In one sentence with "like": how '
                                                                                'does {s} resemble a {t}?',
               s=subject, t=thing)  # fmt: skip
    return _drawn(rng, ask, answer_must=("like", subject.split()[-1], thing), min_answer_chars=15)


def new_name(rng: random.Random) -> Drawn:
    shop, sells = made_up(rng, "probe"), rng.choice(["bicycles", "lamps", "boats", "violins", "teapots"])
    ask = _ask(rng, "{s} and Daughter sells {t}. Write one sentence that makes people want to come, and name the shop.",
               "Advertise the shop {s} and Daughter, which sells {t}, in one sentence.", s=shop, t=sells)  # fmt: skip
    return _drawn(rng, ask, answer_must=(shop,), answer_any=((sells, sells[:-1]),), min_answer_chars=25)


def riddle(rng: random.Random) -> Drawn:
    thing = rng.choice(THINGS)
    ask = _ask(rng, "Write a riddle about a {t} that ends with the question: What am I? Do not name it.",
               'A riddle whose solution is "{t}", please. Do not give it away, and end with "What am I?"',
               t=thing)  # fmt: skip
    return _drawn(rng, ask, answer_must_not=(thing, f"{thing}s"),
                  matches=(r"What am I\W*\Z",), min_answer_chars=30)  # fmt: skip


def refrain(rng: random.Random) -> Drawn:
    subject, line = rng.choice(SUBJECTS), f"{made_up(rng, 'probe')}, oh {made_up(rng, 'probe')}!"
    ask = _ask(rng, 'Write a song verse about {s}: three lines of your own, and then the line "{l}"',
               'Three lines about {s} for a song, please, followed by its refrain: "{l}"', s=subject,
               l=line)  # fmt: skip
    return _drawn(rng, ask, matches=(_lines(4), rf"^\W*{line[:-1]}\W*\Z"))


def question_back(rng: random.Random) -> Drawn:
    animal, place = rng.choice(ANIMALS), name_of(rng, "city")
    ask = _ask(rng, "Invent one question that a {a} might ask in {p}. Write only the question, with the name of the "
                    "town in it.",
               "What would a {a} ask at the gates of {p}? Give me nothing but its question, with the name of the town.",
               a=animal, p=place)  # fmt: skip
    return _drawn(rng, ask, answer_must=(place,), matches=(r"\A[^?]*\?[\s\"'”*]*\Z",))


def postcard(rng: random.Random) -> Drawn:
    (name, sender), place = first_names(rng, 2), name_of(rng, "city")
    ask = _ask(rng, "Write a postcard from {p} to {n}. It is signed by {s}.", "{s} is in {p} and writes a postcard to "
                                                                              "{n}. What is on it?",
               p=place, n=name, s=sender)  # fmt: skip
    return _drawn(rng, ask, answer_must=(place, name, sender), min_answer_chars=40)


TEMPLATES = templates(
    "creative",
    {
        make.__name__.replace("_", "-"): make
        for make in (
            haiku, couplet, quatrain, poem_of_lines, acrostic, story_with, three_words, fixed_opening, fixed_ending,
            conversation, slogan, title, birthday, same_letter, without_a_letter, simile, new_name, riddle, refrain,
            question_back, postcard,
        )
    },
)  # fmt: skip
