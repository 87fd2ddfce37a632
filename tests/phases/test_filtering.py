"""`samosa filter`: what it says, what it answers, and that kills, workers and ranks are not seen in its files."""

import json
import os
import random
import resource
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
from samosa.errors import BadInput, NotReady
from samosa.phases import dedup, fencing, filtering, mixing
from samosa.phases.filter_plan import Rate, rate
from tests.phases.recipes import printed_json

LONG = "The quick brown fox jumps over the lazy dog, and then it rests."
SMALL = ("chunk_mb=1",)
ROOT = Path(home.__file__).parents[1]


def row(words: str) -> str:
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": words}]
    return json.dumps({"messages": said}, ensure_ascii=False)


def write(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in rows))
    return path


def many(path: Path, rng: random.Random, *, megabytes: float) -> Path:
    """Rows of which some are rejected and some broken, in an order of the seed."""
    kinds = [row(f"{LONG} {n} " + LONG * 9) for n in range(50)] + [
        row("short"),
        row("As an AI language model, no."),
        "{",
    ]
    with path.open("w") as file:
        while file.tell() < megabytes * 1e6:
            file.write("".join(f"{rng.choice(kinds)}\n" for _ in range(500)))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command(*arguments: object, **options) -> subprocess.Popen:
    code = "import sys; from samosa.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", code, "filter", "--rules", "roadmap", *map(str, arguments)]
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def filtered(*files: Path, out: Path | None = None, rules: str = "roadmap", json: bool = True, **options) -> int:
    return filtering.run(Options(json=json, sets=SMALL), files=files, out=out, rules=rules, workers=1, **options)


def test_rows_are_sorted_and_counted_and_a_report_lies_beside_them(samosa_home, tmp_path, capsys):
    source = write(tmp_path / "rows.jsonl", row(LONG), row("short"), row(LONG))
    assert filtered(source) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    (file,) = told["files"]
    assert (file["kept"], file["rejected"], file["broken"]) == (2, 1, 0) and file["reasons"] == {"short_answer": 1}
    out = tmp_path / "filtered"
    assert (out / "rows.jsonl").read_text() == (row(LONG) + "\n") * 2
    assert set(contents(out)) == {"rows.jsonl", "rows.rejected.jsonl", "report.html", "filter.json"}
    assert f"next: samosa dedup {out / 'rows.jsonl'}" in captured.err


def test_broken_lines_are_told_and_the_answer_is_1(samosa_home, tmp_path, capsys):
    source = write(tmp_path / "rows.jsonl", row(LONG), "{broken", row(LONG))
    for _ in range(2):  # found or done, the answer is the same
        assert filtered(source) == 1
        told = capsys.readouterr()
        assert f"{source}:2: not JSON" in told.err and "rows.broken.jsonl" in told.err
        assert json.loads(told.out)["broken"] == 1


def test_an_empty_file_and_one_without_a_good_row_are_no_failure(samosa_home, tmp_path, capsys):
    assert filtered(write(tmp_path / "a.jsonl"), write(tmp_path / "b.jsonl", row("short"))) == 0
    assert contents(tmp_path / "filtered")["a.jsonl"] == contents(tmp_path / "filtered")["b.jsonl"] == b""
    assert "no row was kept; next: read" in capsys.readouterr().err


def test_what_comes_next_can_be_pasted_and_names_a_file_that_says_why(samosa_home, tmp_path, capsys):
    filtered(write(tmp_path / "my rows.jsonl", row(LONG)), out=tmp_path / "a")
    assert f"next: samosa dedup '{tmp_path / 'a' / 'my rows.jsonl'}'" in capsys.readouterr().err
    filtered(write(tmp_path / "broken.jsonl", "{"), out=tmp_path / "b")
    assert f"next: read {tmp_path / 'b' / 'broken.broken.jsonl'}" in capsys.readouterr().err
    for there in (False, True):
        filtered(write(tmp_path / "empty.jsonl") if not there else tmp_path / "empty.jsonl", out=tmp_path / "c")
        said = capsys.readouterr().err
        assert "no row was in it" in said and ("they were there" in said) == there


def test_without_files_the_pools_of_the_home_are_filtered(samosa_home, capsys):
    with pytest.raises(NotReady, match=r"no pools .*quality_") as caught:
        filtered()
    assert "samosa filter rows.jsonl" in caught.value.hint
    write(samosa_home / "data" / "quality_a.jsonl", row(LONG))
    write(samosa_home / "data" / "quality_b.jsonl", row(LONG))
    write(samosa_home / "data" / "creator.jsonl", row(LONG))
    assert filtered() == 0
    assert [Path(file["file"]).name for file in printed_json(capsys)["files"]] == ["quality_a.jsonl", "quality_b.jsonl"]
    assert (samosa_home / "data" / "filtered" / "quality_a.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rules": "roadmp"}, "roadmp"),
        ({"rank": 3, "of": 3}, "ranks count from 0 to 2"),
        ({"out": "rows.jsonl"}, "is a file"),
        ({"out": "."}, "written over"),
    ],
)
def test_what_cannot_be_meant_is_bad_input_before_anything_is_written(samosa_home, tmp_path, options, said):
    source = write(tmp_path / "rows.jsonl", row(LONG))
    options = {name: tmp_path / value if name == "out" else value for name, value in options.items()}
    with pytest.raises(BadInput, match=said):
        filtered(source, **options)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["rows.jsonl"]


