"""Pulling from a Hub on this machine, through the real clients and the real `datasets` library."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samosa.chat.tokenizer import load_tokenizer
from samosa.data.sources import pull, remote
from samosa.data.sources.pull import Job
from samosa.data.sources.registry import known_sources
from samosa.data.sources.sampling import row_keys
from samosa.errors import BadInput, NotReady, SamosaError
from tests.data.sources.upstream import SCHEMAS, TAKEN, file_of, table_of
from tests.hub_server import Fault

FILES, ROWS = 4, 150


def serve(hub, name, rows_of_file):
    """Put a source's repository on the Hub: FILES files in upstream's schema, `rows_of_file(n)` in each."""
    source = known_sources()[name]
    files = {
        f"data/{source.split}-{n:05d}-of-{FILES:05d}.parquet": file_of(
            "", table_of("", SCHEMAS[name], rows_of_file(n))
        )[1]
        for n in range(FILES)
    }
    data_files = f"  data_files:\n  - split: {source.split}\n    path: data/{source.split}-*\n"
    card = f"---\nconfigs:\n- config_name: {source.config}\n{data_files}---\n"
    return hub.add("datasets", source.repo, {"README.md": card.encode(), **files})


def problems(n):
    """Every third has no answer."""
    rows = range(n * ROWS, (n + 1) * ROWS)
    return [{"problem": f"Row {i}?", "solution": f"It is {i}." if i % 3 == 0 else rf"$\boxed{{{i}}}$"} for i in rows]


def job(name, out, **changes):
    return Job(name, known_sources()[name].model_copy(update=changes), out, f"samosa pull {name}")


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(repo, seed, limit):
    """The rows that a uniform sample with these keys keeps, in upstream's order: all at once, without files."""
    keys = {
        i: int(row_keys(seed, f"AI-MO/NuminaMath-CoT/{path}", i % ROWS, 1)[0])
        for n, path in enumerate(sorted(path for path in repo.files if path.startswith("data/")))
        for i in range(n * ROWS, (n + 1) * ROWS)
        if i % 3
    }
    return sorted(sorted(keys, key=keys.__getitem__)[:limit])


def test_a_pull_that_broke_goes_on_to_the_bytes_of_one_that_did_not(hub, slept, tmp_path, golden):
    repo = serve(hub, "numinamath-cot", problems)
    whole = pull.pull(job("numinamath-cot", tmp_path / "whole", rows=60), tokenizer=None)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "numinamath-cot.jsonl").read_text().splitlines()]
    asked = [int(row["messages"][0]["content"][4:-1]) for row in rows]
    assert asked == expected(repo, 0, 60)
    assert (whole["rows"], whole["rows_seen"], whole["commit"]) == (60, FILES * ROWS, repo.commit)
    assert whole["license"] == "apache-2.0" and set(whole["dropped"]) == {"no final answer"}

    broken = job("numinamath-cot", tmp_path / "broken", rows=60)
    hub.faults = [Fault("00002-of", 500)] * remote.ATTEMPTS
    with pytest.raises(SamosaError, match="the Hub answers 500"):
        pull.pull(broken, tokenizer=None)
    assert not (broken.out / pull.MANIFEST).exists()
    first, hub.lines = hub.lines, []
    assert pull.pull(broken, tokenizer=None) == whole
    assert tree(broken.out) == tree(tmp_path / "whole"), "and nothing of the work is left"
    assert not any("00000-of" in line or "auth-check" in line for line in hub.lines), (
        "what was there is not asked again"
    )
    assert any("00000-of" in line for line in first)

    hub.lines = []
    assert pull.pull(broken, tokenizer=None) == whole and hub.lines == []
    with pytest.raises(BadInput, match="holds another pull"):
        pull.pull(job("numinamath-cot", broken.out, rows=61), tokenizer=None)
    (broken.out / "numinamath-cot.jsonl").write_bytes(b"cut")
    with pytest.raises(NotReady, match="missing or cut short"):
        pull.pull(broken, tokenizer=None)

    tokenizer = load_tokenizer(golden / "tokenizer")
    counted = pull.pull(job("numinamath-cot", tmp_path / "counted", rows=60), tokenizer=tokenizer)
    texts = [part["text"] for row in rows for part in row["messages"][1]["content"]]
    texts += [row["messages"][0]["content"] for row in rows]
    assert counted["tokens"] == sum(len(tokenizer.encode(text)) for text in texts)
    assert counted["tokens_basis"].endswith("every row") and "estimated" in whole["tokens_basis"]


