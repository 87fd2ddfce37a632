"""`samosa tokenize` from the command to the shards: in order, once, whole, and older ones as they were."""

import errno
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
import zstandard

from samosa import home
from samosa.chat.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from samosa.cli import main
from samosa.config import Options
from samosa.data.packing import pack_documents
from samosa.data.tokens import placing, sorting
from samosa.data.tokens.register import registered
from samosa.data.tokens.shard import open_token_shard, token_folder
from samosa.errors import BadInput, NotReady, SamosaError
from samosa.phases import base_stages, text_shards, tokenizing
from samosa.phases.settings import Corpus
from tests.phases.text_files import documents, jsonl, made, parquet, texts

SMALL = ("shard_characters=4000", "row_group=8", "chunk_mb=1")
COLUMNS = Corpus(source="base_data_climbmix", first="shard_00040.parquet", validation="shard_06542.parquet", seed=0,
                 tokens=10**6, validation_tokens=10**6)  # fmt: skip


@pytest.fixture(scope="module")
def words():
    return train_tokenizer(texts(0, 200), 400)


@pytest.fixture
def folder(samosa_home, words):
    """A home with a tokenizer, three of the base's shards and its validation file."""
    save_tokenizer(words, home.tokenizer_dir())
    folder = samosa_home / "base_data_climbmix"
    folder.mkdir()
    for number in (0, 1, 2, 6542):
        parquet(folder / f"shard_{number:05d}.parquet", texts(1000 + number, 9))
    return folder


def run(*files, sets=(), workers=1, first=None, **options):
    return tokenizing.run(
        Options(sets=(*SMALL, *sets), **options),
        inputs=[str(file) for file in files],
        first_shard=first,
        workers=workers,
    )


def test_shards_hold_every_document_once_in_an_order_of_the_seed(folder, tmp_path):
    given = texts(1)
    assert run(jsonl(tmp_path / "a.jsonl", given), sets=["seed=5"]) == 0
    names = sorted(path.name for path in folder.glob("shard_0004*"))
    assert names == [f"shard_{number:05d}.parquet" for number in range(40, 40 + len(names))] and len(names) >= 2
    shards = [documents(folder, name) for name in names]
    together = [text for shard in shards for text in shard]
    assert together == sorted(given, key=lambda text: xxhash.xxh3_64_intdigest(text.encode(), seed=5))
    assert all(sum(map(len, shard)) >= 4000 for shard in shards[:-1])
    assert all(2000 <= sum(map(len, shard)) < 8000 for shard in shards)


def test_shards_are_laid_out_as_nanochats(folder, tmp_path):
    run(jsonl(tmp_path / "a.jsonl", texts(1)), sets=["shard_characters=1000000"])
    file = pq.ParquetFile(folder / "shard_00040.parquet")
    column = file.metadata.row_group(0).column(0)
    assert file.schema_arrow.names == ["text"] and file.schema_arrow.field("text").type == pa.string()
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [8] * 7 + [4]
    assert column.compression == "ZSTD" and column.statistics is None and not column.has_dictionary_page


