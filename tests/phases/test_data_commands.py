import json
from pathlib import Path

import pytest
import zstandard

from samosa.config import Options
from samosa.errors import BadInput
from samosa.phases import data_commands
from samosa.phases.data_commands import gen_data


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


def test_a_name_that_ends_in_zst_is_compressed_and_holds_the_same_rows(samosa_home, tmp_path, capsys):
    for name in ("joint.jsonl", "joint.jsonl.zst"):
        gen_data(Options(), kind="joint", rows=6, out=tmp_path / name)
    packed = (tmp_path / "joint.jsonl.zst").read_bytes()
    assert zstandard.ZstdDecompressor().stream_reader(packed).read() == (tmp_path / "joint.jsonl").read_bytes()
    assert f"--out {tmp_path / 'joint-clean'}" in capsys.readouterr().err.splitlines()[-1]


def test_without_out_the_rows_go_into_the_home(samosa_home):
    gen_data(Options(), kind="creator", rows=3)
    assert len((samosa_home / "data" / "creator.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(("kind", "rows", "said"), [("jont", 3, "jont"), ("think_only", None, "--rows")])
def test_kinds_and_counts_that_are_missing_are_bad_input(samosa_home, kind, rows, said):
    with pytest.raises(BadInput) as caught:
        gen_data(Options(), kind=kind, rows=rows)
    assert said in caught.value.message + caught.value.hint


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
