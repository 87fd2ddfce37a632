"""Continued pretraining, extension and lengthening, from the command to the checkpoint's meta."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from samosa import home
from samosa.cli import main
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.model.config import ModelConfig
from samosa.model.gpt import GPT
from samosa.phases import continued, runs
from samosa.phases.fit import refuse_other_run
from samosa.phases.horizon import Horizon
from samosa.phases.recipe_text import as_toml
from samosa.phases.settings import Cpt, Extend, Pretrain
from samosa.train.nanochat_optim import group_order
from tests.phases.recipes import fake_checkpoint

WORDS = "a context is what a model reads before it writes and the longer it is the more it may know ".split()
META = {"sequence_len": 128, "vocab_size": 300, "n_layer": 2, "n_head": 1, "n_kv_head": 1, "n_embd": 32}
SMALL = {
    "shape": {**META, "depth": 2, "width": 32, "heads": 1, "head_dim": 32, "aspect": 16, "window_pattern": "L"},
    "corpus": {"source": "texts", "validation": "val.parquet", "seed": 1, "tokens": 4000, "validation_tokens": 900},
    "train": {"length": 128, "tokens_per_step": 512, "steps": 4, "save_every": 2, "dtype": "float32"},
}
SMALL["shape"] = {name: value for name, value in SMALL["shape"].items() if not name.startswith("n_")}
ADAM, MUON = ("exp_avg", "exp_avg_sq"), ("momentum_buffer", "second_momentum_buffer")
MOMENTA = {*ADAM, *MUON}
LONGER = ("extend.sequence_len=512", "train.length=512")


@pytest.fixture
def texts(samosa_home):
    """Two parquet files of running text, and small recipes for them, in a home of their own."""
    folder = samosa_home / "texts"
    folder.mkdir()
    for name, count in (("shard_0", 40), ("val", 8)):
        rows = [" ".join(WORDS[(i * 7 + j * j) % len(WORDS)] for j in range(150)) for i in range(count)]
        pq.write_table(pa.table({"text": rows}), folder / f"{name}.parquet")
    for verb, schema in (("pretrain", Pretrain), ("cpt", Cpt), ("extend", Extend)):
        recipe = load(schema, verb, recipe="tiny").model_dump(mode="json", exclude_none=True)
        for section, values in SMALL.items():
            recipe[section] = values if section == "corpus" else {**recipe[section], **values}
        recipe["shape"]["rope_base"] = 100_000.0
        if verb == "pretrain":
            recipe["tokenizer"]["characters"], recipe["tokenizer"]["chats"]["rows"] = 9000, {}
        home.write_atomic(samosa_home / f"{verb}.toml", as_toml(recipe))
    return folder


def command(run, *sets, **options):
    recipe = str(home.root() / f"{run.__name__.removeprefix('run_')}.toml")
    return run(Options(recipe=recipe, nproc=1, sets=sets, **options))


def cli(verb, *arguments):
    return main([verb, "-r", str(home.root() / f"{verb}.toml"), "--nproc", "1", *arguments])


def newest(kind, tag):
    ref = home.list_checkpoints(kind, tag)[-1]
    return ref, json.loads(ref.meta_path.read_text())


def optimizer_at(ref):
    from samosa.model.checkpoint import load_train_state

    return load_train_state(ref)["optimizer"]


def as_nanochat_left_it(ref, tag, *, ranks):
    """A checkpoint as nanochat would have written it: no manifest, and the optimizer cut among `ranks` files."""
    config = ModelConfig(**json.loads(ref.meta_path.read_text())["model_config"])
    state, params = optimizer_at(ref), dict(GPT(config).named_parameters())
    cut = [{"state": {}, "param_groups": []} for _ in range(ranks)]
    index = 0
    for names in group_order(params):
        muon, indices = "momentum_buffer" in state[names[0]], list(range(index, index + len(names)))
        index += len(names)
        for rank, theirs in enumerate(cut):
            theirs["param_groups"].append({"kind": "muon" if muon else "adamw", "params": indices})
            if muon:
                theirs["state"][indices[0]] = {f: stacked(state, names, f, ranks)[rank] for f in MUON}
                continue
            for name, at in zip(names, indices, strict=True):
                whole = params[name].numel() < 1024
                parts = {f: state[name][f] if whole else state[name][f].chunk(ranks)[rank] for f in ADAM}
                theirs["state"][at] = {"step": state[name]["step"], **{f: part.clone() for f, part in parts.items()}}
    target = home.CheckpointRef(ref.kind, tag, ref.step, home.checkpoint_dir(ref.kind, tag))
    target.directory.mkdir()
    shutil.copy(ref.model_path, target.model_path)
    meta = json.loads(ref.meta_path.read_text())
    target.meta_path.write_text(json.dumps({k: meta[k] for k in ("step", "model_config")}))
    for rank, theirs in enumerate(cut):
        torch.save(theirs, target.directory / f"optim_{ref.step:06d}_rank{rank}.pt")


def stacked(state, names, field, ranks):
    """One field of a group of matrices as its ranks hold it: padded with nothing to as many for each."""
    whole = torch.stack([state[name][field] for name in names])
    chunk = -(-len(names) // ranks)
    return [
        part.clone()
        for part in torch.cat([whole, whole.new_zeros(chunk * ranks - len(names), *whole.shape[1:])]).split(chunk)
    ]


def test_a_longer_run_is_this_run_only_where_the_recipe_says_how_long_it_was(samosa_home):
    train = load(Cpt, "cpt").train
    reprint = lambda changes: "print of {steps} steps".format(**{"steps": train.steps, **changes})  # noqa: E731
    ref = fake_checkpoint("base", "job", 30_000, model_config=META, samosa={"fingerprint": "print of 30000 steps"})
    meta = json.loads(ref.meta_path.read_text()) | {"user_config": {"steps": 30_000, "epochs": None}}
    ref.meta_path.write_text(json.dumps(meta))
    with pytest.raises(BadInput, match="begun with another length") as refused:
        refuse_other_run("job", "base", reprint({}), horizon=Horizon(train, reprint))
    assert "--set train.lengthened_from=[30000]" in refused.value.hint
    longer = Horizon(train.model_copy(update={"lengthened_from": (30_000.0,)}), reprint)
    refuse_other_run("job", "base", reprint({}), horizon=longer)
    (before,) = longer.past("base", "job")
    assert before == {"fingerprint": "print of 30000 steps", "horizon": 30_000, "unit": "steps", "at_step": 30_000}
    shorter = Horizon(train.model_copy(update={"steps": 20_000}), reprint)
    with pytest.raises(BadInput, match="begun with another length") as refused:
        refuse_other_run("job", "base", reprint({"steps": 20_000}), horizon=shorter)
    assert "begun with train.steps 30000" in refused.value.hint


@pytest.mark.soak
def test_a_base_is_lengthened_continued_and_extended(texts, capfd):
    assert command(runs.run_pretrain) == 0
    with pytest.raises(BadInput, match="begun with another length") as refused:
        command(runs.run_pretrain, "train.steps=6")
    assert "--set train.lengthened_from=[4]" in refused.value.hint
    with pytest.raises(BadInput, match="trained with other settings"):
        command(runs.run_pretrain, "train.steps=6", "train.matrix_lr=0.01", "train.lengthened_from=[4]")
    assert command(runs.run_pretrain, "train.steps=6", "train.lengthened_from=[4]") == 0
    base, meta = newest("base", "tiny")
    (before,) = meta["samosa"]["lengthened"]
    assert (base.step, before["horizon"], before["at_step"]) == (6, 4, 4)
    assert "lengthened from 4 to 6 steps, going on from step 4" in capfd.readouterr().err

    inherit = ("init=tiny@6", "optimizer=inherit")
    assert command(continued.run_cpt, *inherit, "train.matrix_lr=1e-9", tag="with") == 0
    assert "optimizer: inherited from tiny@6" in capfd.readouterr().err
    taken, meta = newest("base", "with")
    assert (meta["stage"], meta["samosa"]["init"], taken.step) == ("cpt", "base/tiny@6", 4)
    assert optimizer_at(taken)["lm_head.weight"]["step"] == 6 + 4

    as_nanochat_left_it(base, "theirs", ranks=3)
    theirs = ("init=theirs@6", "optimizer=inherit", "train.matrix_lr=1e-9")
    assert command(continued.run_cpt, *theirs, tag="from-shards") == 0
    assert "optimizer: inherited from theirs@6" in capfd.readouterr().err
    same, other = optimizer_at(taken), optimizer_at(newest("base", "from-shards")[0])
    assert set(same) == set(other)
    assert all(
        torch.equal(same[name][field], other[name][field]) for name in same for field in MOMENTA & set(same[name])
    )

    assert command(continued.run_extend, *LONGER, "init=tiny@6", "extend.rope_base=800000.0", tag="far") == 0
    said = capfd.readouterr().err
    assert "optimizer: fresh" in said and "not readable by nanochat" in said
    far, meta = newest("base", "far")
    own = meta["samosa"]
    assert (meta["stage"], own["sequence_len"], own["windows"], own["train_len"]) == ("extend", 512, [512, 512], 512)
    assert (own["rope_base"], own["readable_by_nanochat"]) == (800_000.0, False)
    assert optimizer_at(far)["lm_head.weight"]["step"] == 4
    lines = [json.loads(text) for text in (home.run_dir("far") / "metrics.jsonl").read_text().splitlines()]
    assert list(lines[-1]["val_bpb_from"]) == ["0", "256"]
    assert main(["inspect", "far"]) == 0
    assert "not readable by nanochat" in capfd.readouterr().err


def test_phase_e_says_that_nothing_was_scaled(samosa_home, capfd):
    cfg = load(Cpt, "cpt")
    rates = (cfg.train.embedding_lr, cfg.train.unembedding_lr, cfg.train.matrix_lr, cfg.train.scalar_lr)
    assert rates == (0.03, 0.0008, 0.002, 0.05)
    assert (cfg.train.weight_decay, cfg.train.warmup_steps, cfg.train.steps) == (0.028, 100, 40_000)
    assert main(["cpt", "--plan", "-v", "--nproc", "8", "--json"]) == 0
    out, err = capfd.readouterr()
    (stage,) = [stage for stage in json.loads(out)["stages"] if stage["stage"] == "cpt"]
    facts = {number["what"]: number for number in stage["numbers"]}
    assert facts["steps"]["shown"] == "40,000 x 524,288 tokens = 20,971,520,000"
    assert facts["learning rates"]["basis"].startswith("batch-size scaling: none")
    assert facts["optimizer"]["value"] == "fresh"
    assert "schedule of 40,000 steps" in err and "warmdown begins" in err


@pytest.mark.parametrize(
    ("verb", "sets", "said"),
    [
        ("cpt", ["init=nobody"], "no checkpoint is called nobody"),
        ("extend", ["extend.sequence_len=1024"], "is not beyond the init's 2,048"),
        ("extend", ["train.length=2048"], "is not between"),
        ("extend", ["extend.windows=[1,20000]"], "longer than extend.sequence_len"),
        ("extend", ["extend.yarn={factor=0.5,beta_fast=32,beta_slow=1}"], "yarn factor is 0.5"),
        ("extend", ["extend.yarn={factor=8,beta_fast=32,beta_slow=1}", "extend.rope_base=800000"], "take one"),
        ("extend", ["extend.length=16384"], "not a known key"),
        ("cpt", ["optimizer=keep"], "expected one of"),
        ("cpt", ["train.lengthened_from=[50000]"], "is not shorter than"),
    ],
)
def test_bad_input_is_two_lines_and_exit_2(samosa_home, capfd, verb, sets, said):
    arguments = [part for text in sets for part in ("--set", text)]
    assert main([verb, "--plan", *arguments]) == 2
    error, hint = capfd.readouterr().err.splitlines()[-2:]
    assert error.startswith("error: ") and hint.startswith("hint: ") and said in f"{error} {hint}"


def test_what_is_not_here_is_exit_3_and_a_row_of_the_plan(texts, capfd):
    fake_checkpoint("base", "tiny", 6, model_config={**META, "window_pattern": "L"})
    assert cli("cpt", "--plan", "--set", "init=tiny", "--set", "optimizer=inherit") == 0
    assert "tiny@6 has no optimizer state to inherit" in capfd.readouterr().err
    (texts / "val.parquet").unlink()
    assert cli("pretrain", "--tag", "other") == 3
    assert "the validation file val.parquet is not in" in capfd.readouterr().err


def test_a_shard_without_its_column_is_exit_2_before_anything_runs(texts, capfd):
    pq.write_table(pa.table({"body": ["x"]}), texts / "shard_1.parquet")
    assert cli("pretrain") == 2
    assert "shard_1.parquet has no column 'text'" in capfd.readouterr().err


def test_an_extended_chat_model_stays_one(samosa_home):
    fake_checkpoint("chat", "tiny-sft-r6", 6, model_config={**META, "window_pattern": "L"})
    from samosa.phases.init import find_init

    shape = load(Extend, "extend", recipe="tiny").shape.config()
    assert continued.kind_of(find_init("tiny-sft-r6", shape)) == "chat"
    assert continued.kind_of(find_init("d24-sft-r6@754", shape)) == "chat"
    assert continued.kind_of(find_init("d24@5568", shape)) == "base"
