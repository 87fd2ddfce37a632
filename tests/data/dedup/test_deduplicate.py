import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from samosa.data import parallel
from samosa.data.dedup import chunkwork, deduplicate
from samosa.data.dedup.search import BYTES_PER_ROW, WORKER_BYTES
from samosa.errors import SamosaError
from tests.data.dedup.rows import chat, dropped, kept_lines, made_up, outputs, run, slowly, words_of, write

LONG = " ".join(f"word{n}" for n in range(60))


@pytest.mark.parametrize("near", [False, True])
def test_what_stays_and_what_goes_is_as_by_comparing_all_with_all(tmp_path, soak_seed, near):
    rows = made_up(120, soak_seed)
    files = [write(tmp_path / "a.jsonl", rows[:80]), write(tmp_path / "b.jsonl", rows[80:])]
    report = run(files, tmp_path / "out", near=near, chunk_bytes=9000)
    first = slowly(rows, threshold=0.8 if near else None)
    lines = [line for path in files for line in path.read_bytes().splitlines()]
    expected = [[lines[i] for i in range(*span) if first[i] == i] for span in ((0, 80), (80, 120))]
    assert kept_lines(files, tmp_path / "out") == expected
    names = [{"file": "a.jsonl", "line": i + 1} if i < 80 else {"file": "b.jsonl", "line": i - 79} for i in range(120)]
    for path, span in zip(files, ((0, 80), (80, 120)), strict=True):
        gone = [i for i in range(*span) if first[i] != i]
        records = dropped(path, tmp_path / "out")
        assert [record["line"] for record in records] == [names[i]["line"] for i in gone]
        assert [record["of"] for record in records] == [names[first[i]] for i in gone]
        assert [record["row"] for record in records] == [rows[i] for i in gone]
        for record, i in zip(records, gone, strict=True):
            assert (record["why"] == "exact") == (words_of(rows[i]) == words_of(rows[first[i]]))
    assert report.total("rows") == 120 and report.total("kept") == sum(map(len, expected))
    assert sum(r.exact + r.near for r in report.repeats) == report.total("exact") + report.total("near")
    assert [r.exact + r.near for r in report.repeats if (r.file, r.of) == ("b.jsonl", "a.jsonl")] == [
        sum(first[i] < 80 for i in range(80, 120))
    ]


def test_the_similarity_written_is_that_of_the_five_word_sequences(tmp_path):
    changed = LONG.split()
    changed[30] = "other"
    path = write(tmp_path / "a.jsonl", [chat(LONG), chat("x " + LONG), chat(" ".join(changed))])
    run([path], tmp_path / "out")
    records = dropped(path, tmp_path / "out")
    assert [(r["line"], r["why"]) for r in records] == [(2, "near"), (3, "near")]
    assert records[0]["jaccard"] == pytest.approx(56 / 57, abs=1e-4)
    assert records[1]["jaccard"] == pytest.approx(51 / 61, abs=1e-4)


def test_rows_linked_only_through_others_are_told_as_such(tmp_path):
    steps = [LONG.split()]
    for place in (10, 30, 50):
        steps.append([f"new{place}" if i == place else word for i, word in enumerate(steps[-1])])
    report = run([write(tmp_path / "a.jsonl", [chat(" ".join(words)) for words in steps])], tmp_path / "out")
    assert (report.total("kept"), report.total("near"), report.chained) == (1, 3, 2)


def test_the_cut_into_chunks_the_canaries_and_their_places_change_no_byte(tmp_path, soak_seed):
    files = [write(tmp_path / f"{n}.jsonl", made_up(40, soak_seed + n)) for n in (1, 2)]
    made = []
    for number, options in enumerate(({}, {"chunk_bytes": 4000}, {"chunk_bytes": 9000, "seed": 5, "canaries": 7})):
        run(files, tmp_path / str(number), **options)
        made.append(outputs(tmp_path / str(number)))
    assert made[0] == made[1] == made[2] and len(made[0]) == 4


