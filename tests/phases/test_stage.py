import json
import os
import re

import pytest

from samosa import home
from samosa.console import clock
from samosa.errors import BadInput, NotReady
from samosa.phases.stage import ABSENT, Named, Shelf, Stage, make, run_stages


def phase(source, *, lr=0.2, tag="a", code=0, rules="1"):
    """A small phase: data from a file, a model from the data, a verdict, a release."""

    def generate(work):
        (work.out / "rows.txt").write_text(source.read_text() if source.is_file() else "")
        return {"said": "two rows"}

    def fit(work):
        rows = (work.made["data"].directory / "rows.txt").read_text()
        return {"weights": f"{rows.strip()} at {lr}"}

    data = Stage("mix", "blend rows", generate, inputs={"rows": source}, version=rules)
    model = Stage("sft", "train", fit, inputs={"data": data}, settings={"lr": lr, "tag": tag})
    score = Stage("eval", "probe", lambda work: {"exit_code": code, "keep": code != 30}, inputs={"model": model})
    out = Stage("publish", "release", lambda work: {}, inputs={"score": score})
    return [data, model, score, out]


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("one two\n")
    return path


def test_running_again_runs_nothing(samosa_home, rows):
    assert run_stages(phase(rows)).ran == ["mix", "sft", "eval", "publish"]
    again = run_stages(phase(rows))
    assert again.ran == []
    assert again.done["sft"].facts["weights"] == "one two at 0.2"


def test_another_learning_rate_under_a_new_tag_reuses_the_data(samosa_home, rows):
    run_stages(phase(rows, tag="a", lr=0.2))
    assert run_stages(phase(rows, tag="b", lr=0.1)).ran == ["sft", "eval", "publish"]


def test_another_content_of_the_same_file_runs_everything(samosa_home, rows):
    run_stages(phase(rows))
    rows.write_text("three\n")
    assert run_stages(phase(rows)).ran == ["mix", "sft", "eval", "publish"]


def test_new_rules_in_the_code_make_new_data(samosa_home, rows):
    run_stages(phase(rows))
    assert run_stages(phase(rows, rules="2")).ran[0] == "mix"


def test_redo_runs_what_was_done_and_until_stops_there(samosa_home, rows):
    run_stages(phase(rows))
    assert run_stages(phase(rows), until="mix", redo=True).ran == ["mix"]
    assert run_stages(phase(rows)).ran == []


def test_a_failed_gate_ends_the_phase_with_its_code_and_publishes_nothing(samosa_home, rows, capsys):
    outcome = run_stages(phase(rows, code=10))
    assert (outcome.exit_code, outcome.ran) == (10, ["mix", "sft", "eval"])
    assert "✗ eval" in capsys.readouterr().err
    assert run_stages(phase(rows, code=10)).ran == []


def test_a_broken_measurement_is_not_kept(samosa_home, rows):
    run_stages(phase(rows, code=30))
    assert run_stages(phase(rows, code=30)).ran == ["eval"]


@pytest.mark.parametrize("flag", ["until", "start"])
def test_an_unknown_stage_lists_the_stages(samosa_home, rows, flag):
    with pytest.raises(BadInput) as caught:
        run_stages(phase(rows), **{flag: "trian"})
    assert "trian" in caught.value.message
    assert caught.value.hint == "stages: mix, sft, eval, publish"


def test_from_after_until_is_refused(samosa_home, rows):
    with pytest.raises(BadInput, match="after"):
        run_stages(phase(rows), start="eval", until="mix")


def test_from_without_the_earlier_stage_names_the_command(samosa_home, rows):
    with pytest.raises(NotReady) as caught:
        run_stages(phase(rows), start="sft")
    assert "without --from" in caught.value.hint and "--until mix instead of --from" in caught.value.hint


def test_a_home_that_is_a_file_is_not_ready(monkeypatch, tmp_path, rows):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAMOSA_HOME", str(tmp_path / "file"))
    with pytest.raises(NotReady, match=r"cannot write .*: Not a directory"):
        run_stages(phase(rows))


def test_from_asks_only_for_what_its_stages_start_from(samosa_home, rows):
    idle = Stage("idle", "nobody waits for it", lambda work: {})
    assert run_stages([idle, *phase(rows)], start="mix").ran == ["mix", "sft", "eval", "publish"]


def test_stages_made_elsewhere_are_found_where_their_sources_are_not(samosa_home, rows):
    run_stages(phase(rows), until="mix")
    rows.unlink()
    assert run_stages(phase(rows), start="sft").done["sft"].facts["weights"] == "one two at 0.2"
    with pytest.raises(NotReady):
        run_stages(phase(rows))


def test_an_optional_file_that_is_gone_is_gone_unless_the_stage_travelled(samosa_home, rows):
    def mixing(source):
        mix = Stage("mix", "", lambda work: {"seen": isinstance(source, type(rows))}, inputs={"extra": source})
        return [mix, Stage("sft", "", lambda work: {}, inputs={"data": mix})]

    run_stages(mixing(rows), until="mix")
    gone = Named("extra", ABSENT)
    assert run_stages(mixing(gone), start="sft").done["mix"].facts["seen"] is True
    assert run_stages(mixing(gone), until="mix").done["mix"].facts["seen"] is False


def test_a_stage_copied_only_in_part_is_made_again(samosa_home, rows):
    stages = phase(rows)
    done = run_stages(stages, until="mix").done["mix"]
    (done.directory / "rows.txt").write_text("o")
    assert run_stages(phase(rows), until="mix").ran == ["mix"]
    assert (done.directory / "rows.txt").read_text() == "one two\n"


def test_a_stage_that_fails_leaves_nothing(samosa_home, rows):
    def fail(work):
        (work.out / "half").write_text("x")
        raise BadInput("no", hint="none")

    with pytest.raises(BadInput):
        run_stages([Stage("mix", "", fail)])
    assert list((samosa_home / "stages").iterdir()) == []


def test_what_a_killed_run_left_is_swept_and_a_living_one_is_left_alone(samosa_home, rows):
    stage = phase(rows)[0]
    print_ = Shelf().fingerprint(stage)
    stages = samosa_home / "stages"
    dead, alive = stages / f".making-{print_}-999999999", stages / f".making-{print_}-{os.getppid()}"
    dead.mkdir(parents=True)
    alive.mkdir()
    make(stage, {}, Shelf())
    assert not dead.exists()
    assert alive.exists()


def test_a_stage_whose_checkpoint_is_gone_is_made_again(samosa_home):
    there = [True]
    stage = Stage("sft", "", lambda work: {}, still_true=lambda facts: there[0])
    run_stages([stage])
    there[0] = False
    assert run_stages([stage]).ran == ["sft"]


def test_the_record_holds_no_absolute_path(samosa_home, rows):
    done = run_stages(phase(rows)).done["mix"]
    record = (done.directory / "done.json").read_text()
    assert str(samosa_home) not in record
    assert str(rows.parent) not in record
    assert json.loads(record)["files"] == {"rows.txt": len("one two\n")}
    assert re.fullmatch(r"[0-9a-f]{20}", done.fingerprint)
    assert done.directory == home.stage_dir(done.fingerprint)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (42.4, "42 s"), (185, "3 min 05 s"), (3720, "1 h 02 min")]
)
def test_durations_are_told_for_people(seconds, said):
    assert clock(seconds) == said
