import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samosa.chat.payloads import MAX_DEPTH, call_payload, find_bad_value, result_payload
from tests.chat.strategies import quick, scalars

long_strings = st.builds(
    lambda text, times: text * times,
    st.sampled_from(["a", "é", "🙂", '"', "word ", "{}"]),
    st.sampled_from([0, 1, 40, 900]),
)
large_values = st.recursive(
    scalars | long_strings,
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(long_strings, inner, max_size=6),
    max_leaves=16,
)


def test_payloads_are_compact_sorted_ascii():
    assert call_payload("web_search", {"top_k": 1, "query": "é"}) == (
        r'{"arguments":{"query":"\u00e9","top_k":1},"tool":"web_search"}'
    )
    assert result_payload("calculator", {"value": 84}) == (
        '{"error":null,"metadata":{},"output":{"value":84},"success":true,"tool":"calculator"}'
    )
    assert result_payload("web_search", None, False, "timed out", {"search_backend": "x"}) == (
        '{"error":"timed out","metadata":{"search_backend":"x"},"output":null,"success":false,"tool":"web_search"}'
    )


def test_calls_are_never_cut():
    assert len(call_payload("calculator", {"expression": "1+" * 4000 + "1"})) > 8000
    with pytest.raises(ValueError):
        call_payload("calculator", {"expression": float("nan")})


@quick
@given(
    output=large_values,
    metadata=st.none() | st.dictionaries(long_strings, scalars, max_size=3),
    error=st.none() | long_strings,
)
def test_results_stay_json_within_4096_characters(output, metadata, error):
    text = result_payload("web_search", output, True, error, metadata)
    fields = json.loads(text)
    assert len(text) <= 4096
    assert text.isascii()
    assert sorted(fields) == ["error", "metadata", "output", "success", "tool"]
    assert (fields["tool"], fields["success"]) == ("web_search", True)
    whole = json.dumps(
        {"error": error, "metadata": metadata or {}, "output": output, "success": True, "tool": "web_search"},
        separators=(",", ":"),
        sort_keys=True,
    )
    assert (text == whole) == (len(whole) <= 4096)
    again = result_payload(fields["tool"], fields["output"], fields["success"], fields["error"], fields["metadata"])
    assert again == text


def _hits(count: int, snippet: str) -> dict:
    results = [{"url": f"https://example.org/{n}", "title": f"Hit {n}", "snippet": snippet} for n in range(count)]
    return {"query": "the query", "results": results}


def test_a_long_result_loses_whole_hits_from_the_end():
    output = json.loads(result_payload("web_search", _hits(8, "word " * 200)))["output"]
    assert output == {"query": "the query", "results": _hits(8, "word " * 200)["results"][:3]}


def test_a_single_hit_that_is_too_long_keeps_its_address_and_the_start_of_its_words():
    text = result_payload("web_search", _hits(2, "word " * 2000))
    output = json.loads(text)["output"]
    assert output["query"] == "the query"
    (hit,) = output["results"]
    assert (hit["url"], hit["title"]) == ("https://example.org/0", "Hit 0")
    assert hit["snippet"].endswith("...")
    assert ("word " * 2000).startswith(hit["snippet"].removesuffix("..."))
    assert 4000 < len(text) <= 4096


def test_a_tool_with_an_endless_name_still_gets_a_result():
    fields = json.loads(result_payload("x" * 9000, None, False, "no such tool"))
    assert (fields["error"], fields["success"]) == ("no such tool", False)


def test_what_json_cannot_say_is_replaced_in_results():
    text = result_payload("calculator", {"value": float("inf"), "note": "a\ud800b", "pair": (1, 2)})
    assert json.loads(text)["output"] == {"value": "inf", "note": "a?b", "pair": [1, 2]}
    deep: list = []
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    with pytest.raises(ValueError, match="nested"):
        result_payload("calculator", deep)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (["fine", {"é": [1.5, None, True]}], None),
        ({"a": ["x\0"]}, "NUL"),
        ({"\ud800": 1}, "surrogate"),
        ([float("nan")], "nan"),
        ([float("-inf")], "-inf"),
    ],
)
def test_bad_values_are_found_wherever_they_are(value, why):
    found = find_bad_value(value)
    assert found is None if why is None else why in found
