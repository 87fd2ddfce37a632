"""`samosa fence`: what it says, what it answers, and that workers, kills and chunks are not seen in its files."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samosa import home
from samosa.config import Options
from samosa.data.fence import fencing as fence_files
from samosa.errors import BadInput, SamosaError
from samosa.phases import fencing
from tests.phases.recipes import printed_json

ROOT = Path(home.__file__).parents[1]
SMALL = ("chunk_mb=1",)
CLEAN = ["Which pan is best for pancakes?", "Name three rivers of Africa.", "My bread does not rise. Why?"]
COPIES = ["What's the weather in Lisbon?", "what is 31 x 52", "What day was it 3 weeks ago if today is Friday?"]
"""Of the roadmap's questions, with other names and numbers, and a clause moved."""


def row(question: str, answer: str = "Let me see.") -> str:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": said}, ensure_ascii=False)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def many(path: Path, rng: random.Random, *, megabytes: float) -> Path:
    """Rows of which some copy and some are broken, in an order of the seed."""
    fill = "The kettle is on the stove and the cat is asleep on the sill. " * 9
    kinds = [row(f"{asked} {n}", fill) for n in range(20) for asked in CLEAN] + [*map(row, COPIES), "{"]
    with path.open("w") as file:
        while file.tell() < megabytes * 1e6:
            file.write("".join(f"{rng.choice(kinds)}\n" for _ in range(200)))
    return path


