import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from samosa.config import load
from samosa.phases.recipe_text import as_toml
from samosa.phases.settings import PhaseA

plain = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
keys = st.text(min_size=1, max_size=8)
tables = st.recursive(
    st.dictionaries(keys, plain | st.lists(plain), max_size=4),
    lambda inner: st.dictionaries(keys, plain | inner | st.lists(inner, min_size=1, max_size=3), max_size=4),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(tables)
def test_what_is_written_reads_back(values):
    assert tomllib.loads(as_toml(values)) == values


def test_a_resolved_recipe_is_a_recipe(samosa_home, tmp_path):
    cfg = load(PhaseA, "phase_a", recipe="tiny", sets=("train.matrix_lr=0.0123",))
    path = tmp_path / "recipe.toml"
    path.write_text(as_toml(cfg.model_dump(mode="json", exclude_none=True)))
    assert load(PhaseA, "phase_a", recipe=str(path)) == cfg
