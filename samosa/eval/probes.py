"""The joint suite: can the model think, choose a tool or none, and answer from what came back?

Instances are drawn by seed from the side of the names and numbers that no training row may use; a third of them are
phrased as no training row is. What the search returns is random for each instance, so only a grounded answer is right.
"""

import hashlib
import json
import random
from decimal import Decimal

from samosa.chat.conversation import Conversation, parse_row
from samosa.chat.prompts import THINK_SYSTEM, with_system
from samosa.chat.search import Hit
from samosa.data.generate.exchange import PATTERNS, Exchange, Taste, draw_exchange
from samosa.eval.probe_types import Gold, Probe

VERSION = "joint-7"  # raise it when the same seed gives other probes: scores of two versions are not comparable
UNSEEN_PHRASINGS = 1 / 3
REAL_NAMES = 0.25  # the rest are made up, so that an answer can not come from memory
FAILED_SEARCHES = 0.05

ADMITS_FAILURE = ("could not", "couldn't", "can not", "cannot", "can't", "unable", "failed", "nothing", "no results")


def joint_suite(*, seed: int, per_pattern: int) -> list[Probe]:
    """Draw `per_pattern` probes of each pattern and add the roadmap's three; the same seed gives the same probes."""
    probes = [roadmap_weather(seed), roadmap_tip(), roadmap_airplanes()]
    for pattern in PATTERNS:
        rng = random.Random(f"{VERSION}:{seed}:{pattern}")
        asked: set[str] = set()
        while len(asked) < per_pattern:
            taste = Taste(
                side="probe",
                real_share=REAL_NAMES,
                failed_search_share=FAILED_SEARCHES,
                unseen_phrasing_share=UNSEEN_PHRASINGS,
            )
            exchange = draw_exchange(rng, pattern, taste)
            if exchange.question not in asked:
                asked.add(exchange.question)
                probes.append(probe_of(f"{pattern}-{seed}-{len(asked):03d}", exchange))
    return probes


def suite_hash(probes: list[Probe]) -> str:
    """Identify a suite by what it asks and expects: two records with one hash were judged by the same probes."""
    digest = hashlib.sha256(VERSION.encode())
    for probe in probes:
        question = probe.conversation.turns[-1].text
        digest.update(json.dumps([probe.id, question, repr(probe.gold)], ensure_ascii=True).encode())
    return digest.hexdigest()[:16]


def question_of(probe: Probe) -> str:
    """The probe's question without its system prompt."""
    return probe.conversation.turns[-1].text.removeprefix(with_system(THINK_SYSTEM, ""))


def roadmap_weather(seed: int) -> Probe:
    """'What's the weather in Seoul': web_search is called and its answer is repeated outside the think block."""
    rng = random.Random(f"{VERSION}:{seed}:seoul")
    degrees, sky = str(rng.randint(2, 44)), rng.choice(["sunny", "cloudy", "rainy", "windy", "foggy"])
    hit = Hit(
        url="https://weather.example",
        title="Seoul weather",
        snippet=f"Seoul today: {degrees} degrees and {sky}.",
    )
    return Probe(
        id="roadmap-weather",
        pattern="search",
        template="roadmap",
        conversation=_ask("What's the weather in Seoul?"),
        hits={"": (hit,)},
        gold=Gold(tool="web_search", query_must=("Seoul",), answer_must=(degrees, sky)),
        roadmap=True,
    )


def roadmap_tip() -> Probe:
    """'Calculate a 17% tip on $45': thinks, calls the calculator, says $7.65."""
    return Probe(
        id="roadmap-tip",
        pattern="calculator",
        template="roadmap",
        conversation=_ask("Calculate a 17% tip on $45."),
        gold=Gold(tool="calculator", value=Decimal("7.65")),
        roadmap=True,
    )


def roadmap_airplanes() -> Probe:
    """'How do airplanes fly': thinks, calls nothing, answers outside the think block."""
    return Probe(
        id="roadmap-airplanes",
        pattern="no_tool",
        template="roadmap",
        conversation=_ask("How do airplanes fly?"),
        gold=Gold(
            tool=None, answer_any=(("airplane", "airplanes", "plane", "planes", "wing", "wings"),), min_answer_chars=20
        ),
        roadmap=True,
    )


def _ask(question: str) -> Conversation:
    row = {"messages": [{"role": "user", "content": with_system(THINK_SYSTEM, question)}]}
    return parse_row(row, source="joint probes")


def probe_of(name: str, exchange: Exchange) -> Probe:
    """Turn an exchange into a probe: its question under the think prompt, and what its right answer has to hold."""
    phrasing = "seen" if exchange.seen_phrasing else "unseen"
    return Probe(
        id=name,
        pattern=exchange.pattern,
        template=f"{exchange.pattern}/{exchange.topic}/{phrasing}",
        conversation=_ask(exchange.question),
        hits={"": exchange.hits},
        gold=_gold(exchange),
    )


def _gold(exchange: Exchange) -> Gold:
    if exchange.pattern == "calculator":
        return Gold(tool="calculator", value=Decimal(exchange.slots["value"]))
    if exchange.pattern == "no_tool":
        return Gold(tool=None, answer_must=exchange.must, min_answer_chars=4)
    entity = exchange.slots["entity"].removeprefix("the ")
    if not exchange.found:
        return Gold(tool="web_search", query_must=(entity,), answer_any=(ADMITS_FAILURE,))
    return Gold(tool="web_search", query_must=(entity,), answer_must=exchange.must)
