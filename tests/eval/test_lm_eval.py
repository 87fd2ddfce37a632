"""Multiple choice against lm-evaluation-harness, on one checkpoint and the same questions."""

import json
import random

import pytest
import torch

from samosa.chat.tokenizer import load_tokenizer
from samosa.config import load
from samosa.eval.benchmarks import parts
from samosa.eval.benchmarks.parts import Asked
from samosa.eval.benchmarks.settings import Benchmarks
from samosa.home import CheckpointRef
from samosa.model.checkpoint import load_model

CLOSE = 1e-4
QUESTIONS = 64
WORDS = "coast river blue lion gate map north old tower ship salt hill 1492 red moon street".split()


@pytest.fixture
def asked(golden):
    ref = CheckpointRef("base", "d2", 150, golden / "base_checkpoints" / "d2")
    model, _ = load_model(ref, device=torch.device("cpu"), compute_dtype=torch.float32)
    return model.eval(), load_tokenizer(golden / "tokenizer")


def phrase(rng, low, high):
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))


def mmlu_rows(rng, count):
    """Choices of many lengths, some ending or beginning oddly; questions with space around them. One and a shot fit
    into the model: of what does not, samosa leaves out the shot, and the harness's models cut off its beginning."""
    for _ in range(count):
        choices = [rng.choice(["", " ", "the "]) + phrase(rng, 1, 4) + rng.choice(["", ".", "!"]) for _ in range(4)]
        question = rng.choice(["", " "]) + phrase(rng, 2, 7) + rng.choice(["?", "? ", ":\n", "_"])
        yield {"question": question, "subject": "old_maps", "choices": choices, "answer": rng.randrange(4)}


def arc_rows(rng, count):
    for number in range(count):
        labels = rng.choice([list("ABCD"), list("1234"), list("ABC"), list("ABCDE")])
        choices = {"text": [phrase(rng, 1, 5) for _ in labels], "label": labels}
        question = phrase(rng, 2, 9) + rng.choice(["?", "? "])
        yield {"id": f"q{number}", "question": question, "choices": choices, "answerKey": rng.choice(labels)}


def write(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def ours(suite, form, asked, sets, tokenizer):
    cfg = load(Benchmarks, "benchmarks", sets=[*sets, f"{suite}.base=[{form}]".replace("[", '["').replace("]", '"]')])
    (part,) = parts.load(suite, cfg, "base", seed=0, again="").parts
    return list(part.lines(Asked(asked[0], tokenizer, cfg, 0, lambda tokens: None))(range(part.total)))


def theirs(task, folder, asked):
    import lm_eval
    from lm_eval.tasks import TaskManager

    from tests.eval.lm_eval_peer import Peer

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    found = lm_eval.simple_evaluate(
        model=Peer(*asked), tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    samples = sorted(found["samples"][task], key=lambda one: one["doc_id"])
    return found["results"][task], samples


def check(mine, results, samples):
    assert len(mine) == len(samples) >= 60
    for own, other in zip(mine, samples, strict=True):
        for (logprob, greedy), answer in zip(own["filtered_resps"], other["filtered_resps"], strict=True):
            assert float(logprob) == pytest.approx(float(answer[0]), abs=CLOSE)
            assert greedy == str(answer[1])
        assert own["target"] == str(other["target"]) and own["doc"] == other["doc"]
        assert own["doc_hash"] == other["doc_hash"] and own["target_hash"] == other["target_hash"]
        assert set(own) >= set(other) - {"acc_norm"}, "its JSONL shape"
    for metric in mine[0]["metrics"]:
        rate = sum(one[metric] for one in mine) / len(mine)
        assert rate == pytest.approx(results[f"{metric},none"], abs=CLOSE)


@pytest.mark.soak
@pytest.mark.parametrize("form", ["letter", "continuation"])
@pytest.mark.parametrize("shots", [0, 1])
def test_mmlu_equals_lm_evaluation_harness(form, shots, asked, soak_seed, tmp_path):
    from tests.eval.lm_eval_peer import mmlu_task

    rng = random.Random(soak_seed)
    write(tmp_path / "test.jsonl", mmlu_rows(rng, QUESTIONS))
    write(tmp_path / "dev.jsonl", mmlu_rows(rng, 5))
    mine = ours("mmlu", form, asked, [f"mmlu.path={tmp_path}", f"mmlu.shots={shots}"], asked[1])
    check(mine, *theirs(mmlu_task(tmp_path, form, shots), tmp_path, asked))


@pytest.mark.soak
def test_arc_equals_lm_evaluation_harness(asked, soak_seed, tmp_path):
    from tests.eval.lm_eval_peer import arc_task

    write(tmp_path / "test.jsonl", arc_rows(random.Random(soak_seed), QUESTIONS))
    mine = ours("arc", "continuation", asked, [f"arc.path={tmp_path}", 'arc.configs=["ARC-Easy"]'], asked[1])
    check(mine, *theirs(arc_task(tmp_path), tmp_path, asked))
