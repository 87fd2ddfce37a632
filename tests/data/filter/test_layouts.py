"""Rows of every layout say the same; what is no conversation is broken with a reason and never raises."""

import json

import pytest

from samosa.data.filter import judge, load_rules, sort_lines
from samosa.data.filter.layouts import messages_of, plain_answers

BAD, GOOD = "This is <b>bold</b>.", "This is a good answer, and long enough to be kept by all rules."
ASKED = {"role": "user", "content": "hi"}


def said(content) -> dict:
    return {"role": "assistant", "content": content}


def out(text: str) -> dict:
    return said([{"type": "output_text", "text": text}])


def layouts(text: str) -> list:
    return [
        [ASKED, said(text)],
        {"messages": [ASKED, said(text)]},
        {"conversation": {"messages": [ASKED, said(text)]}},
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": text}]},
        {"conversation": [ASKED, said(text)]},
        {"prompt": "hi", "chosen": text, "rejected": BAD},
        {"prompt": [ASKED], "chosen": [said(text)], "rejected": [said(BAD)]},
        {"prompt": "hi", "chosen": [ASKED, said(text)], "rejected": [ASKED, said(BAD)]},
        {"chosen": [ASKED, said(text)], "rejected": [ASKED, said(BAD)]},
        {"prompt": "hi", "chosen": said(text), "rejected": said(BAD)},
        {"messages": [ASKED, said([{"type": "text", "text": text}])]},
        {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, out(text)]},
        {"messages": [{"role": "developer", "content": "be brief"}, ASKED, said(text)]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, said(text)]},
        {"messages": [ASKED, said([{"type": "think", "text": "hm"}, {"type": "text", "text": text}])]},
    ]


@pytest.mark.parametrize("number", range(len(layouts(""))))
def test_every_layout_is_judged_alike(number):
    rules = load_rules("default")
    assert judge(rules, layouts(GOOD * 2)[number]) == ()
    assert {reason.rule for reason in judge(rules, layouts(BAD + GOOD)[number])} == {"html_tag"}


def test_openais_calls_and_results_belong_to_one_turn():
    call = {"id": "1", "type": "function", "function": {"name": "calculator", "arguments": '{"expression": "6*7"}'}}
    row = {
        "messages": [
            ASKED,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "<b>42</b>"},
            said("It is 42."),
        ]
    }
    assert judge(load_rules("joint"), row) == ()
    assert {reason.rule for reason in judge(load_rules("strict"), row)} == {"short_answer"}
    del row["messages"][2]
    assert {reason.rule for reason in judge(load_rules("joint"), row)} == {"one_result"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b'{"text": "only text"}', "no messages"),
        (b"3", "neither an object nor an array"),
        (b"[]", "an empty conversation"),
        (b'{"messages": []}', "an empty conversation"),
        (b'{"messages": [1]}', "message 1 is not an object"),
        (b'{"messages": [{"role": "user"}]}', "message 1 has no content"),
        (b'{"messages": [{"role": "elf", "content": "x"}]}', "message 1 has the role 'elf'"),
        (b'{"messages": [{"role": ["user"], "content": "x"}]}', "message 1 has the role"),
        (b'{"messages": [{"role": "assistant", "content": [{"type": "smell"}]}]}', "unknown type 'smell'"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "a lone surrogate"),
        (b'{"messages": [{"role": "user", "content": "\\u0000"}, {"role": "assistant", "content": "x"}]}', "a NUL"),
        (b'{"messages": [{"role": "user", "content": "\xe9"}]}', "not UTF-8 at byte 43"),
        (b'{"chosen": 3}', "chosen is neither words nor messages"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"messages": [NaN]}', "the number nan"),
    ],
)
@pytest.mark.parametrize("name", ["roadmap", "default", "joint"])
def test_what_is_no_conversation_is_broken_and_says_why(line, why, name):
    (judged,) = sort_lines(load_rules(name), [(7, line)])
    assert judged.broken is not None and why in judged.broken
    assert (judged.where, judged.line, judged.reasons) == (7, line, ())


def test_a_byte_order_mark_does_no_harm():
    line = b"\xef\xbb\xbf" + json.dumps({"messages": [ASKED, said(GOOD)]}).encode()
    (judged,) = sort_lines(load_rules("default"), [(0, line)])
    assert judged.broken is None and judged.reasons == () and judged.line == line


@pytest.mark.parametrize("row", [*layouts(GOOD), {"messages": [said(GOOD), said("b")]}, {"messages": [ASKED]}])
def test_the_quick_reading_of_a_row_is_the_careful_one(row):
    quick = plain_answers(row)
    if quick is not None:
        assert quick == [message.text for message in messages_of(row) if message.role == "assistant"]
    else:
        assert messages_of(row)


def test_spans_lead_to_the_match_in_the_message_where_it_is():
    text = "é `<b>` 🙂 and <i>so</i>, Ｉ cannot\u200b provide it."
    reasons = judge(load_rules("default"), [ASKED, said(GOOD), ASKED, said(text)])
    found = {(reason.rule, reason.turn, text[reason.start : reason.end]) for reason in reasons}
    assert ("html_tag", 3, "<i>") in found and ("html_tag", 3, "</i>") in found
    assert ("cannot_provide", 3, "Ｉ cannot\u200b provide") in found
    assert {rule for rule, _, _ in found} == {"html_tag", "cannot_provide"}


def test_a_joined_set_tells_the_turn_of_a_match():
    reasons = judge(load_rules("roadmap"), [ASKED, said("so it\nso it"), ASKED, said("so it\n" + GOOD + "<b>")])
    assert [(reason.rule, reason.turn) for reason in reasons] == [("html_tag", 3), ("repeated_line", 1)]


@pytest.mark.parametrize("name", ["roadmap", "default"])
def test_messages_go_before_a_conversation_beside_them_unless_they_are_none(name):
    bad, good = [ASKED, said("<b>no</b> " + GOOD)], [ASKED, said(GOOD)]
    rows = [
        {"messages": good, "conversation": {"messages": bad}},
        {"messages": None, "conversation": {"messages": bad}},
    ]
    found = [judged.reasons for judged in sort_lines(load_rules(name), [(0, json.dumps(row).encode()) for row in rows])]
    assert found[0] == () and {reason.rule for reason in found[1]} == {"html_tag"}
