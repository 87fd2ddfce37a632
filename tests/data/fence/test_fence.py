"""What copies a denied question is found, whatever was changed in it; what only resembles one is not."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.data.fence import Denied, Fence
from samosa.data.generate import generate, kinds
from samosa.data.generate.exchange import Taste, draw_exchange
from samosa.data.generate.rows import assistant_turn, user_turn
from samosa.phases.denying import joint
from tests.data.fence import planted
from tests.data.fence.copies import CHANGES, surrounded
from tests.data.fence.questions import ASKED, DENIED, UNLIKE

SHARES = {"real_share": 0.4, "failed_search_share": 0.1, "think_share": 0.8, "follow_up_share": 0.4}


@pytest.fixture(scope="module")
def fence():
    return Fence(DENIED)


@pytest.fixture(scope="module")
def suite():
    return joint(seed=4, per_pattern=103)


@pytest.fixture(scope="module")
def suite_fence(suite):
    return Fence(suite)


def row(question, answer="I see.", system=None):
    content = with_system(system, question) if system else question
    return {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]}


def ids(matches):
    return [match.denied for match in matches]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(DENIED), st.sampled_from(sorted(CHANGES)), st.booleans(), st.integers(0, 2**32))
def test_a_question_is_found_whatever_one_thing_was_changed(fence, one, change, inside, seed):
    rng = random.Random(seed)
    text = CHANGES[change](one.question, rng)
    text = surrounded(text, rng) if inside else text
    assert one.id in ids(fence.check([row(text)])[0]), text


@pytest.mark.parametrize(
    ("copy", "number"),
    [
        ("What day was it 10 days ago if today is Tuesday?", 2),
        ("what day was it three weeks ago, if today is friday", 2),
        ("I WONDER: WHAT IS THE WEATHER IN RIO DE JANEIRO? THANKS", 5),
        ("what is 31 x 52", 3),
        ("What’s 6*7?", 3),
        (
            "How many pears does Ida have left? Ida picked 3 pears on Friday and 9 on Sunday. "
            "She gave a fifth of them to Bo.",
            0,
        ),
        ("A ferry leaves Bari at 11 pm and covers 900 km at 60 km per hour. When does it reach Bologna?", 1),
    ],
)
def test_copies_that_somebody_would_write_are_found(fence, copy, number):
    assert f"own-{number}" in ids(fence.check([row(copy)])[0])


@pytest.mark.parametrize("text", UNLIKE)
def test_what_shares_words_stems_or_answers_and_copies_nothing_is_left_alone(fence, text):
    assert fence.check([row(text), row("Tell me something.", text)]) == [[], []]


@pytest.mark.parametrize(
    "layout",
    [
        [{"role": "user", "content": ASKED[0][0]}],
        {"conversations": [{"from": "human", "value": ASKED[0][0]}, {"from": "gpt", "value": "27"}]},
        {"prompt": ASKED[0][0], "chosen": "27", "rejected": "28"},
        {"text": f"Some lines of a page.\n\n{ASKED[0][0]}\n\nAnswer: 27"},
        {"instruction": "Solve this.", "input": ASKED[0][0], "output": "27"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ASKED[0][0]}]}]},
    ],
)
def test_every_layout_of_a_row_is_read(fence, layout):
    assert ids(fence.check([layout])[0]) == ["own-0"]


def test_a_stem_needs_its_answer_and_an_answer_its_question():
    fence = Fence([Denied("stem", "Who was it that they were with?", ("Tintoretto",))])
    stem, other = "Who was it that they were with?", "Who painted this?"
    rows = [row(stem), row(stem, "It is Tintoretto."), row(other, "Tintoretto")]
    assert [ids(found) for found in fence.check(rows)] == [[], ["stem"], []]


def test_a_stem_with_choices_is_known_by_its_choices():
    choices = ("the tide reversed", "the wells ran dry", "the bells were melted", "the walls were limed")
    fence = Fence([Denied("stem", "Which of the following is true?", ("the wells ran dry",), choices=choices)])
    lettered = "\n".join(f"{letter}. {choice}" for letter, choice in zip("ABCD", choices, strict=True))
    assert ids(fence.check([row(f"Which of the following is true?\n{lettered}")])[0]) == ["stem"]
    assert fence.check([row("Which of the following is true?", "B")]) == [[]]


def test_half_a_question_is_found_by_its_thirteen_grams_and_less_only_with_the_answer(fence):
    words = ASKED[12][0].split()
    most, some = " ".join(words[:30]), " ".join(words[:16])
    unchanged, few, answered = fence.check([row(most), row(some), row(some, "As a third-party beneficiary, yes.")])
    assert unchanged[0].denied == answered[0].denied == "own-12"
    assert few == []
    assert answered[0].evidence[-1] == "question and answer" and 0 < answered[0].grams < 0.5 < unchanged[0].grams


def test_a_match_has_both_texts_side_by_side(fence):
    (match,) = fence.check([row("Hello! Calculate a 20% tip on $80, please.", "It is $16.")])[0]
    assert match.question == "Calculate a 17% tip on $45." and match.answers == ("7.65",)
    assert "calculate a 20% tip on $80" in match.text and match.reply == "it is $16"
    assert match.evidence == ("template",) and match.words == match.order == 1


def test_the_teachers_own_rows_pass_though_they_share_phrasings_with_the_suite(suite_fence, soak_seed):
    for kind in kinds():
        rows = list(generate(kind, rows=60 if kind != "joint" else 150, seed=soak_seed, **SHARES))
        assert [m for found in suite_fence.check(rows) for m in found] == [], kind


def test_a_changed_probe_in_a_row_like_the_teachers_is_found(soak_seed):
    rng = random.Random(soak_seed)
    taste = Taste(side="probe", real_share=0.4, failed_search_share=0.0)
    for pattern, change in (("calculator", "numbers"), ("search", "entities"), ("no_tool", "case")):
        drawn = [draw_exchange(rng, pattern, taste) for _ in range(40)]
        fence = Fence([Denied(str(number), one.question) for number, one in enumerate(drawn)])
        texts = [CHANGES[change](one.question, rng) for one in drawn]
        rows = [
            {"messages": [user_turn(text, system=THINK_SYSTEM), assistant_turn(one, think=True)]}
            for text, one in zip(texts, drawn, strict=True)
        ]
        assert [text for text, found in zip(texts, fence.check(rows), strict=True) if not found] == []


def test_a_suites_probes_are_found_with_and_without_the_system_prompt(suite, suite_fence):
    for system in (None, DEFAULT_SYSTEM, THINK_SYSTEM):
        rows = [row(one.question, system=system) for one in suite]
        missed = [one.question for one, found in zip(suite, suite_fence.check(rows), strict=True) if not found]
        assert missed == []


def test_nothing_is_found_in_nothing(fence):
    assert fence.check([]) == []
    assert fence.check([{}, [], None, 5, {"text": ""}, row("")]) == [[]] * 6
    assert Fence([Denied("empty", "")]).check([row("anything at all")]) == [[]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=5))
def test_no_text_makes_it_stumble(fence, texts):
    assert len(fence.check([row(text) for text in texts])) == len(texts)


@pytest.mark.soak
@pytest.mark.parametrize("change", sorted(CHANGES))
def test_every_copy_of_every_probe_is_found(change, soak_seed):
    """Each probe of ten suites, changed, alone and inside a longer text: all are found."""
    rng = random.Random(soak_seed)
    missed, tried = [], 0
    for seed in range(soak_seed, soak_seed + 10):
        denied = [one for one in joint(seed=seed, per_pattern=103) if not glued(change, one.question)]
        fence = Fence(denied)
        for inside in (False, True):
            texts = [CHANGES[change](one.question, rng) for one in denied]
            texts = [surrounded(text, rng) for text in texts] if inside else texts
            found = fence.check([row(text) for text in texts])
            tried += len(texts)
            missed += [(one.question, text) for one, text, m in zip(denied, texts, found, strict=True) if not m]
    assert len(missed) <= tried / 500, (len(missed), tried, missed[:10])


def glued(change, question):
    """A spelled-out number glued to a letter ("twox") is no word."""
    return change == "number words" and any(f"{digit}x" in question for digit in range(10))


@pytest.mark.soak
def test_fewer_than_one_of_a_thousand_of_the_teachers_rows_is_flagged(soak_seed):
    flagged = rows = 0
    for seed in range(soak_seed, soak_seed + 3):
        fence = Fence(joint(seed=seed, per_pattern=103))
        for kind in kinds():
            made = list(generate(kind, rows=6000, seed=seed, **SHARES))
            for start in range(0, len(made), 200):
                flagged += sum(bool(found) for found in fence.check(made[start : start + 200]))
            rows += len(made)
    assert flagged == 0, (flagged, rows)


def missed(fence, pairs, rng):
    """Copies that the fence does not find: of (question, copy) pairs."""
    rows = [planted.hidden(text, one.answers[0], rng) for one, text in pairs]
    found = fence.check(rows)
    return [(text, row) for (one, text), row, those in zip(pairs, rows, found, strict=True) if one.id not in ids(those)]


@pytest.mark.parametrize("change", sorted(planted.CHANGES))
def test_a_second_way_to_hide_questions_hides_none(change, soak_seed):
    rng = random.Random(soak_seed)
    fence = Fence(planted.DENIED)
    texts = [(one, planted.CHANGES[change](planted.shown(one), rng)) for one in planted.DENIED]
    assert missed(fence, texts, rng) == []


@pytest.mark.soak
def test_two_changes_at_once_hide_one_question_of_five_hundred_at_most(soak_seed):
    rng = random.Random(soak_seed)
    fence = Fence(planted.DENIED)
    pairs = [
        (one, second(first(planted.shown(one), rng), rng))
        for first in planted.CHANGES.values()
        for second in planted.CHANGES.values()
        for one in planted.DENIED
        for _ in range(3)
    ]
    hidden = [one for at in range(0, len(pairs), 500) for one in missed(fence, pairs[at : at + 500], rng)]
    assert len(hidden) <= len(pairs) / 500, (len(hidden), len(pairs), hidden[:10])


@pytest.mark.parametrize(
    ("question", "copy"),
    [
        ("What is 23 × 47?", "What is three hundred and six times 1,250?"),
        ("In the U.S., is it legal to tan hides?", "is it legal to tan hides in the u.s"),
        ("Who runs Fltgo Labs now?", "Who runs 北京 now?"),
        ("If you speak of the Devil, what happens?", "What happens if you speak of the Devil?"),
        ("I have 1200 and spend 1499. How much is left?", "I have a hard one: I have 4 and spend 8. How much is left?"),
        ("news Port Coafiall", "My cousin asked me this yesterday.\n\nnews Ngozi\n\nCan you help?"),
        ("latest Hammer Studio version", "I have a quick one for you: latest Beatrix version"),
        ("current president of the Republic of Biatrum", "current president of the Halloway of the Bank of Norway"),
        (
            "Who is in charge of the Republic of Kreibro now?",
            "Who is in charge of the Rio de Janeiro of Mary Ann Smith now?",
        ),
    ],
)
def test_numbers_dots_scripts_and_clauses_hide_nothing(question, copy):
    assert Fence([Denied("one", question)]).check([row(copy)])[0]


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("What happened to Avril Lavigne?", "What happened to Timothy's father in the end?"),
        ("What does Phaeochromocytoma mean?", "what does each permission for the app mean?"),
        ("population of Trougreant", "The urban population of America is increasing."),
        ("Who is the current president of the United States?", "The current president of the Society of London came."),
        ('What is the meaning of the Punjabi word "Sikh"?', "The meaning of the word is often unclear."),
        ("432 times 28", "A. 30 * 10^1\nB. 6.25 * 10^18"),
        ("news Port Coafiall", "* src/create.c: Mend it.\n* NEWS: Document this."),
        ("latest Hammer Studio version", "We take the latest Beatrix version of the plan and go on."),
    ],
)
def test_little_questions_are_not_seen_where_nobody_asks_them(question, other):
    assert Fence([Denied("one", question)]).check([row(other), {"text": other}]) == [[], []]