def test_files_that_are_none_are_told_before_the_first_is_filtered(samosa_home, tmp_path):
    good = write(tmp_path / "a.jsonl", row(LONG))
    other = write(tmp_path / "else" / "b.jsonl", row(LONG))
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "c.parquet")
    for files, said in (
        ([good, tmp_path / "no.jsonl"], "does not exist"),
        ([good, tmp_path], "is not a file"),
        ([good, other], "different folders"),
        ([good, tmp_path / "c.parquet"], "no column of conversations"),
    ):
        with pytest.raises(BadInput, match=said):
            filtered(*files)
    assert not (tmp_path / "filtered").exists()


def test_a_rank_waits_for_the_others_and_the_last_joins_the_parts(samosa_home, tmp_path, capsys, soak_seed):
    source = many(tmp_path / "rows.jsonl", random.Random(soak_seed), megabytes=2.5)
    for rank in (0, 2, 1):
        assert filtered(source, out=tmp_path / "ranks", rank=rank, of=3) == (1 if rank == 1 else 0)
        assert ("next: the other ranks" in capsys.readouterr().err) == (rank != 1)
    filtered(source, out=tmp_path / "alone")
    assert contents(tmp_path / "ranks") == contents(tmp_path / "alone")


def test_a_filter_killed_at_any_moment_goes_on_to_the_same_bytes(samosa_home, tmp_path, soak_seed):
    rng = random.Random(soak_seed)
    source = many(tmp_path / "rows.jsonl", rng, megabytes=5)
    filtered(source, out=tmp_path / "whole")
    killed(source, tmp_path / "out", rng, workers=2)
    filtered(source, out=tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def killed(source: Path, out: Path, rng: random.Random, *, workers: int) -> None:
    """Start a filter and kill it once some of its parts are there."""
    running = command(source, "--out", out, "--workers", workers, "--set", *SMALL)
    after = rng.randrange(5)
    while running.poll() is None and len(list(out.glob(".parts/*/result.json"))) < after:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.communicate()


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2, 7])
def test_filters_of_any_workers_killed_at_many_moments_go_on_to_the_same_bytes(
    samosa_home, tmp_path, soak_seed, workers
):
    rng = random.Random(soak_seed)
    source = many(tmp_path / "rows.jsonl", rng, megabytes=12)
    filtered(source, out=tmp_path / "whole")
    for number in range(12):
        out = tmp_path / str(number)
        killed(source, out, rng, workers=workers)
        again = command(source, "--out", out, "--workers", workers, "--set", *SMALL)
        _, told = again.communicate()
        assert again.returncode == 1, told  # for its broken lines
        assert contents(out) == contents(tmp_path / "whole")


def test_a_file_whose_name_is_no_text_goes_all_the_way_to_a_mix(samosa_home, tmp_path, capfdbinary):
    rows = [row(f"{LONG} {n}") for n in range(200)]
    source = write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jsonl")), *rows, rows[0], row("short"))
    assert filtered(source, out=tmp_path / "out") == 0
    assert "\\xff.jsonl" in (tmp_path / "out" / filtering.REPORT).read_text()
    assert json.loads(capfdbinary.readouterr().out)["files"][0]["file"] == str(source)
    steps = {"dedup": dedup.run, "fence": fencing.run}
    for step, run in steps.items():
        before = tmp_path / ("out" if step == "dedup" else "dedup") / source.name
        against = {"against": ["roadmap"]} if step == "fence" else {}
        assert run(Options(json=True), files=[before], out=tmp_path / step, **against) == 0
    assert b'"file":"\\\\xff.jsonl"' in next((tmp_path / "dedup").glob("*.duplicates.jsonl")).read_bytes()
    assert mixing.run(Options(json=True), files=[tmp_path / "fence" / source.name], out=tmp_path / "mixed") == 0
    assert b'"source": "\\\\xff"' in (tmp_path / "mixed" / mixing.TRAINING).read_bytes()
    assert all(json.loads(line) for line in capfdbinary.readouterr().out.splitlines())


