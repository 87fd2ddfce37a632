"""A probe's own search, and who is to blame when a search fails."""

import pytest

from samosa.chat.search import Hit, SearchError
from samosa.chat.tools import Toolbox
from samosa.eval.fixture import ProbeSearch, Watched
from tests.eval.turns import failed_search_probe, look_up, search_probe

HIT = Hit("https://x.example", "Zorbel", "41.7")


def test_hits_are_found_by_what_is_in_the_query():
    search = ProbeSearch(search_probe(hits=(HIT, HIT)))
    assert search.search("the  ZORBEL index today", 1) == [HIT]
    assert search.search("zorbel", 8) == [HIT, HIT]
    assert search.search("weather", 8) == []


def test_a_search_that_should_fail_fails_without_blame():
    watched = Watched(ProbeSearch(failed_search_probe()), failed_search_probe())
    with pytest.raises(SearchError, match="no route"):
        watched.search("Zorbel", 3)
    assert watched.broke is None


@pytest.mark.parametrize("error", [SearchError("offline"), RuntimeError("bug")])
def test_a_search_that_breaks_by_itself_is_remembered(error):
    class Broken:
        name = "broken"

        def search(self, query, top_k):
            raise error

    watched = Watched(Broken(), search_probe())
    assert not Toolbox(watched).run(look_up("Zorbel")).success
    assert str(error) in watched.broke
