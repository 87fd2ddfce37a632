"""The search of one probe: answers what the probe says, and remembers whether it ever broke by itself."""

from samosa.chat.search import Hit, Search, SearchError
from samosa.eval.checks import fails_on_purpose
from samosa.eval.probe_types import Probe


class ProbeSearch:
    """A search backend (`samosa.chat.search.Search`) that knows one probe's hits and nothing else."""

    name = "fixture"

    def __init__(self, probe: Probe) -> None:
        self._hits = probe.hits

    def search(self, query: str, top_k: int) -> list[Hit]:
        """The hits of the first key that is in the query, if any. Raises SearchError where the probe asks for it."""
        asked = " ".join(query.casefold().split())
        for key, hits in self._hits.items():
            if " ".join(key.casefold().split()) in asked:
                if isinstance(hits, SearchError):
                    raise SearchError(*hits.args)  # a copy: a raised exception keeps hold of its traceback
                return list(hits[:top_k])
        return []


class Watched:
    """Another search, watched: a failure that the probe did not ask for is the harness's, and `broke` keeps it."""

    def __init__(self, search: Search, probe: Probe) -> None:
        self.name: str = search.name
        self.broke: str | None = None
        self._search = search
        self._may_fail = fails_on_purpose(probe)

    def search(self, query: str, top_k: int) -> list[Hit]:
        """What the search behind it answers. Raises SearchError for anything that goes wrong there."""
        try:
            return self._search.search(query, top_k)
        except SearchError as error:
            if not self._may_fail:
                self.broke = f"search failed: {error}"
            raise
        except Exception as error:  # kept for the report; the model saw a failed search
            self.broke = f"search crashed: {type(error).__name__}: {error}"
            raise SearchError(self.broke) from error
