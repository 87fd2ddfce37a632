"""Training rows that ask what a probe asks are found."""

import pytest

from samosa.chat.conversation import parse_row
from samosa.chat.prompts import THINK_SYSTEM, with_system
from samosa.data.fence import overlaps

PROBES = {"seoul": "What's the weather in Seoul?", "gold": "price of gold"}


def row(question: str):
    return parse_row([{"role": "user", "content": question}, {"role": "assistant", "content": "ok"}], source="pool")


@pytest.mark.parametrize(
    ("question", "probe"),
    [
        ("What's the weather in Seoul?", "seoul"),
        ("whats  the WEATHER in seoul", "seoul"),
        ("Hello. What’s the weather in Seoul? Thanks!", "seoul"),
        (with_system(THINK_SYSTEM, "What's the weather in Seoul?"), "seoul"),
        ("Price of gold.", "gold"),
        ("What is the price of gold mines in Peru?", None),
        ("What's the weather in Busan?", None),
    ],
)
def test_copies_of_a_probe_are_found_whatever_their_case_and_surroundings(question, probe):
    assert [overlap.probe for overlap in overlaps([row(question)], PROBES)] == ([probe] if probe else [])


def test_the_overlap_names_the_source_and_the_question():
    (overlap,) = overlaps([row("price of gold")], PROBES)
    assert (overlap.source, overlap.question) == ("pool", "price of gold")
