import json

import pytest

from samosa.config import Options
from samosa.errors import BadInput
from samosa.phases import dedup
from tests.data.dedup.rows import chat, made_up, outputs, write

TEXT = " ".join(f"word{n}" for n in range(60))


@pytest.fixture
def files(tmp_path):
    near = chat(TEXT.replace("word30", "other"))
    return [
        write(tmp_path / "a.jsonl", [chat(TEXT), chat("quite another thing"), chat(TEXT.upper())]),
        write(tmp_path / "b.jsonl", [chat(TEXT), near]),
    ]


def test_rows_dropped_are_no_failure_and_every_file_is_accounted_for(files, tmp_path, capsys):
    assert dedup.run(Options(json=True), files=files, out=tmp_path / "out", near=True) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert {name: told[name] for name in ("rows", "kept", "exact", "near", "broken")} == {
        "rows": 5, "kept": 2, "exact": 2, "near": 1, "broken": 0,
    }  # fmt: skip
    assert told["repeats"] == [
        {"file": "a.jsonl", "of": "a.jsonl", "exact": 1, "near": 0},
        {"file": "b.jsonl", "of": "a.jsonl", "exact": 1, "near": 1},
    ]
    assert told["canaries"] == {"exact": 12, "near": 12, "decoy": 4}
    assert [file["kept_file"] for file in told["files"]] == [str(tmp_path / "out" / f"{name}.jsonl") for name in "ab"]
    assert "planted duplicates found: all 12 exact and 12 near" in err and "2 rows kept and 3 dropped" in err
    assert err.splitlines()[-1] == f"next: samosa fence {tmp_path}/out/a.jsonl"


def test_without_near_only_equal_rows_go_and_the_folder_is_beside_the_files(files, tmp_path, capsys):
    assert dedup.run(Options(), files=files) == 0
    assert (tmp_path / "deduped" / "b.jsonl").read_bytes() == files[1].read_bytes().splitlines(keepends=True)[1]
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"samosa dedup --near {files[0]} {files[1]}")


def test_a_threshold_decides_what_is_near(files, tmp_path):
    assert dedup.run(Options(), files=files, out=tmp_path / "out", near=True, threshold=0.95) == 0
    assert len((tmp_path / "out" / "b.jsonl").read_bytes().splitlines()) == 1  # 51 of 61 sequences are shared


def test_broken_rows_are_a_failure_after_all_else_is_done(files, tmp_path, capsys):
    files[0].write_bytes(files[0].read_bytes() + b"{broken\n")
    assert dedup.run(Options(), files=files, out=tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert f"warning: {files[0]}:4: not JSON" in err and str(tmp_path / "out" / "a.broken.jsonl") in err
    assert "✗ 3 rows kept and 2 dropped" in err


def test_a_plan_shows_rows_memory_disk_and_time_and_writes_nothing(tmp_path, capsys):
    path = write(tmp_path / "a.jsonl", made_up(1000, 1))
    assert dedup.run(Options(plan=True, json=True), files=[path], out=tmp_path / "out", near=True) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["rows"] == pytest.approx(1000, rel=0.1) and told["bytes"] == pytest.approx(
        path.stat().st_size, rel=0.01
    )
    assert told["memory_bytes"] == told["rows"] * 112 + 200_000_000
    assert "23 bands of 6 values" in err
    assert err.splitlines()[-1] == f"next: samosa dedup {path} --out {tmp_path}/out --near --threshold 0.8"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.7}, "--threshold is for near-duplicates"),
        ({"near": True, "threshold": 1.5}, "--set near.threshold: expected a number of at most 0.99, got 1.5"),
        ({"out": "a.jsonl"}, "a.jsonl is a file"),
        ({"out": "."}, "would be written over"),
        ({"files": ["a.jsonl", "nowhere.jsonl"]}, "nowhere.jsonl does not exist"),
        ({"files": ["."]}, ". is not a file"),
        ({"files": ["a.jsonl", "sub/a.jsonl"]}, "different folders"),
        ({"files": ["a.jsonl", "sub/a.jsonl"], "out": "out"}, "would both be written"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_read(files, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "a.jsonl", [])
    paths = {name: type(files[0])(value) for name, value in options.items() if name == "out"}
    named = [type(files[0])(name) for name in options.get("files", ["a.jsonl", "b.jsonl"])]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match=message):
        dedup.run(Options(), **{**options, **paths, "files": named})
    assert sorted(tmp_path.rglob("*")) == before


def test_another_seed_plants_other_canaries_and_changes_no_byte(files, tmp_path):
    for seed in (1, 2):
        assert dedup.run(Options(), files=files, out=tmp_path / str(seed), near=True, seed=seed) == 0
    assert outputs(tmp_path / "1") == outputs(tmp_path / "2")
