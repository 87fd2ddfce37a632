"""Which exchanges our own teacher drew for training: they share phrasings with the probes, never a name or numbers.

An exchange is the teacher's when its question is one of its training phrasings, what stands in the slots is on the
training side of the line (generate/sides.py), and call and answer are what the teacher writes for just these slots. A
copied probe with other numbers or names is none: nobody but the teacher writes all of that.
"""

import functools
import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samosa.chat.payloads import call_payload
from samosa.chat.prompts import DEFAULT_SYSTEM, SYSTEM_JOINER, THINK_SYSTEM
from samosa.data.generate.english import lines
from samosa.data.generate.exchange import NOTHING_FOUND, SEARCH_FAILED
from samosa.data.generate.numbers import DRAWS
from samosa.data.generate.quoting import ASK
from samosa.data.generate.sides import bank, on_side, side_of

THOUGHT = re.compile(r"<think>\n.*?\n</think>\n", re.DOTALL)
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Phrasing:
    """One way to ask, and the topic it asks about."""

    pattern: str
    """search, calculator, task or explain."""
    topic: Mapping[str, Any]
    asks: re.Pattern[str]


def without_system(text: str) -> str:
    """A user turn's text without the system prompt that production puts in front of it."""
    for system in (THINK_SYSTEM, DEFAULT_SYSTEM):
        text = text.removeprefix(system + SYSTEM_JOINER)
    return text


def texts_of(row: Any) -> frozenset[str]:
    """All texts of those exchanges of a row that are the teacher's, questions without system prompts."""
    messages = row.get("messages") if isinstance(row, dict) else None
    found: set[str] = set()
    if not isinstance(messages, list):
        return frozenset()
    for asked, answered in itertools.pairwise(messages):
        if not (isinstance(asked, dict) and isinstance(answered, dict) and asked.get("role") == "user"):
            continue
        question, parts = asked.get("content"), answered.get("content")
        if isinstance(question, str) and isinstance(parts, list) and _is_drawn(without_system(question), parts):
            found |= {without_system(question), *(part["text"] for part in parts)}
    return frozenset(found)


def _is_drawn(question: str, content: list[Any]) -> bool:
    if not all(_is_part(part) for part in content):
        return False
    calls = [part["text"] for part in content if part["type"] == "python"]
    texts = [part["text"] for part in content if part["type"] == "text"]
    if not texts:
        return False
    answer = THOUGHT.sub("", texts[-1], count=1)
    if not calls and any(question == ask.format(line=answer) for ask in ASK):
        return answer in _lines()
    for phrasing in _phrasings(question):
        match = phrasing.asks.fullmatch(question)
        if match is not None and CHECKS[phrasing.pattern](phrasing.topic, match.groupdict(), calls, answer):
            return True
    return False


def _searched(topic: Mapping[str, Any], slots: dict[str, str], calls: list[Any], answer: str) -> bool:
    for entity in (slots["entity"], "the " + slots["entity"]):
        queries = {call_payload("web_search", {"query": q.format(entity=entity), "top_k": 1}) for q in topic["query"]}
        templates = [*topic["answer"], *NOTHING_FOUND, *SEARCH_FAILED]
        if len(calls) == 1 and calls[0] in queries and _trains(entity, topic["entity"]):
            return _is_one_of(answer, templates, {"entity": entity})
    return False


def _calculated(topic: Mapping[str, Any], slots: dict[str, str], calls: list[Any], answer: str) -> bool:
    names = _numbers_of(topic["draw"])
    if set(names) - set(slots) or side_of(":".join(slots[name] for name in names)) != "train":
        return False
    expression = topic["expression"].format(**slots)
    return calls == [call_payload("calculator", {"expression": expression})] and _is_one_of(
        answer, topic["answer"], slots
    )


def _wrote(topic: Mapping[str, Any], slots: dict[str, str], calls: list[Any], answer: str) -> bool:
    trained = all(_trains(slots[name], kind) for name, kind in topic["slots"].items() if name in slots)
    return not calls and trained and _is_one_of(answer, topic["answer"], slots)


def _explained(topic: Mapping[str, Any], slots: dict[str, str], calls: list[Any], answer: str) -> bool:
    real = f"{slots['s']} {slots['v']}" in _concepts("train")
    imagined = _all_train(slots["s"].removesuffix("s")) and _is_deed(slots["v"])
    return not calls and (real or imagined) and _is_one_of(answer, topic["answer"], slots)


CHECKS = {"search": _searched, "calculator": _calculated, "task": _wrote, "explain": _explained}


