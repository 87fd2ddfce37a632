"""`samosa mix`: what it shows before it writes, what it warns of, what it refuses, and what a training makes of it."""

import json
import shutil

import pytest

from samosa import cli, home
from samosa.chat.render import render_many
from samosa.chat.tokenizer import load_tokenizer
from samosa.config import load
from samosa.data.generate import generate
from samosa.data.mix import read_rows
from samosa.data.packing import Doc, pack_documents
from samosa.errors import BadInput
from samosa.phases.data_stages import check_mix, estimated_tokens, fence_stage, mix_stage
from samosa.phases.settings import Sft
from samosa.phases.stage import Shelf, run_stages
from tests.data.mix.pools import pool, questions

SHARES = {"real_share": 0.5, "failed_search_share": 0.1, "think_share": 0.8, "follow_up_share": 0.3}


@pytest.fixture
def pools(samosa_home):
    """Three pools of a home: two of generated conversations, and one of plain questions."""
    folder = samosa_home / "data"
    folder.mkdir()
    for kind, rows in (("joint", 60), ("identity", 20)):
        made = generate(kind, rows=rows, seed=3, **SHARES)
        (folder / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    pool(folder, "quality", [f"question {n}" for n in range(40)])
    return folder


def recipe(folder, *sources, head="", **overrides) -> str:
    """A recipe with these sources, each `name amount`."""
    lines = ["[mix]", "seed = 5", "validation = 0.1", head]
    for text in sources:
        name, amount = text.split(" ", 1)
        values = {"path": f'"data/{name}.jsonl"', "optional": "false", "about_rows": "100", "about_tokens": "50"}
        pairs = [f"{key} = {value}" for key, value in (values | overrides).items()]
        lines += ["[[mix.sources]]", f'name = "{name}"', *amount.split("; "), *pairs]
    path = folder / "mix.toml"
    path.write_text("\n".join(lines))
    return str(path)


def run(*arguments, code=0) -> None:
    assert cli.main(["mix", *map(str, arguments)]) == code


def with_tokenizer(samosa_home, golden) -> None:
    shutil.copytree(golden / "tokenizer", samosa_home / "tokenizer")


def account(capsys) -> dict:
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_tokens_and_supervised_tokens_are_those_that_training_will_pack(pools, samosa_home, golden, capsys):
    with_tokenizer(samosa_home, golden)
    run("-r", recipe(pools, "joint repeat = 2.5", "identity rows = 9", "quality weight = 0.2"), "--json")
    told = account(capsys)
    assert "~" not in json.dumps(told)
    tokenizer = load_tokenizer(samosa_home / "tokenizer")
    rows = list(read_rows(samosa_home / "data/mix/training.jsonl"))
    docs = [
        Doc(ids=one.ids, mask=one.mask, source=row.source)
        for row, one in zip(rows, render_many(rows, tokenizer), strict=True)
    ]
    accounts = pack_documents(docs, length=2048, overlong="error", seed=1, pad=tokenizer.bos).accounts
    total = sum(one.supervised for one in accounts.values())
    assert {source["source"] for source in told["sources"]} == set(accounts) == {"joint", "identity", "quality"}
    for source in told["sources"]:
        packed = accounts[source["source"]]
        assert source["training"] == packed.documents
        assert (source["tokens"], source["supervised"]) == (packed.tokens, packed.supervised)
        assert source["supervised_share"] == pytest.approx(packed.supervised / total)
    weighted = {source["source"]: source["training"] for source in told["sources"]}
    assert abs(weighted["quality"] - 0.2 * sum(weighted.values())) < 1


def test_the_account_is_shown_before_anything_is_written(pools, samosa_home, monkeypatch, capsys):
    monkeypatch.setattr(home.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})())
    run("-r", recipe(pools, "joint repeat = 2", "quality rows = 30"), code=3)
    shown = capsys.readouterr().err.splitlines()
    (heading,) = [place for place, line in enumerate(shown) if line.startswith("source ")]
    assert [line.split()[0] for line in shown[heading + 1 : heading + 4]] == ["joint", "quality", "all"]
    joint = shown[heading + 1].split()
    assert int(joint[1]) == 60 and int(joint[4]) == 2 * (60 - int(joint[3])) and joint[5] == "2"
    assert not (samosa_home / "data/mix").exists() and "error: " in shown[-2]


