import json
from pathlib import Path

import pytest

from samosa.config import Options
from samosa.errors import BadInput
from samosa.phases import data_commands
from samosa.phases.data_commands import filter_files, gen_data
from tests.phases.recipes import printed_json


def test_generated_rows_are_written_and_the_next_command_named(samosa_home, tmp_path, capsys):
    out = tmp_path / "joint.jsonl"
    assert gen_data(Options(json=True), kind="joint", rows=9, out=out, seed=3) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"kind": "joint", "rows": 9, "path": str(out), "seed": 3}
    assert f"next: samosa filter {out} --rules joint" in captured.err
    assert len(out.read_text().splitlines()) == 9


def test_the_same_seed_gives_the_same_file_and_another_another(samosa_home, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        gen_data(Options(), kind="joint", rows=6, out=tmp_path / name, seed=seed)
    a, b, c = ((tmp_path / name).read_text() for name in "abc")
    assert a == b != c


def test_without_out_the_rows_go_into_the_home(samosa_home):
    gen_data(Options(), kind="creator", rows=3)
    assert len((samosa_home / "data" / "creator.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(("kind", "rows", "said"), [("jont", 3, "jont"), ("think_only", None, "--rows")])
def test_kinds_and_counts_that_are_missing_are_bad_input(samosa_home, kind, rows, said):
    with pytest.raises(BadInput) as caught:
        gen_data(Options(), kind=kind, rows=rows)
    assert said in caught.value.message + caught.value.hint


def test_filtering_sorts_rows_and_counts_reasons(samosa_home, tmp_path, capsys):
    source, out = tmp_path / "rows.jsonl", tmp_path / "out"
    gen_data(Options(), kind="joint", rows=6, out=source)
    good = source.read_text()
    bad = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>hm, 42"}]
    source.write_text(good + json.dumps(bad) + "\n")
    capsys.readouterr()
    assert filter_files(Options(json=True), files=[source], out=out, rules="joint") == 0
    (report,) = printed_json(capsys)["files"]
    assert (report["kept"], report["rejected"]) == (6, 1)
    assert report["reasons"]["closed_think"] == 1
    assert (out / "rows.jsonl").read_text() == good
    rejected = json.loads((out / "rows.rejected.jsonl").read_text())
    assert rejected["line"] == 7


def test_nothing_is_filtered_when_one_of_the_files_is_missing(samosa_home, tmp_path):
    gen_data(Options(), kind="joint", rows=3, out=tmp_path / "a.jsonl")
    with pytest.raises(BadInput, match=r"b\.jsonl does not exist"):
        filter_files(Options(), files=[tmp_path / "a.jsonl", tmp_path / "b.jsonl"], out=tmp_path / "out", rules="joint")
    assert not (tmp_path / "out").exists()


def test_a_folder_is_no_file_to_filter_and_a_file_no_folder_to_filter_into(samosa_home, tmp_path):
    with pytest.raises(BadInput, match="is not a file"):
        filter_files(Options(), files=[tmp_path], out=tmp_path / "out", rules="joint")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadInput, match="out is a file"):
        filter_files(Options(), files=[tmp_path / "a.jsonl"], out=tmp_path / "out", rules="joint")


def test_the_next_line_names_what_the_recipe_will_find(samosa_home, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    gen_data(Options(), kind="joint", rows=3, out=Path("good.jsonl"))
    bad = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>hm, 42"}]
    Path("bad.jsonl").write_text(json.dumps(bad) + "\n")
    filter_files(Options(), files=[Path("bad.jsonl"), Path("good.jsonl")], out=Path("o1"), rules="joint")
    assert f"next: name {tmp_path.resolve() / 'o1' / 'good.jsonl'} as path" in capsys.readouterr().err
    filter_files(Options(), files=[Path("bad.jsonl")], out=Path("o2"), rules="joint")
    told = capsys.readouterr().err
    assert f"next: read {tmp_path.resolve() / 'o2' / 'bad.rejected.jsonl'}" in told and "as path" not in told


@pytest.mark.parametrize("out", [".", "rows"])
def test_rows_are_not_written_over_a_folder(samosa_home, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    Path(out).mkdir(exist_ok=True)
    with pytest.raises(BadInput, match="is a folder"):
        gen_data(Options(), kind="joint", rows=3, out=Path(out))


def test_fewer_rows_than_asked_for_are_said_to_be_all(samosa_home, monkeypatch, capsys):
    monkeypatch.setattr(data_commands, "generated", lambda *args, **options: iter([{"messages": []}]))
    gen_data(Options(), kind="joint", rows=2)
    assert "1 joint conversations (all there are) in" in capsys.readouterr().err
    gen_data(Options(), kind="joint", rows=1)
    assert "all there are" not in capsys.readouterr().err


def test_a_file_is_never_written_over_and_unknown_rules_list_the_known(samosa_home, tmp_path):
    path = tmp_path / "a.jsonl"
    gen_data(Options(), kind="joint", rows=3, out=path)
    with pytest.raises(BadInput, match="written over"):
        filter_files(Options(), files=[path], out=tmp_path, rules="joint")
    with pytest.raises(BadInput) as caught:
        filter_files(Options(), files=[path], out=tmp_path / "out", rules="jont")
    assert "joint" in caught.value.hint
