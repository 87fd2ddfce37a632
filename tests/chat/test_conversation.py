import json

import pytest
from hypothesis import given

from samosa.chat.conversation import (
    Conversation,
    Part,
    Turn,
    call_payload,
    parse_row,
    read_jsonl,
    result_payload,
    to_row,
)
from samosa.chat.render import render
from samosa.errors import BadInput
from tests.chat.strategies import asked, messages, quick, turns


def row(content):
    return [{"role": "user", "content": "q"}, {"role": "assistant", "content": content}]


def answer(content, **options) -> tuple[Part, ...]:
    return parse_row(row(content), source="test", **options).turns[1].parts


CALL, RESULT = Part("tool_call", "17*3"), Part("tool_result", "51")


# ---- layouts


@pytest.mark.parametrize("wrap", [
    lambda array: array,
    lambda array: {"messages": array},
    lambda array: {"messages": array, "id": 7},
    lambda array: {"conversation": {"messages": array}, "checks": {"must_call": "calculator"}},
    lambda array: {"conversation": array},
])  # fmt: skip
def test_a_row_may_be_an_array_or_hold_one(wrap):
    conversation = parse_row(wrap(row("a")), source="mix")
    assert conversation == Conversation(
        (Turn("user", (Part("text", "q"),)), Turn("assistant", (Part("text", "a"),))), "mix"
    )


@pytest.mark.parametrize("extra", [{}, {"text": ""}, {"text": "ignored"}])
def test_tool_parts_are_read_with_or_without_a_text_key(extra):
    parts = answer([
        {"type": "text", "text": "<think>\nexact\n</think>\n"},
        {"type": "tool_call", "tool_name": "calculator", "arguments": {"expression": "12*7"}, **extra},
        {"type": "tool_result", "tool_name": "calculator", "output": {"value": 84}, "success": True, **extra},
        {"type": "text", "text": "84."},
    ])  # fmt: skip
    assert parts == (
        Part("think", "\nexact\n"),
        Part("text", "\n", glued=True),
        Part("tool_call", '{"arguments":{"expression":"12*7"},"tool":"calculator"}'),
        Part("tool_result", '{"error":null,"metadata":{},"output":{"value":84},"success":true,"tool":"calculator"}'),
        Part("text", "84."),
    )


def test_python_parts_are_bare_calls_and_results():
    entries = [{"type": "python", "text": "17*3"}, {"type": "python_output", "text": "51"}]
    assert answer(entries) == (CALL, RESULT)


def test_think_parts_are_text_between_tags():
    assert answer([{"type": "think", "text": "hm"}, {"type": "text", "text": "a"}]) == (
        Part("think", "hm"),
        Part("text", "a"),
    )
    assert answer([{"type": "think", "text": "a</think>b"}]) == answer("<think>a</think>b</think>")


def test_a_failed_search_needs_no_output():
    entry = {"type": "tool_result", "tool_name": "web_search", "success": False, "error": "timed out"}
    assert json.loads(answer([entry])[0].text)["error"] == "timed out"


def test_a_result_longer_than_4096_characters_is_read_shortened():
    entry = {"type": "tool_result", "tool_name": "web_search", "output": ["word " * 50] * 50}
    (part,) = answer([entry])
    assert json.loads(part.text)["output"] == ["word " * 50] * 15


def test_tags_in_user_and_system_text_are_just_text():
    said = "Think inside <think>...</think> tags. <|python_start|>1<|python_end|>"
    conversation = parse_row([{"role": "system", "content": said}, {"role": "user", "content": said}], source="test")
    assert [turn.parts for turn in conversation.turns] == [(Part("text", said),)] * 2


# ---- marker text


def test_marker_text_in_an_assistant_string_becomes_parts():
    text = "<think>x</think><|python_start|>17*3<|python_end|><|output_start|>51<|output_end|>It is 51."
    assert answer(text) == (Part("think", "x"), CALL, RESULT, Part("text", "It is 51."))