def _is_deed(verb: str) -> bool:
    if any(concept[1] == verb for concept in bank("concepts")["explain"]):
        return True
    return any(_shape_holds(shape, verb) for shape in bank("concepts")["deeds"])


def _trains(name: str, kind: str) -> bool:
    """Whether the training side may name a thing of this kind so."""
    if name.casefold() in _known(kind):
        return True
    shapes = bank("banks")[kind]["shapes"] + bank("banks")[kind].get("drills", [])
    return any(_shape_holds(shape, name) for shape in shapes)


@functools.cache
def _lines() -> frozenset[str]:
    """What quoting rows repeat."""
    return frozenset(lines())


@functools.cache
def _known(kind: str) -> frozenset[str]:
    """Real names of a kind on the training side."""
    return frozenset(name.casefold() for name in on_side(bank("banks")[kind].get("real", []), "train"))


def _shape_holds(shape: str, name: str) -> bool:
    match = _shape(shape).fullmatch(name)
    return match is not None and all(_all_train(word) for word in match.groups())


@functools.cache
def _shape(shape: str) -> re.Pattern[str]:
    return re.compile(re.escape(shape).replace(re.escape("{w}"), r"([^\W\d_]+)"), re.IGNORECASE)


def _all_train(word: str) -> bool:
    return word.isalpha() and side_of(word) == "train"


@functools.cache
def _concepts(side: str) -> frozenset[str]:
    named = (f"{subject} {verb}" for subject, verb, _ in bank("concepts")["explain"])
    return frozenset(one for one in named if side_of(one) == side)


@functools.cache
def _numbers_of(draw: str) -> tuple[str, ...]:
    return tuple(DRAWS[draw](random.Random(0)))


def _is_part(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and part.get("type") in ("text", "python", "python_output")
        and isinstance(part.get("text"), str)
    )


def _is_one_of(answer: str, templates: Sequence[str], slots: Mapping[str, str]) -> bool:
    """Whether an answer is one of the templates with these slots; slots that the question does not fill are free."""
    return any(_is_filled(answer.casefold(), template, slots) for template in templates)


def _is_filled(answer: str, template: str, slots: Mapping[str, str]) -> bool:
    known = SLOT.sub(lambda match: slots.get(match[1], "\0"), template).casefold()
    head, *pieces = known.split("\0")
    if not pieces:
        return answer == known
    if not answer.startswith(head) or not answer.endswith(pieces[-1]):
        return False
    at = len(head)
    for piece in pieces[:-1]:
        at = answer.find(piece, at + 1)
        if at < 0:
            return False
        at += len(piece)
    return at < len(answer) - len(pieces[-1])


def _phrasings(question: str) -> Iterator[Phrasing]:
    """The phrasings that a question may be, by its first word."""
    first = question.split(" ", 1)[0].rstrip("?.,").casefold()
    yield from _by_first_word().get(first, ())
    yield from _by_first_word().get("", ())


@functools.cache
def _by_first_word() -> dict[str, list[Phrasing]]:
    found: dict[str, list[Phrasing]] = {}
    for pattern, topic, template in _asks():
        first = template.split(" ", 1)[0].rstrip("?.,").casefold()
        found.setdefault("" if "{" in first else first, []).append(Phrasing(pattern, topic, _asked(template)))
    return found


def _asks() -> Iterator[tuple[str, Mapping[str, Any], str]]:
    plain = bank("plain_topics")
    explain = {"answer": plain["explain_answer"]}
    yield from (("search", topic, ask) for topic in bank("search_topics")["topic"] for ask in topic["ask"])
    yield from (("calculator", topic, ask) for topic in bank("calculator_topics")["topic"] for ask in topic["ask"])
    yield from (("task", topic, ask) for topic in plain["task"] for ask in topic["ask"])
    yield from (("explain", explain, ask) for ask in (*plain["explain_ask"], *plain["imagine_ask"]))


def _asked(template: str) -> re.Pattern[str]:
    """A phrasing as people type it: perhaps without its last mark, or its first capital."""
    body = template.rstrip("?.")
    seen: set[str] = set()
    pattern = ""
    for number, piece in enumerate(SLOT.split(body)):
        if number % 2 == 0:
            pattern += re.escape(piece)
        else:
            pattern += f"(?P={piece})" if piece in seen else f"(?P<{piece}>.+?)"
            seen.add(piece)
    return re.compile(f"{pattern}[?.]*", re.IGNORECASE)
