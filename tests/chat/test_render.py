import time

import pytest
from hypothesis import given

from samosa.chat.conversation import Conversation, Part, Turn, parse_row
from samosa.chat.render import render, render_many, render_prompt
from tests.chat.strategies import asked, messages, quick, turns

RIGHT_IN_NANOCHAT = ["plain", "think_text", "user_injects_marker", "unicode", "empty_assistant", "long"]
HAS_ANSWER = [*RIGHT_IN_NANOCHAT, "marker_text", "tool_parts_with_text", "tool_parts_no_text"]
MARK_PAIRS = [("python_start", "python_end"), ("output_start", "output_end")]


def conversation(recorded, name, **options) -> Conversation:
    return parse_row(recorded["conversations"][name], source=name, **options)


@pytest.mark.parametrize("name", RIGHT_IN_NANOCHAT)
def test_ids_and_masks_are_nanochats(tokenizer, recorded, name):
    rendered = render(conversation(recorded, name), tokenizer)
    assert {"ids": rendered.ids, "mask": rendered.mask} == recorded["render"][f"{name}@2048"]


@pytest.mark.parametrize("name", HAS_ANSWER)
def test_prompts_are_nanochats(tokenizer, recorded, name):
    assert render_prompt(conversation(recorded, name), tokenizer) == recorded["render"][f"{name}@completion"]["ids"]


def test_a_prompt_that_ends_on_the_user_needs_no_answer_to_drop(tokenizer, recorded):
    whole = conversation(recorded, "plain")
    question = Conversation(whole.turns[:1], "plain")
    assert render_prompt(question, tokenizer) == render_prompt(whole, tokenizer)


# ---- where samosa differs on purpose


def test_marker_text_becomes_real_markers_and_its_result_is_not_supervised(tokenizer, recorded):
    rendered = render(conversation(recorded, "marker_text"), tokenizer)
    call, result, said = tokenizer.encode("17*3"), tokenizer.encode("51"), tokenizer.encode("51")
    special = tokenizer.special
    head = [tokenizer.bos, special("user_start"), *tokenizer.encode("17*3?"), special("user_end")]
    assert rendered.ids == [
        *head, special("assistant_start"),
        special("python_start"), *call, special("python_end"),
        special("output_start"), *result, special("output_end"),
        *said, special("assistant_end"),
    ]  # fmt: skip
    assert rendered.mask == [0] * (len(head) + 1) + [1] * (len(call) + 2) + [0] * (len(result) + 2) + [1] * (
        len(said) + 1
    )


def test_legacy_markers_render_as_nanochat_rendered_them(tokenizer, recorded):
    rendered = render(conversation(recorded, "marker_text", legacy_markers=True), tokenizer)
    assert {"ids": rendered.ids, "mask": rendered.mask} == recorded["render"]["marker_text@2048"]


@pytest.mark.parametrize("name", ["tool_parts_with_text", "tool_parts_no_text"])
def test_tool_parts_render_where_nanochat_fails(tokenizer, recorded, name):
    assert "error" in recorded["render"][f"{name}@2048"]
    rendered = render(conversation(recorded, name), tokenizer)
    text = tokenizer.decode(rendered.ids)
    supervised = tokenizer.decode([token for token, on in zip(rendered.ids, rendered.mask, strict=True) if on])
    expression = '<|python_start|>{"arguments":{"expression":"12*7"},"tool":"calculator"}<|python_end|>'
    assert expression in text
    assert expression in supervised
    assert '"value":84}' in text
    assert '"value":84}' not in supervised
    assert "<|output_" not in supervised
    assert text.endswith(("84<|assistant_end|>", "84.<|assistant_end|>"))


def test_nothing_is_cut_however_long(tokenizer, recorded):
    assert render(conversation(recorded, "long"), tokenizer).ids[:64] == recorded["render"]["long@64"]["ids"]
    rendered = render(asked((Part("text", "word " * 3000),)), tokenizer)
    assert len(rendered.ids) == len(rendered.mask) > 3000
    assert rendered.ids[-1] == tokenizer.special("assistant_end")