def test_files_of_every_format_and_any_cuts_give_the_same_bytes(folder, tmp_path, samosa_home, monkeypatch):
    given = texts(2)
    lines = b"".join(orjson.dumps({"id": 1, "text": text}) + b"\n\n" for text in given)
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(lines))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines))
    parquet(tmp_path / "d.parquet", given, row_group_size=7)
    jsonl(tmp_path / "e.jsonl", given[:25])
    jsonl(tmp_path / "f.jsonl", given[25:])
    outcomes = []
    for files in (["b.jsonl.zst"], ["c.jsonl.gz"], ["d.parquet"], ["f.jsonl", "e.jsonl"]):
        monkeypatch.setattr(text_shards, "MB", 400 * (1 + len(outcomes)))  # another size of chunks and runs each time
        assert run(*(tmp_path / name for name in files)) == 0
        outcomes.append({name: data for name, data in made(folder).items() if name != "register"})
        for path in [*folder.glob("shard_0004*"), samosa_home / "register.jsonl"]:
            path.unlink()
        for path in sorted((samosa_home / "data").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    assert len(outcomes[0]) > 4 and all(outcome == outcomes[0] for outcome in outcomes)


def test_ids_are_tiktokens_and_each_document_begins_with_bos(folder, tmp_path, words):
    run(jsonl(tmp_path / "a.jsonl", texts(1)))
    for path in folder.glob("shard_0004*"):
        shard = open_token_shard(token_folder(path, words.hash), words.hash, text_shard=path)
        assert shard.tokens.dtype == np.uint16 and shard.offsets.dtype == np.int64
        ids = [words._encoding.encode_ordinary(text) for text in documents(folder, path.name)]
        assert [found.tolist() for found in shard.documents()] == [[words.bos, *each] for each in ids]
        assert shard.header["tokens"] == sum(map(len, ids)) + len(ids)


def test_rows_packed_from_ids_are_those_packed_from_text(folder, tmp_path, words):
    run(jsonl(tmp_path / "a.jsonl", texts(1)))

    def packed():
        docs = base_stages.training_docs(COLUMNS, words)
        return pack_documents(docs, length=64, overlong="split", seed=1, pad=words.bos)

    from_ids = packed()
    (home.root() / "data" / "tokens").rename(home.root() / "away")
    from_text = packed()
    assert from_ids.key == from_text.key and from_ids.accounts == from_text.accounts and len(from_ids) > 10


def test_ids_of_another_tokenizer_are_refused(folder, tmp_path, words):
    run(jsonl(tmp_path / "a.jsonl", texts(1)))
    other = train_tokenizer(texts(3, 200), 380)
    with pytest.raises(BadInput, match="has token shards of tokenizer") as refused:
        list(base_stages.training_docs(COLUMNS, other))
    assert f"samosa tokenize {folder / 'shard_00040.parquet'}" in refused.value.hint
    place = token_folder(folder / "shard_00040.parquet", words.hash)
    with pytest.raises(BadInput, match="was made by tokenizer"):
        open_token_shard(place, other.hash)
    save_tokenizer(other, home.tokenizer_dir())
    assert run(*folder.glob("shard_0004*")) == 0  # from the text shards, which stay
    assert len(list(base_stages.training_docs(COLUMNS, other))) == 60


@pytest.mark.parametrize("broken", ["tokens.bin", "offsets.npy", "header.json", "text"])
def test_a_token_shard_that_is_not_whole_or_of_other_text_is_refused(folder, tmp_path, words, broken):
    run(jsonl(tmp_path / "a.jsonl", texts(1)))
    text = folder / "shard_00040.parquet"
    place = token_folder(text, words.hash)
    path = text if broken == "text" else place / broken
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises((NotReady, BadInput), match=r"is broken|was made by"):
        open_token_shard(place, words.hash, text_shard=text)


def test_the_next_files_go_behind_and_the_same_files_are_made_once(folder, tmp_path, capsys):
    first, second = jsonl(tmp_path / "a.jsonl", texts(1)), jsonl(tmp_path / "b.jsonl", texts(2))
    assert run(first, first=40) == 0
    before = made(folder)
    assert run(first) == run(first, first=40) == 0 and made(folder) == before
    assert "already" in capsys.readouterr().err
    count = len(list(folder.glob("shard_0004*")))
    for wrong in (39, 40, 40 + count + 1):
        with pytest.raises(BadInput, match=rf"the next is {40 + count}$"):
            run(second, first=wrong)
    assert made(folder) == before
    assert run(second, first=40 + count) == 0
    assert before.items() - {("register", before["register"])} <= made(folder).items()


def test_a_gap_is_refused_and_what_is_next_is_said(folder, tmp_path):
    parquet(folder / "shard_00041.parquet", ["x"])
    with pytest.raises(BadInput, match=r"no shard_00040\.parquet: next is 40"):
        run(jsonl(tmp_path / "a.jsonl", texts(1)))


def test_older_shards_are_registered_and_proved_untouched(folder, tmp_path, capsys):
    older = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    run(jsonl(tmp_path / "a.jsonl", texts(1)))
    assert "4 older files untouched" in capsys.readouterr().err
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in older} == older
    assert {f"base_data_climbmix/{path.name}" for path in folder.iterdir()} == registered().keys()
    assert all(home.sha256_file(home.root() / path) == entry.sha256 for path, entry in registered().items())
    parquet(folder / "shard_00001.parquet", ["changed"])
    with pytest.raises(NotReady, match=r"shard_00001\.parquet has changed"):
        run(jsonl(tmp_path / "b.jsonl", texts(2)))


