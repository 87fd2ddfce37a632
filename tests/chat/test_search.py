import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from samosa.chat.search import Fixture, Hit, SearchError, Tavily, default_search, normalise

GOOD = {
    "answer": "It is 21 degrees.",
    "results": [
        {"url": "https://a.example", "title": "A", "content": "first"},
        {"url": "https://b.example", "title": None, "content": "second"},
        {"url": "https://c.example"},
    ],
}


class Server:
    """A Tavily on loopback that plays its replies in turn (the last one for ever) and keeps what it was asked."""

    def __init__(self, *replies):
        self.asked, self.headers = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, reply, headers = [*replies[min(len(outer.asked), len(replies) - 1)], {}][:3]
                outer.asked.append((self.path, body))
                outer.headers.append(dict(self.headers))
                if status == "sleep":
                    time.sleep(reply)
                    return
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.client = Tavily(
            "tvly-secret", base_url=f"http://127.0.0.1:{self._server.server_port}/", timeout=5, pause=0.01
        )

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_search_sends_what_tavily_asks_for_and_reads_its_hits():
    with Server((200, GOOD)) as server:
        hits = server.client.search("weather in Seoul", 3)
    assert hits == [
        Hit("https://tavily.com/answer", "Tavily direct answer", "It is 21 degrees."),
        Hit("https://a.example", "A", "first"),
        Hit("https://b.example", "", "second"),
    ]
    path, body = server.asked[0]
    assert path == "/search"
    assert body == {
        "api_key": "tvly-secret",
        "query": "weather in Seoul",
        "max_results": 3,
        "include_answer": True,
        "include_raw_content": False,
        "search_depth": "advanced",
    }


def test_nothing_found_is_an_empty_list():
    with Server((200, {"answer": None, "results": []})) as server:
        assert server.client.search("nothing", 3) == []


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(fault):
    with Server((fault, b"busy"), (fault, b"busy"), (200, GOOD)) as server:
        assert len(server.client.search("q", 8)) == 4
    assert len(server.asked) == 3


def test_a_fault_that_stays_is_a_failed_search_after_a_few_attempts():
    with Server((500, b"oops")) as server, pytest.raises(SearchError, match=r"500 \(3 attempts\)"):
        server.client.search("q", 3)
    assert len(server.asked) == 3


def test_a_wish_to_wait_is_heeded_but_not_for_ever(monkeypatch):
    waits = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    wish = {"Retry-After": "1"}, {"Retry-After": "3600"}
    with Server((429, b"", wish[0]), (429, b"", wish[1]), (200, GOOD)) as server:
        server.client.search("q", 3)
    assert waits == [1, 5]


def test_a_wrong_key_is_named_and_not_tried_again_and_not_shown():
    with Server((401, {"detail": "tvly-secret is wrong"})) as server, pytest.raises(SearchError) as error:
        server.client.search("q", 3)
    assert len(server.asked) == 1
    assert "TAVILY_API_KEY" in str(error.value) and "tvly-secret" not in str(error.value)


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"results": null}',
        b'{"results": [1]}',
        b'{"results": [{"title": "no url"}]}',
    ],
)
def test_garbage_is_a_failed_search(reply):
    with Server((200, reply)) as server, pytest.raises(SearchError, match="JSON"):
        server.client.search("q", 3)


@pytest.mark.parametrize("status", [302, 400, 404, 432])
def test_any_other_status_is_a_failed_search(status):
    with Server((status, b"{}")) as server, pytest.raises(SearchError, match=str(status)):
        server.client.search("q", 3)
    assert len(server.asked) == 1


def test_silence_is_a_failed_search():
    with Server(("sleep", 1.0)) as server:
        port = server.client._url.split(":")[2].split("/")[0]
        client = Tavily("k", base_url=f"http://127.0.0.1:{port}", timeout=0.1, attempts=2, pause=0.01)
        with pytest.raises(SearchError, match=r"within 0.1 s \(2 attempts\)"):
            client.search("q", 3)


def test_nobody_there_is_a_failed_search():
    with Server((200, GOOD)) as server:
        pass
    with pytest.raises(SearchError, match="cannot be reached"):
        server.client.search("q", 3)


def test_half_a_surrogate_pair_and_a_very_long_query_are_sent_safely():
    with Server((200, GOOD)) as server:
        server.client.search("\ud83d" + "x" * 1000, 1)
    assert server.asked[0][1]["query"] == "?" + "x" * 399


def test_a_fixture_answers_the_same_query_however_it_is_typed():
    hit = Hit("u", "t", "s")
    fixture = Fixture({"Who runs Acme, Inc.?": [hit, hit]})
    assert fixture.search('  who RUNS "Acme" inc', 1) == [hit]
    assert fixture.search("who runs acme inc", 8) == [hit, hit]
    assert fixture.search("who runs Zenith", 8) == []


def test_a_fixture_can_fail_and_can_be_a_function():
    fixture = Fixture({"bad": SearchError("out of order")})
    for _ in range(2):
        with pytest.raises(SearchError, match="out of order"):
            fixture.search("BAD", 1)
    assert Fixture(lambda query: [Hit(query, "", "")]).search("x", 1) == [Hit("x", "", "")]


def test_normalise_keeps_what_carries_meaning():
    assert normalise(" What's  3.5% of U.S. GDP? ") == "what's 3.5% of u.s gdp"
    assert normalise("?!") == ""


def test_without_a_key_search_is_offline_and_says_so(monkeypatch):
    with pytest.raises(SearchError, match="TAVILY_API_KEY"):
        default_search().search("anything", 3)
    monkeypatch.setenv("TAVILY_API_KEY", "tvly-xyz")
    assert default_search().name == "tavily"
