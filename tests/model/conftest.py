from pathlib import Path

import pytest

from samosa.chat.tokenizer import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(Path(__file__).parents[1] / "golden" / "tokenizer")
