"""The knobs of the gate. Their values live in configs/*.toml."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from samosa.config import Recipe


class Gate(Recipe):
    """How many probes, how many must pass, and how the model is asked."""

    n: PositiveInt
    """Instances of each pattern; fewer that completed is not enough evidence."""
    c: PositiveInt
    """Of n, how many must pass in every pattern."""
    bad: NonNegativeFloat
    """The pass rate of a model that must not ship; printed with how often (n, c) would let it through."""
    good: NonNegativeFloat
    """The pass rate of a model that should ship; printed with how often (n, c) lets it through."""
    confidence: NonNegativeFloat
    """Of the Clopper-Pearson interval beside each pass rate."""
    seed: NonNegativeInt
    """Draws the probes, unless --seed is given."""
    temperature: NonNegativeFloat
    """0 is greedy."""
    top_k: NonNegativeInt
    """Sample among this many tokens; 0 is all of them. Without effect at temperature 0."""
    max_tokens: PositiveInt
    """Tokens a turn may take, tool results included; a turn that is not over by then fails."""
    call_budget: PositiveInt
    """Tokens one tool call may take."""
    max_calls: PositiveInt
    """Tool calls a turn may make; 1 in the joint suite, and a further one fails the probe."""
    rows: PositiveInt
    """Conversations in one batch; changes the speed, not the samples."""
    device: Literal["auto", "cpu", "cuda"]
    """Where the model runs; auto takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16"]
    """What the model computes in; auto decides by the machine and says so."""
    compile: bool
    """Compile decode steps and, on a GPU, replay them as CUDA graphs: faster after a first minute."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Gate":
        if self.c > self.n:
            raise ValueError(f"c = {self.c} of n = {self.n} can never pass")
        if not 0 <= self.bad < self.good <= 1:
            raise ValueError(f"bad = {self.bad} and good = {self.good} must be rates with bad < good")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence = {self.confidence} must be between 0 and 1")
        return self


class Floor(Recipe):
    """Two pass rates that the gate must tell apart."""

    bad: NonNegativeFloat
    """A model must be shown to be above this; one that is not passes at most 1 - confidence of the time."""
    good: NonNegativeFloat
    """A model shown to be below this fails."""

    @model_validator(mode="after")
    def _in_order(self) -> "Floor":
        if not 0 <= self.bad < self.good <= 1:
            raise ValueError(f"bad = {self.bad} and good = {self.good} must be rates with bad < good")
        return self


class FullGate(Recipe):
    """The gate of the full suite: how much is asked, and the four things that must hold."""

    per_category: PositiveInt
    """Instances of each category in one round."""
    counts: dict[str, PositiveInt]
    """Categories that get another number of instances."""
    samples: PositiveInt
    """Sampled tries at each instance, besides the greedy one."""
    temperature: PositiveFloat
    """Of the sampled tries: what the model is served at."""
    rounds: PositiveInt
    """The budget: each round asks everything again with the next seed, and the first that decides is the last."""
    instances: PositiveInt
    """Fewer are not enough evidence, whatever they say."""
    confidence: NonNegativeFloat
    """Of every claim, over all rounds together."""
    floors: dict[str, Floor]
    """By "overall" or a category: the pass rates of the absolute conjunct."""
    champion: str
    """The tag that must not be lost against; "" is none, for the first model of its kind."""
    margin: NonNegativeFloat
    """How much of the overall pass rate may be lost against the champion."""
    category_margin: NonNegativeFloat
    """How much of a category's may be lost."""
    leak: NonNegativeFloat
    """Artefacts must be shown to be rarer than this, by an instance; one that is seen fails at any rate."""
    broken: NonNegativeFloat
    """The share of tries that the harness may fail at."""

    @model_validator(mode="after")
    def _fits_together(self) -> "FullGate":
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"confidence = {self.confidence} must be between 0.5 and 1")
        for name in ("margin", "category_margin", "leak"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} must be between 0 and 1")
        if not self.floors:
            raise ValueError("floors are empty: a gate without them lets anything through")
        return self


