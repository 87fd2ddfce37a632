"""Reading files by chunks gives the lines that reading them whole gives, in every format, and says where they break."""

import decimal
import gzip
import io
import json
import random
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from samosa.data.lines import BrokenInput, all_lines, line_writer, open_lines, read_lines
from samosa.data.manifest import chunks_of, format_of
from samosa.errors import BadInput


def random_text(rng: random.Random) -> bytes:
    kinds = [b"\n", b" \t\n", b"{}\r\n", b"x" * rng.randrange(40) + b"\n", "é\u2028z\n".encode()]
    return b"".join(rng.choice(kinds) for _ in range(rng.randrange(25))) + rng.choice([b"", b"tail", b"\r"])


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def test_however_a_file_is_cut_its_lines_come_once_and_in_order(tmp_path, soak_seed):
    rng = random.Random(soak_seed)
    path = tmp_path / "a"
    for _ in range(25):
        text = random_text(rng)
        path.write_bytes(text)
        want = [line for line in text.split(b"\n") if line.strip()]
        for size in (1, 2, 3, 5, 16, 10**6):
            found = [pair for chunk in chunks_of([path], chunk_bytes=size) for pair in read_lines(chunk)]
            assert [line for _, line in found] == want
            assert all(text[at : at + len(line)] == line for at, line in found)


def test_blank_lines_count_among_all_lines(tmp_path):
    (tmp_path / "a").write_bytes(b"a\n\n \nb")
    (chunk,) = chunks_of([tmp_path / "a"], chunk_bytes=100)
    assert list(all_lines(chunk)) == [(0, b"a"), (2, b""), (3, b" "), (5, b"b")]


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_files_of_several_members_are_read_through(tmp_path, suffix):
    pack = gzip.compress if suffix == "gz" else zst
    path = tmp_path / "named-otherwise.jsonl"
    path.write_bytes(pack(b"a\nb") + pack(b"b\n\n") + pack(b"") + pack(b"c"))
    assert list(open_lines(path)) == [(0, b"a"), (1, b"bb"), (3, b"c")]
    assert format_of(path) == suffix


def test_a_zst_file_may_begin_with_a_skippable_frame(tmp_path):
    (tmp_path / "a").write_bytes(b"\x52\x2a\x4d\x18\x03\x00\x00\x00abc" + zst(b"a\n"))
    assert list(open_lines(tmp_path / "a")) == [(0, b"a")]


@pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 1), zst])
def test_a_cut_or_spoiled_frame_is_told_after_the_lines_before_it(tmp_path, pack):
    rows = [random.randbytes(100).hex().encode() for _ in range(8_000)]  # more than is decompressed at once
    whole = pack(b"\n".join(rows))
    spoiled = bytearray(whole)
    spoiled[-6] ^= 0xFF  # its checksum or length
    for broken in (whole[:-1], whole[: len(whole) * 3 // 4], bytes(spoiled)):
        (tmp_path / "a").write_bytes(broken)
        read = []
        with pytest.raises(BrokenInput) as caught:
            for _, line in open_lines(tmp_path / "a"):
                read.append(line)
        assert read and read == rows[: len(read)] and f"after line {len(read)}" in caught.value.message
        assert caught.value.number == len(read)


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_of_a_frame_that_is_cut_every_line_that_can_be_had_is_read(tmp_path, suffix):
    rows = [random.randbytes(40).hex().encode() for _ in range(20_000)]  # more than a block
    packed = (gzip.compress if suffix == "gz" else zst)(b"\n".join(rows))
    for share in (0.1, 0.4, 0.9):
        cut = packed[: int(len(packed) * share)]
        (tmp_path / "a").write_bytes(cut)
        unpack = zlib.decompressobj(31) if suffix == "gz" else zstandard.ZstdDecompressor().decompressobj()
        read = []
        with pytest.raises(BrokenInput):
            read.extend(line for _, line in open_lines(tmp_path / "a"))
        assert len(read) == unpack.decompress(cut).count(b"\n") and read == rows[: len(read)]


def test_parquet_rows_are_json_lines_numbered_over_all_row_groups(tmp_path):
    rows = [{"messages": [{"role": "user", "content": f"é {n}"}], "n": n} for n in range(7)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a", row_group_size=3)
    chunks = chunks_of([tmp_path / "a"], chunk_bytes=1)
    assert [(chunk.start, chunk.end) for chunk in chunks] == [(0, 1), (1, 2), (2, 3)]
    found = [pair for chunk in chunks for pair in read_lines(chunk)]
    assert [(at, json.loads(line)) for at, line in found] == list(enumerate(rows))


def test_a_spoiled_row_group_leaves_the_next_ones_readable(tmp_path):
    rows = [{"text": random.randbytes(400).hex()} for _ in range(90)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a", row_group_size=30, use_dictionary=False)
    page = pq.read_metadata(tmp_path / "a").row_group(1).column(0).data_page_offset
    data = bytearray((tmp_path / "a").read_bytes())
    data[page : page + 30] = b"\xff" * 30
    (tmp_path / "a").write_bytes(data)
    (chunk,) = chunks_of([tmp_path / "a"], chunk_bytes=10**9)
    with pytest.raises(BrokenInput, match="row group 1") as caught:
        list(read_lines(chunk))
    assert caught.value.rest is not None and caught.value.number == 30
    assert [at for at, _ in read_lines(caught.value.rest)] == list(range(60, 90))


def test_a_row_of_parquet_that_is_not_utf8_keeps_its_bytes_and_spoils_no_other(tmp_path):
    words = pa.array([b"good", b"bad \xff", b"good", None], pa.binary()).view(pa.string())
    messages = pa.ListArray.from_arrays([0, 1, 2, 3, 4], pa.StructArray.from_arrays([words], ["content"]))
    times = pa.array([1, 2, 3, 4], pa.timestamp("ns"))
    pq.write_table(pa.table({"messages": messages, "n": [1, 2, 3, 4], "at": times}), tmp_path / "a")
    one, two, three, four = (line for _, line in open_lines(tmp_path / "a"))
    assert b'"bad \xff"' in two
    assert [json.loads(line)["n"] for line in (one, three, four)] == [1, 3, 4]
    assert json.loads(four)["messages"] == [{"content": None}]


def test_columns_of_parquet_that_json_has_no_word_for_become_text(tmp_path):
    row = {"messages": [], "image": b"\x00\xff", "price": decimal.Decimal("1.10")}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a")
    ((_, line),) = open_lines(tmp_path / "a")
    assert json.loads(line) == {"messages": [], "image": "AP8=", "price": "1.10"}


def test_a_broken_footer_and_an_empty_file_still_are_chunks(tmp_path):
    (tmp_path / "a").write_bytes(b"PAR1 and no more")
    (tmp_path / "b").write_bytes(b"")
    broken, empty = chunks_of([tmp_path / "a", tmp_path / "b"], chunk_bytes=10)
    with pytest.raises(BrokenInput, match="footer"):
        list(read_lines(broken))
    assert list(read_lines(empty)) == []


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        chunks_of([tmp_path / "a"], chunk_bytes=10)
    with pytest.raises(BadInput, match="Is a directory"):
        list(open_lines(tmp_path))


def test_what_writers_wrote_can_be_joined_and_is_the_same_each_time(tmp_path):
    for name, line in (("a.zst", b"a\n"), ("b.zst", b"b\n"), ("again.zst", b"a\n")):
        with line_writer(tmp_path / name) as file:
            file.write(line)
    a, b, again = ((tmp_path / name).read_bytes() for name in ("a.zst", "b.zst", "again.zst"))
    assert a == again
    assert zstandard.ZstdDecompressor().stream_reader(io.BytesIO(a + b), read_across_frames=True).read() == b"a\nb\n"
