import pytest

from samosa import home
from samosa.config import Options, load
from samosa.errors import BadInput
from samosa.phases import phase_a, runs
from samosa.phases.data_stages import read_mix, refuse_overlap
from samosa.phases.fit import refuse_other_run
from samosa.phases.settings import PhaseA
from samosa.phases.stage import Done, Shelf, Stage, Work, run_stages
from tests.phases.recipes import SMALL, fake_checkpoint, printed_json, tiny
from tests.phases.test_doctor import MODEL


def phase(*sets):
    cfg = load(PhaseA, "phase_a", recipe="tiny", sets=(*SMALL, *sets))
    machine = runs.machine_of(Options(), cfg.estimates)
    init, before = phase_a.starting_point(cfg, machine)
    return cfg, before, phase_a.stages(cfg, init, machine)


def prints(*sets):
    _, before, stages = phase(*sets)
    shelf = Shelf()
    return {stage.name: shelf.fingerprint(stage) for stage in (*before, *stages)}


def changed(*sets):
    before, after = prints(), prints(*sets)
    return [name for name in before if before[name] != after[name]]


def test_the_stages_have_the_fixed_names(samosa_home):
    assert [stage.name for stage in phase()[2]] == ["gen-data", "filter", "fence", "mix", "sft", "eval", "publish"]


@pytest.mark.parametrize(
    ("setting", "stages"),
    [
        ("train.matrix_lr=0.01", ["sft", "eval", "publish"]),
        ("tag=other", ["sft", "eval", "publish"]),
        ("gate.seed=5", ["eval", "publish"]),
        ("mix.seed=5", ["mix", "sft", "eval", "publish"]),
        ("gen.seed=5", ["gen-data", "filter", "fence", "mix", "sft", "eval", "publish"]),
        ("publish.to=elsewhere", ["publish"]),
        ("train.save_every=7", []),
        ("train.micro_batch=2", []),
        ("estimates.tokens_per_second=5", []),
    ],
)
def test_a_setting_makes_new_what_it_decides_and_nothing_else(samosa_home, setting, stages):
    assert changed(setting) == stages


def test_data_on_a_laptop_then_again_from_cache(samosa_home, capsys):
    assert tiny(start="gen-data", until="mix", json=True) == 0
    first = printed_json(capsys)
    assert [stage["stage"] for stage in first["stages"]][-4:] == ["gen-data", "filter", "fence", "mix"]
    assert tiny(start="gen-data", until="mix") == 0
    shown = capsys.readouterr().err
    assert shown.count("from cache") == 4
    assert "next: samosa phase-a -r tiny" in shown
    assert "--from sft" in shown


def test_the_mix_repeats_what_the_recipe_repeats_and_holds_rows_out(samosa_home):
    mix = run_stages(phase()[2], until="mix").done["mix"]
    shares = {share["source"]: share for share in mix.facts["shares"]}
    training, validation = read_mix(mix, "training.jsonl"), read_mix(mix, "validation.jsonl")
    assert sum(row.source == "joint" for row in training) == 60 - shares["joint"]["validation"]
    assert len(validation) == sum(share["validation"] for share in shares.values()) > 0
    assert not set(training) & set(validation)


def test_a_training_row_that_asks_a_probe_is_refused(samosa_home):
    from samosa.chat.conversation import parse_row
    from samosa.eval.probes import joint_suite

    cfg, _, stages = phase()
    mix = run_stages(stages, until="mix").done["mix"]
    rows = read_mix(mix, "training.jsonl")
    refuse_overlap(rows, cfg.gate)
    probe = joint_suite(seed=cfg.gate.seed, per_pattern=cfg.gate.n)[-1]
    asked = {"role": "user", "content": probe.conversation.turns[-1].text}
    leak = parse_row([asked, {"role": "assistant", "content": "I know."}], source="leaky")
    with pytest.raises(BadInput, match="leaky"):
        refuse_overlap([*rows, leak], cfg.gate)


def test_a_broken_line_names_file_and_number(samosa_home):
    (samosa_home / "data").mkdir()
    (samosa_home / "data" / "x.jsonl").write_text(
        '[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]\n{"mess'
    )
    source = 'mix.sources=[{name="x",path="data/x.jsonl",repeat=1,optional=false,about_rows=1,about_tokens=1}]'
    with pytest.raises(BadInput, match=r"x\.jsonl:2"):
        tiny(source, start="gen-data", until="mix")


def test_a_missing_source_names_the_file(samosa_home):
    source = 'mix.sources=[{name="x",path="data/x.jsonl",repeat=1,optional=false,about_rows=1,about_tokens=1}]'
    with pytest.raises(BadInput, match=r"data/x\.jsonl does not exist"):
        tiny(source, start="gen-data", until="mix")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("gen.rows={jont=3}", "jont"),
        ('mix.sources=[{name="y",repeat=1,optional=false,about_tokens=1}]', "y has no path"),
        ('filter.common=["closed_thnk"]', "closed_thnk"),
    ],
)
def test_names_that_do_not_exist_end_before_anything_is_spent(samosa_home, setting, said):
    with pytest.raises(BadInput, match=said):
        tiny(setting, plan=True)
    assert list(samosa_home.iterdir()) == []


