"""The filter's files: what passes keeps its bytes, nothing is lost, and no cutting or kill is seen in them."""

import base64
import gzip
import json
import random
from functools import partial

import orjson
import pytest
import zstandard

from samosa.data import sifting
from samosa.data.filter import judge, load_rules
from samosa.data.sidecars import place_of, places_of
from samosa.errors import BadInput, SamosaError

CALL = {"type": "python", "text": '{"arguments":{"query":"x"},"tool":"web_search"}'}
RESULT = {"type": "python_output", "text": '{"output":1}'}
THINK = {"type": "text", "text": "<think>\nhm\n</think>\n"}
LONG = "The quick brown fox jumps over the lazy dog, and then it rests."


def text(words: str) -> dict:
    return {"type": "text", "text": words}


def chat(*parts) -> dict:
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": list(parts)}]}


def said(words: str) -> bytes:
    row = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": words}]}
    return json.dumps(row, ensure_ascii=False).encode()


def sift(source, out, *, rules="roadmap", **options):
    settings = {"rules": load_rules(rules), "chunk_bytes": 300, "workers": 1} | options
    found = sifting.sift(places_of([source], out), out, **settings)
    return found if isinstance(found, sifting.Left) else found[0]


def records(path) -> list[dict]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mixed_rows(rng: random.Random, count: int) -> bytes:
    """Good, rejected, broken and blank lines in any order."""
    kinds = [
        said(LONG),
        said("short"),
        said(f"As an AI language model, {LONG}"),
        b"{broken",
        b"",
        b"  ",
        said(LONG * 9),
    ]
    return b"\n".join(rng.choice(kinds) + b" " * rng.randrange(3) for _ in range(count)) + rng.choice([b"", b"\n"])


@pytest.mark.parametrize(
    ("row", "rules"),
    [
        (chat(THINK, CALL, RESULT, text("It is 1.")), set()),
        (chat(text("<think>hm</think>42")), set()),
        (chat(text("42")), set()),
        (chat(text("<think>hm, 42")), {"closed_think", "answer_outside_think"}),
        (chat(text("hm</think> 42")), {"closed_think"}),
        (chat(text("<think>it is 42</think>")), {"answer_outside_think", "terminated"}),
        (chat(CALL, RESULT, THINK, text("1")), {"call_after_think"}),
        (chat(THINK, text("Well."), CALL, RESULT, text("1")), {"call_after_think"}),
        (chat(THINK, CALL, RESULT, CALL, RESULT, text("1")), {"one_result"}),
        (chat(THINK, {"type": "python", "text": '{"tool":'}, RESULT, text("1")), {"call_is_json"}),
        (chat(text("<think>a</think> b <|python_start|> c")), {"no_marker_text"}),
        ({"messages": [{"role": "user", "content": "hi"}]}, {"terminated"}),
    ],
)
def test_phase_as_rules_name_what_is_wrong_with_a_row(row, rules):
    assert {reason.rule for reason in judge(load_rules("joint"), row)} == rules


def test_kept_rows_keep_their_bytes_and_rejected_ones_come_with_every_reason(tmp_path):
    good = '{ "messages":[{"role":"user","content":"h\\u00e9"},   {"role":"assistant","content":"oké"}] }'
    bad = json.dumps(chat(text("<think>a"), CALL, RESULT, CALL, RESULT))
    (tmp_path / "in.jsonl").write_text(good + "\n\n" + bad + "\n" + good)
    sifted = sifting.sift_one(place_of(tmp_path / "in.jsonl", tmp_path / "out"), rules=load_rules("joint"))
    assert (tmp_path / "out" / "in.jsonl").read_text() == good + "\n" + good + "\n"
    (rejected,) = records(tmp_path / "out" / "in.rejected.jsonl")
    assert rejected["line"] == 3 and rejected["row"] == json.loads(bad)
    assert {reason["rule"] for reason in rejected["reasons"]} >= {"answer_outside_think", "one_result"}
    assert (sifted.totals.kept, sifted.totals.rejected, sifted.first_broken) == (2, 1, None)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"in.jsonl", "in.rejected.jsonl"}


