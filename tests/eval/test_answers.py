"""Numbers, words and artefacts in an answer span."""

from decimal import Decimal

import pytest

from samosa.eval import answers, artefacts

CENT = Decimal("0.005")


@pytest.mark.parametrize(
    "text",
    [
        "7.65",
        "$7.65.",
        "The tip is $7.65, so you pay $52.65.",
        "It comes to 7.650 dollars",
        "**7.65**",
        "(7.65)",
        "17% of $45 = $7.65!",
        "7.65%",
        "USD\u00a07.65",
    ],
)
def test_the_value_is_found_as_people_write_it(text):
    assert answers.shows_value(text, Decimal("7.65"), CENT)


@pytest.mark.parametrize(
    "text",
    [
        "17.65",
        "7.655",
        "7.6",
        "8",
        "7,65",
        "-7.65",
        "$-7.65",
        "\u22127.65",
        "7.65e3",
        "7.65 million",
        "1.7.65",
        "7.65.1",
        "v7.65",
        "7.65½",
        "\uff17.65",  # a full-width seven
        "7.6\uff15",
        "\uff117.65",
        "7.65\u0665",  # an Arabic five follows
        "7.\u200b65",
        "1\u200b7.65",
        "seven sixty-five",
        "765",
        "",
    ],
)
def test_another_number_is_not_the_value(text):
    assert not answers.shows_value(text, Decimal("7.65"), CENT)


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("It is 1,081.", "1081", True),
        ("It is 1081", "1081", True),
        ("It is 1,0811", "1081", False),
        ("It is 11,081", "1081", False),
        ("It is -12.5 degrees", "-12.5", True),
        ("It is 12.5 below", "-12.5", False),
        ("between 3-5", "5", True),
        ("about 2.5 million", "2500000", True),
        ("rounded: $8.13", "8.125", True),
        ("rounded: $8.12", "8.125", True),
        ("rounded: $8.1", "8.125", False),
        ("33.33", "33.333333333333", True),
        ("33.3333333333", "33.33333333333333333333333333", True),
        ("33.34", "33.333333333333", False),
    ],
)
def test_numbers_are_compared_to_the_last_digit_shown(text, value, found):
    assert answers.shows_value(text, Decimal(value), CENT) is found


@pytest.mark.parametrize(
    ("text", "needle", "found"),
    [
        ("It is 23 °C in Seoul.", "23 °C", True),
        ("It is 23\u00a0°c in SEOUL.", "23 °C", True),
        ("It is 123 °C.", "23 °C", False),
        ("It is -23 °C.", "23 °C", False),
        ("It is 1.23 °C.", "23 °C", False),
        ("The Seoulite way", "Seoul", False),
        ("S\u0435oul", "Seoul", False),  # a Cyrillic e
        ("Cafe\u0301 Zorn", "Caf\u00e9 Zorn", True),  # composed and decomposed are the same text
        ("41.7 points", "41.7", True),
        ("41.70 points", "41.7", True),
        ("$41.7", "41.7", True),
        ("141.7 points", "41.7", False),
        ("41.75 points", "41.7", False),
        ("room 12.", "room 12", True),
        ("room 12.5", "room 12", False),
        ("C++ it is", "C++", True),
    ],
)
def test_needles_stand_by_themselves(text, needle, found):
    assert answers.contains(text, needle) is found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("It is <b>7.65</b>", "an HTML tag"),
        ("It is 7.65<br>", "an HTML tag"),
        ('<I class="x">hm</I>', "an HTML tag"),
        ("</think> 7.65", "an HTML tag"),
        ("It is 7.65\n<\n", "a lone <"),
        ("Sure.\nAnswer: 7.65", "an `Answer:` line"),
        ("**Final Answer:** 7.65", "an `Answer:` line"),
        ("![a plot]", "an image without an address"),
        ("![a plot]()", "an image without an address"),
        ("7.65<|assistant_end|>", "a marker as text"),
        ('{"output":{"value":7.65}}', "raw JSON"),
        ('the tool said "value": 7.65', "raw JSON"),
        ("7.65\nUser: and 18%?", "a turn spoken for somebody"),
        ("As an AI language model, 7.65", "`as an AI`"),
        ("7.65\ufffd", "broken bytes"),
        ("7.65\x07", "a control character"),
        ("is 7.65 is 7.65 is 7.65 is 7.65", "a loop"),
    ],
)
def test_artefacts_are_named(text, name):
    assert artefacts.artefact(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "The tip is $7.65, so the bill comes to $52.65.",
        "If a < b and b > c, then nothing follows.",
        "![a plot](https://example.org/plot.png)",
        "- one\n- two\n\n| a | b |",
        "The short answer: lift.",
        "No, no, no, no: it flies.",
    ],
)
def test_plain_prose_has_no_artefact(text):
    assert artefacts.artefact(text) is None


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("I'm sorry, but I can't help with airplanes.", True),
        ("I cannot answer that.", True),
        ("I am unable to find it.", True),
        ("I don't know how wings make lift.", True),
        ("I couldn’t find it.", True),
        ("A wing can't fly by itself.", False),
        ("You cannot find a heavier bird.", False),
    ],
)
def test_refusals_are_told_from_facts(text, refusal):
    assert artefacts.refuses(text) is refusal