def test_every_format_is_read_and_what_is_not_plain_is_written_as_zst(tmp_path):
    rows = [{"text": LONG}, {"text": "something else"}, {"text": LONG.upper()}]
    plain = b"".join(json.dumps(row).encode() + b"\r\n\n" for row in rows)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(plain))
    pq.write_table(pa.Table.from_pylist([*rows, {"text": "new"}]), tmp_path / "c.parquet", row_group_size=2)
    files = [tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.zst", tmp_path / "c.parquet"]
    report = run(files, tmp_path / "out")
    assert [(c.rows, c.kept, c.exact) for c in report.files] == [(3, 2, 1), (3, 0, 3), (4, 1, 3)]
    kept = [(tmp_path / "out" / f"{name}.jsonl.zst").read_bytes() for name in "abc"]
    a, b, c = (zstandard.ZstdDecompressor().stream_reader(packed).read() for packed in kept)
    assert a == b"".join(json.dumps(row).encode() + b"\r\n" for row in rows[:2]) and b == b""
    assert c == b'{"text":"new"}\n'
    of = [json.loads(line) for line in (tmp_path / "out" / "c.duplicates.jsonl").read_bytes().splitlines()]
    assert [(r["line"], r["of"]["line"]) for r in of] == [(1, 1), (2, 3), (3, 1)]  # lines, blank ones among them


def test_broken_rows_and_files_are_written_down_and_the_rest_goes_on(tmp_path):
    good = json.dumps(chat(LONG)).encode()
    bad = [b'{"messages": [', b'"\xff"', b'{"text": "\\ud800"}', b'{"other": 1}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([good, *bad, b"", good]))
    whole = zstandard.compress(b"\n".join(json.dumps(chat(f"{n} {LONG}")).encode() for n in range(8000)))
    (tmp_path / "b.jsonl.zst").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.jsonl").write_bytes(b"")
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl.zst", tmp_path / "c.jsonl"]
    report = run(files, tmp_path / "out", near=False)
    first, second, third = report.files
    assert (first.rows, first.kept, first.exact, first.broken, first.unread) == (6, 1, 1, 4, 0)
    assert second.unread == 1 and 0 < second.kept < 8000 and (third.rows, third.kept) == (0, 0)
    records = [json.loads(line) for line in (tmp_path / "out" / "a.broken.jsonl").read_bytes().splitlines()]
    assert [record["line"] for record in records] == [2, 3, 4, 5]
    assert [record.get("text", "").encode() for record in records] == [bad[0], b"", bad[2], bad[3]]
    assert [record["base64"] for record in records if "base64" in record] == ["Iv8i"]
    (torn,) = [json.loads(line) for line in (tmp_path / "out" / "b.broken.jsonl").read_bytes().splitlines()]
    assert "cannot be read" in torn["why"] and not (tmp_path / "out" / "c.broken.jsonl").exists()


def test_texts_without_words_are_no_near_duplicates(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"text": ""}, {"text": " "}, {"messages": [{"role": "user", "content": ""}]}])
    report = run([path], tmp_path / "out")
    assert (report.total("kept"), report.total("exact"), report.total("near")) == (2, 1, 0)


def test_another_file_s_change_is_seen_in_parts_that_were_left(tmp_path, monkeypatch):
    """Stopped before it writes; then a file before changes, and what was kept of the other no longer holds."""
    changed = LONG.split()
    changed[30] = "other"
    files = [write(tmp_path / "a.jsonl", [chat(" ".join(changed))]), write(tmp_path / "b.jsonl", [chat(LONG)])]
    with monkeypatch.context() as patch:
        patch.setattr(deduplicate, "_write", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(files, tmp_path / "out")
    write(files[0], [chat("nothing alike in here at all")])
    assert run(files, tmp_path / "out").total("kept") == 2
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        ["a.jsonl", "b.jsonl", "a.duplicates.jsonl", "b.duplicates.jsonl", "dedup.json"]
    )


