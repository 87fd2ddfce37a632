"""The templates: golds that an independent calculation reaches too, right answers that pass, wrong ones that do not."""

import functools
import random
import re
import time
from collections import Counter
from decimal import Decimal

import pytest

from samosa.chat.prompts import DEFAULT_SYSTEM
from samosa.chat.tokenizer import load_tokenizer
from samosa.data.generate.sides import bank, on_side, reserved_names
from samosa.eval import answers
from samosa.eval.artefacts import artefact
from samosa.eval.checks import judge
from samosa.eval.suite.content import TEMPLATES
from samosa.eval.suite.draw import CATEGORIES, full_suite, suite_hash
from samosa.eval.suite.identity import MAKER, NAME
from tests.eval.suite_answers import FORMS, RETOLD, STYLES, asked, completion, retold, right_answer, wrong_answers
from tests.eval.suite_oracles import SOLVED

HOSTILE = ("word " * 300, "a, " * 400, "x\n" * 400, "Line and line. " * 80, "- milk " * 150, '"' * 1500, "A" * 1500)


@pytest.fixture
def tokenizer(golden):
    return _tokenizer(golden / "tokenizer")


@functools.cache
def _tokenizer(directory):
    return load_tokenizer(directory)


@functools.cache
def drawn(seed, each=1):
    """`each` instances of every template, both sides where they are pairs; anchors left out."""
    counts = {"dates": 40 * each, "multi_turn": 60 * each}
    seen, chosen = Counter(), []
    for probe in full_suite(seed=seed, per_category=32 * each, counts=counts):
        seen[probe.template] += not probe.id.endswith("b")
        if not probe.template.startswith("anchor/") and seen[probe.template] <= each:
            chosen.append(probe)
    return chosen


def reason(probe, answer, tokenizer, **how):
    ids, forced = completion(probe, answer, tokenizer, **how)
    return judge(probe, ids, tokenizer, forced=forced).reason


def test_each_category_has_twenty_templates_of_its_own_names():
    names = [(template.category, template.name) for template in TEMPLATES]
    assert len(set(names)) == len(names)
    assert set(Counter(category for category, _ in names)) == set(CATEGORIES)
    assert min(Counter(category for category, _ in names).values()) >= 20


def test_a_seed_asks_the_same_again_and_nothing_twice(soak_seed):
    one, again = (full_suite(seed=soak_seed, per_category=24, counts={"think_tool": 110}) for _ in range(2))
    other = full_suite(seed=soak_seed + 1, per_category=24, counts={})
    turns = [tuple(turn.text for turn in probe.conversation.turns) for probe in one]
    assert suite_hash(one) == suite_hash(again) != suite_hash(other)
    assert len(one) >= 400 and len(set(turns)) == len(turns) == len({probe.id for probe in one})
    ours = {asked(probe) for probe in one if not probe.template.startswith("anchor/")}
    theirs = {asked(probe) for probe in other if not probe.template.startswith("anchor/")}
    assert len(ours & theirs) < len(theirs) / 10  # what has few answers, such as capitals, may come again


def test_right_answers_pass(soak_seed, tokenizer):
    rng = random.Random(soak_seed)
    failed = {
        f"{probe.template}: {asked(probe)!r} {answer!r}": why
        for probe in drawn(soak_seed)
        if (why := reason(probe, answer := right_answer(probe, rng.choice(STYLES)), tokenizer)) is not None
    }
    assert not failed


def test_what_a_question_tells_may_be_told_again_but_not_the_question_itself(soak_seed, tokenizer):
    probes = [probe for probe in drawn(soak_seed) if probe.template in RETOLD]
    assert {probe.template for probe in probes} == set(RETOLD)
    for probe in probes:
        assert reason(probe, retold(probe), tokenizer) is None, (asked(probe), retold(probe))
        assert reason(probe, asked(probe), tokenizer), asked(probe)


def test_wrong_answers_fail(soak_seed, tokenizer):
    passed = [
        f"{probe.template}: {asked(probe)!r}, {kind}: {wrong!r}"
        for probe in random.Random(soak_seed).sample(drawn(soak_seed), 80)
        for wrong, kind in wrong_answers(probe)
        if reason(probe, wrong, tokenizer) is None
    ]
    assert not passed


