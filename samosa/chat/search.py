"""Where web_search looks: Tavily with a key, or a fixture that answers the same every time.

A search that finds nothing returns an empty list; a search that did not happen raises SearchError. The two are never
mixed up, so the model is never told that the web is empty because a key is missing.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from samosa import secrets

TAVILY_URL = "https://api.tavily.com"
TAVILY_KEY = "TAVILY_API_KEY"
MAX_QUERY = 400  # characters, Tavily's limit
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})  # HTTP statuses worth another attempt
ATTEMPTS = 3
LONGEST_WAIT = 5.0  # seconds between attempts, whatever the server asks for


@dataclass(frozen=True)
class Hit:
    """One search result."""

    url: str
    title: str
    snippet: str


class SearchError(Exception):
    """The search did not happen; the text says why, without any key."""


class Search(Protocol):
    """Anything that can search."""

    @property
    def name(self) -> str: ...

    def search(self, query: str, top_k: int) -> list[Hit]:
        """At most `top_k` hits, best first. Raises SearchError when the search failed."""
        ...


class _Transient(Exception):
    """An attempt failed in a way that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Tavily:
    """Tavily's search API. Its direct answer, where it gives one, is the first hit.

    timeout: seconds for each attempt; attempts: how many; pause: seconds before the second, doubling from there.
    """

    name = "tavily"

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = TAVILY_URL,
        timeout: float = 15.0,
        attempts: int = ATTEMPTS,
        pause: float = 0.5,
    ) -> None:
        self._key = api_key
        self._url = base_url.rstrip("/") + "/search"
        self._timeout = timeout
        self._attempts = attempts
        self._pause = pause

    def search(self, query: str, top_k: int) -> list[Hit]:
        """At most `top_k` hits. Raises SearchError: refused key, bad request, garbage, or no answer in time."""
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
        from tenacity.wait import wait_exponential

        backoff = wait_exponential(multiplier=self._pause, max=LONGEST_WAIT)

        def wait(state: Any) -> float:
            return min(LONGEST_WAIT, max(backoff(state), state.outcome.exception().wait))

        retrying = Retrying(
            retry=retry_if_exception_type(_Transient), stop=stop_after_attempt(self._attempts), wait=wait, reraise=True
        )
        try:
            found: list[Hit] = retrying(self._attempt, query, top_k)
        except _Transient as error:
            raise SearchError(f"{error} ({self._attempts} attempts)") from error
        return found

    def _attempt(self, query: str, top_k: int) -> list[Hit]:
        import httpx

        body = {
            "api_key": self._key,
            "query": _sendable(query)[:MAX_QUERY],
            "max_results": top_k,
            "include_answer": True,
            "include_raw_content": False,
            "search_depth": "advanced",
        }
        try:
            reply = httpx.post(
                self._url, json=body, timeout=self._timeout, headers={"Authorization": f"Bearer {self._key}"}
            )
        except httpx.TimeoutException:
            raise _Transient(f"no answer from Tavily within {self._timeout:g} s") from None
        except httpx.TransportError as error:
            raise _Transient(f"Tavily cannot be reached ({type(error).__name__})") from None
        except (httpx.InvalidURL, UnicodeEncodeError):
            raise SearchError(f"the search was not sent: check the address and {TAVILY_KEY}") from None
        if reply.status_code in (401, 403):
            raise SearchError(f"Tavily refused the key ({reply.status_code}): check {TAVILY_KEY}")
        if reply.status_code in TRANSIENT:
            raise _Transient(f"Tavily answered {reply.status_code}", _retry_after(reply.headers.get("Retry-After")))
        if reply.status_code != 200:
            raise SearchError(f"Tavily answered {reply.status_code}")
        try:
            return _read(reply.json())[:top_k]
        except (ValueError, RecursionError):
            raise SearchError("Tavily's answer is not the JSON it promises") from None


def _retry_after(value: str | None) -> float:
    """Seconds; dates and nonsense count as no wish."""
    return float(value) if value is not None and value.isascii() and value.isdigit() else 0.0


def _sendable(text: str) -> str:
    """`text` without what UTF-8 cannot say (half a surrogate pair, from a model's \\u escapes)."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _read(reply: object) -> list[Hit]:
    """The hits in a reply. Raises ValueError when it has another shape."""
    if not isinstance(reply, dict) or not isinstance(reply.get("results"), list):
        raise ValueError("no list of results")
    hits = []
    if isinstance(reply.get("answer"), str) and reply["answer"].strip():
        hits.append(Hit("https://tavily.com/answer", "Tavily direct answer", reply["answer"].strip()))
    for entry in reply["results"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
            raise ValueError("a result without a url")
        hits.append(Hit(entry["url"], str(entry.get("title") or ""), str(entry.get("content") or "")))
    return hits


Answers = Mapping[str, Sequence[Hit] | SearchError] | Callable[[str], Sequence[Hit] | SearchError]


class Fixture:
    """A search that answers from a table, or by a function of the query; the same every time, without a network.

    Queries are compared as `normalise` writes them. One that is not in the table finds nothing; an answer that is a
    SearchError is a search that fails.
    """

    def __init__(self, answers: Answers, *, name: str = "fixture") -> None:
        self.name = name
        self._answers = answers if callable(answers) else {normalise(query): hits for query, hits in answers.items()}

    def search(self, query: str, top_k: int) -> list[Hit]:
        """At most `top_k` hits. Raises SearchError where the fixture says so."""
        found = self._answers(query) if callable(self._answers) else self._answers.get(normalise(query), ())
        if isinstance(found, SearchError):
            raise SearchError(*found.args)  # a copy: a raised exception keeps hold of its traceback
        return list(found)[:top_k]


def normalise(query: str) -> str:
    """A query without what search engines ignore: case, repeated spaces, punctuation at the ends of words."""
    words = unicodedata.normalize("NFKC", query).casefold().split()
    return " ".join(filter(None, (word.strip(".,;:!?\"'()") for word in words)))


def default_search() -> Search:
    """Tavily where its key is known, else a search that fails and says that it is offline."""
    key = secrets.get(TAVILY_KEY)
    return Tavily(key) if key else Fixture(_offline, name="offline")


def _offline(query: str) -> Sequence[Hit]:
    raise SearchError(f"search is offline: {TAVILY_KEY} is not set")