def test_texts_become_parquet_as_nanochat_lays_it(hub, tmp_path, monkeypatch):
    texts = [[f"Page {n}-{i}. " + "word " * (i % 7) for i in range(1500)] for n in range(FILES)]
    serve(hub, "wikipedia", lambda n: [{"text": text} for text in texts[n]])
    budget = 6000  # tokens of 4.7 characters
    manifest = pull.pull(job("wikipedia", tmp_path / "w", tokens=budget), tokenizer=None)
    got = []
    for file in manifest["files"]:
        shard = pq.ParquetFile(tmp_path / "w" / file["path"])
        assert shard.schema_arrow.names == ["text"] and shard.metadata.row_group(0).column(0).compression == "ZSTD"
        assert all(shard.metadata.row_group(g).num_rows <= 1024 for g in range(shard.num_row_groups))
        got += shard.read().column("text").to_pylist()
    every = [text for file in texts for text in file]
    longest = max(map(len, every))
    assert 0 <= budget * 4.7 - sum(map(len, got)) <= longest, "as many as fit into the budget"
    assert manifest["characters"] == sum(map(len, got)) and not set(got) - set(every)
    share = Counter(text.split("-")[0] for text in got)
    assert len(share) == FILES and min(share.values()) > 0.7 * max(share.values()), "from all of the split"

    monkeypatch.setattr(pull, "SAMPLE_ROWS", 50)

    class Letters:
        hash = "0123456789abcdef"

        def encode_batch(self, texts):
            return [list(text) for text in texts]

    sampled = pull.pull(job("wikipedia", tmp_path / "s", tokens=budget), tokenizer=Letters())
    assert sampled["tokens"] == sampled["characters"], "a letter is a token here, in any sample"
    assert sampled["tokens_basis"].endswith("50 rows drawn uniformly")


@pytest.mark.soak
def test_pairs_lines_of_wikitext_and_json_come_through(hub, tmp_path):
    serve(hub, "ultrafeedback", lambda n: [TAKEN["ultrafeedback"]] * 3)
    pairs = pull.pull(job("ultrafeedback", tmp_path / "u"), tokenizer=None)
    assert pairs["rows"] == 12
    assert set(json.loads((tmp_path / "u/ultrafeedback.jsonl").read_text().splitlines()[0])) == {
        "prompt",
        "chosen",
        "rejected",
    }
    name, data = file_of("limo", table_of("limo", rows=[TAKEN["limo"]] * 5))
    hub.add("datasets", "GAIR/LIMO", {name: data})
    assert pull.pull(job("limo", tmp_path / "l"), tokenizer=None)["rows"] == 5
    name, data = file_of("codeparrot-python", table_of("codeparrot-python"))
    hub.add("datasets", "codeparrot/codeparrot-clean", {"README.md": b"# no metadata\n", name: data})
    code = pull.pull(job("codeparrot-python", tmp_path / "c"), tokenizer=None)
    assert code["rows"] == 1 and code["dropped"] == {"not under a permissive licence": 1}


@pytest.mark.soak
def test_what_upstream_changed_is_said(hub, tmp_path):
    schema = {"problem": pa.string(), "answer": pa.string()}
    data = file_of("", table_of("", schema, [{"problem": "?", "answer": "!"}]))[1]
    hub.add("datasets", "AI-MO/NuminaMath-CoT", {"data/train-00000.parquet": data})
    with pytest.raises(
        BadInput, match=r"AI-MO/NuminaMath-CoT@\w{7}, data/train-00000.parquet: column solution is gone"
    ):
        pull.pull(job("numinamath-cot", tmp_path / "a"), tokenizer=None)
    serve(hub, "numinamath-cot", lambda n: [{"problem": "?", "solution": "no box"}])
    with pytest.raises(SamosaError, match=r"not one of 4 rows was taken \(no final answer 4\)"):
        pull.pull(job("numinamath-cot", tmp_path / "b"), tokenizer=None)
    hub.add("datasets", "AI-MO/NuminaMath-CoT", {"data/train-00000.parquet": b"PAR1 this is none PAR1"})
    with pytest.raises(SamosaError, match="cannot be read"):
        pull.pull(job("numinamath-cot", tmp_path / "c"), tokenizer=None)


@pytest.mark.soak
def test_a_pull_killed_at_any_moment_goes_on_to_the_same_bytes(hub, tmp_path, soak_seed):
    """kill -9 after 0 to 3 seconds, again and again, then once to the end."""
    serve(hub, "numinamath-cot", problems)
    line = "import sys; from samosa.cli import main; sys.exit(main(sys.argv[1:]))"
    hub.faults = []
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "SAMOSA_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", line, "pull", "numinamath-cot", "--rows", "60"]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], env=environment, check=True)
    rng = np.random.default_rng(soak_seed)
    for _ in range(8):
        with subprocess.Popen([*command, "--out", str(tmp_path / "killed")], env=environment) as process:
            time.sleep(rng.uniform(1.0, 4.0))
            process.send_signal(signal.SIGKILL)
    subprocess.run([*command, "--out", str(tmp_path / "killed")], env=environment, check=True)
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")
