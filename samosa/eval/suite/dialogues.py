"""Dialogues with scripted earlier turns, as follow-ups need them."""

from dataclasses import replace

from samosa.chat.payloads import call_payload
from samosa.chat.search import Fixture
from samosa.chat.tools import Toolbox
from samosa.eval.probe_types import Gold
from samosa.eval.suite.parts import hit
from samosa.eval.suite.types import Drawn, System

BETWEEN = (
    ("What is a good way to cool down tea?", "Pour it into a wide cup and wait for a few minutes."),
    ("How do I get wax off a table?", "Let it harden, and lift it with something flat."),
    ("Thanks! Should I water a cactus every day?", "No, a little water every two weeks is enough."),
    ("Why do boats float?", "They push away water that weighs as much as they do."),
)
THOUGHT = "<think>\nI see what is meant.\n</think>\n"


def talk(system: System, *turns: str) -> tuple[str, ...]:
    """The dialogue; under the think prompt the earlier answers begin with a thought, as those in training do."""
    thought = THOUGHT if system == "think" else ""
    return tuple(thought + turn if number % 2 else turn for number, turn in enumerate(turns))


def asked_again(system: System, *turns: str, is_: str, rivals: tuple[str, ...] = ()) -> Drawn:
    """A dialogue whose last question is answered by an earlier turn, with `is_`; a twin's answer must not say that."""
    gold = Gold(tool=None, answer_is=(is_,), rivals=rivals)
    return Drawn(turns=talk(system, *turns), gold=gold, system=system, names=(is_,))


def pair(one: Drawn, other: Drawn) -> Drawn:
    """Two that have to pass together."""
    return replace(one, twin=other)


def looked_up(query: str, snippet: str, answer: str) -> str:
    """An earlier answer that came from a search."""
    call = call_payload("web_search", {"query": query, "top_k": 1})
    result = Toolbox(search=Fixture(lambda query: [hit("News", snippet)])).run(call).payload
    return f"<|python_start|>{call}<|python_end|><|output_start|>{result}<|output_end|>{answer}"


def searched(
    system: System, turns: tuple[str, ...], about: str, snippet: str, *says: str, never: tuple[str, ...] = ()
) -> Drawn:
    """A dialogue whose last question is about `about`, which only an earlier turn names, and takes a search."""
    gold = Gold(tool="web_search", query_must=(about,), answer_must=says, answer_must_not=never)
    return Drawn(turns=talk(system, *turns), gold=gold, hits={"": (hit(about, snippet),)}, system=system, names=says)
