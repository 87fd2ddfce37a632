"""Where pretraining text comes from, and how it becomes documents."""

import ast
import inspect

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samosa.data import shards
from samosa.data.packing import pack_documents
from samosa.data.shards import documents, held_out, pretraining_docs, prose_of, stdlib_documents
from samosa.errors import BadInput, NotReady

SOURCE = '''#!/usr/bin/env python
# A comment of two lines that goes on for long enough to be
# worth reading by a person, or by a model.

"""Module docstring: what it's for, with a # in it."""
import os  # a remark after code that nobody needs to keep, however long it may be

TEMPLATE = """
not a docstring, but a value that somebody assigns to a name
"""


def f(x="# no comment", y='it\\'s "quoted"'):
    r"""Do the thing with \\d digits
    and return it.
    """
    # short
    return x


class C:
    \'\'\'Docstrings may have single quotes as well.\'\'\'
'''


class Bytes:
    """A tokenizer of bytes, bos = 256."""

    bos = 256

    def encode_batch(self, texts):
        return [list(text.encode()) for text in texts]


def write_shard(path, texts, column="text", rows=2):
    pq.write_table(pa.table({column: texts}), path, row_group_size=rows)
    return path


def test_texts_come_in_the_order_of_shards_and_rows(tmp_path):
    paths = [write_shard(tmp_path / f"s{i}.parquet", [f"{i}-{j}" for j in range(5)]) for i in range(3)]
    assert list(documents(reversed(paths))) == [f"{i}-{j}" for i in (2, 1, 0) for j in range(5)]


def test_a_shard_is_read_one_row_group_at_a_time(tmp_path, monkeypatch):
    path = write_shard(tmp_path / "s.parquet", list("abcdef"))
    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, i, **kw: read.append(i) or original(self, i, **kw)
    )
    texts = documents([path])
    assert [next(texts) for _ in range(3)] == ["a", "b", "c"] and read == [0, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "cannot be read"),
        (lambda p: p.write_bytes(b"PAR1 nothing"), "cannot be read"),
        (lambda p: write_shard(p, ["a"], column="content"), "no column 'text'"),
        (lambda p: write_shard(p, ["a", "b", None]), "row 3 has no text"),
    ],
)
def test_a_bad_shard_is_named(tmp_path, make, message):
    path = tmp_path / "shard_00040.parquet"
    make(path)
    with pytest.raises(BadInput, match=message) as error:
        list(documents([path]))
    assert "shard_00040" in error.value.message


def test_prose_is_docstrings_and_comment_blocks_and_no_code():
    assert prose_of(SOURCE).split("\n\n") == [
        "A comment of two lines that goes on for long enough to be\nworth reading by a person, or by a model.",
        "Module docstring: what it's for, with a # in it.",
        "Do the thing with \\d digits\nand return it.",
        "Docstrings may have single quotes as well.",
    ]


def test_docstrings_are_those_python_itself_finds():
    source = inspect.getsource(inspect)
    found = prose_of(source)
    scopes = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    wanted = [ast.get_docstring(node) for node in ast.walk(ast.parse(source)) if isinstance(node, scopes)]
    plain = [text for text in wanted if text and "\\" not in text and f'"""{text.splitlines()[0]}' in source]
    plain = [text for text in plain if len(text) > 60]
    assert len(plain) > 50
    assert all(text in found for text in plain)


def test_the_library_gives_english_first_and_as_much_as_was_asked_for():
    texts = list(stdlib_documents(limit_chars=200_000, seed=1))
    total = sum(map(len, texts))
    assert 200_000 <= total < 200_000 + len(texts[-1])
    assert len(set(texts)) == len(texts)
    assert sum("\ndef " in text for text in texts) <= len(texts) * 0.2
    assert texts == list(stdlib_documents(limit_chars=200_000, seed=1))
    assert texts != list(stdlib_documents(limit_chars=200_000, seed=2))


def test_the_order_does_not_depend_on_the_disk(monkeypatch):
    forward = list(stdlib_documents(limit_chars=50_000, seed=1))
    library = shards._library
    monkeypatch.setattr(shards, "_library", lambda root: reversed(list(library(root))))
    assert list(stdlib_documents(limit_chars=50_000, seed=1)) == forward


def test_a_python_without_sources_is_said_to_be_so(monkeypatch, tmp_path):
    monkeypatch.setattr(shards.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(NotReady, match="no library sources"):
        next(stdlib_documents(limit_chars=None, seed=0))


def test_a_text_is_held_out_by_what_it_says_and_nothing_else():
    texts = [f"text number {i}" for i in range(2000)]
    chosen = {text for text in texts if held_out(text, 0.1)}
    assert 140 < len(chosen) < 260
    assert chosen == {text for text in reversed(texts) if held_out(text, 0.1)}
    assert chosen <= {text for text in texts if held_out(text, 0.2)}
    assert not any(held_out(text, 0.0) for text in texts) and all(held_out(text, 1.0) for text in texts)


def test_a_pretraining_document_is_bos_and_its_tokens_and_predicts_the_next_bos():
    docs = list(pretraining_docs(["ab", "c"], Bytes(), source="web"))
    assert [(d.ids.tolist(), d.mask.tolist(), d.end_target, d.place) for d in docs] == [
        ([256, 97, 98], [1, 1, 1], 256, "web:1"),
        ([256, 99], [1, 1], 256, "web:2"),
    ]
    rows = pack_documents(docs, length=5, overlong="error", seed=0, pad=256)
    assert rows.targets.tolist() == [[97, 98, 256, 99, 256]]
    assert rows.positions.tolist() == [[0, 1, 2, 0, 1]]
