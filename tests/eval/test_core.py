"""CORE as nanochat computes it: its recorded cases, what they leave out, and bundles that are not as they should be."""

import csv
import hashlib
import http.server
import json
import random
import shutil
import threading

import pytest
import torch
import yaml

from samosa.chat.tokenizer import load_tokenizer
from samosa.errors import BadInput, NotReady
from samosa.eval.benchmarks import bundle, core
from samosa.eval.benchmarks.core import Task
from samosa.eval.benchmarks.settings import Core
from samosa.home import CheckpointRef
from samosa.model.checkpoint import load_model
from samosa.model.scoring import score

SCHEMA = [
    {"context_options": ["The cup fell off the lid, so the cup", "The cup fell off the lid, so the lid"],
     "continuation": "broke in two", "gold": gold}
    for gold in (0, 1, 0)
]  # fmt: skip


@pytest.fixture
def tokenizer(golden):
    return load_tokenizer(golden / "tokenizer")


@pytest.fixture
def model(golden):
    ref = CheckpointRef("base", "d2", 150, golden / "base_checkpoints" / "d2")
    return load_model(ref, device=torch.device("cpu"), compute_dtype=torch.float32)[0].eval()


def answer(task, place, model, tokenizer):
    items = core.prompt(task, place, tokenizer).items
    scores = score(model, tokenizer, items)
    return core.is_right(task, place, [one.logprob for one in scores], [one.greedy for one in scores], items)


@pytest.mark.parametrize("kind", ["multiple_choice", "language_modeling"])
def test_prompts_tokens_and_answers_are_those_that_nanochat_recorded(kind, golden, model, tokenizer):
    case = json.loads((golden / "core.json").read_text())[kind]
    meta = case["meta"]
    task = Task(kind, kind, meta["num_fewshot"], meta["continuation_delimiter"], 0.0, case["data"])
    assert len(case["examples"]) == 6
    for place, recorded in enumerate(case["examples"]):
        prompt = core.prompt(task, place, tokenizer)
        assert core.prompts(task, place) == list(prompt.texts) == recorded["prompts"]
        assert [[*context, *rest] for context, rest in prompt.items] == recorded["tokens"]
        assert [len(context) for context, _ in prompt.items] == recorded["starts"]
        assert [len(context) + len(rest) for context, rest in prompt.items] == recorded["ends"]
        assert answer(task, place, model, tokenizer) is recorded["correct"]


def losses_by_plain_forward(model, ids):
    """The loss of each token but the first, by the model's plain forward pass."""
    ids = torch.tensor([ids])
    with torch.no_grad():
        return model(ids[:, :-1], targets=ids[:, 1:], nll="none")


def test_a_schema_question_compares_what_the_contexts_make_of_one_ending(model, tokenizer):
    task = Task("wino", "schema", 1, " ", 50.0, SCHEMA)
    for place in range(3):
        prompt = core.prompt(task, place, tokenizer)
        assert prompt.texts[1] == prompt.texts[0][: -len("cup broke in two")] + "lid broke in two"
        (_, first), (_, second) = prompt.items
        assert first == second == tokenizer.encode(" broke in two")
        means = [losses_by_plain_forward(model, a + b)[-len(b) :].mean().item() for a, b in prompt.items]
        right = means.index(min(means)) == SCHEMA[place]["gold"]
        assert answer(task, place, model, tokenizer) is right


def test_a_continuation_is_right_when_each_of_its_tokens_is_the_likeliest(model, tokenizer):
    context = "one two three 0"
    ids = [tokenizer.bos, *tokenizer.encode(context)]
    while True:  # what the model itself would say, up to a token that encodes as it was said
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        said = tokenizer.decode(ids[1 + len(tokenizer.encode(context)) :])
        if tokenizer.encode(context + said) == ids[1:] and said.strip():
            break
        assert len(ids) < 60
    rows = [{"context": context, "continuation": said}, {"context": context, "continuation": said + " qxz"}]
    task = Task("lm", "language_modeling", 0, "", 0.0, rows)
    assert [answer(task, place, model, tokenizer) for place in (0, 1)] == [True, False]


def test_a_choice_that_others_begin_with_has_no_loss_as_in_nanochat(tokenizer):
    task = Task("t", "multiple_choice", 0, " ", 0.0, [{"query": "Say", "choices": ["red", "red moon"], "gold": 1}])
    items = core.prompt(task, 0, tokenizer).items
    assert items[0][1] == [] and items[1][1] == tokenizer.encode(" moon")
    assert core.is_right(task, 0, [0.0, -9.0], [True, False], items) is False  # nan first: Python's min keeps it
    assert core.is_right(task, 0, [-9.0, 0.0], [True, False], items[::-1]) is False  # nan last: it is passed over


def test_a_tokenizer_that_hides_where_a_continuation_begins_is_no_score(tokenizer):
    glued = [{"context": "the ca", "continuation": "t"} for _ in range(2)]
    whole = tokenizer.encode("the cat")
    assert whole[: len(tokenizer.encode("the ca"))] != tokenizer.encode("the ca")
    with pytest.raises(BadInput, match="does not begin as it does without"):
        core.prompt(Task("lm", "language_modeling", 0, "", 0.0, glued), 0, tokenizer)


# ---- the bundle


