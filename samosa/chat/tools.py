"""From the payload between tool markers to the observation that answers it. Nothing here raises at a model's words."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from samosa.chat.calculator import CalculatorError, evaluate, format_value
from samosa.chat.conversation import result_payload
from samosa.chat.search import Search, SearchError

CALCULATOR = "calculator"
WEB_SEARCH = "web_search"
UNKNOWN = "unknown"
DEFAULT_TOP_K = 3
MAX_TOP_K = 8
MAX_NAME = 64  # characters of a tool's name repeated in an observation


@dataclass(frozen=True)
class Call:
    """A call that can be read. `legacy`: a bare calculator expression, as nanochat's models write them."""

    tool: str
    arguments: dict[str, Any]
    legacy: bool = False


@dataclass(frozen=True)
class BadCall:
    """A call that cannot be read. code: "empty", "bad_json" or "bad_call"."""

    code: str
    message: str


@dataclass(frozen=True)
class Observation:
    """What the model is shown: `payload` goes between the output markers, as ordinary text."""

    payload: str
    tool: str
    success: bool


class _Refused(Exception):
    """A tool says no; the text goes into the observation."""


def parse_call(payload: str) -> Call | BadCall:
    """Read the payload of a call.

    One that opens with "{" or "[" is JSON, {"tool": name, "arguments": {...}} (or the fork's other names for the two
    keys); broken JSON is a bad call, never an expression. Anything else is a legacy calculator expression.
    """
    text = payload.strip()
    if not text:
        return BadCall("empty", "the call is empty")
    if text[0] not in "{[":
        return Call(CALCULATOR, {"expression": text}, legacy=True)
    try:
        record = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return BadCall("bad_json", "the call is not valid JSON")
    if not isinstance(record, dict):
        return BadCall("bad_call", "the call is not a JSON object")
    tool = _first(record, "tool", "tool_name", "name")
    arguments = _first(record, "arguments", "args")
    if not isinstance(tool, str) or not tool:
        return BadCall("bad_call", "the call names no tool")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        return BadCall("bad_call", "the arguments are not a JSON object")
    return Call(tool, arguments)


def _first(record: dict[str, Any], *keys: str) -> Any:
    return next((record[key] for key in keys if key in record), None)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def failure(message: str, *, tool: str = UNKNOWN) -> Observation:
    """An observation that says what went wrong."""
    return Observation(result_payload(tool, None, False, message), tool, False)


class Toolbox:
    """The tools a conversation has. `search` None: there is no web_search; calculator False: no calculator."""

    def __init__(self, search: Search | None, *, calculator: bool = True) -> None:
        self._search = search
        self._tools: dict[str, Callable[[dict[str, Any]], Any]] = {}
        if calculator:
            self._tools[CALCULATOR] = self._calculate
        if search is not None:
            self._tools[WEB_SEARCH] = self._find

    def run(self, payload: str) -> Observation:
        """Do what `payload` asks. Never raises: whatever goes wrong is an observation with success false.

        A JSON call is answered with a JSON result; a legacy expression with the bare value, as nanochat does.
        """
        call = parse_call(payload)
        if isinstance(call, BadCall):
            return failure(f"{call.code}: {call.message}")
        tool = call.tool[:MAX_NAME]
        if call.tool not in self._tools:
            return failure(f"there is no tool called {tool}", tool=tool)
        try:
            output = self._tools[call.tool](call.arguments)
            text = format_value(output["value"]) if call.legacy else result_payload(tool, output)
        except (_Refused, CalculatorError) as error:
            return failure(str(error), tool=tool)
        except SearchError as error:
            return failure(f"search failed: {error}", tool=tool)
        except Exception as error:  # noqa: BLE001  a broken search must not end the other rows of the batch
            return failure(f"the tool broke: {type(error).__name__}", tool=tool)
        return Observation(text, tool, True)

    def _calculate(self, arguments: dict[str, Any]) -> dict[str, Any]:
        _only(arguments, "expression")
        expression = _text(arguments, "expression")
        return {"expression": expression, "value": evaluate(expression)}

    def _find(self, arguments: dict[str, Any]) -> dict[str, Any]:
        _only(arguments, "query", "top_k")
        query = _text(arguments, "query")
        top_k = arguments.get("top_k", DEFAULT_TOP_K)
        if not isinstance(top_k, int) or isinstance(top_k, bool):
            raise _Refused("top_k is a whole number from 1 to 8")
        assert self._search is not None
        hits = self._search.search(query, max(1, min(top_k, MAX_TOP_K)))
        results = [{"url": hit.url, "title": hit.title, "snippet": hit.snippet} for hit in hits]
        return {"query": query, "results": results}


def _only(arguments: dict[str, Any], *known: str) -> None:
    for name in arguments:
        if name not in known:
            raise _Refused(f"unknown argument {name[:MAX_NAME]}: the tool takes {' and '.join(known)}")


def _text(arguments: dict[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise _Refused(f"the argument {name} is missing")
    return value.strip()
