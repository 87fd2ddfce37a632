"""Whether a completion passes its probe: the turn's structure on token ids, the call by value, the answer by its span.

Every condition is about what the model did; a harness that broke never reaches this page (see runner.py).
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from samosa.chat import grammar
from samosa.chat.calculator import CalculatorError, evaluate
from samosa.chat.search import SearchError
from samosa.chat.tokenizer import Tokenizer
from samosa.chat.tools import MAX_TOP_K, BadCall, Call, parse_call
from samosa.eval import answers, artefacts
from samosa.eval.admissions import admits_failure
from samosa.eval.found import told_otherwise
from samosa.eval.probe_types import Gold, Probe, user_turns
from samosa.eval.units import UNITS

ARGUMENTS = {"calculator": {"expression"}, "web_search": {"query", "top_k"}}
FIELD = re.compile(
    r"\b(?:success|metadata|top_k|snippet|expression|value|output|query|results|url|title|error)\b['\"]?\s*[:=]", re.I
)
RECALLS = re.compile(
    r"\b(?:what is my name|who (?:am i|i am)|(?:do you )?know my name|where (?:do i|am i|i) (?:live|from|come from)|"
    r"first (?:word )?(?:of|here)|(?:is|comes) (?:the )?first)\b",
    re.I,
)
"""Questions that ask back what they tell themselves."""
ADMISSIONS = frozenset({"could not", "couldn't"})
"""Where these are among what an answer may say, it may own in any other words that it found nothing."""
ROUNDED = re.compile(r"round\((.*),\s*2\s*\)")
JUST_A_NUMBER = re.compile(r"[\s(+\-$]*[0-9][0-9.,_\s)]*(?:e[+-]?[0-9]+)?[\s)]*", re.IGNORECASE)


@dataclass(frozen=True)
class Judgement:
    """Whether the completion passed; if not, the first reason; and the turn as the grammar read it."""

    passed: bool
    reason: str | None
    verdict: grammar.Verdict


@dataclass(frozen=True)
class Sample:
    """What came of one probe: judged, or not completed because the harness (never the model) failed."""

    probe: Probe
    prompt: int
    """Tokens of the prompt."""
    ids: tuple[int, ...]
    """Generated tokens, forced ones and `<|assistant_end|>` included."""
    forced: tuple[int, ...]
    """1 where the engine wrote the token."""
    text: str
    """The ids decoded, for a person."""
    finish: str
    """Why generation ended: end, length, cancelled or context; empty if it never began or never ended."""
    judgement: Judgement | None
    """None: not completed."""
    error: str | None = None
    """What the harness failed at; None for a completed sample."""
    crashed: bool = False
    """The engine itself broke, and with it everything that was still to come."""
    k: int = 0
    """Which try at the probe this is: 0 is greedy, 1 to K are sampled."""


def judge(
    probe: Probe,
    ids: Sequence[int],
    tokenizer: Tokenizer,
    *,
    forced: Sequence[int] | None = None,
    max_calls: int = 1,
) -> Judgement:
    """Judge the ids generated after `<|assistant_start|>` (forced results and `<|assistant_end|>` included).

    forced: one flag an id, true where the engine wrote it, as it must have written results; None where not known.
    max_calls: where the probe does not say.
    """
    max_calls = max_calls if probe.max_calls is None else probe.max_calls
    verdict = grammar.read_ids(list(ids), tokenizer, max_calls=max_calls)
    reason = (
        _structure(verdict, probe.gold)
        or _unforced(ids, forced, tokenizer)
        or _calls(verdict, ids, probe, tokenizer)
        or _answer(verdict.answer, verdict, probe)
    )
    return Judgement(passed=reason is None, reason=reason, verdict=verdict)


def fails_on_purpose(probe: Probe) -> bool:
    """Tell whether this probe's search finds nothing or fails, so that the right answer is to say so."""
    return probe.gold.tool == "web_search" and all(isinstance(h, SearchError) or not h for h in probe.hits.values())


def _structure(verdict: grammar.Verdict, gold: Gold) -> str | None:
    if verdict.violation is not None:
        return f"grammar: {verdict.violation}"
    if gold.think and not (verdict.think or "").strip():
        return "no thinking" if verdict.think is None else "empty think block"
    return None


def _unforced(ids: Sequence[int], forced: Sequence[int] | None, tokenizer: Tokenizer) -> str | None:
    """A result that the model wrote itself is an invention, whatever it says."""
    if forced is None:
        return None
    inside, opens, closes = False, tokenizer.special("output_start"), tokenizer.special("output_end")
    for token, by_engine in zip(ids, forced, strict=True):
        inside = inside or token == opens
        if inside and not by_engine:
            return "the model wrote a tool result itself"
        inside = inside and token != closes
    return None


