import tomllib
from pathlib import Path
from typing import Literal

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa import config
from samosa.config import Recipe, description
from samosa.errors import BadInput


class Train(Recipe):
    steps: pydantic.PositiveInt | None = None
    init_lr_frac: float
    """Learning rates start at this fraction of the full ones."""
    dtype: Literal["auto", "float32"]
    betas: tuple[float, float]
    resume: bool


class Source(Recipe):
    path: Path
    repeat: int


class Mix(Recipe):
    seed: int
    name: str
    source: dict[str, Source]
    quality: list[Source]

    @pydantic.model_validator(mode="after")
    def _someone_is_in_it(self) -> "Mix":
        if not self.source:
            raise ValueError("no source is named")
        return self


class Home(Recipe):
    keep: int


class Whole(Recipe):
    train: Train
    mix: Mix
    home: Home | None = None


GOOD = """
[train]
init_lr_frac = 0.2
dtype = "auto"
betas = [0.8, 0.95]
resume = true

[mix]
seed = 1
name = "a"
source.joint = { path = "joint.jsonl", repeat = 6 }
quality = [{ path = "q.jsonl", repeat = 1 }]
"""


@pytest.fixture
def configs(tmp_path, monkeypatch) -> Path:
    """A configs/ of this test's own."""
    folder = tmp_path / "configs"
    (folder / "tiny").mkdir(parents=True)
    (folder / "base.toml").write_text("[home]\nkeep = 3\ncolour = 'red'\n[budget]\ndollars = 1\n")
    (folder / "sft.toml").write_text(GOOD)
    (folder / "tiny" / "sft.toml").write_text('extends = "../sft.toml"\n[train]\nsteps = 10\n')
    monkeypatch.setattr(config, "configs_dir", lambda: folder)
    return folder


def load(*sets: str, recipe: str | None = None) -> Whole:
    return config.load(Whole, "sft", recipe=recipe, sets=sets)


def refusal(*sets: str, recipe: str | None = None) -> tuple[str, str]:
    with pytest.raises(BadInput) as caught:
        load(*sets, recipe=recipe)
    return caught.value.message, caught.value.hint


def test_layers_go_over_one_another(configs):
    assert (load().train.steps, load().train.init_lr_frac) == (None, 0.2)
    assert (load(recipe="tiny").train.steps, load(recipe="tiny").train.init_lr_frac) == (10, 0.2)
    assert load("train.steps=11", "train.steps=12", recipe="tiny").train.steps == 12


def test_tables_merge_and_lists_are_replaced(configs):
    recipe = load("mix.source.tool={path='t.jsonl', repeat=2}", "mix.quality=[]")
    assert {name: source.repeat for name, source in recipe.mix.source.items()} == {"joint": 6, "tool": 2}
    assert recipe.mix.quality == []


def test_what_base_says_to_other_commands_is_left_out(configs):
    assert load().home == Home(keep=3)
    (configs / "sft.toml").write_text(GOOD + "[home]\ncolour = 'blue'\n")
    assert refusal() == ("configs/sft.toml: home.colour: colour is not a known key of home", "home has keep")


def test_a_recipe_is_frozen_and_described(configs):
    with pytest.raises(pydantic.ValidationError):
        load().train.steps = 3
    assert description(Train, "init_lr_frac") == "Learning rates start at this fraction of the full ones."


def test_a_misspelt_key_is_guessed(configs):
    assert refusal("train.init_lr_fracc=0.3") == (
        "--set train.init_lr_fracc: init_lr_fracc is not a known key of train",
        "did you mean init_lr_frac?",
    )
    assert refusal("trian.init_lr_frac=0.3") == ("--set trian: trian is not a known key of sft", "did you mean train?")
    assert refusal("init_lr_frac=0.3")[1] == "did you mean train.init_lr_frac?"
    assert refusal("mix.source.joint.repeats=0")[0] == (
        "--set mix.source.joint.repeats: repeats is not a known key of mix.source.joint"
    )


def test_a_misspelt_key_in_a_file_names_the_file_though_the_right_one_is_missing(configs):
    (configs / "sft.toml").write_text(GOOD.replace("init_lr_frac", "init_lr_farc"))
    assert refusal(recipe="tiny") == (
        "configs/sft.toml: train.init_lr_farc: init_lr_farc is not a known key of train",
        "did you mean init_lr_frac?",
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("train.steps=ten", '--set train.steps: expected a whole number, got "ten"'),
        ("train.steps=1.5", "--set train.steps: expected a whole number, got 1.5"),
        ("train.steps=0", "--set train.steps: expected a number above 0, got 0"),
        ("train.resume=1", "--set train.resume: expected true or false, got 1"),
        ("train.dtype=float16", "--set train.dtype: expected one of 'auto' or 'float32', got \"float16\""),
        ("train=3", "--set train: expected a table, got 3"),
        ("mix.quality=x", '--set mix.quality: expected a list, got "x"'),
        ("mix.quality=[{path='x', repeat='y'}]", '--set mix.quality[0].repeat: expected a whole number, got "y"'),
        ("mix.source.joint.repeat=true", "--set mix.source.joint.repeat: expected a whole number, got true"),
        ("mix.name=7", "--set mix.name: expected text, got 7"),
        ("mix={seed=1, name='a', source={}, quality=[]}", None),
    ],
)
def test_a_wrong_type_says_where_what_was_expected_and_what_was_given(configs, said, message):
    if message is None:
        assert load(said).mix.source, "tables merge: nothing was taken away"
    else:
        assert refusal(said)[0] == message


