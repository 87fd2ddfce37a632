"""A seed's full suite: the anchors, and as many instances of the templates as a recipe asks for."""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from samosa.chat.conversation import Conversation, parse_row
from samosa.chat.prompts import DEFAULT_SYSTEM, THINK_SYSTEM, with_system
from samosa.errors import BadInput
from samosa.eval.probe_types import Pattern, Probe
from samosa.eval.suite.anchors import Anchor, anchors
from samosa.eval.suite.content import TEMPLATES
from samosa.eval.suite.types import CATEGORIES, VERSION, Drawn, System, Template

__all__ = ["CATEGORIES", "VERSION", "full_suite", "suite_hash"]

ATTEMPTS = 20  # draws of a template before it is taken to have nothing new to ask
ANCHOR_SHARE = 0.5  # of a category's instances at most
PATTERN: dict[str | None, Pattern] = {"web_search": "search", "calculator": "calculator", None: "no_tool"}
SYSTEMS: dict[System, str] = {"think": THINK_SYSTEM, "default": DEFAULT_SYSTEM}


def full_suite(*, seed: int, per_category: int, counts: Mapping[str, int]) -> list[Probe]:
    """Draw `per_category` instances of each category, or what `counts` says of it; the same seed gives the same probes.

    A category's anchors come first (all, unless they were more than half of it), the rest is drawn evenly from its
    templates. Where the last is a pair it has one instance more. No question is asked twice. Raises BadInput for a
    count of an unknown category, and where the templates cannot ask that many different questions.
    """
    if unknown := sorted(set(counts) - set(CATEGORIES)):
        raise BadInput(f"full.counts names {unknown[0]}, which is no category", hint=f"have: {', '.join(CATEGORIES)}")
    return [probe for name in CATEGORIES for probe in _category(name, seed, counts.get(name, per_category))]


def suite_hash(probes: Sequence[Probe]) -> str:
    """Identify a suite by all that it asks, answers searches with and expects."""
    digest = hashlib.sha256(VERSION.encode())
    for probe in probes:
        asked = [[turn.role, [[part.kind, part.text] for part in turn.parts]] for turn in probe.conversation.turns]
        fields = [probe.id, probe.pair, probe.max_calls, asked, repr(dict(probe.hits)), repr(vars(probe.gold))]
        digest.update(json.dumps(fields, ensure_ascii=True).encode())
    return digest.hexdigest()[:16]


def _category(category: str, seed: int, count: int) -> list[Probe]:
    """Exactly `count` probes, or one more where the last is a pair."""
    order = random.Random(f"{VERSION}:{seed}:{category}")
    probes: list[Probe] = []
    chosen = _some(anchors(category), count, order)
    for anchor in chosen:
        probes += _probes(f"anchor-{anchor.name}", f"anchor/{anchor.name}", category, anchor.drawn(seed))
    asked = {question for anchor in chosen for question in _questions(anchor.drawn(seed))}
    templates = [template for template in TEMPLATES if template.category == category]
    order.shuffle(templates)
    fresh = {template.name: _instances(template, seed) for template in templates}
    number = 0
    while len(probes) < count and templates:
        for template in list(templates):
            drawn = next((one for one in _few(fresh[template.name]) if not _questions(one) & asked), None)
            if drawn is None:
                templates.remove(template)
            elif len(probes) < count:
                number += 1
                asked |= _questions(drawn)
                probes += _probes(f"{category}-{seed}-{number:03d}", f"{category}/{template.name}", category, drawn)
    if len(probes) < count:
        raise BadInput(
            f"{category} has {len(probes)} different questions, not {count}",
            hint=f"--set full.counts.{category}={len(probes)}",
        )
    return probes


def _some(all_anchors: Sequence[Anchor], count: int, rng: random.Random) -> list[Anchor]:
    most = max(1, int(count * ANCHOR_SHARE))
    if len(all_anchors) <= most:
        return list(all_anchors)
    chosen = set(rng.sample(range(len(all_anchors)), most))
    return [anchor for number, anchor in enumerate(all_anchors) if number in chosen]


def _instances(template: Template, seed: int) -> Iterator[Drawn]:
    rng = random.Random(f"{VERSION}:{seed}:{template.category}:{template.name}")
    while True:
        yield template.make(rng)


def _few(instances: Iterator[Drawn]) -> Iterator[Drawn]:
    for _ in range(ATTEMPTS):
        yield next(instances)


def _questions(drawn: Drawn) -> set[tuple[str, ...]]:
    return {drawn.turns} | ({drawn.twin.turns} if drawn.twin else set())


def _probes(name: str, template: str, category: str, drawn: Drawn) -> list[Probe]:
    """The probe of an instance, or the two of a pair: neither answer may say what only the other's says."""
    if drawn.twin is None:
        return [_probe(name, template, category, drawn)]
    assert drawn.twin.twin is None, f"{template}: a twin has no twin"
    sides = ((f"{name}a", drawn, drawn.twin), (f"{name}b", drawn.twin, drawn))
    return [_probe(own_name, template, category, own, pair=name, others=other.names) for own_name, own, other in sides]


def _probe(
    name: str, template: str, category: str, drawn: Drawn, *, pair: str = "", others: tuple[str, ...] = ()
) -> Probe:
    gold = replace(
        drawn.gold,
        think=drawn.system == "think",
        answer_must_not=(*drawn.gold.answer_must_not, *others),
    )
    return Probe(
        id=name,
        pattern=PATTERN[gold.tool],
        template=template,
        conversation=_conversation(drawn, template),
        gold=gold,
        hits=drawn.hits,
        category=category,
        pair=pair,
        max_calls=drawn.max_calls,
    )


def _conversation(drawn: Drawn, where: str) -> Conversation:
    assert len(drawn.turns) % 2, f"{where}: the last turn is not the user's"
    first, *others = drawn.turns
    asked = first if drawn.system == "none" else with_system(SYSTEMS[drawn.system], first)
    messages = [
        {"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate((asked, *others))
    ]
    return parse_row({"messages": messages}, source=where)