def _calls(verdict: grammar.Verdict, ids: Sequence[int], probe: Probe, tokenizer: Tokenizer) -> str | None:
    gold = probe.gold
    most = 1 if probe.max_calls is None else probe.max_calls
    if gold.tool is None and not gold.may_call:
        # Asked of the ids as well: a call too broken to read is still a call.
        called = verdict.calls or tokenizer.special("python_start") in ids
        return "called a tool where none is needed" if called else None
    if gold.tool is not None and not 1 <= len(verdict.calls) <= max(1, most):
        return f"{len(verdict.calls) or 'no'} calls, not {'one' if most <= 1 else f'1 to {most}'}"
    calls: list[Call] = []
    for payload in verdict.calls:
        call = parse_call(payload)
        if isinstance(call, BadCall):
            return f"malformed call: {call.message}"
        if call.legacy:
            return "malformed call: an expression, not JSON"
        if call.tool != gold.tool and call.tool not in gold.may_call:
            return f"wrong tool: {call.tool}, not {gold.tool or ' or '.join(gold.may_call)}"
        if wrong := _well_formed(call):
            return wrong
        calls.append(call)
    wanted = [call for call in calls if call.tool == gold.tool]
    if gold.tool is not None and not wanted:
        return f"wrong tool: {calls[-1].tool}, not {gold.tool}"
    # Of several, one calculates the result or asks for all that is to be asked: which, is the model's to choose.
    faults = [_arguments(call, probe) for call in wanted]
    if faults and None not in faults:
        return faults[-1]
    return _observation(verdict.results, len(calls), probe)


def _well_formed(call: Call) -> str | None:
    """Why no tool would take a call's arguments, or None."""
    arguments = dict(call.arguments)
    if call.tool not in ARGUMENTS:
        return f"wrong tool: {call.tool}"
    if unknown := sorted(set(arguments) - ARGUMENTS[call.tool]):
        return f"wrong arguments: {call.tool} takes no {unknown[0]}"
    name = "expression" if call.tool == "calculator" else "query"
    text = arguments.get(name)
    if not isinstance(text, str) or not text.strip():
        return f"wrong arguments: no {name}"
    top_k = arguments.get("top_k", 1)
    if isinstance(top_k, bool) or not isinstance(top_k, int) or not 1 <= top_k <= MAX_TOP_K:
        return f"wrong arguments: top_k is {top_k!r}, not 1 to {MAX_TOP_K}"
    return None


def _arguments(call: Call, probe: Probe) -> str | None:
    if call.tool == "calculator":
        return _expression(str(call.arguments["expression"]), probe.gold)
    query = answers.plain(str(call.arguments["query"]))
    for must in probe.gold.query_must:
        if answers.plain(must) not in query:
            return f"wrong arguments: {must!r} is not in the query {call.arguments['query']!r}"
    return None


def _expression(expression: str, gold: Gold) -> str | None:
    if JUST_A_NUMBER.fullmatch(expression):
        return "wrong arguments: the expression calculates nothing"
    try:
        value = Decimal(str(evaluate(expression)))  # a float by the digits it shows
    except CalculatorError as error:
        return f"wrong arguments: {error}"
    if gold.value is not None and abs(value - gold.value) > gold.tolerance:
        return f"wrong arguments: the expression is {value}, not {gold.value}"
    return None


def _observation(results: Sequence[str], calls: int, probe: Probe) -> str | None:
    """A tool that refused the call did so for the call's sake: its backend was checked before judging."""
    if len(results) != calls:
        return f"{len(results) or 'no'} tool results, not {'one' if calls == 1 else calls}"
    if fails_on_purpose(probe):
        return None
    for text in results:
        try:
            result = json.loads(text)
        except ValueError:
            return "the tool result is not JSON"
        if not isinstance(result, dict) or result.get("success") is not True:
            return "the tool answered the call with an error"
    return None


def _answer(answer: str, verdict: grammar.Verdict, probe: Probe) -> str | None:
    gold, text = probe.gold, answer.strip()
    if len(text) < max(1, gold.min_answer_chars):
        return f"answer too short: {len(text)} characters" if text else "empty answer"
    if gold.max_answer_chars is not None and len(text) > gold.max_answer_chars:
        return f"answer too long: {len(text)} characters, not {gold.max_answer_chars}"
    if (found := artefacts.artefact(text, gold.marks)) is not None:
        return f"artefact in the answer: {found}"
    if not gold.may_refuse and not fails_on_purpose(probe) and artefacts.refuses(text):
        return "refuses to answer"
    return (
        _value(text, verdict, probe)
        or _claims(text, probe)
        or _mentions(text, probe)
        or _form(text, gold)
        or _dumped(text, verdict.results)
        or _look_alike(text)
    )