def test_the_wrong_tool_fails_and_so_does_none_where_one_is_needed(soak_seed, tokenizer):
    for probe in random.Random(soak_seed).sample(drawn(soak_seed), 40):
        for tool in {"web_search", "calculator", None} - {probe.gold.tool, *probe.gold.may_call}:
            assert reason(probe, right_answer(probe), tokenizer, tool=tool) or tool is None is not probe.gold.tool
            if tool is None and probe.gold.tool is not None:
                assert reason(probe, right_answer(probe), tokenizer, tool=None)


def test_the_right_answer_to_a_twin_is_wrong(soak_seed, tokenizer):
    pairs = {}
    for probe in drawn(soak_seed):
        if probe.pair:
            pairs.setdefault(probe.pair, []).append(probe)
    assert len(pairs) >= 10
    for one, other in pairs.values():
        assert one.conversation.turns != other.conversation.turns
        assert reason(one, right_answer(other), tokenizer) and reason(other, right_answer(one), tokenizer)


def test_golds_are_what_another_calculation_comes_to(soak_seed):
    seen = set()
    for probe in drawn(soak_seed):
        if probe.template not in SOLVED:
            assert probe.gold.value is None or probe.category not in ("basic_math", "dates", "tool_calculator")
            continue
        seen.add(probe.template)
        gold, solved = probe.gold, SOLVED[probe.template](asked(probe))
        if gold.value is not None:
            assert abs(gold.value - Decimal(str(float(solved)))) <= Decimal("1e-6"), (asked(probe), solved)
        elif gold.answer_is:
            assert answers.contains(solved, gold.answer_is[0]), (asked(probe), solved)
        else:
            assert solved in gold.answer_any[0]
    assert len(seen) > 100


def test_names_and_numbers_are_on_the_probes_side(soak_seed):
    """Of the real names none may be one that training rows use, but for the given names that everybody shares."""
    names = [bank("banks")[kind]["real"] for kind in ("city", "company", "team", "first_name")]
    trained, kept = ({name for kind in names for name in on_side(kind, side)} for side in ("train", "probe"))
    shared = {shape.split()[0] for shape in bank("banks")["person"]["shapes"]}
    trained -= kept | shared | set(reserved_names())
    for probe in drawn(soak_seed):
        if probe.category in ("tool_search", "injection", "multi_turn", "word_problems", "chat_format"):
            assert not trained & set(re.findall(r"[A-Z][a-z]+", asked(probe))), asked(probe)


def test_no_pattern_can_be_kept_busy(soak_seed):
    patterns = {pattern for probe in drawn(soak_seed) for pattern in probe.gold.matches}
    assert len(patterns) > 40
    began = time.process_time()
    for pattern in patterns:
        for text in HOSTILE:
            re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
    assert time.process_time() - began < 5  # about 0.1 s; a pattern that tries all ways takes minutes


def test_a_letter_in_bold_is_an_answer_and_no_label():
    assert artefact("**A**") is None
    assert artefact("A: yes") and artefact("**Q:** what?") and artefact("**A**: yes")


def test_who_it_is_said_to_be_is_who_its_prompt_says_it_is():
    assert NAME in DEFAULT_SYSTEM and MAKER in DEFAULT_SYSTEM


def test_every_form_has_an_answer_that_was_written_for_it(soak_seed):
    with_a_form = {probe.template for probe in drawn(soak_seed) if probe.gold.matches}
    assert with_a_form - set(FORMS) <= {"artefacts/link-text", "dates/other-clock"}


@pytest.mark.soak
def test_right_and_wrong_answers_of_many_instances(soak_seed, tokenizer):
    for seed in range(soak_seed, soak_seed + 5):
        for probe in drawn(seed, 3):
            for style in STYLES:
                right = right_answer(probe, style)
                assert reason(probe, right, tokenizer) is None, (probe.template, asked(probe), right)
            for wrong, kind in wrong_answers(probe):
                assert reason(probe, wrong, tokenizer) is not None, (probe.template, asked(probe), kind)
