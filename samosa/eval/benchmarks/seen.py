"""Whether a chat model was fine-tuned on the training split of a benchmark: then its format is nothing new to it."""

import re
import tomllib
from dataclasses import dataclass
from typing import Literal

from samosa import home
from samosa.errors import NotReady, SamosaError
from samosa.eval.benchmarks.settings import Suite
from samosa.home import CheckpointRef
from samosa.model.checkpoint import load_meta

# nanochat's chat_sft repeats these splits so many times; MMLU's auxiliary_train holds ARC's training questions too.
EPOCHS: dict[Suite, tuple[str, ...]] = {"mmlu": ("mmlu_epochs",), "gsm8k": ("gsm8k_epochs",), "arc": ("mmlu_epochs",)}
NAMES: dict[Suite, re.Pattern[str]] = {
    "mmlu": re.compile(r"mmlu", re.IGNORECASE),
    "gsm8k": re.compile(r"gsm[-_ ]?8k", re.IGNORECASE),
    "arc": re.compile(r"mmlu|(?<![a-z])(?:ai2[-_])?arc(?![a-z])", re.IGNORECASE),
}


@dataclass(frozen=True)
class Seen:
    """Whether it was trained on, and how that is known."""

    answer: Literal["yes", "no", "unknown"]
    because: str


def training_split(suite: Suite, ref: CheckpointRef) -> Seen | None:
    """Look through a checkpoint and those it was made from; None for a benchmark that has no such split (CORE).

    A source of the mix counts by its name and path. Nothing is raised: what cannot be known is "unknown".
    """
    if suite not in EPOCHS:
        return None
    said: list[str] = []
    while ref.kind == "chat":
        try:
            meta = load_meta(ref)
        except NotReady as error:
            return Seen("unknown", error.message)
        own = meta.get("samosa")
        found = _nanochats(suite, ref, meta) if own is None else _samosas(suite, ref)
        if found is None or found.answer != "no":
            return found or Seen("unknown", f"{ref.name} does not say what it was fine-tuned on")
        said.append(found.because)
        init = own.get("init") if isinstance(own, dict) else f"base/{meta['user_config'].get('model_tag')}"
        if str(init).startswith("base/") or init is None:
            break
        try:
            ref = home.find_checkpoint(str(init))
        except SamosaError:
            return Seen("unknown", f"{'; '.join(said)}; {init}, which it was made from, is not here")
    return Seen("no", "; ".join(said) or "a base model: nothing was fine-tuned")


def _nanochats(suite: Suite, ref: CheckpointRef, meta: dict[str, object]) -> Seen | None:
    """By the command line that nanochat keeps; None where there is none."""
    said = meta.get("user_config")
    if not isinstance(said, dict) or any(name not in said for name in EPOCHS[suite]):
        return None
    epochs = {name: said[name] for name in EPOCHS[suite]}
    because = f"{ref.name}: nanochat's mix with {', '.join(f'{name} = {count}' for name, count in epochs.items())}"
    return Seen("yes" if any(epochs.values()) else "no", because)


def _samosas(suite: Suite, ref: CheckpointRef) -> Seen | None:
    """By the recipe beside the run; None where it is not here or does not name its sources."""
    try:
        recipe = tomllib.loads((home.run_dir(ref.tag) / "recipe.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    mix = recipe.get("mix", {})
    if not mix.get("sources") or mix.get("made"):
        return None
    names = [f"{source.get('name')} {source.get('path', '')}".strip() for source in mix["sources"]]
    hits = [name for name in names if NAMES[suite].search(name)]
    if hits:
        return Seen("yes", f"{ref.name}: {', '.join(hits)} in its mix")
    return Seen("no", f"{ref.name}: none of its {len(names)} sources is named after it")
