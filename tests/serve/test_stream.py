from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.chat.conversation import Conversation, Part, Turn
from samosa.chat.render import render, render_prompt
from samosa.chat.tokenizer import load_tokenizer
from samosa.serve.stream import Piece, Stream, parts_of

TOKENIZER = load_tokenizer(Path(__file__).parents[1] / "golden" / "tokenizer")


def shown(ids):
    """What a stream shows of ids that come one by one, as (kind, text) with neighbours of a kind joined."""
    stream = Stream(TOKENIZER)
    joined = []
    for piece in [piece for token in ids for piece in stream.feed([token])] + stream.close():
        if joined and joined[-1][0] == piece.kind:
            joined[-1] = (piece.kind, joined[-1][1] + piece.text)
        else:
            joined.append(tuple(piece))
    return joined


def turn_ids(*parts):
    """The ids of an assistant turn, after assistant_start."""
    asked = Turn("user", (Part("text", "q"),))
    conversation = Conversation((asked, Turn("assistant", parts)), "test")
    return render(conversation, TOKENIZER).ids[len(render_prompt(conversation, TOKENIZER)) :]


def test_a_character_is_shown_when_its_last_byte_has_come():
    stream = Stream(TOKENIZER)
    pieces = [stream.feed([byte]) for byte in "é 🥟".encode()]
    assert [[piece.text for piece in some] for some in pieces] == [[], ["é"], [" "], [], [], [], ["🥟"]]


def test_a_character_that_never_becomes_whole_is_shown_as_such_at_the_end():
    stream = Stream(TOKENIZER)
    assert stream.feed("🥟".encode()[:2]) == []
    assert stream.close() == [Piece("text", "�")]


def test_the_parts_of_a_turn_are_told_apart():
    ids = turn_ids(
        Part("think", "I need <b> it."),
        Part("tool_call", '{"a":1}'),
        Part("tool_result", "42"),
        Part("text", "It is 42."),
    )
    assert shown(ids) == [("think", "I need <b> it."), ("call", '{"a":1}'), ("result", "42"), ("text", "It is 42.")]


def test_think_tags_are_never_shown_not_even_in_pieces():
    ids = list(b"a<think>b</think>c < d </ e <thin")
    assert shown(ids) == [("text", "a"), ("think", "b"), ("text", "c < d </ e <thin")]


def test_tags_inside_calls_and_results_are_their_text():
    ids = turn_ids(Part("tool_call", "<think>"), Part("tool_result", "</think>"), Part("text", "ok"))
    assert shown(ids) == [("call", "<think>"), ("result", "</think>"), ("text", "ok")]


@given(st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=40))
@settings(max_examples=100, deadline=None)
def test_nothing_is_lost_however_the_tokens_come(ids):
    stream = Stream(TOKENIZER)
    at_once = stream.feed(ids) + stream.close()
    assert "".join(text for _, text in shown(ids)) == "".join(piece.text for piece in at_once)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: "<" not in text)


@given(TEXT, TEXT, TEXT)
@settings(max_examples=50, deadline=None)
def test_a_turn_read_back_from_its_ids_renders_to_them_again(thought, result, answer):
    parts = (Part("think", thought), Part("tool_call", "6*7"), Part("tool_result", result), Part("text", answer))
    ids = turn_ids(*parts)
    assert parts_of(ids, TOKENIZER) == parts
    assert turn_ids(*parts_of(ids, TOKENIZER)) == ids


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_turn_that_was_cut_short_still_has_parts(cut):
    ids = turn_ids(Part("think", "hm"), Part("tool_call", "6*7"), Part("text", "ok"))[:cut]
    assert all(part.text for part in parts_of(ids, TOKENIZER) if part.kind in ("text", "think"))