def test_what_is_done_is_not_done_again_until_something_changes(tmp_path, monkeypatch):
    files = [write(tmp_path / "a.jsonl", made_up(20, 1))]
    report, before = run(files, tmp_path / "out"), outputs(tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(chunkwork, "hash_rows", None)
        assert run(files, tmp_path / "out") == report and outputs(tmp_path / "out") == before
    (tmp_path / "out" / "a.jsonl").write_bytes(b"")
    assert run(files, tmp_path / "out") == report and outputs(tmp_path / "out") == before


@pytest.mark.parametrize("kind", ["exact", "near", "decoy"])
def test_a_search_that_does_not_find_its_canaries_writes_nothing(tmp_path, monkeypatch, kind):
    blind = {
        "exact": ("samosa.data.dedup.search.first_equals", lambda keys, use: np.arange(len(keys))),
        "near": ("samosa.data.dedup.groups.jaccard", lambda first, second: 0.0),
        "decoy": ("samosa.data.dedup.groups.jaccard", lambda first, second: 1.0),
    }
    said = {
        "exact": "only 0 of 12 planted exact",
        "near": "only 0 of 12 planted near",
        "decoy": "of 4 planted pairs of un",
    }
    monkeypatch.setattr(*blind[kind])
    files = [write(tmp_path / "a.jsonl", made_up(20, 1))]
    with pytest.raises(SamosaError, match=said[kind]) as caught:
        run(files, tmp_path / "out", canaries=12)
    assert caught.value.exit_code == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == [deduplicate.PARTS]


def test_canaries_are_never_written_and_found_also_in_nothing(tmp_path):
    report = run([write(tmp_path / "a.jsonl", [])], tmp_path / "out", canaries=3)
    assert report.canaries == {"exact": 3, "near": 3, "decoy": 1} and report.total("rows") == 0
    assert outputs(tmp_path / "out") == {"a.jsonl": b"", "a.duplicates.jsonl": b""}


@pytest.mark.soak
def test_any_number_of_workers_makes_the_same_bytes(tmp_path, soak_seed):
    files = [write(tmp_path / f"{n}.jsonl", made_up(4000, soak_seed + n)) for n in (1, 2, 3)]
    made = []
    for workers in (1, 2, 7):
        run(files, tmp_path / str(workers), workers=workers, chunk_bytes=100_000)
        made.append(outputs(tmp_path / str(workers)))
    assert made[0] == made[1] == made[2]


@pytest.mark.soak
def test_a_search_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path, soak_seed):
    path = write(tmp_path / "a.jsonl", made_up(20_000, soak_seed))
    run([path], tmp_path / "whole", chunk_bytes=200_000)
    code = (
        "from pathlib import Path; import sys; from tests.data.dedup.rows import run\n"
        "if __name__ == '__main__': run([Path(sys.argv[1])], Path(sys.argv[2]), chunk_bytes=200_000, workers=2)\n"
    )
    script = tmp_path / "again.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    kills, wait = 0, 0.5
    while True:
        child = subprocess.Popen([sys.executable, str(script), str(path), str(tmp_path / "killed")], env=environment)
        try:
            assert child.wait(wait) == 0
            break
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills, wait = kills + 1, wait * 1.2
            time.sleep(0.3)  # its workers notice
    assert kills > 0 and outputs(tmp_path / "killed") == outputs(tmp_path / "whole")
    assert parallel.LOCK not in {entry.name for entry in (tmp_path / "killed").iterdir()}


@pytest.mark.soak
def test_a_million_rows_take_the_memory_that_the_formula_says_and_their_copies_are_found(tmp_path, soak_seed):
    draw = np.random.default_rng(soak_seed)
    vocabulary = np.array(["".join(word) for word in draw.choice(list("abcdefghijkl"), (20_000, 6))])
    code = (
        "import sys; from pathlib import Path; from tests.data.dedup.rows import run\n"
        "if __name__ == '__main__':\n"
        "    report = run([Path(sys.argv[1])], Path(sys.argv[2]), workers=2, recall=0.999, slots=192)\n"
        "    status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    peak = int(status['VmHWM'].split()[0]) * 1024\n"  # getrusage counts what its parent held when it forked
        "    print(report.total('rows') - report.total('kept'), peak)\n"
    )
    (tmp_path / "search.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    peaks = {}
    for rows in (250_000, 1_000_000):  # enough for every buffer to be full
        path = tmp_path / f"{rows}.jsonl"
        text: list[str] = []
        with path.open("w") as file:
            for number in range(rows):
                if number % 100 == 99:
                    text[23] = f"copy{number}"  # five of 56 sequences: a similarity of 51/61 with the row before
                else:
                    text = vocabulary[draw.integers(0, len(vocabulary), 60)].tolist()
                file.write(json.dumps({"text": " ".join(text)}) + "\n")
        command = [sys.executable, str(tmp_path / "search.py"), str(path), str(tmp_path / f"out{rows}")]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        dropped_rows, peaks[rows] = map(int, done.stdout.split())
        assert 0.98 * rows / 100 <= dropped_rows <= rows / 100
    assert peaks[1_000_000] - peaks[250_000] <= BYTES_PER_ROW * 750_000, peaks
    assert peaks[1_000_000] <= BYTES_PER_ROW * 1_000_000 + WORKER_BYTES
