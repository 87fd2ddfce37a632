"""What a report is told about a run: where it came from and what it took. Whoever knows the home fills these."""

from collections.abc import Sequence
from dataclasses import dataclass

from samosa.errors import SamosaError


@dataclass(frozen=True)
class Made:
    """A stage on the way: what it made, and how long that took."""

    name: str
    fingerprint: str
    said: str
    seconds: float | None
    when: str


@dataclass(frozen=True)
class Node:
    """One checkpoint of a lineage. What is not known is None or empty."""

    name: str
    """tag@step, or a tag whose checkpoint is not here."""
    kind: str = ""
    stage: str = ""
    """How it was trained: pretrain, sft, ..."""
    here: bool = False
    steps: int | None = None
    tokens: int | None = None
    val_bpb: float | None = None
    weights_sha256: str = ""
    started: str = ""
    host: str = ""
    processes: int | None = None
    gpus: tuple[str, ...] = ()
    command: str = ""
    hours: float | None = None
    """Of training: the sum of its steps."""
    dollars: float | None = None
    """As the run counted them; None where it knew no price."""
    tokens_per_second: float | None = None
    """The median step's."""
    mfu: float | None = None
    peak_memory_gb: float | None = None
    stages: Sequence[Made] = ()


@dataclass(frozen=True)
class Lineage:
    """The checkpoints a model descends from, oldest first, itself the last."""

    nodes: tuple[Node, ...] = ()
    recipe: str = ""
    """The text of recipe.toml."""
    registered: str = ""
    """What the home's register holds, in a sentence."""


@dataclass(frozen=True)
class Missing:
    """A part that cannot be shown, and the command that makes it."""

    what: str
    command: str

    @classmethod
    def of(cls, error: SamosaError) -> "Missing":
        return cls(error.message, error.hint)


@dataclass(frozen=True)
class Comparand:
    """The model that the one of the report is held against."""

    name: str = ""
    """tag@step; "" where there is none."""
    why: str = ""
    """the champion, or what it was trained from."""
    missing: Missing | None = None
    """Why there is none, and how to get one."""
