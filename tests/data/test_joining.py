"""Joining: chunks come in any order, parts may go away under it, and half a file is none."""

import json
import random
from functools import partial

import pytest

from samosa.data import joining, parallel, sifting
from samosa.data.filter import load_rules
from samosa.data.joining import joined_as_they_come
from samosa.data.manifest import chunks_of
from samosa.data.sidecars import places_of
from tests.data.test_sifting import mixed_rows


@pytest.fixture
def made(tmp_path, soak_seed):
    """Two files' places, chunks and parts, none of them joined; and what a filter makes of them at once."""
    rng = random.Random(soak_seed)
    sources = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for source in sources:
        source.write_bytes(mixed_rows(rng, 60))
    rules = load_rules("roadmap")
    sifting.sift(places_of(sources, tmp_path / "whole"), tmp_path / "whole", rules=rules, chunk_bytes=900, workers=1)
    places, chunks = places_of(sources, tmp_path / "out"), chunks_of(sources, chunk_bytes=900)
    parts, work = tmp_path / "out" / ".parts", partial(sifting.sift_chunk, rules=rules)
    return places, chunks, parts, parallel.map_chunks(work, chunks, parts, key="x", workers=1), rng


def only_files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name.endswith(".jsonl")}


def test_chunks_that_come_in_any_order_make_the_same_files(made, tmp_path):
    places, chunks, parts, results, rng = made
    rng.shuffle(results)
    with joined_as_they_come(places, chunks, parts) as order:
        for result in results:
            assert not order.complete
            order.take(result)
    assert order.complete and only_files(tmp_path / "out") == only_files(tmp_path / "whole")


def test_a_file_that_waits_for_a_chunk_leaves_no_trace(made, tmp_path):
    places, chunks, parts, results, _ = made
    with joined_as_they_come(places, chunks, parts) as order:
        for result in results[:-1]:
            order.take(result)
    assert not order.complete
    assert {path.name.split(".")[0] for path in (tmp_path / "out").glob("*.jsonl")} == {"a"}
    assert not list(parts.glob(".making-*"))


def test_parts_that_another_command_removed_are_no_half_file(made, tmp_path):
    places, chunks, parts, results, _ = made
    parallel.remove(results[1:], parts)
    with joined_as_they_come(places, chunks, parts) as order:
        for result in results:
            order.take(result)
    assert not order.complete and not list((tmp_path / "out").glob("*.jsonl"))


def test_a_filter_that_stops_takes_the_record_of_older_outputs_with_it(tmp_path, soak_seed):
    source = tmp_path / "a.jsonl"
    source.write_bytes(mixed_rows(random.Random(soak_seed), 60))
    places, out = places_of([source], tmp_path / "out"), tmp_path / "out"
    sifting.sift(places, out, rules=load_rules("roadmap"), chunk_bytes=900, workers=1)
    assert (out / sifting.RECORD).is_file()

    def stop(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sifting.sift(places, out, rules=load_rules("default"), chunk_bytes=900, workers=1, progress=stop)
    assert not (out / sifting.RECORD).exists()


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
@pytest.mark.parametrize("block", [1, 100, 4_000, 10**6])
def test_rows_that_take_several_reads_are_whole(made, tmp_path, monkeypatch, block, at_once):
    places, chunks, parts, results, _ = made

    def move(window, start):  # a file may give less than it is asked for
        window._at = window._file.seek(start)
        window._held = window._file.readinto(window._block[:at_once])

    monkeypatch.setattr(joining, "COPIED", block)
    monkeypatch.setattr(joining._Window, "_move", move)
    with joined_as_they_come(places, chunks, parts) as order:
        for result in results:
            order.take(result)
    assert only_files(tmp_path / "out") == only_files(tmp_path / "whole")


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
@pytest.mark.parametrize("answer", ["Too short.", "Long enough to be kept by the rules of the road, as it is."])
def test_a_last_row_with_or_without_a_newline_is_taken_whole(tmp_path, answer, end):
    rows = [
        json.dumps([{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]).encode()
        for asked in ("A longer question?", "Well?")
    ]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(rows) + end)
    (place,) = places_of([tmp_path / "in.jsonl"], tmp_path / "out")
    sifting.sift([place], tmp_path / "out", rules=load_rules("roadmap"), chunk_bytes=10**6, workers=1)
    kept, rejected = place.kept.read_bytes(), place.rejected.read_bytes()
    if answer.startswith("Too"):
        assert kept == b"" and [line.partition(b'"row":')[2] for line in rejected.splitlines()] == [
            row + b"}" for row in rows
        ]
    else:
        assert kept == b"\n".join(rows) + b"\n" and rejected == b""
