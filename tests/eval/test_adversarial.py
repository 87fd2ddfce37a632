"""Right answers get credit however they are written, and what only looks like one gets none."""

import functools
from collections import Counter
from decimal import Decimal

import pytest

from samosa.chat.search import Hit
from samosa.chat.tokenizer import load_tokenizer
from samosa.eval.checks import judge
from samosa.eval.probe_types import Gold, Probe
from tests.eval import completions as told
from tests.eval.completions_asked import ASKED, HARMLESS, MARKED
from tests.eval.completions_found import CALCULATED, FAILED, FOUND, TOLD_BACK
from tests.eval.completions_tried import TRIED
from tests.eval.turns import CALL, CALLED, END, THINK, ask, calculate, calculated, ids_and_forced, look_up, looked_up

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Sunday")
CEO = "Mira Zorn is the CEO of Halvex."
SEOUL = "Seoul today: 23 degrees and sunny."
TIP = (CALL, calculate("45*17/100"), CALLED, calculated("45*17/100", 7.65))
SEARCH = (CALL, look_up("Seoul weather"), CALLED, looked_up("Seoul weather", SEOUL))

KINDS = {
    "tip": (told.TIP, told.TIP_ASKED, Gold(tool="calculator", value=Decimal("7.65")), TIP),
    "product": (told.PRODUCT, told.PRODUCT_ASKED, Gold(tool=None, value=Decimal(391)), ()),
    "thousand": (told.THOUSAND, told.THOUSAND_ASKED, Gold(tool=None, value=Decimal(1081)), ()),
    "hours": (told.HOURS, told.HOURS_ASKED, Gold(tool=None, value=Decimal(5), unit="hours"), ()),
    "arrival": (told.ARRIVAL, told.ARRIVAL_ASKED, Gold(tool=None, answer_is=("7 pm",)), ()),
    "weekday": (told.WEEKDAY, told.WEEKDAY_ASKED, Gold(tool=None, answer_is=("Saturday",), rivals=DAYS), ()),
    "capital": (told.CAPITAL, told.CAPITAL_ASKED, Gold(tool=None, answer_is=("Paris",)), ()),
    "weather": (
        told.WEATHER,
        told.WEATHER_ASKED,
        Gold(tool="web_search", query_must=("Seoul",), answer_must=("23", "sunny")),
        SEARCH,
    ),
}
KINDS["leader"] = (
    (),
    "Who is the CEO of Halvex?",
    Gold(tool="web_search", query_must=("Halvex",), answer_must=("Mira Zorn",)),
    (CALL, look_up("Halvex CEO"), CALLED, looked_up("Halvex CEO", CEO)),
)
CASES = [
    (kind, answer, credit)
    for kind, (answers, *_) in KINDS.items()
    for answer, credit in (*answers, *TRIED.get(kind, ()))
]
CALLED_TWICE = (CALL, calculate("17*20"), CALLED, calculated("17*20", 340), CALL, calculate("17*23"), CALLED)
CALLED_TWICE += (calculated("17*23", 391),)


@pytest.fixture
def tokenizer(golden):
    return _tokenizer(golden / "tokenizer")


@functools.cache
def _tokenizer(directory):
    return load_tokenizer(directory)


def probe_of(kind):
    _, question, gold, _ = KINDS[kind]
    hits = {
        "": (Hit(url="https://x.example", title="Zorbel", snippet={"weather": SEOUL, "leader": CEO}.get(kind, "")),)
    }
    return Probe(kind, "no_tool", "t", ask(question), gold, hits)


def judged(probe, tokenizer, answer, *, calls=()):
    ids, forced = ids_and_forced(tokenizer, THINK, *calls, answer, END)
    return judge(probe, ids, tokenizer, forced=forced)


@pytest.mark.parametrize(("kind", "answer", "credit"), CASES)
def test_an_answer_gets_the_credit_that_a_reader_gives_it(kind, answer, credit, tokenizer):
    judgement = judged(probe_of(kind), tokenizer, answer, calls=KINDS[kind][3])
    assert judgement.passed is credit, judgement.reason


@pytest.mark.parametrize(("asked", "gold", "answers"), ASKED, ids=[asked[:40] for asked, *_ in ASKED])
def test_answers_to_other_questions_get_it_too(asked, gold, answers, tokenizer):
    probe = Probe("p", "no_tool", "t", ask(asked), Gold(tool=None, **gold), {})
    wrong = [(answer, judged(probe, tokenizer, answer).reason) for answer, credit in answers
             if judged(probe, tokenizer, answer).passed is not credit]  # fmt: skip
    assert wrong == []


@pytest.mark.parametrize(("asked", "found", "gold", "answers"), FOUND, ids=[asked[:40] for asked, *_ in FOUND])
def test_what_a_search_found_is_told_as_it_was_found(asked, found, gold, answers, tokenizer):
    hits = {"": (Hit(url="https://x.example", title="Zorbel", snippet=found),)}
    probe = Probe("p", "search", "t", ask(asked), Gold(tool="web_search", **gold), hits)
    calls = (CALL, look_up(asked), CALLED, looked_up(asked, found))
    given = {answer: judged(probe, tokenizer, answer, calls=calls) for answer, _ in answers}
    assert {answer: judgement.passed for answer, judgement in given.items()} == dict(answers)