def test_tokens_are_marked_as_estimated_without_a_tokenizer(pools, capsys):
    run("-r", recipe(pools, "quality repeat = 1"), "--json")
    captured = capsys.readouterr()
    (source,) = json.loads(captured.out)["sources"]
    assert f"~{source['tokens']:,}" in captured.err and "estimated at 4 bytes a token" in captured.err
    # bos, the user's words and two marks (or 12 characters at four a token, three), "ok" and two marks
    assert source["tokens"] / source["training"] == pytest.approx(1 + 2 + 3 + 2 + 1, abs=0.2)
    assert source["supervised"] == 2 * source["training"]


def test_plan_reads_and_shows_and_writes_nothing(pools, samosa_home, capsys):
    before = sorted(samosa_home.rglob("*"))
    named = recipe(pools, "joint repeat = 2", "quality repeat = 1")
    run("-r", named, "--plan")
    assert f"next: samosa mix -r {named}" in capsys.readouterr().err
    assert sorted(samosa_home.rglob("*")) == sorted([*before, pools / "mix.toml"])


def test_plan_reckons_with_the_recipe_where_files_are_missing_and_a_run_is_refused(pools, capsys):
    named = recipe(pools, "joint repeat = 2", "gone repeat = 1.5")
    run("-r", named, "--plan")
    shown = capsys.readouterr().err
    assert "~200" in shown and "~150" in shown and "~17,500" in shown and "✗" in shown
    run("-r", named, code=2)
    assert "error: gone: " in capsys.readouterr().err


def test_warnings_name_what_is_too_much(pools, capsys):
    head = "max_share = 0.6\nmax_epochs = 15"
    run("-r", recipe(pools, "identity repeat = 20", "quality rows = 50", head=head))
    shown = capsys.readouterr().err
    assert "warning: identity has 9" in shown and "more than mix.max_share = 0.6" in shown
    assert "rows are seen 20 times, more than mix.max_epochs = 15" in shown
    assert "warning: quality: 50 rows were asked for and 40 are all there are" in shown


def test_sources_of_one_domain_are_counted_together(pools, capsys):
    sources = ('joint repeat = 1; domain = "tools"', 'identity repeat = 1; domain = "tools"', "quality repeat = 1")
    run("-r", recipe(pools, *sources), "--plan", "--json")
    joint, identity, _ = (source["supervised_share"] for source in account(capsys)["sources"])
    run("-r", recipe(pools, *sources, head=f"max_share = {joint + identity / 2}"), "--plan")
    assert f"warning: tools has {joint + identity:.1%} of the supervised tokens" in capsys.readouterr().err
    run("-r", recipe(pools, *sources[:2], head="max_share = 0.1"), "--plan")
    assert "max_share" not in capsys.readouterr().err  # all of the mix is of one domain: there is nothing to compare


def test_rows_that_stand_twice_are_said(pools, capsys):
    (pools / "again.jsonl").write_text((pools / "quality.jsonl").read_text() * 2)
    run("-r", recipe(pools, "quality repeat = 1", "again repeat = 1"))
    assert "again: 80 rows say what an earlier row of the mix says" in capsys.readouterr().err
    training = questions(pools / "mix/training.jsonl")
    assert not set(training) & set(questions(pools / "mix/validation.jsonl"))


@pytest.mark.parametrize(
    ("sources", "head", "said"),
    [
        (["joint repeat = 1; rows = 4"], "", "one of repeat, rows and weight says how much of it, not repeat and rows"),
        (['joint domain = "x"'], "", "one of repeat, rows and weight says how much of it, not none of them"),
        (
            ["joint weight = 0.5", "quality weight = 0.4"],
            "",
            "weights add up to 0.9; shares of the mix add up to 1",
        ),
        (["joint weight = 1", "quality repeat = 1"], "", "add up to less than 1"),
        (["joint repeat = 1"], "total = 9", "total goes with a weight for every source"),
        (["joint repeat = 0"], "", "above 0"),
        (["joint repeat = 1", "joint repeat = 2"], "", "joint stands there twice"),
    ],
)
def test_recipes_that_cannot_be_meant_are_refused(pools, samosa_home, capsys, sources, head, said):
    run("-r", recipe(pools, *sources, head=head), code=2)
    assert said in capsys.readouterr().err and not (pools / "mix").exists()


def test_a_broken_line_is_named_with_its_file_and_nothing_is_written(pools, capsys):
    with (pools / "quality.jsonl").open("a") as file:
        file.write('{"messages": 4}\n')
    run("-r", recipe(pools, "joint repeat = 1", "quality repeat = 1"), code=2)
    assert "quality.jsonl:41: " in capsys.readouterr().err
    assert {path.name for path in pools.iterdir()} == {"joint.jsonl", "identity.jsonl", "quality.jsonl", "mix.toml"}


