"""One side of the filter's measurement: `python -m benchmarks._filter_peers SIDE IN OUT`, in a fresh process.

`re` is a plain script that applies default's rules, as configs/rules/default.toml has them, with Python's `re`;
`datasets` and `datatrove` apply the naive script's `keep` with two processes, reading and writing included. datatrove
cannot share one file among workers, so it is given two halves (IN is a folder) and writes two.
"""

import json
import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
WORKERS = 2

EMOJI = (
    "[\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001f9ff\U0001fa70-\U0001faff\u2600-\u27bf]"
    "\ufe0f?"
)
BUILTINS: dict[str, Callable[[str], Any]] = {
    "emoji_run": re.compile(f"{EMOJI}(?: ?{EMOJI}){{2}}").search,
    "image_without_url": re.compile(r"(?<![\w)\](])!\[[^\[\]\n]*\](?![(\[.])").search,
    "repeated_line": re.compile(r"^[ \t]*(.*\w.*)\n[ \t]*\1\n[ \t]*\1$", re.M).search,
}
CODE = re.compile(r"^[ \t]*```[^`\n]*\n.*?(?:^[ \t]*```[ \t]*$|\Z)|`[^`\n]+`", re.M | re.S)


def default_in_re() -> Callable[[dict[str, Any]], bool]:
    """What keeps a row: default's rules one after another, on answers without their code."""
    found = []
    for rule in tomllib.loads((ROOT / "configs" / "rules" / "default.toml").read_text())["rule"]:
        if rule.get("builtin") == "answer_length":
            continue
        found.append(BUILTINS[rule["builtin"]] if "builtin" in rule else _search(rule))

    def keep(row: dict[str, Any]) -> bool:
        answers = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
        if sum(len(answer.strip()) for answer in answers) <= 40:
            return False
        return not any(search(CODE.sub("\x01", answer)) for answer in answers for search in found)

    return keep


def _search(rule: dict[str, Any]) -> Callable[[str], Any]:
    flags = re.ASCII | sum(getattr(re, flag.upper()) for flag in rule["flags"])
    pattern, unless = (
        re.compile("".join(map(str.strip, rule[key].splitlines())).replace(r"\z", r"\Z"), flags)
        if key in rule
        else None
        for key in ("pattern", "unless")
    )
    assert pattern is not None

    def search(text: str) -> bool:
        for match in pattern.finditer(text):
            start = match.start(match.lastindex or 0)
            if unless is None or not any(other.start() <= start < other.end() for other in unless.finditer(text)):
                return True
        return False

    return search


def run_re(source: str, target: str) -> None:
    """Read, decide, write, as the naive script does."""
    keep = default_in_re()
    with Path(source).open(encoding="utf-8") as lines, Path(target).open("w", encoding="utf-8") as out:
        for line in lines:
            row = json.loads(line)
            if keep(row):
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


def run_datasets(source: str, target: str) -> None:
    """load_dataset, filter with two processes, to_json."""
    import datasets

    from benchmarks.baselines.filter_naive import keep

    datasets.disable_progress_bars()
    cache = str(Path(target).parent / "cache")
    rows = datasets.load_dataset("json", data_files=source, split="train", cache_dir=cache)
    rows.filter(keep, num_proc=WORKERS).to_json(target, force_ascii=False, num_proc=WORKERS)


def run_datatrove(source: str, target: str) -> None:
    """JsonlReader, LambdaFilter, JsonlWriter on two workers."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import LambdaFilter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    steps = [
        JsonlReader(source, adapter=_document),
        LambdaFilter(_kept),
        JsonlWriter(target, output_filename="${rank}.jsonl", compression=None, adapter=_row),
    ]
    logs = str(Path(target).parent / "logs")
    LocalPipelineExecutor(pipeline=steps, tasks=WORKERS, workers=WORKERS, logging_dir=logs).run()


def _document(reader: Any, row: dict[str, Any], path: str, place: int) -> dict[str, Any]:
    return {"text": "\n".join(m["content"] for m in row["messages"]), "id": f"{path}/{place}", "metadata": row}


def _kept(document: Any) -> bool:
    from benchmarks.baselines.filter_naive import keep

    return bool(keep(document.metadata))


def _row(writer: Any, document: Any) -> dict[str, Any]:
    return {"messages": document.metadata["messages"]}


if __name__ == "__main__":
    {"re": run_re, "datasets": run_datasets, "datatrove": run_datatrove}[sys.argv[1]](*sys.argv[2:])