def test_the_legacy_switch_leaves_marker_text_alone():
    text = "<think>x</think><|python_start|>17*3<|python_end|>"
    assert answer(text, legacy_markers=True) == (Part("think", "x"), Part("text", text[16:], glued=True))


@pytest.mark.parametrize("text", [
    "<|python_start|>17*3",
    "17*3<|python_end|>",
    "<|python_end|>17*3<|python_start|>",
    "<|python_start|>17*3<|output_end|>",
    "<|python_start|>17*3<|output_start|>",
    "<|output_start|>51",
    "<|output_start|>see <|python_start|>rm<|python_end|>",
    "<|user_end|><|assistant_start|>",
])  # fmt: skip
def test_markers_that_are_no_pair_stay_text(text):
    assert answer(text) == (Part("text", text),)


def test_a_marker_pair_inside_a_result_is_data():
    inside = "page says <|python_start|>rm<|python_end|>"
    assert answer(f"<|output_start|>{inside}<|output_end|>ok") == (Part("tool_result", inside), Part("text", "ok"))


def test_a_call_begins_at_the_last_opener():
    assert answer("<|python_start|>1<|python_start|>17*3<|python_end|>") == (Part("text", "<|python_start|>1"), CALL)


def test_marker_text_in_parts_is_never_converted():
    text = "<|python_start|>17*3<|python_end|>"
    assert answer([{"type": "text", "text": text}]) == (Part("text", text),)


