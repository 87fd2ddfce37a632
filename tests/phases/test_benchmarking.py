"""`samosa eval --suite core|mmlu|arc|gsm8k` from the command line down, on a recorded model and small questions."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from errorbars.adapters.lm_eval import load_lm_eval_samples

from samosa.cli import main
from samosa.eval.benchmarks.seen import training_split
from samosa.home import find_checkpoint
from samosa.phases import asking
from tests.eval.test_core import write_bundle

FEW = ["-s", "asking.chunk=4", "-s", "mmlu.shots=1", "-s", "gate.dtype=float32", "-s", "gate.rows=4"]


@pytest.fixture
def recorded(samosa_home, golden):
    """A home with nanochat's recorded base and chat model and its tokenizer."""
    for name in ("tokenizer", "base_checkpoints", "chatsft_checkpoints"):
        shutil.copytree(golden / name, samosa_home / name)
    return samosa_home


def questions(folder, count=6):
    folder.mkdir(parents=True)
    for split, number in (("test", count), ("dev", 2)):
        rows = [
            {"question": f"Red {i}?", "subject": f"map_{i % 2}", "choices": ["a", "b", "c", f"d {i}"], "answer": i % 4}
            for i in range(number)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["-s", f"mmlu.path={folder}"]


def problems(folder, count=3):
    folder.mkdir(parents=True)
    rows = [
        {"question": f"{i} and {i}?", "answer": f"{i}+{i}=<<{i}+{i}={2 * i}>>{2 * i}\n#### {2 * i}"}
        for i in range(count)
    ]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["-s", f"gsm8k.path={folder}", "-s", "gsm8k.max_tokens=12", "-s", 'gsm8k.system={on="none",off="none"}']


def evaluate(suite, *arguments, tag="chat/d2@37"):
    return main(["eval", "--tag", tag, "--suite", suite, *FEW, *arguments])


def lines(home):
    return [json.loads(text) for text in (home / "evals" / "eval_results_v2.jsonl").read_text().splitlines()]


def test_mmlu_is_recorded_as_criteria_reads_it(recorded, tmp_path, capsys):
    assert evaluate("mmlu", "--json", *questions(tmp_path / "mmlu")) == 0
    shown = capsys.readouterr()
    (line,) = lines(recorded)
    assert json.loads(shown.out) == line
    assert (line["suite"], line["tag"], line["step"], line["kind"]) == ("mmlu", "d2", 37, "chat")
    assert line["n"] == 6 and 0 <= line["right"] <= 6 and line["form"] == "chat"
    assert list(line["parts"]) == ["chat", "letter", "continuation"]
    assert line["weights_sha256"] == asking.weights_sha256(find_checkpoint("chat/d2@37"))
    samples = [json.loads(text) for text in (recorded / line["samples"]).read_text().splitlines()]
    assert sum(one["passed"] for one in samples) == line["right"] and [one["doc_id"] for one in samples] == [*range(6)]
    found = load_lm_eval_samples(recorded / line["samples"], model="d2", metric="acc")
    assert sum(found.score) == line["right"] and len(found) == 6
    assert "MMLU > 40% needs >= 6 of 6" not in shown.err and "MMLU > 40% needs >= 5 of 6" in shown.err
    assert main(["criteria", "--tag", "chat/d2@37", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)["criteria"]}
    assert found["MMLU >= 40%"]["measured"] == f"{line['right']} of 6"


def test_what_was_scored_is_not_scored_again_and_the_tag_does_not_matter(recorded, tmp_path, capsys, monkeypatch):
    data = questions(tmp_path / "mmlu")
    assert evaluate("mmlu", *data) == 0
    capsys.readouterr()
    monkeypatch.setattr(asking, "load", None)  # no model is needed
    assert evaluate("mmlu", *data) == 0
    assert "all 6 answers of d2@37 are kept" in capsys.readouterr().err
    first, second = lines(recorded)
    assert [first["parts"][name]["samples_sha256"] for name in first["parts"]] == [
        second["parts"][name]["samples_sha256"] for name in second["parts"]
    ]
    with pytest.raises(TypeError):  # other weights are another model
        asking.load()
    assert evaluate("mmlu", *data, tag="base/d2@150") == 30


@pytest.mark.parametrize("text", ["garbage\n", "", '{"id": "one line of six"}\n'])
def test_kept_samples_that_somebody_changed_are_refused_until_redo(text, recorded, tmp_path, capsys):
    data = questions(tmp_path / "mmlu")
    assert evaluate("mmlu", *data) == 0
    (recorded / lines(recorded)[0]["samples"]).write_text(text)
    assert evaluate("mmlu", *data) == 3
    said = capsys.readouterr().err
    assert "is no longer what was scored" in said and "--redo" in said.splitlines()[-1] and "Traceback" not in said
    assert evaluate("mmlu", *data, "--redo") == 0


def test_a_harness_that_breaks_is_exit_30_and_no_wrong_answer(recorded, tmp_path, capsys, monkeypatch):
    from samosa.eval.benchmarks import likelihood

    data, scored = questions(tmp_path / "mmlu"), likelihood.score
    calls = []

    def broken(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return scored(*arguments, **options)

    monkeypatch.setattr(likelihood, "score", broken)
    assert evaluate("mmlu", *data) == 30
    said = capsys.readouterr().err
    assert "the harness broke, there is no result: RuntimeError: out of memory" in said and "goes on where" in said
    assert not (recorded / "evals").exists()
    assert evaluate("mmlu", *data) == 0
    (line,) = lines(recorded)
    monkeypatch.setattr(likelihood, "score", scored)
    assert evaluate("mmlu", "--redo", *data) == 0
    assert lines(recorded)[1]["samples_sha256"] == line["samples_sha256"], "as if it had never broken"


def test_gsm8k_is_asked_with_and_without_the_calculator(recorded, tmp_path, capsys):
    assert evaluate("gsm8k", *problems(tmp_path / "gsm8k"), "-s", "gsm8k.votes=2") == 0
    (line,) = lines(recorded)
    assert list(line["parts"]) == ["tools on", "tools off"] and line["n"] == 3
    assert set(line["parts"]["tools on"]["metrics"]) == {"strict", "flexible", "maj@2"}
    said = capsys.readouterr().err
    assert "GSM8K > 50% cannot be shown by 3 questions" in said
    assert "in-distribution format: its training split is in the SFT mix" in said and "gsm8k_epochs = 1" in said


def test_core_is_the_mean_of_centred_accuracies(recorded, tmp_path, capsys):
    write_bundle(recorded / "eval_bundle")
    assert evaluate("core", "--json", tag="base/d2@150") == 0
    line = json.loads(capsys.readouterr().out)
    tasks = line["tasks"]
    assert [(name, one["n"]) for name, one in tasks.items()] == [("choose", 9), ("say", 5)]
    expected = (tasks["choose"]["right"] / 9 - 0.5) / 0.5, tasks["say"]["right"] / 5
    assert [one["centred"] for one in tasks.values()] == pytest.approx(expected)
    assert line["core"] == pytest.approx(sum(expected) / 2) and line["interval"][0] < line["core"] < line["interval"][1]
    assert line["training_split"] is None


def test_two_models_are_compared_question_by_question(recorded, tmp_path, capsys):
    data = [*questions(tmp_path / "mmlu", 12), "-s", 'mmlu.chat=["letter"]', "-s", 'mmlu.base=["letter"]']
    assert evaluate("mmlu", *data) == evaluate("mmlu", *data, tag="base/d2@150") == 0
    capsys.readouterr()
    assert main(["compare", "base/d2@150", "chat/d2@37", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["overall"]["instances"] == 12
    assert {one["name"] for one in found["categories"]} == {"map_0", "map_1"}


def test_a_plan_asks_nothing(recorded, tmp_path, capsys):
    assert evaluate("mmlu", "--plan", "--json", *questions(tmp_path / "mmlu")) == 0
    assert [one["questions"] for one in json.loads(capsys.readouterr().out)["parts"]] == [6, 6, 6]
    assert not (recorded / "evals").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["mmlu", "--seed", "-1"], "seed -1 is negative"),
    (["mmlu", "-s", 'mmlu.chat=["essay"]'], "expected one of"),
    (["gsm8k", "-s", "gsm8k.max_tokens=512"], "the model was made for 256"),
    (["mmlu2"], "there is no suite mmlu2"),
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(arguments, message, recorded, tmp_path, capsys):
    data = [*questions(tmp_path / "mmlu"), *problems(tmp_path / "gsm8k")]
    assert evaluate(arguments[0], *data, *arguments[1:]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("recipe", "suite", "answer"), [
    ('[[mix.sources]]\nname = "joint"\n', "mmlu", "no"),
    ('[[mix.sources]]\nname = "joint"\n[[mix.sources]]\nname = "x"\npath = "data/GSM8K_train.jsonl"\n', "gsm8k", "yes"),
    ('[[mix.sources]]\nname = "search"\n', "arc", "no"),
    ('[[mix.sources]]\nname = "ai2_arc"\n', "arc", "yes"),
    ('[mix]\nmade = "mixes/a"\n', "mmlu", "unknown"),
    ("not toml", "mmlu", "unknown"),
])  # fmt: skip
def test_whether_a_training_split_was_in_the_mix_is_read_from_the_recipe(recipe, suite, answer, recorded):
    meta = recorded / "chatsft_checkpoints" / "d2" / "meta_000037.json"
    facts = json.loads(meta.read_text()) | {"samosa": {"init": "base/d2@150"}}
    meta.write_text(json.dumps(facts))
    (recorded / "runs" / "d2").mkdir(parents=True)
    (recorded / "runs" / "d2" / "recipe.toml").write_text(recipe)
    assert training_split(suite, find_checkpoint("chat/d2@37")).answer == answer
    assert training_split(suite, find_checkpoint("base/d2@150")).answer == "no"


@pytest.mark.soak
@pytest.mark.parametrize("nproc", [1, 2])
def test_a_kill_anywhere_ends_in_the_same_file_with_any_number_of_processes(nproc, recorded, tmp_path, soak_seed):
    data = [*questions(tmp_path / "mmlu", 160), "-s", 'mmlu.chat=["letter"]']
    code = "import sys; from samosa.cli import main\nif __name__ == '__main__': sys.exit(main(sys.argv[1:]))"
    script = tmp_path / "run.py"
    script.write_text(code)
    command = [sys.executable, str(script), "eval", "--tag", "chat/d2@37", "--suite", "mmlu", *FEW, *data]
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    seconds, rng = time.monotonic() - started, random.Random(soak_seed)
    (path,) = (recorded / "runs" / "d2" / "eval").glob("*.jsonl")
    whole, killed = path.read_bytes(), 0
    command += ["--nproc", str(nproc)]
    for _ in range(4):
        path.unlink()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 1.0) * seconds)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        subprocess.run(command, check=True, capture_output=True)
        assert path.read_bytes() == whole
    assert killed