def test_a_disk_that_is_full_is_told_and_the_next_run_goes_on(samosa_home, tmp_path, soak_seed):
    source = many(tmp_path / "rows.jsonl", random.Random(soak_seed), megabytes=2)
    limit = 700_000  # bytes a file may have: less than a chunk's kept rows

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    full = command(source, "--out", tmp_path / "out", "--workers", 1, "--set", *SMALL, preexec_fn=small_disk)
    _, told = full.communicate()
    assert full.returncode == 3 and "error: cannot write" in told and "hint: " in told and "Traceback" not in told
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".parts"]
    filtered(source, out=tmp_path / "out")
    filtered(source, out=tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_plan_predicts_what_the_filter_then_does(samosa_home, tmp_path, capsys, soak_seed):
    rng = random.Random(soak_seed)
    source = many(tmp_path / "rows.jsonl", rng, megabytes=4)
    options = Options(json=True, plan=True, sets=(*SMALL, "sample.pieces=60", "sample.piece_kb=20"))
    assert filtering.run(options, files=[source], rules="roadmap") == 0
    plan = printed_json(capsys)
    assert not (tmp_path / "filtered").exists()
    filtered(source)
    told = printed_json(capsys)
    rows = told["kept"] + told["rejected"]
    assert plan["rows"] == pytest.approx(rows + told["broken"], rel=0.1)
    assert abs(plan["kept"]["share"] - told["kept"] / rows) < 3 * (plan["kept"]["high"] - plan["kept"]["low"])
    written = sum(len(data) for name, data in contents(tmp_path / "filtered").items() if name.startswith("rows"))
    assert plan["out_bytes"] == pytest.approx(written, rel=0.2)
    assert filtering.run(options, files=[source], rules="roadmap") == 0
    assert {**printed_json(capsys), "seconds": 0, "free_bytes": 0} == {**plan, "seconds": 0, "free_bytes": 0}


def test_a_plan_that_does_not_fit_the_disk_is_3(samosa_home, tmp_path, monkeypatch, capsys):
    source = write(tmp_path / "rows.jsonl", row(LONG))
    monkeypatch.setattr(home, "free_space", lambda path: 10)
    assert filtering.run(Options(plan=True), files=[source], rules="roadmap") == 3
    assert "✗" in capsys.readouterr().err


def test_rows_that_come_in_clusters_widen_the_interval_and_independent_ones_do_not():
    alike = rate("r", [(10, 10), (0, 10)] * 10)
    mixed = rate("r", [(5, 10)] * 20)
    assert alike.share == mixed.share == 0.5
    # Twenty clusters of ten equal rows are worth twenty rows (Wilson for 10 of 20), not two hundred.
    assert (alike.low, alike.high) == pytest.approx((0.299, 0.701), abs=0.01)
    assert (mixed.low, mixed.high) == pytest.approx((0.431, 0.569), abs=0.005)
    assert rate("r", []) == Rate("r", 0.0, 0.0, 1.0)


def lines_of(megabytes: int) -> str:
    """Text in lines of which no two are the same."""
    return "".join(f"This is line {number} of many.\n" for number in range(megabytes * 40_000))[: megabytes * 10**6]


def test_a_line_longer_than_many_chunks_is_a_row_like_others(samosa_home, tmp_path):
    rows = row(LONG), row(lines_of(3)), row(LONG)  # fifty megabytes in the soak
    assert filtered(write(tmp_path / "rows.jsonl", *rows)) == 0
    assert (tmp_path / "filtered" / "rows.jsonl").read_text().splitlines() == list(rows)


@pytest.mark.soak
def test_memory_is_flat_and_a_row_of_fifty_megabytes_takes_a_few_times_its_size(samosa_home, tmp_path, soak_seed):
    rng = random.Random(soak_seed)
    used = {}
    for megabytes in (20, 300):
        source = many(tmp_path / f"{megabytes}.jsonl", rng, megabytes=megabytes)
        used[megabytes] = peak_megabytes(source, tmp_path / "out")
    assert used[300] < used[20] + 20
    big = write(tmp_path / "big.jsonl", row(LONG), row(lines_of(50)), row(LONG))
    assert peak_megabytes(big, tmp_path / "out") < used[20] + 50 * 12
    assert len((tmp_path / "out" / "big.jsonl").read_bytes()) == big.stat().st_size


def peak_megabytes(source: Path, out: Path) -> float:
    """The most memory a filter of one process takes."""
    code = (
        "import sys; from samosa.cli import main; main(sys.argv[1:])\n"
        "print('PEAK', int(dict(line.split(':', 1) for line in open('/proc/self/status'))['VmHWM'].split()[0]) / 1000)"
    )
    line = [sys.executable, "-c", code, "filter", "--rules", "roadmap", "--workers", "1", "--out", out, source]
    done = subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    return float(done.stdout.split("PEAK")[1])
