"""Small files of text for the tests that tokenize: made by seed, written as JSONL and parquet, read back."""

import json
import random

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from samosa import home
from samosa.data.tokens.register import registered

WORDS = "the shard holds text <|bos|> in rows é 语 12345  \n    def f(x):\n\treturn x ".split(" ")


def texts(seed: int, count: int = 60) -> list[str]:
    draw = random.Random(seed)
    return [f"{seed} {i} " + " ".join(draw.choices(WORDS, k=draw.randrange(5, 60))) for i in range(count)]


def jsonl(path, documents):
    path.write_bytes(b"".join(orjson.dumps({"text": text}) + b"\n" for text in documents))
    return path


def parquet(path, documents, column="text", **options):
    pq.write_table(pa.table({column: documents}), path, **options)
    return path


def documents(folder, name) -> list[str]:
    return pq.read_table(folder / name).column("text").to_pylist()


def made(folder) -> dict[str, bytes]:
    """Every byte that tokenizing adds to a home: the shards, token shards and the register without times."""
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.name >= "shard_00040"}
    tokens = home.root() / "data" / "tokens"
    files |= {str(path.relative_to(tokens)): path.read_bytes() for path in sorted(tokens.rglob("*")) if path.is_file()}
    files["register"] = json.dumps([[e.path, e.content, e.role, e.made] for e in registered().values()]).encode()
    return files
