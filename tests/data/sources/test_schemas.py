"""Every source of the registry, on small files of exactly upstream's columns, through the real `datasets` library."""

import pyarrow as pa
import pytest

from samosa.chat.conversation import parse_row
from samosa.data.sources.mappers import MAPPERS, Skip
from samosa.data.sources.reading import REGROUPED, articles, files_of, tables
from samosa.data.sources.registry import Source, known_sources
from samosa.data.sources.schema import check_columns
from samosa.errors import BadInput, NotReady
from tests.data.sources.upstream import SCHEMAS, file_of, table_of

SOURCES = known_sources()


def is_of_kind(row, source: Source) -> bool:
    if source.kind == "text":
        return set(row) == {"text"} and bool(row["text"].strip())
    if source.kind == "chat":
        return parse_row(row, source="row").turns[-1].role == "assistant"
    sides = [parse_row({"messages": [*row["prompt"], *row[side]]}, source="row") for side in ("chosen", "rejected")]
    return sides[0].turns[:-1] == sides[1].turns[:-1] and sides[0] != sides[1]


def test_upstream_is_told_of_every_source_and_no_other():
    assert list(SCHEMAS) == list(SOURCES)


def test_files_of_upstreams_schema_give_rows_of_each_sources_kind(tmp_path):
    """One test: `datasets` takes two seconds to import, and every worker that runs a part of this would."""
    import datasets

    for name, source in SOURCES.items():
        file, data = file_of(name, table_of(name))
        path = tmp_path / name / file
        path.parent.mkdir()
        path.write_bytes(data)
        read = list(tables(path, source, where=name))
        packed = {"parquet": "parquet", "jsonl": "json", "json": "json", "gz": "json"}[file.rsplit(".", 1)[-1]]
        theirs = datasets.load_dataset(packed, data_files=[str(path)], split="train", streaming=True)
        ours = [row for table in read for row in table.to_pylist()]
        assert len(ours) == 2 and set(ours[0]) >= set(source.columns), name
        assert ours == [{column: row[column] for column in ours[0]} for row in theirs], name
        if source.mapper is None:
            assert source.needs and "text" not in SCHEMAS[name] and "content" not in SCHEMAS[name], name
            continue
        regroup = REGROUPED.get(source.mapper, iter)
        got = [MAPPERS[source.mapper](row) for table in regroup(iter(read)) for row in table.to_pylist()]
        assert is_of_kind(got[0], source), name
        assert all(isinstance(row, Skip) for row in got[1:]) and (len(got) == 2 or source.mapper in REGROUPED), name


@pytest.mark.parametrize("name", SOURCES)
def test_a_changed_column_is_an_error_that_names_it(name):
    for column in SOURCES[name].columns:
        without = {key: kind for key, kind in SCHEMAS[name].items() if key != column}
        with pytest.raises(BadInput, match=f"column {column} is gone") as caught:
            check_columns(pa.schema(list(without.items())), SOURCES[name].columns, where=name)
        assert "sources.toml" in caught.value.hint
        other = SCHEMAS[name] | {column: pa.list_(pa.int8())}
        with pytest.raises(BadInput, match=rf"{name}: column {column} is list<.*int8>, and was"):
            check_columns(pa.schema(list(other.items())), SOURCES[name].columns, where=name)
    check_columns(pa.schema(list(SCHEMAS[name].items())), SOURCES[name].columns, where=name)


def test_a_field_inside_a_column_may_come_but_not_go():
    expected = {"messages": [{"role": "string", "content": "string"}]}
    more = pa.list_(pa.struct({"content": pa.large_string(), "weight": pa.int64(), "role": pa.string()}))
    check_columns(pa.schema({"messages": more}), expected, where="x")
    fewer = pa.list_(pa.struct({"content": pa.string()}))
    with pytest.raises(BadInput, match=r"column messages is list<.*, and was list<struct<role: string"):
        check_columns(pa.schema({"messages": fewer}), expected, where="x")


def test_lines_of_wikitext_become_articles():
    lines = [
        "left over\n",
        "",
        " = One = \n",
        " text = more \n",
        " = = Part = = \n",
        "end\n",
        " = Two = \n",
        "\n",
        "x\n",
    ]
    got = [
        t
        for table in articles(iter([pa.table({"text": lines[:4]}), pa.table({"text": lines[4:]})]))
        for t in table.to_pylist()
    ]
    assert [row["text"] for row in got] == [
        "left over",
        " = One = \n text = more \n = = Part = = \nend",
        " = Two = \n\nx",
    ]


CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
- config_name: other
  data_files:
  - split: train
    path: other/*.parquet
---
"""
BOTH = ["data/train-0.parquet", "data/test-0.parquet"]


@pytest.mark.parametrize(
    ("card", "paths", "config", "split", "found"),
    [
        (CARD, ["data/train-1.parquet", "data/train-0.parquet", "data/test-0.parquet"], "default", "train", 2),
        (CARD, [*BOTH, "other/a.parquet", "other/b.parquet"], "other", "train", 2),
        ("", ["limo.jsonl"], "default", "train", 1),
        ("", ["file-01.json.gz", "file-02.json.gz", "notes.txt"], "default", "train", 2),
        (CARD, BOTH, "20250320.en", "train", "no config 20250320.en .*there are default, other"),
        ("", ["limo.jsonl"], "default", "train_sft", "no split train_sft .*there are train"),
        ("", ["notes.xyz"], "default", "train", "no data files"),
        (CARD, ["data/train-0.parquet"], "default", "train", "not told apart"),  # the card's test split is gone
    ],
)
@pytest.mark.soak
def test_the_card_says_which_files_are_meant(card, paths, config, split, found):
    source = SOURCES["wikipedia"].model_copy(update={"config": config, "split": split})
    if isinstance(found, str):
        with pytest.raises(NotReady, match=found):
            files_of(source, card, paths, name="wikipedia")
    else:
        got = files_of(source, card, paths, name="wikipedia")
        assert len(got) == found and got == sorted(got) and set(got) <= set(paths)
