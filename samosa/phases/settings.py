"""The recipe sections that belong to phases, and the recipes of phase-a, sft and pretrain. Values: configs/*.toml."""

from __future__ import annotations

import tomllib
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from samosa import home
from samosa.config import Recipe, configs_dir
from samosa.data.mix.shares import add_up
from samosa.errors import BadInput
from samosa.eval.settings import Gate
from samosa.model.settings import Extension, Shape
from samosa.train.scaling import Dial, Dialled, dialled, fill_in
from samosa.train.settings import Train

STDLIB = "stdlib"
Share = Annotated[float, Field(ge=0, le=1)]
Tag = Annotated[str, Field(pattern=f"^{home.TAG.pattern}$")]


class Gen(Recipe):
    """What `gen-data` makes with the offline teacher."""

    seed: int
    rows: dict[str, PositiveInt]
    """Conversations of each kind; `joint` is split evenly over its three patterns."""
    real_share: Share
    """Of entities from the banks of real names; the others are made-up names, which teach copying."""
    failed_search_share: Share
    """Of searches that fail or find nothing."""
    think_share: Share
    """Of joint rows under the think prompt; the others act without a thought."""
    follow_up_share: Share
    """Of joint rows with a second exchange."""


class Filter(Recipe):
    """Which rules a generated row must pass; names as `samosa filter` lists them."""

    common: list[str]
    """Rules for every kind."""
    extra: dict[str, list[str]]
    """Further rules for single kinds."""


class Fence(Recipe):
    """What no training row may copy, be it with other names and numbers."""

    against: list[str] = Field(min_length=1)
    """Suites (joint, roadmap, full), or paths of benchmark files: JSONL or parquet with questions and answers."""
    suite_seeds: list[NonNegativeInt] = Field(min_length=1)
    """Suites that are drawn. A copy with other names and numbers is found whatever the seed."""
    per_pattern: PositiveInt
    """Probes of each pattern in a joint suite."""
    per_category: PositiveInt
    """Probes of each category in a full suite."""
    full_suites: PositiveInt
    """Full suites that are drawn for a seed and those after it: a template of theirs has several phrasings."""


class MixSource(Recipe):
    """One pool of conversations in the mix."""

    name: str
    """A generated kind, or a name for the pool in `path`."""
    path: str | None = None
    """JSONL, relative to $SAMOSA_HOME; absent where the rows come from `gen-data`."""
    repeat: PositiveFloat | None = None
    """How often every row of it is seen in an epoch; 2.5: all twice, and half of them, drawn by seed, once more."""
    rows: PositiveInt | None = None
    """Instead of repeat: a seeded uniform sample of this many rows, each seen once."""
    weight: float | None = Field(default=None, gt=0, le=1)
    """Instead of repeat: its share of the mix's training rows; rows are left out or repeated to make it so."""
    domain: str | None = None
    """What it is about, where several sources are about one thing; absent, its name."""
    optional: bool
    """Go on, aloud, when the file is not on this machine."""
    about_rows: PositiveInt | None = None
    """About how many rows the file has, for plans made where it is not; absent where `gen.rows` says it."""
    about_tokens: PositiveInt
    """About how many tokens a row has, for plans."""

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if (self.path is None) != (self.about_rows is None):
            raise ValueError(f"{self.name}: about_rows goes with path; for generated rows gen.rows says it")
        said = [key for key in ("repeat", "rows", "weight") if getattr(self, key) is not None]
        if len(said) != 1:
            what = " and ".join(said) if said else "none of them"
            raise ValueError(f"{self.name}: one of repeat, rows and weight says how much of it, not {what}")
        return self


class Mix(Recipe):
    """What a model is fine-tuned on."""

    made: str | None = None
    """A folder that `samosa mix` wrote, relative to $SAMOSA_HOME, to train on as it is; the rest is then not asked."""
    seed: int
    validation: float = Field(gt=0, lt=0.5)
    """Share of the distinct rows held out, chosen by their content so that no copy of them is trained on."""
    total: PositiveInt | None = None
    """Training rows, where every source has a weight; absent, as many as the sources have."""
    max_share: Share
    """Warn of a domain with a greater share of the supervised tokens, where there are several."""
    max_epochs: PositiveFloat
    """Warn of a source whose rows are seen more often."""
    sources: list[MixSource] = Field(min_length=1)

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        weights = [source.weight for source in self.sources if source.weight is not None]
        whole, shares = add_up(weights), len(weights) == len(self.sources)
        if self.total is not None and not shares:
            raise ValueError("total goes with a weight for every source; repeat and rows make a total of their own")
        if weights and (whole != 1 if shares else whole >= 1):
            due = "1" if shares else "less than 1, which leaves room for the other sources"
            raise ValueError(f"the weights add up to {float(whole):g}; shares of the mix add up to {due}")
        return self


class Publish(Recipe):
    """Where a release goes."""

    to: str
    """A directory; relative to $SAMOSA_HOME."""


class Budget(Recipe):
    """More than this and the plan says no."""

    dollars: NonNegativeFloat
    hours: PositiveFloat


class Estimates(Recipe):
    """What a plan reckons with where nothing was measured on this machine."""

    dollars_per_gpu_hour: NonNegativeFloat
    tokens_per_second: PositiveFloat | None = None
    """Training speed of the whole machine; absent, it follows from `mfu` and `peak_tflops`."""
    mfu: float = Field(gt=0, le=1)
    """Share of the peak that training reaches, attention windows counted as full."""
    peak_tflops: PositiveFloat
    """Dense bf16 peak of one GPU."""
    peak_of: str
    """The GPU that `peak_tflops` is about."""
    start_seconds: NonNegativeFloat
    """Before the first training step: processes, weights, kernels."""
    seconds: dict[str, NonNegativeFloat]
    """Every other stage, by name."""