def _claims(text: str, probe: Probe) -> str | None:
    """Why the answer does not say what is right."""
    gold, given = probe.gold, "\n".join(user_turns(probe))
    last = answers.plain(user_turns(probe)[-1])
    if answers.plain(text) in (last, *(re.split(r"(?<=[.!?]) ", last) if RECALLS.search(last) else ())):
        return "the answer only repeats the question"
    for needle in gold.answer_is:
        if (fault := answers.says(text, needle, given, rivals=gold.rivals, strict=True)) is not None:
            return f"the answer does not say {needle!r}" + ("" if fault == "is not said" else f": it {fault}")
    for needle in gold.answer_must:
        if not answers.contains(text, needle):
            return f"the answer does not say {needle!r}"
        # What was found has to be told as it was found; words that a question gives, or a tale, may stand anyhow.
        fault = None
        if gold.tool == "web_search":
            fault = told_otherwise(text, needle, given, _found(probe))
        elif gold.tool is None and RECALLS.search(given):
            fault = answers.says(text, needle, "")
        if fault is not None:
            return f"the answer does not say {needle!r}: it {fault}"
    return None


def _value(text: str, verdict: grammar.Verdict, probe: Probe) -> str | None:
    """Why the answer does not say the value; of one that is rounded, the exact one that was calculated is right too."""
    gold, given = probe.gold, "\n".join(user_turns(probe))
    if gold.value is None:
        return None
    fault = answers.says_value(text, gold.value, gold.tolerance, given, unit=gold.unit)
    exact = None if fault is None else _exact(verdict, gold)
    if exact is not None and answers.says_value(text, exact, gold.tolerance, given, unit=gold.unit) is None:
        return None
    if fault is None:
        return None
    return f"the answer does not say {gold.value}" + ("" if fault == "is not said" else f": it {fault}")


def _exact(verdict: grammar.Verdict, gold: Gold) -> Decimal | None:
    """What the last call calculates before it is rounded to cents, if `gold.value` is that, rounded; else None."""
    call = parse_call(verdict.calls[-1]) if verdict.calls else None
    if not isinstance(call, Call) or call.tool != "calculator" or gold.value is None:
        return None
    expression = str(call.arguments.get("expression", "")).strip()
    try:
        value = Decimal(str(evaluate(match[1] if (match := ROUNDED.fullmatch(expression)) else expression)))
    except CalculatorError:
        return None
    return value if abs(value - gold.value) <= gold.tolerance else None


def _found(probe: Probe) -> str:
    """The texts of all that a probe's search finds."""
    return "\n".join(hit.snippet for hits in probe.hits.values() if not isinstance(hits, SearchError) for hit in hits)


def _mentions(text: str, probe: Probe) -> str | None:
    gold, fails = probe.gold, fails_on_purpose(probe)
    known = gold.value is not None and gold.unit is not None and answers.plain(gold.unit) in UNITS
    if gold.unit and not known and not answers.contains(text, gold.unit):
        return f"the answer does not say {gold.unit!r}"
    for group in gold.answer_any:
        if fails and ADMISSIONS & set(group):
            if not admits_failure(text):
                return f"the answer says none of {', '.join(map(repr, group))}, nor that nothing was found"
            continue
        if not any(answers.contains(text, needle) for needle in group):
            return f"the answer says none of {', '.join(map(repr, group))}"
    for needle in gold.answer_must_not:
        if answers.contains(text, needle):
            return f"the answer says {needle!r}"
    return None


def _form(text: str, gold: Gold) -> str | None:
    for pattern in gold.matches:
        if re.search(pattern, text, re.IGNORECASE | re.MULTILINE) is None:
            return f"the answer has not the form {pattern}"
    return None


def _dumped(text: str, results: Sequence[str]) -> str | None:
    """An answer that is the tool's result itself, or its fields one after the other."""
    said = answers.plain(text)
    for result in results:
        shown = [answers.plain(part) for part in _strings(result)]
        if len(result) > 20 and answers.plain(result) in said:
            return "echoes the tool's result"
        if sum(part in said for part in shown if part.startswith("http")) and sum(part in said for part in shown) > 2:
            return "echoes the tool's result"
    return "echoes the tool's result" if len(FIELD.findall(text)) > 1 else None


def _strings(result: str) -> list[str]:
    """The texts in a search's result."""
    try:
        record = json.loads(result)
        hits = record["output"]["results"]
        return [text for hit in hits for text in hit.values() if isinstance(text, str) and text]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _look_alike(text: str) -> str | None:
    found = artefacts.look_alike(text)
    return None if found is None else f"look-alike characters in the answer: {found}"
