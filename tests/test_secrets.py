from pathlib import Path

import pytest

from samosa import secrets
from samosa.errors import NotReady


def keys(text: str, mode: int = 0o600) -> Path:
    path = Path.home() / ".api_keys"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_comes_before_the_file(monkeypatch):
    keys("TAVILY_API_KEY=from-the-file\n")
    monkeypatch.setenv("TAVILY_API_KEY", "from-the-environment")
    assert secrets.get("TAVILY_API_KEY") == "from-the-environment"


@pytest.mark.parametrize("line", ["K=abc", "export K=abc", 'K="abc"', "K = 'abc'", "# first\n\nK=abc"])
def test_the_file_is_read_as_people_write_it(line):
    keys(line + "\n")
    assert secrets.get("K") == "abc"


@pytest.mark.parametrize("text", ["", "OTHER=1\n", "K=\n"])
def test_a_key_that_is_nowhere_is_none(text):
    keys(text)
    assert secrets.get("K") is None


def test_no_file_is_no_error():
    assert secrets.get("K") is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(mode):
    path = keys("K=abc\n", mode)
    with pytest.raises(NotReady) as caught:
        secrets.get("K")
    assert caught.value.hint == f"chmod 600 {path}"


def test_a_broken_line_is_named_by_number_and_never_shown():
    path = keys("K=abc\nsk-a-key-without-a-name\n")
    with pytest.raises(NotReady) as caught:
        secrets.get("K")
    assert f"{path}:2" in caught.value.message
    assert "sk-a-key" not in caught.value.message + caught.value.hint


def test_redaction_knows_the_environment_and_the_file_even_a_loose_one(monkeypatch):
    keys("TAVILY_API_KEY=tvly-0123456789\n", 0o644)
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghij")
    text = secrets.redact("GET ?key=tvly-0123456789 with hf_abcdefghij")
    assert text == "GET ?key=***TAVILY_API_KEY*** with ***HF_TOKEN***"


def test_a_secret_inside_another_leaves_nothing_of_the_longer_one(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "abcdefgh")
    monkeypatch.setenv("B_TOKEN", "abcdefgh-and-more")
    assert secrets.redact("abcdefgh-and-more") == "***B_TOKEN***"


def test_short_values_do_not_erase_words(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "the")
    assert secrets.redact("the end") == "the end"
