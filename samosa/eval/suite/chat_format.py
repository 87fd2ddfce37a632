"""Answers whose form is asked for: lists, tables, a given number of sentences, one word, a fixed beginning.

What the answer holds is easy; patterns on the answer span say whether it has the form.

Each function draws an instance of the template that is named after it.
"""

import random
import re
from typing import Any

from samosa.data.generate.names import made_up
from samosa.eval.probe_types import Gold, Mark
from samosa.eval.suite.calendars import WEEKDAYS
from samosa.eval.suite.parts import first_names, name_of, templates
from samosa.eval.suite.types import Drawn

THINGS = ("apples", "bread", "cheese", "honey", "lemons", "milk", "onions", "pasta", "rice", "salt", "sugar", "tea")
TOPICS = ("the sea", "a rainy day", "learning to swim", "old bridges", "baking bread", "a long train ride", "cats",
          "the moon",
          "riding a bicycle", "keeping bees", "a quiet library", "growing tomatoes")  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "purple", "brown")
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five"}
# Groups that are atomic, (?>...), and possessive signs, *+, keep what has no match from being tried in all ways.
SENTENCE = r"(?>[^.!?\n]*\w[^.!?\n]*[.!?]+[\"'”)]?)"
LINE = r"(?>[^\n]*\w[^\n]*)"
WORD = r"\w[\w'’-]*+\W*+"


def _drawn(question: str, *, marks: tuple[Mark, ...] = (), **gold: Any) -> Drawn:
    return Drawn(turns=(question,), gold=Gold(tool=None, marks=marks, **gold), system="default")


def _ask(rng: random.Random, *forms: str, **slots: object) -> str:
    return rng.choice(forms).format(**slots)


def _three(rng: random.Random) -> list[str]:
    return rng.sample(THINGS, 3)