def fenced(*files: Path, workers: int = 1, plan: bool = False, sets=SMALL, **options) -> int:
    options = {"against": ["roadmap"]} | options
    return fencing.run(Options(json=True, plan=plan, sets=sets), files=files, workers=workers, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_blank_lines_between_rows_move_nothing(samosa_home, tmp_path, capsys):
    lines = [row(CLEAN[0]), row(COPIES[0]), "", row(CLEAN[1]), " ", row(COPIES[1]), "", row(CLEAN[2])]
    assert fenced(write(tmp_path / "rows.jsonl", *lines)) == 0
    kept = (tmp_path / "fenced" / "rows.jsonl").read_text().splitlines()
    assert kept == [row(asked) for asked in CLEAN]
    capsys.readouterr()


def test_copies_go_the_rest_stays_byte_for_byte_and_every_row_is_accounted_for(samosa_home, tmp_path, capsys):
    lines = [row(CLEAN[0]), row(COPIES[0]), row(CLEAN[1]), row(COPIES[1]), row(COPIES[2]), row(CLEAN[2])]
    source = write(tmp_path / "rows.jsonl", *lines)
    assert fenced(source) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert {name: told[name] for name in ("rows", "kept", "fenced", "broken")} == {
        "rows": 6, "kept": 3, "fenced": 3, "broken": 0,
    }  # fmt: skip
    (file,) = told["files"]
    assert file["copied"] == {"roadmap-1": 1, "roadmap-4": 1, "roadmap-5": 1}
    kept = tmp_path / "fenced" / "rows.jsonl"
    assert kept.read_text().splitlines() == [lines[0], lines[2], lines[5]]
    assert set(contents(tmp_path / "fenced")) == {"rows.jsonl", "rows.fenced.jsonl", "denied.jsonl"}
    assert f"planted copies found in every chunk: all {told['canaries']}" in err and told["canaries"] > 1
    assert err.splitlines()[-1] == f"next: review {tmp_path}/fenced/rows.fenced.jsonl, then samosa mix {kept}"


def test_a_row_that_was_taken_out_stands_beside_what_it_copies(samosa_home, tmp_path):
    line = row("Calculate a 20% tip on $80, please.", "It is $16.")
    fenced(write(tmp_path / "rows.jsonl", row(CLEAN[0]), line))
    (record,) = map(json.loads, (tmp_path / "fenced" / "rows.fenced.jsonl").read_text().splitlines())
    assert (record["line"], record["all"], record["row"]) == (2, 1, json.loads(line))
    (match,) = record["matches"]
    assert (match["denied"], match["question"]) == ("roadmap-2", "Calculate a 17% tip on $45.")
    assert (match["text"], match["reply"]) == ("calculate a 20% tip on $80, please", "it is $16")
    assert match["evidence"] == ["template"] and match["answers"] == ["7.65"]


def test_the_recipes_suites_are_what_is_kept_from_rows_where_none_is_named(samosa_home, tmp_path, capsys):
    source = write(tmp_path / "rows.jsonl", row(CLEAN[0]), row(COPIES[0]))
    assert fenced(source, against=()) == 0
    told = printed_json(capsys)
    assert told["against"] == ["joint", "roadmap", "full"] and told["denied"] > 300 and told["fenced"] == 1


def test_a_benchmark_file_is_named_by_its_path_or_lies_in_the_home(samosa_home, tmp_path, capsys):
    asked = "Marta picked 24 pears and gave a third of them to Jonas. How many pears does Marta have left?"
    other = "Ida picked 90 pears and gave a fifth of them to Bo. How many pears does Ida have left?"
    write(samosa_home / "gsm.jsonl", json.dumps({"question": asked, "answer": "so 16 #### 16"}))
    source = write(tmp_path / "rows.jsonl", row(other), row(COPIES[0]))
    for name in ("gsm.jsonl", str(samosa_home / "gsm.jsonl")):
        assert fenced(source, against=[name]) == 0
        assert printed_json(capsys)["files"][0]["copied"] == {"gsm-1": 1}


def test_a_plan_predicts_and_writes_nothing(samosa_home, tmp_path, capsys):
    source = write(tmp_path / "rows.jsonl", *[row(f"{CLEAN[n % 3]} {n}") for n in range(90)], *map(row, COPIES * 4))
    assert fenced(source, plan=True) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["rows"] == told["sampled_rows"] == 102 and told["fenced"]["share"] == 12 / 102
    assert err.startswith("fence rows.jsonl against 6 questions") and "free at" in err
    assert err.splitlines()[-1] == "next: the same command without --plan"
    assert not (tmp_path / "fenced").exists()


def test_broken_lines_are_told_stand_in_a_sidecar_and_the_answer_is_1(samosa_home, tmp_path, capsys):
    source = write(tmp_path / "rows.jsonl", row(CLEAN[0]), "{broken", row(COPIES[0]))
    assert fenced(source) == 1
    out, err = capsys.readouterr()
    assert f"{source}:2: not JSON" in err and "rows.broken.jsonl" in err and "✗ 1 rows kept, 1 fenced" in err
    assert json.loads(out)["broken"] == 1
    (broken,) = map(json.loads, (tmp_path / "fenced" / "rows.broken.jsonl").read_text().splitlines())
    assert broken["line"] == 2
    write(source, row(CLEAN[0]))
    assert fenced(source) == 0 and not (tmp_path / "fenced" / "rows.broken.jsonl").exists()


def test_an_empty_file_and_one_of_copies_only_are_no_failure(samosa_home, tmp_path, capsys):
    assert fenced(write(tmp_path / "a.jsonl"), out=tmp_path / "a") == 0
    assert "next: samosa fence FILES with rows" in capsys.readouterr().err
    assert fenced(write(tmp_path / "b.jsonl", *map(row, COPIES)), out=tmp_path / "b") == 0
    assert "no row was kept; next: read" in capsys.readouterr().err
    assert (tmp_path / "a" / "a.jsonl").read_bytes() == (tmp_path / "b" / "b.jsonl").read_bytes() == b""


def test_compressed_rows_and_parquet_are_fenced_as_well(samosa_home, tmp_path, capsys):
    pq.write_table(pa.table({"question": [CLEAN[0], COPIES[0]], "answer": ["a", "b"]}), tmp_path / "rows.parquet")
    assert fenced(tmp_path / "rows.parquet") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["fenced"] == 1 and "kept rows of rows.parquet are JSONL compressed by zstd" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"against": ["gsm9k"]}, "--against gsm9k: neither a suite nor a file"),
        ({"against": ["other.jsonl"]}, r"other.jsonl:1: no question in it \(it has foo\)"),
        ({"against": ["empty.jsonl"]}, "--against empty.jsonl: no question in it"),
        ({"against": ["broken.jsonl"]}, "broken.jsonl:2: not JSON"),
        ({"out": "rows.jsonl"}, "--out rows.jsonl is a file"),
        ({"out": "."}, "would be written over"),
        ({"files": ["rows.jsonl", "nowhere.jsonl"]}, "nowhere.jsonl does not exist"),
        ({"files": ["."]}, ". is not a file"),
        ({"files": ["rows.jsonl", "sub/rows.jsonl"]}, "different folders"),
        ({"files": ["rows.jsonl", "sub/rows.jsonl"], "out": "out"}, "would both be written"),
        ({"sets": ("chunk_mb=0",)}, "chunk_mb"),
        ({"sets": ("chunks=1",)}, "chunks is not a known key"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_written(samosa_home, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    for name in ("rows.jsonl", "sub/rows.jsonl"):
        write(tmp_path / name, row(CLEAN[0]))
    write(tmp_path / "other.jsonl", '{"foo": 1}')
    write(tmp_path / "broken.jsonl", '{"question": "How do kites fly?"}', "{")
    write(tmp_path / "empty.jsonl")
    before = sorted(tmp_path.rglob("*"))
    files = [Path(name) for name in options.pop("files", ["rows.jsonl"])]
    if "out" in options:
        options = options | {"out": Path(options["out"])}
    with pytest.raises(BadInput, match=said):
        fenced(*files, **options)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_changes_while_it_is_fenced_is_an_error(samosa_home, tmp_path, monkeypatch, gone):
    source, real = write(tmp_path / "in.jsonl", row(CLEAN[0]), row(COPIES[0])), fence_files.fence_chunk

    def meddling(*args, **options):
        counts = real(*args, **options)
        source.unlink()
        if not gone:
            write(source, row(COPIES[1]), row(CLEAN[0]))
        return counts

    monkeypatch.setattr(fence_files, "fence_chunk", meddling)
    with pytest.raises(SamosaError, match="changed while"):
        fenced(source, out=tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.jsonl"))
    monkeypatch.setattr(fence_files, "fence_chunk", real)
    write(source, row(COPIES[1]), row(CLEAN[0]))
    assert fenced(source, out=tmp_path / "out") == 0
    assert (tmp_path / "out" / "in.jsonl").read_text() == row(CLEAN[0]) + "\n"


def test_any_number_of_workers_and_another_seed_write_the_same_bytes(samosa_home, tmp_path, soak_seed):
    source = many(tmp_path / "rows.jsonl", random.Random(soak_seed), megabytes=1.2)
    for name, options in {"one": {}, "two": {"workers": 2, "seed": 7}, "chunk": {"sets": ()}}.items():
        assert fenced(source, out=tmp_path / name, **options) == 1  # for its broken lines
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(tmp_path / "chunk")
    told = contents(tmp_path / "one")
    parts = [told[f"rows{kind}.jsonl"].count(b"\n") for kind in ("", ".fenced", ".broken")]
    assert sum(parts) == source.read_bytes().count(b"\n") and min(parts) > 0


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
def test_a_fence_killed_at_many_moments_goes_on_to_the_same_bytes(samosa_home, tmp_path, soak_seed, workers):
    rng = random.Random(soak_seed)
    source = many(tmp_path / "rows.jsonl", rng, megabytes=12)
    fenced(source, out=tmp_path / "whole")
    code = "import sys; from samosa.cli import main; sys.exit(main(sys.argv[1:]))"
    for number in range(6):
        out = tmp_path / str(number)
        options = ["fence", source, "--against", "roadmap", "--out", out, "--workers", workers, "--set", *SMALL]
        line = [sys.executable, "-c", code, *map(str, options)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        running = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        after = rng.randrange(10)
        while running.poll() is None and len(list(out.glob(".fence-parts/*/result.json"))) < after:
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        again = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        assert again.returncode == 1, again.stderr  # for its broken lines
        assert contents(out) == contents(tmp_path / "whole")
