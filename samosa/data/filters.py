"""Rules that keep bad rows out of training. A rule returns why it rejects, or None.

Rows that pass keep their bytes; rows that do not go to a sidecar with every reason.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from samosa import home
from samosa.chat import grammar
from samosa.chat.conversation import Conversation, Turn, parse_row
from samosa.chat.grammar import Verdict, read_parts
from samosa.chat.tools import BadCall, parse_call
from samosa.errors import BadInput

VERSION = "1"  # part of every filter stage's fingerprint: raise it when a rule decides otherwise
UNLIMITED = 1_000  # calls a turn: how many are right is a rule of its own

Rule = Callable[[Turn, Verdict], str | None]


@dataclass
class Report:
    """What a filter kept, and how often each rule rejected (a row may break several)."""

    kept: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def sift(source: Path, kept: Path, rejected: Path, *, rules: Iterable[str]) -> Report:
    """Copy the lines of `source` that pass every rule to `kept`, byte for byte; the others to `rejected`, with reasons.

    Both files appear whole or not at all. Raises BadInput for an unknown rule and for a line that is no conversation,
    naming file and line.
    """
    chosen = [(name, rule_named(name)) for name in rules]
    report = Report()
    with (
        home.atomic_path(kept) as good,
        home.atomic_path(rejected) as bad,
        good.open("wb") as good_file,
        bad.open("w", encoding="utf-8") as bad_file,
    ):
        for number, line, row in _rows(source):
            reasons = reasons_against(row, chosen)
            if not reasons:
                report.kept += 1
                good_file.write(line if line.endswith(b"\n") else line + b"\n")
                continue
            report.rejected += 1
            report.reasons.update({str(reason["rule"]) for reason in reasons})
            record = {"line": number, "reasons": reasons, "row": json.loads(line)}
            bad_file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return report


def reasons_against(row: Conversation, rules: list[tuple[str, Rule]]) -> list[dict[str, object]]:
    """Name every rule that a row breaks, with the turn (from 0) and the reason."""
    reasons: list[dict[str, object]] = []
    for index, turn in enumerate(row.turns):
        if turn.role != "assistant":
            continue
        verdict = read_parts(turn.parts, max_calls=UNLIMITED)
        for name, rule in rules:
            if (why := rule(turn, verdict)) is not None:
                reasons.append({"rule": name, "turn": index, "why": why})
    if row.turns[-1].role != "assistant" and any(name == "terminated" for name, _ in rules):
        reasons.append(
            {"rule": "terminated", "turn": len(row.turns) - 1, "why": "the conversation ends without an answer"}
        )
    return reasons


def rule_named(name: str) -> Rule:
    """Look a rule up. Raises BadInput naming the rules there are."""
    if name not in RULES:
        raise BadInput(f"there is no filter rule {name!r}", hint=f"one of: {', '.join(RULES)}")
    return RULES[name]


def _rows(path: Path) -> Iterator[tuple[int, bytes, Conversation]]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist", hint="name a JSONL file of conversations") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", hint="name a JSONL file of conversations") from None
    with file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as broken:
                raise BadInput(f"{path}:{number}: not JSON ({broken})", hint="mend or delete that line") from None
            yield number, line, parse_row(row, source=f"{path}:{number}")


def _one_of(*violations: str) -> Rule:
    """Make a rule of the grammar's verdicts."""
    return lambda turn, verdict: verdict.violation if verdict.violation in violations else None


def _answer_outside(turn: Turn, verdict: Verdict) -> str | None:
    return None if verdict.answer else "no answer outside the think block"


def _one_result(turn: Turn, verdict: Verdict) -> str | None:
    calls = sum(part.kind == "tool_call" for part in turn.parts)
    results = sum(part.kind == "tool_result" for part in turn.parts)
    if results > 1 or calls > 1:
        return f"{calls} calls and {results} results in one turn"
    return None if calls == results else f"{calls} calls but {results} results"


def _call_is_json(turn: Turn, verdict: Verdict) -> str | None:
    for part in turn.parts:
        if part.kind == "tool_call" and isinstance(call := parse_call(part.text), BadCall):
            return f"{call.code}: {call.message}"
    return None


RULES: dict[str, Rule] = {
    "closed_think": _one_of(grammar.UNCLOSED_THINK, grammar.UNOPENED_THINK, grammar.NESTED_THINK, grammar.SECOND_THINK),
    "answer_outside_think": _answer_outside,
    "call_after_think": _one_of(
        grammar.CALL_IN_THINK, grammar.THINK_AFTER_CALL, grammar.CALL_AFTER_TEXT, grammar.TEXT_BEFORE_THINK
    ),
    "one_result": _one_result,
    "call_is_json": _call_is_json,
    "terminated": _one_of(grammar.MISSING_END, grammar.EMPTY_ANSWER, grammar.AFTER_END),
    "no_marker_text": _one_of(grammar.MARKER_TEXT, grammar.STRAY_MARKER),
}