def test_a_system_message_is_part_of_the_first_user_turn(tokenizer):
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    merged = [{"role": "user", "content": "Be brief.\n\nWhy?"}]
    rest = [{"role": "assistant", "content": "So."}, {"role": "user", "content": "And?"}]
    one, two = (parse_row(head + rest, source="test") for head in (said, merged))
    assert render(one, tokenizer) == render(two, tokenizer)


# ---- always


def structure(conversation: Conversation) -> list[str]:
    """The specials a conversation has, counted from its parts alone."""
    names = ["bos"]
    for turn in conversation.turns:
        if turn.role == "user":
            names += ["user_start", "user_end"]
        elif turn.role == "assistant":
            names.append("assistant_start")
            for part in turn.parts:
                names += {"tool_call": MARK_PAIRS[0], "tool_result": MARK_PAIRS[1]}.get(part.kind, ())
            names.append("assistant_end")
    return names


def specials_in(ids, tokenizer) -> list[str]:
    names = {token: name.strip("<|>") for name, token in tokenizer.specials.items()}
    return [names[token] for token in ids if token in names]


@quick
@given(array=messages())
def test_no_text_becomes_a_special_token(tokenizer, array):
    conversation = parse_row(array, source="test")
    rendered = render(conversation, tokenizer)
    assert specials_in(rendered.ids, tokenizer) == structure(conversation)
    assert len(rendered.ids) == len(rendered.mask)


@quick
@given(parts=turns())
def test_results_with_marker_text_are_ordinary_and_unsupervised(joining, parts):
    rendered = render(asked(parts), joining)
    assert specials_in(rendered.ids, joining) == structure(asked(parts))
    payloads = [part.text for part in parts if part.kind == "tool_result"]
    start, end = joining.special("output_start"), joining.special("output_end")
    opened = [place for place, token in enumerate(rendered.ids) if token == start]
    closed = [place for place, token in enumerate(rendered.ids) if token == end]
    for payload, first, last in zip(payloads, opened, closed, strict=True):
        assert joining.decode(rendered.ids[first + 1 : last]) == payload
        assert rendered.mask[first : last + 1] == [0] * (last + 1 - first)
    answer_starts = rendered.ids.index(joining.special("assistant_start")) + 1
    unsupervised = sum(last + 1 - first for first, last in zip(opened, closed, strict=True))
    assert sum(rendered.mask) == len(rendered.ids) - answer_starts - unsupervised


def test_glued_parts_are_tokenized_as_one_string_and_others_apart(joining):
    raw = "<think>\nhm.\n</think>\nyes"
    glued = parse_row([{"role": "user", "content": "q"}, {"role": "assistant", "content": raw}], source="test")
    apart = asked(tuple(Part(part.kind, part.text) for part in glued.turns[1].parts))
    start = render(glued, joining).ids.index(joining.special("assistant_start")) + 1
    assert render(glued, joining).ids[start:-1] == joining.encode(raw)
    assert render(apart, joining).ids[start:-1] == joining.encode("<think>\nhm.\n</think>") + joining.encode("\nyes")
    assert render(apart, joining).ids != render(glued, joining).ids


def test_many_are_rendered_as_each_alone_in_order_and_fast(tokenizer):
    question = "You are samosaChaat. Answer well and do not make anything up. " * 4
    answer = Turn("assistant", (Part("text", "That is how it is."),))
    conversations = [
        Conversation((Turn("user", (Part("text", f"{question}{number}?"),)), answer), "test") for number in range(1200)
    ]
    started = time.perf_counter()
    rendered = list(render_many(conversations, tokenizer))
    assert time.perf_counter() - started < 3
    assert rendered[::199] == [render(conversation, tokenizer) for conversation in conversations[::199]]
