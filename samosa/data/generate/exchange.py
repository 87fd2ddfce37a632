"""One question with everything a right answer consists of: thought, call, what the tool returns, answer.

Training rows and probes are both made from exchanges, so what is trained and what is judged have one shape; they never
share an entity or a tuple of numbers (names.py), and a third of the probes' phrasings are in no training row.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from samosa.chat.calculator import CalculatorError, evaluate
from samosa.chat.payloads import call_payload
from samosa.chat.search import Fixture, Hit, SearchError
from samosa.chat.tools import Toolbox
from samosa.data.generate.facts import draw_facts
from samosa.data.generate.names import entity, named, word
from samosa.data.generate.numbers import draw, reads_well
from samosa.data.generate.sides import Side, bank, side_of

Pattern = Literal["search", "calculator", "no_tool"]
PATTERNS: tuple[Pattern, ...] = ("search", "calculator", "no_tool")

NOTHING_FOUND = [
    "I could not find this out: the search returned nothing about {entity}.",
    "The search found nothing about {entity}, so I could not say.",
]
SEARCH_FAILED = [
    "I could not find this out: the search for {entity} failed.",
    "The search failed, so I could not look up {entity}.",
]


EXPLAIN_SHARE = 0.3  # of the questions without a tool; the others are small writing tasks
IMAGINED_SHARE = 0.75
INVENTED_DEEDS = 0.5  # of the imagined in training: who only knows sixty deeds recalls them instead of reading

OPENERS = frozenset(  # words that may lose their capital; an entity may not
    "What What's How Who Is Tell Which When Where Calculate Can Does Give Write Make Explain Find Solve Any Add Please"
    " Multiply".split()
)


@dataclass(frozen=True)
class Exchange:
    """A question and its right treatment. `hits` is what the search returns (a SearchError: it fails); `must` are the
    strings that the answer has to contain, `seen_phrasing` tells whether training rows use the same words."""

    pattern: Pattern
    topic: str
    question: str
    think: str
    answer: str
    call: str | None = None
    result: str | None = None
    hits: tuple[Hit, ...] | SearchError = ()
    must: tuple[str, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)
    seen_phrasing: bool = True
    found: bool = True


@dataclass(frozen=True)
class Taste:
    """How exchanges are drawn. Shares are probabilities in [0, 1]."""

    side: Side
    real_share: float
    failed_search_share: float
    unseen_phrasing_share: float = 0.0


def draw_exchange(rng: random.Random, pattern: Pattern, taste: Taste) -> Exchange:
    """Draw one exchange of `pattern`; everything in it is a function of the state of `rng`."""
    return {"search": _search, "calculator": _calculate, "no_tool": _plain}[pattern](rng, taste)


def _phrasing(rng: random.Random, taste: Taste, seen: list[str], unseen: list[str]) -> tuple[str, bool]:
    if taste.side == "probe" and rng.random() < taste.unseen_phrasing_share:
        return rng.choice(unseen), False
    return rng.choice(seen), True


def _topic(rng: random.Random, topics: list[dict], taste: Taste) -> dict:
    """Draw a topic, all alike; in training one that is hard to learn comes up `drill` times as often."""
    if taste.side == "probe":
        return rng.choice(topics)
    return rng.choices(topics, weights=[topic.get("drill", 1.0) for topic in topics])[0]


def _search(rng: random.Random, taste: Taste) -> Exchange:
    topic = _topic(rng, bank("search_topics")["topic"], taste)
    name = entity(rng, topic["entity"], taste.side, real_share=taste.real_share)
    facts = {"entity": name, **draw_facts(topic["value"], rng, taste.side, about=name)}
    phrasing, seen = _phrasing(rng, taste, topic["ask"], topic["ask_probe"])
    snippet = rng.choice(topic["snippet"]).format(**facts)
    hit = Hit(url=f"https://{topic['name']}.example", title=topic["title"].format(**facts), snippet=snippet)
    hits: tuple[Hit, ...] | SearchError = (hit,)
    answer, must = rng.choice(topic["answer"]), tuple(facts[key] for key in topic["must"])
    found = rng.random() >= taste.failed_search_share
    if not found:
        failed = rng.random() < 0.5
        hits = SearchError("the search service did not answer") if failed else ()
        answer, must = rng.choice(SEARCH_FAILED if failed else NOTHING_FOUND), ()
    call = call_payload("web_search", {"query": rng.choice(topic["query"]).format(**facts), "top_k": 1})
    observation = Toolbox(search=Fixture(lambda query: hits)).run(call)
    assert observation.success is not isinstance(hits, SearchError), observation.payload
    return Exchange(
        pattern="search",
        topic=topic["name"],
        question=_as_typed(rng, phrasing.format(**facts)),
        think=rng.choice(topic["think"]).format(**facts),
        call=call,
        result=observation.payload,
        hits=hits,
        answer=_sentence(answer.format(**facts)),
        must=must,
        slots=facts,
        seen_phrasing=seen,
        found=found,
    )


def _calculate(rng: random.Random, taste: Taste) -> Exchange:
    topic = rng.choice(bank("calculator_topics")["topic"])
    while True:
        numbers = draw(topic["draw"], rng, taste.side)
        expression = topic["expression"].format(**numbers)
        try:
            value = evaluate(expression)
        except CalculatorError:
            continue
        if reads_well(value):
            break
    call = call_payload("calculator", {"expression": expression})
    observation = Toolbox(search=None).run(call)
    slots = {**numbers, "expression": expression, "value": observation_value(observation.payload)}
    phrasing, seen = _phrasing(rng, taste, topic["ask"], topic["ask_probe"])
    return Exchange(
        pattern="calculator",
        topic=topic["name"],
        question=_as_typed(rng, phrasing.format(**slots)),
        think=rng.choice(topic["think"]).format(**slots),
        call=call,
        result=observation.payload,
        answer=rng.choice(topic["answer"]).format(**slots),
        must=(slots["value"],),
        slots=slots,
        seen_phrasing=seen,
    )


def _plain(rng: random.Random, taste: Taste) -> Exchange:
    if rng.random() < EXPLAIN_SHARE:
        return _explain(rng, taste)
    topic = _topic(rng, bank("plain_topics")["task"], taste)
    slots: dict[str, str] = {}
    for slot, kind in topic["slots"].items():
        while slot not in slots or list(slots.values()).count(slots[slot]) > 1:
            slots[slot] = entity(rng, kind, taste.side, real_share=taste.real_share)
            if kind == "thing":
                slots[slot] = slots[slot].lower()
    phrasing, seen = _phrasing(rng, taste, topic["ask"], topic["ask_probe"])
    return Exchange(
        pattern="no_tool",
        topic=topic["name"],
        question=_as_typed(rng, phrasing.format(**slots)),
        think=rng.choice(topic["think"]).format(**slots),
        answer=rng.choice(topic["answer"]).format(**slots),
        must=tuple(slots[key] for key in topic["must"]),
        slots=slots,
        seen_phrasing=seen,
    )


def _explain(rng: random.Random, taste: Taste) -> Exchange:
    """How something works: a real thing, or a made-up one in a tale, so that its name must be read in the question."""
    everything = bank("concepts")["explain"]
    subject, verb, why = rng.choice([c for c in everything if side_of(f"{c[0]} {c[1]}") == taste.side])
    plain = bank("plain_topics")
    imagined = rng.random() < IMAGINED_SHARE
    if imagined:
        _, verb, why = rng.choice([c for c in everything if side_of(f"{c[0]} {c[1]}") == "train"])
        subject = word(rng, taste.side).lower() + "s"
        if taste.side == "train" and rng.random() < INVENTED_DEEDS:
            verb = named(rng, rng.choice(bank("concepts")["deeds"]), taste.side).lower()
    kind = "imagine" if imagined else "explain"
    phrasing, seen = _phrasing(rng, taste, plain[f"{kind}_ask"], plain[f"{kind}_ask_probe"])
    slots = {"s": subject, "v": verb, "why": why}
    return Exchange(
        pattern="no_tool",
        topic=kind,
        question=_as_typed(rng, phrasing.format(**slots)),
        think=rng.choice(plain["explain_think"]).format(**slots),
        answer=rng.choice(plain["explain_answer"]).format(**slots),
        must=(subject,),
        slots=slots,
        seen_phrasing=seen,
    )


def observation_value(payload: str) -> str:
    """Read the number out of a calculator's observation, exactly as it is written there."""
    return payload.split('"value":', 1)[1].split("}", 1)[0]


def _as_typed(rng: random.Random, question: str) -> str:
    """Write a question as people do: now and then without its last mark or its first capital."""
    question = question.replace("the the ", "the ").replace("last the ", "last ")  # of "the {entity}"
    if rng.random() < 0.15:
        question = question.rstrip("?.")
    if rng.random() < 0.1 and question[1:2].islower() and question.split()[0] in OPENERS:
        question = question[0].lower() + question[1:]
    return question


def _sentence(text: str) -> str:
    """Start with a capital, whatever entity comes first."""
    return text[:1].upper() + text[1:] if text[:4] == "the " else text
