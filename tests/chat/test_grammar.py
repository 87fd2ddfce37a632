import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samosa.chat import grammar
from samosa.chat.conversation import Part, parse_row
from samosa.chat.grammar import Event, TurnMachine, Verdict, events_from_ids, events_from_parts, read_ids, read_parts
from samosa.chat.markup import SPECIALS
from samosa.chat.render import render
from samosa.chat.turns import raw_text
from tests.chat.strategies import asked, quick, turns, words

CALL, RESULT, TEXT = Part("tool_call", "6*7"), Part("tool_result", "42"), Part("text", "It is 42.")
THINK = Part("think", "\nhm\n")


def answer_ids(parts, tokenizer) -> list[int]:
    """What follows assistant_start when these parts are rendered."""
    ids = render(asked(tuple(parts)), tokenizer).ids
    return ids[ids.index(tokenizer.special("assistant_start")) + 1 :]


def string_parts(text: str) -> tuple[Part, ...]:
    return (
        parse_row([{"role": "user", "content": "q"}, {"role": "assistant", "content": text}], source="t").turns[1].parts
    )


def test_a_turn_that_keeps_to_the_grammar_is_taken_apart():
    newline = Part("text", "\n", glued=True)
    assert read_parts([THINK, newline, CALL, RESULT, TEXT], max_calls=1) == Verdict(
        violation=None, think="\nhm\n", calls=("6*7",), results=("42",), answer="It is 42."
    )


@pytest.mark.parametrize(
    ("parts", "violation"),
    [
        ([TEXT], None),
        ([THINK, TEXT], None),
        ([Part("text", " \n"), THINK, TEXT], None),
        ([CALL, RESULT, Part("text", "\n"), CALL, RESULT, TEXT], None),
        ([Part("tool_call", '{"tool": broken'), RESULT, TEXT], None),
        ([Part("text", "Let me think."), THINK, TEXT], "text before think"),
        ([THINK, THINK, TEXT], "second think"),
        ([THINK, TEXT, THINK], "second think"),
        ([CALL, RESULT, THINK, TEXT], "think after call"),
        ([Part("text", "<think>a<think>b</think>c"), TEXT], "think inside think"),
        ([Part("text", "hm</think>"), TEXT], "think closed but not opened"),
        ([Part("text", "<think>hm, 42")], "unclosed think"),
        ([Part("text", "<think>hm"), CALL, RESULT, Part("text", "</think>42")], "call inside think"),
        ([Part("text", "Let me compute that. "), CALL, RESULT, TEXT], "call after answer text"),
        ([CALL, RESULT, CALL, RESULT, CALL, RESULT, TEXT], "too many calls"),
        ([CALL, TEXT], "call without result"),
        ([CALL, CALL, RESULT, TEXT], "call without result"),
        ([THINK, CALL], "call without result"),
        ([RESULT, TEXT], "result without call"),
        ([CALL, RESULT, RESULT, TEXT], "result without call"),
        ([TEXT, RESULT], "result without call"),
        ([], "empty answer"),
        ([THINK, Part("text", " \n ")], "empty answer"),
        ([CALL, RESULT], "empty answer"),
        ([Part("text", "I say <|output_end|>")], "marker text"),
        ([Part("think", "<|python_start|>"), TEXT], "marker text"),
        ([Part("tool_call", "6*7<|python_end|>"), RESULT, TEXT], "marker text"),
        ([CALL, Part("tool_result", "a page about <|bos|>"), TEXT], None),
        ([Part("text", "< think >a|> <|python start|> <Think>")], None),
    ],
)
def test_each_way_to_break_the_grammar_has_its_name(tokenizer, joining, parts, violation):
    assert read_parts(parts, max_calls=2).violation == violation
    assert read_ids(answer_ids(parts, tokenizer), tokenizer, max_calls=2).violation == violation
    assert read_ids(answer_ids(parts, joining), joining, max_calls=2).violation == violation
    assert violation is None or violation in grammar.VIOLATIONS


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        ("<think>x</think><|python_start|>6*7<|python_end|>\n<|output_start|>42<|output_end|>\nIt is 42.", None),
        ("<think>x<|python_start|>6*7<|python_end|><|output_start|>42<|output_end|></think>42", "call inside think"),
        ("<|python_start|>6*7<|python_end|><|output_start|>42", "marker text"),
        ("<|python_start|>6*7", "marker text"),
    ],
)
def test_strings_with_markers_are_judged_by_what_they_mean(text, violation):
    assert read_parts(string_parts(text), max_calls=1).violation == violation


def test_max_calls_is_the_callers():
    parts = [CALL, RESULT, TEXT]
    assert read_parts(parts, max_calls=0).violation == "too many calls"
    assert read_parts(parts, max_calls=1).ok