def _and(words: list[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1]


def bullets(rng: random.Random) -> Drawn:
    things = rng.sample(THINGS, rng.randint(3, 5))
    ask = _ask(rng, "Write {t} as a bullet list, each on its own line with a dash.",
               "I need a list with a dash in front of each line: {t}.", t=_and(things))  # fmt: skip
    return _drawn(ask, matches=tuple(rf"^\s*[-–—*•]\s+\W*{thing}\b[^\n]{{0,10}}$" for thing in things))


def numbered(rng: random.Random) -> Drawn:
    things = _three(rng)
    ask = _ask(
        rng,
        "Number these from 1 to 3, one on each line: {t}.",
        "Make a numbered list of {t}, in this order.",
        t=_and(things),
    )
    lines = r"\s*\n\s*".join(rf"{number}[.)]\s+\W*{thing}\b[^\n]{{0,10}}" for number, thing in enumerate(things, 1))
    return _drawn(ask, matches=(rf"^\s*{lines}",))


def comma_separated(rng: random.Random) -> Drawn:
    things = rng.sample(THINGS, 4)
    ask = _ask(rng, "Write these on one line, separated by commas and nothing else:\n{t}",
               "Turn this into a single line with commas between the words:\n{t}", t="\n".join(things))  # fmt: skip
    return _drawn(ask, matches=(r"^\W*" + r"\s*,\s*".join(things) + r"\W*$",))


def sorted_lines(rng: random.Random) -> Drawn:
    names = first_names(rng, 4)
    ask = _ask(rng, "One name a line, from A to Z, please: {t}.", "Sort these names alphabetically, each on a line of "
                                                                  "its own: {t}.",
               t=", ".join(names))  # fmt: skip
    return _drawn(ask, matches=(r"^\W*(?:\d+[.)]\s*)?" + r"\W*\n\W*(?:\d+[.)]\s*)?".join(sorted(names)) + r"\W*$",))


def one_word(rng: random.Random) -> Drawn:
    (name,), (colour, other) = first_names(rng, 1), rng.sample(COLOURS, 2)
    ask = _ask(rng, "{n}'s door is {c} and the roof is {o}. What colour is the door? Answer with one word.",
               "In a single word: what colour is {n}'s door, if the door is {c} and the roof is {o}?",
               n=name, c=colour, o=other)  # fmt: skip
    return _drawn(ask, matches=(rf"\A\W*{colour}\W*\Z",))


def yes_or_no(rng: random.Random) -> Drawn:
    (one, other), right = first_names(rng, 2), rng.choice(["yes", "no"])
    asked = one if right == "yes" else other
    ask = _ask(rng, "{a} won the race and {b} came second. Did {c} win? Say only yes or no.",
               "The race was won by {a}, ahead of {b}. Was {c} the winner? Just yes or no.", a=one, b=other,
               c=asked)  # fmt: skip
    return _drawn(ask, matches=(rf"\A\W*{right}\W*\Z",))


def sentences(rng: random.Random) -> Drawn:
    number, topic = rng.choice([2, 3, 4]), rng.choice(TOPICS)
    key = topic.split()[-1]
    ask = _ask(rng, 'Write exactly {n} sentences about {t}. Use the word "{k}".',
               'Tell me about {t} in exactly {n} sentences; the word "{k}" has to come up.', n=COUNTS[number], t=topic,
               k=key)  # fmt: skip
    matches = (rf"\A\s*(?:{SENTENCE}\s*){{{number}}}\Z",)
    return _drawn(ask, answer_must=(key,), matches=matches, min_answer_chars=20)


def at_most(rng: random.Random) -> Drawn:
    words, topic = rng.choice([8, 10, 12, 15]), rng.choice(TOPICS)
    key = topic.split()[-1]
    ask = _ask(rng, 'Describe {t} in at most {n} words, and use the word "{k}".',
               'No more than {n} words about {t}, please. The word "{k}" has to be in it.', n=words, t=topic,
               k=key)  # fmt: skip
    return _drawn(ask, answer_must=(key,), matches=(rf"\A\W*+(?:{WORD}){{1,{words}}}\Z",))


def begins_with(rng: random.Random) -> Drawn:
    (name,), topic = first_names(rng, 1), rng.choice(TOPICS)
    start = rng.choice([f"Dear {name},", f"Well, {name},", f"To be honest, {name},", f"Look, {name}:"])
    ask = _ask(rng, 'Write two sentences about {t}. Begin with the words "{s}"', 'Start your answer with "{s}" and '
                                                                                 'say something about {t}.',
               t=topic, s=start)  # fmt: skip
    return _drawn(ask, matches=(rf"\A[\s\"'“*]*{re.escape(start)}",), min_answer_chars=len(start) + 12)


def ends_with(rng: random.Random) -> Drawn:
    topic, end = (
        rng.choice(TOPICS),
        rng.choice(["That is all.", "Over to you.", "The end.", "See you soon!", "And so it goes."]),
    )
    ask = _ask(rng, 'Write a sentence or two about {t} and end with: "{e}"', 'Say something about {t}. Your last '
                                                                             'words have to be "{e}"',
               t=topic, e=end)  # fmt: skip
    return _drawn(ask, matches=(rf"{re.escape(end[:-1])}[.!]?[\s\"'”*]*\Z",), min_answer_chars=len(end) + 12)


def capitals(rng: random.Random) -> Drawn:
    (name,), day = first_names(rng, 1), rng.choice(WEEKDAYS)
    text = _ask(rng, "{n} comes on {d}", "the shop of {n} opens on {d}", "{n} sings every {d}", n=name, d=day)
    ask = _ask(rng, "Write this in capital letters: {t}", "Put this in all caps: {t}", t=text)
    return _drawn(ask, matches=(rf"(?-i:{text.upper()})",))


def lower_case(rng: random.Random) -> Drawn:
    (name,), day = first_names(rng, 1), rng.choice(WEEKDAYS)
    text = _ask(
        rng, "{n} COMES ON {d}", "THE SHOP OF {n} OPENS ON {d}", "{n} SINGS EVERY {d}", n=name.upper(), d=day.upper()
    )
    ask = _ask(rng, "Write this in small letters only: {t}", "Turn this into lower case, all of it: {t}", t=text)
    return _drawn(ask, matches=(rf"(?-i:{text.lower()})",))


def word_for_word(rng: random.Random) -> Drawn:
    (name,), place = first_names(rng, 1), name_of(rng, "city")
    text = _ask(
        rng,
        "{n} has never been to {p}, nor to the hills behind it.",
        "The road to {p} is closed, says {n}, until noon.",
        n=name,
        p=place,
    )
    ask = _ask(rng, "Repeat this word for word: {t}", "Copy this sentence exactly: {t}", t=text)
    return _drawn(ask, matches=(rf"\A[\s\"'“]*(?-i:{re.escape(text)})[\s\"'”]*\Z",))


def in_quotes(rng: random.Random) -> Drawn:
    word = made_up(rng, "probe").lower()
    ask = _ask(
        rng,
        "Write the word {w} between double quotation marks.",
        "Put double quotation marks around the word {w}.",
        w=word,
    )
    return _drawn(ask, matches=(rf"[\"“]{word}[\"”]",))


def in_brackets(rng: random.Random) -> Drawn:
    word, other = made_up(rng, "probe").lower(), made_up(rng, "probe").lower()
    ask = _ask(rng, "Write {w}, and then {o} in round brackets.", "Write {w} and behind it, in round "
                                                                  "brackets, {o}.", w=word, o=other)  # fmt: skip
    return _drawn(ask, matches=(rf"\b{word}\s*\({other}\)",))


def table(rng: random.Random) -> Drawn:
    names, ages = first_names(rng, 2), rng.sample(range(20, 70), 2)
    told = " and ".join(f"{name} is {age}" for name, age in zip(names, ages, strict=True))
    ask = _ask(rng, "{t}. Put that in a markdown table with the columns Name and Age.",
               "Make a markdown table (columns Name and Age) of this: {t}.", t=told)  # fmt: skip
    rows = [rf"\|\s*{name}\s*\|\s*{age}\s*\|" for name, age in zip(names, ages, strict=True)]
    return _drawn(ask, marks=("code",), matches=(r"\|\s*\**Name\**\s*\|\s*\**Age\**\s*\|\s*\n\s*\|[\s:|-]+\|", *rows))


def heading(rng: random.Random) -> Drawn:
    title, topic = f"About {made_up(rng, 'probe')}", rng.choice(TOPICS)
    ask = _ask(rng, 'Write a markdown heading "{h}" and below it one sentence about {t}.',
               'Begin with the markdown heading "{h}"; then comes a sentence about {t}.', h=title, t=topic)  # fmt: skip
    return _drawn(ask, marks=("code",), matches=(rf"\A\s*#{{1,6}} \W*{title}\W*\n\s*{LINE}",))


def json_object(rng: random.Random) -> Drawn:
    (name,), town = first_names(rng, 1), name_of(rng, "city")
    ask = _ask(rng, '{n} lives in {p}. Write that as JSON with the keys "name" and "town".',
               'Give me a JSON object with "name" and "town" for this: {n} lives in {p}.', n=name, p=town)  # fmt: skip
    pairs = (rf"\"name\"\s*:\s*\"{name}\"", rf"\"town\"\s*:\s*\"{town}\"")
    return _drawn(ask, marks=("json", "code"), matches=(*pairs, r"\{[^{}]*\}"))


def code_block(rng: random.Random) -> Drawn:
    word = made_up(rng, "probe").lower()
    ask = _ask(rng, "Show a line of Python in a code block (three backticks) that prints the word {w}.",
               "In a fenced code block with three backticks: one line of Python that prints {w}.", w=word)  # fmt: skip
    return _drawn(ask, marks=("code",), matches=(rf"^```[^\n]*\n\s*print\(\s*[\"']{word}[\"']\s*\)[^\n]*\n\s*```",))


def letter(rng: random.Random) -> Drawn:
    (name, sender), day = first_names(rng, 2), rng.choice(WEEKDAYS)
    ask = _ask(rng, 'Write a letter to {n} of a few lines: greet with "Dear {n}", say that I come on {d}, and sign '
                    'as {s}.',
               'A short letter, please: "Dear {n}" first, then that I arrive on {d}, my name {s} on the last line.',
               n=name, d=day, s=sender)  # fmt: skip
    return _drawn(ask, answer_must=(day,), matches=(rf"\A\W*Dear {name}\b", rf"\b{sender}\W*\Z"))


def two_paragraphs(rng: random.Random) -> Drawn:
    one, other = rng.sample(TOPICS, 2)
    ask = _ask(rng, "Write two short paragraphs with an empty line between them: one about {a}, one about {b}.",
               "Two paragraphs, please, parted by a blank line: first {a}, then {b}.", a=one, b=other)  # fmt: skip
    paragraph = rf"{LINE}(?:\n{LINE})*"
    return _drawn(ask, matches=(rf"\A\s*{paragraph}\s*\n\s*\n\s*{paragraph}\s*\Z",), min_answer_chars=40)


def label_lines(rng: random.Random) -> Drawn:
    (name,), place, day = first_names(rng, 1), name_of(rng, "city"), rng.choice(WEEKDAYS)
    ask = _ask(rng, '{n} travels to {p} on {d}. Write three lines: "Who: ...", "Where: ...", "When: ...".',
               'Fill in three lines that begin with "Who:", "Where:" and "When:" from this: {n} travels to {p} on {d}.',
               n=name, p=place, d=day)  # fmt: skip
    lines = (("Who", name), ("Where", place), ("When", day))
    return _drawn(ask, matches=tuple(rf"^\W*{key}\W*:\W*[^\n]{{0,12}}{value}\b" for key, value in lines))


TEMPLATES = templates(
    "chat_format",
    {
        make.__name__.replace("_", "-"): make
        for make in (
            bullets, numbered, comma_separated, sorted_lines, one_word, yes_or_no, sentences, at_most, begins_with,
            ends_with, capitals, lower_case, word_for_word, in_quotes, in_brackets, table, heading, json_object,
            code_block, letter, two_paragraphs, label_lines,
        )
    },
)  # fmt: skip
