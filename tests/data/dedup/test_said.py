import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.data.dedup.said import normalised, said
from samosa.data.filter.layouts import Broken

TURNS = [("user", "What is  6*7?"), ("assistant", "It is 42.\n\nCafé")]
MESSAGES = [{"role": role, "content": text} for role, text in TURNS]
CALL = {"type": "tool_call", "tool_name": "calculator", "arguments": {"expression": "6*7"}}


def of(row) -> tuple[str, str]:
    return said(json.dumps(row).encode())


@pytest.mark.parametrize(
    "same",
    [
        MESSAGES,
        {"conversation": {"messages": MESSAGES}},
        {"messages": MESSAGES, "id": 7, "source": "web"},
        {"messages": [{**message, "timestamp": 5} for message in MESSAGES]},
        {"conversations": [{"from": "human", "value": TURNS[0][1]}, {"from": "gpt", "value": TURNS[1][1]}]},
        {"messages": [MESSAGES[0], {"role": "assistant", "content": [{"type": "text", "text": TURNS[1][1]}]}]},
        {"prompt": TURNS[0][1], "chosen": TURNS[1][1]},
        {"messages": [{"role": role, "content": f" {text.upper()}\t"} for role, text in TURNS]},
        {"messages": [{"role": role, "content": unicodedata.normalize("NFD", text)} for role, text in TURNS]},
    ],
)
def test_layout_case_spacing_and_unicode_form_do_not_make_a_row_another(same):
    assert of(same) == of({"messages": MESSAGES})


@pytest.mark.parametrize(
    "other",
    [
        [{**MESSAGES[0], "role": "system"}, MESSAGES[1]],
        [MESSAGES[0], {"role": "assistant", "content": "It is 42. Cafe"}],
        [MESSAGES[0], {"role": "assistant", "content": "It is 42.\n\nCafé", "reasoning_content": "6*7 = 42"}],
        [MESSAGES[0], {"role": "assistant", "content": [CALL, {"type": "text", "text": TURNS[1][1]}]}],
        {"messages": MESSAGES, "tools": [{"name": "calculator"}]},
        {"messages": MESSAGES, "system": "Be brief."},
        {"prompt": TURNS[0][1], "chosen": TURNS[1][1], "rejected": "No."},
        MESSAGES[:1],
        {"text": "What is 6*7? It is 42. Café"},
    ],
)
def test_roles_words_calls_reasoning_and_tools_make_a_row_another(other):
    assert of(other).exact != of({"messages": MESSAGES}).exact


def test_other_arguments_are_another_call_and_another_id_is_not():
    def call(expression, number):
        arguments = json.dumps({"expression": expression})
        calls = [{"id": f"call_{number}", "type": "function", "function": {"name": "c", "arguments": arguments}}]
        return of([MESSAGES[0], {"role": "assistant", "content": None, "tool_calls": calls}])

    assert call("6*7", 1) == call("6*7", 2)
    assert call("6*7", 1) != call("6*8", 1)


def test_near_duplicates_are_told_by_the_words_of_all_but_the_system():
    system = {"role": "system", "content": "You are helpful."}
    assert of([system, *MESSAGES]).words == of(MESSAGES).words == "what is 6*7? it is 42. café"
    assert of({"text": "Plain  Text"}).words == "plain text"
    assert "6*7" in of([MESSAGES[0], {"role": "assistant", "content": [CALL]}]).words


def test_scripts_without_spaces_have_a_word_a_letter():
    assert of({"text": "我是猫 and かな ไทย नमस्ते दुनिया"}).words == "我 是 猫 and か な ไ ท ย नमस्ते दुनिया"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"messages": [', "not JSON"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "\\ud800"}', "surrogate"),
        (b'{"text": "a\\u0000b"}', "NUL"),
        (b'{"messages": [{"role": "user", "content": "a\\u0000b"}]}', "NUL"),
        (b'{"body": "x", "id": 1}', "its keys are body, id"),
        (b'{"text": null}', "neither a conversation nor a text"),
        (b'{"messages": []}', "empty"),
        (b"7", "neither"),
        (b'{"messages": [{"role": "wizard", "content": "x"}]}', "wizard"),
    ],
)
def test_what_says_nothing_is_broken_and_says_why(line, why):
    with pytest.raises(Broken, match=why):
        said(line)


@settings(max_examples=40)
@given(st.text())
def test_normalising_is_blind_to_form_case_and_spacing_and_done_once(text):
    plain = normalised(text)
    assert plain == normalised(plain) == normalised(f" {text}\n") == normalised(unicodedata.normalize("NFD", text))
    assert plain == normalised(text.casefold()) and plain.split() == plain.split(" ") * bool(plain)
    assert unicodedata.is_normalized("NFC", plain)
