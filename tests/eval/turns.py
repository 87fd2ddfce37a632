"""Generated turns put together from pieces, for the tests of judging."""

from decimal import Decimal

from samosa.chat.conversation import parse_row
from samosa.chat.payloads import call_payload, result_payload
from samosa.chat.search import Hit, SearchError
from samosa.eval.probe_types import Gold, Probe

THINK = "<think>The tool knows.</think>"
FOUND = "could not", "couldn't", "unable"


def ask(question="Well?"):
    return parse_row({"messages": [{"role": "user", "content": question}]}, source="test")


def search_probe(name="search-1", *, value="41.7", hits=None, **gold):
    gold = {"answer_must": (value, "Zorbel"), "query_must": ("Zorbel",)} | gold
    if hits is None:
        hits = (Hit(url="https://x.example", title="Zorbel", snippet=f"Zorbel index: {value} points."),)
    return Probe(
        name, "search", "t", ask("What is the Zorbel index?"), Gold(tool="web_search", **gold), {"zorbel": hits}
    )


def failed_search_probe(name="search-2"):
    gold = Gold(tool="web_search", query_must=("Zorbel",), answer_any=(FOUND,))
    return Probe(name, "search", "t", ask(), gold, {"": SearchError("no route")})


def tip_probe(name="calculator-1"):
    return Probe(name, "calculator", "t", ask("17% tip on $45?"), Gold(tool="calculator", value=Decimal("7.65")))


def plane_probe(name="no_tool-1"):
    gold = Gold(tool=None, answer_any=(("wing", "wings"),), min_answer_chars=20)
    return Probe(name, "no_tool", "t", ask("How do airplanes fly?"), gold)


def ids_and_forced(tokenizer, *pieces):
    """Ids of a turn. A piece is text, a special in angle bars ("<|python_end|>"), or bytes: a forced observation."""
    ids, forced = [], []
    for piece in pieces:
        if isinstance(piece, bytes):
            new = [
                tokenizer.special("output_start"),
                *tokenizer.encode(piece.decode()),
                tokenizer.special("output_end"),
            ]
        elif piece in tokenizer.specials:
            new = [tokenizer.special(piece)]
        else:
            new = tokenizer.encode(piece)
        ids += new
        forced += [int(isinstance(piece, bytes))] * len(new)
    return ids, forced


CALL, CALLED, END = "<|python_start|>", "<|python_end|>", "<|assistant_end|>"
RESULT, RESULTED = "<|output_start|>", "<|output_end|>"


def calculate(expression):
    return call_payload("calculator", {"expression": expression})


def calculated(expression, value):
    return result_payload("calculator", {"expression": expression, "value": value}).encode()


def look_up(query, **more):
    return call_payload("web_search", {"query": query, **more})


def looked_up(query, snippet="Zorbel index: 41.7 points."):
    hits = [{"url": "https://x.example", "title": "Zorbel", "snippet": snippet}]
    return result_payload("web_search", {"query": query, "results": hits}).encode()


def search_failed(query):
    return result_payload("web_search", {"query": query, "results": []}, success=False, error="no route").encode()