def test_an_older_shard_that_changes_meanwhile_is_an_error(folder, tmp_path, monkeypatch):
    place = placing.Run.place

    def meddle(self, parts):
        parquet(folder / "shard_00002.parquet", ["meddled with"])
        place(self, parts)

    monkeypatch.setattr(placing.Run, "place", meddle)
    with pytest.raises(SamosaError, match=r"shard_00002\.parquet was changed while this ran"):
        run(jsonl(tmp_path / "a.jsonl", texts(1)))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"text": "cut', "not JSON"),
        (b'{"text": "caf\xe9"}', "not UTF-8"),
        (b'{"text": "\\ud800"}', "not JSON"),
        (b'{"txt": "a"}', "no 'text' in it; its keys: 'txt'"),
        (b'{"text": 3}', "'text' is no text but int"),
        (b'["text"]', "not an object with 'text' but list"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_written(folder, tmp_path, capsys, line, why):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "good"}\n\n' + line + b"\n" + b'{"text": "good"}\n')
    before = made(folder)
    assert main(["tokenize", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{path}:3: {why}" in error and "Traceback" not in error
    assert made(folder) | {"register": b""} == before | {"register": b""}
    assert not [entry for entry in (home.root() / "data" / "tokenize").iterdir() if entry.is_dir()]


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: parquet(path, ["a", None]), "row 2 has no text in 'text'"),
        (lambda path: parquet(path, ["a"], column="body"), "has no column 'text'"),
        (lambda path: parquet(path, [1, 2]), "'text' holds int64, not text"),
        (lambda path: path.write_bytes(b"PAR1 and then nothing"), "cannot be read as parquet"),
        (lambda path: path.write_bytes(zstandard.compress(b'{"text": "a"}\n' * 900)[:-9]), "is broken after line"),
        (lambda path: path.write_bytes(b""), "there is no document to train on"),
        (lambda path: path.with_name("elsewhere").touch(), "does not exist"),
    ],
)
def test_broken_files_are_bad_input(folder, tmp_path, capsys, write, why):
    write(tmp_path / "a")
    assert main(["tokenize", str(tmp_path / "a")]) == 2
    assert why in capsys.readouterr().err and len(list(folder.iterdir())) == 4


def test_documents_of_the_validation_file_and_empty_ones_stay_out(folder, tmp_path, capsys):
    held = documents(folder, "shard_06542.parquet")
    run(jsonl(tmp_path / "a.jsonl", [*texts(1), *held, ""]))
    trained = [text for path in folder.glob("shard_0004*") for text in documents(folder, path.name)]
    assert sorted(trained) == sorted(texts(1))
    assert f"left out: {len(held)} documents that a validation file has, 0 held out, 1 " in capsys.readouterr().err


def test_a_missing_validation_file_is_made_only_when_asked_for(folder, tmp_path):
    (folder / "shard_06542.parquet").unlink()
    a, b = jsonl(tmp_path / "a.jsonl", texts(1)), jsonl(tmp_path / "b.jsonl", [*texts(1)[::-1], *texts(2)])
    with pytest.raises(NotReady, match=r"shard_06542\.parquet is not in") as refused:
        run(a)
    asked = ("validation=validation_00040.parquet", "hold_out=0.2")
    assert "validation_00040" in refused.value.hint
    with pytest.raises(BadInput, match="a shard's name"):
        run(a, sets=asked[1:])
    assert run(a, sets=asked) == run(a, sets=asked) == 0
    held = documents(folder, "validation_00040.parquet")
    assert 0 < len(held) < 30 and all(base_stages.shards.held_out(text, 0.2) for text in held)
    assert run(b, sets=asked) == 0  # what is held out stays so, whatever else comes
    trained = [text for path in folder.glob("shard_000[4-9]*") for text in documents(folder, path.name)]
    assert not set(held) & set(trained) and not any(base_stages.shards.held_out(text, 0.2) for text in trained)
    assert "validation_00040.parquet" not in {path.name for path in base_stages.training_files(COLUMNS)}
    parquet(folder / "other.parquet", ["x"])
    with pytest.raises(BadInput, match="was not made by samosa tokenize"):
        run(jsonl(tmp_path / "c.jsonl", texts(3)), sets=("validation=other.parquet", "hold_out=0.2"))


STEPS = [
    (sorting, "sort_chunk", 1),
    (sorting, "write_shard", 2),
    (placing, "enter", 1),
    (placing, "entry_of", 2),
    (text_shards, "write_token_shard", 2),
    (text_shards.register, "prove_untouched", 1),
]


@pytest.mark.parametrize(("module", "name", "call"), STEPS)
def test_a_run_that_stops_anywhere_goes_on_to_the_same_bytes(folder, tmp_path, monkeypatch, module, name, call):
    path, calls, does = jsonl(tmp_path / "a.jsonl", texts(1)), [], getattr(module, name)

    def stop(*args, **options):
        calls.append(name)
        if len(calls) == call:
            raise KeyboardInterrupt
        return does(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, stop)
        with pytest.raises(KeyboardInterrupt):
            run(path)
    numbers = sorted(int(shard.stem[6:]) for shard in folder.glob("shard_0004*"))
    assert numbers == list(range(40, 40 + len(numbers)))  # a stop leaves no gap
    if numbers:
        with pytest.raises(BadInput, match="other files are only partly in"):
            run(jsonl(tmp_path / "b.jsonl", texts(2)))
    assert run(path) == 0
    stopped = made(folder)
    for entry in [*folder.glob("shard_0004*"), home.root() / "register.jsonl"]:
        entry.unlink()
    (home.root() / "data").rename(tmp_path / "away")
    assert run(path) == 0 and made(folder) == stopped