def test_a_rejected_rows_bytes_and_spans_can_be_had_back(tmp_path):
    words = "Well: as an AI language model, I have no 🦊, but here are enough characters."
    (tmp_path / "in.jsonl").write_bytes(b"\xef\xbb\xbf" + said(words) + b"\r\n")
    sift(tmp_path / "in.jsonl", tmp_path / "out")
    line = (tmp_path / "out" / "in.rejected.jsonl").read_bytes()
    assert line.endswith(b',"row":' + said(words) + b"}\n")
    reason = next(r for r in orjson.loads(line)["reasons"] if r["start"] is not None)
    assert "as an AI language model" in words[reason["start"] : reason["end"]]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"messages": [', "not JSON"),
        (said(LONG).replace(b"fox", b"f\xffx"), "not UTF-8"),
        (said(LONG).replace(b"fox", rb"\ud83d"), "surrogate"),
        (b'{"text": "no conversation"}', "no messages"),
        (b"[" * 5_000, "deep"),
        (b"\x00\x01\x02", "not JSON"),
    ],
)
def test_a_line_that_is_no_conversation_goes_to_the_broken_and_the_others_are_filtered(tmp_path, line, why):
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([said(LONG), line, said("short"), said(LONG)]))
    sifted = sift(tmp_path / "in.jsonl", tmp_path / "out")
    assert (sifted.totals.kept, sifted.totals.rejected, sifted.totals.broken_rows) == (2, 1, 1)
    (broken,) = records(tmp_path / "out" / "in.broken.jsonl")
    assert broken["line"] == 2 and why in broken["why"]
    assert (base64.b64decode(broken["base64"]) if "base64" in broken else broken["text"].encode()) == line
    assert sifted.first_broken and sifted.first_broken.startswith(f"{tmp_path / 'in.jsonl'}:2: ")


def test_mended_files_leave_no_broken_lines_behind(tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out"
    source.write_bytes(said(LONG) + b"\n{broken")
    sift(source, out)
    assert (out / "in.broken.jsonl").exists()
    source.write_bytes(said(LONG) + b"\n" + said(LONG))
    assert sift(source, out).totals.kept == 2 and not (out / "in.broken.jsonl").exists()


def test_ranks_and_cuts_make_the_same_bytes(tmp_path, soak_seed):
    rng = random.Random(soak_seed)
    source = tmp_path / "in.jsonl"
    source.write_bytes(mixed_rows(rng, 90))
    ways = [{}, {"of": 3}, {"of": 2}]
    for number, way in enumerate(ways):
        for rank in rng.sample(range(way.get("of", 1)), way.get("of", 1)):
            last = sift(source, tmp_path / str(number), chunk_bytes=3_000, rank=rank, **way)
        assert not isinstance(last, sifting.Left)
    first, *others = [contents(tmp_path / str(number)) for number in range(len(ways))]
    assert all(other == first for other in others)
    for size in (rng.randrange(200, 2_000), 10**9):  # the record tells the size
        sift(source, tmp_path / f"c{size}", chunk_bytes=size)
        cut = contents(tmp_path / f"c{size}")
        assert all(cut[name] == first[name] for name in first if name != sifting.RECORD)


def test_every_line_is_kept_rejected_or_broken_once_and_in_order(tmp_path, soak_seed):
    source = tmp_path / "in.jsonl"
    source.write_bytes(mixed_rows(random.Random(soak_seed), 300))
    sift(source, tmp_path / "out", chunk_bytes=997)
    lines = source.read_bytes().split(b"\n")
    sorted_out = {}
    for name in ("rejected", "broken"):
        for record in records(tmp_path / "out" / f"in.{name}.jsonl"):
            assert record["line"] not in sorted_out
            sorted_out[record["line"]] = record["row"] if name == "rejected" else record["text"]
    for number, found in sorted_out.items():
        line = lines[number - 1]
        assert found == (line.decode() if isinstance(found, str) else json.loads(line))
    kept = [line for number, line in enumerate(lines, 1) if line.strip() and number not in sorted_out]
    assert (tmp_path / "out" / "in.jsonl").read_bytes() == b"".join(line + b"\n" for line in kept)
    rules = load_rules("roadmap")
    assert all(not judge(rules, json.loads(line)) for line in kept)


def test_what_is_done_is_not_done_again_unless_something_changed(tmp_path, monkeypatch):
    source, out, done = tmp_path / "in.jsonl", tmp_path / "out", []
    real = sifting.sift_chunk
    monkeypatch.setattr(sifting, "sift_chunk", lambda *args, **options: done.append(1) or real(*args, **options))
    source.write_bytes(said(LONG) + b"\n" + said("short"))
    first = sift(source, out, chunk_bytes=10**6)
    assert sift(source, out, chunk_bytes=10**6) == first and len(done) == 1
    sift(source, out, chunk_bytes=10**6, rules="common")
    (out / "in.jsonl").write_bytes(b"spoiled")
    sift(source, out, chunk_bytes=10**6, rules="common")
    source.write_bytes(said(LONG))
    assert sift(source, out, chunk_bytes=10**6, rules="common").totals.kept == 1 and len(done) == 4


def test_compressed_files_give_zst_of_the_same_rows(tmp_path):
    rows = b"\n".join([said(LONG), said("short"), said(LONG)]) + b"\n"
    want = said(LONG) + b"\n" + said(LONG) + b"\n"
    compress = zstandard.ZstdCompressor().compress
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(rows[:40]) + gzip.compress(rows[40:]))
    (tmp_path / "b.jsonl.zst").write_bytes(compress(rows[:40]) + compress(rows[40:]))
    for name in ("a.jsonl.gz", "b.jsonl.zst"):
        sifted = sift(tmp_path / name, tmp_path / "out")
        assert sifted.place.kept.name == f"{name[0]}.jsonl.zst"
        with zstandard.open(sifted.place.kept, "rb") as file:
            assert file.read() == want
        assert [record["line"] for record in records(sifted.place.rejected)] == [2]


