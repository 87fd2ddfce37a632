"""What each source's files look like upstream: every column with its type as the dataset viewer has it, and two rows.

The first row is one that is taken, the second one that is not.
"""

import gzip
import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

S, B, I, F = pa.string(), pa.bool_(), pa.int64(), pa.float64()
WHEN = pa.timestamp("us", tz="UTC")
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
Rows = list[dict[str, Any]]
THOUGHT = "<|begin_of_thought|>\n\n{}\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n{}\n\n<|end_of_solution|>"


def struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


def listed(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(struct(**fields))


def of(**columns: Any) -> dict[str, Any]:
    return columns


MESSAGES = listed(content=S, role=S)


def chat(*said: str) -> Rows:
    return [{"content": text, "role": ("user", "assistant")[n % 2]} for n, text in enumerate(said)]


def turns(*said: str) -> Rows:
    return [{"from": ("user", "assistant")[n % 2], "value": text} for n, text in enumerate(said)]


MODERATED = "harassment harassment/threatening hate sexual violence self-harm".split()
WILD_TURN = {
    "content": S, "country": S, "hashed_ip": S, "header": struct(**{"accept-language": S, "user-agent": S}),
    "language": S, "redacted": B, "role": S, "state": S, "timestamp": WHEN, "toxic": B, "turn_identifier": I,
}  # fmt: skip
STACK_FILE = {
    "blob_id": S, "path": S, "content_id": S, "language": S, "length_bytes": I, "detected_licenses": pa.list_(S),
    "license_type": S, "src_encoding": S, "is_vendor": B, "is_generated": B, "alphanum_fraction": pa.float32(),
    "alpha_fraction": pa.float32(), "num_lines": pa.int32(), "avg_line_length": pa.float32(),
    "max_line_length": pa.int32(),
}  # fmt: skip
R1 = "<think>\nSix times seven, by adding six sevens, is forty-two.\n</think>\n\nIt is $\\boxed{42}$."
PAGE = "The derivative of $x^2$ is $2x$.\n"

SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    "openr1-math": of(
        problem=S, solution=S, answer=S, problem_type=S, question_type=S, source=S, uuid=S,
        is_reasoning_complete=pa.list_(B), generations=pa.list_(S), correctness_math_verify=pa.list_(B),
        correctness_llama=pa.list_(B), finish_reasons=pa.list_(S), correctness_count=I, messages=MESSAGES,
    ),
    "openthoughts": of(system=S, conversations=listed(**{"from": S, "value": S})),
    "limo": of(question=S, solution=S, answer=S),
    "openmathreasoning": of(
        expected_answer=S, problem_type=S, problem_source=S, generation_model=S, pass_rate_72b_tir=S, problem=S,
        generated_solution=S, inference_mode=S, used_in_kaggle=B,
    ),
    "numinamath-cot": of(source=S, problem=S, solution=S, messages=MESSAGES),
    "sky-t1": of(system=S, conversations=listed(**{"from": S, "value": S})),
    "ultrachat": of(prompt=S, prompt_id=S, messages=MESSAGES),
    "wildchat": of(
        conversation_hash=S, model=S, timestamp=WHEN, conversation=listed(**WILD_TURN), turn=I, language=S,
        openai_moderation=listed(
            categories=struct(**dict.fromkeys(MODERATED, B)), category_scores=struct(**dict.fromkeys(MODERATED, F)),
            flagged=B,
        ),
        detoxify_moderation=listed(identity_attack=F, insult=F, obscene=F, severe_toxicity=F, threat=F, toxicity=F),
        toxic=B, redacted=B, state=S, country=S, hashed_ip=S, header=struct(**{"accept-language": S, "user-agent": S}),
    ),
    "capybara-dpo": of(
        source=S, conversation=listed(input=S, output=S), original_response=S, generation_prompt=pa.list_(S),
        raw_generation_responses=pa.list_(S), new_generations=pa.list_(S), prompt=S, chosen=MESSAGES, rejected=MESSAGES,
        rating_chosen=I, rating_rejected=I, chosen_model=S, rejected_model=S,
    ),
    "intel-orca-dpo": of(
        system=S, input=S, chosen=S, rejected=S, generations=pa.list_(S), order=pa.list_(S), labelling_model=S,
        labelling_prompt=MESSAGES, raw_labelling_response=S, rating=pa.list_(F), rationale=S, status=S,
        original_chosen=S, original_rejected=S, chosen_score=F, in_gsm8k_train=B,
    ),
    "ultrafeedback": of(
        prompt=S, prompt_id=S, chosen=MESSAGES, rejected=MESSAGES, messages=MESSAGES, score_chosen=F, score_rejected=F
    ),
    "fineweb-edu": of(
        text=S, id=S, dump=S, url=S, file_path=S, language=S, language_score=F, token_count=I, score=F, int_score=I
    ),
    "nemotron-math": of(id=S, text=S, metadata=struct(warc_id=S, url=S)),
    "finemath": of(
        url=S, fetch_time=I, content_mime_type=S, warc_filename=S, warc_record_offset=pa.int32(),
        warc_record_length=pa.int32(), text=S, token_count=pa.int32(), char_count=pa.int32(), metadata=S, score=F,
        int_score=I, crawl=S, snapshot_type=S, language=S, language_score=F,
    ),
    "stack-v2-python": of(
        repo_name=S, repo_url=S, snapshot_id=S, revision_id=S, directory_id=S, branch_name=S, visit_date=WHEN,
        revision_date=WHEN, committer_date=WHEN, github_id=I, star_events_count=I, fork_events_count=I,
        gha_license_id=S, gha_created_at=WHEN, gha_updated_at=WHEN, gha_pushed_at=WHEN, gha_language=S,
        files=listed(**STACK_FILE), num_files=I,
    ),
    "codeparrot-python": of(
        repo_name=S, path=S, copies=S, size=S, content=S, license=S, hash=I, line_mean=F, line_max=I, alpha_frac=F,
        autogenerated=B,
    ),
    "open-web-math": of(url=S, text=S, date=pa.timestamp("us"), metadata=S),
    "wikipedia-20250320": of(id=S, url=S, title=S, text=S),
    "wikipedia": of(id=S, url=S, title=S, text=S),
    "wikitext": of(text=S),
    "redpajama-books": of(text=S, meta=S, red_pajama_subset=S),
    "gutenberg": of(TEXT=S, SOURCE=S, METADATA=S),
}  # fmt: skip

