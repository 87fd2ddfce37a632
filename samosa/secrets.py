"""The only reader of API keys and tokens, and the eraser that keeps them out of everything printed."""

import contextlib
import os
import re
from pathlib import Path

from samosa.errors import NotReady

SECRET_NAME = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$", re.IGNORECASE)
SHORTEST_SECRET = 8  # characters; shorter values would erase ordinary words
LINE = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$")


def keys_file() -> Path:
    """Where keys lie: `KEY=VALUE` lines, readable by its owner only."""
    return Path.home() / ".api_keys"


def get(name: str) -> str | None:
    """The secret called `name`, from the environment or else from the keys file; None where neither has it.

    Raises NotReady when the file would have to be read and others can read it too, or when a line of it is broken.
    """
    value = os.environ.get(name)
    if value:
        return value
    path = keys_file()
    if not path.is_file():
        return None
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise NotReady(f"{path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {path}")
    return _parse(path).get(name) or None


def redact(text: str) -> str:
    """`text` with every known secret replaced by `***its name***`; never raises."""
    for value, name in sorted(_known().items(), key=lambda item: -len(item[0])):
        text = text.replace(value, f"***{name}***")
    return text


def _known() -> dict[str, str]:
    """Every secret value this process could have seen -> its name."""
    named = {name: value for name, value in os.environ.items() if SECRET_NAME.search(name)}
    with contextlib.suppress(OSError, NotReady, RuntimeError):  # RuntimeError: no home directory can be found
        # A file with loose permissions is refused by `get`, but its values must not be printed either.
        named |= _parse(keys_file())
    return {value: name for name, value in named.items() if len(value) >= SHORTEST_SECRET}


def _parse(path: Path) -> dict[str, str]:
    """The pairs in the keys file. Raises NotReady naming the line, and never its text."""
    hint = "write one KEY=VALUE a line; lines that open with # are comments"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise NotReady(f"{path} is not UTF-8 text", hint=hint) from error
    pairs = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = LINE.match(line.strip())
        if match is None:
            raise NotReady(f"{path}:{number}: not a KEY=VALUE line", hint=hint)
        pairs[match[1]] = _unquoted(match[2].strip())
    return pairs


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
