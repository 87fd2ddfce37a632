"""Two tokenizers for the chat tests, and the recorded answers of nanochat."""

import json
from pathlib import Path

import pytest

from samosa.chat.tokenizer import Tokenizer, load_tokenizer, train_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def recorded() -> dict:
    """What nanochat 92d63d4 answered: encodings, conversations and their rendering."""
    return json.loads((GOLDEN / "chat.json").read_text())


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """nanochat's own, vocabulary 500."""
    return load_tokenizer(GOLDEN / "tokenizer")


@pytest.fixture(scope="session")
def joining() -> Tokenizer:
    """A vocabulary in which tags melt with their neighbours: it has tokens such as `>\\n`, ` <` and `.</`."""
    rows = ["<think>\nhm.\n</think>\nyes", "a <think>b.</think>\n\nc", '("<think>x!</think>!")\n', "1.</think>.<think>"]
    tokenizer = train_tokenizer(rows * 9, 290)
    tokens = {tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size)}
    assert any(token.endswith(b">\n") for token in tokens)
    assert any(token.startswith(b".<") for token in tokens)
    return tokenizer