def test_files_are_mixed_each_once_in_the_place_of_the_recipes_sources(pools, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(pools)
    run("joint.jsonl", "quality.jsonl", "--out", "blend", "--plan")
    assert "next: samosa mix joint.jsonl quality.jsonl --out blend" in capsys.readouterr().err
    run("joint.jsonl", "quality.jsonl", "--out", "blend", "--json", "--workers", 1)
    assert [(one["source"], one["epochs"]) for one in account(capsys)["sources"]] == [("joint", 1), ("quality", 1)]
    run("gone.jsonl", "--plan", code=2)
    assert "gone.jsonl does not exist" in capsys.readouterr().err


def test_a_recipe_of_which_nothing_is_there_says_what_it_looked_for(samosa_home, capsys):
    run(code=2)
    shown = capsys.readouterr().err
    assert "none of the mix's sources is on this machine" in shown and "data/creator.jsonl" in shown


def test_an_output_that_would_destroy_something_is_refused(pools, capsys):
    run("-r", recipe(pools, "joint repeat = 1"), "--out", pools / "joint.jsonl", code=2)
    assert "is a file" in capsys.readouterr().err
    shutil.copy(pools / "joint.jsonl", pools / "training.jsonl")
    run("-r", recipe(pools, "training repeat = 1"), "--out", pools, code=2)
    assert "would be written over" in capsys.readouterr().err
    run("-r", recipe(pools, "joint repeat = 1"), "--set", "mix.made=data/mix", code=2)
    assert "samosa mix makes" in capsys.readouterr().err


# ---- trainings


def cfg_of(*sets):
    return load(Sft, "sft", recipe="tiny", sets=("gen.rows={}", *sets)).mix


def stages_of(*sets):
    cfg = load(Sft, "sft", recipe="tiny", sets=("gen.rows={}", *sets))
    fenced = fence_stage(cfg.fence, cfg.mix, None)
    return [fenced, mix_stage(cfg.mix, None, fenced=fenced)]


def test_a_training_takes_a_mix_as_it_was_written(pools, samosa_home, capsys):
    run("-r", recipe(pools, "joint repeat = 2", "quality repeat = 1"))
    assert "next: samosa sft --plan --set mix.made=data/mix" in capsys.readouterr().err
    settings = cfg_of("mix.made=data/mix")
    assert [check.error for check in check_mix(settings)] == [None]
    done = run_stages(stages_of("mix.made=data/mix")).done["mix"]
    for name in ("training.jsonl", "validation.jsonl"):
        assert (done.directory / name).read_bytes() == (pools / "mix" / name).read_bytes()
    record = json.loads((pools / "mix/mix.json").read_text())
    assert done.facts["shares"] == record["sources"]
    gen = load(Sft, "sft", recipe="tiny").gen
    assert estimated_tokens(settings, gen) == sum(source["tokens"] for source in record["sources"])


def test_a_mix_that_was_changed_or_is_not_there_is_refused(pools, samosa_home):
    assert "is no mix" in str(check_mix(cfg_of("mix.made=data/mix"))[0].error)
    run("-r", recipe(pools, "quality repeat = 1"))
    training = pools / "mix/training.jsonl"
    changed = training.read_bytes().replace(b"question", b"Question")
    training.write_bytes(changed)
    with pytest.raises(BadInput, match="was changed since it was mixed"):
        run_stages(stages_of("mix.made=data/mix"))
    training.write_bytes(changed[:-10])
    with pytest.raises(BadInput, match=r"training.jsonl:36: not JSON"):
        run_stages(stages_of("mix.made=data/mix"))


def test_only_what_decides_a_mix_makes_a_stage_new(pools, samosa_home):
    def print_of(amount, *sets):
        source = (
            f'{{name="quality", path="data/quality.jsonl", {amount}, optional=false, about_rows=9, about_tokens=9}}'
        )
        return Shelf().fingerprint(stages_of(f"mix.sources=[{source}]", *sets)[-1])

    first = print_of("repeat=2")
    assert print_of("repeat=2.0, domain='x'", "mix.max_share=0.3", "mix.max_epochs=2") == first
    others = [print_of(amount) for amount in ("repeat=2.5", "rows=2", "rows=3", "weight=1")]
    assert len({first, *others, print_of("repeat=2", "mix.seed=9"), print_of("repeat=2", "mix.validation=0.2")}) == 7
    assert print_of("weight=1", "mix.total=7") not in others
