import pickle

import pytest

from samosa.errors import BadInput, NotReady, SamosaError, Stopped


@pytest.mark.parametrize(("kind", "code"), [(SamosaError, 1), (BadInput, 2), (NotReady, 3), (Stopped, 130)])
def test_each_kind_has_the_exit_code_that_the_readme_promises(kind, code):
    assert kind("what", hint="do").exit_code == code


def test_an_error_comes_whole_out_of_a_worker_process():
    again = pickle.loads(pickle.dumps(NotReady("no disk", hint="free some")))
    assert (type(again), again.message, again.hint) == (NotReady, "no disk", "free some")
