"""Rows of others become the conversations that the same words make in our own layout."""

import json

import pytest
from hypothesis import given

from samosa.chat.conversation import parse_row
from samosa.chat.layouts import as_ours
from samosa.chat.turns import Turn
from samosa.errors import BadInput
from tests.chat.strategies import messages, quick

CALL = {"type": "tool_call", "tool_name": "calculator", "arguments": {"expression": "6*7"}}
RESULT = {"type": "tool_result", "tool_name": "calculator", "output": {"value": 42}}
STEPS = [{"type": "text", "text": "Let me see."}, CALL, RESULT, {"type": "text", "text": "42"}]
OURS = [
    {"role": "user", "content": "what is 6*7"},
    {"role": "assistant", "content": STEPS},
    {"role": "user", "content": "thanks"},
    {"role": "assistant", "content": "You are welcome."},
]
FUNCTION = {"name": "calculator", "arguments": '{"expression": "6*7"}'}


ASKED = {"role": "user", "content": "a"}


def calling(name: str, function: dict) -> dict:
    return {"id": name, "type": "function", "function": function}


def turns(row) -> tuple[Turn, ...]:
    return parse_row(row, source="x").turns


def test_openai_calls_and_results_are_parts_of_one_turn():
    theirs = [
        OURS[0],
        {"role": "assistant", "content": "Let me see.", "tool_calls": [calling("c1", FUNCTION)]},
        {"role": "tool", "tool_call_id": "c1", "content": '{"value": 42}'},
        {"role": "assistant", "content": "42"},
        *OURS[2:],
    ]
    assert turns({"messages": theirs}) == turns(OURS)


def test_results_find_their_calls_by_id_and_words_stay_words():
    two = [calling(name, {"name": name, "arguments": "{}"}) for name in ("first", "second")]
    theirs = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": two},
        {"role": "tool", "tool_call_id": "second", "content": "12"},
        {"role": "tool", "tool_call_id": "first", "content": "not found"},
        {"role": "assistant", "content": "done"},
    ]
    system, _, answer = turns(theirs)
    assert (system.role, system.text) == ("system", "Be brief.")
    results = [json.loads(part.text) for part in answer.parts if part.kind == "tool_result"]
    assert [(one["tool"], one["output"]) for one in results] == [("second", "12"), ("first", "not found")]
    assert [part.kind for part in answer.parts] == ["tool_call"] * 2 + ["tool_result"] * 2 + ["text"]


@pytest.mark.parametrize("human", ["human", "user"])
def test_sharegpt_rows_are_read_with_their_calls(human):
    theirs = [
        {"from": human, "value": "what is 6*7"},
        {"from": "gpt", "value": "Let me see."},
        {"from": "function_call", "value": json.dumps(FUNCTION)},
        {"from": "observation", "value": '{"value": 42}'},
        {"from": "gpt", "value": "42"},
        {"from": human, "value": "thanks"},
        {"from": "gpt", "value": "You are welcome."},
    ]
    assert turns({"id": 3, "conversations": theirs}) == turns(OURS)


def test_think_tags_and_marker_text_mean_in_an_answer_what_they_mean_in_ours():
    answer = "<think>six</think>so <|python_start|>6*7<|python_end|><|output_start|>42<|output_end|>42"
    theirs = [{"from": "human", "value": "<|bos|>?"}, {"from": "gpt", "value": answer}]
    ours = [{"role": "user", "content": "<|bos|>?"}, {"role": "assistant", "content": answer}]
    assert turns({"conversations": theirs}) == turns(ours)


@given(messages())
@quick
def test_rows_of_ours_are_not_touched(row):
    assert as_ours(row) is row


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ([{"from": "human"}, {"from": "gpt", "value": "a"}], "content of a user message is null"),
        ([{"from": "alien", "value": "a"}], "has role 'alien'"),
        ([{"from": "gpt", "value": "a"}], "has role 'assistant' where user is due"),
        ([{"from": "human", "value": [{"type": "image"}]}], "content of a user message is an array"),
        (
            [{"from": "human", "value": "a"}, {"from": "function_call", "value": "calc("}],
            "arguments of a tool_call are null",
        ),
        ([ASKED, {"role": "assistant", "tool_calls": {"name": "f"}}], "arguments of a tool_call are null"),
        ([{"from": "observation", "value": "a"}], "message 1 has role 'tool'"),
        ([ASKED, {"role": "assistant", "tool_calls": [calling("c", {"name": "f", "arguments": "{"})]}], "are a string"),
        ([ASKED, {"role": "assistant", "tool_calls": [calling("c", {"arguments": "{}"})]}], "`tool_name` is null"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(theirs, said):
    with pytest.raises(BadInput) as caught:
        parse_row({"conversations": theirs}, source="row")
    assert said in caught.value.message
