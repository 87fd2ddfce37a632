"""The [train] section of a recipe: everything a training run is told. Values live in configs/*.toml."""

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from samosa.config import Recipe
from samosa.train.schedule import FinetuneSchedule, PretrainSchedule, Schedule

FP8_MULTIPLE = 16  # samosa/model/fp8.py: the kernels' condition


class Train(Recipe):
    """One training run, whatever its objective."""

    length: PositiveInt
    """Tokens in a packed row."""
    tokens_per_step: PositiveInt
    """Tokens an optimizer step sees over all ranks; a multiple of `length`."""
    micro_batch: PositiveInt
    """Rows in one forward pass of one rank. Changes memory and speed, never the result."""
    epochs: PositiveFloat | None = None
    """Times round the data; a step that is begun is finished."""
    steps: PositiveInt | None = None
    """Stop after this many optimizer steps, going round the data as often as that takes; overrides `epochs`."""

    lengthened_from: tuple[PositiveFloat, ...] | None = None
    """The lengths (steps, or epochs where the run counts those) under which this run was trained before it was made
    longer. Its checkpoints count as its own then; the schedule is the new one's."""

    matrix_lr: PositiveFloat
    """Muon's learning rate, for the matrices inside the blocks."""
    embedding_lr: PositiveFloat
    """Token embeddings at n_embd 768, scaled by (n_embd/768)^-0.5; value embeddings take half of it."""
    unembedding_lr: PositiveFloat
    """The output head at n_embd 768, scaled likewise."""
    scalar_lr: PositiveFloat
    """Residual and skip scalars (the residual ones take a hundredth of it)."""
    init_lr_frac: PositiveFloat
    """Multiplies every learning rate: fine-tuning starts from a trained model and takes less."""
    weight_decay: NonNegativeFloat
    """Muon's cautious weight decay; the embeddings' and the head's own are fixed."""
    muon_variant: Literal["upstream", "fork"]
    """upstream equilibrates rows and renormalises the update; fork does neither."""

    schedule: Literal["steps", "progress"]
    """steps: pretraining's form, warmup in steps, weight decay on half a cosine. progress: fine-tuning's, in shares."""
    warmup_steps: NonNegativeInt | None = None
    """Steps of linear warmup; goes with schedule "steps"."""
    warmup_ratio: float | None = Field(default=None, ge=0, le=1)
    """Share of the run that is linear warmup; goes with schedule "progress"."""
    warmdown_ratio: float = Field(ge=0, le=1)
    """Share of the run, at its end, over which learning rates fall linearly."""
    final_lr_frac: float = Field(ge=0, le=1)
    """What the learning rates have fallen to at the end."""

    dtype: Literal["auto", "float32", "bfloat16", "float64"]
    """What the model computes in; masters are float32 (float64 for float64). auto decides once and writes it down."""
    attention: Literal["auto", "varlen", "sdpa"]
    """The attention backend; a named one that is missing is an error unless `allow_fallback`."""
    allow_fallback: bool
    """Take the other backend, aloud, when the one asked for is missing."""
    compile: bool
    """Let torch.compile take the layers. This and the next two are refused where `samosa doctor --selftest` has not
    passed."""
    activation_checkpointing: bool
    """Compute each layer again in the backward pass instead of keeping what it computed: less memory, a third more
    work."""
    fp8: bool
    """Multiply the layers' matrices in 8-bit floats, on GPUs that can; the only one of the three that changes results
    beyond round-off."""

    eval_every: NonNegativeInt
    """Steps between validations; 0 validates at the last step only. The last step is always validated."""
    spike_factor: NonNegativeFloat
    """A step is skipped when its loss or gradient norm lies this many robust deviations above the median of the last
    64; 0 skips only what is not finite."""
    max_strikes: NonNegativeInt
    """So many skipped steps (among ten times as many) send the run back to the checkpoint before them, from which it
    goes on without the data of those steps; 0 never does."""
    save_every: NonNegativeInt
    """Steps between checkpoints; 0 saves at the last step only."""
    keep: NonNegativeInt
    """Checkpoints of this run that stay on disk, newest first; 0 keeps all. One with a `keep_<step>` file stays too."""
    keep_every: NonNegativeInt
    """Besides those, every checkpoint whose step is a multiple of this stays; 0 for none."""
    keep_best: bool
    """Besides those, the checkpoint of the lowest validation bits per byte stays."""
    seed: int
    """Order of the rows, and the weights of a model that starts from nothing."""
    overlong: Literal["error", "drop", "split"]
    """What becomes of a document longer than a row; dropped and split ones are counted."""
    wandb: Literal["offline", "online", "off"]
    """Where the metrics go besides metrics.jsonl; offline opens no connection."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.tokens_per_step % self.length:
            low = self.tokens_per_step // self.length * self.length
            raise ValueError(
                f"tokens_per_step {self.tokens_per_step} is not a multiple of length {self.length}"
                f" (near: {low or self.length} or {low + self.length})"
            )
        if self.epochs is None and self.steps is None:
            raise ValueError("say how long to train: epochs or steps")
        length = self.epochs if self.steps is None else self.steps
        assert length is not None
        if any(before >= length for before in self.lengthened_from or ()):
            raise ValueError(f"lengthened_from {list(self.lengthened_from or ())} is not shorter than {length:g}")
        names = ("warmup_steps", "warmup_ratio")
        wanted, other = names if self.schedule == "steps" else names[::-1]
        if getattr(self, wanted) is None:
            raise ValueError(f'schedule "{self.schedule}" needs {wanted}')
        if getattr(self, other) is not None:
            raise ValueError(f'{other} has no effect under schedule "{self.schedule}"; use {wanted}')
        if self.fp8 and self.length % FP8_MULTIPLE:
            raise ValueError(f"fp8 needs a length that is a multiple of {FP8_MULTIPLE}, not {self.length}")
        if not self.keep and (self.keep_every or self.keep_best):
            raise ValueError("keep_every and keep_best have no effect with keep 0, which keeps all")
        return self


def schedule_of(train: Train) -> Schedule:
    """The run's learning-rate, momentum and decay schedule."""
    if train.schedule == "steps":
        assert train.warmup_steps is not None
        return PretrainSchedule(
            warmup_steps=train.warmup_steps,
            warmdown_ratio=train.warmdown_ratio,
            final_lr_frac=train.final_lr_frac,
            weight_decay=train.weight_decay,
            init_lr_frac=train.init_lr_frac,
        )
    assert train.warmup_ratio is not None
    return FinetuneSchedule(
        warmup_ratio=train.warmup_ratio,
        warmdown_ratio=train.warmdown_ratio,
        final_lr_frac=train.final_lr_frac,
        weight_decay=train.weight_decay,
        init_lr_frac=train.init_lr_frac,
    )