ROWS = {
    "mc.jsonl": [{"query": f"Q{i}", "choices": ["a", "b"], "gold": i % 2} for i in range(9)],
    "lm.jsonl": [{"context": f"C{i} ", "continuation": "x"} for i in range(5)],
}
TASKS = [
    {"label": "choose", "icl_task_type": "multiple_choice", "dataset_uri": "mc.jsonl", "num_fewshot": [2]},
    {"label": "say", "icl_task_type": "language_modeling", "dataset_uri": "lm.jsonl", "num_fewshot": [0],
     "continuation_delimiter": ""},
]  # fmt: skip


def write_bundle(folder, *, tasks=TASKS, rows=ROWS, baselines=(("choose", 50), ("say", 0))):
    (folder / "eval_data").mkdir(parents=True)
    (folder / "core.yaml").write_text(yaml.safe_dump({"icl_tasks": tasks}))
    with (folder / "eval_meta_data.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("Eval Task", "Task Category", "Random baseline"), *((a, "", b) for a, b in baselines)]
        )
    for name, some in rows.items():
        (folder / "eval_data" / name).write_text("".join(json.dumps(row) + "\n" for row in some))
    return folder


def settings(**fields):
    return Core(url="http://127.0.0.1:1/eval_bundle.zip", sha256="", **fields)


def test_a_bundle_is_shuffled_as_nanochat_does_and_cut_after_that(samosa_home):
    write_bundle(samosa_home / "eval_bundle")  # where nanochat has it
    choose, say = bundle.tasks(settings(limit=4))
    expected = list(ROWS["mc.jsonl"])
    random.Random(1337).shuffle(expected)
    assert list(choose.rows) == expected[:4] != ROWS["mc.jsonl"][:4]
    assert (choose.shots, choose.delimiter, choose.baseline) == (2, " ", 50.0)
    assert (say.kind, say.delimiter, len(say.rows)) == ("language_modeling", "", 4)


@pytest.mark.parametrize(("change", "message"), [
    ({"tasks": [{**TASKS[0], "icl_task_type": "essay"}]}, "icl_task_type essay is not known"),
    ({"tasks": [{"label": "choose"}]}, "no list of CORE's tasks"),
    ({"baselines": (("say", 0),)}, "no line for choose"),
    ({"rows": {**ROWS, "mc.jsonl": [{"query": "q", "choices": ["a"], "gold": 1}]}}, "row 1: gold 1 is no place"),
    ({"rows": {**ROWS, "lm.jsonl": [{"context": "q"}]}}, "there is no continuation"),
    ({"rows": {**ROWS, "mc.jsonl": ROWS["mc.jsonl"][:2]}}, "shows 2 worked examples and has 2 rows"),
    ({"rows": {"mc.jsonl": ROWS["mc.jsonl"]}}, "does not exist"),
])  # fmt: skip
def test_a_bundle_that_is_not_one_is_named(change, message, samosa_home):
    write_bundle(samosa_home / "eval_bundle", **change)
    with pytest.raises(BadInput, match=message):
        bundle.tasks(settings())


def test_without_bundle_and_network_it_says_where_to_put_it(samosa_home):
    for asked in (settings(), settings(path="nowhere")):
        with pytest.raises(NotReady) as error:
            bundle.tasks(asked)
        assert "core.path=" in error.value.hint and "curl" in error.value.hint
    assert not (samosa_home / "eval_bundle").exists()


@pytest.fixture
def server(tmp_path):
    """Serves the files of tmp_path/www on this machine; gives its address."""
    folder = tmp_path / "www"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as serving:
        threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield folder, f"http://127.0.0.1:{serving.server_port}/eval_bundle.zip"
        serving.shutdown()


def test_a_bundle_is_fetched_once_and_only_the_one_that_numbers_are_quoted_for(server, samosa_home, tmp_path):
    folder, url = server
    made = write_bundle(tmp_path / "made" / "eval_bundle")
    shutil.make_archive(str(folder / "eval_bundle"), "zip", root_dir=made.parent, base_dir="eval_bundle")
    sha256 = hashlib.sha256((folder / "eval_bundle.zip").read_bytes()).hexdigest()
    with pytest.raises(NotReady, match="is not the bundle that numbers are quoted for") as error:
        bundle.tasks(Core(url=url, sha256="0" * 64))
    assert error.value.hint.endswith(f"--set core.sha256={sha256}")
    assert [task.label for task in bundle.tasks(Core(url=url, sha256=sha256))] == ["choose", "say"]
    (folder / "eval_bundle.zip").unlink()
    assert [len(task.rows) for task in bundle.tasks(Core(url=url, sha256=sha256))] == [9, 5], "it is here now"
    assert [entry.name for entry in samosa_home.iterdir()] == ["eval_bundle"], "nothing is left of the download"


@pytest.mark.parametrize(("content", "message"), [(b"no zip at all", "is no zip"), (None, "404")])
def test_what_is_fetched_and_is_no_bundle_leaves_nothing(content, message, server, samosa_home):
    folder, url = server
    if content is not None:
        (folder / "eval_bundle.zip").write_bytes(content)
    with pytest.raises(NotReady, match=message) as error:
        bundle.tasks(Core(url=url, sha256=""))
    assert "--set core.path=" in error.value.hint and not list(samosa_home.iterdir())
