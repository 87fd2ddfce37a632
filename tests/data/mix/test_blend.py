"""Blending: exact numbers of rows, one order per seed, no conversation on both sides, the same bytes however read."""

import gzip
import json
import random
import resource
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from samosa import home
from samosa.data.mix import MixSource, blended, pools, read_rows
from samosa.errors import BadInput, NotReady
from tests.data.mix.pools import assert_evenly, chat, half_up, held_out, pool, questions


def mixed(folder: Path, sources, *, seed=1, validation_share=0.0, **options):
    """Write a mix of `sources`: its shares by name, and the two files."""
    out = folder / "out"
    settings = {"seed": seed, "validation_share": validation_share, "scratch": folder / "parts", **options}
    with blended(sources, **settings) as mix:
        mix.write(out / "training.jsonl", out / "validation.jsonl")
    assert not (folder / "parts").exists()
    return {share.source: share for share in mix.shares}, out / "training.jsonl", out / "validation.jsonl"


def decided(folder: Path, sources, **options):
    """The same without a file: shares by name, and the questions of both sides by source."""
    with blended(sources, scratch=folder / "parts", **options) as mix:
        sides = [[json.loads(line) for line in mix.lines(rows)] for rows in (mix.training, mix.validation)]
    training, validation = ([(row["source"], row["messages"][0]["content"]) for row in side] for side in sides)
    return {share.source: share for share in mix.shares}, training, validation


def of(side, source: str) -> Counter:
    return Counter(text for name, text in side if name == source)


def both(folder: Path, sources, **options) -> tuple[bytes, bytes]:
    _, training, validation = mixed(folder, sources, **options)
    return training.read_bytes(), validation.read_bytes()


def numbered(name: str, rows: int) -> list[str]:
    return [f"{name} {n}" for n in range(rows)]


def test_every_row_is_seen_as_often_as_its_source_repeats(tmp_path):
    sources = [
        MixSource("a", pool(tmp_path, "a", numbered("a", 50)), repeat=6),
        MixSource("b", pool(tmp_path, "b", numbered("b", 3)), repeat=20),
    ]
    shares, training, _ = mixed(tmp_path, sources)
    assert Counter(questions(training)) == {
        **dict.fromkeys(numbered("a", 50), 6),
        **dict.fromkeys(numbered("b", 3), 20),
    }
    assert [(share.source, share.training, share.epochs) for share in shares.values()] == [("a", 300, 6), ("b", 60, 20)]


def test_two_and_a_half_is_two_copies_and_half_of_the_rows_once_more(tmp_path):
    _, training, _ = mixed(tmp_path, [MixSource("a", pool(tmp_path, "a", numbered("a", 50)), repeat=2.5)])
    assert Counter(Counter(questions(training)).values()) == {2: 25, 3: 25}


def test_rows_is_a_sample_of_exactly_so_many_or_all_there_are(tmp_path):
    path = pool(tmp_path, "a", numbered("a", 100))
    for asked, given_ in ((10, 10), (100, 100), (101, 100)):
        shares, training, _ = mixed(tmp_path, [MixSource("a", path, rows=asked)])
        assert len(set(questions(training))) == len(questions(training)) == given_ == shares["a"].taken
        assert shares["a"].read == 100


def test_a_sample_is_uniform(tmp_path):
    """Each of 8 rows is in 2 of 8 samples: 15 of 60, and sigma is 3.4: four sigmas either way, by fixed seeds."""
    path = pool(tmp_path, "a", numbered("a", 8))
    seen = Counter()
    for seed in range(60):
        with blended([MixSource("a", path, rows=2)], seed=seed, validation_share=0, scratch=tmp_path / "parts") as mix:
            seen.update(mix.pools[0].rows["digest"].tolist())
    assert len(seen) == 8 and all(2 <= count <= 28 for count in seen.values())


