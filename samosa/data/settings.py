"""Recipe sections of the data layer. Values live in configs/*.toml."""

from typing import Literal

from pydantic import PositiveInt

from samosa.config import Recipe


class Packing(Recipe):
    """How tokenized documents become rows."""

    length: PositiveInt
    """Tokens in a row."""
    overlong: Literal["error", "drop", "split"]
    """What becomes of a document longer than a row: refused by name, left out and counted, or cut into pieces."""
    seed: int
    """Order of the rows."""
