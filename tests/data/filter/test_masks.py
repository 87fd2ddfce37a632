"""Code, calls and results are hidden from rules about prose, and nothing moves."""

import random

import pytest

from samosa.data.filter import marks, masks
from samosa.data.filter.folding import fold
from samosa.data.filter.masks import HIDDEN, fences, hide, open_fence


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a `b` c", "a ___ c"),
        ("``a ` b`` c", "_________ c"),
        ("one ` alone", "one ` alone"),
        ("`a` and ` alone", "___ and ` alone"),
        ("`` two and ` one", "`` two and ` one"),
        ("`a\nb` c", "_____ c"),
        ("`a\n\nb` c", "`a\n\nb` c"),
        ("`a\n \t\nb` c `d`", "`a\n \t\nb_____d`"),
        ("```\nx\n```\ny", "_________\ny"),
        ("```py\nx\n````\ny", "____________\ny"),
        ("````\n```\n````\ny", "_____________\ny"),
        ("~~~\n```\n~~~\ny", "___________\ny"),
        ("```\nx", "_____"),
        ("```\nx\n``` y", "___________"),
        ("- ```\n  x\n  ```\ny", "- _____________\ny"),
        ("> ```\n> x\n> ```\ny", "> _____________\ny"),
        ("```x``` y", "_______ y"),
        ("a ``` b", "a ``` b"),
        ("```\r\nx\r\n```\r\ny", "____________\ny"),
        ("~~gone~~ and ~~~ no", "~~gone~~ and ~~~ no"),
        ("a<|python_start|>1<|python_end|>b", "a_______________________________b"),
        ("a<|python_start|>1", "a<|python_start|>1"),
        ("    indented", "    indented"),
    ],
)
def test_code_is_hidden_and_nothing_else(text, seen):
    assert hide(text).replace(HIDDEN, "_") == seen
    assert len(hide(text)) == len(text)


PIECES = [
    "```",
    "````",
    "~~~",
    "~~~~",
    "`",
    "``",
    "\n",
    "\n\n",
    "\n \n",
    "\n > \n",
    " ",
    "> ",
    "- ",
    "1. ",
    "12) ",
    "a",
    "é",
]
PIECES += ["\r", "\r\n", "😀", "```py", "~~~ x", "x```", "`a`", "\t", "\x0b", "```\n", "\n```\n"]


def test_many_marks_hide_the_same_code_as_few(monkeypatch, soak_seed):
    draw = random.Random(soak_seed)
    for _ in range(1500):
        some = draw.sample(PIECES, draw.randint(2, 12))
        text = "".join(draw.choices(some, k=draw.randint(1, 60)))
        with monkeypatch.context() as patched:
            patched.setattr(masks, "LONG", len(text) + 1)
            one_by_one = hide(text)
            patched.setattr(masks, "LONG", 0)
            patched.setattr(masks, "_MANY", 0)
            assert hide(text) == one_by_one, repr(text)


def test_fences_of_very_many_lengths_are_sought_one_by_one(monkeypatch):
    text = "".join(f"{'`' * length}\nx\n{'`' * length}\n\ny `z`\n\n" for length in range(3, 120))
    assert marks.hidden(text, masks._OPENING) is None
    monkeypatch.setattr(marks, "MOST_LENGTHS", 200)
    assert hide(text) == marks.hidden(text, masks._OPENING)


def test_hidden_texts_are_as_long_as_they_were(soak_seed):
    draw = random.Random(soak_seed)
    for _ in range(800):
        text = "".join(draw.choice(["`", "``", "```", "~~~", "\n", "\n\n", "a", " ", "> ", "- "]) for _ in range(20))
        shown = hide(text)
        assert len(shown) == len(text)
        assert all(shown[place] in (HIDDEN, char) for place, char in enumerate(text))
        assert all(set(shown[start:end]) == {HIDDEN} for start, end in fences(text))


def test_only_the_last_fence_can_be_open():
    assert open_fence("```\na\n```\nb\n```\nc") == (12, 17)
    assert open_fence("```\na\n```") is None and open_fence("a") is None


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Ａｓ ａｎ　ＡＩ", "As an AI"),
        ("I\u00a0c\u200ban\u00adnot", "I cannot"),
        ("c\u200dan", "can"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("क्\u200dष", "क्\u200dष"),
        ("𝐁𝐨𝐥𝐝", "Bold"),
        ("plain é 🔥", "plain é 🔥"),
    ],
)
def test_a_text_folds_to_what_it_looks_like_and_places_lead_back(text, seen):
    folded, places = fold(text)
    assert folded == seen and len(places) == len(folded) + 1 and places[-1] == len(text)
    assert all(fold(text[place])[0] == char for place, char in zip(places, folded, strict=False))
