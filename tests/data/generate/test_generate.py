"""The offline teacher: distinct, computed, grounded, and never on the probes' side of the line."""

import json
import random
import re
from collections import Counter

import pytest

from samosa.chat.calculator import evaluate
from samosa.chat.conversation import parse_row
from samosa.chat.grammar import read_parts
from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM
from samosa.data.generate import generate, kinds
from samosa.data.generate.english import words
from samosa.data.generate.names import word
from samosa.data.generate.sides import bank, side_of
from samosa.errors import BadInput

SHARES = {"real_share": 0.4, "failed_search_share": 0.1, "think_share": 0.8, "follow_up_share": 0.1}


@pytest.fixture(scope="module")
def joint() -> list[dict]:
    return list(generate("joint", rows=900, seed=7, **SHARES))


def question(row: dict, turn: int = 0) -> str:
    return row["messages"][turn]["content"].removeprefix(THINK_SYSTEM).removeprefix(DEFAULT_SYSTEM).strip()


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(joint):
    assert list(generate("joint", rows=900, seed=7, **SHARES)) == joint
    other = {question(row) for row in generate("joint", rows=900, seed=8, **SHARES)}
    assert len(other & {question(row) for row in joint}) < 90


def test_patterns_are_even_and_no_question_is_asked_twice(joint):
    assert Counter(row["pattern"] for row in joint) == {"search": 300, "calculator": 300, "no_tool": 300}
    asked = [question(row, turn) for row in joint for turn in range(0, len(row["messages"]), 2)]
    assert len(asked) == len(set(asked))


def test_every_turn_keeps_to_the_grammar_and_thinks_under_the_think_prompt_only(joint):
    for row in joint:
        conversation = parse_row(row, source="joint")
        thinks = row["messages"][0]["content"].startswith(THINK_SYSTEM)
        assert thinks or row["messages"][0]["content"].startswith(DEFAULT_SYSTEM)
        for turn in conversation.turns[1::2]:
            verdict = read_parts(turn.parts, max_calls=1)
            assert verdict.ok, verdict
            assert (verdict.think is not None) is thinks


def test_both_prompts_follow_ups_and_failed_searches_occur(joint):
    assert 0.75 < sum(row["messages"][0]["content"].startswith(THINK_SYSTEM) for row in joint) / len(joint) < 0.85
    assert 0.06 < sum(len(row["messages"]) > 2 for row in joint) / len(joint) < 0.14
    results = [json.loads(text) for text in outputs(joint) if '"tool":"web_search"' in text]
    failed = sum(not result["success"] or not result["output"]["results"] for result in results)
    assert 0.05 < failed / len(results) < 0.15


def outputs(rows: list[dict]) -> list[str]:
    parts = (part for row in rows for message in row["messages"][1::2] for part in message["content"])
    return [part["text"] for part in parts if part["type"] == "python_output"]


def test_calculations_are_right_and_quoted_in_the_answer(joint):
    for row in (row for row in joint if row["pattern"] == "calculator"):
        turn = parse_row(row, source="joint").turns[1]
        verdict = read_parts(turn.parts, max_calls=1)
        expression = json.loads(verdict.calls[0])["arguments"]["expression"]
        value = json.loads(verdict.results[0])["output"]["value"]
        assert value == evaluate(expression)
        assert str(value) in verdict.answer


def test_found_facts_are_repeated_in_the_answer(joint):
    for row in (row for row in joint if row["pattern"] == "search"):
        verdict = read_parts(parse_row(row, source="joint").turns[1].parts, max_calls=1)
        result = json.loads(verdict.results[0])
        if result["success"] and result["output"]["results"]:
            snippet = result["output"]["results"][0]["snippet"]
            assert set(verdict.answer.strip(".").split()) & set(snippet.strip(".").split())
            assert "could not" not in verdict.answer
        else:
            assert "could not" in verdict.answer


def test_no_training_row_names_what_is_reserved_for_probes():
    rows = [row for kind in kinds() for row in generate(kind, rows=900, seed=3, **SHARES)]
    text = json.dumps(rows).replace("Real Madrid", "").replace("Boston Celtics", "")  # a team is not its city
    reserved = [name for name in bank("banks")["city"]["real"] if side_of(name) == "probe"]
    assert "Seoul" in reserved
    assert not [name for name in reserved if re.search(rf"\b{name}\b", text)]
    assert "17% tip on $45 " not in text and "irplanes" not in text


def test_think_only_rows_never_call_and_tool_only_rows_never_think():
    for row in generate("think_only", rows=60, seed=1, **SHARES):
        verdict = read_parts(parse_row(row, source="t").turns[1].parts, max_calls=1)
        assert verdict.ok and verdict.think and not verdict.calls
    for row in generate("tool_only", rows=60, seed=1, **SHARES):
        verdict = read_parts(parse_row(row, source="t").turns[1].parts, max_calls=1)
        assert verdict.ok and verdict.think is None and len(verdict.calls) == 1


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(BadInput, match="'jont'") as error:
        generate("jont", rows=1, seed=1, **SHARES)
    assert "joint" in error.value.hint


def test_banks_are_well_formed_and_every_topic_has_phrasings_for_probes_only():
    for name, key in (("search_topics", "topic"), ("calculator_topics", "topic"), ("plain_topics", "task")):
        for topic in bank(name)[key]:
            assert len(topic["ask"]) >= 4 and len(topic["ask_probe"]) >= 2, topic["name"]
            assert not set(topic["ask"]) & set(topic["ask_probe"])


def test_words_from_the_library_are_plain_and_no_probe_asks_about_them():
    known = words()
    subjects = {s for s, verb, _ in bank("concepts")["explain"] if side_of(f"{s} {verb}") == "probe"}
    assert len(known) > 1000
    assert all(re.fullmatch("[a-z]{4,9}", word) and side_of(word) == "train" for word in known)
    assert not {form for word in known for form in (word, word + "s")} & subjects


def test_names_in_probes_are_never_words_from_the_library():
    rng = random.Random(3)
    drawn = {word(rng, "probe").lower() for _ in range(2000)}
    assert not drawn & set(words())
    assert {word(rng, "train").lower() for _ in range(200)} & set(words())