def test_a_full_disk_leaves_what_was_there(folder, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = made(folder)
    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(NotReady, match="the disk is full"):
        run(jsonl(tmp_path / "a.jsonl", texts(1)))
    assert made(folder) | {"register": b""} == before | {"register": b""}


def test_two_runs_at_once_are_refused(folder, tmp_path):
    path = jsonl(tmp_path / "a.jsonl", texts(1))
    with placing.only_one(), pytest.raises(NotReady, match="another samosa tokenize is at work"):
        run(path)


def test_the_plan_says_what_will_come_and_writes_nothing(folder, tmp_path, capsys):
    path = jsonl(tmp_path / "a.jsonl", texts(1))
    assert run(path, plan=True, json=True) == 0
    plan = json.loads(capsys.readouterr().out)
    assert not (home.root() / "data").exists() and not (home.root() / "register.jsonl").exists()
    assert run(path, json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert (plan["documents"], plan["tokens"], plan["first_shard"]) == (60, told["tokens"], 40)
    assert plan["characters"] == sum(map(len, texts(1))) == sum(shard["characters"] for shard in told["shards"])
    assert abs(plan["shards"] - len(told["shards"])) <= 1


def test_a_pulled_source_is_read_by_its_name(folder, tmp_path, samosa_home, capsys):
    place = samosa_home / "data" / "webtext"
    place.mkdir(parents=True)
    parquet(place / "webtext-00000.parquet", texts(1))
    assert run("webtext") == 0
    assert main(["tokenize", "nowhere"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sizes", "limit", "stretches"),
    [
        ([5, 5, 5, 5], 10, [(0, 2), (2, 4)]),
        ([5, 5, 5, 5, 6], 10, [(0, 2), (2, 4), (4, 5)]),  # what is left is half a shard or more
        ([5, 5, 5, 5, 4], 10, [(0, 2), (2, 5)]),  # less joins the one before
        ([0, 30, 0, 0], 10, [(0, 4)]),
        ([1, 1, 0], 10, [(0, 3)]),
        ([0, 0], 10, []),
    ],
)
def test_shards_are_cut_where_they_are_full(sizes, limit, stretches):
    assert sorting.cut(np.array(sizes, dtype=float), limit) == stretches


def test_where_the_work_lies_is_empty_when_it_is_done(folder, tmp_path):
    run(jsonl(tmp_path / "a.jsonl", texts(1)))
    left = [path for path in (home.root() / "data" / "tokenize").rglob("*") if path.is_dir()]
    assert left == [] and not list(folder.glob(".tmp*"))


@pytest.mark.soak
def test_runs_killed_at_any_moment_and_any_number_of_workers_give_the_same_bytes(folder, tmp_path, soak_seed):
    path = jsonl(tmp_path / "a.jsonl", texts(1, 4000))
    command = [sys.executable, "-c", "import sys; from samosa.cli import main; sys.exit(main())", "tokenize", str(path)]
    command += [part for value in ("shard_characters=100000", "chunk_mb=1") for part in ("--set", value)]
    away, outcomes, draw = 0, [], random.Random(soak_seed)
    for workers, kills in ((1, 0), (2, 6), (7, 6)):
        began = time.monotonic()
        for number in range(kills + 1):
            child = subprocess.Popen([*command, "--workers", str(workers)], start_new_session=True)
            if number < kills:
                time.sleep(draw.uniform(0.5, 3 + 2 * number))
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL) if draw.random() < 0.5 else child.kill()
                child.wait()
                time.sleep(0.5)  # until the workers have noticed
            else:
                assert child.wait() == 0, time.monotonic() - began
        outcomes.append(made(folder))
        for entry in [*folder.glob("shard_000[4-9]*"), home.root() / "register.jsonl"]:
            entry.unlink()
        (home.root() / "data").rename(tmp_path / f"away{(away := away + 1)}")
    assert len(outcomes[0]) > 20 and outcomes[0] == outcomes[1] == outcomes[2]


def test_the_homes_tokenizer_is_the_one_that_encodes(folder, tmp_path):
    (home.tokenizer_dir() / "tokenizer.pkl").unlink()
    with pytest.raises(NotReady, match="no tokenizer at"):
        run(jsonl(tmp_path / "a.jsonl", texts(1)))
    with pytest.raises(NotReady):
        load_tokenizer(home.tokenizer_dir())