def test_a_turn_cut_off_has_no_end(tokenizer):
    ids = answer_ids([THINK, TEXT], tokenizer)
    assert read_ids(ids[:-1], tokenizer, max_calls=1).violation == "missing end"
    assert read_ids(ids[:4], tokenizer, max_calls=1).violation == "missing end"
    assert read_ids(ids[:8], tokenizer, max_calls=1).violation == "unclosed think"
    assert read_ids([], tokenizer, max_calls=1).violation == "missing end"
    assert read_parts([TEXT], max_calls=1, ended=False).violation == "missing end"


@pytest.mark.parametrize(
    ("names", "violation"),
    [
        ("python_start a assistant_end", "stray marker"),
        ("python_start a", "stray marker"),
        ("python_start a output_end a assistant_end", "stray marker"),
        ("python_start a python_start a python_end output_start a output_end a assistant_end", "stray marker"),
        ("a python_end a assistant_end", "stray marker"),
        ("a output_end assistant_end", "stray marker"),
        ("output_start a", "stray marker"),
        ("a bos", "stray marker"),
        ("a user_start a user_end assistant_end", "stray marker"),
        ("a assistant_end a", "something after the end"),
        ("a assistant_end assistant_end", "something after the end"),
        ("python_start python_end output_start output_end a assistant_end", None),
    ],
)
def test_specials_out_of_place_are_seen_in_ids(tokenizer, names, violation):
    ids = [97 if name == "a" else tokenizer.special(name) for name in names.split()]
    assert read_ids(ids, tokenizer, max_calls=1).violation == violation


def test_tags_are_found_in_whatever_tokens_they_come(tokenizer):
    text = "<think>\nhm\n</think>\n42"
    bytewise = [*text.encode(), tokenizer.special("assistant_end")]
    assert bytewise[:-1] != tokenizer.encode(text)
    assert read_ids(bytewise, tokenizer, max_calls=0) == Verdict(None, "\nhm\n", (), (), "42")


def test_look_alikes_of_markers_are_text_and_never_pass(tokenizer):
    for name in SPECIALS:
        events = list(events_from_ids(tokenizer.encode(f"x{name}y"), tokenizer))
        assert events == [Event("text", f"x{name}y")]
        assert read_parts([Part("text", f"x{name}y")], max_calls=9).violation == "marker text"


def test_a_marker_that_arrives_in_pieces_is_still_seen():
    machine = TurnMachine(max_calls=1)
    said = [machine.feed(Event("text", piece)) for piece in ["so <|pyth", "on_st", "art", "|>6*7"]]
    assert said == [None, None, None, "marker text"]


def test_the_first_violation_is_kept_and_told_at_once():
    machine = TurnMachine(max_calls=1)
    said = [machine.feed(Event(*event)) for event in [("text", "a"), ("think_open",), ("call", "1"), ("end",)]]
    assert said == [None, "text before think", "text before think", "text before think"]
    assert machine.finish().violation == "text before think"


# ---- the two feeders, and a third opinion


@quick
@given(parts=turns(), max_calls=st.integers(0, 3))
def test_ids_and_parts_get_the_same_verdict(tokenizer, joining, parts, max_calls):
    expected = read_parts(parts, max_calls=max_calls)
    for vocabulary in (tokenizer, joining):
        ids = answer_ids(parts, vocabulary)
        assert list(events_from_ids(ids, vocabulary)) == list(events_from_parts(parts))
        assert read_ids(ids, vocabulary, max_calls=max_calls) == expected


NO_TAG = r"(?:(?!</?think>|[\ue000\ue001]).)*"
GRAMMAR = re.compile(
    rf"\s*(?:<think>{NO_TAG}</think>)?(?P<calls>(?:\s*\ue000\s*\ue001)*)\s*(?=\S){NO_TAG}", re.DOTALL
)  # U+E000 stands for a call, U+E001 for its result


@quick
@given(parts=turns(), max_calls=st.integers(0, 3))
def test_the_machine_accepts_what_the_regular_expression_of_the_grammar_accepts(parts, max_calls):
    stand_in = {"tool_call": "\ue000", "tool_result": "\ue001"}
    clean = [Part(part.kind, part.text.replace("\ue000", "").replace("\ue001", ""), part.glued) for part in parts]
    raw = "".join(stand_in.get(part.kind) or raw_text(part) for part in clean)
    leaks = any(name in raw for name in SPECIALS) or any(
        name in part.text for part in clean if part.kind == "tool_call" for name in SPECIALS
    )
    match = GRAMMAR.fullmatch(raw)
    accepted = bool(match) and not leaks and match["calls"].count("\ue000") <= max_calls
    assert read_parts(clean, max_calls=max_calls).ok == accepted


@quick
@given(text=words, cuts=st.lists(st.integers(0, 60), max_size=4))
def test_text_in_pieces_is_judged_like_text_in_one(text, cuts):
    whole, pieces = TurnMachine(max_calls=1), TurnMachine(max_calls=1)
    whole.feed(Event("text", text))
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for start, end in pairwise(edges):
        pieces.feed(Event("text", text[start:end]))
    for machine in (whole, pieces):
        machine.feed(Event("end"))
    assert whole.finish() == pieces.finish()
