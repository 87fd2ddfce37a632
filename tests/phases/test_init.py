"""Where a run's weights come from, and the windows they were trained with."""

import pytest

from samosa.errors import BadInput, NotReady
from samosa.model.config import ModelConfig
from samosa.phases.init import find_init, on_disk, with_windows
from tests.phases.recipes import fake_checkpoint, tiny

FIELDS = {
    "sequence_len": 4096,
    "vocab_size": 1024,
    "n_layer": 4,
    "n_head": 4,
    "n_kv_head": 4,
    "n_embd": 128,
    "window_pattern": "SSSL",
}


@pytest.fixture
def init(samosa_home):
    fake_checkpoint("chat", "r6", 754, model_config=FIELDS, manifest=False)
    return find_init("r6@754", ModelConfig(**FIELDS))


def test_without_word_from_the_recipe_the_meta_says_the_windows(init):
    assert with_windows(init, None) is init
    assert init.config.layer_windows == (1024, 1024, 1024, 4096)


def test_init_windows_overrule_the_meta_for_plan_and_training(init):
    told = with_windows(init, (4096, 4096, 4096, 16384))
    assert told.config.layer_windows == told.windows == (4096, 4096, 4096, 16384)
    assert told.config.flops_per_token(4096) > init.config.flops_per_token(4096)


def test_windows_for_another_number_of_layers_are_refused_with_the_command_that_measures_them(init):
    with pytest.raises(BadInput, match="2 windows and r6@754 has 4 layers") as error:
        with_windows(init, (4096, 16384))
    assert "samosa inspect r6@754 --windows" in error.value.hint


def test_other_windows_are_another_run(samosa_home, capsys):
    fake_checkpoint("chat", "r6", 754, model_config=FIELDS, manifest=False)
    assert tiny("init=r6@754", "init_windows=[4096, 4096, 4096, 16384]", plan=True) == 0
    assert "4096" in capsys.readouterr().err


@pytest.mark.parametrize("tag", ["../x", "a b", "''", "-x"])
def test_a_tag_that_is_no_name_is_refused_before_anything_else(samosa_home, tag):
    with pytest.raises(BadInput, match="tag"):
        tiny(plan=True, tag=tag)


def test_a_known_checkpoint_that_is_elsewhere_says_what_to_copy(samosa_home):
    with pytest.raises(NotReady, match="d24-sft-r6@754 is not on this machine") as error:
        on_disk("d24-sft-r6@754")
    assert "copy model_000754.pt" in error.value.hint
