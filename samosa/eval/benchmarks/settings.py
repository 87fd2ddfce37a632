"""The knobs of the benchmarks. Their values live in configs/benchmarks.toml."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from samosa.config import Recipe
from samosa.eval.settings import FullEvaluation

Suite = Literal["core", "mmlu", "arc", "gsm8k"]
SUITES: tuple[Suite, ...] = ("core", "mmlu", "arc", "gsm8k")
Form = Literal["chat", "letter", "continuation"]
Tools = Literal["on", "off"]
Reading = Literal["strict", "flexible"]
System = Literal["none", "default", "think"]


class Asking(Recipe):
    """How all benchmarks are asked."""

    seed: NonNegativeInt
    """Draws the questions where `limit` asks for some of them, unless --seed is given."""
    chunk: PositiveInt
    """Questions scored between two saves: a killed evaluation loses at most these. Changes scores by round-off."""
    batch_tokens: PositiveInt
    """Tokens scored at once: more need more memory."""


class Source(Recipe):
    """Where the questions of a benchmark are from."""

    path: str | None = None
    """A local folder with <split>.jsonl or <split>.parquet (under <config>/ where there are several configs), in the
    schema of the data set on the Hub; absent, they come from there."""
    repo: str
    """The data set on the Hub."""
    revision: str
    """Its commit: another one is another benchmark."""
    split: str
    """The questions that are asked."""
    shots_split: str | None = None
    """Where worked examples are from; absent where none are shown."""
    limit: PositiveInt | None = None
    """Ask this many, drawn by seed; absent, all of them."""


class Choices(Source):
    """A benchmark of questions with choices."""

    configs: list[str] = Field(min_length=1)
    """Parts of the data set, each with a line of its own."""
    shots: NonNegativeInt
    """Worked examples before a question, in the letter and continuation forms."""
    base: list[Form] = Field(min_length=1)
    """How a base model is asked; the first form is the one that counts."""
    chat: list[Form] = Field(min_length=1)
    """How a chat model is asked; the first form is the one that counts."""


class Gsm8k(Source):
    """Word problems whose answer is a number."""

    config: str
    """The part of the data set."""
    tools: list[Tools] = Field(min_length=1)
    """With the calculator, without it, or both; the first is the one that counts."""
    system: dict[Tools, System]
    """The system prompt before a problem: none, or one that the model is served with."""
    counts: Reading
    """Which reading of the answer counts: strict takes the number after ####, flexible also one that is stated last."""
    max_tokens: PositiveInt
    """Tokens of a turn, tool results included."""
    max_calls: PositiveInt
    """Calls to the calculator that a turn may make."""
    votes: NonNegativeInt
    """Sampled turns for a majority vote (maj@K) beside the greedy one; 0 is none."""
    temperature: NonNegativeFloat
    """Of the sampled turns."""

    @model_validator(mode="after")
    def _says_how(self) -> "Gsm8k":
        if missing := [name for name in self.tools if name not in self.system]:
            raise ValueError(f"system does not say which prompt goes with tools {missing[0]}")
        return self


class Core(Recipe):
    """nanochat's bundle of 22 tasks."""

    path: str | None = None
    """An unpacked bundle: core.yaml, eval_meta_data.csv and eval_data/; absent, it is fetched from `url`."""
    url: str
    sha256: str
    """Of the zip at `url`; another file is refused. "" takes any."""
    limit: PositiveInt | None = None
    """At most this many of each task, the first ones in nanochat's shuffled order; absent, all of them."""


class Benchmarks(FullEvaluation):
    """What `samosa eval --suite core|mmlu|arc|gsm8k` reads from benchmarks.toml."""

    asking: Asking
    core: Core
    mmlu: Choices
    arc: Choices
    gsm8k: Gsm8k