def test_a_tag_that_holds_another_run_is_refused_with_the_way_on(samosa_home):
    fake_checkpoint("chat", "tiny-sft-r7", 40, model_config=MODEL, samosa={"fingerprint": "other"})
    with pytest.raises(BadInput) as caught:
        tiny()
    assert "--tag tiny-sft-r7b" in caught.value.hint
    refuse_other_run("tiny-sft-r7", "chat", "other")
    fake_checkpoint("chat", "theirs", 1, model_config=MODEL, manifest=False)
    with pytest.raises(BadInput, match="made elsewhere"):
        refuse_other_run("theirs", "chat", "mine")
    with pytest.raises(BadInput) as caught:
        refuse_other_run("theirs", "chat", "mine", group="init:")
    assert "init=theirs@1" in caught.value.hint


def test_a_checkpoint_of_unreadable_meta_is_left_to_training_to_set_aside(samosa_home):
    ref = fake_checkpoint("chat", "cut", 3, model_config=MODEL, samosa={"fingerprint": "other"})
    ref.meta_path.write_text('{"samosa": {"finger')
    refuse_other_run("cut", "chat", "mine")
    ref.meta_path.unlink()
    refuse_other_run("cut", "chat", "mine")
    ref.manifest_path.unlink()
    with pytest.raises(BadInput, match="made elsewhere"):
        refuse_other_run("cut", "chat", "mine")


def test_the_lineage_goes_back_to_the_base(samosa_home):
    fake_checkpoint("base", "tiny", 9, model_config=MODEL)
    fake_checkpoint("chat", "r6", 4, model_config=MODEL, samosa={"init": "base/tiny@9"})
    last = fake_checkpoint("chat", "r7", 5, model_config=MODEL, samosa={"init": "chat/r6@4"})
    assert phase_a.lineage(last) == ["tiny@9", "r6@4", "r7@5"]
    (home.checkpoint_dir("chat", "r6") / "model_000004.pt").unlink()
    assert phase_a.lineage(last) == ["r6@4", "r7@5"]


def test_a_passed_gate_is_released_with_its_card_and_a_failed_one_is_not(samosa_home):
    ref = fake_checkpoint("chat", "r7", 5, model_config=MODEL)
    for name in ("tokenizer.pkl", "token_bytes.pt"):
        home.write_atomic(home.tokenizer_dir() / name, name)
    pointers = {"checkpoint": "chat/r7@5", "manifest": home.sha256_file(ref.manifest_path)}
    facts = {"said": "ship", "exit_code": 0, "table": [{"pattern": "search"}], "record": {"seed": 1}}

    def done(values):
        return Done(samosa_home, "x", values, 0.0, cached=True)

    idle = Stage("idle", "", lambda work: {})
    publish = phase_a.publish_stage("releases", idle, idle, idle)
    made = {"model": done(pointers), "mix": done({"shares": [{"source": "joint"}]}), "score": done(facts)}
    released = publish.run(Work(samosa_home, "x", made))
    assert publish.still_true(released)
    assert "| search |" in (samosa_home / "releases" / "r7" / "README.md").read_text()
    with pytest.raises(BadInput):
        publish.run(Work(samosa_home, "x", made | {"score": done({**facts, "exit_code": 10})}))


def test_the_pretrain_of_the_phase_is_the_one_of_the_command(samosa_home):
    from samosa.phases.settings import Pretrain

    cfg = load(Pretrain, "pretrain", recipe="tiny")
    alone = runs.base_stages(cfg, runs.machine_of(Options(), cfg.estimates))
    inside = phase()[1][: len(alone)]
    shelf = Shelf()
    assert [shelf.fingerprint(stage) for stage in alone] == [shelf.fingerprint(stage) for stage in inside]


@pytest.mark.parametrize(
    ("run", "recipe", "tag"),
    [
        (phase_a.run, None, "d24-sft-r7"),
        (phase_a.run, "tiny", "tiny-sft-r7"),
        (runs.run_sft, None, "d24-sft"),
        (runs.run_pretrain, None, "d24-base"),
        (runs.run_pretrain, "tiny", "tiny"),
    ],
)
def test_recipes_can_be_planned_with_an_empty_home(samosa_home, capsys, run, recipe, tag):
    options = Options(recipe=recipe, plan=True, json=True, nproc=1 if recipe else 8)
    assert run(options) == 0
    assert printed_json(capsys)["plan"].startswith(f"{tag}, from ")


def test_fine_tuning_from_what_nobody_has_made_is_bad_input(samosa_home):
    with pytest.raises(BadInput, match="tiny"):
        runs.run_sft(Options(recipe="tiny", plan=True))


def test_a_tag_may_be_a_number(samosa_home, capsys):
    assert tiny(plan=True, json=True, tag="2026") == 0
    assert printed_json(capsys)["plan"].startswith("2026, from ")
