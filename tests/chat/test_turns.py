import pytest
from hypothesis import given

from samosa.chat.turns import Conversation, Part, Turn, prose, raw_text
from samosa.errors import BadInput
from tests.chat.strategies import quick, words


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("", []),
        ("4", [Part("text", "4")]),
        ("<think>\nsimple\n</think>\n4", [Part("think", "\nsimple\n"), Part("text", "\n4", glued=True)]),
        ("<think></think>", [Part("think", "")]),
        ("so <think>x</think>", [Part("text", "so "), Part("think", "x", glued=True)]),
        ("<think>unclosed", [Part("text", "<think>unclosed")]),
        ("a</think>b", [Part("text", "a</think>b")]),
        (
            "<think>a<think>b</think>c</think>",
            [Part("text", "<think>a"), Part("think", "b", glued=True), Part("text", "c</think>", glued=True)],
        ),
    ],
)
def test_pairs_of_think_tags_are_parts_and_odd_tags_stay_text(raw, parts):
    assert prose(raw) == parts


@quick
@given(text=words)
def test_splitting_loses_nothing(text):
    assert "".join(map(raw_text, prose(text))) == text


def test_splitting_a_megabyte_of_open_tags_takes_no_time():
    assert len(prose("<think>" * 150_000)) == 1


def test_the_text_of_a_turn_is_what_a_reader_sees():
    parts = (Part("think", "hm"), Part("text", "\nIt is "), Part("tool_call", "6*7"), Part("text", "42."))
    assert Turn("assistant", parts).text == "\nIt is 42."


SYSTEM, USER, ASSISTANT = (Turn(role, (Part("text", "x"),)) for role in ("system", "user", "assistant"))


@pytest.mark.parametrize("turns", [[USER], [USER, ASSISTANT], [SYSTEM, USER], [SYSTEM, USER, ASSISTANT, USER]])
def test_a_conversation_may_end_on_either_side(turns):
    assert Conversation(tuple(turns), "test").turns == tuple(turns)


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([], "empty"),
        ([SYSTEM], "empty"),
        ([ASSISTANT, USER], "message 1 has role 'assistant' where user is due"),
        ([USER, USER], "message 2 has role 'user' where assistant is due"),
        ([SYSTEM, ASSISTANT], "message 2 has role 'assistant'"),
        ([USER, SYSTEM, ASSISTANT], "message 2 has role 'system'"),
        ([Turn("user", (Part("tool_call", "6*7"),))], "a user turn has a part that is not text"),
    ],
)
def test_no_other_order_is_a_conversation(turns, why):
    with pytest.raises(BadInput, match=why):
        Conversation(tuple(turns), "test")