class Criteria(Recipe):
    """The roadmap's success criteria: each is met when it is shown, not when it is seen once."""

    confidence: NonNegativeFloat
    """Of each one-sided bound."""
    probes: NonNegativeFloat
    """Pass rate of the probe suite."""
    mmlu: NonNegativeFloat
    """Share of MMLU's questions answered right."""
    gsm8k: NonNegativeFloat
    """Share of GSM8K's problems solved."""
    think_tool: NonNegativeFloat
    """Pass rate of turns that think, call a tool and answer."""
    multi_turn: NonNegativeFloat
    """Pass rate of follow-up questions."""
    leak: NonNegativeFloat
    """Artefacts must be shown to be rarer than this, and none may be seen."""
    win_rate: NonNegativeFloat
    """Share of pairs won against the champion, ties as halves."""

    @model_validator(mode="after")
    def _are_rates(self) -> "Criteria":
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"confidence = {self.confidence} must be between 0.5 and 1")
        for name, rate in self:
            if not 0 < rate < 1:
                raise ValueError(f"{name} = {rate} must be between 0 and 1")
        return self


class JudgeModel(Recipe):
    """A model that compares answers, behind any address that speaks OpenAI's chat completions."""

    base_url: str
    """Where it answers, up to and with /v1."""
    model: str
    """What it is called there."""
    key: str
    """The name of its key, in the environment or in ~/.api_keys; "" for a server that asks for none."""
    input_price: NonNegativeFloat
    """Dollars for a million tokens that it reads."""
    output_price: NonNegativeFloat
    """Dollars for a million tokens that it writes."""
    limit: Literal["max_tokens", "max_completion_tokens"]
    """What its server calls the limit on what it writes; OpenAI's reasoning models know only the second."""
    temperature: NonNegativeFloat | None = None
    """Absent: the server's own, as some models allow no other."""


class JudgeLimits(Recipe):
    """What must not change against the champion, however well it is liked: judges reward some of it."""

    length_ratio: PositiveFloat
    """Times as long as the champion's that median and long answers may be."""
    distinct_drop: NonNegativeFloat
    """How much of distinct-2 may be lost."""
    opener_drop: NonNegativeFloat
    """Bits of the openers' entropy that may be lost."""
    question_rise: NonNegativeFloat
    """How much larger a share of answers may end on a question."""


class Pairwise(Recipe):
    """Which of two models is rather talked to: answers to the same, compared by judges."""

    champion: str
    """The tag to compare with."""
    categories: tuple[str, ...]
    """Of the full suite: those where answers are prose of the model's own."""
    per_category: PositiveInt
    """Conversations of each."""
    temperature: NonNegativeFloat
    """Both models answer at this: what they are served at."""
    win_rate: PositiveFloat
    """Must surely be reached, lengths held equal; surely below it fails."""
    confidence: PositiveFloat
    """Of the interval beside the win rate."""
    malformed: NonNegativeFloat
    """The share of verdicts that may be unreadable; more break the measurement."""
    reply_tokens: PositiveInt
    """Tokens a judge may write: its verdict is a dozen, a reasoning model's thoughts come on top."""
    attempts: PositiveInt
    """How often a judge is asked for one verdict, if what it says cannot be read."""
    retries: NonNegativeInt
    """How often a request is sent again that was refused for its rate, or failed on the way."""
    timeout: PositiveFloat
    """Seconds without an answer before a request counts as failed."""
    at_once: PositiveInt
    """Requests under way at one judge."""
    dollars: NonNegativeFloat
    """What the verdicts may cost; nothing is asked that could cost more."""
    judges: tuple[JudgeModel, ...]
    """Two or more: one may have a taste of its own."""
    limits: JudgeLimits
    """Guards on the manner of the answers."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Pairwise":
        if len({(judge.base_url, judge.model) for judge in self.judges}) < max(2, len(self.judges)):
            raise ValueError("judges must be two or more, each another one")
        for name in ("win_rate", "confidence"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} must be between 0 and 1")
        return self


class Evaluation(Recipe):
    """What the joint suite reads from eval.toml."""

    gate: Gate
    """The gate's plan and how the model is asked."""


class FullEvaluation(Recipe):
    """What the full suite, `samosa compare` and `samosa criteria` read from full.toml."""

    gate: Gate
    """How the model is asked; the plan in it is the joint suite's."""
    full: FullGate
    """The full suite's gate."""
    criteria: Criteria
    """When the roadmap is done."""


class PairwiseEvaluation(Recipe):
    """What the pairwise comparison reads from judge.toml."""

    gate: Gate
    """How the models are asked."""
    judge: Pairwise
    """How their answers are compared."""
