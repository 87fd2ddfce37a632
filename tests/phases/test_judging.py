"""`samosa eval` from the command line down: verdicts, exit codes, the record, and errors a person can act on."""

import json
import shutil

import pytest
import torch

from samosa.chat.tokenizer import load_tokenizer
from samosa.cli import main
from samosa.config import load
from samosa.eval.probes import joint_suite
from samosa.eval.settings import Evaluation
from samosa.home import find_checkpoint
from samosa.model.checkpoint import save_checkpoint
from samosa.model.config import from_depth
from samosa.model.gpt import GPT
from samosa.phases import asking, judging
from samosa.phases.settings import PhaseA
from tests.eval.puppet import puppet
from tests.eval.test_runner import right

SMALL = ["-s", "gate.n=4", "-s", "gate.c=3", "-s", "gate.max_tokens=900", "-s", "gate.dtype=float32"]


@pytest.fixture
def home_with_model(samosa_home, golden):
    """A home with the golden tokenizer and an untrained chat model, `untaught@3`."""
    shutil.copytree(golden / "tokenizer", samosa_home / "tokenizer")
    vocab_size = load_tokenizer(samosa_home / "tokenizer").vocab_size
    save(samosa_home / "chatsft_checkpoints" / "untaught", vocab_size)
    return samosa_home


def save(directory, vocab_size, seed=0):
    config = from_depth(1, sequence_len=2048, vocab_size=vocab_size, aspect=32, head_dim=16)
    model = GPT(config)
    model.init_weights(torch.Generator().manual_seed(seed))
    save_checkpoint(directory, 3, model=model, meta_fields={"stage": "sft"})


def evaluate(*arguments):
    return main(["eval", *arguments])


def test_an_untaught_model_fails_and_the_record_says_so(home_with_model, capsys):
    small = ["gate.n=2", "gate.c=2", "gate.max_tokens=12", "gate.dtype=float32"]
    assert evaluate("--tag", "untaught", "--seed", "5", "--json", *(a for s in small for a in ("-s", s))) == 10
    shown = capsys.readouterr()
    (line,) = shown.out.splitlines()
    said = json.loads(line)
    assert (said["tag"], said["step"], said["seed"]) == ("untaught", 3, 5)
    assert (said["outcome"], said["exit_code"]) == ("failed", 10)
    kept = (home_with_model / "evals" / "eval_results_v2.jsonl").read_text().splitlines()
    assert [json.loads(text) for text in kept] == [said]
    manifest = json.loads(find_checkpoint("untaught").manifest_path.read_text())
    assert said["weights_sha256"] == manifest["files"]["model_000003.pt"]["sha256"]
    samples = [json.loads(text) for text in (home_with_model / said["samples"]).read_text().splitlines()]
    assert len(samples) == 9 and all(sample["reason"] for sample in samples)
    assert "0 of 2" in shown.err and "2 of 2" in shown.err and samples[0]["reason"] in shown.err
    assert shown.err.rstrip().splitlines()[-1].startswith("next: ")


def test_a_perfect_model_passes_and_the_next_command_is_named(home_with_model, monkeypatch, capsys):
    tokenizer = load_tokenizer(home_with_model / "tokenizer")
    model = puppet(joint_suite(seed=6, per_pattern=4), right, tokenizer)
    monkeypatch.setattr(asking, "load", lambda *_: model)
    assert evaluate("--tag", "untaught@3", "--seed", "6", *SMALL) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "4 of 4" in shown.err and "roadmap-tip" in shown.err and "next: samosa chat --tag" in shown.err


@pytest.mark.parametrize("recipe", [None, "tiny"])
def test_the_recipe_of_the_phase_has_the_gate_of_the_command(recipe):
    assert load(PhaseA, "phase_a", recipe=recipe).gate == load(Evaluation, "eval", recipe=recipe).gate


def test_the_phase_judges_as_the_command_does(home_with_model, capsys):
    gate = load(Evaluation, "eval", sets=["gate.n=1", "gate.c=1", "gate.max_tokens=4"]).gate
    result = judging.judge_checkpoint(find_checkpoint("untaught"), gate, 9)
    assert result.exit_code == 10 and not result.passed
    assert len((home_with_model / "evals" / "eval_results_v2.jsonl").read_text().splitlines()) == 1


def test_a_seed_draws_the_same_suite_again_and_another_seed_another(home_with_model, capsys):
    hashes = []
    small = ["-s", "gate.n=1", "-s", "gate.c=1", "-s", "gate.max_tokens=2"]
    for seed in ("1", "1", "2"):
        evaluate("--tag", "untaught", "--seed", seed, "--json", *small)
        hashes.append(json.loads(capsys.readouterr().out)["suite_hash"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_unknown_tag_lists_what_there_is(home_with_model, capsys):
    assert evaluate("--tag", "untouched") == 2
    assert "untaught" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--tag", "untaught@4"], 2, "untaught@3"),
        (["--tag", "untaught", "--suite", "joined"], 2, "joint"),
        (["--tag", "untaught", "--seed", "-1"], 2, "negative"),
        (["--tag", "untaught", "-s", "gate.max_token=5"], 2, "did you mean max_tokens?"),
        (["--tag", "untaught", "-s", "gate.max_tokens=4000"], 2, "--set gate.max_tokens="),
        (["--tag", "untaught", "-s", "gate.c=200"], 2, "can never pass"),
    ],
)
def test_bad_input_ends_in_two_lines(home_with_model, arguments, code, said, capsys):
    assert evaluate(*arguments) == code
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err
    assert not (home_with_model / "evals").exists()


def test_a_truncated_checkpoint_is_not_ready(home_with_model, capsys):
    path = find_checkpoint("untaught").model_path
    path.write_bytes(path.read_bytes()[:-100])
    assert evaluate("--tag", "untaught@3") == 3
    assert "model_000003.pt" in capsys.readouterr().err


def test_a_model_of_another_vocabulary_is_bad_input(home_with_model, capsys):
    save(home_with_model / "chatsft_checkpoints" / "other", 300)
    assert evaluate("--tag", "other") == 2
    assert "vocabulary" in capsys.readouterr().err
