import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.chat.conversation import call_payload
from samosa.chat.search import Fixture, Hit, SearchError
from samosa.chat.tools import BadCall, Call, Toolbox, parse_call

HITS = [Hit("https://x.example", "X", "It is 42."), Hit("https://y.example", "Y", "é")]
TOOLBOX = Toolbox(Fixture({"the answer": HITS, "broken": SearchError("the service did not answer")}))


def run(payload, toolbox=TOOLBOX):
    observation = toolbox.run(payload)
    return observation, json.loads(observation.payload)


@pytest.mark.parametrize(
    ("payload", "call"),
    [
        ('{"arguments":{"query":"q"},"tool":"web_search"}', Call("web_search", {"query": "q"})),
        (' {"tool_name":"calculator","args":{"expression":"1"}} ', Call("calculator", {"expression": "1"})),
        ('{"name":"calculator"}', Call("calculator", {})),
        ("6*7", Call("calculator", {"expression": "6*7"}, legacy=True)),
        ("'strawberry'.count('r')", Call("calculator", {"expression": "'strawberry'.count('r')"}, legacy=True)),
        ("web_search", Call("calculator", {"expression": "web_search"}, legacy=True)),
    ],
)
def test_a_call_is_json_or_a_legacy_expression(payload, call):
    assert parse_call(payload) == call


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('{"arguments":{"query":"cut off', "bad_json"),
        ("{}{}", "bad_json"),
        ("[" * 100_000, "bad_json"),
        ('{"tool":"calculator","arguments":{"expression":' + "9" * 10_000 + "}}", "bad_json"),
        ('{"tool":"calculator","arguments":{"expression":NaN}}', "bad_json"),
        ("[1,2]", "bad_call"),
        ("{}", "bad_call"),
        ('{"tool":7}', "bad_call"),
        ('{"tool":"calculator","arguments":[1]}', "bad_call"),
        ('{"tool":"calculator","arguments":"6*7"}', "bad_call"),
    ],
)
def test_json_that_is_no_call_is_an_error_and_never_an_expression(payload, code):
    assert isinstance(parse_call(payload), BadCall)
    assert parse_call(payload).code == code
    observation, record = run(payload)
    assert not observation.success and record["success"] is False
    assert record["error"].startswith(code) and record["output"] is None


def test_the_calculator_answers_in_canonical_json():
    observation, _ = run(call_payload("calculator", {"expression": "percent(45,17)"}))
    assert observation.payload == (
        '{"error":null,"metadata":{},"output":{"expression":"percent(45,17)","value":7.65},"success":true,"tool":"calculator"}'
    )
    assert observation.success and observation.tool == "calculator"


def test_a_search_answers_with_its_hits():
    observation, record = run(call_payload("web_search", {"query": "The answer?", "top_k": 1}))
    assert observation.success
    assert record["output"] == {
        "query": "The answer?",
        "results": [{"url": "https://x.example", "title": "X", "snippet": "It is 42."}],
    }


def test_finding_nothing_succeeds_and_failing_does_not():
    _, nothing = run(call_payload("web_search", {"query": "unheard of"}))
    assert nothing["success"] is True and nothing["output"]["results"] == []
    observation, failed = run(call_payload("web_search", {"query": "broken"}))
    assert not observation.success and failed["success"] is False
    assert failed["error"] == "search failed: the service did not answer"


@pytest.mark.parametrize(("top_k", "found"), [(None, 3), (1, 1), (8, 8), (0, 1), (99, 8), (-3, 1)])
def test_top_k_is_three_and_stays_between_one_and_eight(top_k, found):
    toolbox = Toolbox(Fixture(lambda query: HITS * 10))
    arguments = {"query": "q"} if top_k is None else {"query": "q", "top_k": top_k}
    _, record = run(call_payload("web_search", arguments), toolbox)
    assert len(record["output"]["results"]) == found


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("calculator", {}),
        ("calculator", {"expression": ""}),
        ("calculator", {"expression": 6}),
        ("calculator", {"expression": "1", "precision": 2}),
        ("calculator", {"expression": "9**9**9"}),
        ("web_search", {}),
        ("web_search", {"query": ["a"]}),
        ("web_search", {"query": "q", "top_k": "3"}),
        ("web_search", {"query": "q", "top_k": True}),
        ("web_search", {"query": "q", "urls": ["http://169.254.169.254/"]}),
        ("python", {"code": "1"}),
        ("<|assistant_end|>" * 50, {}),
    ],
)
def test_wrong_calls_are_failed_observations(tool, arguments):
    observation, record = run(call_payload(tool, arguments))
    assert not observation.success and record["success"] is False and record["error"]
    assert len(observation.payload) < 400


def test_a_toolbox_has_only_the_tools_it_was_given():
    bare = Toolbox(None)
    assert run(call_payload("calculator", {"expression": "1+1"}), bare)[1]["output"]["value"] == 2
    assert not run(call_payload("web_search", {"query": "q"}), bare)[0].success
    assert not Toolbox(None, calculator=False).run("6*7").success


@pytest.mark.parametrize(("expression", "text"), [("6*7", "42"), ("1,000+1", "1001"), ("'strawberry'.count('r')", "3")])
def test_a_legacy_expression_is_answered_with_the_bare_value(expression, text):
    observation = TOOLBOX.run(expression)
    assert observation.payload == text and observation.success and observation.tool == "calculator"


def test_a_legacy_expression_that_fails_says_so():
    observation, record = run("1/0")
    assert not observation.success
    assert record == {
        "error": "division by zero",
        "metadata": {},
        "output": None,
        "success": False,
        "tool": "calculator",
    }


def test_a_search_that_breaks_ends_nothing():
    def breaks(query):
        raise ZeroDivisionError("secret detail")

    observation, record = run(call_payload("web_search", {"query": "q"}), Toolbox(Fixture(breaks)))
    assert not observation.success and record["error"] == "the tool broke: ZeroDivisionError"


def test_a_long_result_is_shortened_and_stays_json():
    toolbox = Toolbox(Fixture(lambda query: [Hit("https://x.example", "t", "é" * 3000)] * 8))
    observation, record = run(call_payload("web_search", {"query": "q", "top_k": 8}), toolbox)
    assert len(observation.payload) <= 4096 and record["success"] is True


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CALLS = st.fixed_dictionaries(
    {"tool": st.sampled_from(["calculator", "web_search"]) | JSON},
    optional={"arguments": st.dictionaries(st.sampled_from(["expression", "query", "top_k", "x"]), JSON) | JSON},
).map(json.dumps)


@given(st.text(max_size=40) | CALLS)
@settings(max_examples=80, deadline=None)
def test_no_payload_raises(payload):
    observation = TOOLBOX.run(payload)
    assert observation.payload.isascii()
    if not observation.success:
        assert json.loads(observation.payload)["success"] is False