@pytest.mark.parametrize("chunk_bytes", [1, 10**9])
def test_a_spoiled_row_group_is_told_by_its_first_row_however_the_file_is_cut(tmp_path, chunk_bytes):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"messages": json.loads(said(f"{n} {LONG}"))["messages"]} for n in range(40)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=10, use_dictionary=False)
    data = bytearray(path.read_bytes())
    for group in (1, 2):
        page = pq.read_metadata(path).row_group(group).column(0).data_page_offset
        data[page : page + 30] = b"\xff" * 30
    path.write_bytes(data)
    assert sift(path, tmp_path / "out", chunk_bytes=chunk_bytes).totals.kept == 20
    assert [record["line"] for record in records(tmp_path / "out" / "a.broken.jsonl")] == [11, 21]


def test_parquet_gives_zst_of_its_rows_and_numbers_them(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [json.loads(said(words)) for words in (LONG, "short", LONG, LONG, "short")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=2)
    sifted = sift(tmp_path / "a.parquet", tmp_path / "out", chunk_bytes=1)
    with zstandard.open(sifted.place.kept, "rb") as file:
        assert [json.loads(line) for line in file.read().splitlines()] == [rows[0], rows[2], rows[3]]
    assert [record["line"] for record in records(sifted.place.rejected)] == [2, 5]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_what_stands_before_a_broken_frame_is_filtered_and_the_break_told(tmp_path, suffix):
    compress = (
        partial(gzip.compress, compresslevel=1)
        if suffix == ".gz"
        else zstandard.ZstdCompressor(write_checksum=True).compress
    )
    rows = b"".join(said(f"{LONG} {number} {random.randbytes(99).hex()}") + b"\n" for number in range(9_000))
    source = tmp_path / f"a.jsonl{suffix}"
    source.write_bytes(compress(rows)[:-9])
    sifted = sift(source, tmp_path / "out")
    with zstandard.open(sifted.place.kept, "rb") as file:
        kept = file.read()
    assert rows.startswith(kept) and kept and sifted.unread == 1
    (broken,) = records(sifted.place.broken)
    assert broken["line"] == kept.count(b"\n") + 1 and "cannot be read" in broken["why"]


def test_two_files_that_would_share_an_output_are_refused_and_so_is_writing_over_the_source(tmp_path):
    for name in ("a.jsonl", "a.jsonl.zst"):
        (tmp_path / name).write_bytes(said(LONG))
    with pytest.raises(BadInput, match="would both be written"):
        places_of([tmp_path / "a.jsonl", tmp_path / "a.jsonl.zst"], tmp_path / "out")
    with pytest.raises(BadInput, match="written over"):
        places_of([tmp_path / "a.jsonl"], tmp_path)


def test_a_file_that_changes_while_it_is_filtered_is_an_error_and_not_done(tmp_path, monkeypatch):
    source, real = tmp_path / "in.jsonl", sifting.sift_chunk
    source.write_bytes(said(LONG) + b"\n" + said(LONG))

    def meddling(*args, **options):
        counts = real(*args, **options)
        source.write_bytes(said("short"))
        return counts

    monkeypatch.setattr(sifting, "sift_chunk", meddling)
    with pytest.raises(SamosaError, match="changed while"):
        sift(source, tmp_path / "out", chunk_bytes=10**6)
    monkeypatch.setattr(sifting, "sift_chunk", real)
    assert sift(source, tmp_path / "out", chunk_bytes=10**6).totals.rejected == 1