TAKEN: dict[str, dict[str, Any]] = {
    "openr1-math": of(
        problem="6*7?", generations=["<think>no</think>41", R1], correctness_math_verify=[False, True],
        is_reasoning_complete=[True, True], messages=chat("6*7?", R1),
    ),
    "openthoughts": of(system="Think.", conversations=turns("6*7?", THOUGHT.format("Six sevens.", "42"))),
    "limo": of(question="6*7?", solution="Six sevens are 42.\n\n**Final Answer**\n\n\\boxed{42}", answer="42"),
    "openmathreasoning": of(problem="6*7?", problem_type="has_answer_extracted", generated_solution=R1),
    "numinamath-cot": of(problem="6*7?", solution="Six sevens are $\\boxed{42}$."),
    "sky-t1": of(system="Think.", conversations=turns("6*7?", THOUGHT.format("Six sevens.", "42"))),
    "ultrachat": of(prompt="hi", prompt_id="0", messages=chat("hi", "hello", "bye", "goodbye")),
    "wildchat": of(conversation=chat("hi", "hello"), language="English", toxic=False, timestamp=NOON),
    "capybara-dpo": of(
        chosen=chat("a", "b", "c", "good"), rejected=chat("a", "b", "c", "bad"), rating_chosen=5, rating_rejected=2
    ),
    "intel-orca-dpo": of(
        system="Be brief.", input="q", chosen="a", rejected="b", status="unchanged", chosen_score=9.0,
        in_gsm8k_train=False,
    ),
    "ultrafeedback": of(chosen=chat("q", "a"), rejected=chat("q", "b"), score_chosen=8.5, score_rejected=2.0),
    "codeparrot-python": of(content="print(42)\n", license="apache-2.0", autogenerated=False, copies="5", hash=-1),
    "wikitext": of(text=" = Robert Boulter = \n"),
    "gutenberg": of(TEXT="Call me Ishmael.\r\n", SOURCE="gutenberg", METADATA="{}"),
}  # fmt: skip

NOT_TAKEN: dict[str, dict[str, Any]] = {
    "openr1-math": of(correctness_math_verify=[False, False]),
    "openthoughts": of(conversations=turns("6*7?", "42")),
    "limo": of(answer=""),
    "openmathreasoning": of(problem_type="converted_proof"),
    "numinamath-cot": of(solution="Obvious."),
    "sky-t1": of(conversations=turns("6*7?", "42")),
    "ultrachat": of(messages=chat("hi")),
    "wildchat": of(toxic=True),
    "capybara-dpo": of(rating_rejected=5),
    "intel-orca-dpo": of(status="tie"),
    "ultrafeedback": of(score_rejected=8.5),
    "codeparrot-python": of(license="gpl-2.0"),
    "gutenberg": of(TEXT=" "),
}
JSON_FILES = {"limo": "limo.jsonl", "sky-t1": "Sky-T1_data_17k.json", "codeparrot-python": "file-01.json.gz"}
"""The sources that are no parquet."""


def rows_of(name: str) -> Rows:
    taken = TAKEN.get(name, {"text": PAGE})
    return [taken, taken | NOT_TAKEN.get(name, {"text": " "})]


def table_of(name: str, schema: dict[str, pa.DataType] | None = None, rows: Rows | None = None) -> pa.Table:
    """Rows with every column of upstream; what a row does not say is null."""
    fields = pa.schema(list((SCHEMAS[name] if schema is None else schema).items()))
    return pa.Table.from_pylist(rows or rows_of(name), schema=fields)


def file_of(name: str, table: pa.Table) -> tuple[str, bytes]:
    """A file's name and bytes, in the format that upstream has."""
    if name not in JSON_FILES:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, row_group_size=64)
        return "train-00000-of-00001.parquet", buffer.getvalue()
    file = JSON_FILES[name]
    rows = table.to_pylist()
    if file.endswith(".json"):
        return file, json.dumps(rows).encode()
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return file, gzip.compress(lines, mtime=0) if file.endswith(".gz") else lines