class Bootstrap(Recipe):
    """How the init is made where it comes from no other machine."""

    recipe: str
    """Folder of the pretrain.toml and sft.toml that make it, a NAME in configs/ or a path."""

    def path_of(self, command: str) -> str:
        """The recipe of one command, as --recipe takes it."""
        return f"{self.recipe}/{command}.toml" if "/" in self.recipe else self.recipe


class PhaseA(Recipe):
    """Joint think + tool fine-tuning."""

    tag: Tag
    init: str
    """The checkpoint to start from, tag or tag@step."""
    init_windows: tuple[PositiveInt, ...] | None = None
    """The attention window of each layer the init was trained with; absent, its meta is right about them."""
    bootstrap: Bootstrap | None = None
    shape: Shape
    """The init's shape, for plans made where the checkpoint is not."""
    gen: Gen
    filter: Filter
    fence: Fence
    mix: Mix
    train: Train
    gate: Gate
    publish: Publish
    budget: Budget
    estimates: Estimates


class Sft(Recipe):
    """A fine-tuning run by itself."""

    tag: Tag
    init: str
    init_windows: tuple[PositiveInt, ...] | None = None
    """As in phase A."""
    shape: Shape
    gen: Gen
    filter: Filter
    fence: Fence
    mix: Mix
    train: Train
    budget: Budget
    estimates: Estimates


class TokenizerText(Recipe):
    """What the tokenizer is trained on, where the home has none."""

    characters: PositiveInt
    """Of pretraining text, from its beginning."""
    chats: Gen
    """Generated conversations added to it, so that chat words get tokens of their own."""


class Corpus(Recipe):
    """What a model is pretrained on."""

    source: str
    """Parquet shards with a `text` column: their folder, relative to $SAMOSA_HOME. "stdlib": the text of Python."""
    first: str | None = None
    """The first file, by name, that is trained on; absent, all are."""
    validation: str | None = None
    """The file in `source` that is never trained on."""
    hold_out: float | None = Field(default=None, gt=0, lt=0.5)
    """With "stdlib", which has no such file: the share of documents, chosen by their content, never trained on."""
    seed: int
    """Order of the standard library's documents."""
    tokens: PositiveInt
    """How many to pack; the run goes round them as often as its steps ask."""
    validation_tokens: PositiveInt
    """How many to validate on."""

    @model_validator(mode="after")
    def _says_what_is_held_out(self) -> Self:
        stdlib = self.source == STDLIB
        wanted, other = ("hold_out", "validation") if stdlib else ("validation", "hold_out")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f'source = "{self.source}" goes with {wanted}, and not with {other}')
        return self


class Pretrain(Recipe):
    """A base model from nothing."""

    tag: Tag
    shape: Shape
    dial: Dial | None = None
    """From which batch, steps, rates, decay and the corpus's tokens follow, where they are not given."""
    tokenizer: TokenizerText
    corpus: Corpus
    train: Train
    budget: Budget
    estimates: Estimates

    @classmethod
    def completed(cls, values: dict[str, Any]) -> dict[str, Any]:
        """With what the dial says filled in. Where shape or dial are wrong they are left for validation to tell."""
        train, corpus = values.get("train"), values.get("corpus")
        if "dial" not in values or not isinstance(train, dict) or not isinstance(corpus, dict):
            return values
        try:
            shape, dial = Shape.model_validate(values.get("shape")), Dial.model_validate(values["dial"])
            found = at_depth(dial, shape, train.get("tokens_per_step"))
        except (ValidationError, BadInput, TypeError):
            return values
        whole = found.steps * found.tokens_per_step
        return {**values, "train": fill_in(train, dial, found), "corpus": {"tokens": whole, **corpus}}


def at_depth(dial: Dial, shape: Shape, tokens_per_step: int | None = None) -> Dialled:
    """The dial at a shape; the reference is the same shape at the reference depth."""
    reference = shape.model_copy(update={"depth": dial.reference_depth, "width": None, "heads": None, "windows": None})
    return dialled(dial, shape.config(), reference.config(), tokens_per_step=tokens_per_step)


class Cpt(Recipe):
    """Continued pretraining: a new run from a checkpoint's weights, on text."""

    tag: Tag
    init: str
    """The checkpoint to start from, tag or tag@step."""
    init_windows: tuple[PositiveInt, ...] | None = None
    """As in phase A."""
    shape: Shape
    """The init's shape, for plans made where the checkpoint is not."""
    optimizer: Literal["fresh", "inherit"]
    """fresh: momenta start at zero. inherit: they are the init's, while the schedule still is this run's own."""
    corpus: Corpus
    train: Train
    budget: Budget
    estimates: Estimates


class Extend(Cpt):
    """Context extension: continued pretraining in longer rows, with windows and rotary positions to match."""

    extend: Extension


class KnownCheckpoint(Recipe):
    """A checkpoint that is not made here but can be had."""

    kind: Literal["base", "chat"]
    step: PositiveInt
    repo: str
    """Model repository on the Hub."""
    path: str
    """Its folder in the repository; the same under $SAMOSA_HOME."""
    about: str

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if not self.path or self.path.startswith("/"):
            raise ValueError("path is relative to the repository")
        return self


def known_checkpoints() -> dict[str, KnownCheckpoint]:
    """The registry: tag -> where its checkpoint can be had."""
    with (configs_dir() / "checkpoints.toml").open("rb") as file:
        return {tag: KnownCheckpoint.model_validate(entry) for tag, entry in tomllib.load(file).items()}
