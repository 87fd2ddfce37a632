"""Samples on disk: whatever interrupts an evaluation, the file is the same in the end, and others can read it."""

import json
import multiprocessing
import random

import pytest
from errorbars.adapters.lm_eval import load_lm_eval_samples

from samosa.errors import NotReady
from samosa.eval import tries
from samosa.eval.benchmarks import kept

TOTAL, CHUNK = 23, 5


def line(place):
    return kept.sample(
        doc_id=place,
        doc={"question": f"Q{place} é"},
        target="1",
        arguments={"gen_args_0": {"arg_0": "Q", "arg_1": " A"}},
        whole=f"shots Q{place}",
        resps=[[["-1.0", "True"]]],
        filtered=[["-1.0", "True"]],
        scores={"acc": float(place % 3 == 0), "acc_norm": 0.0},
        **kept.tried(
            f"t/{place}", category="old", prompt=f"Q{place}", text="said", passed=place % 3 == 0, reason="took it"
        ),
    )


def score(chunks):
    """Each line knows its chunk, as scores do by round-off."""
    for places in chunks:
        yield [{**line(place), "chunk": [places.start, places.stop]} for place in places]


def failing_at(chunk):
    def some(chunks):
        for places, lines in zip(chunks, score(chunks), strict=True):
            if chunk * CHUNK in places:
                raise KeyboardInterrupt
            yield lines

    return some


@pytest.mark.parametrize("chunk", range(TOTAL // CHUNK + 1))
def test_an_evaluation_that_was_interrupted_ends_in_the_same_bytes(chunk, tmp_path):
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    kept.all_lines(whole, TOTAL, CHUNK, score)
    with pytest.raises(KeyboardInterrupt):
        kept.all_lines(broken, TOTAL, CHUNK, failing_at(chunk))
    assert not broken.exists()
    seen = []
    lines = kept.all_lines(broken, TOTAL, CHUNK, lambda chunks: seen.extend(chunks) or score(chunks))
    assert [places.start for places in seen] == [*range(chunk * CHUNK, TOTAL, CHUNK)], "what was kept is kept"
    assert broken.read_bytes() == whole.read_bytes() and [one["doc_id"] for one in lines] == list(range(TOTAL))


def test_a_file_that_was_cut_anywhere_ends_in_the_same_bytes(tmp_path, soak_seed):
    whole = tmp_path / "whole.jsonl"
    kept.all_lines(whole, TOTAL, CHUNK, score)
    data, rng = whole.read_bytes(), random.Random(soak_seed)
    for number in range(20):
        path = tmp_path / f"{number}.jsonl"
        path.with_name(f"{number}.jsonl.part").write_bytes(data[: rng.randrange(len(data) + 1)])
        kept.all_lines(path, TOTAL, CHUNK, score)
        assert path.read_bytes() == data


def test_a_finished_file_is_read_and_nothing_is_scored(tmp_path):
    path = tmp_path / "a.jsonl"
    first = kept.all_lines(path, TOTAL, CHUNK, score)
    assert kept.all_lines(path, TOTAL, CHUNK, None) == first


def hold(path, entered, leave):
    def some(chunks):
        entered.set()
        leave.wait(20)
        return score(chunks)

    kept.all_lines(path, CHUNK, CHUNK, some)


def test_two_processes_do_not_write_the_same_samples(tmp_path):
    context = multiprocessing.get_context("fork")
    entered, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "a.jsonl", entered, leave), daemon=True)
    other.start()
    assert entered.wait(20)
    with pytest.raises(NotReady, match="written by another process"):
        kept.all_lines(tmp_path / "a.jsonl", CHUNK, CHUNK, score)
    leave.set()
    other.join(20)
    assert len(kept.read(tmp_path / "a.jsonl")) == CHUNK


def test_errorbars_and_compare_read_the_samples(tmp_path):
    path = tmp_path / "samples_mmlu_2026-11-23T00-00-00.jsonl"
    kept.all_lines(path, TOTAL, CHUNK, score)
    found = load_lm_eval_samples(path, model="r7", metric="acc")
    assert found.score == [float(place % 3 == 0) for place in range(TOTAL)]
    assert found.question_id[:2] == ["mmlu-0", "mmlu-1"]
    counts = tries.count(tries.read(path))
    assert counts.rates.tolist() == found.score and len(set(counts.templates)) == TOTAL


def test_the_name_changes_with_all_that_decides_the_samples():
    facts = {"weights": "a", "settings": {"shots": 5}}
    others = [{**facts, "weights": "b"}, {**facts, "settings": {"shots": 4}}, {**facts, "seed": 1}]
    assert len({kept.key(one) for one in (facts, *others)}) == 4
    assert kept.key(dict(reversed(facts.items()))) == kept.key(facts)
    assert json.dumps(line(0)).count("shots") == 0, "worked examples are hashed, not repeated"