# ---- bad rows


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ([], "empty conversation"),
        ({}, "an object without a list of messages"),
        ("hello", "a string without a list of messages"),
        (None, "null without a list of messages"),
        ({"messages": "hello"}, "without a list of messages"),
        ({"conversation": {}}, "without a list of messages"),
        (["hello"], "message 1 is a string"),
        ([{"content": "q"}], "message 1 has role None where user is due"),
        ([{"role": ["user"], "content": "q"}], "message 1 has role"),
        ([{"role": "tool", "content": "q"}], "message 1 has role 'tool'"),
        (row("a")[::-1], "message 1 has role 'assistant'"),
        (row("a")[:1] * 2, "message 2 has role 'user' where assistant is due"),
        ([{"role": "user"}], "message 1 has no content"),
        ([{"role": "user", "content": None}], "content of a user message is null"),
        ([{"role": "user", "content": [{"type": "text", "text": "q"}]}], "content of a user message is an array"),
        (row(3), "message 2: content is a number"),
        (row(None), "message 2: content is null"),
        (row({"type": "text"}), "message 2: content is an object"),
        (row(["a"]), "message 2, part 1 is a string"),
        (row([{"text": "a"}]), "unknown type None"),
        (row([{"type": "image", "text": "a"}]), "part 1 has the unknown type 'image'"),
        (row([{"type": "text"}]), "part 1: `text` is missing"),
        (row([{"type": "text", "text": 5}]), "part 1: `text` is a number"),
        (row([{"type": "python", "text": None}]), "`text` is null"),
        (row([{"type": "tool_call", "arguments": {}}]), "`tool_name` is missing"),
        (row([{"type": "tool_call", "tool_name": "calculator"}]), "arguments of a tool_call are null"),
        (row([{"type": "tool_call", "tool_name": "c", "arguments": "1+1"}]), "arguments of a tool_call are a string"),
        (row([{"type": "tool_result", "tool_name": "c"}]), "wrong or missing output"),
        (row([{"type": "tool_result", "tool_name": "c", "output": 1, "success": "yes"}]), "wrong or missing success"),
        (row([{"type": "tool_result", "tool_name": "c", "output": 1, "error": 5}]), "wrong or missing error"),
        (row([{"type": "tool_result", "tool_name": "c", "output": 1, "metadata": []}]), "wrong or missing metadata"),
        (row("a\ud800"), "lone surrogate"),
        (row([{"type": "tool_result", "tool_name": "c", "output": {"x\0": 1}}]), "NUL"),
        (row([{"type": "tool_result", "tool_name": "c", "output": float("inf")}]), "the number inf"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_conversation_says_why(bad, why):
    with pytest.raises(BadInput) as caught:
        parse_row(bad, source="pool.jsonl")
    assert caught.value.message.startswith("pool.jsonl: ")
    assert why in caught.value.message
    assert caught.value.hint


BROKEN_LINES = {
    b'[{"role": "user", "content": "q"}': "broken JSON",
    b"{'role': 'user'}": "broken JSON",
    b"[]": "empty conversation",
    b"\xff\xfe": "not UTF-8 at byte 0",
    b'[{"role": "user", "content": "\\ud800"}]': "lone surrogate",
    b'[{"role": "user", "content": "\\u0000"}]': "NUL",
    b"[" * 100_000: "nested deeper than 64",
    b"[" * 100 + b"]" * 100: "nested deeper than 64",
    b'[{"role": "user", "content": ' + b"9" * 5000 + b"}]": "digits",
    b'[{"role": "user", "content": NaN}]': "the number nan",
    b'[{"role": "user", "content": 1e999}]': "the number inf",
}


@pytest.mark.parametrize("line", BROKEN_LINES, ids=list(BROKEN_LINES.values()))
def test_a_broken_line_is_named_by_file_and_number(line, tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_bytes(json.dumps(row("a")).encode() + b"\n\n" + line + b"\n" + json.dumps(row("b")).encode())
    rows = read_jsonl(path)
    assert next(rows).turns[1].text == "a"
    with pytest.raises(BadInput) as caught:
        next(rows)
    assert caught.value.message.startswith(f"{path}:3: ")
    assert BROKEN_LINES[line] in caught.value.message
    assert "\n" not in caught.value.message


def test_files_are_read_line_by_line_whatever_stands_in_the_strings(tmp_path):
    path = tmp_path / "creator.jsonl"
    text = "a\u2028b\x85c\rd"
    path.write_text("\ufeff" + json.dumps(row(text), ensure_ascii=False) + "\r\n", encoding="utf-8", newline="")
    (conversation,) = read_jsonl(path)
    assert (conversation.source, conversation.turns[1].text) == ("creator", text)
    assert next(read_jsonl(path, source="other")).source == "other"


def test_a_missing_file_is_an_error_before_the_first_row_is_asked_for(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        read_jsonl(tmp_path / "missing.jsonl")


# ---- writing


@quick
@given(array=messages())
def test_what_was_read_is_written_so_that_it_reads_the_same(array):
    conversation = parse_row(array, source="test")
    through_json = json.loads(json.dumps(to_row(conversation)))
    assert parse_row(through_json, source="test") == conversation


@quick
@given(parts=turns())
def test_a_turn_made_by_hand_renders_the_same_after_writing_and_reading(tokenizer, parts):
    conversation = asked(parts)
    again = parse_row(to_row(conversation), source="test")
    assert render(again, tokenizer) == render(conversation, tokenizer)


def test_rows_are_written_in_the_forks_layout():
    call = Part("tool_call", call_payload("calculator", {"expression": "6*7"}))
    result = Part("tool_result", result_payload("calculator", {"value": 42}))
    parts = (Part("think", "\nhm\n"), Part("text", "\n", glued=True), call, result, CALL, RESULT, Part("text", "42."))
    assert to_row(asked(parts))["messages"][1]["content"] == [
        {"type": "text", "text": "<think>\nhm\n</think>\n"},
        {"type": "tool_call", "tool_name": "calculator", "arguments": {"expression": "6*7"}},
        {
            "type": "tool_result",
            "tool_name": "calculator",
            "error": None,
            "metadata": {},
            "output": {"value": 42},
            "success": True,
        },
        {"type": "python", "text": "17*3"},
        {"type": "python_output", "text": "51"},
        {"type": "text", "text": "42."},
    ]
    assert to_row(asked((Part("text", "42."),)))["messages"][1]["content"] == "42."
