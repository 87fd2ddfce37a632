"""The recipe of `samosa tokenize` and `samosa tokenizer`."""

from pydantic import Field, PositiveInt

from samosa.config import Recipe


class TokenizerTraining(Recipe):
    """What `samosa tokenizer` reads."""

    characters: PositiveInt
    """Of text to learn merges from, in the order of the files."""
    document_characters: PositiveInt
    """Of one document: so that long ones do not decide."""
    report_characters: PositiveInt
    """Of each file to measure compression on."""


class Tokenize(Recipe):
    """How text becomes shards."""

    folder: str
    """Where the parquet shards lie, relative to $SAMOSA_HOME."""
    first_shard: PositiveInt
    """The first number that may be written."""
    validation: str
    """The file in `folder` that is never trained on: its documents go into no shard."""
    hold_out: float | None = Field(default=None, gt=0, lt=0.5)
    """Make `validation` of this share of the documents, chosen by their content; absent, it has to be there."""
    aside: list[str]
    """Files in `folder` that are no part of the numbered sequence; their documents go into no shard either."""
    shard_characters: PositiveInt
    row_group: PositiveInt
    """Documents in a row group, which nanochat reads at once."""
    compression_level: PositiveInt
    """zstd's."""
    column: str
    """What holds the text of a JSON line or a parquet row."""
    seed: int = Field(ge=0)
    """Of the documents' order."""
    chunk_mb: PositiveInt
    """Text that a worker takes at once, in MB: what a stop costs, and memory, about four times it."""
    pulled: str
    """Where `samosa pull` puts sources, relative to $SAMOSA_HOME."""
    tokenizer: TokenizerTraining
