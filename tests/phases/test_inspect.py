import json
import shutil

import pytest
import torch

from samosa.cli import main
from samosa.errors import BadInput
from samosa.home import checkpoint_dir, find_checkpoint
from samosa.model.checkpoint import load_model, save_checkpoint
from samosa.phases.inspect import spelled

FAST = ["-s", "windows.rows=2", "-s", "windows.factors=[2.0]", "-s", "windows.dtype=float32"]


@pytest.fixture
def home(golden, samosa_home):
    """nanochat's two checkpoints and their tokenizer."""
    for folder in ("base_checkpoints", "chatsft_checkpoints", "tokenizer"):
        shutil.copytree(golden / folder, samosa_home / folder)
    return samosa_home


def told(capsys, *arguments):
    code = main(["inspect", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_checkpoint_of_nanochat_is_described(home, capsys):
    code, facts = told(capsys, "base/d2@150")
    assert code == 0
    assert facts["parameters"]["total"] == 129_090
    assert facts["windows"] == [128, 256]
    assert facts["windows_from"] == "nanochat's rule"
    assert facts["val_bpb"] == pytest.approx(2.7954, abs=1e-4)
    assert facts["dtypes"] == {"float32": 129_090}
    assert facts["manifest"].startswith("none")
    assert facts["tokenizer"]["fits"] is True
    assert facts["readable_by_nanochat"] is True


def test_ours_says_its_windows_manifest_and_tokenizer(home, capsys):
    model, _ = load_model(find_checkpoint("base/d2@150"), windows=[64, 100])
    save_checkpoint(
        checkpoint_dir("chat", "mine"),
        3,
        model=model,
        meta_fields={"stage": "sft", "samosa": {"tokenizer": "another"}},
        cursor={"step": 3},
    )
    (checkpoint_dir("chat", "mine") / "val_000003.json").write_text('{"step": 3, "val_bpb": 1.25}')
    code, facts = told(capsys, "mine")
    assert code == 0
    assert facts["windows"] == [64, 100]
    assert facts["windows_from"] == "saved"
    assert facts["val_bpb"] == 1.25
    assert facts["readable_by_nanochat"] is False
    assert "SHA-256" in facts["manifest"]
    assert facts["training_state"] is True
    assert facts["tokenizer"]["fits"] is False


def test_people_get_a_table_on_stderr(home, capsys):
    assert main(["inspect", "base/d2@150"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "129,090" in err
    assert "--windows" in err


def test_windows_are_measured_under_each_reading(home, capsys):
    code, facts = told(capsys, "base/d2@150", "--windows", *FAST)
    assert code == 0
    trial = facts["window_trial"]
    assert [reading["windows"] for reading in trial["readings"]] == [[128, 256], [128, 512]]
    assert trial["edges"] == [0, 64, 128, 256, 512]
    assert trial["beyond"] == 257
    assert trial["readings"][0]["nll"][:3] == pytest.approx(trial["readings"][1]["nll"][:3])


def test_a_decided_trial_prints_the_line_for_the_recipe(home, capsys):
    arguments = ["base/d2@150", "--windows", *FAST, "-s", "windows.rows=8", "-s", "windows.factors=[4.0]"]
    assert main(["inspect", *arguments]) == 0
    assert capsys.readouterr().out == "init_windows = [128, 256]\n"


def test_the_text_may_be_named(home, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 200)
    assert told(capsys, "base/d2@150", "--windows", *FAST, "-s", f"windows.text={text}")[0] == 0
    text.write_text("Too short.")
    assert main(["inspect", "base/d2@150", "--windows", *FAST, "-s", f"windows.text={text}"]) == 2
    assert main(["inspect", "base/d2@150", "--windows", *FAST, "-s", "windows.text=nowhere.txt"]) == 2


@pytest.mark.parametrize(("name", "code"), [("d3", 2), ("d2", 2), ("base/d2@7", 2), ("base/d2@150", 3)])
def test_what_is_not_there_or_broken_is_two_lines(home, capsys, name, code):
    path = find_checkpoint("base/d2@150").model_path
    path.write_bytes(path.read_bytes()[:1000])
    assert main(["inspect", name]) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 2


def test_a_poisoned_model_is_bad_input(home, tmp_path):
    torch.save({"a": BadInput}, find_checkpoint("base/d2@150").model_path)
    assert main(["inspect", "base/d2@150"]) == 2


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([512, 512, 512, 2048] * 6, "(512 ×3, 2048) repeated"),
        ([512, 512, 512, 2048, 512, 2048], "512 ×3, 2048, 512, 2048"),
        ([256] * 4, "256 all along"),
        ([128, 128, 256], "128 all along, last 256"),
        ([16], "16"),
    ],
)
def test_windows_are_spelled_short(windows, expected):
    assert spelled(windows) == expected