@pytest.mark.parametrize(("answer", "credit"), FAILED)
def test_a_search_that_found_nothing_may_be_admitted_in_any_words(answer, credit, tokenizer):
    gold = Gold(tool="web_search", answer_any=(("could not", "couldn't", "nothing", "failed", "can't", "unable"),))
    probe = Probe("p", "search", "t", ask("Give me the headlines from Skoameisk."), gold, {"": ()})
    calls = (CALL, look_up("Skoameisk"), CALLED, b'{"success":true,"output":{"results":[]}}')
    assert judged(probe, tokenizer, answer, calls=calls).passed is credit


@pytest.mark.parametrize(("asked", "must", "answer", "credit"), TOLD_BACK)
def test_what_the_user_told_is_told_back(asked, must, answer, credit, tokenizer):
    probe = Probe("p", "no_tool", "t", ask(asked), Gold(tool=None, answer_must=(must,)), {})
    assert judged(probe, tokenizer, answer).passed is credit


@pytest.mark.parametrize(("asked", "value", "expression", "answer", "credit"), CALCULATED)
def test_a_calculation_is_told_as_exactly_as_one_likes(asked, value, expression, answer, credit, tokenizer):
    probe = Probe("p", "calculator", "t", ask(asked), Gold(tool="calculator", value=Decimal(value)), {})
    calls = (CALL, calculate(expression), CALLED, calculated(expression, 1))
    assert judged(probe, tokenizer, answer, calls=calls).passed is credit


@pytest.mark.parametrize(("answer", "clean"), [*((one, True) for one in HARMLESS), *((one, False) for one in MARKED)])
def test_what_no_reader_should_see_is_told_from_prose(answer, clean, tokenizer):
    probe = Probe("p", "no_tool", "t", ask(), Gold(tool=None, matches=(".",)), {})
    assert judged(probe, tokenizer, answer).passed is clean


@pytest.mark.parametrize(
    ("gold", "answer", "credit"),
    [
        ({"matches": ("<b>hello</b>",), "marks": ("html",)}, "<b>hello</b>", True),
        ({"matches": ("<b>hello</b>",), "marks": ("code",)}, "```html\n<b>hello</b>\n```", True),
        ({"matches": ("<b>hello</b>",), "marks": ("json",)}, "<b>hello</b>", False),
        ({"matches": ("<b>hello</b>",)}, "<b>hello</b>", False),
        ({"matches": ("a",), "marks": ("json",)}, '{"a": 1}', True),
        ({"matches": ("yes",), "marks": ("label",)}, "Answer: yes", True),
        ({"matches": ("hello",), "marks": ("dialogue",)}, "User: hi\nAssistant: hello", True),
        ({"matches": ("hello",), "marks": ("html", "code")}, "hello<|assistant_end|>", False),
        ({"matches": ("hello",), "max_answer_chars": 3}, "hello", False),
        ({"matches": (r"\A\d\Z",)}, "12", False),
        ({"answer_any": (("can't",),), "may_refuse": True}, "I can't help with that.", True),
        ({"answer_any": (("can't",),)}, "I can't help with that.", False),
    ],
)
def test_marks_forms_and_refusals_count_where_they_were_asked_for(gold, answer, credit, tokenizer):
    probe = Probe("p", "no_tool", "t", ask(), Gold(tool=None, **gold), {})
    assert judged(probe, tokenizer, answer).passed is credit


@pytest.mark.parametrize(
    ("gold", "max_calls", "calls", "credit"),
    [
        ({"may_call": ("calculator",)}, None, (), True),
        ({"may_call": ("calculator",)}, None, CALLED_TWICE[4:], True),
        ({"may_call": ("calculator",)}, None, CALLED_TWICE, False),
        ({"may_call": ("calculator",)}, 2, CALLED_TWICE, True),
        ({"may_call": ("calculator",)}, 0, CALLED_TWICE[4:], False),
        ({"may_call": ("web_search",)}, 2, CALLED_TWICE[4:], False),
        ({"may_call": ("calculator",)}, 2, (CALL, "{bad", CALLED, b"error"), False),
        ({"may_call": ("calculator",)}, 2, (CALL, calculate("17**"), CALLED, b'{"success":false}'), False),
        ({"tool": "calculator"}, 3, CALLED_TWICE, True),
        ({"tool": "calculator"}, 3, CALLED_TWICE[:4], False),  # no call calculates the result
        ({"tool": "calculator"}, 3, (), False),
        ({"tool": "web_search", "may_call": ("calculator",)}, 3, CALLED_TWICE, False),
    ],
)
def test_calls_count_as_the_probe_allows(gold, max_calls, calls, credit, tokenizer):
    gold = Gold(**({"tool": None, "value": Decimal(391)} | gold))
    probe = Probe("p", "no_tool", "t", ask(told.PRODUCT_ASKED), gold, {}, max_calls=max_calls)
    assert judged(probe, tokenizer, "It is 391.", calls=calls).passed is credit


def test_the_table_is_large_and_has_both_verdicts():
    verdicts = Counter(credit for _, _, credit in CASES)
    assert verdicts[True] >= 60 and verdicts[False] >= 100
