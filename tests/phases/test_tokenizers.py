"""`samosa tokenizer`: a vocabulary nanochat reads, never written over, and what it makes of each file."""

import json
import pickle

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiktoken
import torch

from samosa import home
from samosa.chat.markup import SPECIALS
from samosa.cli import main
from samosa.data.shards import stdlib_documents


@pytest.fixture
def files(samosa_home, tmp_path):
    """Prose and code as JSON lines and parquet."""
    texts = list(stdlib_documents(limit_chars=60_000, seed=1))
    lines = tmp_path / "prose.jsonl"
    lines.write_bytes(b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts))
    pq.write_table(pa.table({"text": ["if x == 1:\n    return x\n" * 40]}), tmp_path / "code.parquet")
    return [str(lines), str(tmp_path / "code.parquet")]


def train(files, *more):
    return main(["tokenizer", "train", *files, "--vocab-size", "400", *more])


def test_what_is_trained_is_read_by_nanochat(files):
    assert train(files) == 0
    read = pickle.loads((home.tokenizer_dir() / "tokenizer.pkl").read_bytes())  # as nanochat does
    assert isinstance(read, tiktoken.Encoding) and read.n_vocab == 400
    assert [read.decode([token]) for token in range(391, 400)] == list(SPECIALS)
    lengths = torch.load(home.tokenizer_dir() / "token_bytes.pt", weights_only=True)
    assert lengths.dtype == torch.int32
    assert lengths.tolist() == [len(read.decode_single_token_bytes(token)) for token in range(391)] + [0] * 9


def test_a_tokenizer_that_is_there_is_never_written_over(files, tmp_path, capsys):
    assert train(files, "--out", str(tmp_path / "new")) == 0
    before = (tmp_path / "new" / "tokenizer.pkl").read_bytes()
    assert train(files[:1], "--out", str(tmp_path / "new")) == 2
    assert "there is a tokenizer in" in capsys.readouterr().err
    assert (tmp_path / "new" / "tokenizer.pkl").read_bytes() == before and not home.tokenizer_dir().exists()


def test_compression_is_reported_for_each_file_beside_the_homes_tokenizer(files, tmp_path, capsys):
    assert train(files) == 0 and train(files[1:], "--set", "tokenizer.document_characters=500") == 2
    capsys.readouterr()
    other = ["--out", str(tmp_path / "new"), "--json"]
    assert main(["tokenizer", "train", files[1], files[0], "--vocab-size", "300", *other]) == 0
    code, prose = json.loads(capsys.readouterr().out)["files"]
    read = {
        folder: pickle.loads((folder / "tokenizer.pkl").read_bytes())
        for folder in (home.tokenizer_dir(), tmp_path / "new")
    }
    text = "if x == 1:\n    return x\n" * 40
    was, now = (len(encoding.encode_ordinary(text)) for encoding in read.values())
    assert (code["bytes"], code["tokens"], code["documents"]) == (len(text), now, 1)
    assert code["bytes_per_token"] == round(len(text) / now, 4)
    assert code["bytes_per_token_of_home"] == round(len(text) / was, 4)
    assert prose["file"] == files[0] and prose["bytes_per_token"] < prose["bytes_per_token_of_home"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["train"], "train needs --vocab-size"),
        (["train", "--vocab-size", "200"], "too small"),
        (["train", "--vocab-size", "60000"], "give only"),
        (["learn"], "is no action"),
        (["report", "--vocab-size", "300"], "goes with train"),
    ],
)
def test_wrong_arguments_are_bad_input_and_write_nothing(files, capsys, arguments, why):
    assert main(["tokenizer", arguments[0], *files, *arguments[1:]]) == 2
    assert why in capsys.readouterr().err and not (home.tokenizer_dir() / "tokenizer.pkl").exists()


def test_a_broken_line_is_named(files, capsys):
    with open(files[0], "ab") as lines:  # noqa: PTH123
        lines.write(b'{"text": 1}\n')
    assert train(files) == 2
    assert "'text' is no text but int" in capsys.readouterr().err and not home.tokenizer_dir().exists()
