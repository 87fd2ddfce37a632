"""Questions that tempt a model to leak marks of its training data: tags, labels, markers, images without an address.

Every answer is short and plain, and easy to give; what is judged is that nothing else comes with it.

Each function draws an instance of the template that is named after it.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from samosa.data.generate.names import made_up
from samosa.eval.probe_types import Gold
from samosa.eval.suite.calendars import MONTHS, WEEKDAYS
from samosa.eval.suite.parts import different, either_system, first_names, found, name_of, templates
from samosa.eval.suite.types import Drawn

ANIMALS = ("badger", "falcon", "tiger", "panda", "rabbit", "turtle", "donkey", "penguin")
SOUPS = ("lentil", "pumpkin", "tomato", "carrot", "onion", "spinach", "mushroom")
COLOURS = ("red", "blue", "green", "yellow", "purple", "brown")
HOBBIES = ("chess", "painting", "running", "singing", "cooking", "sailing", "gardening")


def _drawn(rng: random.Random, question: str, **gold: Any) -> Drawn:
    return Drawn(turns=(question,), gold=Gold(tool=None, **gold), system=either_system(rng))


def _is(rng: random.Random, question: str, answer: str, *rivals: str) -> Drawn:
    return _drawn(rng, question, answer_is=(answer,), rivals=rivals)


def question_and_answer(rng: random.Random) -> Drawn:
    (name,), (animal, other) = first_names(rng, 1), rng.sample(ANIMALS, 2)
    return _is(
        rng,
        f"Context: {name} has seen a {animal}, and no {other}.\nQ: Which animal has {name} seen?\nA:",
        animal,
        other,
    )


def examples_first(rng: random.Random) -> Drawn:
    one, two, three = rng.sample(COLOURS, 3)
    label = rng.choice(["Answer", "Response", "Output"])
    goods = rng.sample(["door", "boat", "chair", "roof", "gate"], 3)
    lines = [f"Input: a {colour} {good}\n{label}: {colour}" for colour, good in zip((one, two), goods[:2], strict=True)]
    return _is(rng, "Only name the colour.\n" + "\n".join(lines) + f"\nInput: a {three} {goods[2]}", three, one, two)


def bold_tags(rng: random.Random) -> Drawn:
    (name,), animal = first_names(rng, 1), rng.choice(ANIMALS)
    tag = rng.choice(["b", "i", "strong", "em", "u"])
    text = f"<{tag}>{name}</{tag}> has drawn the <{tag}>{animal}</{tag}>."
    ask = rng.choice(["Write this without the tags: {}", "Clean this up, no tags please: {}"])
    return _drawn(rng, ask.format(text), answer_must=(f"{name} has drawn the {animal}",))


def web_page(rng: random.Random) -> Drawn:
    (name,), hobby = first_names(rng, 1), rng.choice(HOBBIES)
    page = f'<div class="card"><h1>{name}</h1><p>Likes {hobby}.<br>Lives here.</p></div>'
    return _is(rng, f"This is from a web page: {page}\nWhat does {name} like? Plain text, please.", hobby)


def entities(rng: random.Random) -> Drawn:
    one, two = rng.sample(SOUPS, 2)
    ask = f"My phone shows this menu: {one} soup &amp; {two} soup&nbsp;today. Which two soups are there?"
    return _drawn(rng, ask, answer_must=(one, two))


def json_given(rng: random.Random) -> Drawn:
    (name,), (town, other) = first_names(rng, 1), different(rng, "city", 2)
    record = f'{{"name": "{name}", "born_in": "{other}", "lives_in": "{town}"}}'
    return _is(rng, f"Here is a record: {record}\nIn plain English: where does {name} live now?", town, other)


def table_given(rng: random.Random) -> Drawn:
    names, ages = first_names(rng, 3), rng.sample(range(18, 80), 3)
    rows = "\n".join(f"{name},{age}" for name, age in zip(names, ages, strict=True))
    asked = rng.randrange(3)
    return _drawn(rng, f"name,age\n{rows}\n\nHow old is {names[asked]}?", answer_is=(str(ages[asked]),))


def link_text(rng: random.Random) -> Drawn:
    place = name_of(rng, "{w} Museum")
    ask = rng.choice(["Where does this link lead, in words: {}", "Which museum is linked here? {}"])
    return _drawn(
        rng, ask.format(f"[{place}](https://example.org/m)"), answer_must=(place,), matches=(r"\A(?![\s\S]*\]\()",)
    )


def chat_log(rng: random.Random) -> Drawn:
    (town, other), day = different(rng, "city", 2), rng.choice(WEEKDAYS)
    log = f"User: Is there a market in {town}?\nAssistant: Yes, every {day}.\nUser: And in {other}?\nAssistant: No."
    return _is(rng, f"Here is an old chat:\n{log}\nOn which day is the market in {town}?", day)


def garbled_marker(rng: random.Random) -> Drawn:
    word = made_up(rng, "probe")
    marker = rng.choice(["<|output_end|>", "<|assistant_end|>", "<|python_start|>", "<|bos|>", "<|user_start|>"])
    ask = rng.choice(["My text came out as {}. Which word stands before the odd mark?",
                      "I copied this: {}. Give me only the word, not the mark behind it."])  # fmt: skip
    return _drawn(rng, ask.format(f"{word}{marker}"), answer_must=(word,), answer_must_not=(marker,))


def instruction_marks(rng: random.Random) -> Drawn:
    (one, two) = rng.sample(ANIMALS, 2)
    return _is(rng, f"[INST] Which of these is written last: {one}, {two}? [/INST]", two, one)


def picture(rng: random.Random) -> Drawn:
    animal = rng.choice(ANIMALS)
    ask = rng.choice(
        [f"Show me a {animal}, or tell me in words what one looks like.", f"Describe what a photo of a {animal} shows."]
    )
    return _drawn(rng, ask, answer_must=(animal,), min_answer_chars=20, may_refuse=True)


def cover(rng: random.Random) -> Drawn:
    title = f"The {made_up(rng, 'probe')}"
    ask = f"I need a picture for my novel {title}. Say in one sentence what it could show, and name the novel."
    return _drawn(rng, ask, answer_must=(title,), min_answer_chars=20)


def favourite(rng: random.Random) -> Drawn:
    one, two = rng.sample(COLOURS, 2)
    ask = rng.choice(
        [f"What do you like better, {one} or {two}? Just pick one.", f"If you had to choose: {one} or {two}?"]
    )
    return _drawn(rng, ask, answer_any=((one, two),), may_refuse=True)


def how_are_you(rng: random.Random) -> Drawn:
    (name,) = first_names(rng, 1)
    ask = rng.choice(
        [f"Hi, {name} here. How are you today? Call me by my name.", f"Good morning! I'm {name}. Greet me by name."]
    )
    return _drawn(rng, ask, answer_must=(name,), may_refuse=True)


def months(rng: random.Random) -> Drawn:
    first = rng.randrange(12)
    listed = [MONTHS[(first + shift) % 12] for shift in range(12)]
    ask = rng.choice(
        ["Name the twelve months in order, beginning with {}.", "List all months, from {} onwards, once each."]
    )
    return _drawn(rng, ask.format(listed[0]), matches=(r"[\s\S]{1,12}?".join(listed),))


def say_it_thrice(rng: random.Random) -> Drawn:
    word = made_up(rng, "probe").lower()
    ask = rng.choice(['Say the word "{}" three times and then stop.', 'Repeat "{}" exactly three times.'])
    return _drawn(rng, ask.format(word), matches=(rf"\A(?:(?!{word})[\s\S])*(?:{word}\b(?:(?!{word})[\s\S])*){{3}}\Z",))


def hand_over(rng: random.Random) -> Drawn:
    """An earlier answer with a tag in it does not make tags welcome."""
    (name,), (animal, other) = first_names(rng, 1), rng.sample(ANIMALS, 2)
    turns = (f"{name} saw a {animal}. What did {name} see?", f"<b>{name}</b> saw a <i>{animal}</i>.",
             f"And then {name} saw a {other}. What did {name} see last?")  # fmt: skip
    return Drawn(turns=turns, gold=Gold(tool=None, answer_is=(other,), rivals=(animal,)), system="default")


def sum_sheet(rng: random.Random) -> Drawn:
    a, b = rng.randint(12, 49), rng.randint(12, 49)
    sheet = f"Question 1: {a} + {b}\nFinal answer: ____"
    ask = f"{sheet}\nSay in a short sentence what belongs on the line."
    return _drawn(rng, ask, value=Decimal(a + b), may_call=("calculator",))


def _found_with(dress: Callable[[str, str], str]) -> Callable[[random.Random], Drawn]:
    """A search whose result is dressed in marks: the fact has to come out plain."""

    def make(rng: random.Random) -> Drawn:
        it, who = name_of(rng, "company"), name_of(rng, "person")
        ask = rng.choice([f"Who was made CEO of {it} this month?", f"Look up who the new CEO of {it} is."])
        return found(ask, it, dress(it, who), who, system=either_system(rng))

    return make


TEMPLATES = templates(
    "artefacts",
    {
        **{
            make.__name__.replace("_", "-"): make
            for make in (
                question_and_answer, examples_first, bold_tags, web_page, entities, json_given, table_given, link_text,
                chat_log, garbled_marker, instruction_marks, picture, cover, favourite, how_are_you, months,
                say_it_thrice, hand_over, sum_sheet,
            )
        },
        "found-with-tags": _found_with(lambda it, who: f"<p><b>{who}</b> is the new CEO of <a href='#'>{it}</a>.</p>"),
        "found-with-image": _found_with(lambda it, who: f"![placeholder] ![photo]() {who} is the new CEO of {it}."),
        "found-with-label": _found_with(lambda it, who: f"Question: CEO of {it}?\nAnswer: {who} is the new CEO."),
        "found-with-json": _found_with(lambda it, who: f'{{"firm": "{it}", "new_ceo": "{who}", "ok": true}}'),
        "found-with-dialogue": _found_with(lambda it, who: f"User: who leads {it}?\nAssistant: {who}, the new CEO."),
    },
)  # fmt: skip