def test_a_wrong_type_in_a_file_names_it_and_its_hint_describes_the_key(configs):
    (configs / "tiny" / "sft.toml").write_text('extends = "sft"\n[train]\ninit_lr_frac = "much"\n')
    assert refusal(recipe="tiny") == (
        'configs/tiny/sft.toml: train.init_lr_frac: expected a number, got "much"',
        "Learning rates start at this fraction of the full ones.",
    )


def test_text_that_looks_like_a_number_gets_a_command_to_paste(configs):
    assert refusal("mix.name=7")[1] == "quote it for TOML and for the shell: --set 'mix.name=\"7\"'"
    assert load('mix.name="7"').mix.name == "7"


def test_a_missing_key_names_the_recipe(configs):
    (configs / "sft.toml").write_text(GOOD.replace("init_lr_frac = 0.2", ""))
    assert refusal("mix.seed=2") == (
        "configs/sft.toml: train.init_lr_frac is missing",
        "Learning rates start at this fraction of the full ones.",
    )


def test_an_impossible_combination_says_so_and_where(configs):
    (configs / "sft.toml").write_text(GOOD.replace("source.joint = { path", "source = {} #"))
    assert refusal()[0] == "configs/sft.toml: mix: no source is named"


@pytest.mark.parametrize("recipe", ["huge", "./huge.toml", "no/such/place"])
def test_a_recipe_that_does_not_exist_lists_those_that_do(configs, recipe):
    message, hint = refusal(recipe=recipe)
    assert f"there is no recipe {recipe}" in message
    assert "-r tiny" in hint


def test_a_recipe_may_lie_anywhere_and_extend_ours(configs, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "tiny/sft"\nmix.seed = 5\n')
    recipe = load(recipe=str(mine))
    assert (recipe.mix.seed, recipe.train.steps) == (5, 10)


def test_broken_toml_is_named_by_file_and_line(configs):
    (configs / "sft.toml").write_text("[train]\nsteps = 1\nname = d24\n")
    message, hint = refusal()
    assert message == "configs/sft.toml:3: Invalid value"
    assert "quotes" in hint
    (configs / "sft.toml").write_text("[train")
    assert "configs/sft.toml" in refusal()[0]
    (configs / "sft.toml").write_bytes(b"\xff\xfe")
    assert refusal()[0] == "configs/sft.toml is not UTF-8 text"


def test_recipes_that_extend_each_other_are_refused(configs):
    (configs / "sft.toml").write_text('extends = "tiny/sft"\n')
    assert "extends itself" in refusal(recipe="tiny")[0]
    (configs / "sft.toml").write_text('extends = "nowhere"\n')
    assert "does not exist" in refusal()[0]
    (configs / "sft.toml").write_text("extends = 3\n")
    assert "expected the name of one recipe" in refusal()[0]


@pytest.mark.parametrize("said", ["", "=", "=3", "seed", "a b=1", "mix..seed=1", "a\nb=1", "a#=1", "[mix]\nseed=1"])
def test_a_set_without_a_key_and_a_value_is_refused(configs, said):
    assert "expected key=value" in refusal(said)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 0.001),
        ("1_000", 1000),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ("{a = 1}", {"a": 1}),
        ('"quoted"', "quoted"),
        ("d24-sft-r6@754", "d24-sft-r6@754"),
        ("2026-11-30", "2026-11-30"),
        ("3 # three", "3 # three"),
        ("", ""),
        ("a = b", "a = b"),
        ("~/rows.jsonl", "~/rows.jsonl"),
    ],
)
def test_values_are_toml_where_they_can_be_and_text_where_not(configs, text, value):
    assert config.read_layers("sft", None, [f"x.y={text}"])["x"]["y"] == value


@pytest.mark.parametrize("text", ["[1, 2", '"open', "{a = }", "'x"])
def test_a_value_left_open_is_refused(configs, text):
    assert refusal(f"x={text}")[0].startswith(f"--set x={text}: ")


words = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
values = st.one_of(st.integers(-(2**53), 2**53), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))


@settings(max_examples=60, deadline=None)
@given(keys=st.lists(words, min_size=1, max_size=4), value=values)
def test_a_set_reads_back_what_it_was_given(keys, value):
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    nested = config._set_layer(f"{'.'.join(keys)}={shown}").values
    for key in keys:
        nested = nested[key]
    assert nested == value and type(nested) is type(value)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=30))
def test_a_set_never_writes_another_key_and_never_crashes(text):
    try:
        layer = config._set_layer(f"a.b={text}")
    except BadInput:
        return
    assert list(layer.values) == ["a"] and list(layer.values["a"]) == ["b"]


tables = st.recursive(
    st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)


def flat(table, above=()):
    """The leaves of a table by path; an empty table has none."""
    if not isinstance(table, dict):
        return {above: table}
    return {path: leaf for key, inner in table.items() for path, leaf in flat(inner, (*above, key)).items()}


@settings(max_examples=100, deadline=None)
@given(below=st.dictionaries(st.sampled_from("abc"), tables), above=st.dictionaries(st.sampled_from("abc"), tables))
def test_merging_keeps_all_of_the_upper_layer_and_the_lower_where_it_is_silent(below, above):
    merged = flat(config._merge(below, above))
    upper = flat(above)
    assert upper.items() <= merged.items()
    for path, leaf in merged.items():
        assert path in upper or flat(below)[path] == leaf
    assert config._merge(below, {}) == below and config._merge({}, above) == above


def test_every_recipe_of_ours_is_toml_and_base_is_there():
    folder = config.configs_dir()
    assert (folder / "base.toml").is_file()
    for path in folder.rglob("*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["", ".", "./", ".."])
def test_an_empty_recipe_name_is_not_the_full_recipe(name):
    with pytest.raises(BadInput, match="names no recipe"):
        config.read_layers("phase_a", name, ())