def test_one_seed_gives_one_order_and_another_seed_another_of_the_same_rows(tmp_path):
    sources = [MixSource("a", pool(tmp_path, "a", numbered("a", 50)), repeat=2)]
    first, again, other = (both(tmp_path, sources, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other
    assert sorted(first.splitlines()) == sorted(other.splitlines())


def test_the_order_is_that_of_a_seeded_shuffle_of_all_rows_in_the_recipes_order(tmp_path):
    """Trainings of earlier versions are found again: their rows were these, in this order."""
    texts = {"b": numbered("b", 30), "a": numbered("a", 10)}
    sources = [MixSource(name, pool(tmp_path, name, texts[name]), repeat=2 + len(name)) for name in texts]
    _, training, validation = mixed(tmp_path, sources, seed=7, validation_share=0.2)
    rows = [row for name in texts for row in [text for text in texts[name] if not held_out(text, 0.2)] * 3]
    random.Random("mix:7").shuffle(rows)
    assert questions(training) == rows
    assert questions(validation) == [text for name in texts for text in texts[name] if held_out(text, 0.2)]
    sampled = random.Random("mix:7:a").sample(range(10), 4)
    _, training, _ = mixed(tmp_path, [MixSource("a", tmp_path / "a.jsonl", rows=4)], seed=7)
    assert set(questions(training)) == {f"a {n}" for n in sampled}


def test_a_sample_does_not_depend_on_what_else_is_mixed_or_in_which_order(tmp_path):
    small = MixSource("a", pool(tmp_path, "a", numbered("a", 100)), rows=10)
    other = MixSource("b", pool(tmp_path, "b", numbered("b", 10)), repeat=1.5)
    seen = []
    for sources in ([small], [other, small], [small, other]):
        _, training, _ = mixed(tmp_path, sources, seed=4)
        seen.append(sorted(questions(training, "a")))
    assert seen[0] == seen[1] == seen[2] and len(seen[0]) == 10


how = st.one_of(
    st.builds(lambda value: {"repeat": value / 4}, st.integers(1, 14)),
    st.builds(lambda value: {"rows": value}, st.integers(1, 30)),
)


@given(
    st.lists(st.tuples(how, st.lists(st.integers(0, 40), min_size=1, max_size=30)), min_size=1, max_size=3),
    st.integers(0, 2**63),
    st.sampled_from([0.0, 0.1, 0.5]),
)
@settings(max_examples=25)
def test_any_mix_is_what_counting_by_hand_says(sources, seed, share):
    """Rows are drawn from few texts, so that pools and their neighbours have conversations in common."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = [
            MixSource(f"s{place}", pool(folder, f"s{place}", [f"q{n}" for n in texts]), **amount)
            for place, (amount, texts) in enumerate(sources)
        ]
        shares, training, validation = decided(folder, asked, seed=seed, validation_share=share)
        everything = {question: held_out(question, share) for question in map("q{}".format, range(41))}
        assert not any(everything[question] for _, question in training)
        assert all(everything[question] for _, question in validation)
        for place, (amount, texts) in enumerate(sources):
            got = shares[f"s{place}"]
            seen, aside = of(training, got.source), of(validation, got.source)
            rows = Counter(f"q{n}" for n in texts)
            assert got.read == len(texts) and got.taken == min(amount.get("rows", len(texts)), len(texts))
            assert got.validation == aside.total() and got.training == seen.total()
            kept = got.taken - got.validation
            if "rows" in amount:
                assert seen.total() == kept and seen + aside <= rows
                continue
            assert aside == Counter({text: n for text, n in rows.items() if everything[text]})
            assert_evenly(seen, rows - aside, half_up(str(amount["repeat"]), kept))


@given(st.integers(0, 2**63), st.lists(st.integers(2, 25), min_size=2, max_size=4), st.data())
@settings(max_examples=10)
def test_weights_give_each_source_its_share_of_the_rows_evenly_over_them(seed, sizes, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, 99), min_size=len(sizes) - 1, max_size=len(sizes) - 1)))
    parts = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = [
            MixSource(f"s{i}", pool(folder, f"s{i}", numbered(f"s{i}", size)), weight=part / 100)
            for i, (size, part) in enumerate(zip(sizes, parts, strict=True))
        ]
        _, training, _ = decided(folder, asked, seed=seed, validation_share=0, total=300)
        for source, size, part in zip(asked, sizes, parts, strict=True):
            rows = Counter(numbered(source.name, size))
            assert_evenly(of(training, source.name), rows, 3 * part)


def test_a_conversation_of_two_sources_is_on_one_side_only_however_it_is_laid_out(tmp_path):
    texts = numbered("q", 200)
    bare = pool(tmp_path, "bare", texts)
    wrapped = tmp_path / "wrapped.jsonl"
    parts = [
        {"messages": [row[0], {**row[1], "content": [{"type": "text", "text": "ok"}]}]} for row in map(chat, texts)
    ]
    wrapped.write_text("\n".join(json.dumps(row, indent=None, ensure_ascii=False) for row in parts))
    sources = [MixSource("bare", bare, repeat=2), MixSource("wrapped", wrapped, rows=150)]
    shares, training, validation = mixed(tmp_path, sources, validation_share=0.2)
    assert questions(training, "wrapped") and questions(validation, "wrapped")
    assert not set(questions(training)) & set(questions(validation))
    assert shares["wrapped"].repeated == 150 and shares["bare"].repeated == 0


def test_rows_are_read_back_as_written(tmp_path):
    path = pool(tmp_path, "a", ["नमस्ते 🙂", "<|python_start|>", "line\u2028break"])
    _, training, _ = mixed(tmp_path, [MixSource("a", path, repeat=1)])
    rows = list(read_rows(training))
    assert {row.turns[0].text for row in rows} == {"नमस्ते 🙂", "<|python_start|>", "line\u2028break"}
    assert {row.source for row in rows} == {"a"}


def test_a_mix_that_was_damaged_names_the_line(tmp_path):
    _, training, _ = mixed(tmp_path, [MixSource("a", pool(tmp_path, "a", numbered("a", 5)), repeat=1)])
    training.write_bytes(training.read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"training\.jsonl:5: broken JSON"):
        list(read_rows(training))
    training.write_text(json.dumps(chat("no source")))
    with pytest.raises(BadInput, match=r"training\.jsonl:1: a row that does not say its source"):
        list(read_rows(training))


# ---- the same bytes, however it is read


def sources_of(folder: Path) -> list[MixSource]:
    texts = [f"question {n} " + "words " * (n % 17) for n in range(400)]
    return [
        MixSource("a", pool(folder, "a", texts), repeat=1.5),
        MixSource("b", pool(folder, "b", numbered("b", 90)), rows=40),
        MixSource("c", pool(folder, "c", [*texts[:9], "c"]), weight=0.3),
    ]


def test_chunks_do_not_change_a_byte(tmp_path, monkeypatch):
    sources = sources_of(tmp_path)
    whole = both(tmp_path, sources, validation_share=0.1)
    assert whole[1]
    for size in (100, 7777):
        monkeypatch.setattr(pools, "CHUNK_BYTES", size)
        assert both(tmp_path, sources, validation_share=0.1) == whole


def test_workers_do_not_change_a_byte(tmp_path, monkeypatch):
    sources = sources_of(tmp_path)[:1]
    monkeypatch.setattr(pools, "CHUNK_BYTES", 7777)
    assert both(tmp_path, sources, workers=2) == both(tmp_path, sources)


def test_what_was_killed_goes_on_from_the_parts_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "CHUNK_BYTES", 5000)
    sources = sources_of(tmp_path)
    expected = both(tmp_path, sources)
    reads = []

    def dies_on_the_fourth(result):
        reads.append(result)
        if len(reads) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mixed(tmp_path, sources, progress=dies_on_the_fourth)
    cached = []
    assert both(tmp_path, sources, progress=lambda result: cached.append(result.cached)) == expected
    assert cached.count(True) == 4


@pytest.mark.parametrize("suffix", ["zst", "gz", "parquet", "crlf", "bom"])
def test_every_format_gives_the_bytes_of_plain_lines(tmp_path, suffix):
    plain = pool(tmp_path, "a", numbered("a", 60))
    expected = both(tmp_path, [MixSource("a", plain, rows=50)], validation_share=0.1)
    data, path = plain.read_bytes(), tmp_path / f"b.{suffix}"
    if suffix == "parquet":
        messages = [json.loads(line) for line in data.splitlines()]
        pq.write_table(pa.table({"messages": messages, "other": range(60)}), path, row_group_size=7)
    else:
        pack = {"zst": zstandard.compress, "gz": gzip.compress, "crlf": lambda b: b.replace(b"\n", b"\r\n\r\n")}
        path.write_bytes(pack.get(suffix, lambda b: b"\xef\xbb\xbf" + b)(data))
    assert both(tmp_path, [MixSource("a", path, rows=50)], validation_share=0.1) == expected


# ---- what is wrong is said, and nothing is written

BROKEN = {
    "cut off": (b'[{"role": "user", "con', "broken JSON"),
    "not UTF-8": (json.dumps(chat("x")).encode().replace(b"x", b"\xff"), "not UTF-8"),
    "lone surrogate": (json.dumps(chat("x")).encode().replace(b'"x"', b'"\\ud800"'), "lone surrogate"),
    "no messages": (b'{"text": "a column"}', "without a list of messages"),
    "empty": (b"[]", "an empty conversation"),
    "roles": (json.dumps(chat("x")[::-1]).encode(), "where user is due"),
    "deep": (b"[" * 100_000, "nested deeper"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("amount", [{"repeat": 1}, {"rows": 1}])
def test_a_broken_line_is_named_whichever_chunk_it_is_in_and_nothing_is_written(tmp_path, monkeypatch, kind, amount):
    line, why = BROKEN[kind]
    path = pool(tmp_path, "a", numbered("a", 40))
    path.write_bytes(path.read_bytes() + b"\n\n" + line + b"\n" + path.read_bytes())
    monkeypatch.setattr(pools, "CHUNK_BYTES", 300)
    with pytest.raises(BadInput, match=rf"a\.jsonl:43: .*{why}") as caught:
        mixed(tmp_path, [MixSource("a", path, **amount)])
    assert caught.value.exit_code == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("content", [b"", b"\n \r\n\n"])
def test_a_pool_without_rows_is_an_error(tmp_path, content):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.jsonl has no rows"):
        mixed(tmp_path, [MixSource("a", tmp_path / "a.jsonl", repeat=1)])


def test_files_that_cannot_be_read_on_are_errors(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        mixed(tmp_path, [MixSource("a", tmp_path / "a.jsonl", repeat=1)])
    (tmp_path / "a.zst").write_bytes(zstandard.compress(json.dumps(chat("x")).encode() * 9)[:-5])
    with pytest.raises(BadInput, match=r"a\.zst is broken"):
        mixed(tmp_path, [MixSource("a", tmp_path / "a.zst", repeat=1)])
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BadInput, match=r"a\.parquet is broken"):
        mixed(tmp_path, [MixSource("a", tmp_path / "a.parquet", repeat=1)])


def test_a_line_of_megabytes_is_a_row_like_any_other(tmp_path):
    path = pool(tmp_path, "a", ["word " * 10**6, "short"])
    _, training, _ = mixed(tmp_path, [MixSource("a", path, repeat=2)])
    assert Counter(map(len, questions(training))) == {5 * 10**6: 2, 5: 2}


def test_a_full_disk_is_said_at_once_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = pool(tmp_path, "a", numbered("a", 50))
    before = both(tmp_path, [MixSource("a", path, repeat=1)], validation_share=0.2)
    monkeypatch.setattr(home.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(NotReady, match="free"):
        mixed(tmp_path, [MixSource("a", path, repeat=9)], validation_share=0.2, workers=1)
    out = tmp_path / "out"
    assert before == ((out / "training.jsonl").read_bytes(), (out / "validation.jsonl").read_bytes())
    assert len(list(out.iterdir())) == 2


def test_a_write_that_fails_in_the_middle_leaves_both_files_as_they_were(tmp_path):
    path = pool(tmp_path, "a", numbered("a", 400))
    source = MixSource("a", path, repeat=1)
    before = both(tmp_path, [source], validation_share=0.2)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    scratch = {"seed": 2, "validation_share": 0.2, "scratch": tmp_path / "parts"}
    out = tmp_path / "out"
    with pytest.raises(NotReady, match="cannot write"), blended([MixSource("a", path, repeat=30)], **scratch) as mix:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            mix.write(out / "training.jsonl", out / "validation.jsonl")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before == ((out / "training.jsonl").read_bytes(), (out / "validation.jsonl").read_bytes())
    assert len(list(out.iterdir())) == 2 and not (tmp_path / "parts").exists()
