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
from tests.eval.turns import CALL, CALLED, END, THINK, ask, calculate, calculated, ids_and_forced, look_up, looked_up

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Sunday")
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
CASES = [(kind, answer, credit) for kind, (answers, *_) in KINDS.items() for answer, credit in answers]


@pytest.fixture
def tokenizer(golden):
    return _tokenizer(golden / "tokenizer")


@functools.cache
def _tokenizer(directory):
    return load_tokenizer(directory)


def probe_of(kind):
    _, question, gold, _ = KINDS[kind]
    hits = {"": (Hit(url="https://example.org", title="Seoul weather", snippet=SEOUL),)} if kind == "weather" else {}
    return Probe(kind, "no_tool", "t", ask(question), gold, hits)


@pytest.mark.parametrize(("kind", "answer", "credit"), CASES)
def test_an_answer_gets_the_credit_that_a_reader_gives_it(kind, answer, credit, tokenizer):
    ids, forced = ids_and_forced(tokenizer, THINK, *KINDS[kind][3], answer, END)
    judgement = judge(probe_of(kind), ids, tokenizer, forced=forced)
    assert judgement.passed is credit, judgement.reason


def test_the_table_is_large_and_has_both_verdicts():
    verdicts = Counter(credit for _, _, credit in CASES)
    assert verdicts[True] >= 60 and verdicts[False] >= 100
